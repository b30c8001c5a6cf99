"""The texts that are measured: the shared bench corpus where it is there, else text files of the installed environment.

Everything is copied into a scratch folder, with times in the past so that no file counts as still being written.
"""

import os
import random
import shutil
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[2].parent / "shared" / "data"
ARCHIVE = "bench_text.tar.xz"
TEXT_SUFFIXES = frozenset({".md", ".txt", ".rst", ".py", ".html", ".toml", ".json", ".yaml"})
LONG_AGO = 1_760_000_000
MOST_BYTES = 44_000_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files to work on: where, how many, how many bytes, and where they came from."""

    folder: Path
    files: int
    bytes: int
    source: str


def unpack(folder: Path, data: Path, most_files: int | None = None) -> Corpus:
    """Put the corpus into a new ``folder``.

    Args:
        folder: made here.
        data: folder in which the shared corpus lies, where it does.
        most_files: take an even selection of so many files; None takes all.
    """
    folder.mkdir(parents=True)
    if (data / ARCHIVE).is_file():
        with tarfile.open(data / ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        source = "bench_text"
    else:
        source = "installed packages"
        for number, path in enumerate(_installed()):
            target = folder / f"{number % 64:02d}" / f"{number:05d}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if most_files is not None and most_files < len(paths):
        kept = {paths[number * len(paths) // most_files] for number in range(most_files)}
        for path in paths:
            if path not in kept:
                path.unlink()
        paths = sorted(kept)
    settle(folder)
    return Corpus(folder, len(paths), sum(path.stat().st_size for path in paths), source)


def settle(folder: Path) -> None:
    """Give every file below ``folder`` a time in the past."""
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def notes(folder: Path) -> list[Path]:
    """The Markdown files below a folder, or all files where few are Markdown, smallest first."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = [path for path in files if path.suffix == ".md"]
    return sorted(found if 2 * len(found) > len(files) else files, key=lambda path: (path.stat().st_size, path))


def paragraphs(folder: Path, most: int = 20_000) -> list[str]:
    """Paragraphs of the corpus with at least 80 characters, in a fixed order."""
    found: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [block.strip() for block in text.split("\n\n") if len(block) >= 80]
        if len(found) >= most:
            break
    return found[:most]


def write_small(folder: Path, count: int, texts: list[str], blocks: int) -> int:
    """Write ``count`` notes of ``blocks`` paragraphs each, 500 to a folder; returns the bytes."""
    pick = random.Random(17)
    total = 0
    for number in range(count):
        target = folder / f"{number // 500:03d}"
        if number % 500 == 0:
            target.mkdir(parents=True)
        body = f"# Note {number}\n\n" + "\n\n".join(pick.choice(texts) for _ in range(blocks)) + "\n"
        total += (target / f"note-{number:06d}.md").write_text(body, encoding="utf-8")
    settle(folder)
    return total


def write_large(path: Path, size: int, texts: list[str], seed: int) -> int:
    """Write one text file of about ``size`` bytes; returns its bytes."""
    pick = random.Random(seed)
    total = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        while total < size:
            total += stream.write(f"{pick.random():.12f} {pick.choice(texts)}\n\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path.stat().st_size


def _installed() -> Iterator[Path]:
    """Text files of the installed environment, in a fixed order, up to ``MOST_BYTES``."""
    total = 0
    for root in ("purelib", "stdlib"):
        for path in sorted(Path(sysconfig.get_path(root)).rglob("*")):
            if path.suffix in TEXT_SUFFIXES and path.is_file() and 200 <= path.stat().st_size <= 500_000:
                total += path.stat().st_size
                if total > MOST_BYTES:
                    return
                yield path

"""What was found: made smaller while it shows the same, saved outside the repository, with the command that replays it."""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fuzz.cases import Case, Verdict

Judge = Callable[[Case], Verdict]


@dataclass(frozen=True, slots=True)
class Saved:
    """A kind of finding and the file that shows it."""

    label: str
    path: Path
    command: str


def label_of(line: str) -> str:
    """The kind of a finding: without numbers and what a file says."""
    return re.sub(r"\d+", "N", line)[:100]


def smaller(file: Case, label: str, judge: Judge, seconds: float = 10.0) -> Case:
    """Halves, then pieces taken out while the finding stays; within a time."""
    deadline = time.monotonic() + seconds
    piece = max(1, len(file.content) // 2)
    while piece >= 1 and time.monotonic() < deadline:
        start, changed = 0, False
        while start < len(file.content) and time.monotonic() < deadline:
            tried = replace(file, content=file.content[:start] + file.content[start + piece :])
            if tried.content and label in map(label_of, judge(tried).findings):
                file, changed = tried, True
            else:
                start += piece
        if not changed or piece > len(file.content):
            piece //= 2
    return file


def save(folder: Path, label: str, route: str, file: Case) -> Saved:
    """Write the file under its name in a folder of the finding's own; the command is to be run in the repository."""
    digest = hashlib.blake2b(file.content, digest_size=4).hexdigest()
    words = re.sub(r"[^a-z]+", "-", label.lower()).strip("-")[:50]
    target = folder / f"{words}-{digest}" / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.content)
    return Saved(f"{route}: {label}", target, f"python -m tests.fuzz --replay '{target}'")

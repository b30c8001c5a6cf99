"""What mutation starts from: real files by suffix, and made ones for every format that has a maker."""

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import containers, packages
from tests.fuzz.makers import MAKERS, make

DATA = Path(__file__).parents[2].parent / "shared" / "data"
FOLDERS = ("demo_corpus", "pdf", "bad_inputs")
MOST_BYTES = 1024 * 1024
MADE = 6
RICH = frozenset({".gz", ".htm", ".html", ".ipynb", ".msg", ".rtf", *packages.MAKERS, *containers.MAKERS})
RICH_WEIGHT = 4


@dataclass(slots=True)
class Seeds:
    """Files to start from, by suffix, so that a format with many files is not all that is tried."""

    by_suffix: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> None:
        """Take a file in; an empty one is of no use."""
        if content:
            suffix = Path(name).suffix.lower() or name.lower()
            self.by_suffix.setdefault(suffix, []).append((name, content))

    def choose(self, pick: random.Random, suffixes: list[str]) -> tuple[str, bytes]:
        """A file: its suffix first, then one of that; formats that are more than text are tried more often."""
        weights = [RICH_WEIGHT if suffix in RICH else 1 for suffix in suffixes]
        return pick.choice(self.by_suffix[pick.choices(suffixes, weights)[0]])

    def suffixes(self, only: tuple[str, ...] = ()) -> list[str]:
        """All suffixes in a fixed order, or those asked for."""
        return sorted(suffix for suffix in self.by_suffix if not only or suffix in only)


def gather(data: Path | None = DATA, most_bytes: int = MOST_BYTES) -> Seeds:
    """Real files below ``data`` (None: none) of at most ``most_bytes``, and made ones."""
    seeds = Seeds()
    if data is not None:
        for folder in FOLDERS:
            for path in sorted((data / folder).rglob("*")):
                if path.is_file() and path.stat().st_size <= most_bytes:
                    seeds.add(path.name, path.read_bytes())
    for suffix in MAKERS:
        for number in range(MADE):
            seeds.add(f"made-{number}{suffix}", make(suffix, number))
    return seeds

"""The daily round, whole processes with the hash embedder: first run, no-op, edit one, delete ten, rename five.

Each step runs Cortex and the hand-written floor on a copy of the corpus of its own. Files are changed, then left alone
for two seconds, so that no step waits for a file that is still being written.
"""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.corpus import LONG_AGO, notes, unpack
from tests.bench.figures import Figure, Part, ratio
from tests.bench.process import Measured, cortex, module

STEPS = ("first", "noop", "edit", "delete", "rename")
TARGETS = {"first": 25.0, "noop": 1.5, "edit": 2.5, "delete": 3.0, "rename": 3.0}
PEAK_MB = 900.0
WRITTEN_PER_BYTE = 50.0
PARAGRAPH = "\n\nThe harbour office wrote down a tide of four metres and eleven centimetres on that November night.\n\n"


class Scenario:
    """Two copies of the corpus, one for each contestant, changed in the same way before each step."""

    def __init__(self, scratch: Path, data: Path, most_files: int | None) -> None:
        """Unpack the corpus twice and make a DAGSTER_HOME, so that runs report to Dagster as they do for its users."""
        self._home, self._floor = scratch / "cortex", scratch / "floor"
        self._mine = self._home / "data" / "inbox" / "bench"
        self.corpus = unpack(self._mine, data, most_files)
        shutil.copytree(self._mine, self._floor / "corpus")
        if not (self._home / "data" / ".dagster").exists():
            from apps.dagster_ui import prepare_home

            prepare_home(self._home / "data" / ".dagster")
        self._edited_bytes = 0

    def step(self, name: str) -> tuple[Measured, Measured]:
        """Change both copies for the step, then measure Cortex and the floor."""
        for folder in (self._mine, self._floor / "corpus"):
            getattr(self, f"_before_{name}")(folder)
        if name in ("edit", "delete", "rename"):
            time.sleep(2.2)
        mine = cortex(["run", "--json"], self._home, CORTEX_EMBED="hash")
        self._wait_for_dagster()
        floor = module("tests.bench.floor", [str(self._floor / "corpus"), str(self._floor / "out")], self._floor)
        return mine, floor

    def _wait_for_dagster(self) -> None:
        """A run leaves its report to Dagster to a process of its own; it must not disturb what is measured next."""
        spool = self._home / "data" / "cache" / "dagster-events"
        deadline = time.monotonic() + 60
        while any(spool.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.1)

    def figures(self, name: str, mine: Measured, floor: Measured) -> list[Figure]:
        """What the step is measured by."""
        stages = mine.json()["stages"]
        embedded = sum(line["new"] for line in stages if line["stage"] == "embeddings")
        note = f"{ratio(mine.seconds, floor.seconds):.1f} x the floor's {floor.seconds:.2f} s; load {mine.load[0]}"
        found = [Figure(f"{name}: whole process", mine.seconds, "s", TARGETS[name], note=note)]
        found.append(Figure(f"{name}: CPU of the tree", mine.cpu_seconds, "s", note=f"floor {floor.cpu_seconds:.2f} s"))
        found.append(
            Figure(
                f"{name}: peak memory of the tree", mine.peak_mb, "MB", PEAK_MB, note=f"PSS; RSS {mine.peak_rss_mb:.0f}"
            )
        )
        if name in ("rename", "noop"):
            found.append(Figure(f"{name}: embeddings made", embedded, "texts", 0))
        if name == "edit":
            found.append(
                Figure(
                    "edit: bytes written per byte of the note",
                    mine.written / self._edited_bytes,
                    "bytes per byte",
                    WRITTEN_PER_BYTE,
                    note=f"{mine.written} bytes for a note of {self._edited_bytes}; {embedded} texts embedded",
                )
            )
        return found

    def _before_first(self, folder: Path) -> None:
        """The folder is as it was unpacked."""

    def _before_noop(self, folder: Path) -> None:
        """Nothing changes."""

    def _before_edit(self, folder: Path) -> None:
        """A paragraph is inserted into the middle of a note of median size."""
        found = notes(folder)
        note = found[len(found) // 2]
        text = note.read_text(encoding="utf-8", errors="replace")
        middle = text.find("\n\n", len(text) // 2)
        place = middle if middle >= 0 else len(text)
        note.write_text(text[:place] + PARAGRAPH + text[place + 2 :], encoding="utf-8")
        self._edited_bytes = note.stat().st_size

    def _before_delete(self, folder: Path) -> None:
        """Ten notes go."""
        found = notes(folder)
        for note in found[:: len(found) // 10][:10]:
            note.unlink()

    def _before_rename(self, folder: Path) -> None:
        """Five notes get another name in another folder."""
        found = notes(folder)
        target = folder / "renamed"
        target.mkdir()
        for number, note in enumerate(found[len(found) // 3 :][:5]):
            note.rename(target / f"moved-{number}{note.suffix}")
        os.utime(target, (LONG_AGO, LONG_AGO))


def run(scratch: Path, steps: Sequence[str], data: Path, most_files: int | None) -> Part:
    """The steps asked for; the first run is done for them in any case."""
    scenario = Scenario(scratch, data, most_files)
    part = Part("scenario")
    corpus = scenario.corpus
    part.details["corpus"] = {"files": corpus.files, "bytes": corpus.bytes, "source": corpus.source}
    measured: dict[str, dict[str, Any]] = {}
    for name in STEPS:
        if name == "first" or name in steps:
            mine, floor = scenario.step(name)
            part.figures += scenario.figures(name, mine, floor) if name in steps else []
            measured[name] = {"cortex": mine.brief(), "floor": floor.brief(), "stages": _stages(mine)}
    part.details["steps"] = measured
    return part


def _stages(mine: Measured) -> dict[str, dict[str, float]]:
    kept = ("new", "changed", "deleted", "tokens", "seconds")
    return {line["stage"]: {name: line[name] for name in kept if line[name]} for line in mine.json()["stages"]}

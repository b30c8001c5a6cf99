"""Files of a local Delta table's log: which of them a version needs, so that the table can be copied as it is at it.

What the log means is delta-rs's; here only names are looked at (Delta protocol, "Delta Log Entries", "Checkpoints").
"""

import re
from pathlib import Path

LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.(\d{10}))?\.parquet")
SPACING = 500
"""Commits between two checkpoints that are kept: an old version is found by reading half as many small files."""


class LogGap(Exception):
    """The log of a table lacks what a version needs."""


def log_files(folder: Path, version: int) -> list[Path]:
    """The files of a table's log that its version is read from: the last checkpoint up to it, and the commits since.

    The checkpoint's own commit is among them where it is still there, for it tells when it was made.

    Args:
        folder: the table's.
        version: that is to be readable.

    Raises:
        LogGap: a commit in between is missing.
    """
    names = sorted(path.name for path in (folder / LOG).iterdir())
    commits = {int(found[1]): name for name in names if (found := _COMMIT.fullmatch(name))}
    begun, checkpoint = _last_checkpoint(names, version)
    first = begun + 1
    lacking = [number for number in range(first, version + 1) if number not in commits]
    if lacking:
        raise LogGap(f"{folder / LOG} lacks version {lacking[0]}")
    wanted = range(max(0, begun), version + 1)
    return [folder / LOG / name for name in [*checkpoint, *(commits[n] for n in wanted if n in commits)]]


def spare_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a table that only make old versions quicker to open: neither the last nor the first, nor one in 500 commits.

    Every checkpoint names every file of the table and what went in the retention, so one in 50 commits takes more than all
    commits. A checkpoint stays where the commits since the last one that stays are not all there.
    """
    if not (folder / LOG).is_dir():
        return []
    names = sorted(path.name for path in (folder / LOG).iterdir())
    commits = {int(found[1]) for name in names if (found := _COMMIT.fullmatch(name))}
    checkpoints = sorted(_checkpoints(names).items())
    spare: list[Path] = []
    kept = checkpoints[0][0] if checkpoints else -1
    for number, files in checkpoints[1:-1]:
        if number - kept < SPACING and commits.issuperset(range(kept + 1, number + 1)):
            spare += [folder / LOG / name for name in files]
        else:
            kept = number
    return spare


def has_checkpoint(folder: Path, version: int) -> bool:
    """Whether a version of a table is a checkpoint."""
    return version in _checkpoints([path.name for path in (folder / LOG).iterdir()])


def _last_checkpoint(names: list[str], version: int) -> tuple[int, list[str]]:
    """(version, files) of the last whole checkpoint up to a version; (-1, none) where there is none."""
    whole = {number: files for number, files in _checkpoints(names).items() if number <= version}
    return (max(whole), whole[max(whole)]) if whole else (-1, [])


def _checkpoints(names: list[str]) -> dict[int, list[str]]:
    """Version to files of every whole checkpoint."""
    parts: dict[int, list[str]] = {}
    expected: dict[int, int] = {}
    for name in names:
        found = _CHECKPOINT.fullmatch(name)
        if found:
            number = int(found[1])
            parts.setdefault(number, []).append(name)
            expected[number] = int(found[2] or 1)
    return {number: files for number, files in parts.items() if len(files) == expected[number]}

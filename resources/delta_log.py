"""Files of a local Delta table's log: which of them a version needs, so that the table can be copied as it is at it.

What the log means is delta-rs's; here only names are looked at (Delta protocol, "Delta Log Entries", "Checkpoints").
"""

import re
from pathlib import Path

LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.(\d{10}))?\.parquet")


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


def _last_checkpoint(names: list[str], version: int) -> tuple[int, list[str]]:
    """(version, files) of the last whole checkpoint up to a version; (-1, none) where there is none."""
    parts: dict[int, list[str]] = {}
    expected: dict[int, int] = {}
    for name in names:
        found = _CHECKPOINT.fullmatch(name)
        if found and int(found[1]) <= version:
            number = int(found[1])
            parts.setdefault(number, []).append(name)
            expected[number] = int(found[2] or 1)
    whole = [number for number, files in parts.items() if len(files) == expected[number]]
    return (max(whole), parts[max(whole)]) if whole else (-1, [])

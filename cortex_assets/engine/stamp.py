"""One short text that changes with the code: files of the project, installed packages, Python itself.

Finer and slower is ``engine.fingerprint``, which follows a function to what it reaches; its answers are remembered for one
stamp. Nothing is imported to stamp.
"""

import hashlib
import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PROJECT_FOLDERS = ("apps", "cortex_assets", "inference", "resources", "sensors")
STARTED_AT_NS = time.time_ns()
"""When this module was imported, which is soon after the process began."""
MARGIN_NS = 60 * 10**9


class Stamp(NamedTuple):
    """The stamp, and the latest change (ctime, nanoseconds) among what it covers."""

    digest: str
    changed_at_ns: int

    @property
    def is_what_runs(self) -> bool:
        """Whether nothing changed from a minute before this process began: then what was imported is what is there."""
        return self.changed_at_ns < STARTED_AT_NS - MARGIN_NS


def code_stamp(root: Path = ROOT) -> Stamp:
    """Look at all files of the project and at the folders of installed packages (some milliseconds)."""
    digest = hashlib.blake2b(f"{sys.version} {root}".encode(), digest_size=16)
    latest = 0
    for place in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        seen = Path(place).stat()
        digest.update(f"{place} {seen.st_mtime_ns}".encode())
        latest = max(latest, seen.st_ctime_ns)
    for folder in PROJECT_FOLDERS:
        for below, folders, names in os.walk(root / folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                seen = os.stat(os.path.join(below, name))  # noqa: PTH116, PTH118 - hundreds of files
                digest.update(f"{below}/{name} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}".encode())
                latest = max(latest, seen.st_ctime_ns)
    return Stamp(digest.hexdigest(), latest)

"""Copies of a lake's folders, for scenarios that start from the same state again and again."""

import shutil
import subprocess
from pathlib import Path


def copy_folder(source: Path, target: Path) -> None:
    """Replace ``target`` by a copy; index files are sparse, and stay so."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)

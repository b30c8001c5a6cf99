"""Probes in processes of their own: an engine or a driver that crashes takes only that process down."""

import subprocess
import sys
from pathlib import Path

from resources.settings import child_environment

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def child_line(code: str, data_dir: Path | None = None) -> tuple[str, str]:
    """The last line that some code prints, and, where it failed, why.

    Args:
        code: Python, run by this interpreter.
        data_dir: data folder that it works on; None = the environment's.
    """
    extra = {} if data_dir is None else {"CORTEX_DATA": str(data_dir)}
    try:
        answer = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=child_environment(OPENBLAS_NUM_THREADS="2", **extra),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {SECONDS} s; is the machine overloaded?"
    if answer.returncode < 0:
        return "", f"it crashed (signal {-answer.returncode})"
    if answer.returncode:
        return "", answer.stderr.strip().rpartition("\n")[2] or f"it ended with {answer.returncode}"
    return answer.stdout.strip().rpartition("\n")[2], ""

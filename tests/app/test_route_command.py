"""``cortex route -`` with what is no text."""

import os
import subprocess
import sys
from pathlib import Path


def test_bytes_that_are_no_text_are_routed_all_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", "route", "-"],
        input=b"\xff\xfe\x00 is this licence compatible? \x80" * 100,
        capture_output=True,
        env={**os.environ, "CORTEX_DATA": str(tmp_path)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"licence" in done.stdout

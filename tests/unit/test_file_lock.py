"""A lock on a file: one holder, seen by others, given back by whoever ends."""

import subprocess
import sys
from pathlib import Path

from resources.file_lock import alone, is_locked

HOLD = """
import sys, time
from pathlib import Path
from resources.file_lock import alone
with alone(Path(sys.argv[1])) as is_mine:
    print(is_mine, flush=True)
    time.sleep(60)
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_locked(lock) and not lock.exists()
    with alone(lock) as first:
        assert first and is_locked(lock)
        with alone(lock) as second:
            assert not second
        assert is_locked(lock), "whoever came second does not give back the first one's"
    assert not is_locked(lock)


def test_a_killed_holder_gives_it_back(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"True\n"
    assert is_locked(lock)
    process.kill()
    process.wait()
    process.stdout.close()
    assert not is_locked(lock)

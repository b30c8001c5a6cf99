"""Bytes on disk over many rounds of edit, run and maintain: they must come to rest.

    python -m tests.bench.plateau [rounds]

A corpus of five notes, the hash embedder, nothing retained; every 50 rounds what lies where is printed, in kB.
"""

import os
import sys
import tempfile
import time
from pathlib import Path


def weigh(folder: Path) -> int:
    """Kilobytes in the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1000


def main(rounds: int) -> None:
    """Do the rounds and print."""
    from apps import actions
    from tests.dagster.lake import note

    data = Path(os.environ["CORTEX_DATA"])
    notes = data / "inbox" / "notes"
    notes.mkdir(parents=True)
    for number in range(5):
        (notes / f"note-{number}.md").write_text(note(number))
    begin = time.perf_counter()
    held = 0.0
    for number in range(1, rounds + 1):
        path = notes / "note-0.md"
        path.write_text(note(100 + number))
        os.utime(path, (1e9 + number, 1e9 + number))
        actions.run()
        held = max(held, actions.maintain().longest_hold)
        if number % 50 == 0 or number == 10:
            parts = {
                part.name: weigh(part) for part in sorted(data.iterdir()) if part.is_dir() and part.name != "inbox"
            }
            files = sum(1 for part in data.rglob("*") if part.is_file())
            seconds = time.perf_counter() - begin
            shown = "  ".join(f"{name} {size}" for name, size in parts.items())
            print(f"round {number}: {sum(parts.values())} kB in {files} files  {shown}  ({seconds:.0f} s)", flush=True)
    print(f"longest hold: {held:.3f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "CORTEX_DATA": f"{folder}/data",
            "CORTEX_EMBED": "hash",
            "CORTEX_STILL_SECONDS": "0",
            "CORTEX_MIN_FREE": "0",
            "CORTEX_RETENTION": "0",
            "CORTEX_HISTORY": "0",
            "CORTEX_SWEEP_AGE": "0",
        }
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)

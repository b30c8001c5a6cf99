"""Asks an index again and again until something is found, and prints after how many seconds: ``poller DATA QUESTION``."""

import json
import sys
import time
from pathlib import Path

MOST_SECONDS = 1_200.0
PAUSE = 0.25


def main(data: Path, question: str) -> None:
    """Wait for a published shard, then search it as ``cortex search`` does."""
    begin = time.perf_counter()
    while not any((data / "index").glob("*/*/current.json")):
        if time.perf_counter() - begin > MOST_SECONDS:
            return
        time.sleep(PAUSE)
    from apps.reader import search

    while time.perf_counter() - begin < MOST_SECONDS:
        answer = search(question, 3)
        if answer.hits:
            print(json.dumps({"seconds": time.perf_counter() - begin, "hits": len(answer.hits)}))
            return
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""A process that asks a lane, for ``tests.bench.lanes``: ``python -m tests.bench.lane_worker JSON``, prints JSON."""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from inference.engines.chat_server import ChatServer
from inference.engines.scripted import ScriptedGenerator
from inference.errors import InferenceError
from inference.generation.cache import CompletionCache
from inference.generation.lane import GenerateLane
from inference.generation.ledger import Ledger
from inference.generation.spec import EngineSpec, LaneSpec
from inference.protocols import Generator
from inference.requests import ask

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def lane_of(given: dict[str, Any]) -> GenerateLane:
    """The lane that the argument describes: servers in order, and an echo as the last resort."""
    begun, speed = given["begun"], given["speed"]
    ledger = Ledger(Path(given["folder"]) / "calls.sqlite", lambda: begun + (time.time() - begun) * speed)
    engines: list[Generator] = [
        ChatServer(f"server-{at}", url=url, model="scripted", context=8192) for at, url in enumerate(given["urls"])
    ]
    engines.append(ScriptedGenerator("echo"))
    specs = tuple(EngineSpec(one.name, one.name, timeout=given["timeout"]) for one in engines)
    cache = CompletionCache(Path(given["folder"]) / "completions.sqlite") if given["is_cached"] else None
    return GenerateLane(LaneSpec("bench", specs, deadline=120.0), engines, ledger, cache)


def one(lane: GenerateLane, number: int, name: str) -> str:
    """Ask once, in one of four ways; the engine that answered."""
    request = ask(f"who is {name} {number}?", schema=SCHEMA if number % 4 == 1 else None, max_tokens=64)
    if number % 4 == 2:
        shown: list[str] = []
        stream = lane.stream(request, on_restart=shown.clear)
        shown.extend(stream)
        if stream.completion is None or "".join(shown) != stream.completion.text:
            raise AssertionError("a stream showed something else than it came to")
        return stream.completion.engine
    if number % 4 == 3:  # the same for all: from the cache where there is one
        request = ask(f"who is everybody {number // 40}?", max_tokens=64)
    found = lane.generate(request)
    if number % 4 == 1 and not found.value["name"]:
        raise AssertionError("an answer without what was asked for")
    return "cache" if found.is_cached else found.engine


def main() -> None:
    """Ask until the count is reached or the time is over."""
    given = json.loads(sys.argv[1])
    lane, engines, lost = lane_of(given), Counter[str](), []
    lock, numbers = threading.Lock(), iter(range(given["count"]))
    end = given["begun"] + given["seconds"]

    def work() -> None:
        while time.time() < end:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                engine = one(lane, number, given["name"])
            except (InferenceError, AssertionError) as error:
                with lock:
                    lost.append(f"{type(error).__name__}: {error}"[:300])
                continue
            with lock:
                engines[engine] += 1
            time.sleep(given["pause"])

    threads = [threading.Thread(target=work) for _ in range(given["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"engines": engines, "lost": lost}))


if __name__ == "__main__":
    main()

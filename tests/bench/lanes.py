"""What lanes promise, over real processes and a real local server that fails as it is told.

``outage``: F19, a minute of 503 of the only server of a lane, while four processes ask. ``soak``: 2,000 mixed calls and more with 20 %
faults; the ledger against the server's own counts. ``overhead``: of a lane over the bare HTTP client, call by call in turn.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import urllib3

from inference.engines.scripted_server import Act, ScriptedServer, faults
from inference.generation.ledger import Ledger
from inference.requests import ask
from tests.bench.figures import Figure, Part
from tests.bench.lane_worker import lane_of

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS = 4, 4
FAULTS = (
    Act("status", status=500), Act("status", status=503), Act("status", status=429), Act("half"), Act("not_json"),
    Act("no_choices"), Act("wrong_json"), Act("empty"), Act("reasoning"), Act("cut"), Act("no_usage"), Act("hang"),
)  # fmt: skip
SPEED = 20.0
"""How much faster the ledger's clock runs in the soak, so that breakers that opened are probed many times in it."""


def run(folder: Path, given: argparse.Namespace) -> Part:
    """All three."""
    part = Part("lanes")
    for name, measure in (("outage", outage), ("soak", soak), ("overhead", overhead)):
        below = folder / name
        below.mkdir(parents=True)
        part.figures.extend(measure(below, given.quick))
    return part


def outage(folder: Path, is_quick: bool) -> list[Figure]:
    """A minute in which every call to the server fails; the server counts what reaches it, whoever sent it."""
    seconds, after = (6.0, 7.0) if is_quick else (60.0, 70.0)
    speed = 10.0 if is_quick else 1.0
    with ScriptedServer() as server:
        begun = time.time()
        clock = time.monotonic()
        down = Act("status", status=503)
        server.script = lambda number, body: down if time.monotonic() - clock < seconds else Act()
        found = _asked(folder, [server.url], begun, seconds + after, 10**9, pause=0.05, speed=speed, is_cached=False)
        reached = sum(1 for at in server.times if at - clock < seconds)
        healed = sum(1 for at in server.times if at - clock >= seconds)
    engines = _summed(found)
    lost = [error for one in found for error in one["lost"]]
    note = f"{PROCESSES} processes of {THREADS} threads; {engines.get('echo', 0):,} requests answered by the fallback"
    return [
        Figure("outage calls that reached the server", reached, "calls", 5, note=note),
        Figure("outage requests lost", len(lost), "requests", 0, note="; ".join(lost[:3])),
        Figure("outage calls once it answers again", healed, "calls", 10, is_most=False, note="half-open, then closed"),
    ]


def soak(folder: Path, is_quick: bool) -> list[Figure]:
    """Requests of four kinds to two servers of which a fifth of the calls fails, and an echo behind them."""
    count = 200 if is_quick else 16_000
    with ScriptedServer(faults(0.2, 1, FAULTS)) as first, ScriptedServer(faults(0.2, 2, FAULTS)) as second:
        servers = (first, second)
        urls = [server.url for server in servers]
        each = count // PROCESSES
        found = _asked(folder, urls, time.time(), 600, each, pause=0.02, speed=SPEED, is_cached=True, timeout=1.0)
        calls = sum(server.calls for server in servers)
        prompt, completion = (sum(getattr(s, f"{kind}_tokens") for s in servers) for kind in ("prompt", "completion"))
        faulty = sum(n for server in servers for kind, n in server.kinds.items() if kind != "ok")
    ledger = Ledger(folder / "calls.sqlite")
    rows = [row for row in ledger.undrained(10**6) if row["engine"].startswith("server")]
    ledger.close()
    reached = [row for row in rows if row["outcome"] not in ("unreachable", "cached")]
    exact = [row for row in reached if not row["is_estimated"]]
    told = (sum(row["prompt_tokens"] for row in exact), sum(row["completion_tokens"] for row in exact))
    lost = [error for one in found for error in one["lost"]]
    engines = _summed(found)
    note = f"{faulty / max(calls, 1):.0%} faults; answered by {dict(sorted(engines.items()))}"
    guessed = f"{len(reached) - len(exact)} calls estimated and marked"
    return [
        Figure(
            "soak requests lost", len(lost), "requests", 0, note="; ".join(lost[:3]) or f"of {sum(engines.values()):,}"
        ),
        Figure("soak calls of the servers", calls, "calls", 40 if is_quick else 2_000, is_most=False, note=note),
        Figure("soak calls that differ in the ledger", abs(len(reached) - calls), "calls", 0),
        Figure("soak prompt tokens that differ", abs(told[0] - prompt), "tokens", 0, note=f"of {prompt:,}; {guessed}"),
        Figure("soak completion tokens that differ", abs(told[1] - completion), "tokens", 0, note=f"of {completion:,}"),
    ]


def overhead(folder: Path, is_quick: bool) -> list[Figure]:
    """A call through a lane against the same call by the bare client, in turn, to a server that answers at once."""
    with ScriptedServer() as server:
        lane = lane_of(_given(folder, [server.url], time.time(), is_cached=False))
        pool = urllib3.PoolManager()
        bare: list[float] = []
        through: list[float] = []
        for number in range(60 if is_quick else 1_020):
            begin = time.perf_counter()
            body = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": f"say {number}"}]})
            json.loads(pool.request("POST", f"{server.url}/chat/completions", body=body).data)
            middle = time.perf_counter()
            lane.generate(ask(f"say {number}"))
            through.append(time.perf_counter() - middle)
            bare.append(middle - begin)
    p50 = [1_000 * statistics.median(some[20:]) for some in (bare, through)]
    note = f"bare {p50[0]:.2f} ms, lane {p50[1]:.2f} ms, ratio {p50[1] / p50[0]:.2f}"
    return [Figure("overhead p50 of a lane", p50[1] - p50[0], "ms", 3.0, note=note)]


def _given(folder: Path, urls: list[str], begun: float, **more: Any) -> dict[str, Any]:
    return {
        "folder": str(folder), "urls": urls, "begun": begun, "speed": 1.0, "timeout": 5.0, "threads": THREADS,
        "pause": 0.0, "seconds": 600.0, "count": 10**9, "is_cached": True, "name": "x", **more,
    }  # fmt: skip


def _asked(
    folder: Path, urls: list[str], begun: float, seconds: float, count: int, **more: Any
) -> list[dict[str, Any]]:
    """What the processes say."""
    given = [
        _given(folder, urls, begun, seconds=seconds, count=count, name=f"p{at}", **more) for at in range(PROCESSES)
    ]
    command = [sys.executable, "-m", "tests.bench.lane_worker"]
    running = [
        subprocess.Popen([*command, json.dumps(one)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for one in given
    ]
    return [json.loads(process.communicate()[0]) for process in running]


def _summed(found: list[dict[str, Any]]) -> dict[str, int]:
    engines: dict[str, int] = {}
    for one in found:
        for name, number in one["engines"].items():
            engines[name] = engines.get(name, 0) + number
    return engines

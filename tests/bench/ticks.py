"""Sensor ticks over 100,000 files, as Dagster's daemon measured them while ``cortex up`` was at work and files were edited.

Embedder ``hash``: no sensor embeds.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median

from tests.bench.corpus import paragraphs, unpack, write_small
from tests.bench.figures import Figure, Part, load
from tests.bench.living import up
from tests.bench.process import cortex

FILES = 100_000
SECONDS, PAUSE = 420.0, 35.0
TARGET_SECONDS = 1.0


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Make the lake, let everything be up for minutes with an edit now and then, and read Dagster's own record of ticks."""
    data, count = scratch / "data", 2_000 if asked.quick else FILES
    corpus = unpack(scratch / "texts", asked.data, 400)
    texts = [text[:160] for text in paragraphs(corpus.folder)]
    files = data / "inbox" / "tiny"
    write_small(files, count, texts, blocks=1)
    cortex(["run", "--json"], scratch, CORTEX_EMBED="hash")
    seconds = 100.0 if asked.quick else SECONDS
    some = sorted(path for path in files.rglob("*") if path.is_file())[::97]
    with up(data, "--no-app", CORTEX_EMBED="hash"):
        began, edited = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            some[edited % len(some)].write_text(f"edit {edited} of {time.time()}", encoding="utf-8")
            edited += 1
            time.sleep(PAUSE)
    found = _ticks(data / ".dagster")
    details = {
        name: {"first": round(took[0], 3), "then, median": round(median(took[1:] or took), 3), "ticks": len(took)}
        for name, took in found.items()
    }
    part = Part("ticks", details=details)
    note = f"{count:,} files, {edited} edits; load {load()[0]}"
    part.figures += [
        Figure(f"sensor {name}: longest tick", max(took), "s", TARGET_SECONDS, note=f"{len(took)} ticks; {note}")
        for name, took in found.items()
    ]
    return part


def _ticks(home: Path) -> dict[str, list[float]]:
    """Sensor to the seconds that its ticks took, the first one first."""
    import dagster as dg

    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    found: dict[str, list[float]] = {}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for state in instance.all_instigator_state():
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
            took = [tick.end_timestamp - tick.timestamp for tick in reversed(ticks) if tick.end_timestamp]
            if took and state.instigator_type.value == "SENSOR":
                found[state.name] = took
    return found

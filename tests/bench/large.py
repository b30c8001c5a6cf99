"""Large inputs, whole processes with the hash embedder: 10,000 files, a gigabyte of text, 100,000 tiny files."""

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path

from resources.settings import child_environment
from tests.bench.corpus import paragraphs, unpack, write_large, write_small
from tests.bench.figures import Figure, Part
from tests.bench.process import ROOT, cortex

MEMORY_LIMIT_MB = 2_000.0
FIRST_HITS_SECONDS = 60.0
ONE_LARGE_SHARE = 0.1


def import_many(scratch: Path, asked: argparse.Namespace) -> Part:
    """How long after the start of an import of 10,000 files the first hits come: another process asks all the time."""
    files = 1_000 if asked.quick else 10_000
    part = Part("import")
    size = write_small(scratch / "data" / "inbox" / "notes", files, _texts(scratch, asked.data), blocks=4)
    command = [sys.executable, "-m", "tests.bench.poller", str(scratch / "data"), "the"]
    environment = child_environment(PYTHONPATH=str(ROOT), CORTEX_EMBED="hash", CORTEX_DATA=str(scratch / "data"))
    poller = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(poller.communicate()[0]))
    reader.start()
    run = cortex(["run", "--json"], scratch, CORTEX_EMBED="hash")
    reader.join(timeout=60)
    poller.kill()
    first = json.loads(found[0]) if found and found[0] else {"seconds": None}
    note = f"{files} files, {size / 1e6:.0f} MB; load {run.load[0]}"
    part.figures.append(Figure("import: first hits", first["seconds"], "s", FIRST_HITS_SECONDS, note=note))
    part.figures.append(Figure("import: whole process", run.seconds, "s", note=note))
    part.figures.append(Figure("import: peak memory of the tree", run.peak_mb, "MB", MEMORY_LIMIT_MB))
    part.details["run"] = run.brief()
    return part


def gigabyte(scratch: Path, asked: argparse.Namespace) -> Part:
    """Peak memory over generated text: files of one megabyte and one that is a tenth of the whole."""
    total = (20 if asked.quick else asked.megabytes) * 1_000_000
    part = Part("gigabyte")
    folder, texts = scratch / "data" / "inbox" / "big", _texts(scratch, asked.data)
    size = write_large(folder / "one.txt", int(total * ONE_LARGE_SHARE), texts, seed=0)
    for number in range(1, int(total * (1 - ONE_LARGE_SHARE)) // 1_000_000 + 1):
        size += write_large(folder / f"{number % 20:02d}" / f"{number:04d}.txt", 1_000_000, texts, seed=number)
    run = cortex(["run", "--json"], scratch, CORTEX_EMBED="hash")
    note = f"{size / 1e6:.0f} MB of text, PSS; RSS {run.peak_rss_mb:.0f} MB; load {run.load[0]}"
    part.figures.append(Figure("gigabyte: peak memory of the tree", run.peak_mb, "MB", MEMORY_LIMIT_MB, note=note))
    part.figures.append(
        Figure("gigabyte: whole process", run.seconds, "s", note=f"{size / 1e6 / run.seconds:.2f} MB/s")
    )
    part.details |= {"run": run.brief(), "stages": run.json()["stages"]}
    return part


def tiny_files(scratch: Path, asked: argparse.Namespace) -> Part:
    """100,000 tiny files: the listing alone (``plan``), the first run, the run after it (F39)."""
    count = 2_000 if asked.quick else 100_000
    part = Part("tiny")
    write_small(
        scratch / "data" / "inbox" / "tiny", count, [text[:160] for text in _texts(scratch, asked.data)], blocks=1
    )
    plan = cortex(["plan", "--json"], scratch, CORTEX_EMBED="hash")
    first = cortex(["run", "--json"], scratch, CORTEX_EMBED="hash")
    again = cortex(["run", "--json"], scratch, CORTEX_EMBED="hash")
    shards = len({line["shard"] for line in first.json()["stages"]})
    note = f"{count} files, {shards} shards"
    part.figures += [
        Figure("tiny: listing and plan", plan.seconds, "s", note=f"{note}; load {plan.load[0]}"),
        Figure("tiny: first run", first.seconds, "s", note=f"peak {first.peak_mb:.0f} MB; load {first.load[0]}"),
        Figure("tiny: run after it", again.seconds, "s", 10.0, note=f"load {again.load[0]}"),
        Figure("tiny: embeddings made by it", _embedded(again.json()), "texts", 0),
    ]
    part.details |= {"plan": plan.brief(), "first": first.brief(), "again": again.brief()}
    return part


def _embedded(report: dict[str, list[dict[str, float]]]) -> float:
    return sum(line["new"] for line in report["stages"] if str(line["stage"]) == "embeddings")


def _texts(scratch: Path, data: Path) -> list[str]:
    corpus = unpack(scratch / "texts", data, 400)
    return paragraphs(corpus.folder)

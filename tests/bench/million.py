"""Search over a million chunks in one process, before and after ``cortex maintain``: milliseconds by stage, memory, disk.

Texts are real, repeated with a number when they run out; the embedding model makes vectors of questions only. Those of the
chunks are drawn in ``FREE`` dimensions, about as freely as real ones vary, and labelled so: what a graph finds of them says
little about real texts, which is what ``quantized`` measures. Run as a module it is the measured process itself; each phase
is a process of its own, so that memory is that of searching.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.corpus import unpack
from tests.bench.figures import Figure, Part, load
from tests.bench.latency import texts_of
from tests.bench.process import module, tree_member

CHUNKS, QUICK = 1_000_000, 20_000
PUBLISHED_AT_ONCE = 20_000
QUESTIONS, WARM_UP, COMPARED = 200, 20, 50
FREE = 32
A_SHARD = 100_000
TARGET_MS = 60.0
QUESTION = "how are secrets rotated in a cluster"


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Build, search, maintain, search again."""
    corpus = unpack(scratch / "texts", asked.data, 200 if asked.quick else None)
    chunks = QUICK if asked.quick else asked.chunks
    part = Part("million")
    for phase in ("build", "search", "maintain", "search_maintained"):
        done = module("tests.bench.million", [phase, str(corpus.folder), str(scratch / "index"), str(chunks)], scratch)
        part.details[phase] = {"process": done.brief(), "measured": done.json()}
        print(f"  {phase}: {done.seconds:.0f} s, peak {done.peak_mb:.0f} MB", file=sys.stderr, flush=True)
    before, after = (part.details[name]["measured"] for name in ("search", "search_maintained"))
    for label, found in (("as published", before), ("after maintain", after)):
        note = (
            f"{chunks} chunks in {len(shard_names(chunks))} shards; load {found['load'][0]}; CPU {found['cpu_ms']} ms a question; "
            + ", ".join(f"{stage} {times['p50']}" for stage, times in found["stages"].items() if stage != "total")
        )
        total = found["stages"]["total"]
        target = TARGET_MS if label == "after maintain" else None
        part.figures.append(Figure(f"million: search p50, warm, {label}", total["p50"], "ms", target, note=note))
        part.figures.append(Figure(f"million: search p95, warm, {label}", total["p95"], "ms"))
        said = f"PSS {found['pss_mb']} MB; files are mapped, so most of it can be given back; opened in {found['open_s']} s"
        part.figures.append(Figure(f"million: memory of searching, RSS, {label}", found["rss_mb"], "MB", note=said))
        kinds = ", ".join(f"{kind} {size}" for kind, size in found["disk_mb"].items())
        part.figures.append(Figure(f"million: disk, {label}", sum(found["disk_mb"].values()), "MB", note=kinds))
    recall = after["recall@10"]
    part.figures.append(
        Figure(
            "million: recall@10 after maintain",
            recall,
            "share",
            note=f"of drawn vectors, free in {FREE} of 384 dimensions",
        )
    )
    for phase in ("build", "maintain"):
        process = part.details[phase]["process"]
        note = f"{process['seconds'] / 60:.0f} minutes; peak {process['peak_mb']:.0f} MB"
        part.figures.append(Figure(f"million: {phase}", process["seconds"], "s", note=note))
    return part


def drawn(count: int, start: int) -> Any:
    """Unit vectors that vary in ``FREE`` of 384 dimensions and a little in all, float32, the same for the same ``start``."""
    import numpy as np

    turned = np.random.default_rng(7).standard_normal((FREE, 384)).astype(np.float32)
    rng = np.random.default_rng([8, start])
    vectors = rng.standard_normal((count, FREE), dtype=np.float32) @ turned
    vectors += rng.standard_normal((count, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def shard_names(chunks: int) -> list[str]:
    """The shards, as a corpus of that size has them."""
    return [f"bench.{number:02d}" for number in range(-(-chunks // A_SHARD))]


def build(folder: Path, index: Path, chunks: int) -> dict[str, Any]:
    """Publish in parts, one shard after the other, as imports do."""
    from resources.vectors.edge import EdgeStore
    from tests.bench.retrieval_bench import points

    texts = texts_of(folder, chunks)
    pick = random.Random(5)
    questions = [" ".join(pick.choice(texts).split()[:9]) or QUESTION for _ in range(QUESTIONS + WARM_UP)]
    index.mkdir()
    (index / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    store = EdgeStore(index / "points", keep_seconds=0)
    seconds = 0.0
    for number, shard in enumerate(shard_names(chunks)):
        for start in range(number * A_SHARD, min(chunks, (number + 1) * A_SHARD), PUBLISHED_AT_ONCE):
            part = texts[start : start + PUBLISHED_AT_ONCE]
            frame = points(part, drawn(len(part), start), first=start)
            begin = time.perf_counter()
            store.publish("bench", 384, shard, frame, [], {})
            seconds += time.perf_counter() - begin
    return {"publish_seconds": round(seconds, 1), "load": load()}


def maintain(folder: Path, index: Path, chunks: int) -> dict[str, Any]:
    """What ``cortex maintain`` does to an index."""
    from resources.vectors.edge import EdgeStore

    store = EdgeStore(index / "points", keep_seconds=0)
    for shard in shard_names(chunks):
        store.compact("bench", shard)
        print(f"  {shard} {load()[0]}", file=sys.stderr, flush=True)
    return {"load": load()}


def search(folder: Path, index: Path, chunks: int) -> dict[str, Any]:
    """Ask the questions; milliseconds by stage, memory, disk, and the nearest ten of some."""
    import numpy as np

    from cortex_assets.retrieval.search import search as ask
    from inference.lanes import EngineConfig, load_embedder
    from inference.models import ModelPlaces
    from inference.protocols import begin as begin_to_embed
    from resources.vectors.edge import EdgeStore

    embedder = load_embedder(EngineConfig(), ModelPlaces(index / "models", index / "cache"), bulk=False)
    store = EdgeStore(index / "points")
    questions = json.loads((index / "questions.json").read_text(encoding="utf-8"))
    shards = shard_names(chunks)

    def embed(text: str) -> Callable[[], Sequence[float]]:
        begun = begin_to_embed(embedder, text)
        return lambda: begun().tolist()

    embedder.embed_batch([QUESTION])
    begin = time.perf_counter()
    timings = []
    opened = busy = 0.0
    for number, question in enumerate(questions):
        if number == WARM_UP:
            busy = time.process_time()
        found = ask(question, store=store, embed_query=embed, space_id="bench", shards=shards, limit=10)
        timings.append(found.timings)
        if number == 0:
            opened = time.perf_counter() - begin
    busy = (time.process_time() - busy) / QUESTIONS
    pss, rss = tree_member(os.getpid())
    stages = {
        stage: {
            f"p{q}": round(float(np.percentile([1e3 * one[stage] for one in timings[WARM_UP:]], q)), 2)
            for q in (50, 95)
        }
        for stage in timings[0]
    }
    # Of questions like the chunks: a chunk's neighbour, not the model's vector, which is near to none of what was drawn.
    asked = drawn(COMPARED, chunks)
    near = [[hit.chunk_id for hit in store.search_dense("bench", shards, vector.tolist(), 10)] for vector in asked]
    known = index / "exact.json"
    if not known.exists():
        known.write_text(json.dumps(near), encoding="utf-8")
    exact = json.loads(known.read_text(encoding="utf-8"))
    recall = float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, near, strict=True)]))
    sizes = disk([folder for shard in shards for folder in store.segment_folders("bench", shard)])
    store.close()
    return {
        "stages": stages,
        "cpu_ms": round(1e3 * busy, 1),
        "rss_mb": round(rss / 1e6),
        "pss_mb": round(pss / 1e6),
        "open_s": round(opened, 2),
        "disk_mb": sizes,
        "recall@10": round(recall, 4),
        "load": load(),
    }


def disk(folders: Sequence[Path]) -> dict[str, int]:
    """Megabytes (10^6) on disk of the folders of segments, by what the files hold; earlier generations are not counted."""
    names = {
        "matrix.dat": "vectors",
        "quantized.data": "quantized",
        "chunk_0.mmap": "vectors",
        "postings.npy": "words",
        "df.npy": "words",
        "points.arrow": "ids",
        "payloads.jsonl": "texts",
        "fields.arrow": "texts",
    }
    sizes: dict[str, int] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file():
            kind = names.get(path.name) or ("graph" if "links" in path.name or "graph" in path.name else "")
            kind = kind or ("vectors" if "vector_storage" in str(path) else "other")
            sizes[kind] = sizes.get(kind, 0) + path.stat().st_blocks * 512
    return {kind: round(size / 1e6) for kind, size in sorted(sizes.items())}


PHASES = {"build": build, "search": search, "maintain": maintain, "search_maintained": search}

if __name__ == "__main__":
    from resources.settings import quiet_math_threads

    quiet_math_threads()
    print(json.dumps(PHASES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))))

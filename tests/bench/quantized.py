"""What quantized vectors save and lose, by setting of ``CORTEX_QUANTIZE``: recall, milliseconds, memory, disk.

Two sets: real texts with vectors of the packaged model, and vectors drawn at random, the worst case there is (every point is about
equally far from every other), labelled so. Recall is against exact search over the float32 vectors, of what the store gives
when it is asked for a hundred. CoSQA dev says what of it reaches a person. Run as a module it is the measured process.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.corpus import unpack
from tests.bench.figures import Figure, Part, load
from tests.bench.latency import texts_of
from tests.bench.million import disk
from tests.bench.process import module

if TYPE_CHECKING:
    from inference.protocols import Floats

KINDS = ("none", "int8", "binary")
REAL, RANDOM, QUESTIONS, WARM_UP, DEPTH = 20_000, 100_000, 200, 20, 100
TIE = 1e-4
"""To which scores are ranked: a point that is as near as the last one counts as found."""
LEAST = {"none": 0.98, "int8": 0.98, "binary": 0.97}
"""Recall of the nearest ten of real texts that each setting must reach, with a graph, too."""


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Each setting over real texts, over random vectors, and in CoSQA."""
    part = Part("quantized")
    real, drawn = (3_000, 3_000) if asked.quick else (REAL, RANDOM)
    corpus = unpack(scratch / "texts", asked.data, 200 if asked.quick else None)
    module("tests.bench.quantized", ["embed", str(corpus.folder), str(scratch), str(real), str(drawn)], scratch)
    for name, way in (("real", "scanned"), ("real", "graph"), ("random", "scanned")):
        for kind in KINDS:
            index = scratch / f"{name}-{way}-{kind}"
            module("tests.bench.quantized", ["build", str(scratch / name), str(index), kind, way], scratch)
            found = module("tests.bench.quantized", ["search", str(scratch / name), str(index), kind], scratch).json()
            part.details[f"{name} {way} {kind}"] = found
            part.figures.append(_figure(name, way, kind, found))
    if not asked.quick:
        part.figures += _cosqa(scratch, asked.data, part)
    return part


def _figure(name: str, way: str, kind: str, found: dict[str, Any]) -> Figure:
    is_real = name == "real"
    label = f"{found['points']} {'real texts' if is_real else 'random vectors, the worst case'}, {way}, {kind}"
    note = (
        f"recall@100 {found['recall@100']}; {found['ms']['p50']} ms, p95 {found['ms']['p95']}, "
        f"CPU {found['ms']['cpu']} ms (load {found['load'][0]}); "
        f"mapped after {QUESTIONS} questions {found['mapped_mb']} MB; disk {found['disk_mb']} MB"
    )
    target = LEAST[kind] if is_real else None
    return Figure(f"recall@10, {label}", found["recall@10"], "share", target, is_most=False, note=note)


def _cosqa(scratch: Path, data: Path, part: Part) -> list[Figure]:
    """What a person meets: the first right answer, by meaning alone and by the whole search."""
    from inference.lanes import EngineConfig, load_embedder
    from inference.models import ModelPlaces
    from tests.bench import retrieval_bench

    try:
        tested = retrieval_bench.cosqa(data)
    except FileNotFoundError as error:
        return [Figure("CoSQA dev mrr@100", None, "share", note=f"skipped: {Path(error.filename).name} is absent")]
    embedder = load_embedder(EngineConfig(), ModelPlaces(scratch / "models", scratch / "cache"), bulk=True)
    vectors = embedder.embed_batch(tested.texts)
    figures = []
    for kind in KINDS:
        found: Any = retrieval_bench.measure(tested, embedder, scratch / f"cosqa-{kind}", vectors, kind)
        part.details[f"cosqa {kind}"] = found
        values = {half: found[half]["mrr@100"]["all"] for half in ("dense", "hybrid")}
        note = f"by meaning alone {values['dense']}; segments are scanned as {found['scanned']}"
        figures.append(Figure(f"CoSQA dev mrr@100, {kind}", values["hybrid"], "share", note=note))
    return figures


def embed(folder: Path, scratch: Path, real: int, drawn: int) -> dict[str, Any]:
    """Vectors of texts and of questions, the beginnings of some; and as many at random."""
    import numpy as np

    from inference.lanes import EngineConfig, load_embedder
    from inference.models import ModelPlaces

    texts = texts_of(folder, 5 * real)
    random.Random(1).shuffle(texts)
    embedder = load_embedder(EngineConfig(), ModelPlaces(scratch / "models", scratch / "cache"), bulk=True)
    asked = [" ".join(text.split()[:9]) or "how" for text in texts[real : real + QUESTIONS]]
    _save(scratch / "real", embedder.embed_batch(texts[:real]), embedder.embed_batch(asked))
    both = np.random.default_rng(3).standard_normal((drawn + QUESTIONS, 384)).astype(np.float32)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    _save(scratch / "random", both[:drawn], both[drawn:])
    return {"real": real, "random": drawn}


def _save(folder: Path, vectors: "Floats", asked: "Floats") -> None:
    import numpy as np

    folder.mkdir()
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "asked.npy", asked)


def build(vectors: Path, index: Path, kind: str, way: str) -> dict[str, Any]:
    """Publish the vectors with a setting and maintain the shard; ``way``: ``scanned``, or with a ``graph``."""
    import numpy as np
    import polars as pl

    from cortex_assets.identity import content_id
    from resources.vectors.edge import EdgeStore

    rows = np.load(vectors / "vectors.npy")
    frame = pl.DataFrame(
        {
            "chunk_id": [content_id("bench", number) for number in range(len(rows))],
            "row_hash": range(len(rows)),
            "vector": pl.Series(rows.tolist(), dtype=pl.List(pl.Float32)),
            "terms": pl.Series([[]] * len(rows), dtype=pl.List(pl.UInt32)),
            "weights": pl.Series([[]] * len(rows), dtype=pl.List(pl.Float32)),
        }
    )
    full = len(rows) if way == "graph" else 10 * len(rows)
    store = EdgeStore(index, full_points=full, quantized=kind, keep_seconds=0)
    for part in frame.iter_slices(20_000):
        store.publish("bench", rows.shape[1], "bench", part, [], {})
    store.compact("bench", "bench")
    store.close()
    return {"load": load()}


def search(vectors: Path, index: Path, kind: str) -> dict[str, Any]:
    """Ask the questions by meaning alone, compare with exact search, measure what was mapped of the index."""
    import numpy as np

    from cortex_assets.identity import content_id
    from resources.vectors.edge import EdgeStore

    rows, asked = np.load(vectors / "vectors.npy", mmap_mode="r"), np.load(vectors / "asked.npy")
    store = EdgeStore(index, quantized=kind)
    found, seconds = [], []
    busy = 0.0
    for number, vector in enumerate(asked.tolist()):
        if number == WARM_UP:
            busy = time.process_time()
        begin = time.perf_counter()
        hits = store.search_batch("bench", ["bench"], vector, None, DEPTH, with_payload=False).dense
        seconds.append(time.perf_counter() - begin)
        found.append([hit.chunk_id for hit in hits])
    busy = (time.process_time() - busy) / (len(asked) - WARM_UP)
    mapped = mapped_mb(index.resolve())
    sizes = disk(store.segment_folders("bench", "bench"))
    scanned = store.describe("bench", ["bench"])
    store.close()
    place = {content_id("bench", number): number for number in range(len(rows))}
    scores = np.asarray(rows) @ asked.T
    best = -np.sort(-scores, axis=0)[:DEPTH]
    recall = {}
    for k in (10, DEPTH):
        right = [
            sum(scores[place[chunk], n] >= best[k - 1, n] - TIE for chunk in chunks[:k])
            for n, chunks in enumerate(found)
        ]
        recall[f"recall@{k}"] = round(float(np.mean(right)) / k, 4)
    ms = {f"p{q}": round(1e3 * float(np.percentile(seconds[WARM_UP:], q)), 2) for q in (50, 95)}
    ms["cpu"] = round(1e3 * busy, 2)
    return {
        "points": len(rows),
        "scanned": scanned,
        **recall,
        "ms": ms,
        "mapped_mb": mapped,
        "disk_mb": sizes,
        "load": load(),
    }


def mapped_mb(folder: Path) -> dict[str, float]:
    """Megabytes of a folder's files that this process has in memory, by kind: vectors, their quantized copy, graph, the rest."""
    sizes: dict[str, float] = {}
    kind = ""
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
            kind = _kind(path) if path.startswith(str(folder)) else ""
        elif kind and words[0] == "Rss:":
            sizes[kind] = sizes.get(kind, 0.0) + int(words[1]) * 1024 / 1e6
    return {kind: round(size, 1) for kind, size in sorted(sizes.items())}


def _kind(path: str) -> str:
    name = Path(path).name
    if name.startswith("quantized"):
        return "quantized"
    if "vector_storage" in path:
        return "vectors"
    return "graph" if "vector_index" in path else "other"


if __name__ == "__main__":
    from resources.settings import quiet_math_threads

    quiet_math_threads()
    step, first, second = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if step == "embed":
        print(json.dumps(embed(first, second, int(sys.argv[4]), int(sys.argv[5]))))
    else:
        print(json.dumps({"build": build, "search": search}[step](first, second, *sys.argv[4:])))

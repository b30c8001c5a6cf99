"""Search latency: over 100,000 chunks in one process with the packaged model's query embedding, and as a command.

The chunks' texts are real; their vectors are drawn at random, which exact search does not notice. Run as a module it is
the measured process itself: numpy must not be imported before the number of its threads is set.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.corpus import unpack
from tests.bench.figures import Figure, Part, load
from tests.bench.process import cortex, module

CHUNKS = 100_000
PUBLISHED_AT_ONCE = 20_000
QUESTIONS = 200
WARM_UP = 20
SHARD = "bench"
TARGETS_MS = {"p50": 25.0, "p95": 60.0}
QUESTION = "how are secrets rotated in a cluster"


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Percentiles of a warm search, hybrid, first ten hits."""
    corpus = unpack(scratch / "texts", asked.data, 100 if asked.quick else None)
    chunks = 3_000 if asked.quick else CHUNKS
    measured = module("tests.bench.latency", [str(corpus.folder), str(scratch / "index"), str(chunks)], scratch)
    found = measured.json()
    part = Part("latency", details={"process": measured.brief(), "measured": found})
    note = f"{found['chunks']} chunks; load {found['load'][0]}"
    for name, target in TARGETS_MS.items():
        part.figures.append(Figure(f"search {name}, warm", found["total"][name], "ms", target, note=note))
        after = found["maintained"]
        recall = after["recall@10 of the exact search"]
        said = f"graph built in {after['seconds']} s; recall@10 {recall} on random vectors, the worst case of a graph"
        part.figures.append(
            Figure(f"search {name}, warm, after maintain", after["total"][name], "ms", target, note=said)
        )
    return part


def command(scratch: Path, asked: argparse.Namespace) -> Part:
    """``cortex search`` as a whole process over a small lake with the packaged model: the median of five."""
    unpack(scratch / "data" / "inbox" / "bench", asked.data, 20 if asked.quick else 60)
    cortex(["run", "--json"], scratch, CORTEX_EMBED="packaged")
    searches = [cortex(["search", QUESTION, "--json"], scratch, CORTEX_EMBED="packaged") for _ in range(5)]
    middle = sorted(searches, key=lambda one: one.seconds)[2]
    note = f"CPU {middle.cpu_seconds:.2f} s; {len(middle.json()['hits'])} hits; load {middle.load[0]}"
    part = Part("command", details={"search": middle.brief()})
    part.figures.append(Figure("cortex search, whole process", middle.seconds, "s", 1.5, note=note))
    return part


def main(folder: Path, index: Path, chunks: int) -> None:
    """Publish the chunks, ask the questions, print the percentiles by stage."""
    from resources.settings import quiet_math_threads

    quiet_math_threads()
    import numpy as np

    from cortex_assets.retrieval.search import search
    from inference.lanes import EngineConfig, load_embedder
    from inference.models import ModelPlaces
    from inference.protocols import begin as begin_to_embed
    from resources.vectors.edge import EdgeStore

    texts = texts_of(folder, chunks)
    embedder = load_embedder(EngineConfig(), ModelPlaces(index / "models", index / "cache"), bulk=False)
    space = embedder.space.space_id
    store = EdgeStore(index / "points")
    begin = time.perf_counter()
    _publish(store, space, texts)
    published = time.perf_counter() - begin
    pick = random.Random(5)
    asked = [" ".join(pick.choice(texts).split()[:9]) or QUESTION for _ in range(QUESTIONS + WARM_UP)]

    def embed(text: str) -> Callable[[], Sequence[float]]:
        begun = begin_to_embed(embedder, text)
        return lambda: begun().tolist()

    def ask() -> tuple[dict[str, dict[str, float]], list[set[str]]]:
        """Milliseconds by stage, and the ten nearest by meaning of each question."""
        results = [
            search(
                question,
                store=store,
                embed_query=embed,
                space_id=space,
                shards=[SHARD],
                limit=10,
            ).timings
            for question in asked
        ][WARM_UP:]
        stages = {
            stage: {f"p{q}": round(float(np.percentile([1e3 * one[stage] for one in results], q)), 2) for q in (50, 95)}
            for stage in results[0]
        }
        vectors = [embedder.embed_batch([question])[0].tolist() for question in asked[:50]]
        near = [{hit.chunk_id for hit in store.search_dense(space, [SHARD], vector, 10)} for vector in vectors]
        return stages, near

    fresh, exact = ask()
    begin = time.perf_counter()
    store.compact(space, SHARD)
    compacted = time.perf_counter() - begin
    kept, near = ask()
    recall = sum(len(one & other) for one, other in zip(exact, near, strict=True)) / sum(map(len, exact))
    report: dict[str, object] = {
        "chunks": len(texts),
        "publish_seconds": round(published, 1),
        "load": load(),
        **fresh,
        "maintained": {**kept, "seconds": round(compacted, 1), "recall@10 of the exact search": round(recall, 3)},
    }
    store.close()
    print(json.dumps(report))


def _publish(store, space: str, texts: list[str]) -> None:
    """Put the texts into one shard, in parts as a run does."""
    import numpy as np

    from tests.bench.retrieval_bench import points

    numbers = np.random.default_rng(3)
    for start in range(0, len(texts), PUBLISHED_AT_ONCE):
        part = texts[start : start + PUBLISHED_AT_ONCE]
        vectors = numbers.standard_normal((len(part), 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        frame = points(part, vectors, first=start)
        store.publish(space, 384, SHARD, frame, [], {})


def texts_of(folder: Path, most: int) -> list[str]:
    """Windows of about 450 characters of the corpus, cut at white space, repeated with a number when they run out."""
    found: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        start = 0
        while start < len(text) and len(found) < most:
            end = text.find(" ", start + 430)
            end = len(text) if end < 0 else end
            if piece := text[start:end].strip():
                found.append(piece)
            start = end
    base = len(found)
    return [found[n % base] if n < base else f"{found[n % base]} {n}" for n in range(most)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

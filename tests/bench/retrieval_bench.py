"""How well search finds what it should: known answers through the real embedder, index and ``retrieval.search``.

Run ``python -m tests.bench.retrieval_bench``; it prints JSON. Sets: XQuAD en (a hit is the gold paragraph) and CoSQA
dev (a function). Each is split in halves by a hash of the question's id: constants were chosen on ``a``, believe ``b``.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from cortex_assets.chunks.code import CodeOutline
from cortex_assets.identity import content_id
from cortex_assets.retrieval.hits import Hit
from cortex_assets.retrieval.search import search
from cortex_assets.retrieval.sparse import Fields, encode_points
from inference.lanes import EngineConfig, load_embedder
from inference.models import ModelPlaces
from inference.protocols import Embedder, Floats
from resources.vectors.edge import EdgeStore

DATA = Path(__file__).parents[2].parent / "shared" / "data"
DEPTH = 100
SHARD = "bench"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its id, and the number of the text that answers it."""

    question_id: str
    text: str
    answer: int


@dataclass(frozen=True, slots=True)
class TestSet:
    """Texts, questions over them, and the metrics that count."""

    name: str
    texts: list[str]
    questions: list[Question]
    is_code: bool
    metrics: dict[str, Callable[[np.ndarray], float]]


def hit_at(depth: int) -> Callable[[np.ndarray], float]:
    """Share of ranks (from 1, 0 = not found) within ``depth``."""
    return lambda ranks: float(np.mean((ranks > 0) & (ranks <= depth)))


def mean_reciprocal_rank(ranks: np.ndarray) -> float:
    """Mean of 1 / rank, 0 where not found."""
    return float(np.mean(np.where(ranks > 0, 1 / np.maximum(ranks, 1), 0.0)))


def xquad(data: Path) -> TestSet:
    """XQuAD en: 1,190 questions over 240 paragraphs."""
    articles = json.loads((data / "retrieval" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [Question(qa["id"], qa["question"], n) for n, one in enumerate(paragraphs) for qa in one["qas"]]
    metrics = {"hit@1": hit_at(1), "hit@5": hit_at(5)}
    return TestSet("xquad_en", [paragraph["context"] for paragraph in paragraphs], questions, False, metrics)


def cosqa(data: Path) -> TestSet:
    """CoSQA dev: 500 web queries over 6,267 Python functions."""
    numbers = json.loads((data / "code_search" / "code_idx_map.txt").read_text(encoding="utf-8"))
    rows = json.loads((data / "code_search" / "cosqa-retrieval-dev-500.json").read_text(encoding="utf-8"))
    texts = [text for text, _ in sorted(numbers.items(), key=lambda pair: pair[1])]
    questions = [Question(row["idx"], row["doc"], row["retrieval_idx"]) for row in rows]
    return TestSet("cosqa_dev", texts, questions, True, {"mrr@100": mean_reciprocal_rank})


def half_of(question_id: str) -> str:
    """``a`` or ``b``, by a hash of the id."""
    return "ab"[hashlib.blake2b(question_id.encode(), digest_size=1).digest()[0] & 1]


def chunk_ids(count: int) -> list[str]:
    """Ids of the texts."""
    return [content_id("bench", number) for number in range(count)]


def points(texts: Sequence[str], vectors: Floats, first: int = 0, is_code: bool = False) -> pl.DataFrame:
    """The texts as points, each one chunk of a document of its own, without title or path; ids count from ``first``.

    Code (Python) has what the product knows of it: its language, and the symbol that a chunk begins with.
    """
    names = [_symbol(text) if is_code else "" for text in texts]
    language = "python" if is_code else ""
    batch = encode_points(
        [Fields(text, symbol=name, language=language) for text, name in zip(texts, names, strict=True)]
    )
    sparse = [batch.vector(number) for number in range(len(batch))]
    ids = [content_id("bench", number) for number in range(first, first + len(texts))]
    blank = {
        "context": "",
        "corpus_id": "bench",
        "path": "",
        "title": "",
        "kind": "code" if is_code else "text",
        "chunk_kind": "code" if is_code else "prose",
        "language": language or None,
    }
    return pl.DataFrame(
        {
            "chunk_id": ids,
            "row_hash": list(range(len(texts))),
            "vector": pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32)),
            "terms": pl.Series([terms.tolist() for terms, _ in sparse], dtype=pl.List(pl.UInt32)),
            "weights": pl.Series([weights.tolist() for _, weights in sparse], dtype=pl.List(pl.Float32)),
            "text": list(texts),
            "symbol": pl.Series([name or None for name in names], dtype=pl.String),
            "document_id": ids,
            "start_char": [0] * len(texts),
            "start_line": [1] * len(texts),
        }
    ).with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in blank.items())


def _symbol(text: str) -> str:
    """The qualified name of the symbol that a piece of Python begins with."""
    outline = CodeOutline(text.strip(), "python")
    return outline.symbol_of(0, len(text)) or ""


def publish(store: EdgeStore, space_id: str, tested: TestSet, vectors: Floats) -> None:
    """Put the texts into one shard."""
    store.publish(space_id, vectors.shape[1], SHARD, points(tested.texts, vectors, 0, tested.is_code), [], {})


def rank_of(found: Sequence[str], wanted: str) -> int:
    """Rank from 1, 0 when it is not there."""
    return found.index(wanted) + 1 if wanted in found else 0


def rank_among(hits: Sequence[Hit], wanted: str) -> int:
    """Rank of the hit that shows a chunk, be it as a place where the same stands."""
    shown = ({hit.chunk_id, *(place.chunk_id for place in hit.also_in)} for hit in hits)
    return next((rank for rank, ids in enumerate(shown, start=1) if wanted in ids), 0)


def measure(
    tested: TestSet, embedder: Embedder, folder: Path, known: Floats | None = None, quantized: str = "none"
) -> dict[str, object]:
    """Metrics of dense, sparse and hybrid search over a set, all and by halves, and milliseconds of a hybrid search.

    Args:
        tested: texts and questions.
        embedder: of both.
        folder: for the index.
        known: vectors of the texts, where they are made already.
        quantized: how the index scans them (``resources.vectors.quantizing``).
    """
    space = embedder.space.space_id
    store = EdgeStore(folder, quantized=quantized)
    try:
        publish(store, space, tested, embedder.embed_batch(tested.texts) if known is None else known)
        ids = chunk_ids(len(tested.texts))
        vectors = embedder.embed_batch([question.text for question in tested.questions]).tolist()
        ranks: dict[str, list[int]] = {"dense": [], "sparse": [], "hybrid": []}
        timings: list[Mapping[str, float]] = []
        for question, vector in zip(tested.questions, vectors, strict=True):
            answer = ids[question.answer]
            dense = [hit.chunk_id for hit in store.search_dense(space, [SHARD], vector, DEPTH)]
            ranks["dense"].append(rank_of(dense, answer))
            for name, embed in (("sparse", None), ("hybrid", lambda _, vector=vector: lambda: vector)):
                ask = partial(search, question.text, store=store, embed_query=embed, space_id=space, shards=[SHARD])
                result = ask(limit=DEPTH)
                ranks[name].append(rank_among(result.hits, answer))
            timings.append(ask(limit=10).timings)
        scanned = store.describe(space, [SHARD])
    finally:
        store.close()
    halves = np.array([half_of(question.question_id) for question in tested.questions])
    scores: dict[str, object] = {name: by_half(tested, np.array(found), halves) for name, found in ranks.items()}
    scores["questions"] = {"all": len(halves), "a": int((halves == "a").sum()), "b": int((halves == "b").sum())}
    scores["scanned"] = scanned
    scores["first_ten_p50_ms"] = {
        stage: round(1e3 * float(np.median([one[stage] for one in timings])), 2) for stage in timings[0]
    }
    return scores


def by_half(tested: TestSet, ranks: np.ndarray, halves: np.ndarray) -> dict[str, dict[str, float]]:
    """Every metric over all questions and over each half, rounded to 1e-4."""
    parts = {"all": ranks, "a": ranks[halves == "a"], "b": ranks[halves == "b"]}
    return {
        name: {part: round(metric(found), 4) for part, found in parts.items()}
        for name, metric in tested.metrics.items()
    }


def report(data: Path, scratch: Path) -> dict[str, object]:
    """Measure every set whose data is there; one that is absent is named as skipped."""
    places = ModelPlaces(scratch / "models", scratch / "cache")
    embedder = load_embedder(EngineConfig(), places, bulk=True)
    found: dict[str, object] = {"space": embedder.space.space_id, "precision": embedder.precision}
    for name, load in (("xquad_en", xquad), ("cosqa_dev", cosqa)):
        try:
            tested = load(data)
        except FileNotFoundError as error:
            found[name] = f"skipped: {Path(error.filename).name} is absent"
            continue
        found[name] = measure(tested, embedder, scratch / name)
    return found


def main() -> None:
    """Print the report; a set whose data is absent is named as skipped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with retrieval/ and code_search/")
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(report(parser.parse_args().data, Path(scratch)), indent=2))


if __name__ == "__main__":
    main()

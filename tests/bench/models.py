"""The real model: a whole first run against the raw engine on the same texts, and the engine against sentence-transformers.

Run as a module it is the raw engine: it reads the texts that a run embedded, embeds them in one call and saves the vectors.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.corpus import notes, unpack
from tests.bench.figures import Figure, Part, ratio
from tests.bench.process import cortex, module

BYTES_PER_SECOND = 36_000
"""How much text a second of the time given buys: it is embedded three times, at 10,000 to 30,000 tokens a second."""
RUN_RATIO = 1.15
ENGINE_RATIO = 2.5
COSINE = 0.999
PEER_TEXTS = 1_500


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Cortex with the packaged model, the raw engine, the peer, one after the other on the same texts."""
    inbox = scratch / "data" / "inbox" / "bench"
    unpack(inbox, asked.data, None)
    size = _keep(inbox, int((0.1 if asked.quick else asked.minutes) * 60 * BYTES_PER_SECOND))
    first = cortex(["run", "--json"], scratch, CORTEX_EMBED="packaged")
    raw = module("tests.bench.models", ["engine", str(scratch), "0"], scratch)
    engine = raw.json()
    part = Part("model", details={"run": first.brief(), "raw": raw.brief(), "engine": engine, "bytes": size})
    note = f"{engine['texts']} texts, {engine['tokens']} tokens; {first.seconds:.1f} s to {raw.seconds:.1f} s; load {first.load[0]}"
    part.figures.append(
        Figure("model: first run to raw engine", ratio(first.seconds, raw.seconds), "x", RUN_RATIO, note=note)
    )
    if importlib.util.find_spec("sentence_transformers") is None:
        missing = "skipped: sentence-transformers is not installed (pip install -e .[models])"
        part.figures.append(
            Figure("model: engine to sentence-transformers fp32", None, "x", ENGINE_RATIO, False, missing)
        )
        return part
    mine = module("tests.bench.models", ["engine", str(scratch), str(PEER_TEXTS)], scratch).json()
    peer = module("tests.bench.models", ["peer", str(scratch), str(PEER_TEXTS)], scratch).json()
    speed = ratio(peer["seconds"], mine["seconds"])
    note = (
        f"{PEER_TEXTS} texts: {mine['tokens_per_second']} tokens/s to {peer['tokens_per_second']}; {mine['precision']}"
    )
    part.figures.append(Figure("model: engine to sentence-transformers fp32", speed, "x", ENGINE_RATIO, False, note))
    part.figures.append(Figure("model: least cosine to it", _least_cosine(scratch), "cosine", COSINE, False))
    return part


def _keep(inbox: Path, size: int) -> int:
    """Keep notes spread over all sizes until ``size`` bytes are reached; the bytes kept."""
    kept = 0
    found = notes(inbox)
    spread = [found[(n * 701) % len(found)] for n in range(len(found))]
    chosen: set[Path] = set()
    for path in dict.fromkeys(spread):
        if kept >= size:
            break
        chosen.add(path)
        kept += path.stat().st_size
    for path in list(inbox.rglob("*")):
        if path.is_file() and path not in chosen:
            path.unlink()
    return kept


def _least_cosine(scratch: Path) -> float:
    import numpy as np

    mine, peer = np.load(scratch / "engine.npy"), np.load(scratch / "peer.npy")
    return float((mine * peer).sum(axis=1).min())


def embed(kind: str, scratch: Path, most: int) -> dict[str, Any]:
    """Embed the distinct texts of the lake in ``scratch`` with the raw engine or with sentence-transformers."""
    import polars as pl

    chunks = pl.scan_delta(str(scratch / "data" / "lake" / "silver" / "chunks"))
    whole = (pl.col("context") + pl.col("text")).alias("whole")
    rows = chunks.select("embed_hash", "token_count", whole).unique("embed_hash").sort("embed_hash").collect()
    rows = rows.head(most) if most else rows
    texts = rows.get_column("whole").to_list()
    load, precision = (_engine, "") if kind == "engine" else (_peer, "fp32")
    embedder = load(scratch)
    begin = time.perf_counter()
    vectors = embedder.embed_batch(texts) if kind == "engine" else embedder.encode(texts, batch_size=32)
    seconds = time.perf_counter() - begin
    import numpy as np

    np.save(scratch / f"{kind}.npy", np.asarray(vectors, dtype=np.float32))
    tokens = int(rows.get_column("token_count").sum())
    return {
        "texts": len(texts),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": round(tokens / seconds),
        "precision": precision or embedder.precision,
    }


def _engine(scratch: Path) -> Any:
    from inference.lanes import EngineConfig, load_embedder
    from inference.models import ModelPlaces

    return load_embedder(EngineConfig(), ModelPlaces(scratch / "models", scratch / "cache"), bulk=True)


def _peer(scratch: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    from inference.models import packaged_model

    model = SentenceTransformer(str(packaged_model().folder), device="cpu")
    model.max_seq_length = 256
    return model


if __name__ == "__main__":
    print(json.dumps(embed(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))

"""The floor: the same work written by hand with nothing around it, for comparison in the same call.

``python -m tests.bench.floor CORPUS OUT`` chunks changed files by paragraphs, embeds by hashing words, writes chunks to
Delta and points to qdrant-edge, and remembers content hashes in one JSON file. No ledger, no lease, no guard, no exact
token bound, no code structure, no sparse vectors, no crash safety: what Cortex costs above it is the price of those.
"""

import hashlib
import json
import re
import sys
import uuid
from pathlib import Path

DIMENSIONS = 384
CHUNK_CHARACTERS = 900
BATCH = 1_000


def chunks_of(text: str) -> list[str]:
    """Paragraphs packed into pieces of about ``CHUNK_CHARACTERS``."""
    pieces, held = [], ""
    for block in text.split("\n\n"):
        for start in range(0, len(block), CHUNK_CHARACTERS):
            part = block[start : start + CHUNK_CHARACTERS]
            if held and len(held) + len(part) > CHUNK_CHARACTERS:
                pieces.append(held)
                held = ""
            held = f"{held}\n\n{part}" if held else part
    return [*pieces, held] if held.strip() else pieces


def embedded(texts: list[str]):
    """Hashed words, length 1."""
    import numpy as np

    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        columns = [hash(word) % DIMENSIONS for word in re.findall(r"\w+", text.lower())]
        row += np.bincount(columns, minlength=DIMENSIONS)[:DIMENSIONS] if columns else 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def seen_now(corpus: Path, before: dict[str, list]) -> dict[str, list]:
    """Path to [size, mtime_ns, content hash]; only what moved is hashed again."""
    found = {}
    for path in sorted(corpus.rglob("*")):
        if path.is_file():
            stat = path.stat()
            name, known = str(path.relative_to(corpus)), before.get(str(path.relative_to(corpus)))
            if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
                found[name] = known
            else:
                found[name] = [stat.st_size, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]
    return found


def write(out: Path, corpus: Path, changed: dict[str, list[str]], gone: list[str]) -> int:
    """Delete the chunks of ``gone`` contents, add those of ``changed`` (content hash to paths); the number added."""
    import polars as pl
    import qdrant_edge as qe
    from deltalake import DeltaTable, write_deltalake

    table, index = out / "chunks", out / "index"
    if index.exists():
        shard = qe.EdgeShard.load(str(index))
    else:
        index.mkdir(parents=True)
        parameters = qe.EdgeVectorParams(size=DIMENSIONS, distance=qe.Distance.Dot)
        shard = qe.EdgeShard.create(str(index), qe.EdgeConfig(vectors={"dense": parameters}, wal_enabled=False))
    if gone:
        wanted = ", ".join(f"'{content}'" for content in gone)
        old = pl.scan_delta(str(table)).filter(pl.col("content").is_in(gone)).select("chunk_id").collect()
        DeltaTable(str(table)).delete(f"content IN ({wanted})")
        shard.update(qe.UpdateOperation.delete_points([uuid.UUID(one) for one in old["chunk_id"]]))
    rows = []
    for content, paths in changed.items():
        for number, text in enumerate(chunks_of((corpus / paths[0]).read_text(encoding="utf-8", errors="replace"))):
            chunk = hashlib.blake2b(f"{content}{number}".encode(), digest_size=16).hexdigest()
            rows.append((chunk, content, number, text))
    if rows:
        frame = pl.DataFrame(rows, schema=["chunk_id", "content", "number", "text"], orient="row").sort("content")
        write_deltalake(str(table), frame, mode="append")
        for batch in frame.iter_slices(BATCH):
            vectors = embedded(batch["text"].to_list()).tolist()
            ids = [uuid.UUID(one) for one in batch["chunk_id"]]
            points = [
                qe.Point(one, {"dense": vector}, {"text": text, "content": content})
                for one, vector, text, content in zip(ids, vectors, batch["text"], batch["content"], strict=True)
            ]
            shard.update(qe.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    return len(rows)


def main(corpus: Path, out: Path) -> None:
    """Bring ``out`` up to date with ``corpus`` and print what was done."""
    out.mkdir(exist_ok=True)
    state = out / "state.json"
    before = json.loads(state.read_text()) if state.exists() else {}
    now = seen_now(corpus, before)
    old, new = {entry[2] for entry in before.values()}, {entry[2] for entry in now.values()}
    fresh = {entry[2]: [] for entry in now.values() if entry[2] not in old}
    for name, entry in now.items():
        if entry[2] in fresh:
            fresh[entry[2]].append(name)
    added = write(out, corpus, fresh, sorted(old - new)) if fresh or old - new else 0
    if now != before:
        state.write_text(json.dumps(now))
    print(json.dumps({"embedded": added, "removed": len(old - new)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

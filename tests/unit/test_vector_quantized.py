"""Quantized vectors: scores stay those of the vectors themselves, segments of all kinds mix, the setting reaches what is there."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from resources.settings import SettingsError, load_settings
from resources.vector_store import EdgeStore, Filter, ServerStore, VectorStoreError
from resources.vectors.protocol import Upserts
from resources.vectors.publishing import write_segment
from resources.vectors.quantizing import KINDS, OVERSAMPLING
from tests.unit.vector_points import chunk, points

SPACE, SHARD, WIDE = "space-1", "notes", 64
QUANTIZED = tuple(OVERSAMPLING)
SCAN_POINTS = 1_200


def wide(numbers: range, salt: int = 0) -> pl.DataFrame:
    """Points whose vectors have as many dimensions as it takes for one bit of each to say something; around 40 centres."""
    centres = np.random.default_rng(5).standard_normal((40, WIDE))
    rng = np.random.default_rng([numbers.start, salt])
    rows = centres[rng.integers(0, 40, len(numbers))] + 0.8 * rng.standard_normal((len(numbers), WIDE))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    return points(numbers, salt).with_columns(pl.Series("vector", rows.tolist(), dtype=pl.List(pl.Float32)))


def exact(frame: pl.DataFrame, vector: list[float], limit: int) -> list[tuple[str, float]]:
    scores = np.array(frame["vector"].to_list()) @ np.array(vector)
    pairs = zip(frame["chunk_id"], [round(float(score), 4) for score in scores], strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:limit]


def asked(store: EdgeStore, frame: pl.DataFrame, limit: int = 10, where: Filter | None = None) -> float:
    """Recall of twenty searches; every score that comes must be the vectors' own."""
    found = 0
    for vector in frame["vector"].to_list()[:20]:
        wanted = dict(exact(frame, vector, frame.height))
        hits = store.search_dense(SPACE, [SHARD], vector, limit, where)
        assert len(hits) == limit
        assert all(abs(hit.score - wanted[hit.chunk_id]) < 2e-4 for hit in hits)
        assert [(-hit.score, hit.chunk_id) for hit in hits] == sorted((-hit.score, hit.chunk_id) for hit in hits)
        best = exact(frame, vector, limit)
        found += sum(hit.score >= best[-1][1] - 2e-4 for hit in hits)
    return found / (20 * limit)


def put(store: EdgeStore, frame: pl.DataFrame | Upserts, deletes: list[str] | None = None) -> None:
    store.publish(SPACE, WIDE, SHARD, frame, deletes or [], {"t": 1})


def has_copy(folder: Path) -> bool:
    return any(folder.rglob("quantized.data"))


@pytest.mark.parametrize("kind", QUANTIZED)
@pytest.mark.parametrize("full", [100_000, SCAN_POINTS])
def test_scores_are_exact_and_few_are_missed(tmp_path: Path, kind: str, full: int) -> None:
    frame = wide(range(SCAN_POINTS))
    store = EdgeStore(tmp_path, flat_points=100, full_points=full, quantized=kind)
    put(store, frame)
    store.compact(SPACE, SHARD)
    (folder,) = store.segment_folders(SPACE, SHARD)
    assert has_copy(folder)
    assert asked(store, frame) >= 0.95
    only = frame.filter(pl.col("kind") == "code")
    assert asked(store, only, where=Filter(kinds=("code",))) >= 0.95
    assert store.describe(SPACE, [SHARD]) == kind
    store.close()


@pytest.mark.parametrize("kind", QUANTIZED)
def test_segments_of_all_kinds_mix_and_compact_brings_them_over(tmp_path: Path, kind: str) -> None:
    first, second, edit = wide(range(500)), wide(range(500, 1_000)), wide(range(1_000, 1_020))
    before = EdgeStore(tmp_path, flat_points=100, keep_seconds=0)
    put(before, first)
    before.close()
    store = EdgeStore(tmp_path, flat_points=100, keep_seconds=0, quantized=kind)
    put(store, second)
    put(store, edit, [chunk(3), chunk(600)])
    frame = pl.concat([first, second, edit]).filter(~pl.col("chunk_id").is_in([chunk(3), chunk(600)]))
    assert store.describe(SPACE, [SHARD]) == f"none+{kind}"
    assert asked(store, frame) >= 0.95
    store.compact(SPACE, SHARD)
    assert store.describe(SPACE, [SHARD]) == kind
    assert asked(store, frame) >= 0.95
    whole = store.generation(SPACE, SHARD)
    assert store.compact(SPACE, SHARD) == whole, "nothing is left to be brought over"
    store.close()
    again = EdgeStore(tmp_path, flat_points=100, keep_seconds=0)
    again.compact(SPACE, SHARD)
    assert again.describe(SPACE, [SHARD]) == "none"
    assert asked(again, frame) == 1.0
    again.close()


@pytest.mark.parametrize("kind", QUANTIZED)
def test_a_segment_written_apart_is_quantized_when_it_is_published(tmp_path: Path, kind: str) -> None:
    frame = wide(range(600))
    (tmp_path / "apart").mkdir()
    segment = write_segment(tmp_path / "apart", WIDE, Upserts(frame["chunk_id"], [frame]))
    assert not has_copy(segment)
    store = EdgeStore(tmp_path / "index", flat_points=100, quantized=kind)
    put(store, Upserts(frame["chunk_id"], segment=segment))
    (folder,) = store.segment_folders(SPACE, SHARD)
    assert has_copy(folder)
    assert store.describe(SPACE, [SHARD]) == kind
    assert asked(store, frame) >= 0.95
    assert store.real_points(SPACE, SHARD).height == 600
    store.close()


def test_small_segments_are_never_quantized_nor_written_anew_for_it(tmp_path: Path) -> None:
    frame = wide(range(50))
    store = EdgeStore(tmp_path, flat_points=100, quantized="binary")
    put(store, frame)
    generation = store.generation(SPACE, SHARD)
    assert store.compact(SPACE, SHARD) == generation
    assert store.describe(SPACE, [SHARD]) == "none"
    assert asked(store, frame) == 1.0
    store.close()


def test_vectors_come_back_as_they_are_kept(tmp_path: Path) -> None:
    frame = wide(range(300))
    store = EdgeStore(tmp_path, flat_points=100, quantized="binary")
    put(store, frame)
    ids = frame["chunk_id"].to_list()[:5]
    assert store.vectors(SPACE, [SHARD], ids) == dict(zip(ids, frame["vector"].to_list()[:5], strict=True))
    store.close()


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_a_server_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from qdrant_client import QdrantClient
    from qdrant_client import models as qm

    client = QdrantClient(":memory:")
    held: list[object] = [None]
    seen: list[object] = []
    plain = client.get_collection

    def collection(name: str) -> object:
        info = plain(name)
        info.config.quantization_config = held[0]
        return info

    def update(name: str, **settings: object) -> bool:
        wanted = settings["quantization_config"]
        held[0] = None if isinstance(wanted, qm.Disabled) else wanted
        seen.append(wanted)
        return True

    monkeypatch.setattr(client, "get_collection", collection)
    monkeypatch.setattr(client, "update_collection", update)
    for kind in ("int8", "int8", "binary", "none", "none"):
        store = ServerStore(client, kind)
        store.publish(SPACE, WIDE, SHARD, wide(range(20)), [], {"t": 1})
        assert store.describe(SPACE, [SHARD]) == kind
        assert len(store.search_dense(SPACE, [SHARD], wide(range(1))["vector"][0].to_list(), 5)) == 5
    assert [type(one).__name__ for one in seen] == ["ScalarQuantization", "BinaryQuantization", "Disabled"]


def test_another_kind_is_refused_where_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(VectorStoreError, match=r"'int4'; use one of none, int8, binary"):
        EdgeStore(tmp_path, quantized="int4")
    with pytest.raises(SettingsError, match=r"CORTEX_QUANTIZE='int4'.*none, int8, binary"):
        load_settings(tmp_path, {"CORTEX_QUANTIZE": "int4"})
    assert [load_settings(tmp_path, {"CORTEX_QUANTIZE": kind}).quantize for kind in KINDS] == list(KINDS)
    assert load_settings(tmp_path, {}).quantize == "none"

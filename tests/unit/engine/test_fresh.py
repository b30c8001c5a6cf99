"""Vectors of a run beside the lake: found by hash, each once; what is not there is left to Delta."""

from pathlib import Path

import polars as pl
import pytest

from cortex_assets.engine import fresh
from cortex_assets.engine.fresh import FreshVectors, forget, fresh_vectors


def rows(*names: str) -> pl.DataFrame:
    vectors = [[float(len(name)), 1.0] for name in names]
    return pl.DataFrame({"embed_hash": names, "vector": vectors, "precision": "f32"}).cast(
        {"vector": pl.List(pl.Float32)}
    )


def hashes(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"embed_hash": names}, {"embed_hash": pl.String})


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FreshVectors:
    monkeypatch.setattr(fresh, "LEAST_ROWS", 2)
    return FreshVectors(lambda: tmp_path)


def test_vectors_are_found_in_all_files_of_their_shard_each_once(kept: FreshVectors) -> None:
    kept.keep("a", rows("one", "three"))
    kept.keep("a", rows("three", "eleven"))
    kept.keep("b", rows("seven", "nine"))
    files = kept.take("a")
    found = fresh_vectors(files, hashes("three", "eleven", "seven", "unknown"))
    assert dict(found.sort("embed_hash").iter_rows()) == {"eleven": [6.0, 1.0], "three": [5.0, 1.0]}
    assert kept.take("a") == []
    assert len(kept.take("b")) == 1
    forget(files)
    assert not any(path.exists() for path in files)
    forget(files)


def test_few_vectors_and_too_many_files_are_not_kept(kept: FreshVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "MOST_FILES", 2)
    kept.keep("a", rows("one"))
    assert kept.take("a") == []
    for number in range(4):
        kept.keep("a", rows(f"x{number}", f"y{number}"))
    assert len(kept.take("a")) == 2


def test_a_file_that_is_gone_and_a_disk_without_room_leave_it_to_delta(
    kept: FreshVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep("a", rows("one", "two"))
    files = kept.take("a")
    forget(files)
    assert fresh_vectors(files, hashes("one")).is_empty()
    assert fresh_vectors([], hashes("one")).schema == {"embed_hash": pl.String, "vector": pl.List(pl.Float32)}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    kept.keep("a", rows("one", "two"))
    assert kept.take("a") == []

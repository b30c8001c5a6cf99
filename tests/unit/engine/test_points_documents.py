"""The documents that points are made with are those of the table as it is, however many points are asked for."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import points
from resources.lakehouse import Lakehouse


def document(title: str, shard: str = "one") -> pl.DataFrame:
    known = {"document_id": "d", "input_key": "d", "title": title, "shard": shard, "row_hash": 1}
    none = {pl.String: "", pl.Boolean: True}
    values = {name: known.get(name, none.get(type(dtype))) for name, dtype in DOCUMENTS.dtypes.items()}
    return pl.DataFrame([values], schema=dict(DOCUMENTS.dtypes))


@pytest.mark.parametrize("many", [1, points.WHOLE_FROM])
def test_titles_are_those_of_now(tmp_path: Path, many: int) -> None:
    lake = Lakehouse(tmp_path)
    wanted = pl.DataFrame({"document_id": ["d"] * many})

    def titles() -> list[str]:
        found = points._documents(lake, "one", wanted)
        assert "text" not in found.columns
        return sorted(found["title"])

    lake.append(DOCUMENTS, document("old"))
    lake.append(DOCUMENTS, document("of another shard", "other"))
    assert titles() == ["old"]
    lake.overwrite(DOCUMENTS, document("new"), "shard = 'one'")
    assert titles() == ["new"]
    shutil.rmtree(lake.uri(DOCUMENTS))
    for title in ("made anew", "twice", "three times"):
        lake.append(DOCUMENTS, document(title))
    assert titles() == ["made anew", "three times", "twice"]


def test_documents_of_many_points_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lakehouse(tmp_path)
    lake.append(DOCUMENTS, document("old"))
    reads: list[int] = []
    real = Lakehouse.scan

    def scan(self: Lakehouse, *args: object, **kwargs: object) -> pl.LazyFrame:
        reads.append(1)
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Lakehouse, "scan", scan)
    wanted = pl.DataFrame({"document_id": ["d"] * points.WHOLE_FROM})
    for _ in range(3):
        points._documents(lake, "one", wanted)
    assert len(reads) == 1

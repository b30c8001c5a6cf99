"""Opening tables while care of them goes on: what only came in between is tried again, what is broken is told."""

import deltalake
import pytest
from deltalake.exceptions import DeltaError

from resources.lake_handles import REOPENINGS
from resources.lakehouse import Lakehouse
from tests.unit.test_lakehouse import PLAIN, plain

GONE = "Kernel error: Object at location lake/t/_delta_log/00000000000000000500.checkpoint.parquet not found: ..."


@pytest.fixture
def lake(tmp_path):
    lake = Lakehouse(tmp_path / "lake")
    lake.append(PLAIN, plain(3))
    return lake


@pytest.fixture
def opened(monkeypatch):
    """Arguments of every ``DeltaTable`` made; the next ones raise what stands in ``opened.errors``."""
    really = deltalake.DeltaTable

    class Opened(list):
        errors: list[Exception]

    opened = Opened()
    opened.errors = []

    def table(*args, **given):
        opened.append(given["version"])
        if opened.errors:
            raise opened.errors.pop()
        return really(*args, **given)

    monkeypatch.setattr(deltalake, "DeltaTable", table)
    return opened


@pytest.mark.parametrize("times", [1, REOPENINGS])
def test_a_checkpoint_that_went_away_meanwhile_is_looked_for_again(lake, opened, times):
    opened.errors = [DeltaError(GONE)] * times
    assert lake.open(PLAIN).count() == 3
    assert opened == [None] * (times + 1)


def test_a_checkpoint_that_stays_away_is_told(lake, opened):
    opened.errors = [DeltaError(GONE)] * 10
    with pytest.raises(DeltaError, match="not found"):
        lake.open(PLAIN)
    assert len(opened) == REOPENINGS + 1


@pytest.mark.parametrize(("version", "told"), [(0, GONE), (None, "Kernel error: Invalid table version"), (None, "")])
def test_nothing_else_is_tried_again(lake, opened, version, told):
    opened.errors = [DeltaError(told)]
    with pytest.raises(DeltaError):
        lake.open(PLAIN, version)
    assert opened == [version]

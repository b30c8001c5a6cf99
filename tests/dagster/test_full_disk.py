"""F9: where the disk is nearly full, nothing is written, to the raw store and the index no more than to the lake."""

import pytest

from cortex_assets import house as house_module
from cortex_assets import workshop
from resources.settings import DiskFullError
from tests.dagster.lake import Lake, notes


def test_raw_store_and_index_ask_the_guard(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 2))
    asked: set[str] = set()

    def guard(path: object, *rest: object) -> None:
        asked.add(str(path).rpartition("/")[2])

    for module in (house_module, workshop):
        monkeypatch.setattr(module, "free_space_guard", guard)
    lake.run()
    assert {"raw", "index", "lake"} <= asked


def test_a_full_disk_ends_the_shard_with_the_remedy(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 2))

    def guard(path: object, *rest: object) -> None:
        if str(path).endswith("/raw"):
            raise DiskFullError("no room; run `cortex maintain`")

    monkeypatch.setattr(house_module, "free_space_guard", guard)
    assert lake.run().errors == ("notes: no room; run `cortex maintain`",)

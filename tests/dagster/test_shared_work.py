"""A first import on several processes makes what one process makes, and outlives its helpers."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from apps import actions
from cortex_assets.chunks import derive as chunking
from cortex_assets.engine import publication
from cortex_assets.workshop import Workshop
from resources.lakehouse import LakeFull
from tests.dagster.contents import contents
from tests.dagster.lake import Lake, notes


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds at which some dozens of notes are shared."""
    monkeypatch.setattr(chunking, "FRAME_DOCUMENTS", 3)
    monkeypatch.setattr(chunking, "SHARED_FROM", 1)
    monkeypatch.setattr(publication, "SHARED_FROM", 10)
    monkeypatch.setattr(publication, "LEAST_SHARE", 5)
    monkeypatch.setattr(publication, "PUBLISH_POINTS", 20)


def _children() -> list[int]:
    """Processes that this one started and that are alive."""
    mine = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            mine.append(int(path.parent.name))
    return mine


@pytest.mark.parametrize("workers", ["2", "3"])
def test_shared_work_makes_what_one_process_makes(lake: Lake, another_lake, workers: str) -> None:
    lake.set("CORTEX_WORKERS", workers)
    lake.drop_all(notes("notes", 60))
    lake.run()
    shared = contents(with_vectors=True)
    assert len(lake.points()["notes"]) > 40
    lake.assert_sound()
    assert not list((lake.settings.cache / "crew").glob("*")), "frames on their way are gone"
    alone = another_lake("alone")
    alone.set("CORTEX_WORKERS", "1")
    alone.drop_all(notes("notes", 60))
    alone.run()
    assert contents(with_vectors=True) == shared


def test_killed_helpers_cost_nothing_but_time(lake: Lake) -> None:
    lake.set("CORTEX_WORKERS", "2")
    lake.drop_all(notes("notes", 60))
    killed: list[int] = []
    is_over = threading.Event()

    def hunt() -> None:
        while not is_over.is_set():
            for pid in _children():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.2)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        report = lake.run()
    finally:
        is_over.set()
        hunter.join()
    assert killed
    assert report.is_clean
    lake.assert_sound()


def test_no_segment_is_written_where_there_is_no_room(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []

    def refuse(workshop: Workshop) -> None:
        raise LakeFull("no room for the index")

    def write(group: object, *args: object) -> None:
        written.append(group)

    monkeypatch.setattr(Workshop, "_guard_index", refuse)
    monkeypatch.setattr(publication, "segment_apart", write)
    lake.set("CORTEX_WORKERS", "2")
    lake.drop_all(notes("notes", 60))
    with contextlib.suppress(LakeFull):
        assert not actions.run().is_clean
    assert written == []

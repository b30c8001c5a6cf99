"""Several processes at once: one works on a shard, the others leave it to it; nothing is lost, doubled or in the way of a search."""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from apps import actions, reader, searching
from apps.search_reports import SearchFilters
from cortex_assets.engine.lease import LeaseBusy
from resources.vectors.edge import EdgeStore
from tests.dagster.contents import contents
from tests.dagster.lake import Lake, note, notes, sentence

RUN = "actions.run(['{name}'])"

AT_THE_GATE = """
import pathlib, time
from apps import actions, running
from cortex_assets.documents.derive import documents_derivation
documents_derivation().versions()
pathlib.Path({ready!r}).touch()
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.002)
"""

SLOW = """
import pathlib, time
from apps import actions
from inference.engines.hash_embedder import HashEmbedder
real = HashEmbedder.embed_batch
def embed_batch(self, texts, *rest):
    pathlib.Path({ready!r}).touch()
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.01)
    return real(self, texts, *rest)
HashEmbedder.embed_batch = embed_batch
report = actions.run()
assert report.is_clean and not report.busy, report
"""


def wait_for(path: Path) -> None:
    """Until a file is there; a minute at most."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.01)


def race(lake: Lake, *codes: str) -> list[tuple[int, str]]:
    """Run statements in as many processes, all let go at one moment; exit code and standard error of each."""
    gate = lake.root / "gate"
    gate.unlink(missing_ok=True)
    processes = []
    for number, code in enumerate(codes):
        ready = lake.root / f"ready{number}"
        ready.unlink(missing_ok=True)
        processes.append(lake.start(AT_THE_GATE.format(ready=str(ready), gate=str(gate)) + code))
    for number in range(len(codes)):
        wait_for(lake.root / f"ready{number}")
    gate.touch()
    return [_ended(process) for process in processes]


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, complaints = process.communicate(timeout=120)
    return process.returncode, complaints


def fill(lake: Lake) -> None:
    """Two corpora that share some texts and one whole file."""
    lake.drop_all(notes("left", 8))
    lake.drop_all(notes("right", 8, start=5))
    lake.drop("left/tide.py", "def tide(hours):\n    return hours % 12\n")


@pytest.fixture
def clean(another_lake: Any) -> dict[str, Any]:
    """What a lake of ``fill`` holds when nothing else is going on."""
    lake = another_lake("clean")
    fill(lake)
    lake.run()
    return contents()


def test_a_second_run_of_a_shard_leaves_it_to_the_first(lake: Lake) -> None:
    lake.drop_all(notes("notes", 4))
    lake.run()
    lake.drop("notes/late.md", note(50))
    ready, gate = lake.root / "ready", lake.root / "gate"
    first = lake.start(SLOW.format(ready=str(ready), gate=str(gate)))
    try:
        wait_for(ready)
        second = lake.cli("run", "--json")
        assert second.returncode == 0, second.stderr
        report = json.loads(second.stdout)
        assert (report["busy"], report["stages"]) == (["notes"], [])
        assert "notes" in lake.cli("run").stdout, "a person is told that the shard is left to the other run"

        refused = lake.cli("maintain")
        assert refused.returncode == 1
        assert f"process {first.pid}" in refused.stderr.replace("\n", " ")
        with pytest.raises(LeaseBusy, match="shard notes is leased by process"):
            actions.retry("notes")
        (busy,) = actions.verify(repair=True).busy
        assert busy.startswith("notes: shard notes is leased by process")
        assert lake.cli("verify").returncode == 1, "what was not checked is not said to agree"
        assert lake.found(note(2))[0] == "note-002.md", "a search goes on in the generation that is published"
    finally:
        gate.touch()
        code, complaints = _ended(first)
    assert code == 0, complaints
    assert lake.found(note(50))[0] == "late.md"
    assert lake.run().busy == ()
    lake.assert_sound()


def test_two_corpora_are_run_side_by_side_from_the_first_moment(clean: dict[str, Any], another_lake: Any) -> None:
    lake = another_lake("raced")
    fill(lake)
    for code, complaints in race(lake, "actions.run(['left'])", "actions.run(['right'])"):
        assert code == 0, complaints
    lake.run()
    assert contents() == clean
    lake.drop("left/more.md", note(60))
    lake.drop("right/more.md", note(60))
    lake.delete("left/note-000.md")
    for code, complaints in race(lake, "actions.run(['left'])", "actions.run(['right'])"):
        assert code == 0, complaints
    lake.run()
    lake.assert_sound()
    assert sorted(lake.found(note(60), k=5))[:1] == ["more.md"]


def test_three_equal_runs_at_once_on_an_empty_lake_do_the_work_of_one(clean: dict[str, Any], another_lake: Any) -> None:
    lake = another_lake("raced")
    fill(lake)
    for code, complaints in race(lake, *["report = actions.run(); assert report.is_clean, report"] * 3):
        assert code == 0, complaints
    lake.run()
    assert contents() == clean
    lake.assert_sound()


def test_maintenance_runs_alone(clean: dict[str, Any], another_lake: Any) -> None:
    """Twice at once, and beside a run: each works or is refused by name, and the lake holds what it held."""
    lake = another_lake("raced")
    fill(lake)
    for number in range(3):
        lake.drop("left/note-000.md", note(70 + number))
        lake.run()
    lake.drop("left/note-000.md", note(0))
    outcomes = race(
        lake, "actions.maintain()", "actions.maintain()", "report = actions.run(); assert report.is_clean, report"
    )
    for code, complaints in outcomes:
        assert code == 0 or "LeaseBusy" in complaints, complaints
    lake.run()
    assert contents() == clean
    actions.maintain()
    assert contents() == clean
    lake.assert_sound()


def test_searches_never_fail_while_generations_come_and_go(lake: Lake) -> None:
    """One process publishes again and again and removes old generations at once; threads search with an open index."""
    lake.set("CORTEX_SWEEP_AGE", "0")
    lake.drop_all(notes("notes", 12))
    lake.drop("notes/stays.md", f"# Stays\n\n{sentence(987_654)}\n")
    lake.run()
    publisher = lake.start(
        "import functools, pathlib, os\n"
        "from apps import actions\n"
        "from cortex_assets import house\n"
        "from tests.dagster.lake import note\n"
        "house.EdgeStore = functools.partial(house.EdgeStore, max_segments=2)\n"
        f"folder = pathlib.Path({str(lake.inbox)!r}) / 'notes'\n"
        "for number in range(12):\n"
        "    path = folder / f'note-{number:03d}.md'\n"
        "    path.write_text(note(100 + number)) if number % 3 else path.unlink()\n"
        "    assert actions.run().is_clean\n"
    )
    failures: list[Exception] = []
    counted = [0, 0]

    def search(number: int) -> None:
        with lake.house() as house:
            registry = house.register.now()
            assert isinstance(house.store, EdgeStore)
            while publisher.poll() is None:
                try:
                    result = searching.find(house, registry, sentence(987_654), 5, SearchFilters())
                    assert result.hits[0].path == "stays.md", [hit.path for hit in result.hits]
                    counted[number] += 1
                except Exception as error:  # noqa: BLE001 - whatever it is, it failed a search
                    failures.append(error)
                    return

    threads = [threading.Thread(target=search, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    fresh = 0
    while publisher.poll() is None:
        hits = reader.search(sentence(987_654), 3).hits
        assert hits[0].path == "stays.md"
        assert hits[0].citation == "exact"
        fresh += 1
    for thread in threads:
        thread.join()
    code, complaints = _ended(publisher)
    assert code == 0, complaints
    assert failures == []
    assert min(*counted, fresh) >= 3
    lake.assert_sound()

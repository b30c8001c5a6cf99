"""The resident worker as a process over a real lake: what is saved is found, what is killed goes on, what is large is handed on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps import actions, reader
from apps.search_reports import SearchFilters, Wishes
from apps.worker import client, running
from apps.worker.changes import Changes
from cortex_assets.engine.dirty import dirty_file, read_dirty
from cortex_assets.engine.lease import shard_lease
from cortex_assets.house import House
from resources.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 40.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    data = tmp_path / "data"
    (data / "inbox" / "notes").mkdir(parents=True)
    for name, value in (
        ("CORTEX_DATA", str(data)),
        ("CORTEX_EMBED", "hash"),
        ("CORTEX_STILL_SECONDS", "0.2"),
        ("CORTEX_MIN_FREE", "1%,100MB"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return load_settings()


@contextmanager
def worker(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that is up."""
    with open(settings.data_dir / "worker.log", "ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "apps.worker"], cwd=ROOT, stdout=log, stderr=log)
    try:
        until(lambda: health(settings)["pid"] == process.pid, settings)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def health(settings: Settings) -> dict[str, Any]:
    try:
        told: dict[str, Any] = client.ask(settings.up, "health", seconds=10.0)
    except client.NoWorker:
        return {"pid": 0}
    return told


def until(holds: Callable[[], object], settings: Settings, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        log = (settings.data_dir / "worker.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        assert time.monotonic() < deadline, log
        time.sleep(0.1)


def found(settings: Settings, word: str) -> set[str]:
    """Paths that the worker finds."""
    response = client.search(settings.up, word, 5, SearchFilters())
    return {f"{hit.corpus}/{hit.path}" for hit in response.hits if word in hit.snippet}


def write(settings: Settings, path: str, text: str) -> Path:
    file = settings.inbox / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_what_is_saved_edited_renamed_and_deleted_is_found_as_it_is(settings: Settings) -> None:
    with worker(settings) as process:
        note = write(settings, "notes/a.md", "# Tide\n\nThe albatross was seen.\n")
        until(lambda: found(settings, "albatross") == {"notes/a.md"}, settings)
        note.write_text("# Tide\n\nThe bittern was seen.\n", encoding="utf-8")
        until(lambda: found(settings, "bittern") == {"notes/a.md"} and not found(settings, "albatross"), settings)
        note.rename(note.with_name("b.md"))
        until(lambda: found(settings, "bittern") == {"notes/b.md"}, settings)
        write(settings, "other/c.md", "# New\n\nThe cormorant is in a new folder.\n")
        until(lambda: found(settings, "cormorant") == {"other/c.md"}, settings)
        write(settings, "loose.md", "# Loose\n\nThe dunlin lies in the inbox itself.\n")
        until(lambda: found(settings, "dunlin") == {"inbox/loose.md"}, settings)
        (settings.inbox / "notes" / "b.md").unlink()
        write(settings, "notes/kept.md", "kept\n")  # an emptied folder would be withheld
        until(lambda: not found(settings, "bittern"), settings)
        assert reader.search("dunlin").hits[0].path == "loose.md"  # the command line asks the worker
        answer = client.search(
            settings.up, "where does the dunlin lie?", 5, SearchFilters(), Wishes(answer=True)
        ).answer
        assert answer is not None
        assert [(quote.snippet, quote.citation) for quote in answer.quotes] == [
            ("The dunlin lies in the inbox itself.", "exact")
        ]
        assert health(settings)["failed"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not client.card(settings.up).exists()
    assert reader.search("dunlin").hits[0].path == "loose.md"  # and does it itself without one
    report = actions.verify()
    assert report.is_sound, report.findings
    assert not report.busy
    runs = pl.read_delta(str(settings.lake / "ops" / "runs"))
    assert set(runs.get_column("trigger")) == {"worker"}


@pytest.mark.parametrize("is_before", [True, False])
def test_a_folder_that_appears_during_a_run_is_a_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_before: bool
) -> None:
    write(settings, "notes/a.md", "The albatross was seen.\n")
    real = running.run_in

    def meanwhile(*given: Any) -> Any:
        if is_before:  # the run itself registers it
            write(settings, "other/b.md", "The bittern was seen.\n")
        result = real(*given)
        if not is_before:
            write(settings, "other/b.md", "The bittern was seen.\n")
        return result

    with House.open(settings) as house:
        changes = Changes(0.0)
        runner = running.Runner(house, changes)
        runner.corpora.follow()
        monkeypatch.setattr(running, "run_in", meanwhile)
        changes.ask("notes", time.monotonic())
        assert runner.step()
        runner.corpora.follow()
        assert set(changes.waiting()) == {"other"}
        assert not runner.corpora.follow(), "the inbox is watched as it was"


def test_a_corpus_elsewhere_is_watched_as_soon_as_it_is_added(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "a.md").write_text("The egret stands.\n", encoding="utf-8")
    with worker(settings):
        actions.add(actions.preview_add(str(place)))
        until(lambda: found(settings, "egret"), settings)
        assert str(place) in health(settings)["watched"]
        (place / "b.md").write_text("The fulmar flies.\n", encoding="utf-8")
        until(lambda: found(settings, "fulmar") == {"elsewhere/b.md"}, settings)
        actions.remove("elsewhere", purge=True)
        until(lambda: str(place) not in health(settings)["watched"], settings)
        assert not found(settings, "fulmar")


def test_killed_in_its_midst_it_goes_on_with_what_it_left(settings: Settings) -> None:
    for number in range(30):
        write(settings, f"notes/{number}.md", f"# {number}\n\n" + f"The gannet {number} dives.\n" * 40)
    actions.run()
    with worker(settings) as process:
        for number in range(30):
            write(settings, f"notes/{number}.md", f"# {number}\n\n" + f"The heron {number} waits.\n" * 40)
        until(lambda: health(settings).get("at_work"), settings)
        process.kill()
        process.wait()
    with worker(settings):
        until(lambda: not found(settings, "gannet") and found(settings, "heron"), settings)
        until(lambda: not health(settings)["waiting"] and not health(settings)["at_work"], settings)
    report = actions.verify()
    assert report.is_sound, report.findings


def test_what_is_large_is_handed_on_and_small_things_go_on(settings: Settings) -> None:
    with worker(settings):
        for number in range(120):
            write(settings, f"many/{number:03d}.md", f"# {number}\n\nThe ibis {number} wades.\n")
        until(lambda: health(settings)["handed"] == {"many": "process"}, settings)
        listed = read_dirty(dirty_file(settings.cache))
        assert listed is not None
        assert set(listed.shards) == {"many"}
        write(settings, "notes/small.md", "The jackdaw is quick.\n")
        until(lambda: found(settings, "jackdaw"), settings)
        until(lambda: not health(settings)["handed"], settings, 90.0)
        assert found(settings, "ibis")
    runs = pl.read_delta(str(settings.lake / "ops" / "runs"))
    by_trigger = dict(runs.group_by("trigger").agg(pl.col("new_count").sum()).iter_rows())
    assert by_trigger["command"] >= 120
    assert by_trigger["worker"] >= 1
    assert actions.verify().is_sound


def test_deletes_that_are_withheld_make_no_change_a_large_one(settings: Settings) -> None:
    for number in range(80):
        write(settings, f"notes/{number:02d}.md", f"# {number}\n\nThe ibis {number} wades.\n")
    actions.run()
    with worker(settings):
        for number in range(60):
            (settings.inbox / "notes" / f"{number:02d}.md").unlink()
        until(lambda: reader.status().corpora[0].withheld is not None, settings)
        write(settings, "notes/more/new.md", "The jackdaw is quick.\n")
        until(lambda: found(settings, "jackdaw"), settings)
        assert found(settings, "ibis"), "what is withheld stays"
    runs = pl.read_delta(str(settings.lake / "ops" / "runs"))
    by_command = runs.filter(pl.col("trigger") == "command")["run_id"].n_unique()
    assert by_command == 1, "a process was started for what waits for a person"


def test_a_shard_that_another_run_holds_is_taken_up_afterwards(settings: Settings) -> None:
    write(settings, "notes/a.md", "The kestrel hovers.\n")
    actions.run()
    with worker(settings):
        with shard_lease(settings.locks, "notes"):
            write(settings, "notes/b.md", "The lapwing calls.\n")
            until(lambda: health(settings)["waiting"].get("notes", {}).get("reason"), settings)
            assert not found(settings, "lapwing")
        until(lambda: found(settings, "lapwing"), settings)


def test_a_source_that_is_gone_loses_nothing(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "stick"
    place.mkdir()
    for number in range(3):
        (place / f"{number}.md").write_text(f"The merlin {number} hunts.\n", encoding="utf-8")
    actions.add(actions.preview_add(str(place)))
    actions.run()
    with worker(settings):
        shutil.move(place, tmp_path / "unplugged")
        client.ask(settings.up, "look")
        client.ask(settings.up, "run", {"corpora": ["stick"]})
        until(lambda: health(settings)["runs"] >= 1 and not health(settings)["waiting"], settings)
        assert len(found(settings, "merlin")) == 3
        shutil.move(tmp_path / "unplugged", place)
        (place / "new.md").write_text("The nightjar churrs.\n", encoding="utf-8")
        client.ask(settings.up, "look")
        until(lambda: found(settings, "nightjar"), settings)
    assert actions.verify().is_sound


@pytest.mark.parametrize("content", [b"corpora: [", b"corpora: \xff", b"corpora:\n  - name: x\n"])
def test_a_slip_in_the_declared_sources_ends_nothing(settings: Settings, content: bytes) -> None:
    write(settings, "notes/kept.md", "kept\n")
    actions.run()
    settings.sources_file.write_bytes(content)
    with worker(settings) as process:
        until(lambda: "sources.yaml" in health(settings)["registry_problem"], settings)
        write(settings, "notes/a.md", "# Tide\n\nThe egret was seen.\n")
        until(lambda: health(settings)["failed"], settings)
        settings.sources_file.write_text("corpora: []\n", encoding="utf-8")
        until(lambda: found(settings, "egret") == {"notes/a.md"}, settings)
        assert health(settings)["registry_problem"] == ""
        settings.sources_file.write_bytes(content)
        until(lambda: health(settings)["registry_problem"], settings)
        assert process.poll() is None


def test_a_run_is_asked_of_it(settings: Settings) -> None:
    write(settings, "notes/a.md", "The osprey fishes.\n")
    asked = actions.request_run(["notes"])  # nobody is up: a process does it
    assert asked.how == "process"
    until_found_here("osprey")
    with worker(settings):
        assert actions.request_run().how == "worker"
        with pytest.raises(Exception, match="no listed corpus"):
            actions.request_run(["nobody"])


def until_found_here(word: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(word in hit.snippet for hit in reader.search(word).hits):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_ignored_file_wakes_nobody(settings: Settings) -> None:
    write(settings, "notes/a.md", "The plover runs.\n")
    actions.run()
    with worker(settings):
        until(lambda: health(settings)["last_look"], settings)
        client.ask(settings.up, "run")
        until(lambda: health(settings)["runs"] and not health(settings)["waiting"], settings)
        time.sleep(2)
        runs = health(settings)["runs"]
        for name in ("node_modules/x.js", ".git/objects/ab", "notes/__pycache__/y.pyc"):
            write(settings, f"notes/{name}", "x")
        time.sleep(3)
        assert health(settings)["runs"] == runs
        assert os.listdir(settings.up)


def test_a_file_that_is_still_being_written_is_taken_when_it_stands_still(settings: Settings) -> None:
    with worker(settings):
        file = write(settings, "notes/log.md", "The quail runs.\n")
        for number in range(12):
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"Line {number}\n")
            time.sleep(0.15)
        with file.open("a", encoding="utf-8") as stream:
            stream.write("The redstart perches.\n")
        until(lambda: found(settings, "redstart"), settings)
    assert actions.verify().is_sound

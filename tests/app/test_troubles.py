"""What pages say and do when something waits for a person: a killed run, withheld deletes, a paused corpus, failed checks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apps import actions, reader
from tests.app.conftest import ENVIRONMENT, PROJECT, RUN, cortex, words

MANY = 25
SECONDS = 90.0


def write_notes(data: Path, count: int, corpus: str = "notes") -> Path:
    folder = data / "inbox" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        text = "\n\n".join(f"## Part {part}\n\nWater level {number}-{part} at the harbour gauge." for part in range(40))
        (folder / f"note-{number:04}.md").write_text(f"# Note {number}\n\n{text}\n", encoding="utf-8")
    return folder


@pytest.fixture
def withheld(empty):
    """A lake of which all files but one vanished, seen by a run."""
    folder = write_notes(empty, MANY)
    assert cortex(empty, "run").returncode == 0
    for number in range(1, MANY):
        (folder / f"note-{number:04}.md").unlink()
    assert cortex(empty, "run").returncode == 1
    return empty


def test_withheld_deletes_take_two_clicks(withheld, page):
    assert "deletes of a corpus are withheld" in words(page("overview"))
    app = page("corpora", corpus="notes")
    said = words(app)
    assert f"{MANY - 1} deletes are withheld" in said
    assert "vanished within 24 hours" in said
    assert sum(reader.status().corpora[0].files.values()) == MANY
    app = click(app, f"Delete what vanished ({MANY - 1} files)…")
    assert "Are they meant to be gone?" in words(app)
    app = click(app, "No, keep them")
    assert reader.status().corpora[0].withheld is not None
    app = click(app, f"Delete what vanished ({MANY - 1} files)…")
    app = click(app, "Yes, delete them")
    assert not app.exception
    assert f"{MANY - 1} deletes confirmed" in words(app)
    wait_until(lambda: sum(reader.status().corpora[0].files.values()) == 1)
    assert reader.status().corpora[0].withheld is None


def click(app, label):
    (button,) = [one for one in app.button if one.label == label]
    return button.click().run()


def wait_until(is_so):
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def interrupted(empty):
    """A lake whose run was killed while it worked."""
    write_notes(empty, 400)
    environment = os.environ | ENVIRONMENT | {"CORTEX_DATA": str(empty), "PYTHONPATH": str(PROJECT)}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, "run"],
        env=environment,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: any(line.is_working for line in reader.live()))
        working = reader.live()
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    return working


def test_a_killed_run_shows_as_interrupted_and_what_happens_next(interrupted, page):
    assert [(line.corpus, line.state) for line in interrupted] == [("notes", "running")]
    for name in ("overview", "runs", "corpora"):
        said = words(page(name))
        assert "interrupted" in said, name
        assert "The next run takes up what is left" in said
        assert "stopped in stage" in said
    actions.run()
    said = words(page("overview"))
    assert "Nothing runs now" in said
    found = reader.runs(status="interrupted")
    assert found.total == 1
    assert found.runs[0].reason.startswith("stopped in stage")
    app = page("runs")
    app.segmented_control(key="runs-status").set_value("interrupted").run()
    assert "whole run" in words(app)


def test_a_run_that_works_is_shown_with_its_stage_and_share(empty, page):
    import cortex_assets.engine.live as engine
    from cortex_assets.engine.lease import shard_lease

    write_notes(empty, 2)
    actions.run()
    corpus_id = engine.live_runs(empty / "cache" / "live", empty / "locks", time.time())[0].corpus_id
    board = engine.Board(empty / "cache" / "live", "worker")
    with shard_lease(empty / "locks", "notes"), board.run("notes", corpus_id) as run:
        run.heard()("notes", "documents", 30, 120, "keys")
        board.at("notes", "documents", ["a<b>.md"])
        time.sleep(1.2)
        (line,) = reader.live()
        assert (line.state, line.stage, line.share, line.documents[0].path) == ("running", "documents", 0.25, "a<b>.md")
        app = page("overview")
        said = words(app)
        assert "a&lt;b&gt;.md" in said
        assert "last sign of life" in said
        assert "at work" in words(page("runs"))
    assert "Nothing runs now" in words(page("overview"))


def test_what_a_deep_check_found_is_shown_before_what_passed(empty, page):
    write_notes(empty, 2)
    actions.run()
    assert cortex(empty, "verify").returncode == 0
    said = words(page("overview"))
    assert "Tables and index agree with their sources" in said
    with next((empty / "raw").glob("??/*")).open("wb") as stored:
        stored.write(b"damaged")
    assert cortex(empty, "verify").returncode == 1
    lines = reader.checks()
    assert not lines[0].is_passed
    assert lines[-1].is_passed
    said = words(page("overview"))
    assert "Tables and index agree" not in said
    assert lines[0].check in said


def test_an_added_corpus_is_paused_and_resumed(empty, page, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nThe north gauge.\n", encoding="utf-8")
    actions.add(actions.preview_add(str(folder)))
    actions.run()
    app = click(page("corpora", corpus="elsewhere"), "Pause")
    assert "paused" in words(app)
    assert not reader.status().corpora[0].is_listed
    assert reader.search("north gauge").hits, "what is known of it is still found"
    app = click(app, "Resume")
    assert reader.status().corpora[0].is_listed
    assert "listed again" in words(app)


def test_pausing_a_folder_of_the_inbox_says_how(empty, page):
    write_notes(empty, 1)
    actions.run()
    app = click(page("corpora", corpus="notes"), "Pause")
    said = words(app)
    assert "would register itself again" in said
    assert "take it out of there first" in said

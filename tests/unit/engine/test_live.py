"""What a run tells of itself while it goes on, and what others read of it: alive, silent, interrupted, ended, failed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cortex_assets.engine.lease import shard_lease
from cortex_assets.engine.live import (
    BEAT_SECONDS,
    ENDED,
    FAILED,
    INTERRUPTED,
    MOST_DOCUMENTS,
    RUNNING,
    SILENT,
    SILENT_SECONDS,
    Board,
    LiveRun,
    left,
    live_runs,
)

ROOT = Path(__file__).resolve().parents[3]


def runs(tmp_path: Path, now: float | None = None) -> dict[str, LiveRun]:
    found = live_runs(tmp_path / "live", tmp_path / "locks", time.time() if now is None else now)
    return {run.shard: run for run in found}


def test_a_run_is_seen_with_its_stage_its_pace_and_its_documents(tmp_path: Path) -> None:
    board = Board(tmp_path / "live", "command")
    heard: list[tuple[object, ...]] = []
    with shard_lease(tmp_path / "locks", "notes.01"), board.run("notes.01", "corpus") as live:
        sink = live.heard(lambda *told: heard.append(told))
        sink("notes.01", "documents", 0, 40, "keys")
        board.at("notes.01", "documents", [f"{number}.md" for number in range(80)])
        sink("notes.01", "documents", 10, 40, "keys")
        time.sleep(2.5 * BEAT_SECONDS)
        run = runs(tmp_path)["notes.01"]
        assert (run.state, run.stage, run.done, run.total, run.unit) == (RUNNING, "documents", 10, 40, "keys")
        assert run.trigger == "command"
        assert run.pid == os.getpid()
        assert len(run.documents) == MOST_DOCUMENTS
        assert run.documents[0].path == "0.md"
        assert time.time() - run.heartbeat_at < 3 * BEAT_SECONDS
        passed = run.heartbeat_at - run.stage_started_at
        assert run.seconds_left == pytest.approx(3 * passed)
        sink("notes.01", "chunks", 0, 5, "keys")
        time.sleep(1.5 * BEAT_SECONDS)
        run = runs(tmp_path)["notes.01"]
        assert (run.stage, run.documents, run.seconds_left) == ("chunks", (), None)
    assert len(heard) == 3
    assert runs(tmp_path)["notes.01"].state == ENDED
    assert left(tmp_path / "live", "notes.01") is None


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    board = Board(tmp_path / "live", "worker")
    with pytest.raises(OSError, match="gone"), shard_lease(tmp_path / "locks", "a"), board.run("a", "corpus"):
        raise OSError("the disk is gone")
    run = runs(tmp_path)["a"]
    assert (run.state, run.reason) == (FAILED, "the disk is gone")
    before = left(tmp_path / "live", "a")
    assert before is not None
    assert before.state == FAILED


def test_a_run_that_is_killed_is_interrupted_at_once(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from cortex_assets.engine.lease import shard_lease
        from cortex_assets.engine.live import Board
        board = Board(Path({str(tmp_path / "live")!r}), "command")
        with shard_lease(Path({str(tmp_path / "locks")!r}), "a"), board.run("a", "corpus") as live:
            live.heard()("a", "chunks", 1, 9, "keys")
            board.at("a", "chunks", ["x.md"])
            time.sleep(1.5)
            print("ready", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert runs(tmp_path)["a"].state == RUNNING
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close() if process.stdout else None
    run = runs(tmp_path)["a"]
    assert (run.state, run.stage, run.documents[0].path) == (INTERRUPTED, "chunks", "x.md")
    before = left(tmp_path / "live", "a")
    assert before is not None
    assert before.state == INTERRUPTED


def test_a_run_without_a_sign_of_life_is_silent(tmp_path: Path) -> None:
    with shard_lease(tmp_path / "locks", "a"), Board(tmp_path / "live", "command").run("a", "corpus"):
        assert runs(tmp_path, time.time() + SILENT_SECONDS + 2)["a"].state == SILENT
        assert runs(tmp_path)["a"].state == RUNNING


def test_files_of_another_form_are_no_runs(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "a.json").write_text("{", encoding="ascii")
    (folder / "b.json").write_text(json.dumps({"run_id": "x"}), encoding="ascii")
    (folder / "c.json").write_bytes(b"[" * 100_000)
    assert runs(tmp_path) == {}


@pytest.mark.parametrize(
    "changed", [{"heartbeat_at": "x"}, {"shard": ["a"]}, {"done": "x"}, {"reason": None}, {"documents": [{"path": 1}]}]
)
def test_values_of_another_form_break_neither_a_page_nor_a_run(tmp_path: Path, changed: dict[str, object]) -> None:
    with shard_lease(tmp_path / "locks", "a"), Board(tmp_path / "live", "command").run("a", "corpus"):
        pass
    place = tmp_path / "live" / "a.json"
    told = json.loads(place.read_text(encoding="ascii"))
    assert runs(tmp_path)["a"].state == ENDED
    place.write_text(json.dumps(told | {"state": RUNNING} | changed), encoding="ascii")
    assert runs(tmp_path) == {}
    assert left(tmp_path / "live", "a") is None


def test_shards_of_any_name_have_their_file(tmp_path: Path) -> None:
    name = "..été/x"
    with shard_lease(tmp_path / "locks", name), Board(tmp_path / "live", "command").run(name, "corpus"):
        assert list(runs(tmp_path)) == [name]
    assert [path.parent for path in (tmp_path / "live").iterdir()] == [tmp_path / "live"]

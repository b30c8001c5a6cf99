"""A supervisor of real processes: started in order, seen to be well, started again, stopped together."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps import living
from apps.errors import CommandError
from apps.supervisor import logs, state, supervise, watching
from apps.supervisor.parts import Part, free_port, is_open
from apps.supervisor.state import STARTING, STOPPED, UP, WAITING, AlreadyUp, PartState, UpState
from apps.supervisor.watching import Kept

ROOT = Path(__file__).resolve().parents[3]
SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


def part(
    name: str, command: tuple[str, ...] = SLEEPS, is_well: Callable[[], bool] = lambda: True, **more: object
) -> Part:
    return Part(name, command, dict(os.environ), is_well=is_well, **more)  # type: ignore[arg-type]


def until(kept: Kept, wanted: str, seconds: float = 20.0, up: frozenset[str] = frozenset()) -> None:
    deadline = time.monotonic() + seconds
    while kept.state != wanted:
        assert time.monotonic() < deadline, f"{kept.state}, not {wanted}: {kept.reason}"
        kept.step(time.monotonic(), up)
        time.sleep(0.02)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(watching, "FIRST_WAIT", 0.2)
    return Kept(part("sleeper"), tmp_path)


def end(kept: Kept) -> None:
    kept.signal(signal.SIGKILL)
    if kept.process is not None:
        kept.process.wait()


def test_a_part_comes_up_and_is_started_again_when_it_is_killed(kept: Kept) -> None:
    until(kept, UP)
    first = kept.process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    until(kept, WAITING)
    assert "SIGKILL" in kept.reason
    until(kept, UP)
    assert kept.process is not None
    assert kept.process.pid != first.pid
    assert kept.restarts == 1
    end(kept)


def test_one_that_ends_by_itself_says_its_last_words(tmp_path: Path) -> None:
    kept = Kept(part("quitter", (sys.executable, "-c", "print('\\x1b[31mno such port\\x1b[0m'); exit(3)")), tmp_path)
    until(kept, WAITING)
    assert kept.reason == "it ended with exit code 3: no such port"


def test_one_that_fails_again_and_again_waits_longer_each_time(tmp_path: Path) -> None:
    kept = Kept(part("quitter", (sys.executable, "-c", "exit(1)")), tmp_path)
    now, waits = 0.0, []
    for _ in range(9):
        kept.step(now, frozenset())
        assert kept.process is not None
        kept.process.wait()
        kept.step(now, frozenset())
        waits.append(kept._start_at - now)
        kept.step(kept._start_at - 0.01, frozenset())
        assert kept.process is None
        now = kept._start_at
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_part_that_is_not_there_is_told(tmp_path: Path) -> None:
    kept = Kept(part("none", (str(tmp_path / "no-such-program"),)), tmp_path)
    kept.step(1.0, frozenset())
    assert kept.state == WAITING
    assert "cannot be started" in kept.reason


def test_a_log_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder", encoding="ascii")
    kept = Kept(part("sleeper"), tmp_path / "logs")
    kept.step(time.monotonic(), frozenset())
    assert kept.state == WAITING
    assert "its log cannot be written" in kept.reason
    (tmp_path / "logs").unlink()
    kept.step(time.monotonic() + 60, frozenset())
    assert kept.state == STARTING
    end(kept)


def test_who_listens_to_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    def heard(told: UpState) -> None:
        raise OSError(28, "No space left on device")

    kept_up = supervise.Supervisor(tmp_path, tmp_path / "logs", (part("sleeper"),), heard)
    try:
        kept_up._step()
        assert [one.state for one in kept_up.state.parts] == [STARTING]
    finally:
        kept_up._stop()


def test_one_that_runs_and_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [True]
    kept = Kept(part("deaf", is_well=lambda: answers[0]), tmp_path)
    until(kept, UP)
    process = kept.process
    assert process is not None
    answers[0] = False
    monkeypatch.setattr(watching, "ASK_SECONDS", 0.01)
    until(kept, WAITING)
    assert process.poll() == -signal.SIGKILL
    assert "did not answer" in kept.reason


def test_one_that_does_not_come_up_in_time_is_ended(tmp_path: Path) -> None:
    kept = Kept(part("slow", is_well=lambda: False, patience=0.5), tmp_path)
    until(kept, WAITING)
    assert "not well within" in kept.reason


def test_a_part_waits_for_those_it_needs(tmp_path: Path) -> None:
    kept = Kept(part("page", after=("code",)), tmp_path)
    kept.step(time.monotonic(), frozenset())
    assert kept.state == STOPPED
    kept.step(time.monotonic(), frozenset({"code"}))
    assert kept.state == STARTING
    end(kept)


SUPERVISOR = """
    import os, sys
    from pathlib import Path
    from apps.supervisor.parts import Part
    from apps.supervisor.supervise import Supervisor
    sleeps = (sys.executable, "-c", "import time; time.sleep(60)")
    stubborn = (sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    parts = [Part("one", sleeps, dict(os.environ)), Part("two", {second}, dict(os.environ), after=("one",))]
    import apps.supervisor.supervise as module
    module.STOP_SECONDS = 2.0
    Supervisor(Path({folder!r}), Path({folder!r}) / "logs", parts, lambda state: None).run()
"""


def start(folder: Path, second: str = "sleeps") -> "subprocess.Popen[bytes]":
    code = textwrap.dedent(SUPERVISOR).format(folder=str(folder), second=second)
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)


def all_up(folder: Path) -> UpState:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = state.read_state(folder)
        if found is not None and all(one.state == UP for one in found.parts):
            return found
        time.sleep(0.05)
    raise AssertionError("not up")


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if "State:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="ascii"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_a_supervisor_ends_its_parts_end_with_it(tmp_path: Path, how: signal.Signals) -> None:
    process = start(tmp_path)
    parts = all_up(tmp_path).parts
    process.send_signal(how)
    assert process.wait(20) == (-how if how == signal.SIGKILL else 0)
    assert all(ended(one.pid) for one in parts)
    assert state.read_state(tmp_path) is None
    assert not state.is_held(tmp_path)


def test_a_part_that_does_not_want_to_end_is_ended(tmp_path: Path) -> None:
    process = start(tmp_path, "stubborn")
    parts = all_up(tmp_path).parts
    time.sleep(0.5)
    process.terminate()
    assert process.wait(20) == 0
    assert all(ended(one.pid) for one in parts)


def test_a_second_supervisor_is_refused(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        all_up(tmp_path)
        with pytest.raises(AlreadyUp), state.held(tmp_path):
            pass
    finally:
        process.terminate()
        process.wait(20)
    with state.held(tmp_path):
        assert state.is_held(tmp_path)


def test_a_state_that_nobody_keeps_is_none(tmp_path: Path) -> None:
    told = UpState(1, 2.0, (PartState("app", UP, 3, "http://127.0.0.1:1"),))
    state.write_state(tmp_path, told)
    assert state.read_state(tmp_path) is None
    with state.held(tmp_path):
        assert state.read_state(tmp_path) is None, "another one said that"
        state.write_state(tmp_path, told)
        assert state.read_state(tmp_path) == told
        assert state.url_of(tmp_path, "app") == "http://127.0.0.1:1"
        assert state.url_of(tmp_path, "dagster") is None
        state.file_of(tmp_path).write_text("{", encoding="utf-8")
        assert state.read_state(tmp_path) is None


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_stranger_is_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_readable: bool) -> None:
    """The state names a process of somebody else: the disk was too full to write another one."""
    monkeypatch.setenv("CORTEX_DATA", str(tmp_path))
    monkeypatch.setattr(living, "TOLD_SECONDS", 0.2)
    assert living.down() is None
    with subprocess.Popen(SLEEPS) as stranger, state.held(tmp_path / "up"):
        state.write_state(tmp_path / "up", UpState(stranger.pid, 1.0, ()))
        if not is_readable:
            state.file_of(tmp_path / "up").write_text("{", encoding="utf-8")
        with pytest.raises(CommandError, match="not which process"):
            living.down()
        assert state.is_supervisor(tmp_path / "up", os.getpid())
        assert stranger.poll() is None
        stranger.kill()


def test_a_state_that_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = iter([False, True])
    monkeypatch.setattr(supervise, "write_state", lambda up, told: next(written))
    kept_up = supervise.Supervisor(tmp_path, tmp_path, (), lambda told: None)
    kept_up._step()
    kept_up._step()
    kept_up._step()
    assert next(written, None) is None


def test_one_that_starts_while_somebody_looks_is_no_second_one(tmp_path: Path) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            state.is_held(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    with state.held(tmp_path):
        for looker in lookers:
            looker.start()
    try:
        for _ in range(200):
            with state.held(tmp_path):
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def test_a_taken_port_is_passed_over() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert is_open(port)
        assert free_port(port) != port
    assert free_port(0) > 0


def test_logs_are_bounded_and_their_writer_goes_on(tmp_path: Path) -> None:
    path, descriptor = logs.open_log(tmp_path, "part")
    try:
        for round_ in range(4):
            os.write(descriptor, f"round {round_}\n".encode() * 200)
            logs.cut(tmp_path, 1000)
        os.write(descriptor, b"after\n")
        assert path.read_bytes() == b"after\n"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["part.log", "part.log.1", "part.log.2"]
        assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
        assert logs.tail(path) == ["after"]
        assert logs.tail(tmp_path / "none.log") == []
    finally:
        os.close(descriptor)


def test_watches_hear_a_file_and_forget_a_folder(tmp_path: Path) -> None:
    from apps.worker.watches import Watches

    heard: list[str] = []
    news = threading.Event()

    def hear(paths: object) -> None:
        heard.extend(paths)  # type: ignore[arg-type]
        news.set()

    one, two = tmp_path / "one", tmp_path / "two"
    (one / "deep").mkdir(parents=True)
    two.mkdir()
    watches = Watches(hear)
    watches.set_folders([one])
    time.sleep(0.5)
    (one / "deep" / "a.md").write_text("a", encoding="utf-8")
    assert news.wait(10)
    assert str(one / "deep" / "a.md") in heard
    watches.set_folders([two])
    assert watches.folders == (two,)
    time.sleep(0.5)
    heard.clear()
    news.clear()
    (one / "b.md").write_text("b", encoding="utf-8")
    (two / "c.md").write_text("c", encoding="utf-8")
    assert news.wait(10)
    watches.close()
    assert {Path(path).parent for path in heard} == {two}

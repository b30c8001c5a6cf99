"""Dagster's three processes: bound to the loopback interface, started through one module that lets them ask less often."""

import functools
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from apps import dagster_parts as parts
from resources.settings import child_environment


def test_all_listen_on_the_loopback_interface_only() -> None:
    code, page = parts.code_server_command(4590), parts.webserver_command(4591, Path("/w.yaml"))
    for words, port in ((code, "4590"), (page, "4591")):
        assert words[words.index("-h") + 1] == "127.0.0.1"
        assert words[words.index("-p") + 1] == port
    assert "-h" not in parts.daemon_command(Path("/w.yaml"))


def test_the_workspace_names_the_code_server(tmp_path: Path) -> None:
    parts.write_workspace(tmp_path / "w.yaml", 4590)
    (server,) = yaml.safe_load((tmp_path / "w.yaml").read_text())["load_from"]
    assert server["grpc_server"] == {"host": "127.0.0.1", "port": 4590, "location_name": "cortex"}


@pytest.mark.parametrize(
    "words", [parts.code_server_command(1), parts.webserver_command(1, Path("w")), parts.daemon_command(Path("w"))]
)
def test_each_command_leads_to_its_program(words: list[str]) -> None:
    """Its help names every option that the command uses."""
    options = [word for word in words[4:] if word.startswith("-")]
    done = subprocess.run([*words[:4], "--help"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert words[:3] == [sys.executable, "-m", "apps.dagster_parts"]
    assert all(option in done.stdout for option in options), shlex.join(words)


def test_every_interval_is_one_that_this_dagster_has() -> None:
    """In a process of its own: the constants are those of whole modules."""
    code = "from apps.dagster_parts import slow_down; print(len(slow_down()))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    assert int(out) == sum(len(constants) for constants in parts.INTERVALS.values())


def test_one_that_a_later_dagster_names_otherwise_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "INTERVALS", {"json": {"NO_SUCH": 1.0, "__name__": 2.0}})
    assert parts.slow_down() == []


def test_a_code_server_ends_when_it_is_told_to_even_where_a_shell_started_it_in_the_background(tmp_path: Path) -> None:
    (tmp_path / "defs.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    words = [*parts.code_server_command(0)[:4], "-f", str(tmp_path / "defs.py"), "-s", str(tmp_path / "socket")]
    environment = child_environment(DAGSTER_HOME=str(tmp_path), DAGSTER_DISABLE_TELEMETRY="yes")
    ignoring = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(
        words, env=environment, preexec_fn=ignoring, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                if "Started Dagster code server" in line:
                    break
            server.terminate()
            assert server.wait(30) is not None
        finally:
            server.kill()

"""Which parts ``cortex up`` starts: command, environment, page, and how to see that one is well.

All listen on 127.0.0.1: none of them asks who one is. The code server holds the definitions for the webserver and the
daemon, so they are loaded once. A further part is a function here and a line in ``chosen_parts``.
"""

import http.client
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apps.app_server import command as app_command
from apps.dagster_parts import code_server_command, daemon_command, webserver_command, write_workspace
from apps.worker import client
from resources.settings import Settings, child_environment

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
PORTS_TRIED = 50
WELL_SECONDS = 5.0


@dataclass(frozen=True)
class Part:
    """A process to keep up.

    Attributes:
        name: for people and logs.
        command: its command line; nothing secret is in it.
        environment: its whole environment.
        url: its page, or empty.
        is_well: whether it answers, asked while it runs; True where it cannot be asked.
        after: names of parts that must be up before it starts.
        patience: seconds that it may take from its start until it is well.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    url: str = ""
    is_well: Callable[[], bool] = field(default=lambda: True, repr=False)
    after: tuple[str, ...] = ()
    patience: float = 90.0


def chosen_parts(settings: Settings, names: frozenset[str], dagster_port: int, app_port: int) -> tuple[Part, ...]:
    """The parts of ``names`` (``worker``, ``dagster``, ``app``), in the order in which they start.

    Args:
        settings: of the data folder.
        names: which are wanted; ``dagster`` stands for code server, webserver and daemon.
        dagster_port: of Dagster's page; the next free one where it is taken.
        app_port: of the app's page; likewise.
    """
    environment = child_environment(
        CORTEX_DATA=str(settings.data_dir),
        DAGSTER_HOME=str(settings.dagster_home),
        DAGSTER_DISABLE_TELEMETRY="yes",
        PYTHONUNBUFFERED="1",
    )
    parts: list[Part] = []
    if "worker" in names:
        parts.append(_worker(settings, environment))
    if "app" in names:
        port = free_port(app_port)
        url = f"http://{HOST}:{port}"
        is_well = _answers(port, "/_stcore/health")
        parts.append(Part("app", tuple(app_command(port)), environment, url, is_well))
    if "dagster" in names:
        parts += _dagster(settings, environment, free_port(dagster_port), free_port(0))
    return tuple(parts)


def _worker(settings: Settings, environment: Mapping[str, str]) -> Part:
    def is_well() -> bool:
        try:
            client.ask(settings.up, "health", seconds=WELL_SECONDS)
        except client.NoWorker:
            return False
        return True

    return Part("worker", (sys.executable, "-m", "apps.worker"), environment, "", is_well)


def _dagster(settings: Settings, environment: Mapping[str, str], port: int, code_port: int) -> list[Part]:
    workspace = settings.up / "workspace.yaml"
    settings.up.mkdir(parents=True, exist_ok=True)
    write_workspace(workspace, code_port)
    return [
        Part("code", tuple(code_server_command(code_port)), environment, "", lambda: is_open(code_port)),
        Part(
            "dagster",
            tuple(webserver_command(port, workspace)),
            environment,
            f"http://{HOST}:{port}",
            _answers(port, "/server_info"),
            ("code",),
        ),
        Part("daemon", tuple(daemon_command(workspace)), environment, "", after=("code", "dagster")),
    ]


def free_port(wanted: int) -> int:
    """A port that nobody listens on: the wanted one or the next ones, or with 0 whichever the system gives.

    Raises:
        OSError: none of the next fifty is free.
    """
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)) if wanted else [0]:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if port and is_open(port):
                continue
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port from {wanted} to {wanted + PORTS_TRIED - 1} is free on {HOST}")


def is_open(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(WELL_SECONDS)
        return probe.connect_ex((HOST, port)) == 0


def _answers(port: int, path: str) -> Callable[[], bool]:
    """Asks a page; it is well when it answers with 200."""

    def is_well() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=WELL_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return is_well

"""The processes of Dagster that ``cortex up`` keeps: one code server with the definitions, the webserver, the daemon.

All three listen on 127.0.0.1 only. Each is started through this module (``python -m apps.dagster_parts WHAT ...``), which
sets how often they ask each other whether they still live: Dagster's every second costs more than all sensors together.
Where a later Dagster names these intervals otherwise, it keeps its own. The webserver answers its own pages only
(``apps.own_pages``), or does not start: Dagster's asks neither who one is nor where one comes from.
"""

import importlib
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.own_pages import OwnPages

HOST = "127.0.0.1"
LOCATION = "cortex"
CODE_SERVER, WEBSERVER, DAEMON = "code-server", "webserver", "daemon"
PROGRAMS = {
    CODE_SERVER: ("dagster._cli", ("api", "grpc")),
    WEBSERVER: ("dagster_webserver.cli", ()),
    DAEMON: ("dagster._daemon.cli", ("run",)),
}
"""What to the module whose ``main`` it is, and the words that come first."""
INTERVALS: Mapping[str, Mapping[str, float]] = {
    "dagster._grpc.server_watcher": {"WATCH_INTERVAL": 20.0},
    "dagster._grpc.server": {"CLEANUP_TICK": 5.0},
    "dagster._daemon.sensor": {"MIN_INTERVAL_LOOP_TIME": 15.0},
    "dagster._daemon.controller": {"THREAD_CHECK_INTERVAL": 15.0},
}
"""Seconds between looks, by module and constant. A code server that was started anew is noticed within 20 seconds."""


def code_server_command(port: int) -> list[str]:
    """Holds the definitions for the other two, and starts runs."""
    where = ["-m", "cortex_assets.definitions", "-h", HOST, "-p", str(port), "--location-name", LOCATION]
    return [*_through(CODE_SERVER), *where]


def webserver_command(port: int, workspace: Path) -> list[str]:
    """The page."""
    return [*_through(WEBSERVER), "-w", str(workspace), "-h", HOST, "-p", str(port)]


def daemon_command(workspace: Path) -> list[str]:
    """Sensors, schedules and the queue of runs."""
    return [*_through(DAEMON), "-w", str(workspace)]


def write_workspace(path: Path, port: int) -> None:
    """Say where the code server is."""
    path.write_text(
        f"load_from:\n  - grpc_server:\n      host: {HOST}\n      port: {port}\n      location_name: {LOCATION}\n",
        encoding="utf-8",
    )


def _through(what: str) -> list[str]:
    return [sys.executable, "-m", "apps.dagster_parts", what]


def slow_down() -> list[str]:
    """Set ``INTERVALS``; what was set, as ``module.CONSTANT``."""
    done = []
    for name, constants in INTERVALS.items():
        module = importlib.import_module(name)
        for constant, seconds in constants.items():
            if isinstance(getattr(module, constant, None), int | float):
                setattr(module, constant, seconds)
                done.append(f"{name}.{constant}")
    return done


def shut_out_other_pages() -> None:
    """Put ``OwnPages`` around the webserver of this process.

    Raises:
        AttributeError: this Dagster builds its webserver in another way.
    """
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.middleware import Middleware

    usual = DagsterWebserver.build_middleware

    def build_middleware(self: Any) -> list[Middleware]:
        return [Middleware(OwnPages), *usual(self)]

    DagsterWebserver.build_middleware = build_middleware  # type: ignore[method-assign]


def main() -> None:
    """Become one of Dagster's programs."""
    # A shell that starts something in the background has it ignore Ctrl-C, and Dagster then ignores SIGTERM, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    what, *words = sys.argv[1:]
    name, first = PROGRAMS[what]
    program = importlib.import_module(name)
    slow_down()
    if what == WEBSERVER:
        shut_out_other_pages()
    sys.argv = [f"dagster {what}", *first, *words]
    program.main()


if __name__ == "__main__":
    main()

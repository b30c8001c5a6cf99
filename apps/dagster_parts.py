"""The processes of Dagster that ``cortex up`` keeps: one code server with the definitions, the webserver, the daemon."""

import sys
from pathlib import Path

HOST = "127.0.0.1"
LOCATION = "cortex"


def code_server_command(port: int) -> list[str]:
    """Holds the definitions for the other two, and starts runs."""
    definitions = ["-m", "cortex_assets.definitions"]
    return [
        sys.executable,
        "-m",
        "dagster",
        "api",
        "grpc",
        *definitions,
        "-h",
        HOST,
        "-p",
        str(port),
        "--location-name",
        LOCATION,
    ]


def webserver_command(port: int, workspace: Path) -> list[str]:
    """The page."""
    return [sys.executable, "-m", "dagster_webserver", "-w", str(workspace), "-h", HOST, "-p", str(port)]


def daemon_command(workspace: Path) -> list[str]:
    """Sensors, schedules and the queue of runs."""
    return [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]


def write_workspace(path: Path, port: int) -> None:
    """Say where the code server is."""
    path.write_text(
        f"load_from:\n  - grpc_server:\n      host: {HOST}\n      port: {port}\n      location_name: {LOCATION}\n",
        encoding="utf-8",
    )

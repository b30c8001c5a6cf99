"""Serve the Dagster UI on the loopback interface, with a DAGSTER_HOME that fits one machine.

Dagster's UI has no authentication: it is never bound to another address here. ``python -m apps.dagster_ui`` is what
``make up-dagster`` runs; ``cortex demo`` ends in it.
"""

import argparse
import socket
import subprocess
import sys
from pathlib import Path

from apps.errors import INTERRUPTED, CommandError
from apps.terminal.console import notice
from resources.settings import child_environment, load_settings

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
INSTANCE = """\
# Written by Cortex when it is missing; edit it as you like.
nux:
  enabled: false
telemetry:
  enabled: false
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 10
concurrency:
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: dagster/partition
        value:
          applyLimitPerUniqueValue: true
        limit: 1
  pools:
    granularity: op
    default_limit: 1
retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days:
      skipped: 3
      failure: 30
      success: 30
run_monitoring:
  enabled: true
  poll_interval_seconds: 300
# Nothing here is automated by conditions or freshness policies: their daemons would only look around.
auto_materialize:
  enabled: false
  use_sensors: false
freshness:
  enabled: false
"""


def prepare_home(home: Path) -> Path:
    """Make a DAGSTER_HOME: write ``dagster.yaml`` where there is none, and open it once.

    A fresh home that two processes open at the same time breaks its SQLite files; after this call it is not fresh.

    Returns:
        The path of ``dagster.yaml``.
    """
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(INSTANCE, encoding="utf-8")
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
    return config


def command(port: int, workspace: Path) -> list[str]:
    """The command line of Dagster's own server: webserver and daemon, loopback only."""
    return [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)]


def serve(port: int) -> int:
    """Serve until Ctrl-C and give back the exit code.

    Raises:
        CommandError: something else listens on the port.
    """
    settings = load_settings()
    if not _is_free(port):
        raise CommandError(f"port {port} is in use", f"{HOST}:{port}", "choose another one: --port 3001")
    prepare_home(settings.dagster_home)
    notice(f"Dagster UI: http://{HOST}:{port}   (Ctrl-C ends it)", "bold green")
    environment = child_environment(
        DAGSTER_HOME=str(settings.dagster_home), CORTEX_DATA=str(settings.data_dir), DAGSTER_DISABLE_TELEMETRY="yes"
    )
    server = subprocess.Popen(command(port, ROOT / "workspace.yaml"), cwd=ROOT, env=environment)
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.wait()  # the terminal sent Ctrl-C to the server, too
        return INTERRUPTED


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((HOST, port)) != 0


def main() -> int:
    """Entry point of ``python -m apps.dagster_ui``."""
    parser = argparse.ArgumentParser(prog="python -m apps.dagster_ui", description="Serve the Dagster UI on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=3000)
    try:
        return serve(parser.parse_args().port)
    except CommandError as error:
        notice(f"error: {error.what}; {error.remedy}", "red")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

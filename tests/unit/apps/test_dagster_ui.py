"""DAGSTER_HOME: the written configuration is one that Dagster loads, a person's own is kept, the UI stays on loopback."""

import socket
from pathlib import Path

import pytest
import yaml

from apps import dagster_ui
from apps.errors import CommandError


def test_home_is_written_loaded_and_kept(tmp_path):
    import dagster as dg

    config = dagster_ui.prepare_home(tmp_path / "home")
    with dg.DagsterInstance.from_config(str(config.parent)) as instance:
        settings = instance.get_concurrency_config()
        assert not instance.telemetry_enabled
        assert settings.run_queue_config.max_concurrent_runs == 2
        assert settings.pool_config.default_pool_limit == 1
    config.write_text("telemetry:\n  enabled: false\n")
    dagster_ui.prepare_home(config.parent)
    assert yaml.safe_load(config.read_text()) == {"telemetry": {"enabled": False}}


def test_the_server_listens_on_loopback_only():
    words = dagster_ui.command(3000, Path("workspace.yaml"))
    assert words[words.index("-h") + 1] == "127.0.0.1"


def test_a_port_in_use_is_said_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEX_DATA", str(tmp_path / "data"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} is in use"):
            dagster_ui.serve(port)
    assert not (tmp_path / "data").exists()

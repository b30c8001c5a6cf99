"""DAGSTER_HOME: the written configuration is one that Dagster loads, a person's own is kept."""

import yaml

from apps import dagster_ui


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

"""A DAGSTER_HOME that fits one machine, with a configuration that Dagster loads. ``apps.dagster_parts`` starts what uses it."""

from pathlib import Path

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

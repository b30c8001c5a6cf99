"""The alert sensor: evaluates the alert checks every quarter of an hour, in place, without a run.

The results are asset checks in the UI; what fires or clears is told once (``definitions`` passes the callable that does so).
"""

from collections.abc import Callable, Sequence

import dagster as dg

EVERY_SECONDS = 900


def alert_sensor(name: str, evaluate: Callable[[], Sequence[dg.AssetCheckEvaluation]]) -> dg.SensorDefinition:
    """Evaluates alert checks.

    Args:
        name: of the sensor.
        evaluate: looks at everything, tells of what changed, and gives the result of each check; empty where nothing
            moved since it looked last.
    """

    @dg.sensor(
        name=name,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Evaluates the alert checks: growth, failures, freshness, disk, soundness, webhooks.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        evaluations = list(evaluate())
        firing = [one.check_name for one in evaluations if not one.passed]
        said = f"firing: {', '.join(firing)}" if firing else "nothing to tell"
        return dg.SensorResult(asset_events=evaluations, skip_reason=said)

    return sensor

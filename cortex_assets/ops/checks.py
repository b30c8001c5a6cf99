"""The alerts as asset checks: one a name, on the statistics of the corpora, without partitions."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from cortex_assets.ops.alerts import ALERTS, ERROR, Alert

ASSET = "corpus_statistics"
DESCRIPTIONS = {
    "growth": "Runs end well, and sources that change or grew come through.",
    "failures": "Few files failed, and no more than before.",
    "freshness": "Every listed corpus was looked at within a week.",
    "disk": "There is room, and there will be.",
    "soundness": "The latest checks found tables, bytes and points in agreement.",
    "webhooks": "Messages reach their receivers.",
}


def alert_evaluations(alerts: Sequence[Alert]) -> list[dg.AssetCheckEvaluation]:
    """The result of each alert check, from what fires."""
    return [
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(ASSET),
            check_name=name,
            passed=not (mine := [alert for alert in alerts if alert.name == name]),
            severity=_severity(mine),
            metadata={"alerts": dg.MetadataValue.json([f"{a.corpus or 'the lake'}: {a.detail}" for a in mine])},
        )
        for name in ALERTS
    ]


def alert_checks(look: Callable[[], Sequence[Alert]]) -> dg.AssetChecksDefinition:
    """Checks that may be run by hand in the UI, and run after the lake job; in between the sensor evaluates them."""
    specs = [dg.AssetCheckSpec(name, asset=ASSET, description=DESCRIPTIONS[name]) for name in ALERTS]

    @dg.multi_asset_check(name="alerts", specs=specs)
    def checks() -> Iterator[dg.AssetCheckResult]:
        for one in alert_evaluations(look()):
            yield dg.AssetCheckResult(
                asset_key=one.asset_key,
                check_name=one.check_name,
                passed=one.passed,
                severity=one.severity,
                metadata=dict(one.metadata),
            )

    return checks


def _severity(alerts: Sequence[Alert]) -> dg.AssetCheckSeverity:
    is_error = any(alert.severity == ERROR for alert in alerts)
    return dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN

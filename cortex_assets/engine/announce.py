"""Word of runs for the outside: messages about how runs of shards ended, put into the webhook spool.

Every run passes here, whoever started it: a command, the worker, Dagster. Where no ``webhooks.yaml`` exists that costs one
stat. Delivering is ``resources.webhooks``'; alerts are told by ``engine.alerting``.
"""

from datetime import UTC, datetime

from cortex_assets.engine.live import LiveRun
from cortex_assets.engine.report import ShardReport
from resources.git_source import redact
from resources.settings import Settings
from resources.webhook_file import RUN_FAILED, RUN_FINISHED
from resources.webhooks import Message, enqueue, message_id

COUNTS = ("new", "changed", "deleted", "failed", "quarantined", "remaining")


def run_finished(settings: Settings, run_id: str, corpus: str, report: ShardReport) -> None:
    """Tell of a run that did something; one that found nothing to do is no news."""
    if not any(stage.did_something for stage in report.stages.values()):
        return
    counts = {f"{stage.stage}_{name}": getattr(stage, name) for stage in report.stages.values() for name in COUNTS}
    notes = [note for stage in report.stages.values() for note in stage.notes]
    _tell(
        settings, RUN_FINISHED, run_id, corpus, report.shard, {k: v for k, v in counts.items() if v}, "; ".join(notes)
    )


def run_failed(settings: Settings, run_id: str, corpus: str, shard: str, reason: str) -> None:
    """Tell of a run that an error ended, or that got nowhere at all (then ``run_id`` is any text of its own)."""
    _tell(settings, RUN_FAILED, run_id, corpus, shard, {}, reason)


def run_interrupted(settings: Settings, corpus: str, run: LiveRun) -> None:
    """Tell of a run that was killed: it could not do so itself."""
    reason = f"interrupted in stage {run.stage or 'none'} after {max(0.0, run.heartbeat_at - run.started_at):.0f} s"
    _tell(settings, RUN_FAILED, run.run_id, corpus, run.shard, {}, reason)


def _tell(
    settings: Settings, event: str, run_id: str, corpus: str, shard: str, counts: dict[str, int], reason: str
) -> None:
    ident = message_id(event, run_id, shard)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    message = Message(event, ident, at, corpus, shard, counts, redact(reason)[:500])
    enqueue(settings.webhooks_file, settings.webhook_spool, message)

"""Alerts of a lake: gathers what the checks of ``ops.alerts`` look at, remembers which fire, tells what began and ended.

Nothing here decides what an alert is.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.changes import pending_since
from cortex_assets.ops import alerts
from cortex_assets.ops.alerts import DEFAULTS, Alert, Thresholds
from cortex_assets.ops.schema import CHECKS, RUNS
from resources.lakehouse import Lakehouse
from resources.settings import Settings
from resources.state import State
from resources.webhook_file import ALERT
from resources.webhooks import Message, enqueue, message_id, spool_state

FIRING = "alerts:firing"
SIZES = "alerts:sizes"
MOST_SIZES = 60
_BAD = ("failed", "quarantined")


@dataclass(frozen=True, slots=True)
class AlertChange:
    """What began and what ended since alerts were looked at last."""

    began: tuple[Alert, ...] = ()
    ended: tuple[str, ...] = ()


def all_alerts(
    lake: Lakehouse,
    state: State,
    settings: Settings,
    corpora: Sequence[Registered],
    looked_at: Callable[[Registered], datetime | None],
    now: datetime,
    limits: Thresholds = DEFAULTS,
) -> list[Alert]:
    """Every alert that fires at ``now``. Reads tables and the disk; writes nothing."""
    listed = [corpus for corpus in corpora if corpus.is_active]
    table = pl.DataFrame(
        [(c.corpus_id, c.name, looked_at(c), c.registered_at) for c in listed],
        schema={
            "corpus_id": pl.String,
            "name": pl.String,
            "looked_at": pl.Datetime(time_zone="UTC"),
            "registered_at": pl.Datetime(time_zone="UTC"),
        },
        orient="row",
    )
    begin = now - timedelta(days=max(limits.pace_days, 15))
    runs = lake.scan(RUNS).filter(pl.col("started_at") > begin).collect()
    checks = lake.scan(CHECKS).filter(pl.col("checked_at") > begin).collect()
    usage = shutil.disk_usage(settings.data_dir)
    limit = max(int(usage.total * settings.min_free_fraction), settings.min_free_bytes)
    spool = spool_state(settings.webhook_spool)
    return [
        *alerts.growth(table, runs, _pending(state, listed), now, limits),
        *alerts.failures(table, _bad_files(lake), runs, now, limits),
        *alerts.freshness(table, now, limits),
        *alerts.disk(usage.free, limit, sizes(state), now, limits),
        *alerts.soundness({shard: c.name for c in listed for shard in c.shards}, checks),
        *alerts.webhooks(spool.waiting, _moment(spool.oldest_at), _moment(spool.dead_at), now, limits),
    ]


def _pending(state: State, listed: Iterable[Registered]) -> dict[str, datetime]:
    since = pending_since(state)
    found: dict[str, datetime] = {}
    for corpus in listed:
        times = [since[shard] for shard in corpus.shards if shard in since]
        if times:
            found[corpus.corpus_id] = datetime.fromtimestamp(min(times), UTC)
    return found


def _bad_files(lake: Lakehouse) -> pl.DataFrame:
    """Files of each corpus, and how many of them failed or are quarantined, as a whole or in part."""
    files = lake.scan(FILES).select("corpus_id", "file_id", "status")
    parsed = lake.scan(DOCUMENTS).filter(pl.col("status").is_in(_BAD)).select("corpus_id", "file_id")
    taken = files.filter(pl.col("status").is_in(_BAD)).select("corpus_id", "file_id")
    bad = pl.concat([parsed, taken]).unique().group_by("corpus_id").len("bad")
    counted = files.group_by("corpus_id").len("files").join(bad, on="corpus_id", how="left")
    return counted.with_columns(pl.col("bad").fill_null(0)).sort("corpus_id").collect()


def sizes(state: State) -> pl.DataFrame:
    """The noted sizes of what Cortex keeps: ``at``, ``bytes``."""
    rows = json.loads(state.meta(SIZES) or "[]")
    schema = {"at": pl.Float64, "bytes": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.from_epoch((pl.col("at") * 1000).cast(pl.Int64), "ms").dt.replace_time_zone("UTC"))


def note_sizes(state: State, folders: Iterable[Path], now: datetime) -> int:
    """Weigh what Cortex keeps and remember it, for the growth a day; the bytes on disk."""
    total = sum(
        path.lstat().st_blocks * 512
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.is_file()
    )
    rows = [*json.loads(state.meta(SIZES) or "[]"), [now.timestamp(), total]]
    state.set_meta(SIZES, json.dumps(rows[-MOST_SIZES:]))
    return total


def tell_changes(state: State, settings: Settings, firing: Sequence[Alert], now: datetime) -> AlertChange:
    """Remember what fires, and put a message into the webhook spool for each alert that began or ended."""
    before: Mapping[str, str] = json.loads(state.meta(FIRING) or "{}")
    began, ended = alerts.changed(list(before), firing)
    for alert in began:
        told = f"{alert.severity}: {alert.detail}"
        _tell(settings, alert.name, alert.corpus, "firing", told, now.isoformat())
    for key in ended:
        name, _, corpus = key.partition(":")
        _tell(settings, name, corpus, "cleared", f"{name}: it is over", now.isoformat())
    after = {alert.key: before.get(alert.key, now.isoformat()) for alert in firing}
    if after != before:
        state.set_meta(FIRING, json.dumps(after, sort_keys=True))
    return AlertChange(tuple(began), tuple(ended))


def firing_since(state: State) -> dict[str, datetime]:
    """Key of each alert that fired when alerts were told last, and since when."""
    return {key: datetime.fromisoformat(at) for key, at in json.loads(state.meta(FIRING) or "{}").items()}


def _tell(settings: Settings, name: str, corpus: str, change: str, reason: str, at: str) -> None:
    counts = {"firing": int(change == "firing")}
    ident = message_id(ALERT, name, corpus, change, at)
    enqueue(
        settings.webhooks_file,
        settings.webhook_spool,
        Message(ALERT, ident, at, corpus, "", counts, f"{name} {change}: {reason}"),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

"""When a person must look: pure alert checks over frames of what is recorded (frames in, alerts out).

Each check is a function of the time it is asked for and of thresholds, so that a test sees it fire and clear. What the
frames are gathered from is ``engine.alerting``'s; who is told is the sensors' and ``apps``'. Paused corpora never alert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

GROWTH, FAILURES, FRESHNESS = "growth", "failures", "freshness"
DISK, SOUNDNESS, WEBHOOKS = "disk", "soundness", "webhooks"
ALERTS = (GROWTH, FAILURES, FRESHNESS, DISK, SOUNDNESS, WEBHOOKS)
ERROR, WARNING = "error", "warning"
DAY = timedelta(days=1)
_BAD_ENDS = ("failed", "interrupted")
_HINTS = frozenset({"complete", "freshness", "quality"})
"""Checks that are no unsoundness: they have an alert, or a column, of their own."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person must look at.

    Attributes:
        name: which check, one of ``ALERTS``.
        corpus: whose it is; empty for the whole lake.
        severity: ``error`` or ``warning``.
        detail: what is wrong and what to do, in one or two sentences.
    """

    name: str
    corpus: str
    severity: str
    detail: str

    @property
    def key(self) -> str:
        """What stays the same while it goes on."""
        return f"{self.name}:{self.corpus}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on something is an alert.

    Attributes:
        stalled: a source has differed for so long, and no run wrote anything since.
        bad_runs: so many runs in a row failed or were interrupted.
        pace_days: days that a corpus's usual pace is told from.
        pace_active: days with growth among them without which there is no usual pace.
        pace_factor: alert after so many times the longest pause among them (3 days at least).
        failed_share: share (0..1) of a corpus's files that failed or are quarantined.
        failed_least: so few are never an alert.
        jump_factor: the last day's share of failures against that of the fourteen days before.
        unseen: a corpus was not looked at for so long.
        disk_factor: free space below so many times what must stay free.
        disk_days: days until the limit is reached, by the growth of the lake and the index.
        unsent: webhook messages have waited for so long.
    """

    stalled: timedelta = timedelta(hours=6)
    bad_runs: int = 3
    pace_days: int = 28
    pace_active: int = 10
    pace_factor: float = 3.0
    failed_share: float = 0.05
    failed_least: int = 5
    jump_factor: float = 3.0
    unseen: timedelta = timedelta(days=7)
    disk_factor: float = 2.0
    disk_days: float = 14.0
    unsent: timedelta = timedelta(hours=1)


DEFAULTS = Thresholds()


def growth(
    corpora: pl.DataFrame,
    runs: pl.DataFrame,
    pending: Mapping[str, datetime],
    now: datetime,
    limits: Thresholds = DEFAULTS,
) -> list[Alert]:
    """Corpora whose runs end badly, whose source differs while nothing is written, or that grow no more as they used to.

    Args:
        corpora: ``corpus_id``, ``name`` of the listed ones.
        runs: rows of ``ops/runs`` of the last ``pace_days``.
        pending: corpus id to since when a shard of it differs from its source.
        now: the time.
        limits: see ``Thresholds``.
    """
    found = []
    for corpus_id, name in corpora.select("corpus_id", "name").iter_rows():
        mine = runs.filter((pl.col("corpus_id") == corpus_id) & (pl.col("started_at") <= now))
        said = _bad_ends(mine, limits) or _stalled(mine, pending.get(corpus_id), now, limits)
        if said:
            found.append(Alert(GROWTH, name, ERROR, said))
        elif said := _slowed(mine, now, limits):
            found.append(Alert(GROWTH, name, WARNING, said))
    return found


def _bad_ends(mine: pl.DataFrame, limits: Thresholds) -> str:
    ends = (
        mine.group_by("run_id")
        .agg(
            pl.col("started_at").max(),
            pl.col("status").is_in(_BAD_ENDS).any().alias("is_bad"),
            pl.col("reason").drop_nulls().last(),
        )
        .sort("started_at", "run_id", descending=True)
    )
    bad = ends.get_column("is_bad").to_list()
    count = bad.index(False) if False in bad else len(bad)
    if count < limits.bad_runs:
        return ""
    return f"the last {count} runs failed or were interrupted ({ends['reason'][0] or 'no reason was noted'}); run it by hand"


def _stalled(mine: pl.DataFrame, since: datetime | None, now: datetime, limits: Thresholds) -> str:
    if since is None:
        return ""
    wrote = mine.filter((pl.col("rows_written") > 0) | (pl.col("deleted_count") > 0))
    last = wrote.select((pl.col("started_at") + pl.duration(milliseconds=pl.col("seconds") * 1000)).max()).item()
    idle = now - max(since, last or since)
    if idle <= limits.stalled:
        return ""
    return f"its source has differed for {_hours(now - since)}, and no run wrote anything for {_hours(idle)}; run it by hand"


def _slowed(mine: pl.DataFrame, now: datetime, limits: Thresholds) -> str:
    today = now.date()
    grew = mine.filter((pl.col("stage") == "files") & (pl.col("new_count") > 0))
    ages = sorted({(today - at.date()).days for at in grew.get_column("started_at").to_list()})
    ages = [age for age in ages if age < limits.pace_days]
    if len(ages) < limits.pace_active:
        return ""
    usual = max(later - earlier for earlier, later in pairwise(ages))
    if ages[0] <= max(3.0, usual * limits.pace_factor):
        return ""
    return (
        f"nothing new for {ages[0]} days; it used to grow every {usual} days at least. Does its source still get files?"
    )


def failures(
    corpora: pl.DataFrame, files: pl.DataFrame, runs: pl.DataFrame, now: datetime, limits: Thresholds = DEFAULTS
) -> list[Alert]:
    """Corpora of whose files too many failed, or of late more than before.

    Args:
        corpora: ``corpus_id``, ``name``.
        files: ``corpus_id``, ``files`` and how many of them are ``bad``: failed or quarantined, or hold what is.
        runs: rows of ``ops/runs`` of the last fifteen days.
        now: the time.
        limits: see ``Thresholds``.
    """
    counts = {
        corpus_id: (count, bad) for corpus_id, count, bad in files.select("corpus_id", "files", "bad").iter_rows()
    }
    found = []
    for corpus_id, name in corpora.select("corpus_id", "name").iter_rows():
        count, bad = counts.get(corpus_id, (0, 0))
        if bad >= limits.failed_least and bad > limits.failed_share * count:
            said = f"{bad} of {count} files failed ({bad / count:.0%}); `cortex status --failed` says why"
            found.append(Alert(FAILURES, name, ERROR, said))
            continue
        parsed = runs.filter((pl.col("corpus_id") == corpus_id) & (pl.col("stage") == "documents"))
        tried, failed = _tries(parsed, now - DAY, now)
        tried_before, failed_before = _tries(parsed, now - 15 * DAY, now - DAY)
        before = failed_before / tried_before if tried_before else 0.0
        rate = failed / tried if tried else 0.0
        is_jump = rate >= limits.jump_factor * before and rate > before + limits.failed_share
        if tried_before and failed >= limits.failed_least and is_jump:
            said = f"{failed} of {tried} files failed within a day ({rate:.0%}), {before:.0%} before that"
            found.append(Alert(FAILURES, name, WARNING, f"{said}; `cortex status --failed` says why"))
    return found


def _tries(parsed: pl.DataFrame, start: datetime, end: datetime) -> tuple[int, int]:
    within = parsed.filter((pl.col("started_at") > start) & (pl.col("started_at") <= end))
    failed = within.select((pl.col("failed_count") + pl.col("quarantined_count")).sum()).item()
    return max(int(within["call_count"].sum()), int(failed)), int(failed)


def freshness(corpora: pl.DataFrame, now: datetime, limits: Thresholds = DEFAULTS) -> list[Alert]:
    """Corpora that nobody looked at for long. ``corpora``: ``name``, ``looked_at`` (null = never), ``registered_at``."""
    found = []
    for name, looked_at, registered_at in corpora.select("name", "looked_at", "registered_at").iter_rows():
        age = now - (looked_at or registered_at)
        if age > limits.unseen:
            when = f"last listed {looked_at:%Y-%m-%d %H:%M} UTC" if looked_at else "never listed"
            found.append(
                Alert(FRESHNESS, name, WARNING, f"{when}; `cortex up` keeps it fresh, `cortex run` does so once")
            )
    return found


def disk(free: int, limit: int, sizes: pl.DataFrame, now: datetime, limits: Thresholds = DEFAULTS) -> list[Alert]:
    """Whether the disk is nearly full, or will be within days by the growth of what Cortex keeps.

    Args:
        free: bytes.
        limit: bytes that must stay free: below, runs stop before writing.
        sizes: ``at`` and ``bytes`` of lake, index and raw store, one row a day or so.
        now: the time.
        limits: see ``Thresholds``.
    """
    remedy = "free some space, run `cortex maintain`, or lower CORTEX_MIN_FREE"
    if free < limit:
        return [
            Alert(
                DISK, "", ERROR, f"{free / 1e9:.1f} GB are free, {limit / 1e9:.1f} GB must stay so: runs stop; {remedy}"
            )
        ]
    if free < limits.disk_factor * limit:
        said = f"{free / 1e9:.1f} GB are free; runs stop below {limit / 1e9:.1f} GB"
        return [Alert(DISK, "", WARNING, f"{said}; {remedy}")]
    recent = sizes.filter(pl.col("at") > now - 14 * DAY).sort("at")
    if recent.height < 2:
        return []
    days = (recent["at"][-1] - recent["at"][0]) / DAY
    daily = (recent["bytes"][-1] - recent["bytes"][0]) / days if days >= 1 else 0.0
    if daily <= 0 or (free - limit) / daily >= limits.disk_days:
        return []
    left = (free - limit) / daily
    return [
        Alert(
            DISK, "", WARNING, f"full in {left:.0f} days: lake and index grow by {daily / 1e9:.2f} GB a day; {remedy}"
        )
    ]


def soundness(shards: Mapping[str, str], checks: pl.DataFrame) -> list[Alert]:
    """Corpora whose latest checks found that tables, bytes or points do not agree.

    A finding of a deep check stands until a later deep check no longer has it; one of a quick check until any later one.

    Args:
        shards: shard to the name of its corpus.
        checks: rows of ``ops/checks``.
    """
    looked = {
        (shard, scope): at
        for shard, scope, at in checks.group_by("shard", "scope").agg(pl.col("checked_at").max()).iter_rows()
    }
    bad: dict[str, list[str]] = {}
    failed = checks.filter(~pl.col("is_passed") & ~pl.col("check").is_in(sorted(_HINTS))).sort(
        "checked_at", "asset", "check"
    )
    for row in failed.iter_rows(named=True):
        shard, at = row["shard"], row["checked_at"]
        deep = looked.get((shard, "deep"), at)
        later = deep if row["scope"] == "deep" else max(deep, looked.get((shard, "quick"), at))
        if shard in shards and later <= at:
            bad.setdefault(shards[shard], []).append(row["detail"] or f"{row['asset']}: {row['check']}")
    remedy = "`cortex verify --repair` makes it agree"
    return [
        Alert(SOUNDNESS, corpus, ERROR, f"{'; '.join(dict.fromkeys(found))[:300]}; {remedy}")
        for corpus, found in sorted(bad.items())
    ]


def webhooks(
    waiting: int, oldest: datetime | None, given_up: datetime | None, now: datetime, limits: Thresholds = DEFAULTS
) -> list[Alert]:
    """Whether messages do not reach their receivers: how many wait, since when, and when one was last given up."""
    if given_up is not None and now - given_up < DAY:
        return [
            Alert(
                WEBHOOKS,
                "",
                ERROR,
                "a message was given up within a day; is the receiver there? See docs/operations.md",
            )
        ]
    if waiting and oldest is not None and now - oldest > limits.unsent:
        said = f"{waiting} messages wait, the first for {_hours(now - oldest)}"
        return [Alert(WEBHOOKS, "", WARNING, f"{said}; is the receiver there, and does `cortex up` run?")]
    return []


def changed(before: Sequence[str], alerts: Sequence[Alert]) -> tuple[list[Alert], list[str]]:
    """(alerts that began, keys of those that ended) against the keys that were firing."""
    keys = {alert.key for alert in alerts}
    return [alert for alert in alerts if alert.key not in before], sorted(set(before) - keys)


def _hours(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return (
        f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
    )

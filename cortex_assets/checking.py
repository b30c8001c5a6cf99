"""Checks of shards and of the lake as a whole, and their repair, over an open house. What is compared is ``engine.verify``'s."""

from collections.abc import Iterator
from datetime import UTC, datetime

from cortex_assets.corpora.derive import duplicates_stage, statistics_stage
from cortex_assets.corpora.registry import Registered
from cortex_assets.documents.checks import reading_findings
from cortex_assets.engine.aggregate import BUCKETS
from cortex_assets.engine.damage import take_out_altered_groups
from cortex_assets.engine.lease import LAKE, LeaseBusy, shard_lease
from cortex_assets.engine.repair import rewrite_points, take_out
from cortex_assets.engine.runs import record_checks
from cortex_assets.engine.unowned import take_out_unowned, unowned
from cortex_assets.engine.verify import Finding, deep, folder_findings, of_the_lake, quick
from cortex_assets.house import House
from cortex_assets.register import Registry


def deep_checks(house: House) -> Iterator[tuple[str, list[Finding] | None]]:
    """``deep_check`` of every shard of every corpus, then ``lake_check`` (shard ``_lake``); None where a run is at work."""
    registry = house.register.now()
    for corpus in registry.corpora:
        for shard in corpus.shards if corpus.is_here else ():
            try:
                yield shard, deep_check(house, shard, corpus, registry)
            except LeaseBusy:
                yield shard, None
    yield LAKE, lake_check(house)


def quick_check(house: House, shard: str) -> list[Finding]:
    """What the checks after a run look at; noted in ``ops/checks``."""
    registry = house.register.now()
    corpus = registry.of_shard(shard)
    if corpus is None:
        return []
    stages, now = house.workshop.stages(corpus, registry), datetime.now(UTC)
    found = quick(house.lake, stages, shard, now, house.looked_at(corpus)) + reading_findings(house.lake, shard)
    record_checks(house.lake, shard, "quick", found, now)
    return found


def deep_check(house: House, shard: str, corpus: Registered, registry: Registry) -> list[Finding]:
    """``quick_check``, and everything read: folder (unless the corpus is paused), rows, bytes, vectors, points. Noted, too.

    Raises:
        LeaseBusy: a run holds the shard, so what is compared would move meanwhile.
    """
    with shard_lease(house.leases, shard):
        stages, now = house.workshop.stages(corpus, registry), datetime.now(UTC)
        folder = folder_findings(stages.files, shard, now) if corpus.is_listed else []
        found = folder + deep(house.lake, stages, house.raw, shard, now, house.looked_at(corpus))
        record_checks(house.lake, shard, "deep", found, now)
        return found


def lake_check(house: House) -> list[Finding]:
    """Aggregates and globals against what they are made from, and what lies in shards that no corpus has."""
    aggregate, whole = duplicates_stage(house.lake, house.state), statistics_stage(house.lake)
    return of_the_lake(aggregate, whole, house.lake) + _unowned(house)


def _unowned(house: House) -> list[Finding]:
    return unowned(house.lake, house.store, _spaces(house), lambda: _owned(house))


def _owned(house: House) -> set[str]:
    return {shard for corpus in house.register.corpora() for shard in corpus.every_shard}


def _spaces(house: House) -> set[str]:
    return {space_id for corpus in house.register.corpora() for space_id in corpus.every_space}


def repair_shard(house: House, shard: str, corpus: Registered, registry: Registry) -> None:
    """Take out what is damaged and make it again; then write the points that still are not what they should be.

    A paused corpus is made sound from what the lake holds: its source is not looked at.

    Raises:
        LeaseBusy: a run holds the shard.
    """
    stages = house.workshop.stages(corpus, registry)
    with shard_lease(house.leases, shard):
        wrong = take_out(house.lake, house.raw, house.state, stages, shard, datetime.now(UTC), corpus.is_listed)
    only = (
        None
        if corpus.is_listed
        else frozenset(stage.name for stage in house.workshop.chain(corpus, registry).stages[1:])
    )
    house.run_shard(shard, only=only, registry=registry)
    with shard_lease(house.leases, shard):
        rewrite_points(stages, shard, wrong, datetime.now(UTC))


def repair_lake(house: House) -> None:
    """Take altered rows of aggregates out, and what lies in shards that no corpus has; recompute what moved.

    Raises:
        LeaseBusy: another run is at it.
    """
    for shard in sorted({finding.shard for finding in _unowned(house)}):
        with shard_lease(house.leases, shard):
            if shard not in _owned(house):
                take_out_unowned(house.lake, house.store, _spaces(house), shard)
    for bucket in BUCKETS:
        take_out_altered_groups(house.lake, bucket)
    house.state.clear_complete(LAKE)
    for bucket in BUCKETS:
        house.state.clear_complete(bucket)
    house.run_lake(datetime.now(UTC))

"""Which shards differ from what they are made from, decided without parsing, embedding or writing a row: for sensors.

A shard that differs comes with a token of how. An equal token means that a run in between changed nothing, so whoever
asks for runs can wait longer each time. Deletes that the guard withholds are no difference: they wait for a person.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.verify import ShardStages
from cortex_assets.identity import value_hash
from inference.errors import InferenceError
from resources.lakehouse import LakeError, Lakehouse
from resources.state import State
from resources.vectors.protocol import DamagedIndexError

NEXT = "changes:next"
PENDING = "changes:pending"
TABLE_SECONDS = 1.0
"""What the shards of a corpus get at least after its listing, however long that took."""

Opened = Callable[[], tuple[FilesStage, ShardStages]]


def differing(
    corpora: Mapping[str, tuple[Sequence[str], Opened]],
    lake: Lakehouse,
    state: State,
    now: datetime,
    seconds: float,
    known: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Look at the shards of many corpora until time is up; the next call goes on with the corpus that was not reached.

    Args:
        corpora: corpus name to its shards and what opens its stages.
        lake: the tables.
        state: remembers where to go on and which shards were quiet at which table versions.
        now: decides which retries are due.
        seconds: after this long no further corpus is begun.
        known: shard to token of how its folder differs, from somebody who watches it; the folder of a corpus all of whose
            shards are named there is not looked at.

    Returns:
        Shard to token, empty where nothing differs; shards that were not looked at are left out.
    """
    deadline = time.monotonic() + seconds
    names = sorted(corpora)
    first = state.meta(NEXT) or ""
    found: dict[str, str] = {}
    for name in [*(n for n in names if n >= first), *(n for n in names if n < first)]:
        if found and time.monotonic() > deadline:
            state.set_meta(NEXT, name)
            return found
        shards, opened = corpora[name]
        try:
            tokens = _known_tokens(shards, known)
            if all(tokens.values()) and tokens:
                found |= tokens
                continue
            found |= _of_corpus(name, shards, *opened(), lake, state, now, deadline, tokens)
        except (InferenceError, LakeError, OSError) as error:
            found |= dict.fromkeys(shards, f"{type(error).__name__}: {error}")
    if first:
        state.set_meta(NEXT, "")
    return found


def next_due(shards: Sequence[str], state: State) -> datetime | None:
    """When the first retry of shards that were quiet at the last look is due; None where nothing waits."""
    retries = [(state.meta(f"quiet:{shard}") or "").partition(" ")[2] for shard in shards]
    return min((datetime.fromisoformat(retry) for retry in retries if retry), default=None)


def note_pending(state: State, tokens: Mapping[str, str], now: float) -> None:
    """Remember since when shards differ (seconds since the epoch); those without a token do no more."""
    before = pending_since(state)
    after = {shard: at for shard, at in before.items() if tokens.get(shard, "?")}
    after |= {shard: now for shard, token in tokens.items() if token and shard not in before}
    if after != before:
        state.set_meta(PENDING, json.dumps(after, sort_keys=True))


def pending_since(state: State) -> dict[str, float]:
    """Shard to the time (seconds since the epoch) since when every look found it differing."""
    return {str(shard): float(at) for shard, at in json.loads(state.meta(PENDING) or "{}").items()}


def _known_tokens(shards: Sequence[str], known: Mapping[str, str] | None) -> dict[str, str]:
    return {shard: known[shard] for shard in shards} if known and all(shard in known for shard in shards) else {}


def _of_corpus(
    name: str,
    shards: Sequence[str],
    files: FilesStage,
    stages: ShardStages,
    lake: Lakehouse,
    state: State,
    now: datetime,
    deadline: float,
    known: Mapping[str, str],
) -> dict[str, str]:
    """Tokens of a corpus's shards; those whose tables could not be looked at in time are the first of the next call."""
    tokens = known or _file_tokens(shards, files, now)
    late = deadline if known else max(deadline, time.monotonic() + TABLE_SECONDS)
    found = {shard: tokens[shard] for shard in shards if tokens.get(shard)}
    first = state.meta(f"{NEXT}:{name}") or ""
    rest = [shard for shard in shards if shard not in found]
    for looked, shard in enumerate([*(s for s in rest if s >= first), *(s for s in rest if s < first)]):
        if looked and time.monotonic() > late:
            state.set_meta(f"{NEXT}:{name}", shard)
            return found
        found[shard] = _table_token(stages, shard, lake, state, now)
    if first:
        state.set_meta(f"{NEXT}:{name}", "")
    return found


def _file_tokens(shards: Sequence[str], files: FilesStage, now: datetime) -> dict[str, str]:
    if files.is_settled():
        return {}
    intake = files.listing(now)
    decision, _ = files.foresee(intake)
    return {shard: intake.token(shard, decision.withheld | decision.protected) for shard in shards}


def _table_token(stages: ShardStages, shard: str, lake: Lakehouse, state: State, now: datetime) -> str:
    """The first stage with work, and a hash of the work; a shard that was quiet at these versions is not read again."""
    try:
        seen = _versions(stages, shard, lake)
        quiet, _, retry = (state.meta(f"quiet:{shard}") or "").partition(" ")
        if quiet == seen and not (retry and datetime.fromisoformat(retry) <= now):
            return ""
        retries = []
        for stage in stages.maps:
            plan = stage.plan(shard, now)
            if not plan.is_empty:
                work = plan.todo.select("input_key", "input_hash").sort("input_key").rows()
                return f"{stage.name} {value_hash((tuple(work), tuple(plan.orphaned)))}"
            retries += [plan.next_retry.isoformat()] if plan.next_retry else []
        due = stages.embed.due(shard, now).get_column("embed_hash").sort().to_list()
        if due:
            return f"{stages.embed.name} {value_hash(tuple(due))}"
        failed = stages.embed.ledger.rows(shard).get_column("retry_at").drop_nulls()
        retries += [moment.isoformat() for moment in failed if moment > now]
        desired, upserts, deletes = stages.index.wanted.pending(shard)
        if upserts or deletes:
            written = desired.filter(pl.col("chunk_id").is_in(upserts)).select("chunk_id", "point_hash")
            return f"{stages.index.name} {value_hash((tuple(written.sort('chunk_id').rows()), tuple(sorted(deletes))))}"
    except DamagedIndexError as error:
        return f"{stages.index.name} {error}"
    state.set_meta(f"quiet:{shard}", f"{seen} {min(retries, default='')}")
    return ""


def _versions(stages: ShardStages, shard: str, lake: Lakehouse) -> str:
    tables = [FILES, DOCUMENTS, CHUNKS, EMBEDDINGS, stages.embed.ledger.table]
    tables += [stage.ledger.table for stage in stages.maps]
    producers = [tuple(sorted(stage.versions.items())) for stage in stages.maps]
    versions = tuple(lake.version(table) for table in tables)
    return str(value_hash((versions, tuple(producers), stages.index.version(shard))))

"""Which shards differ from what they are made from, decided without parsing, embedding or writing a row: for sensors.

A shard that differs comes with a token of how. An equal token means that a run in between changed nothing, so whoever
asks for runs can wait longer each time. Deletes that the guard withholds are no difference: they wait for a person.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache, partial

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.verify import ShardStages
from cortex_assets.identity import value_hash
from cortex_assets.tables import TableSpec
from inference.errors import InferenceError
from resources.lakehouse import LakeError, Lakehouse
from resources.state import State
from resources.vectors.protocol import DamagedIndexError

NEXT = "changes:next"
PENDING = "changes:pending"
TABLE_SECONDS = 1.0
"""What the shards of a corpus get at least after its listing, however long that took."""

QUIET = "quiet:"


@dataclass(frozen=True, slots=True)
class Quiet:
    """How a shard stood when it was found to have no work.

    Attributes:
        versions: of all tables that it is in; see ``_versions``.
        rows: of its own rows; see ``_rows``.
        retry: when the first retry is due (ISO 8601), or empty.
        is_lacking: it has texts without vectors, which a run of another shard may make.
    """

    versions: str
    rows: str
    retry: str
    is_lacking: bool

    @classmethod
    def read(cls, text: str | None) -> "Quiet | None":
        """Inverse of ``text``; None for one of another form."""
        try:
            return cls(**json.loads(text or ""))
        except (ValueError, TypeError):
            return None

    def text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    def is_due(self, now: datetime) -> bool:
        """Whether a retry is due."""
        return bool(self.retry) and datetime.fromisoformat(self.retry) <= now


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
    quiet = [Quiet.read(state.meta(f"{QUIET}{shard}")) for shard in shards]
    return min((datetime.fromisoformat(one.retry) for one in quiet if one and one.retry), default=None)


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
    removed = cache(partial(_all_removals, lake, state, [index.space.space_id for index in stages.indexes]))
    first = state.meta(f"{NEXT}:{name}") or ""
    rest = [shard for shard in shards if shard not in found]
    for looked, shard in enumerate([*(s for s in rest if s >= first), *(s for s in rest if s < first)]):
        if looked and time.monotonic() > late:
            state.set_meta(f"{NEXT}:{name}", shard)
            return found
        found[shard] = _table_token(stages, shard, lake, state, now, removed)
    if first:
        state.set_meta(f"{NEXT}:{name}", "")
    return found


def _file_tokens(shards: Sequence[str], files: FilesStage, now: datetime) -> dict[str, str]:
    if files.is_settled():
        return {}
    intake = files.listing(now)
    decision, _ = files.foresee(intake)
    return {shard: intake.token(shard, decision.withheld | decision.protected) for shard in shards}


def _table_token(
    stages: ShardStages, shard: str, lake: Lakehouse, state: State, now: datetime, removed: Callable[[], int]
) -> str:
    """The first stage with work, and a hash of the work; a shard whose rows are those of the last quiet look is not read again."""
    quiet = Quiet.read(state.meta(f"{QUIET}{shard}"))
    versions = _versions(stages, shard, lake)
    if quiet is not None and not quiet.is_due(now):
        if quiet.versions == versions:
            return ""
        if not quiet.is_lacking and quiet.rows == _rows(stages, shard, lake, removed()):
            state.set_meta(f"{QUIET}{shard}", replace(quiet, versions=versions).text())
            return ""
    try:
        rows = _rows(stages, shard, lake, removed())
        token, retries = _work(stages, shard, now)
    except DamagedIndexError as error:
        return f"{stages.index.name} {error}"
    if not token:
        is_lacking = any(embed.missing(shard).height for embed in stages.embeds)
        state.set_meta(f"{QUIET}{shard}", Quiet(versions, rows, min(retries, default=""), is_lacking).text())
    return token


def _work(stages: ShardStages, shard: str, now: datetime) -> tuple[str, list[str]]:
    """(the first stage with work and a hash of it, or nothing; when retries are due that wait)."""
    retries: list[str] = []
    for stage in stages.maps:
        plan = stage.plan(shard, now)
        if not plan.is_empty:
            work = plan.todo.select("input_key", "input_hash").sort("input_key").rows()
            return f"{stage.name} {value_hash((tuple(work), tuple(plan.orphaned)))}", []
        retries += [plan.next_retry.isoformat()] if plan.next_retry else []
    for embed in stages.embeds:
        due = embed.due(shard, now).get_column("embed_hash").sort().to_list()
        if due:
            return f"{embed.name} {value_hash(tuple(due))}", []
        failed = embed.ledger.rows(shard).get_column("retry_at").drop_nulls()
        retries += [moment.isoformat() for moment in failed if moment > now]
    for index in stages.indexes:
        desired, upserts, deletes = index.wanted.pending(shard)
        if upserts or deletes:
            written = desired.filter(pl.col("chunk_id").is_in(upserts)).select("chunk_id", "point_hash")
            points = tuple(written.sort("chunk_id").rows()), tuple(sorted(deletes))
            return f"{index.name} {value_hash(points)}", []
    return "", retries


def _versions(stages: ShardStages, shard: str, lake: Lakehouse) -> str:
    """Changes with every commit to a table that the shard is in; told by listing logs."""
    versions = tuple(lake.version(table) for table in (*_sharded(stages), EMBEDDINGS))
    return str(value_hash((versions, _producers(stages), _indexed(stages, shard))))


def _rows(stages: ShardStages, shard: str, lake: Lakehouse, removed: int) -> str:
    """Changes when rows of the shard do, whatever is committed for other shards, and when vectors were removed."""
    tokens = tuple(lake.partition_token(table, "shard", [shard]) for table in _sharded(stages))
    return str(value_hash((tokens, removed, _producers(stages), _indexed(stages, shard))))


def _indexed(stages: ShardStages, shard: str) -> tuple[tuple[str, str, int], ...]:
    return tuple(index.version(shard) for index in stages.indexes)


def _sharded(stages: ShardStages) -> list[TableSpec]:
    ledgers = [stage.ledger.table for stage in stages.maps]
    return [FILES, DOCUMENTS, CHUNKS, stages.embed.ledger.table, *ledgers]


def _producers(stages: ShardStages) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple(sorted(stage.versions.items())) for stage in stages.maps)


def _all_removals(lake: Lakehouse, state: State, space_ids: Sequence[str]) -> int:
    return sum(_removals(lake, state, space_id) for space_id in space_ids)


def _removals(lake: Lakehouse, state: State, space_id: str) -> int:
    """How often data files of a space's vectors were seen to go: shards that lack none are untouched by new ones."""
    name = f"changes:vectors:{space_id}"
    before = json.loads(state.meta(name) or '{"count": 0, "files": []}')
    files = sorted(uri.rpartition("/")[2] for uri in lake.files(EMBEDDINGS, {"space_id": space_id}))
    count = int(before["count"]) + bool(set(before["files"]) - set(files))
    if files != before["files"]:
        state.set_meta(name, json.dumps({"count": count, "files": files}))
    return count

"""The short way of ``cortex run`` when there is nothing to do: decided from caches and file stats, without the engine.

``remember`` is called at the end of a run; ``looked`` answers at the beginning of the next one, or says None, and then the
run takes its usual way. Nothing heavy is imported here: Polars alone would take longer than the whole decision.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apps.reports import RunReport, StageLine
from cortex_assets.engine.lease import holders
from cortex_assets.engine.rest import corpus_from_json, corpus_to_json, is_unchanged, observed
from resources.settings import Settings
from resources.state import State

if TYPE_CHECKING:
    from cortex_assets.corpora.registry import Registered
    from cortex_assets.house import House
    from cortex_assets.register import Registry

RECORD = "at rest"


@contextmanager
def looked(settings: Settings) -> Iterator[RunReport | None]:
    """The report of a run that has nothing to do, or None where that is not certain.

    The cache stays open inside: closing SQLite's last connection and opening the next writes 45 kB for nothing.
    """
    begin = time.perf_counter()
    file = settings.cache / "state.sqlite"
    if settings.qdrant_url or settings.bucket or not file.is_file() or holders(settings.locks):
        yield None
        return
    with State(file) as state:
        lines = _lines_at_rest(settings, state)
        yield None if lines is None else RunReport(lines, seconds=time.perf_counter() - begin)


def _lines_at_rest(settings: Settings, state: State) -> tuple[StageLine, ...] | None:
    record = _record(state)
    if record is None or _is_due(record["due"]) or record["observed"] != observed(settings):
        return None
    corpora = [corpus_from_json(values) for values in record["corpora"]]
    if not is_unchanged(corpora, record["tokens"], state):
        return None
    return tuple(StageLine(**line) for line in record["lines"])


def load_engine(settings: Settings) -> None:
    """Import the engine into a fresh process, without what it does not need, and remember what it computes."""
    from resources.memory import loading
    from resources.readahead import libraries_ahead

    libraries_ahead()
    with loading():
        from cortex_assets.lean import import_dataframely

        import_dataframely()
        from apps import running  # noqa: F401
        from cortex_assets.engine.fingerprint import remember_in

    remember_in(settings.cache)


def remember(house: "House", registry: "Registry", done: RunReport) -> None:
    """After a run over all corpora: note how everything stands where it left nothing to do, forget it where it did not."""
    listed = [corpus for corpus in registry.corpora if corpus.is_listed]
    record: dict[str, Any] | None = None
    is_seen = not (house.settings.qdrant_url or house.settings.bucket)
    if is_seen and not (done.withheld or done.busy or done.errors) and all(c.source.kind != "git" for c in listed):
        record = _rest(house, listed, registry)
    text = json.dumps(record) if record is not None else ""
    if text != (house.state.meta(RECORD) or ""):
        house.state.set_meta(RECORD, text)


def _rest(house: "House", listed: Sequence["Registered"], registry: "Registry") -> dict[str, Any] | None:
    now = datetime.now(UTC)
    lines: list[StageLine] = []
    due: list[str] = []
    for corpus in listed:
        if corpus.spaces.next is not None:  # each run asks again whether it may switch
            return None
        chain = house.workshop.chain(corpus, registry)
        for shard in corpus.shards:
            if not chain.is_complete(shard, now):
                return None
            records = house.state.completes(shard)
            unchanged: dict[str, int] = {}
            for stage in chain.stages:
                known = records.get(stage.key, {})
                found = known.get("unchanged", known.get("points", 0))
                unchanged[stage.name] = unchanged.get(stage.name, 0) + found
                due += [known["next_retry"]] if known.get("next_retry") else []
            lines += [StageLine(corpus.name, shard, name, unchanged=count) for name, count in unchanged.items()]
    if not house.is_lake_complete():
        return None
    return {
        "observed": observed(house.settings),
        "corpora": [corpus_to_json(house.workshop.corpus_to_list(corpus, registry)) for corpus in listed],
        "tokens": [house.workshop.chain(corpus, registry).token() for corpus in listed],
        "lines": [asdict(line) for line in lines],
        "due": min(due, default=None),
    }


def _record(state: State) -> dict[str, Any] | None:
    text = state.meta(RECORD)
    record: dict[str, Any] | None = json.loads(text) if text else None
    return record


def _is_due(moment: str | None) -> bool:
    return moment is not None and datetime.fromisoformat(moment) <= datetime.now(UTC)

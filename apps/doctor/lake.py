"""Sources, tables, indexes and models: whether they are there and can be read. ``cortex verify`` compares what is in them."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from apps.migrating import lines
from apps.migration_reports import UNDER_WAY
from apps.running import opened
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.engine.care import TABLES
from cortex_assets.house import House
from cortex_assets.partitions import advised_shards
from inference.errors import InferenceError
from inference.models import packaged_model, pulled_models, verify
from resources.git_source import redact
from resources.lakehouse import LakeError
from resources.settings import Settings
from resources.vectors.protocol import VectorStoreError

MANY_SHARDS = 40


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Look at what the house holds."""
    yield from _models(settings)
    with opened() as house:
        try:
            corpora = house.register.peek().corpora
        except (OSError, ValueError, LakeError, InferenceError) as error:
            yield Diagnosis(
                "sources", "registry", BAD, str(error)[:500], "repair what it names; nothing is run until then"
            )
            return
        yield from _sources(corpora)
        yield from _tables(house)
        yield from _indexes(house, corpora)
        yield from _shards(house, corpora)
        yield from _migrations(house, corpora)


def _models(settings: Settings) -> Iterator[Diagnosis]:
    try:
        found = [packaged_model(), *pulled_models(settings.models)]
    except InferenceError as error:
        yield Diagnosis("models", "packaged", BAD, str(error), "make setup")
        return
    for files in found:
        try:
            verify(files, settings.cache)
        except InferenceError as error:
            yield Diagnosis("models", files.name, BAD, str(error)[:500], "the message names the remedy")
        else:
            yield Diagnosis(
                "models", files.name, GOOD, "its files are what they were when they were packaged or pulled"
            )


def _sources(corpora: tuple[Registered, ...]) -> Iterator[Diagnosis]:
    if not corpora:
        yield Diagnosis("sources", "corpora", GOOD, "none yet: cortex add FOLDER, or copy one into data/inbox")
    for corpus in corpora:
        place = redact(corpus.source.uri)
        if not corpus.is_here:
            detail = f"belongs to machine {corpus.machine}, where {place} is"
            yield Diagnosis("sources", corpus.name, GOOD, detail)
        elif not corpus.is_listed:
            yield Diagnosis("sources", corpus.name, GOOD, f"paused: {place}; kept and still found")
        elif corpus.source.kind == "git":
            yield Diagnosis("sources", corpus.name, GOOD, place)
        elif not Path(corpus.source.uri).is_dir():
            remedy = "mount it, or `cortex remove`; its rows stay until then"
            yield Diagnosis("sources", corpus.name, WARNING, f"{place} is not there", remedy)
        else:
            yield _readable(corpus, place)


def _readable(corpus: Registered, place: str) -> Diagnosis:
    try:
        next(Path(corpus.source.uri).iterdir(), None)
    except OSError as error:
        return Diagnosis("sources", corpus.name, BAD, f"{place}: {error.strerror}", "give this user read access")
    return Diagnosis("sources", corpus.name, GOOD, place)


def _tables(house: House) -> Iterator[Diagnosis]:
    there, bad = 0, []
    for table in TABLES:
        try:
            if house.lake.version(table) >= 0:
                house.lake.rows(table)
                there += 1
        except Exception as error:  # noqa: BLE001 (whatever delta-rs says of a damaged log, that is what is wrong)
            bad.append(
                Diagnosis("lake", table.name, BAD, str(error)[:500], "cortex verify --repair, or restore a backup")
            )
    yield from bad
    yield Diagnosis("lake", "tables", GOOD, f"{there} of {len(TABLES)} are there and can be opened")


def _indexes(house: House, corpora: tuple[Registered, ...]) -> Iterator[Diagnosis]:
    points = shards = 0
    for corpus in corpora:
        for space_id, shard in product(corpus.every_space, corpus.shards):
            try:
                generation = house.store.generation(space_id, shard)
            except (VectorStoreError, OSError) as error:
                yield Diagnosis("lake", f"index {shard}", BAD, str(error)[:500], "cortex verify --repair")
                continue
            shards += generation is not None
            points += generation.points if generation is not None else 0
    detail = f"{shards} shards, {points:,} points"
    if shards > MANY_SHARDS and not house.settings.qdrant_url:
        yield Diagnosis(
            "lake", "index", WARNING, detail, "above 40 shards a Qdrant server is faster: CORTEX_QDRANT_URL"
        )
    else:
        yield Diagnosis("lake", "index", GOOD, detail)


def _migrations(house: House, corpora: tuple[Registered, ...]) -> Iterator[Diagnosis]:
    """Migrations that are not done, and what is kept of those that are."""
    for line in lines(house, corpora, house.register.now()):
        if line.state == UNDER_WAY:
            remedy = f"cortex run goes on with it; cortex migrate {line.corpus} --abandon ends it"
            yield Diagnosis("lake", f"migration of {line.corpus}", WARNING, line.text, remedy)
        else:
            yield Diagnosis("lake", f"migration of {line.corpus}", GOOD, line.text)


def _shards(house: House, corpora: tuple[Registered, ...]) -> Iterator[Diagnosis]:
    """Corpora that have outgrown their shards."""
    files = dict(house.lake.scan(FILES).group_by("corpus_id").len().collect().iter_rows())
    for corpus in corpora:
        advised = advised_shards(files.get(corpus.corpus_id, 0))
        if corpus.shard_count and advised > corpus.shard_count:
            detail = f"{files[corpus.corpus_id]:,} files in {corpus.shard_count} shards"
            yield Diagnosis(
                "lake", f"shards of {corpus.name}", WARNING, detail, f"cortex reshard {corpus.name} --shards {advised}"
            )

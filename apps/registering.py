"""What ``apps.actions`` does about corpora and models: preview, register, remove, pull. Imported late."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from apps.actions import is_address
from apps.errors import USAGE, CommandError
from apps.progress import ProgressSink
from apps.reports import AddOptions, AddPreview, Ignored, ModelLine, Registered, Removed
from apps.running import opened
from apps.views import Resumed
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora import registry as corpora_registry
from cortex_assets.corpora.ignore import corpus_scope
from cortex_assets.corpora.schema import CORPORA, FILES
from cortex_assets.corpora.sources import Source, address_problem, nested_below, slug
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.lease import shard_lease
from cortex_assets.evaluation.schema import FEEDBACK
from cortex_assets.house import House
from cortex_assets.ops.schema import ledger_table
from inference.lanes import parse_engine, space_of
from resources.git_source import redact
from resources.lakehouse import literal
from resources.listing import walk

BYTES_PER_SECOND = 100_000
"""Text that one core embeds in a second with the packaged model (docs/benchmarks.md)."""
DISK_FACTOR = 4.0


def preview(place: str, name: str | None, options: AddOptions) -> AddPreview:
    """See ``apps.actions.preview_add``. A git URL is not fetched: its files are counted at the first run."""
    is_git = is_address(place)
    problem = address_problem(place) if is_git else ""
    if problem:
        raise CommandError(f"the address {problem}", redact(place), "see the example in data/sources.yaml", USAGE)
    called = slug((name or place.rstrip("/").rpartition("/")[2].removesuffix(".git")).encode())
    with opened() as house:
        registered = house.sync_registry().corpora
        known = {corpus.source.uri: corpus for corpus in registered if corpus.is_here}
        taken = {corpus.name: corpus.source.uri if corpus.is_here else "" for corpus in registered}
        if taken.get(called, place) != place:
            raise CommandError("a corpus of that name is registered already", called, "give another one: --name", USAGE)
        if is_git:
            return AddPreview(called, "git", place, 0, 0, (), 0.0, 0, options, place in known)
        source = _source(called, "folder", place, options)
        others = [corpus.source for corpus in known.values() if corpus.is_active and corpus.source.uri != place]
        below = nested_below([*others, source], house.settings.data_dir)[called]
    listing = walk(Path(place), corpus_scope(options.include, options.exclude, below), None, False)
    size = sum(entry[0] for entry in listing.entries.values())
    ignored = tuple(Ignored(reason, count, 0) for reason, count in sorted(Counter(listing.ignored).items()))
    return AddPreview(
        called,
        "folder",
        place,
        len(listing.entries),
        size,
        ignored,
        size / BYTES_PER_SECOND,
        int(size * DISK_FACTOR),
        options,
        place in known,
    )


def _source(name: str, kind: str, place: str, options: AddOptions) -> Source:
    raw = "copy" if options.copies_raw else "reference"
    return Source(
        name,
        kind,
        place,
        options.include,
        options.exclude,
        raw,
        options.keeps_last_good,
        code=options.code_model,
    )


def register(preview: AddPreview) -> Registered:
    """See ``apps.actions.add``."""
    with opened() as house:
        source = _source(preview.name, preview.kind, preview.uri, preview.options)
        code = source.code and space_of(parse_engine(source.code, "--code-model"), house.places).space_id
        corpus = house.register.add(source, corpora_registry.ADDED)
        if code and code not in corpus.every_space:  # it was registered without that model
            house.moving.begin(corpus, code=source.code)
    shown = redact(corpus.source.uri)
    return Registered(corpus.corpus_id, corpus.name, corpus.source.kind, shown, not preview.is_registered)


def remove(name: str, purge: bool) -> Removed:
    """See ``apps.actions.remove``."""
    with opened() as house:
        corpus = next((c for c in house.register.corpora() if c.name == name), None)
        if corpus is None:
            raise CommandError("no corpus has that name", name, "`cortex status` shows their names", USAGE)
        if (
            corpus.origin != corpora_registry.ADDED
            and corpus.is_here
            and Path(corpus.source.uri).is_dir()
            and not purge
        ):
            place = "data/sources.yaml" if corpus.origin == corpora_registry.DECLARED else corpus.source.uri
            raise CommandError(
                f"the corpus is {corpus.origin}, so it would register itself again", place, "take it out of there first"
            )
        if not purge:
            house.register.save(replace(corpus, is_listed=False))
            return Removed(name, False)
        house.register.save(replace(corpus, is_listed=False))
        rows = points = 0
        for shard in corpus.every_shard:
            taken = _purge_shard(house, corpus.every_space, shard)
            rows, points = rows + taken[0], points + taken[1]
            house.forget_completions(shard)
        house.lake.delete_where(FEEDBACK, "corpus_id", [corpus.corpus_id])
        house.lake.overwrite(CORPORA, pl.DataFrame(schema=CORPORA.dtypes), f"corpus_id = {literal(corpus.corpus_id)}")
        house.state.forget_corpus(corpus.corpus_id)
        house.state.clear_complete(corpus.corpus_id)
        house.run_lake(datetime.now(UTC))
    return Removed(name, True, rows, points)


def resume(name: str) -> Resumed:
    """See ``apps.actions.resume``."""
    with opened() as house:
        corpus = next((c for c in house.register.corpora() if c.name == name), None)
        if corpus is None:
            raise CommandError("no corpus has that name", name, "`cortex status` shows their names", USAGE)
        if corpus.origin != corpora_registry.ADDED and not corpus.is_listed:
            place = "data/sources.yaml" if corpus.origin == corpora_registry.DECLARED else corpus.source.uri
            raise CommandError(
                f"the corpus is {corpus.origin}, so it comes back with its source", place, "put it back there"
            )
        if not corpus.is_listed:
            house.register.save(replace(corpus, is_listed=True))
    return Resumed(name)


def _purge_shard(house: House, spaces: Sequence[str], shard: str) -> tuple[int, int]:
    """Delete a shard's points, chunks, documents and files, in this order; (rows, points) deleted."""
    with shard_lease(house.leases, shard):
        generations = [house.store.generation(space_id, shard) for space_id in spaces]
        for space_id in spaces:
            house.store.drop(space_id, shard)
        rows = 0
        for table in (CHUNKS, DOCUMENTS, FILES):
            rows += house.lake.delete_where(table, "shard", [shard]).deleted
        for name in ("documents", "chunks", "embeddings"):
            house.lake.delete_where(ledger_table(name), "shard", [shard])
        house.state.clear_complete(shard)
    return rows, sum(generation.points for generation in generations if generation is not None)


def pull_model(name: str, progress: ProgressSink) -> ModelLine:
    """See ``apps.actions.pull_model``."""
    from inference.pull import pull_model as pull

    with opened() as house:
        files = pull(name, house.settings.models)
    size = sum(path.stat().st_size for path in files.folder.rglob("*") if path.is_file())
    return ModelLine(name, "embed", f"hf:{name}", True, size, files.digest)

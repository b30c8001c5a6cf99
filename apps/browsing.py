"""What ``apps.reader`` shows of tables and files: pages of files, a table's columns, versions and rows, the lineage. Imported late."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import polars as pl

from apps.errors import USAGE, CommandError
from apps.looking import counts_of, file_standing
from apps.reports import not_ok
from apps.residence import looked_in, remembered
from apps.views import (
    Choices,
    ColumnDescribed,
    CommitLine,
    FileLine,
    FilesPage,
    Lineage,
    LineageNode,
    Sample,
    TableDescribed,
)
from apps.watching import live
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.model import KINDS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.care import TABLES
from cortex_assets.house import House
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.tables import TableSpec

LONGEST_VALUE = 300
COUNTED_VERSIONS = 20


def files(corpus: str, status: str | None, text: str, limit: int, offset: int) -> FilesPage:
    """See ``apps.reader.files``."""
    with looked_in() as house:
        known = named(house, corpus)
        standing = remembered(
            house, ("standing", known.corpus_id), (FILES, DOCUMENTS), partial(file_standing, house.lake, known)
        )
        fitting = standing.filter(pl.col("path").str.to_lowercase().str.contains(text.lower(), literal=True))
        by_status = dict(fitting.group_by("status").len().sort("status").iter_rows())
        if status is not None:
            fitting = fitting.filter(pl.col("status") == status)
        lines = tuple(FileLine(**row) for row in fitting.slice(offset, limit).iter_rows(named=True))
        return FilesPage(lines, fitting.height, by_status)


def named(house: House, corpus: str) -> Registered:
    """The corpus of a name.

    Raises:
        CommandError: there is none.
    """
    registered = house.register.corpora()
    known = next((one for one in registered if one.name == corpus), None)
    if known is None:
        names = ", ".join(one.name for one in registered) or "none yet"
        raise CommandError("no corpus has that name", corpus, f"registered are: {names}", USAGE)
    return known


def choices() -> Choices:
    """See ``apps.reader.choices``."""
    with looked_in() as house:
        corpora = tuple(corpus.name for corpus in house.register.corpora())
        languages = remembered(house, "languages", (DOCUMENTS,), partial(_languages, house))
        first = remembered(house, "first day", (SNAPSHOTS,), partial(_first_published, house))
        oldest = datetime.now(UTC) - house.settings.retention
        return Choices(corpora, tuple(KINDS), languages, None if first is None else max(first, oldest).date())


def _languages(house: House) -> tuple[str, ...]:
    found = house.lake.scan(DOCUMENTS).select(pl.col("language").drop_nulls().unique().sort()).collect()
    return tuple(found.to_series())


def _first_published(house: House) -> datetime | None:
    first: datetime | None = house.lake.scan(SNAPSHOTS).select(pl.col("published_at").min()).collect().item()
    return first


def described(name: str) -> TableDescribed:
    """See ``apps.reader.table``."""
    table = _table(name)
    with looked_in() as house:
        return remembered(house, ("described", name), (table,), partial(_described, house, table))


def _table(name: str) -> TableSpec:
    found = next((table for table in TABLES if table.name == name), None)
    if found is None:
        raise CommandError("there is no such table", name, "`cortex sql --tables` lists them", USAGE)
    return found


def _described(house: House, table: TableSpec) -> TableDescribed:
    commits = house.lake.history(table, 200)
    history = tuple(
        CommitLine(
            int(commit["version"]),
            datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
            str(commit.get("operation", "")).lower(),
            house.lake.rows_at(table, int(commit["version"])) if place < COUNTED_VERSIONS else None,
        )
        for place, commit in enumerate(commits)
    )
    columns = tuple(
        ColumnDescribed(
            column,
            str(declared.dtype),
            column in table.key,
            column in table.partition_by,
            declared.nullable,
            str((declared.metadata or {}).get("doc", "")),
        )
        for column, declared in table.schema.columns().items()
    )
    doc = " ".join((table.schema.__doc__ or "").split())
    version = house.lake.version(table)
    return TableDescribed(table.name, table.kind.value, doc, house.lake.rows(table), version, columns, history)


def sample(name: str, columns: Sequence[str], contains: Mapping[str, str], limit: int, version: int | None) -> Sample:
    """See ``apps.reader.sample``."""
    table = _table(name)
    shown = [column for column in table.dtypes if column in columns] or list(table.dtypes)
    unknown = [column for column in contains if column not in table.dtypes]
    if unknown:
        raise CommandError(f"the table has no column {unknown[0]}", name, f"it has {', '.join(table.dtypes)}", USAGE)
    with looked_in() as house:
        rows = house.lake.scan(table, version=version)
        for column, text in contains.items():
            as_text = pl.col(column).cast(pl.String, strict=False) if _is_plain(table.dtypes[column]) else None
            if as_text is None:
                raise CommandError(
                    "a list or bytes cannot be looked through", f"{name}.{column}", "choose another column"
                )
            rows = rows.filter(as_text.str.to_lowercase().str.contains(text.lower(), literal=True))
        found = rows.select(_cut(column, table.dtypes[column]) for column in shown).head(limit).collect()
    return Sample(tuple(shown), tuple(found.iter_rows()))


def _is_plain(dtype: pl.DataType) -> bool:
    return not dtype.is_nested() and dtype != pl.Binary


def _cut(column: str, dtype: pl.DataType) -> pl.Expr:
    """A column as it is shown: long texts cut, bytes by their number, a vector by its first numbers."""
    if dtype == pl.String:
        is_long = pl.col(column).str.len_chars() > LONGEST_VALUE
        return (
            pl.when(is_long).then(pl.col(column).str.head(LONGEST_VALUE) + "…").otherwise(pl.col(column)).alias(column)
        )
    if dtype == pl.Binary:
        return (pl.col(column).bin.size().cast(pl.String) + " bytes").alias(column)
    if isinstance(dtype, pl.List) and dtype.inner == pl.Float32:
        return pl.col(column).list.head(4)
    return pl.col(column)


def lineage() -> tuple[Lineage, ...]:
    """See ``apps.reader.lineage``."""
    states = {line.shard: line for line in live()}
    with looked_in() as house:
        found = []
        for corpus in house.register.corpora():
            counts = counts_of(house, corpus)
            lines = [states[shard] for shard in corpus.shards if shard in states]
            working = {line.stage for line in lines if line.is_working}
            nodes = tuple(
                LineageNode(stage, count, troubled, "running" if stage in working else "")
                for stage, count, troubled in (
                    ("files", sum(counts.files.values()), not_ok(counts.files)),
                    ("documents", counts.documents, 0),
                    ("chunks", counts.chunks, 0),
                    ("embeddings", counts.vectors, 0),
                    ("index", counts.points, 0),
                )
            )
            shards = tuple((shard, states[shard].state if shard in states else "never run") for shard in corpus.shards)
            found.append(Lineage(corpus.name, corpus.is_listed, nodes, shards))
        return tuple(found)

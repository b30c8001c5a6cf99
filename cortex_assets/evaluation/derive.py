"""What an evaluation reads and writes: golden sets of a folder, gold in the lake's documents, the rows of earlier evaluations.

What is asked of the index, and of which spaces, is ``cortex_assets.evaluating``'s, which has the house open.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from io import StringIO
from pathlib import Path

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.evaluation.compare import Asks, Past, Verdict, asks_of, history_of, verdict
from cortex_assets.evaluation.golden import (
    MOST_BYTES,
    SUFFIXES,
    GoldenError,
    GoldenSet,
    Question,
    check_size,
    parse_golden,
)
from cortex_assets.evaluation.resolve import Document, Resolved, Shelf
from cortex_assets.evaluation.schema import ACCEPTED_EVALUATIONS, EVALUATED_QUESTIONS, EVALUATIONS
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse, literal

QUESTIONS_AT_ONCE = 64
"""Texts of the documents that so many questions name are in memory together."""


@dataclass(frozen=True)
class Sets:
    """The golden sets of a folder that can be used, by name, and what is wrong with other files, one line each."""

    found: tuple[GoldenSet, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """What the checks judge.

    Attributes:
        verdicts: golden set to the verdict on its latest evaluation.
        gone: (golden set, question) of questions some of whose gold is not there.
        problems: what is wrong with files of golden sets.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    gone: Sequence[tuple[str, Resolved]] = ()
    problems: Sequence[str] = ()


def golden_files(folder: Path) -> list[Path]:
    """What is read as golden sets, by name: files, and links to nothing, which are a problem to be told; none that are hidden."""
    named = [file for file in folder.glob("*") if file.suffix in SUFFIXES and not file.name.startswith(".")]
    return sorted(file for file in named if file.is_file() or not file.exists())


def golden_sets(folder: Path) -> Sets:
    """Read all sets of a folder; one that cannot be used does not keep others from it."""
    found: dict[str, GoldenSet] = {}
    problems = []
    for file in golden_files(folder):
        try:
            golden = read_golden(file)
        except GoldenError as error:
            problems.append(str(error))
            continue
        if golden.name in found:
            other = found[golden.name].file.name
            problems.append(f"{file}: `set` {golden.name} is the name of {other}, too; give each set its own.")
            continue
        found[golden.name] = golden
    return Sets(tuple(found[name] for name in sorted(found)), tuple(problems))


def read_golden(file: Path) -> GoldenSet:
    """Read one set.

    Raises:
        GoldenError: it is no golden set.
    """
    return parse_golden(StringIO(golden_text(file).removeprefix("\ufeff"), newline=None).read(), file)


def golden_text(file: Path) -> str:
    """The text of a golden set as it stands, line ends included.

    Raises:
        GoldenError: it is too large, not UTF-8, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        check_size(len(content), file)
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise GoldenError(f"{file}: not UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise GoldenError(f"{file}: cannot be read ({error.strerror}); put it right or remove it.") from None


# -- gold --------------------------------------------------------------------------------------------------------------


def resolve_gold(lake: Lakehouse, golden: GoldenSet, names: Mapping[str, str]) -> list[Resolved]:
    """Find the gold of every question in the documents as they are stored now.

    Args:
        lake: the tables.
        golden: the set.
        names: corpus id to name.
    """
    resolved = []
    for first in range(0, len(golden.questions), QUESTIONS_AT_ONCE):
        part = golden.questions[first : first + QUESTIONS_AT_ONCE]
        shelf = _shelf(lake, part, names)
        resolved += [shelf.resolve(question, golden.corpora) for question in part]
    return resolved


def _shelf(lake: Lakehouse, questions: Sequence[Question], names: Mapping[str, str]) -> Shelf:
    golds = [gold for question in questions for gold in question.golds]
    ids, paths = {gold.document_id for gold in golds}, {gold.path for gold in golds}
    quoted = {gold.document_id or gold.path for gold in golds if gold.begins}
    columns = ("document_id", "corpus_id", "path", "inner", "shard")
    named = lake.scan(DOCUMENTS).filter(_named(ids - {""}, paths - {""})).select(columns).collect()
    texts = _texts(lake, named.filter(_named(quoted, quoted)))
    documents = [
        Document(identity, names.get(corpus_id, corpus_id), path, inner, texts.get(identity, ""))
        for identity, corpus_id, path, inner, _ in named.iter_rows()
    ]
    return Shelf(documents, _chunks(lake, {gold.chunk_id for gold in golds} - {""}))


def _named(document_ids: Collection[str], paths: Collection[str]) -> pl.Expr:
    return pl.col("document_id").is_in(sorted(document_ids)) | pl.col("path").is_in(sorted(paths))


def _texts(lake: Lakehouse, documents: pl.DataFrame) -> dict[str, str]:
    keys = {name: documents.get_column(name).unique().sort().to_list() for name in ("shard", "document_id")}
    return dict(lake.scan(DOCUMENTS, keys=keys).select("document_id", "text").collect().iter_rows())


def _chunks(lake: Lakehouse, chunk_ids: Collection[str]) -> dict[str, tuple[str, int, int]]:
    rows = lake.scan(CHUNKS, keys={"chunk_id": sorted(chunk_ids)})
    found = rows.select("chunk_id", "document_id", "start_char", "end_char").collect()
    return {chunk: (document, start, end) for chunk, document, start, end in found.iter_rows()}


# -- what was recorded -------------------------------------------------------------------------------------------------


def past_rows(lake: Lakehouse, set_name: str | None = None) -> pl.DataFrame:
    """Rows of ``gold/evaluations`` of one set, or of all."""
    scan = lake.scan(EVALUATIONS)
    return (scan if set_name is None else scan.filter(pl.col("set_name") == set_name)).collect()


def rows_of(lake: Lakehouse, table: TableSpec, evaluation_id: str) -> pl.DataFrame:
    """Rows of one evaluation."""
    return lake.scan(table, keys={"evaluation_id": [evaluation_id]}).collect()


def record(lake: Lakehouse, evaluation: pl.DataFrame, questions: pl.DataFrame) -> None:
    """Write an evaluation: its questions first, so that one that is there is whole; the same one again changes nothing."""
    identity = literal(evaluation.get_column("evaluation_id")[0])
    lake.overwrite(EVALUATED_QUESTIONS, questions, f"evaluation_id = {identity}")
    lake.overwrite(EVALUATIONS, evaluation, f"evaluation_id = {identity}")


def accept(lake: Lakehouse, set_name: str, evaluation_id: str, now: datetime) -> None:
    """Note that a person takes an evaluation as the one to compare with."""
    row = {"set_name": set_name, "evaluation_id": evaluation_id, "accepted_at": now}
    lake.append(ACCEPTED_EVALUATIONS, pl.DataFrame([row], schema=ACCEPTED_EVALUATIONS.dtypes))


def accepted(lake: Lakehouse, set_name: str) -> str | None:
    """The evaluation of a set that a person accepted last; None where nobody did."""
    rows = lake.scan(ACCEPTED_EVALUATIONS).filter(pl.col("set_name") == set_name).collect().sort("accepted_at")
    return None if rows.is_empty() else str(rows.get_column("evaluation_id")[-1])


def judged(lake: Lakehouse, rows: pl.DataFrame, set_name: str, tolerance: float) -> tuple[list[Past], Verdict]:
    """The history of a set and the verdict on its latest evaluation.

    Args:
        lake: the tables.
        rows: those of ``gold/evaluations`` of the set, at least one.
        set_name: its name.
        tolerance: see ``compare.verdict``.
    """
    history = history_of(rows)
    return history, verdict(history, accepted(lake, set_name), partial(recorded_asks, lake), tolerance)


def recorded_asks(lake: Lakehouse, evaluation_id: str) -> Asks:
    """The questions of an evaluation that were asked of the search that people use, by their hash."""
    return asks_of(rows_of(lake, EVALUATED_QUESTIONS, evaluation_id))

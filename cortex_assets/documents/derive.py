"""The documents derivation: a file's bytes to rows of ``bronze/documents``, routed by media type.

Text families are parsed many files to a frame, on all hands where there are many; isolated routes (HTML, PDF, DOCX) in a
sandbox, where a crash, a hang or a memory eater costs one row. What a parser does is ``documents.parsers``'s.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.gather import RowGatherer
from cortex_assets.documents.model import ParsedDocument
from cortex_assets.documents.parse import PARSE_ERRORS, FileInput, failed_document, parse_file, parse_path
from cortex_assets.documents.registry import ROUTES, UNSUPPORTED, Route, parser_for
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.derivation import Failure, MapDerivation, Output
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.identity import with_row_hash
from cortex_assets.tables import Status, short_reason
from resources.crew import Crew

PARSE_PATH = "cortex_assets.documents.parse.parse_path"
PARSE_APART = "cortex_assets.documents.derive.parse_apart"
SMALL_BYTES = 256 * 1024
"""A larger file is parsed in this process, piece by piece."""
PART_BYTES, PART_FILES, SHARED_FROM = 1024 * 1024, 128, 4
"""What is handed to another process at once, and the number of such parts up to which it is not worth it."""
_FAILURE: dict[str, pl.DataType] = {"failure": pl.String(), "is_transient": pl.Boolean()}
"""Beside a document's columns, on its way between processes: why its file failed, where it did."""
_FAILED = (Status.FAILED.value, Status.QUARANTINED.value)


class Call(Protocol):
    """A call in the sandbox: iterate over what it gives, then ask how it ended."""

    def __iter__(self) -> Iterator[Any]: ...

    @property
    def outcome(self) -> Any:
        """Ends with ``reason`` (empty where all went well) and ``is_permanent``."""
        ...


RawPath = Callable[[Mapping[str, Any]], AbstractContextManager[Path]]
"""Where the bytes of a row of ``bronze/files`` are to be read; an ``OSError`` where they are not those of the row."""
InSandbox = Callable[[str, str, str, str, int], Call]
"""Calls the function of a dotted name on (path, display path, media type, size) in a child process."""


@cache
def documents_derivation() -> MapDerivation:
    """The declaration that the engine plans and applies."""
    producers = {
        route.name: Producer((route.parser, parse_file, RowGatherer), route.packages)
        for route in (*ROUTES, UNSUPPORTED)
    }
    return MapDerivation(
        name="documents",
        upstream=FILES,
        output=DOCUMENTS,
        key="file_id",
        input_columns=("content_hash", "media_type", "path"),
        compute_columns=(
            "corpus_id",
            "shard",
            "path",
            "raw_path",
            "media_type",
            "size",
            "content_hash",
            "store",
            "modified_at",
        ),
        producers=producers,
        route="media_type",
        route_of=_route_name,
        weight="size",
        newest="modified_at",
        where=pl.col("status") == Status.OK.value,
        mark_kept=mark_kept,
    )


def mark_kept(rows: pl.DataFrame, failures: Mapping[str, Failure]) -> pl.DataFrame:
    """Documents of an earlier version of their file, marked: status partial, and a reason that says they are stale.

    Args:
        rows: whole rows of ``bronze/documents`` as they stand; those of a file that gave nothing good are left out.
        failures: file id to why the new version gave none.
    """
    reasons = {
        key: short_reason(f"stale: kept from before, the new version failed: {f.reason}") for key, f in failures.items()
    }
    good = rows.filter(pl.col("status").is_in([Status.OK.value, Status.PARTIAL.value]))
    marked = good.with_columns(
        status=pl.lit(Status.PARTIAL.value),
        reason=pl.col("input_key").replace_strict(reasons, return_dtype=pl.String),
    )
    return with_row_hash(marked.drop("row_hash"), DOCUMENTS.unhashed).select(list(DOCUMENTS.dtypes))


def _route_name(media_type: str) -> str:
    return parser_for(media_type).name


@cache
def _label(route: str) -> str:
    """Label of a route by its name."""
    return next(r for r in (*ROUTES, UNSUPPORTED) if r.name == route).label


class DocumentsCompute:
    """Parses a batch of files.

    Args:
        raw_path: where a file's bytes are; picklable.
        in_sandbox: runs an isolated parser.
        crew: parses small files, too, where there are many.
        keep_last_good: a file that no longer parses keeps its rows from before, marked stale.
    """

    def __init__(
        self, raw_path: RawPath, in_sandbox: InSandbox, crew: Crew | None = None, keep_last_good: bool = False
    ) -> None:
        self._raw_path, self._in_sandbox, self._crew, self._keeps = raw_path, in_sandbox, crew, keep_last_good

    def __call__(self, rows: pl.DataFrame) -> Iterator[Output]:
        """Yield outputs; small files share a frame, a large one has frames of its own."""
        if self._crew is not None and self._crew.hands > 1:
            isolated = [parser_for(media_type).isolated for media_type in rows.get_column("media_type")]
            is_small = (pl.col("size") <= SMALL_BYTES) & ~pl.Series(isolated, dtype=pl.Boolean)
            parts = _parts(rows.filter(is_small))
            if len(parts) > SHARED_FROM:
                rows = rows.filter(~is_small)
                here = partial(parse_apart, raw_path=self._raw_path)
                for part, frame in zip(parts, self._crew.map(PARSE_APART, here, parts, (self._raw_path,)), strict=True):
                    yield self._received(part, frame)
        yield from self._one_by_one(rows)

    def _received(self, part: pl.DataFrame, frame: pl.DataFrame) -> Output:
        """The output that ``parse_apart`` gave as a frame."""
        failed = frame.filter(pl.col("failure").is_not_null()).select("input_key", *_FAILURE)
        failures = {key: Failure(reason, is_transient) for key, reason, is_transient in failed.iter_rows()}
        kept = frozenset(failures) if self._keeps else frozenset()
        return Output(frame.drop(*_FAILURE), tuple(part.get_column("file_id")), failures, kept)

    def _one_by_one(self, rows: pl.DataFrame) -> Iterator[Output]:
        gatherer = RowGatherer()
        finished: list[str] = []
        failures: dict[str, Failure] = {}
        for row in rows.iter_rows(named=True):
            route = parser_for(row["media_type"])
            file = FileInput(
                row["file_id"],
                row["corpus_id"],
                row["shard"],
                row["path"],
                row["media_type"],
                row["size"],
                row["modified_at"],
                _label(route.name),
            )
            failure: list[Failure] = []
            for document in self._parsed(row, route, failure):
                gatherer.add(file, document)
                if gatherer.is_full:
                    yield self._output(gatherer, finished, failures)
                    finished, failures = [], {}
            gatherer.end(file)
            finished.append(file.file_id)
            if failure:
                failures[file.file_id] = failure[0]
        yield self._output(gatherer, finished, failures)

    def _output(self, gatherer: RowGatherer, finished: list[str], failures: dict[str, Failure]) -> Output:
        kept = frozenset(failures) if self._keeps else frozenset()
        return Output(gatherer.frame(), tuple(finished), failures, kept)

    def _parsed(self, row: Mapping[str, Any], route: Route, failure: list[Failure]) -> Iterator[ParsedDocument]:
        """What the parser gives; where it ends badly, a row that says so, and the failure."""
        try:
            with self._raw_path(row) as path:
                if route.isolated:
                    yield from self._isolated(path, row, failure)
                    return
                for document in parse_path(str(path), row["path"], row["media_type"], row["size"]):
                    if document.status.value in _FAILED:
                        failure.append(Failure(document.reason or document.status.value))
                    yield document
        except OSError as error:
            reason = short_reason(f"the bytes cannot be read: {error.strerror or type(error).__name__}")
            failure.append(Failure(reason, is_transient=True))
            yield failed_document(reason)
        except (MemoryError, RecursionError) as error:
            reason = f"{type(error).__name__} while parsing"
            failure.append(Failure(reason, is_transient=isinstance(error, MemoryError)))
            yield failed_document(reason, Status.QUARANTINED)
        except PARSE_ERRORS as error:
            reason = short_reason(f"{type(error).__name__}: {error}")
            failure.append(Failure(reason))
            yield failed_document(reason)

    def _isolated(self, path: Path, row: Mapping[str, Any], failure: list[Failure]) -> Iterator[ParsedDocument]:
        call = self._in_sandbox(PARSE_PATH, str(path), row["path"], row["media_type"], row["size"])
        for document in call:
            if document.status.value in _FAILED:
                failure.append(Failure(document.reason or document.status.value))
            yield document
        outcome = call.outcome
        if outcome.reason:
            failure.append(Failure(outcome.reason, is_transient=not outcome.is_permanent))
            is_raised = type(outcome).__name__ in ("Failed", "Unreadable")
            yield failed_document(outcome.reason, Status.FAILED if is_raised else Status.QUARANTINED)


def parse_apart(rows: pl.DataFrame, raw_path: RawPath) -> pl.DataFrame:
    """Documents of small files that need no sandbox, in whatever process (``resources.crew``).

    Args:
        rows: of ``bronze/files``.
        raw_path: where their bytes are.

    Returns:
        Rows of ``bronze/documents`` and why a file failed: ``failure is_transient``, null where it did not.
    """
    outputs = list(DocumentsCompute(raw_path, _no_sandbox)._one_by_one(rows))
    failures = {key: failure for output in outputs for key, failure in output.failures.items()}
    reasons = pl.DataFrame(
        [(key, failure.reason, failure.is_transient) for key, failure in failures.items()],
        {"input_key": pl.String(), **_FAILURE},
        orient="row",
    )
    frame = pl.concat(output.frame for output in outputs)
    return frame.join(reasons, on="input_key", how="left", maintain_order="left")


def _no_sandbox(*_: object) -> Call:
    raise AssertionError("an isolated route was given to a process of the crew")


def _parts(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut a batch of files, in order."""
    part = (pl.col("size").cum_sum() // PART_BYTES + pl.int_range(pl.len()) // PART_FILES).rle_id()
    return rows.with_columns(part.alias("_part")).partition_by("_part", maintain_order=True, include_key=False)

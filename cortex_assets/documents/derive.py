"""The documents derivation: a file's bytes to rows of ``bronze/documents``, routed by media type.

Text families are parsed in this process, many files to a frame; isolated routes (HTML, PDF, DOCX) in a sandbox, where a
crash, a hang or a memory eater costs one row. What a parser does is ``documents.parsers``'s.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.errors import in_words, raised, told_in_words
from cortex_assets.documents.gather import RowGatherer
from cortex_assets.documents.members import member_of
from cortex_assets.documents.model import ParsedDocument, ParseOptions
from cortex_assets.documents.parse import FileInput, failed_document, parse_file, parse_path
from cortex_assets.documents.recovery import Call, Recovery
from cortex_assets.documents.redact import MASKING, Redaction, redacted_line
from cortex_assets.documents.registry import PARSE_ERRORS, ROUTES, UNSUPPORTED, Route, parser_for
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.derivation import Failure, MapDerivation, Output
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.identity import with_row_hash
from cortex_assets.tables import Status, short_reason

PARSE_PATH = "cortex_assets.documents.parse.parse_path"
PAGE_TEXT = "cortex_assets.documents.parse.page_text"
_FAILED = (Status.FAILED.value, Status.QUARANTINED.value)


class InSandbox(Protocol):
    """Runs functions in child processes."""

    def call(self, function: str, *args: Any) -> Call:
        """Call the function of a dotted name in a warm child."""
        ...

    def call_apart(self, function: str, *args: Any) -> Call:
        """The same in a child that is started for it."""
        ...


RawPath = Callable[[Mapping[str, Any]], AbstractContextManager[Path]]
"""Where the bytes of a row of ``bronze/files`` are to be read; an ``OSError`` where they are not those of the row."""


@cache
def documents_derivation(redaction: Redaction = MASKING) -> MapDerivation:
    """The declaration that the engine plans and applies, for a corpus's wishes about secrets."""
    producers = {route.name: _producer(route, redaction) for route in (*ROUTES, UNSUPPORTED)}
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


def _producer(route: Route, redaction: Redaction) -> Producer:
    """What a route's rows depend on; a container's on every parser, as its members may be anything."""
    inner = [other for other in ROUTES if other is not route] if route.is_container else []
    packages = sorted({package for other in (route, *inner) for package in other.packages})
    parsers = [other.parser for other in (route, *inner)]
    return Producer((*parsers, parse_file, RowGatherer), tuple(packages), settings=redaction.settings)


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
        raw_path: where a file's bytes are.
        sandbox: gives what runs isolated parsers; asked at the first of them.
        keep_last_good: a file that no longer parses keeps its rows from before, marked stale.
        options: gives the corpus's passwords and limits; asked once a batch.
        redaction: what becomes of secrets, in rows and in reasons.
        found: told the shard and how often each rule found something, before the rows that say so are given.
        at: told the shard and the path of a file before it is parsed.
    """

    def __init__(
        self,
        raw_path: RawPath,
        sandbox: Callable[[], InSandbox],
        keep_last_good: bool = False,
        options: Callable[[], ParseOptions] = ParseOptions,
        redaction: Redaction = MASKING,
        found: Callable[[str, Mapping[str, int]], None] | None = None,
        at: Callable[[str, str], None] | None = None,
    ) -> None:
        self._raw_path, self._sandbox, self._keeps, self._options = raw_path, sandbox, keep_last_good, options
        self._redaction, self._found, self._at = redaction, found, at

    def __call__(self, rows: pl.DataFrame) -> Iterator[Output]:
        """Yield outputs; small files share a frame, a large one has frames of its own."""
        gatherer = RowGatherer(self._redaction)
        finished: list[str] = []
        failures: dict[str, Failure] = {}
        options = self._options()
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
            look = partial(gatherer.look, file)
            if self._at is not None:
                self._at(file.shard, file.path)
            for document in self._parsed(row, route, options, failure, look):
                gatherer.add(file, document)
                if gatherer.is_full:
                    yield self._output(gatherer, finished, failures)
                    finished, failures = [], {}
            gatherer.end(file)
            finished.append(file.file_id)
            if failure:
                reason = redacted_line(failure[0].reason, self._redaction)
                failures[file.file_id] = replace(failure[0], reason=reason)
        yield self._output(gatherer, finished, failures)

    def _output(self, gatherer: RowGatherer, finished: list[str], failures: dict[str, Failure]) -> Output:
        kept = frozenset(failures) if self._keeps else frozenset()
        frame = gatherer.frame()
        counts = gatherer.take_counts()
        if counts and self._found is not None:
            self._found(frame.item(0, "shard"), counts)
        return Output(frame, tuple(finished), failures, kept)

    def _parsed(
        self,
        row: Mapping[str, Any],
        route: Route,
        options: ParseOptions,
        failure: list[Failure],
        look: Callable[[Path], None],
    ) -> Iterator[ParsedDocument]:
        """What the parser gives; where it ends badly, a row that says so, and the failure."""
        try:
            with self._raw_path(row) as path:
                if not route.is_verbatim:
                    look(path)
                if route.isolated:
                    yield from self._isolated(path, row, route, options, failure)
                    return
                yield from _here(path, row, route, options, failure, look)
        except OSError as error:
            reason = short_reason(f"the bytes cannot be read: {error.strerror or in_words(error)}")
            failure.append(Failure(reason, is_transient=True))
            yield failed_document(reason)
        except (MemoryError, RecursionError) as error:
            reason = f"{in_words(error)} while it was parsed: split it, or save it again"
            failure.append(Failure(reason, is_transient=isinstance(error, MemoryError)))
            yield failed_document(reason, Status.QUARANTINED)
        except PARSE_ERRORS as error:
            reason = raised(in_words(error, 100))
            failure.append(Failure(reason))
            yield failed_document(reason)

    def _isolated(
        self, path: Path, row: Mapping[str, Any], route: Route, options: ParseOptions, failure: list[Failure]
    ) -> Iterator[ParsedDocument]:
        """In child processes, over again without what ended one; then how that went."""
        media, sandbox = row["media_type"], self._sandbox()

        def parse(attempt: ParseOptions) -> Call:
            return sandbox.call(PARSE_PATH, str(path), row["path"], media, row["size"], attempt)

        def read_page(number: int, attempt: ParseOptions) -> Call:
            return sandbox.call_apart(PAGE_TEXT, str(path), media, number, attempt)

        recovery = Recovery(parse, read_page if route.page_function else None, options)
        for document in recovery.documents():
            _note(document, failure)
            yield document
        ending = recovery.ending
        if ending is None:
            return
        reason = ending.reason
        if ending.is_raised:
            words = told_in_words(reason)
            reason = f"the bytes cannot be read: {words}" if ending.is_transient else raised(words)
        failure.append(Failure(reason, is_transient=ending.is_transient))
        if ending.is_whole:
            yield failed_document(reason, Status.FAILED if ending.is_raised else Status.QUARANTINED)


def _here(
    path: Path,
    row: Mapping[str, Any],
    route: Route,
    options: ParseOptions,
    failure: list[Failure],
    look: Callable[[Path], None],
) -> Iterator[ParsedDocument]:
    """In this process; the bytes of a verbatim file are looked at where they did not become text."""
    is_read = False
    try:
        for document in parse_path(str(path), row["path"], row["media_type"], row["size"], options):
            if isinstance(document, ParsedDocument):
                if route.is_verbatim and not is_read and not document.text:
                    look(path)
                is_read = True
                _note(document, failure)
                yield document
    except PARSE_ERRORS:
        if route.is_verbatim and not is_read:
            look(path)
        raise


def _note(document: ParsedDocument, failure: list[Failure]) -> None:
    """Record that a file failed; a member that did has its row, and its file goes on."""
    if document.status.value in _FAILED and not member_of(document.inner):
        failure.append(Failure(document.reason or document.status.value))

"""Clicks that are noted and candidates that are decided, over an open house: how golden sets grow out of use.

What makes a candidate is ``evaluation.candidates``', where its gold is ``evaluation.collect``'s. Accepted questions are
added to one golden set of their own (``evaluation.written``).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.lease import shard_lease
from cortex_assets.evaluation.candidates import Candidate, candidate_id
from cortex_assets.evaluation.collect import Proposed, decided, from_clicks, from_headings
from cortex_assets.evaluation.derive import golden_sets, golden_text
from cortex_assets.evaluation.golden import GoldenError, check_size, parse_golden
from cortex_assets.evaluation.schema import DECIDED_CANDIDATES, FEEDBACK
from cortex_assets.evaluation.written import FILE, with_questions
from cortex_assets.house import House
from cortex_assets.identity import content_id
from cortex_assets.register import Registry
from resources.lakehouse import Lakehouse

LEASE = "global.golden"
HEADINGS = 10
"""So many headings of each corpus are proposed at once."""
ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True, slots=True)
class Cited:
    """A click on a passage of a document.

    Attributes:
        question: what was asked.
        how: of ``evaluation.schema.CLICKS``.
        document_id: which document.
        chunk_id: the passage; where there is none of that id, the span is.
        start_char: first character; an empty span is the whole document.
        end_char: one past the last.
        clicked_at: when (aware).
    """

    question: str
    how: str
    document_id: str
    chunk_id: str
    start_char: int
    end_char: int
    clicked_at: datetime


def note(lake: Lakehouse, cited: Sequence[Cited]) -> int:
    """Write clicks down with what they cite, in one commit; those on documents that are gone meanwhile cite nothing and are left out.

    Returns:
        How many were noted.
    """
    ids = sorted({one.document_id for one in cited})
    columns = ("document_id", "corpus_id", "path", "inner", "text_hash", "text")
    found = lake.scan(DOCUMENTS, keys={"document_id": ids}).select(columns).collect()
    documents = {row["document_id"]: row for row in found.iter_rows(named=True)}
    chunks = lake.scan(CHUNKS, keys={"chunk_id": sorted({one.chunk_id for one in cited} - {""})})
    spans = {c: (a, b) for c, a, b in chunks.select("chunk_id", "start_char", "end_char").collect().iter_rows()}
    rows = [
        _row(one, documents[one.document_id], spans.get(one.chunk_id, (one.start_char, one.end_char)))
        for one in cited
        if one.document_id in documents
    ]
    frame = pl.DataFrame(rows, schema=FEEDBACK.dtypes)
    lake.append(FEEDBACK, FEEDBACK.schema.validate(frame))
    return len(rows)


def _row(one: Cited, document: Mapping[str, Any], span: tuple[int, int]) -> dict[str, Any]:
    place = {name: document[name] for name in ("corpus_id", "path", "inner", "document_id", "text_hash")}
    quote = document["text"][slice(*span)]
    row = place | {"question": one.question, "how": one.how, "quote": quote, "start_char": span[0]}
    parts = (one.question, one.how, *place.values(), quote, span[0], one.clicked_at.isoformat())
    return row | {"feedback_id": content_id("feedback", *parts), "clicked_at": one.clicked_at}


def cite(house: House, registry: Registry, place: str, line: int | None) -> tuple[str, str] | None:
    """Documents with the passage at a place: the chunk of a line, or all of it.

    Args:
        house: where.
        registry: its corpora.
        place: ``corpus/path``, with ``!member`` where it is in a container.
        line: from 1; None = the whole document.

    Returns:
        Document and chunk id, the latter empty for a whole document; None where nothing is there.
    """
    name, _, rest = place.partition("/")
    path, _, member = rest.partition("!")
    corpus = registry.by_name(name)
    if corpus is None:
        return None
    mine = (pl.col("corpus_id") == corpus.corpus_id) & (pl.col("path") == path)
    documents = house.lake.scan(DOCUMENTS).filter(mine).select("document_id", "inner").collect()
    ids = [
        document
        for document, inner in documents.sort("inner").iter_rows()
        if member.lstrip("/") in (inner.lstrip("/"), inner.partition("#part-")[0].lstrip("/"))
    ]
    if line is None:
        return (ids[0], "") if ids else None
    chunks = house.lake.scan(CHUNKS).filter(
        pl.col("document_id").is_in(ids) & (pl.col("start_line") <= line) & (pl.col("end_line") >= line)
    )
    found = chunks.select("document_id", "chunk_id", "start_char").collect().sort("document_id", "start_char")
    return None if found.is_empty() else (found["document_id"][0], found["chunk_id"][0])


def candidates(house: House, registry: Registry) -> Proposed:
    """Questions that might go into a golden set: none that is in one, or that was decided before.

    Those from clicks come first, then those from headings.
    """
    names = {corpus.corpus_id: corpus.name for corpus in registry.corpora}
    shards = {corpus.corpus_id: corpus.shards for corpus in registry.corpora if corpus.is_listed}
    asked = {candidate_id(one.text) for golden in golden_sets(house.settings.golden).found for one in golden.questions}
    known = decided(house.lake) | asked
    clicked = from_clicks(house.lake, names, known)
    known |= {one.candidate_id for one in clicked.candidates}
    headed = from_headings(house.lake, names, shards, known, HEADINGS)
    return replace(clicked, candidates=(*clicked.candidates, *headed.candidates))


def accept(house: House, chosen: Sequence[Candidate], wording: Mapping[str, str], now: datetime) -> Path:
    """Add candidates to the golden set of accepted questions, and note that they are decided.

    Args:
        house: where.
        chosen: at least one.
        wording: candidate id to the question as it is to be asked instead.
        now: when (aware).

    Returns:
        The file of the set, as it was where all are decided meanwhile.

    Raises:
        GoldenError: the file cannot be added to.
        LeaseBusy: another process accepts.
    """
    file = house.settings.golden / FILE
    with shard_lease(house.leases, LEASE):
        done = decided(house.lake)
        left = [one for one in chosen if one.candidate_id not in done]
        if not left:
            return file
        text = golden_text(file) if file.exists() else ""
        questions = [replace(one.question, text=wording.get(one.candidate_id, one.question.text)) for one in left]
        whole = with_questions(text, questions, file)
        check_size(len(whole.encode()), file)
        name = parse_golden(whole, file).name
        twin = next((one for one in golden_sets(file.parent).found if one.name == name and one.file != file), None)
        if twin is not None:
            raise GoldenError(f"{twin.file}: `set` {name} is the name of {FILE}; give it another name.")
        _write(file, whole)
        _decide(house.lake, left, ACCEPTED, now)
    return file


def refuse(house: House, chosen: Sequence[Candidate], now: datetime) -> None:
    """Note that candidates are not wanted; they are not proposed again."""
    _decide(house.lake, chosen, REFUSED, now)


def _decide(lake: Lakehouse, chosen: Sequence[Candidate], decision: str, now: datetime) -> None:
    rows = [{"candidate_id": one.candidate_id, "decision": decision, "decided_at": now} for one in chosen]
    lake.append(DECIDED_CANDIDATES, pl.DataFrame(rows, schema=DECIDED_CANDIDATES.dtypes))


def _write(file: Path, text: str) -> None:
    """Put a file in its place whole; a crash leaves the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with open(fresh, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)

"""Clicks, topics and texts out of the lake, as candidates are made of them; and candidates whose gold was found again.

What a candidate is, is ``candidates``'; which corpora there are, and which questions are known, says the caller.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from cortex_assets.documents.model import Structure
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.evaluation.anchors import anchors
from cortex_assets.evaluation.candidates import (
    Asked,
    Candidate,
    Clicked,
    Judged,
    Section,
    Topics,
    asked_by_clicks,
    candidate_id,
    sections,
)
from cortex_assets.evaluation.golden import Gold, Question
from cortex_assets.evaluation.resolve import Document, Shelf, find_span
from cortex_assets.evaluation.schema import DECIDED_CANDIDATES, FEEDBACK
from cortex_assets.retrieval.routes import question_form
from resources.lakehouse import Lakehouse

UNTITLED = ("code", "data", "table", "database", "none")
"""Kinds of documents whose headings are no topics that people ask for."""
MOST_ASKED = 64
"""Questions with clicks that are proposed at once; the rest follow when these are decided."""
FILES_AT_ONCE = 2_000
_Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Proposed:
    """Candidates, and how many judged passages are not to be found any more."""

    candidates: tuple[Candidate, ...]
    lost: int = 0


def clicks(lake: Lakehouse) -> list[Clicked]:
    """Everything that was clicked; what was written twice counts once."""
    rows = lake.scan(FEEDBACK).unique("feedback_id").select(Clicked._fields).collect()
    return [Clicked(*row) for row in rows.iter_rows()]


def decided(lake: Lakehouse) -> frozenset[str]:
    """Ids of candidates that were accepted or refused."""
    return frozenset(lake.scan(DECIDED_CANDIDATES).select("candidate_id").collect().to_series())


def from_clicks(lake: Lakehouse, names: Mapping[str, str], known: Collection[str]) -> Proposed:
    """Candidates from what people asked and clicked on.

    Args:
        lake: the tables.
        names: corpus id to name; passages of other corpora are lost.
        known: ids of candidates that are not wanted.
    """
    asked = [one for one in asked_by_clicks(clicks(lake)) if candidate_id(one.question) not in known]
    found, lost = list[Candidate](), 0
    for first in range(0, len(asked), MOST_ASKED):
        made = _from_asked(lake, names, asked[first : first + MOST_ASKED])
        found, lost = [*found, *made.candidates], lost + made.lost
        if len(found) >= MOST_ASKED:
            break
    return Proposed(tuple(found[:MOST_ASKED]), lost)


def _from_asked(lake: Lakehouse, names: Mapping[str, str], asked: Sequence[Asked]) -> Proposed:
    """Candidates from some questions; those whose passages are gone give none."""
    judged = [passage for one in asked for passage in one.passages]
    named = pl.col("path").is_in(sorted({one.path for one in judged}))
    moved = pl.col("text_hash").is_in(sorted({one.text_hash for one in judged}))
    shelved = _Shelved(lake, names, named | moved)
    found = [shelved.asked(one) for one in asked]
    return Proposed(tuple(one for one, _ in found if one is not None), sum(lost for _, lost in found))


def from_headings(
    lake: Lakehouse, names: Mapping[str, str], shards: Mapping[str, Sequence[str]], known: Collection[str], most: int
) -> Proposed:
    """Candidates from headings that read as topics and stand once in their corpus.

    Args:
        lake: the tables.
        names: corpus id to name.
        shards: corpus id to its shards.
        known: ids of candidates that are not wanted.
        most: so many of each corpus.
    """
    found: list[Candidate] = []
    for corpus_id, mine in shards.items():
        topics = Topics(most, frozenset(known) | {one.candidate_id for one in found})
        for shard in mine:
            _read_topics(lake, shard, topics)
        spare = topics.unique()
        for first in range(0, len(spare), most):
            part = spare[first : first + most]
            ids = sorted({document for document, _ in part})
            shelved = _Shelved(lake, {corpus_id: names[corpus_id]}, pl.col("document_id").is_in(ids))
            made = (shelved.topic(document, section) for document, section in part)
            found += [one for one in made if one is not None]
            if sum(one.question.golds[0].corpus == names[corpus_id] for one in found) >= most:
                break
    return Proposed(tuple(_at_most(found, most)))


def _at_most(found: Iterable[Candidate], most: int) -> list[Candidate]:
    counts: dict[str, int] = {}
    kept = []
    for one in found:
        corpus = one.question.golds[0].corpus
        counts[corpus] = counts.get(corpus, 0) + 1
        if counts[corpus] <= most:
            kept.append(one)
    return kept


def _read_topics(lake: Lakehouse, shard: str, topics: Topics) -> None:
    """Note the topics of a shard, the structures of some files in memory at a time."""
    here, is_text = {"shard": shard}, ~pl.col("kind").is_in(UNTITLED)
    scan = lake.scan(DOCUMENTS, where=here).filter(is_text)
    files = scan.select("input_key").unique().collect().to_series().sort().to_list()
    for first in range(0, len(files), FILES_AT_ONCE):
        part = lake.scan(DOCUMENTS, where=here, keys={"input_key": files[first : first + FILES_AT_ONCE]}).filter(
            is_text
        )
        for document, structure, length in part.select("document_id", "structure", "char_count").collect().iter_rows():
            if '"title":' in structure:
                topics.add(document, sections(Structure.from_json(structure).headings, length))


class _Shelved:
    """Documents that passages are looked for in, with every document that their paths could be taken for."""

    def __init__(self, lake: Lakehouse, names: Mapping[str, str], wanted: pl.Expr) -> None:
        columns = ("document_id", "corpus_id", "path", "inner", "text_hash", "text")
        scan = lake.scan(DOCUMENTS)
        paths = scan.filter(wanted).select("path").collect().to_series().unique().sort().to_list()
        rows = scan.filter(wanted | pl.col("path").is_in(paths)).select(columns).collect()
        self._names = names
        self._rows: list[_Row] = list(rows.sort("path", "inner", "document_id").iter_rows(named=True))
        self._by_id = {row["document_id"]: row for row in self._rows}
        self._shelf = Shelf(
            Document(str(row["document_id"]), self._name(row), str(row["path"]), str(row["inner"]), str(row["text"]))
            for row in self._rows
        )

    def _name(self, row: _Row) -> str:
        return self._names.get(str(row["corpus_id"]), str(row["corpus_id"]))

    def asked(self, asked: Asked) -> tuple[Candidate | None, int]:
        """A candidate of the passages that are still there, and how many are not."""
        found = [gold for one in asked.passages if (gold := self._judged(one)) is not None]
        golds, lost = list(dict.fromkeys(found)), len(asked.passages) - len(found)
        if not golds:
            return None, lost
        liked = sum(gold.grade > 1 for gold in golds)
        told = [f"{liked} liked"] * bool(liked) + [f"{len(golds) - liked} opened"] * (len(golds) > liked)
        form = question_form(asked.question).form.name.lower()
        return _candidate(asked.question, form, golds, "clicks", ", ".join(told)), lost

    def _judged(self, passage: Judged) -> Gold | None:
        """The gold of a passage where it stood, else in a document that has the very text."""
        if passage.corpus_id not in self._names:
            return None
        mine = [row for row in self._rows if row["corpus_id"] == passage.corpus_id]
        same = [row for row in mine if (row["path"], row["inner"]) == (passage.path, passage.inner)]
        for row in same or [row for row in mine if row["text_hash"] == passage.text_hash]:
            span = (0, 0) if not passage.quote else find_span(str(row["text"]), passage.quote)
            gold = None if span is None else self._gold(row, span, passage.grade)
            if gold is not None:
                return gold
        return None

    def topic(self, document_id: str, section: Section) -> Candidate | None:
        """A candidate of a section."""
        row = self._by_id.get(document_id)
        gold = None if row is None else self._gold(row, (section.start, section.end), 3)
        if row is None or gold is None:
            return None
        return _candidate(section.title, "keywords", [gold], "heading", "a heading")

    def _gold(self, row: _Row, span: tuple[int, int], grade: int) -> Gold | None:
        """A gold that resolves to just this passage (an empty one: this document), or None."""
        text, member = str(row["text"]), str(row["inner"]).partition("#part-")[0]
        words = ("", "") if span[1] <= span[0] else anchors(text, *span)
        if words is None:
            return None
        gold = Gold(str(row["path"]), self._name(row), member, grade=grade, begins=words[0], ends=words[1])
        (target,) = self._shelf.resolve(Question("", "", "", (gold,))).targets or (None,)
        if target is None or (gold.begins and target.document_ids != {row["document_id"]}):
            return None
        is_same = target.span is None or (span[0] <= target.span[0] and target.span[1] <= span[1])
        return gold if is_same else None


def _candidate(text: str, kind: str, golds: Sequence[Gold], origin: str, told: str) -> Candidate:
    identity = candidate_id(text)
    return Candidate(identity, Question(f"a-{identity[:8]}", text, kind, tuple(golds)), origin, told)

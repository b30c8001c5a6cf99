"""What a hit was asked to say besides: the reasons of its rank, and the section that it stands in. Imported late."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from apps.search_reports import Around, Hit, Reasons, WordReason
from cortex_assets.documents.model import Structure
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.retrieval.highlight import displayable
from cortex_assets.retrieval.hits import Hit as FoundHit
from cortex_assets.retrieval.surroundings import surroundings
from resources.lakehouse import Lakehouse

Headings = Sequence[tuple[int, int, str]]


def reasons_of(hit: FoundHit) -> Reasons:
    """Why a hit ranks where it does."""
    signals = hit.signals
    return Reasons(
        form=signals.form.value,
        dense_weight=signals.dense_weight,
        by_meaning=signals.by_meaning,
        by_words=signals.by_words,
        cosine=hit.dense_score,
        density=signals.density,
        dense_rank=signals.dense_rank,
        sparse=hit.sparse_score,
        sparse_rank=signals.sparse_rank,
        exact=signals.exact,
        time=signals.time,
        judged=signals.judged,
        words=tuple(WordReason(word.word, word.weight, word.score, word.fields) for word in signals.words),
    )


def with_surroundings(
    hits: Sequence[Hit],
    found: Sequence[FoundHit],
    texts: Mapping[str, str],
    where: Sequence[tuple[Lakehouse, Sequence[str]]],
) -> tuple[Hit, ...]:
    """The hits with the sections that they stand in; a hit whose document is gone has none.

    Args:
        hits: as they are shown.
        found: the same as they were found.
        texts: stored texts by document.
        where: lakes and the shards that are read from them.
    """
    headings: dict[str, Headings] = {}
    for lake, shards in where:
        headings |= _headings(lake, [hit.document_id for hit in found if hit.shard in shards], shards)
    pairs = zip(hits, found, strict=True)
    return tuple(
        replace(hit, around=_around(texts[one.document_id], headings.get(one.document_id, ()), one))
        if texts.get(one.document_id)
        else hit
        for hit, one in pairs
    )


def _headings(lake: Lakehouse, document_ids: Sequence[str], shards: Sequence[str]) -> dict[str, Headings]:
    scan = lake.scan(DOCUMENTS, keys={"shard": sorted(set(shards)), "document_id": sorted(set(document_ids))})
    rows = scan.select("document_id", "structure").collect().iter_rows()
    return {
        document_id: [(one.level, one.start, one.title) for one in Structure.from_json(structure).headings]
        for document_id, structure in rows
    }


def _around(text: str, headings: Headings, hit: FoundHit) -> Around:
    section = surroundings(text, headings, hit.start_char, hit.end_char)
    shown, _ = displayable(text[section.start : section.end])
    title, _ = displayable(section.title)
    first = hit.citation.start_line - text.count("\n", section.start, hit.citation.start_char)
    last = first + text.count("\n", section.start, section.end)
    return Around(shown, title.replace("\n", " "), first, last, section.start, section.end)

"""What ``apps.reader.search`` does: open the index, embed the question, verify what is cited. Imported late.

Reads generations and, to verify citations, the documents they came from.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from time import perf_counter

from apps.errors import USAGE, CommandError
from apps.residence import looked_in
from apps.search_reports import AnswerReport, Hit, SearchFilters, SearchResponse, Wishes
from apps.surrounding import reasons_of, with_surroundings
from cortex_assets import asking
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.house import House
from cortex_assets.register import Registry
from cortex_assets.retrieval.cite import verify_citation
from cortex_assets.retrieval.gather import EmbedQuery
from cortex_assets.retrieval.hits import Hit as FoundHit
from cortex_assets.retrieval.hits import Place
from cortex_assets.retrieval.search import Options, SearchResult
from resources.lakehouse import Lakehouse
from resources.vectors.filters import Filter


def search(
    question: str, k: int, filters: SearchFilters, as_of: datetime | None = None, wishes: Wishes = Wishes()
) -> SearchResponse:
    """See ``apps.reader.search``."""
    with looked_in() as house:
        if as_of is None:
            return search_in(house, question, k, filters, wishes)
        registry = house.register.now()
        _check_corpora(registry, filters)
        return _search_at(house, registry, question, k, filters, as_of, wishes)


def search_in(house: House, question: str, k: int, filters: SearchFilters, wishes: Wishes = Wishes()) -> SearchResponse:
    """Answer a question from an open house, which may be asked again and again.

    Raises:
        CommandError: a filter names a corpus that there is none of.
    """
    registry = house.register.now()
    _check_corpora(registry, filters)
    result = find(house, registry, question, _depth(k, wishes), filters, _options(wishes))
    result = replace(result, notes=(*result.notes, *lacking(house, registry, filters)))
    names = {corpus.corpus_id: corpus.name for corpus in registry.corpora}
    return respond(house, question, result, names, k, wishes)


def _options(wishes: Wishes) -> Options:
    return Options(datetime.now(UTC), wishes.diverse, wishes.reasons)


def _depth(k: int, wishes: Wishes) -> int:
    """How many hits are looked for."""
    if not wishes.answer:
        return k
    from apps.answering import depth

    return depth(k)


def _check_corpora(registry: Registry, filters: SearchFilters) -> None:
    """Refuse a name that no corpus has: a search that leaves everything out by a slip finds nothing, and does not say why."""
    known = [corpus.name for corpus in registry.corpora]
    unknown = next((name for name in filters.corpora if name not in known), None)
    if unknown is not None:
        raise CommandError(
            "no corpus has that name", unknown, f"registered are: {', '.join(known) or 'none yet'}", USAGE
        )


def lacking(house: House, registry: Registry, filters: SearchFilters) -> tuple[str, ...]:
    """Notes on corpora of other machines that this one has no index of."""
    if house.machine is None:
        return ()
    return tuple(
        f"corpus {corpus.name} belongs to machine {corpus.machine} and is not searched: `cortex run` makes its index here"
        for corpus in registry.corpora
        if not corpus.is_here
        and (not filters.corpora or corpus.name in filters.corpora)
        and not set(corpus.shards) & set(house.store.shards(corpus.space_id))
    )


def find(
    house: House,
    registry: Registry,
    question: str,
    k: int,
    filters: SearchFilters,
    options: Options = Options(),
) -> SearchResult:
    """Search what the filters keep; see ``asking.find``."""
    return asking.find(house, registry, question, k, filters.corpora, _filter(registry, filters), options)


def _search_at(
    house: House,
    registry: Registry,
    question: str,
    k: int,
    filters: SearchFilters,
    as_of: datetime,
    wishes: Wishes,
) -> SearchResponse:
    """Search what was published last at a time."""
    from apps.past import moments, search_at

    corpora = [corpus for corpus in registry.corpora if not filters.corpora or corpus.name in filters.corpora]
    then = moments(house, corpora, as_of)
    embed: dict[str, EmbedQuery | None] = {}
    for moment in then:
        embed.setdefault(moment.live.space_id, asking.embedder(house, moment.live))
    options = replace(_options(wishes), now=as_of, reranker=house.workshop.reranker)
    result = search_at(house, then, question, _depth(k, wishes), _filter(registry, filters), embed, options)
    names = {corpus.corpus_id: corpus.name for corpus in registry.corpora}
    latest = max(moment.published_at for moment in then)
    note = (
        f"as of {as_of:%Y-%m-%d %H:%M} UTC: what was published by {latest:%Y-%m-%d %H:%M} UTC, scanned without an index"
    )
    lakes = {moment.shard: moment.lake for moment in then}
    result = replace(result, notes=(note, *result.notes))
    return respond(house, question, result, names, k, wishes, lakes)


def _filter(registry: Registry, filters: SearchFilters) -> Filter | None:
    if filters == SearchFilters():
        return None
    ids = {corpus.name: corpus.corpus_id for corpus in registry.corpora}
    return Filter(
        corpora=tuple(ids.get(name, name) for name in filters.corpora),
        kinds=filters.kinds,
        languages=filters.languages,
        path_globs=filters.paths,
        modified_after=None if filters.after is None else datetime.combine(filters.after, time(), UTC),
        modified_before=None if filters.before is None else datetime.combine(filters.before, time(), UTC),
    )


def respond(
    house: House,
    question: str,
    result: SearchResult,
    names: dict[str, str],
    k: int,
    wishes: Wishes,
    lakes: Mapping[str, Lakehouse] | None = None,
) -> SearchResponse:
    """The first ``k`` hits with verified citations, an answer if one is asked for, and what took how long.

    ``lakes``: where the documents of a shard are, if not as now.
    """
    texts: dict[str, str] = {}
    for lake, shards in _by_lake(house.lake, {hit.shard for hit in result.hits}, lakes or {}):
        texts |= _texts(lake, [hit.citation.document_id for hit in result.hits if hit.shard in shards], shards)
    hits = tuple(_hit(number, hit, texts, names) for number, hit in enumerate(result.hits[:k], start=1))
    if wishes.reasons:
        pairs = zip(hits, result.hits, strict=False)
        hits = tuple(replace(hit, reasons=reasons_of(found)) for hit, found in pairs)
    if wishes.around:
        where = _by_lake(house.lake, {hit.shard for hit in result.hits[:k]}, lakes or {})
        hits = with_surroundings(hits, result.hits[:k], texts, where)
    milliseconds = {name: round(1000 * seconds, 2) for name, seconds in result.timings.items()}
    if not wishes.answer:
        return SearchResponse(question, hits, milliseconds, result.notes)
    from apps.answering import answered

    begin = perf_counter()
    found = answered(house, question, result, texts)
    milliseconds["answer"] = round(1000 * (perf_counter() - begin), 2)
    quotes = tuple(_hit(quote.number, quote.hit, texts, names) for quote in found.quotes)
    report = AnswerReport(found.support.value, found.confidence, found.basis, quotes, found.left_out)
    return SearchResponse(question, hits, milliseconds, result.notes, report)


def _by_lake(
    now: Lakehouse, shards: Collection[str], lakes: Mapping[str, Lakehouse]
) -> list[tuple[Lakehouse, list[str]]]:
    """Which shards are read from which lake."""
    if not lakes:
        return [(now, sorted(shards))]
    return [(lakes[shard], [shard]) for shard in sorted(shards)]


def _texts(lake: Lakehouse, document_ids: Sequence[str], shards: Sequence[str]) -> dict[str, str]:
    """The stored texts of the documents that are cited."""
    if not document_ids:
        return {}
    scan = lake.scan(DOCUMENTS, keys={"shard": sorted(set(shards)), "document_id": sorted(set(document_ids))})
    found = dict(scan.select("document_id", "text").collect().iter_rows())
    elsewhere = sorted(set(document_ids) - found.keys())
    if elsewhere:  # gone, or their shard is being changed
        scan = lake.scan(DOCUMENTS, keys={"document_id": elsewhere})
        found |= dict(scan.select("document_id", "text").collect().iter_rows())
    return found


def _elsewhere(place: Place, names: dict[str, str]) -> str:
    near = "~" if place.is_near else ""
    path = f"{near}{names.get(place.corpus_id, place.corpus_id)}/{place.path}"
    return f"{path} {place.label}" if place.label else f"{path}:{place.start_line}"


def _hit(rank: int, hit: FoundHit, texts: dict[str, str], names: dict[str, str]) -> Hit:
    citation = hit.citation
    verified = verify_citation(citation, texts.get(citation.document_id, ""))
    return Hit(
        rank,
        hit.score,
        names.get(hit.corpus_id, hit.corpus_id),
        hit.path,
        hit.title,
        hit.snippet.text,
        tuple((span[0], span[1]) for span in hit.snippet.spans),
        verified.verdict.value,
        citation.start_line,
        citation.end_line,
        citation.start_page,
        citation.end_page,
        citation.start_char,
        citation.end_char,
        hit.kind,
        hit.language,
        hit.symbol,
        citation.document_id,
        hit.chunk_id,
        tuple(_elsewhere(place, names) for place in hit.also_in),
        hit.inner,
        hit.place,
    )

"""What ``apps.reader.search`` does: open the index, embed the question, verify what is cited. Imported late.

Reads generations and, to verify citations, the documents they came from.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time

from apps.reports import Hit, SearchFilters, SearchResponse
from apps.running import opened
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.house import House, Registry
from cortex_assets.retrieval.cite import verify_citation
from cortex_assets.retrieval.search import EmbedQuery, LiveSpace, Place, SearchResult, search_spaces
from cortex_assets.retrieval.search import Hit as FoundHit
from inference.lanes import EngineConfig
from inference.protocols import begin
from resources.vectors.filters import Filter


def search(question: str, k: int, filters: SearchFilters) -> SearchResponse:
    """See ``apps.reader.search``."""
    with opened() as house:
        return search_in(house, question, k, filters)


def search_in(house: House, question: str, k: int, filters: SearchFilters) -> SearchResponse:
    """Answer a question from an open house, which may be asked again and again."""
    registry = Registry(tuple(house.registered()))
    result = find(house, registry, question, k, filters)
    names = {corpus.corpus_id: corpus.name for corpus in registry.corpora}
    return respond(house, question, result, names)


def find(house: House, registry: Registry, question: str, k: int, filters: SearchFilters) -> SearchResult:
    """Search every live space of the registry; one whose model has moved on is searched by words until a run has followed."""
    spaces: dict[str, list[str]] = {}
    configs: dict[str, EngineConfig] = {}
    for corpus in registry.corpora:
        if filters.corpora and corpus.name not in filters.corpora:
            continue
        spaces.setdefault(corpus.space_id, []).extend(corpus.shards)
        configs.setdefault(corpus.space_id, house.config(corpus))
    live = []
    for space_id, shards in spaces.items():
        published = set(house.store.shards(space_id))
        there = tuple(shard for shard in shards if shard in published)
        is_same = house.space_of(configs[space_id]).space_id == space_id
        live.append(LiveSpace(space_id, there, _embedder(house, configs[space_id]) if is_same else None))
    return search_spaces(question, store=house.store, spaces=live, filter=_filter(registry, filters), limit=k)


def _embedder(house: House, config: EngineConfig) -> EmbedQuery:
    def embed(text: str) -> Callable[[], Sequence[float]]:
        begun = begin(house.embedders.get(config, bulk=False), text)
        return lambda: begun().tolist()

    return embed


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


def respond(house: House, question: str, result: SearchResult, names: dict[str, str]) -> SearchResponse:
    """The hits with verified citations, and what took how long."""
    texts = _texts(house, [hit.citation.document_id for hit in result.hits], [hit.shard for hit in result.hits])
    hits = tuple(_hit(number, hit, texts, names) for number, hit in enumerate(result.hits, start=1))
    milliseconds = {name: round(1000 * seconds, 2) for name, seconds in result.timings.items()}
    return SearchResponse(question, hits, milliseconds, result.notes)


def _texts(house: House, document_ids: Sequence[str], shards: Sequence[str]) -> dict[str, str]:
    """The stored texts of the documents that are cited."""
    if not document_ids:
        return {}
    scan = house.lake.scan(DOCUMENTS, keys={"shard": sorted(set(shards)), "document_id": sorted(set(document_ids))})
    return dict(scan.select("document_id", "text").collect().iter_rows())


def _elsewhere(place: Place, names: dict[str, str]) -> str:
    path = f"{names.get(place.corpus_id, place.corpus_id)}/{place.path}"
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

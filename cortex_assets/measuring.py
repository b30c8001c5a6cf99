"""What is measured over an open house: the state an evaluation is of, and the searches that are asked, the halves apart too.

Recording and judging what comes of it is ``evaluating``'s, the numbers are ``evaluation.metrics``'.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence

import polars as pl

from cortex_assets import asking
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.engine.ledger import AssetLedger
from cortex_assets.evaluation.compare import HYBRID
from cortex_assets.evaluation.evaluate import Answer, Search, Subject
from cortex_assets.evaluation.golden import GoldenError, GoldenSet
from cortex_assets.evaluation.judge import Found, Spot
from cortex_assets.evaluation.metrics import DEPTH
from cortex_assets.evaluation.recipe import Recipe, space_entry
from cortex_assets.evaluation.schema import MODES
from cortex_assets.house import House
from cortex_assets.identity import content_id
from cortex_assets.protocols import FoundPoint
from cortex_assets.register import Registry
from cortex_assets.retrieval.gather import LiveSpace
from cortex_assets.retrieval.hits import Hit
from cortex_assets.retrieval.search import search_spaces
from inference.errors import EngineUnavailable
from inference.reranking import NONE
from resources.inference import rerank_model

SEARCH_PACKAGES = ("numpy", "qdrant-client", "qdrant-edge-py")
_WORDS, _MEANING = MODES[1:]


def subject_of(house: House, registry: Registry, golden: GoldenSet) -> Subject:
    """What an evaluation of a set is of now.

    Raises:
        GoldenError: it names a corpus that there is none of.
    """
    names = [corpus.name for corpus in registry.corpora]
    unknown = next((name for name in golden.corpora if name not in names), None)
    if unknown is not None:
        known = ", ".join(names) or "none yet"
        raise GoldenError(f"{golden.file}: `corpora` names {unknown}, which is not registered; there are: {known}.")
    spaces = asking.live_spaces(house, registry, golden.corpora)
    pairs = sorted((space.space_id, shard) for space in spaces for shard in space.shards)
    ledger = AssetLedger(house.lake, "chunks").everywhere()
    mine = ledger.filter(pl.col("shard").is_in([shard for _, shard in pairs]))
    held, generations = [], {}
    for space_id, shard in pairs:
        points = house.store.sidecar(space_id, shard)
        held.append(f"{space_id} {shard} {points.height} {points.get_column('row_hash').sum()}")
        generation = house.store.generation(space_id, shard)
        generations[shard] = -1 if generation is None else generation.number
    recipe = Recipe(
        _spaces_of(registry, golden),
        tuple(mine.get_column("producer_version").unique().sort()),
        _with_vectors(retrieval_version(house), house, spaces),
    )
    return Subject(recipe, content_id("points", *held), json.dumps(generations, sort_keys=True))


def _spaces_of(registry: Registry, golden: GoldenSet) -> tuple[str, ...]:
    """An entry for every corpus that a set asks."""
    asked = [corpus for corpus in registry.corpora if not golden.corpora or corpus.name in golden.corpora]
    lives = {corpus.corpus_id: asking.serving(corpus).lives for corpus in asked}
    return tuple(sorted(space_entry(name, (live.space_id for live in some)) for name, some in lives.items()))


def retrieval_version(house: House) -> str:
    """Version of what makes hits of a question: the search functions, those of the store that is asked, the reranker."""
    store = type(house.store)
    asked = (store.search_dense, store.search_sparse, store.search_batch, store.sparse_scores, store.vectors)
    version = Producer((search_spaces, *asked, store.document_frequencies), SEARCH_PACKAGES).version()
    reranker = rerank_model(house.settings)
    return version if reranker == NONE else f"{version} {reranker}"


def _with_vectors(version: str, house: House, spaces: Sequence[LiveSpace]) -> str:
    """The same, another one where the index scans quantized vectors."""
    scanned = [f"{space.space_id} {house.store.describe(space.space_id, space.shards)}" for space in spaces]
    is_plain = all(one.endswith(" none") for one in scanned)
    return version if is_plain else content_id("retrieval", version, *sorted(scanned))


def searches(house: House, registry: Registry, corpora: Collection[str] = (), k: int = DEPTH) -> dict[str, Search]:
    """Mode to what answers a question with ``k`` hits: the search that people use, and each half of it alone.

    ``meaning`` is left out where no space has an embedder.
    """
    spaces = asking.live_spaces(house, registry, corpora)

    def hybrid(question: str) -> Answer:
        result = asking.find(house, registry, question, k, corpora)
        if result.unjudged:  # what it would be worth is not to be known from searches without it
            raise EngineUnavailable(f"nothing was evaluated: {result.unjudged}", is_transient=True)
        return Answer(tuple(map(_found, result.hits)), result.timings["total"])

    made: dict[str, Search] = {HYBRID: hybrid}
    made[_WORDS] = _half(lambda question, depth: asking.find_by_words(house, spaces, question, depth), k)
    if any(space.embed_query is not None for space in spaces):
        made[_MEANING] = _half(lambda question, depth: asking.find_by_meaning(house, spaces, question, depth), k)
    return made


def _half(find: Callable[[str, int], Sequence[FoundPoint]], k: int) -> Search:
    """A search by one half; equal texts collapse under the best, as they do for people."""

    def search(question: str) -> Answer:
        begin = time.perf_counter()
        points = find(question, 2 * k)
        seconds = time.perf_counter() - begin
        spots: dict[str, list[Spot]] = {}
        for point in points:
            spots.setdefault(str(point.payload["text"]), []).append(_spot(point))
        return Answer(tuple(Found(tuple(some)) for some in spots.values())[:k], seconds)

    return search


def _found(hit: Hit) -> Found:
    """All places of a hit; where the same stands almost, it is taken for as long."""
    length = len(hit.text)
    own = Spot(hit.chunk_id, hit.document_id, hit.start_char, hit.end_char)
    others = (Spot(p.chunk_id, p.document_id, p.start_char, p.start_char + length) for p in hit.also_in)
    return Found((own, *others))


def _spot(point: FoundPoint) -> Spot:
    start = int(point.payload["start_char"])
    return Spot(point.chunk_id, str(point.payload["document_id"]), start, start + len(str(point.payload["text"])))

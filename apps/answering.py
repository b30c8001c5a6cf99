"""What a search with an answer adds: sentences chosen among its hits, verified against the stored texts. Imported late.

How they are chosen is in ``cortex_assets.retrieval.answer``; here it gets its embedder and its texts.
"""

from collections.abc import Mapping

from cortex_assets.house import House
from cortex_assets.retrieval.answer import HITS_READ, Answer, EmbedTexts, answer
from cortex_assets.retrieval.cite import verify_citation
from cortex_assets.retrieval.search import SearchResult


def depth(k: int) -> int:
    """How many hits are looked for, where ``k`` are shown and an answer is asked for."""
    return max(k, HITS_READ)


def answered(house: House, question: str, result: SearchResult, texts: Mapping[str, str]) -> Answer:
    """Answer a question from its hits.

    Args:
        house: open.
        question: as it was searched for.
        result: at least ``depth`` hits were asked for.
        texts: stored texts by document; a sentence of one that is missing is left out.
    """
    embed = _embedder(house, result.hits[0].space_id) if result.hits else None
    return answer(question, result, lambda cited: verify_citation(cited, texts.get(cited.document_id)), embed)


def _embedder(house: House, space_id: str) -> EmbedTexts | None:
    """What embeds texts in a space; None where no corpus's model makes its vectors any more."""
    for corpus in house.register.now().corpora:
        config = house.workshop.config(corpus)
        if corpus.space_id == space_id and house.workshop.space_of(config).space_id == space_id:
            return lambda texts: house.workshop.embedders.get(config, bulk=False).embed_batch(texts)
    return None

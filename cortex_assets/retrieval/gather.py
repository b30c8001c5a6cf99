"""What stores say of a question: candidates by words and by meaning, with what it takes to compare them.

A question's words are weighed over all shards, its vector is made once per space while words are looked for. Mixing both is
``fuse``'s, what a hit shows ``hits``'.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cortex_assets.protocols import ChunkStore, FoundPoint
from cortex_assets.retrieval.calibrate import Near, Ordinary, Scored, scaled_dense, scaled_together
from cortex_assets.retrieval.sparse import QUERY_CHARACTERS, TermIds, Weights, idf, query_terms, query_vector
from cortex_assets.retrieval.spelling import Correction, corrected
from cortex_assets.retrieval.words import asked_ids

FilterT = TypeVar("FilterT")
EmbedQuery = Callable[[str], Callable[[], Sequence[float]]]
"""Begins to embed a question; what it returns is called for the vector (length 1) once the words have been looked for."""
Vector = Sequence[float]
COMPARED = 50
"""Of so many of the nearest candidates, and of as many that words alone found, the vectors are read."""


@dataclass(frozen=True, slots=True)
class LiveSpace:
    """Shards that are searched in one embedding space; without ``embed_query`` by words alone.

    ``partial`` are those of its shards of which it has some chunks and other spaces have the others; ``sample`` gives vectors
    from all over it, for comparing its scores with those of other spaces.
    """

    space_id: str
    shards: tuple[str, ...]
    embed_query: EmbedQuery | None = None
    partial: frozenset[str] = frozenset()
    sample: Callable[[], Sequence[Vector]] | None = None


@dataclass(slots=True)
class Candidates:
    """What the stores found, by chunk id.

    Attributes:
        points: as found.
        spaces: the space that each was found in; the first one keeps it.
        dense: cosine with the question.
        scaled: ``calibrate.scaled_dense`` of it.
        density: ``calibrate.densities``.
        vectors: of the candidates, where asked.
        sparse: dot product with the question's terms.
        sparse_floor: what no chunk outside ``sparse`` can exceed.
        unembedded: candidates that have no vector, in a space where others have one.
        ordinary: by space, how near the question is to what it is not about.
    """

    points: dict[str, FoundPoint] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    dense: dict[str, float] = field(default_factory=dict)
    scaled: dict[str, float] = field(default_factory=dict)
    density: dict[str, float] = field(default_factory=dict)
    vectors: dict[str, Vector] = field(default_factory=dict)
    sparse: dict[str, float] = field(default_factory=dict)
    sparse_floor: float = 0.0
    unembedded: set[str] = field(default_factory=set)
    ordinary: dict[str, Ordinary] = field(default_factory=dict)

    def add(self, points: Sequence[FoundPoint], space_id: str) -> dict[str, float]:
        """Remember points; their scores by chunk id (the first space that has a chunk keeps it)."""
        fresh = [point for point in points if self.spaces.setdefault(point.chunk_id, space_id) == space_id]
        self.points.update((point.chunk_id, point) for point in fresh)
        return {point.chunk_id: float(point.score) for point in fresh}

    def code_share(self, nearest: int = 20) -> float:
        """Share of code among the candidates nearest in meaning, 0..1; 0 where there are none."""
        near = sorted(self.scaled, key=lambda key: (-self.scaled[key], key))[:nearest]
        return sum(self.points[key].payload.get("chunk_kind") == "code" for key in near) / len(near) if near else 0.0


@dataclass(frozen=True, slots=True)
class Words:
    """A question's terms.

    Attributes:
        ids: of those that are looked for, ascending.
        weights: their idf times count.
        idf: of every term but stems of other languages, those too that nothing indexed has or that only ask; of a corrected word
            as it was looked for.
        corrections: what was put right.
    """

    ids: TermIds
    weights: Weights
    idf: Mapping[int, float]
    corrections: tuple[Correction, ...] = ()

    @property
    def by_term(self) -> dict[int, float]:
        """Term id to weight."""
        return dict(zip(self.ids.tolist(), self.weights.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Gathering(Generic[FilterT]):
    """Asks a store.

    Attributes:
        store: what is asked.
        spaces: the live ones.
        depth: how many candidates each kind of search gives per space.
        compared: of how many of the nearest candidates the vectors are read, to compare them with each other.
        wanted: what is kept; None for everything.
    """

    store: ChunkStore[FilterT]
    spaces: Sequence[LiveSpace]
    depth: int
    compared: int
    wanted: FilterT | None

    def words(self, question: str, unasked: frozenset[str] = frozenset()) -> Words:
        """The question's terms with idf over all shards; one that is live in two spaces counts once, or part by part.

        A word that occurs nowhere is asked for as it may have been meant (``spelling``).
        """
        ids, counts = query_terms(question)
        total, points = self._frequencies(ids.tolist())
        plain = set(asked_ids(question[:QUERY_CHARACTERS]))
        every = {t: w for t, w in zip(ids.tolist(), idf(total, points).tolist(), strict=True) if t in plain}
        corrections = corrected(question, dict(zip(ids.tolist(), total, strict=True)), self._frequencies)
        if corrections or unasked:
            ids, counts = query_terms(" ".join([question, *(one.used for one in corrections)]), unasked)
            total, points = self._frequencies(ids.tolist())
        for one in corrections:
            used = set(asked_ids(one.used))
            found = zip(ids.tolist(), idf(total, points).tolist(), strict=True)
            every = {term: weight for term, weight in every.items() if term not in asked_ids(one.asked)}
            every |= {term: weight for term, weight in found if term in used}
        return Words(*query_vector(ids, counts, total, points), every, corrections)

    def _frequencies(self, terms: Sequence[int]) -> tuple[list[int], int]:
        """In how many points each term occurs over all shards, and how many points there are."""
        total, points, seen = [0] * len(terms), 0, set[str]()
        for space in self.spaces:
            shards = [shard for shard in space.shards if shard in space.partial or shard not in seen]
            seen.update(shards)
            if shards and terms:
                frequencies, number = self.store.document_frequencies(space.space_id, shards, terms)
                total = [have + frequencies.get(term, 0) for have, term in zip(total, terms, strict=True)]
                points += number
        return total, points

    def find_sparse(self, found: Candidates, space: LiveSpace, words: Words) -> None:
        """Add what words find in a space."""
        asked = words.ids.tolist(), words.weights.tolist()
        points = self.store.search_sparse(space.space_id, space.shards, *asked, self.depth, self.wanted)
        found.sparse.update(found.add(points, space.space_id))
        if len(points) >= self.depth:
            found.sparse_floor = max(found.sparse_floor, float(points[-1].score))

    def find_dense(self, found: Candidates, space: LiveSpace, vector: Vector) -> None:
        """Add what meaning finds in a space, and compare all of the space's candidates by meaning."""
        points = self.store.search_dense(space.space_id, space.shards, vector, self.depth, self.wanted)
        found.dense.update(found.add(points, space.space_id))
        mine = {key for key, space_id in found.spaces.items() if space_id == space.space_id}
        compared = [*_best(found.dense, mine, self.compared), *_best(found.sparse, mine - found.dense.keys(), COMPARED)]
        vectors = self.store.vectors(space.space_id, space.shards, compared)
        near = Near.of(vectors)
        found.vectors.update(vectors)
        found.unembedded.update(set(compared) - vectors.keys() - found.dense.keys())
        found.dense = {**near.cosines(vector), **found.dense}
        density = near.densities()
        found.density.update(density)
        dense = {key: found.dense[key] for key in mine if key in found.dense}
        found.scaled.update(scaled_dense(dense, density))
        ordinary = Ordinary.of(space.sample(), vector) if space.sample is not None else None
        if ordinary is not None:
            found.ordinary[space.space_id] = ordinary

    def scale_together(self, found: Candidates) -> None:
        """Scale the dense scores of several spaces by one measure, where of each is known what is ordinary in it."""
        by_space: dict[str, dict[str, float]] = {}
        for key, score in found.dense.items():
            by_space.setdefault(found.spaces[key], {})[key] = score
        if len(by_space) < 2 or not by_space.keys() <= found.ordinary.keys():
            return
        parts = [
            Scored(
                scores, {key: found.density[key] for key in scores if key in found.density}, found.ordinary[space_id]
            )
            for space_id, scores in by_space.items()
        ]
        found.scaled = scaled_together(parts)

    def sparse_scores(self, found: Candidates, words: Words, chunks: Sequence[str]) -> Mapping[str, float]:
        """Sparse scores of candidates that only dense search found, each from the space it was found in."""
        scores: dict[str, float] = {}
        for space in self.spaces:
            mine = [chunk for chunk in chunks if found.spaces[chunk] == space.space_id]
            asked = words.ids.tolist(), words.weights.tolist()
            scores.update(self.store.sparse_scores(space.space_id, space.shards, *asked, mine))
        return scores


def _best(scores: Mapping[str, float], among: Collection[str], count: int) -> list[str]:
    """The chunk ids with the best scores, at most ``count``."""
    return sorted((key for key in scores if key in among), key=lambda key: (-scores[key], key))[:count]

"""Text to sparse vectors, for storing and for asking: words, identifiers and their parts, weighted as BM25 does.

A stored weight is the saturated term frequency with a *fixed* average length, so it depends on its own chunk alone; a
query's weight
is the idf of its term over all shards. Their dot product is BM25, and neither the number of shards nor what else is
stored changes
a stored vector. A change of anything here changes stored vectors: the index is then rebuilt from the chunks, without
a model.

Scoring, fusing and searching do not belong here; stems of other languages than English are ``languages``'.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cortex_assets.retrieval.languages import asked_stems, language_of, stored_stems
from cortex_assets.retrieval.word_batches import stored_batch
from cortex_assets.retrieval.words import asked_ids

TermIds = npt.NDArray[np.uint32]
Weights = npt.NDArray[np.float32]

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 128.0
"""Terms in an average chunk body, fixed so that a vector never depends on its neighbours; measured: 125."""

_COUNTS = np.array([1, 1, 1, 2, 1, 1, 1])
"""How often the terms of body, context, title, symbol, path, bare name and language count; only the body's count in the length."""

QUERY_CHARACTERS = 4_000
"""A query is read up to here; what lies behind it is not asked."""
QUERY_TERMS = 128
"""At most so many different terms are asked: the rarest."""


@dataclass(frozen=True, slots=True)
class SparseBatch:
    """Sparse vectors of many texts, end to end: vector i is ``[offsets[i]:offsets[i + 1]]`` of ids and weights.

    Attributes:
        ids: uint32 term ids, ascending within a vector, none twice.
        weights: float32, positive, below ``K1 + 1``.
        offsets: int64, one more than there are vectors.
    """

    ids: TermIds
    weights: Weights
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self.offsets) - 1

    def vector(self, index: int) -> tuple[TermIds, Weights]:
        """Ids and weights of one vector (views)."""
        span = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return self.ids[span], self.weights[span]


@dataclass(frozen=True, slots=True)
class Fields:
    """What of a chunk is found by words: body, headings before it, document title, code symbol, path.

    ``language`` is that of code, so that its name in a question (which a corpus in that language hardly ever says) counts as
    little as any word that is everywhere; empty for prose.
    """

    text: str
    context: str = ""
    title: str = ""
    symbol: str = ""
    path: str = ""
    language: str = ""


def encode_points(points: Sequence[Fields]) -> SparseBatch:
    """Sparse vectors of chunks, in the order given.

    Args:
        points: the chunks' fields.

    Returns:
        One vector a chunk; a chunk without a word has an empty one.
    """
    texts = [field for point in points for field in _texts(point)]
    offsets, ids = stored_batch(texts)
    counts = np.diff(offsets)
    rows = np.repeat(np.arange(len(points), dtype=np.uint64), counts.reshape(-1, len(_COUNTS)).sum(axis=1))
    keys = np.repeat((rows << np.uint64(32)) | ids, np.repeat(np.tile(_COUNTS, len(points)), counts))
    keys = np.concatenate([keys, *_stems(points)])
    return _weighted(keys, counts[:: len(_COUNTS)].astype(np.float64))


def _stems(points: Sequence[Fields]) -> Iterator[npt.NDArray[np.uint64]]:
    """Keys of the stems of texts in languages other than English, a text each."""
    for number, point in enumerate(points):
        language = language_of(point.text)
        if language is not None:
            texts = point.text, point.context, point.title
            ids = np.array([term for text in texts for term in stored_stems(text, language)], dtype=np.uint64)
            yield (np.uint64(number) << np.uint64(32)) | ids


def _texts(point: Fields) -> tuple[str, ...]:
    """The texts that ``_COUNTS`` weighs."""
    name = _bare_name(point.path)
    return point.text, point.context, point.title, point.symbol, point.path, name, point.language


def _bare_name(path: str) -> str:
    """A file's name without its suffix; nothing where it has none."""
    return path.rpartition("/")[2].rpartition(".")[0]


def _weighted(keys: npt.NDArray[np.uint64], lengths: npt.NDArray[np.float64]) -> SparseBatch:
    """Count terms per point and saturate the counts; a key is a point's number in the high half, a term in the low."""
    keys = np.sort(keys)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    frequency = np.diff(np.append(first, len(keys))).astype(np.float64)
    keys = keys[first]
    row = (keys >> np.uint64(32)).astype(np.int64)
    norm = K1 * (1 - B + B * lengths / AVERAGE_LENGTH)
    weights = frequency * (K1 + 1) / (frequency + norm[row]) if len(keys) else frequency
    offsets = np.searchsorted(row, np.arange(len(lengths) + 1)).astype(np.int64)
    return SparseBatch((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), weights.astype(np.float32), offsets)


def encode_point(
    text: str, context: str = "", title: str = "", symbol: str = "", path: str = "", language: str = ""
) -> tuple[TermIds, Weights]:
    """Sparse vector of one chunk: ids ascending, weights positive. See ``encode_points``."""
    return encode_points([Fields(text, context, title, symbol, path, language)]).vector(0)


def query_terms(text: str, unasked: Collection[str] = ()) -> tuple[TermIds, npt.NDArray[np.int64]]:
    """The different terms of a query's first ``QUERY_CHARACTERS``, ascending, and how often each occurs.

    Args:
        text: the query.
        unasked: words that are left out, casefolded.
    """
    without = {term for word in unasked for term in (*asked_ids(word), *asked_stems(word))}
    read = text[:QUERY_CHARACTERS]
    terms = [*asked_ids(read), *asked_stems(read)]
    ids = np.array([term for term in terms if term not in without], dtype=np.uint32)
    unique, counts = np.unique(ids, return_counts=True)
    return unique, counts.astype(np.int64)


def idf(frequencies: Sequence[int] | npt.NDArray[np.int64], points: int) -> Weights:
    """``ln(1 + (N - df + .5) / (df + .5))`` of each document frequency among ``points`` points; never negative."""
    df = np.minimum(np.asarray(frequencies, dtype=np.float64), points)
    weights: Weights = np.log1p((points - df + 0.5) / (df + 0.5)).astype(np.float32)
    return weights


def query_vector(
    ids: TermIds, counts: npt.NDArray[np.int64], frequencies: Sequence[int] | npt.NDArray[np.int64], points: int
) -> tuple[TermIds, Weights]:
    """The query's sparse vector: idf times count of the terms that occur anywhere, at most the heaviest.

    Args:
        ids: different terms (from ``query_terms``).
        counts: how often each occurs in the query.
        frequencies: in how many points, over all shards asked, each occurs.
        points: number of points over all shards asked.

    Returns:
        Ids ascending and weights; both empty when no term occurs anywhere.
    """
    df = np.asarray(frequencies, dtype=np.int64)
    weights = idf(df, points) * counts.astype(np.float32)
    kept = np.flatnonzero(df > 0)
    if len(kept) > QUERY_TERMS:
        kept = np.sort(kept[np.lexsort((ids[kept], -weights[kept]))[:QUERY_TERMS]])
    return ids[kept], weights[kept]

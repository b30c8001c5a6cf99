"""The terms of a segment's points, inverted: what sparse search, document frequencies and merging read.

    df.npy          uint32 (2, m): sorted term ids, and in how many points of the segment each occurs
    postings.npy    uint32 (2, n): term by term the rows of the points that hold it, ascending, and the bits of their float32 weights

A row is a point's place in the segment's sidecar. Scores are sums of products, so nothing is approximate: a sparse search in
qdrant-edge gives the same ones, takes three times as long, and making its sparse vectors was a third of writing a segment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.generation import unreadable
from resources.vectors.protocol import SparseQuery
from resources.vectors.stored import Counts, Terms, look_up

FREQUENCIES, POSTINGS = "df.npy", "postings.npy"

Rows = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Postings:
    """Inverted terms of ``size`` points.

    Attributes:
        terms: sorted, each once.
        counts: points that hold each term.
        ends: cumulated counts; those of term k end at ``ends[k]`` in ``rows`` and ``weights``.
        rows: of the points.
        weights: of the term in each of these points.
        size: points.
    """

    terms: Terms
    counts: Terms
    ends: npt.NDArray[np.int64]
    rows: Rows
    weights: Floats
    size: int
    _kept: list[tuple[tuple[tuple[int, ...], tuple[float, ...]], npt.NDArray[np.float64]]] = field(
        default_factory=list, repr=False, compare=False
    )

    @classmethod
    def of(cls, terms: pl.Series, weights: pl.Series) -> "Postings":
        """Invert two columns of lists; a list holds a term once."""
        lengths = terms.list.len().fill_null(0).to_numpy()
        flat = _flat(terms).astype(np.uint32, copy=False)
        order = np.argsort(flat, kind="stable")
        ascending = flat[order]
        firsts = np.flatnonzero(np.diff(ascending, prepend=ascending[:1] + 1))
        known, counts = ascending[firsts], np.diff(firsts, append=len(ascending))
        rows = np.repeat(np.arange(len(terms), dtype=np.uint32), lengths)[order]
        values = _flat(weights).astype(np.float32, copy=False)[order]
        return cls(known, counts.astype(np.uint32), np.cumsum(counts), rows, values, len(terms))

    def save(self, folder: Path) -> None:
        """Write both files; making them durable is the caller's."""
        np.save(folder / FREQUENCIES, np.stack((self.terms, self.counts)))
        np.save(folder / POSTINGS, np.stack((self.rows, self.weights.view(np.uint32))))

    @classmethod
    def load(cls, folder: Path, size: int) -> "Postings":
        """Map the files that ``save`` wrote for ``size`` points.

        Raises:
            FileNotFoundError: they are gone.
            DamagedIndexError: they cannot be read.
        """
        terms, counts = _pair(folder / FREQUENCIES, None)
        rows, bits = map(np.asarray, _pair(folder / POSTINGS, "r"))  # numpy's memmap class makes every slice dear
        ends = np.cumsum(counts, dtype=np.int64)
        if rows.size != (ends[-1] if ends.size else 0):
            raise unreadable(folder / POSTINGS, ValueError(f"{rows.size} entries, {FREQUENCIES} counts others"))
        return cls(terms, counts, ends, rows, bits.view(np.float32), size)

    def frequencies(self, terms: Terms) -> npt.NDArray[np.int64]:
        """In how many points each of ``terms`` occurs."""
        return look_up(self.terms, self.counts, terms)

    def best(
        self, query: SparseQuery, allowed: Mask | None, limit: int, floor: float | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Rows with the greatest dot product and that product, best first; only rows that hold a term of the query.

        Args:
            query: terms and weights, all positive.
            allowed: which rows may be found, or None.
            limit: how many at most.
            floor: the least score.
        """
        scores = self._sums(query)
        if scores is None:
            return np.zeros(0, np.int64), np.zeros(0)
        if allowed is not None:
            scores = scores * allowed
        return top(scores, limit, max(floor or 0.0, np.finfo(np.float64).tiny))

    def scores(self, query: SparseQuery, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """The dot product of each of ``rows``, 0 where a point holds no term of the query."""
        sums = self._sums(query)
        return np.zeros(len(rows)) if sums is None else sums[np.asarray(rows, dtype=np.int64)]

    def counts_of(self, rows: Sequence[int]) -> Counts:
        """Sorted terms of some points and in how many of them each occurs."""
        _, terms, _ = self._entries(rows)
        known, counts = np.unique(terms, return_counts=True)
        return known, counts.astype(np.uint32)

    def lists_of(self, rows: Sequence[int]) -> tuple[pl.Series, pl.Series]:
        """Terms, ascending, and weights of some points, as columns of lists in the order of ``rows`` (each once)."""
        of_point, terms, weights = self._entries(rows)
        place = np.full(self.size, -1, np.int64)
        place[np.asarray(rows, dtype=np.int64)] = np.arange(len(rows))
        frame = pl.DataFrame({"place": place[of_point], "terms": terms, "weights": weights})
        lists = frame.group_by("place").agg("terms", "weights")
        every = pl.DataFrame({"place": np.arange(len(rows))}).join(lists, on="place", how="left").sort("place")
        empty = pl.lit([], dtype=pl.List(pl.UInt32)), pl.lit([], dtype=pl.List(pl.Float32))
        filled = every.select(pl.col("terms").fill_null(empty[0]), pl.col("weights").fill_null(empty[1]))
        return filled["terms"], filled["weights"]

    def _sums(self, query: SparseQuery) -> npt.NDArray[np.float64] | None:
        """The dot product of every row, None where no term of the query occurs; the last query's are kept.

        A search asks for the best first and then for some by name, with the same query.
        """
        asked = (tuple(query.indices), tuple(query.weights))
        for known, sums in self._kept[:]:
            if known == asked:
                return sums
        lists = list(self._lists(query))
        if not lists:
            return None
        rows, products = [rows for rows, _, _ in lists], [weights * weight for _, weights, weight in lists]
        counted = np.bincount(np.concatenate(rows), np.concatenate(products), minlength=self.size)
        sums = counted.astype(np.float64, copy=False)
        self._kept[:] = [(asked, sums)]
        return sums

    def _lists(self, query: SparseQuery) -> Iterator[tuple[Rows, Floats, np.float32]]:
        """Of each term of the query that occurs: rows, weights, and the query's weight."""
        wanted = np.asarray(query.indices, dtype=np.uint32)
        places = np.searchsorted(self.terms, wanted)
        for place, term, weight in zip(places.tolist(), wanted.tolist(), query.weights, strict=True):
            if place < self.terms.size and self.terms[place] == term:
                end = int(self.ends[place])
                start = end - int(self.counts[place])
                yield self.rows[start:end], self.weights[start:end], np.float32(weight)

    def _entries(self, rows: Sequence[int]) -> tuple[Rows, Terms, Floats]:
        """Row, term and weight of every posting of some points, by term."""
        is_wanted = np.zeros(self.size, np.bool_)
        is_wanted[np.asarray(rows, dtype=np.int64)] = True
        found = np.flatnonzero(is_wanted[self.rows])
        return self.rows[found], self.terms[np.searchsorted(self.ends, found, side="right")], self.weights[found]


def top(
    scores: npt.NDArray[np.float64], limit: int, floor: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Places of the greatest scores that reach ``floor``, and these, best first; ties by place."""
    places = np.flatnonzero(scores >= floor)
    found = scores[places]
    if places.size > limit:
        least = np.partition(found, places.size - limit)[places.size - limit]
        places = places[found >= least]
        found = scores[places]
    order = np.argsort(-found, kind="stable")[:limit]
    return places[order], found[order]


def _pair(path: Path, mode: Literal["r"] | None) -> npt.NDArray[np.uint32]:
    """A (2, n) array, mapped or read: a map costs a file descriptor."""
    try:
        array: npt.NDArray[np.uint32] = np.load(path, mmap_mode=mode)
    except (ValueError, EOFError) as error:
        raise unreadable(path, error) from error
    if array.dtype != np.uint32 or array.ndim != 2 or len(array) != 2:
        raise unreadable(path, ValueError(f"an array {array.shape} of {array.dtype}"))
    return array


def _flat(lists: pl.Series) -> npt.NDArray[np.generic]:
    """The values of a column of lists, one after the other."""
    return lists.list.explode(empty_as_null=False, keep_nulls=False).to_numpy()

"""What a search may be asked for besides hits, and what it then gives: reasons of a rank, and the text around a hit.

Frozen values, like all of ``apps.reports``; nothing here reads or computes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for besides hits.

    Attributes:
        answer: sentences that answer, each with a verified citation, or that nothing does.
        reasons: of each hit what made its rank.
        around: of each hit the section that it stands in.
        diverse: passages that repeat others stand further down.
    """

    answer: bool = False
    reasons: bool = False
    around: bool = False
    diverse: bool = False


@dataclass(frozen=True, slots=True)
class WordReason:
    """What a word of the question gave to a hit: its weight in the question, its share of the words' score, where it stands."""

    word: str
    weight: float
    score: float
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a hit ranks where it does: ``by_meaning + by_words``, then lifted by what the question asks for exactly.

    Attributes:
        form: what the question looks like, such as ``identifier``.
        dense_weight: share that meaning has for that form, 0..1.
        by_meaning: part of the score that meaning gave.
        by_words: part of the score that words gave.
        cosine: with the question; None where meaning was not asked or has no vector.
        density: how near the hit lies to the other candidates, which its cosine was lessened by.
        dense_rank: place by cosine among the candidates, from 1.
        sparse: score by words (BM25).
        sparse_rank: place by words, from 1.
        exact: whether it holds every exact string of the question; None where there are none.
        time: how well it fits the time that was asked for, 0..1; None where none was.
        judged: what a reranker said of it, 0..1 among those judged; None where none did.
        words: of the question, in its order.
    """

    form: str
    dense_weight: float
    by_meaning: float
    by_words: float
    cosine: float | None
    density: float | None
    dense_rank: int | None
    sparse: float | None
    sparse_rank: int | None
    exact: bool | None = None
    time: float | None = None
    judged: float | None = None
    words: tuple[WordReason, ...] = ()

    def told(self) -> list[str]:
        """In words, a line each: the two parts, then what lifted it."""
        meaning = f"meaning {self.by_meaning:.3f}"
        if self.cosine is None:
            meaning += " (no vector compared)"
        else:
            place = f", place {self.dense_rank}" if self.dense_rank else ""
            density = f", density {self.density:.2f}" if self.density is not None else ""
            meaning += f" (cosine {self.cosine:.3f}{place}{density})"
        found = [f"{one.word} {one.score:.1f} in {', '.join(one.fields)}" for one in self.words if one.fields]
        lacking = [one.word for one in self.words if not one.fields]
        place = f", place {self.sparse_rank}" if self.sparse_rank else ""
        words = f"words {self.by_words:.3f}" + (f" (BM25 {self.sparse:.1f}{place})" if self.sparse is not None else "")
        lines = [f"{self.form}: {meaning} + {words}; meaning counts {self.dense_weight:.0%}"]
        if found or lacking:
            lines.append(
                " · ".join(found) + (f"{' · ' if found else ''}without {', '.join(lacking)}" if lacking else "")
            )
        if self.exact is not None:
            lines.append(f"{'holds' if self.exact else 'does not hold'} what is asked for exactly")
        if self.time is not None:
            lines.append(f"fits the time that is asked for: {self.time:.2f}")
        if self.judged is not None:
            lines.append(f"judged by the reranker: {self.judged:.2f}")
        return lines


@dataclass(frozen=True, slots=True)
class Around:
    """The section, or as much of it as is shown, that a hit stands in; ``title`` is its heading where it has one."""

    text: str
    title: str
    start_line: int
    end_line: int
    start_char: int
    end_char: int

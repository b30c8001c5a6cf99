"""Dense and sparse candidates to one ranking, by scores and by the form of the question.

Ranks alone (reciprocal rank fusion) lost to their better half on code search: they cannot tell a clear winner from
noise. So scores are
scaled, dense between the worst and best candidate, sparse by the best, and mixed; how much dense counts depends on
the question's form.

Measured on half A of each set (``tests/bench/retrieval_bench.py``): every dense weight from .55 to .8 met the floors
of both sets, so the
middle was taken. Knowing the exact sparse score of what only dense search found is worth .01 MRR on code; the exact
dense score of what
only sparse search found changed nothing (.0002) and is not asked for. Stores, text and snippets do not belong here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """What a question looks like, which says which kind of search to trust."""

    EXACT = "exact"
    """Only identifiers, paths, error codes, versions; or it has a quoted phrase."""
    MIXED = "mixed"
    """Identifiers among other words, or a single word (a name as often as a topic)."""
    NATURAL = "natural"
    """A question, a sentence, keywords."""


DENSE_WEIGHT = {Form.EXACT: 0.25, Form.MIXED: 0.4, Form.NATURAL: 0.7}
"""Share of the dense score in the fused one; the rest is sparse."""

DIGITS = 4
"""Scores are rounded to so many digits, so that noise of the last bits never decides an order."""

SparseScores = Callable[[Sequence[str]], Mapping[str, float]]
"""Exact sparse scores of given chunk ids; one that is left out scores 0."""

_QUOTED = re.compile(r'"([^"]{2,200})"|“([^”]{2,200})”|`([^`]{2,200})`')
_IDENTIFIER = re.compile(
    r"""^(?:
      \w*[^\W_]_+[^\W_]\w*            # snake_case
    | _+[^\W_]\w*                      # _private, __dunder__
    | [^\W_]*[a-z\d][A-Z][^\W_]*       # camelCase, PascalCase with a hump
    | [A-Z]{1,6}-?\d{2,}[\w-]*         # E0308, KEP-1880, CVE-2024-3094
    | v?\d+(?:\.\d+)+[\w.+-]*          # versions
    | [\w.+-]+(?:/[\w.+@-]+)+          # paths
    | \w+(?:::\w+)+                    # C++ and Rust names
    | [^\W\d]\w+(?:\.[^\W\d]\w+)+      # dotted names, file names
    | \w[\w-]+\.\w{1,5}                # file names with digits and dashes
    )(?:\(\))?$""",
    re.VERBOSE,
)
_MOST_EXACT_WORDS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its form.

    Attributes:
        form: see ``Form``.
        exact: strings, casefolded and with single spaces, that good hits contain: quoted phrases, or the identifiers
            of an exact form.
    """

    form: Form
    exact: tuple[str, ...] = ()

    @property
    def dense_weight(self) -> float:
        """Share of the dense score, 0..1."""
        return DENSE_WEIGHT[self.form]

    def is_met_by(self, *texts: str) -> bool:
        """Whether every exact string occurs in one of the texts, case and white space apart."""
        folded = [flattened(text) for text in texts]
        return all(any(needle in text for text in folded) for needle in self.exact)


@dataclass(frozen=True, slots=True)
class Fused:
    """One candidate: its fused score (0..1, rounded) and raw sparse score (None where it was not needed)."""

    chunk_id: str
    score: float
    sparse: float | None


def flattened(text: str) -> str:
    """Casefolded, with single spaces for white space."""
    return " ".join(text.casefold().split())


def question_form(text: str) -> Question:
    """The form of a question, by its looks alone."""
    phrases = tuple(flattened(next(filter(None, found))) for found in _QUOTED.findall(text))
    if phrases:
        return Question(Form.EXACT, tuple(phrase for phrase in phrases if phrase))
    words = [word.strip("?!,;()[]{}<>'\"").rstrip(".:") for word in text.split()]
    words = [word for word in words if word]
    names = [word for word in words if _IDENTIFIER.match(word)]
    if words and len(names) == len(words) <= _MOST_EXACT_WORDS:
        return Question(Form.EXACT, tuple(name.removesuffix("()").casefold() for name in names))
    return Question(Form.MIXED if names or len(words) == 1 else Form.NATURAL)


def scaled_dense(scores: Mapping[str, float]) -> dict[str, float]:
    """Dense scores of the candidates of *one* space, worst to 0 and best to 1 (all 1 when they are equal)."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    span = high - low
    return {key: (score - low) / span if span > 1e-9 else 1.0 for key, score in scores.items()}


def fuse(
    dense: Mapping[str, float],
    sparse: Mapping[str, float],
    *,
    dense_weight: float,
    limit: int,
    sparse_floor: float = 0.0,
    score_sparse: SparseScores | None = None,
) -> list[Fused]:
    """Rank the union of candidates by ``dense_weight * dense + (1 - dense_weight) * sparse / best sparse``.

    Args:
        dense: chunk id to scaled dense score (``scaled_dense``); what only sparse search found counts 0.
        sparse: chunk id to raw sparse score, not below 0.
        dense_weight: share of dense, 0..1; with no candidates of one kind the other's share is 1.
        limit: down to this rank the order is exact; below, sparse scores of what only dense search found may count as
            0.
        sparse_floor: what no chunk outside ``sparse`` can exceed: the lowest sparse score when the search was cut
            off, else 0.
        score_sparse: exact sparse scores of given chunk ids; asked once, for those that can
            still reach the first ``limit``.

    Returns:
        All candidates, best first, ties by chunk id.
    """
    best = max(sparse.values(), default=0.0)  # 0 where all that was asked is in every chunk of a large lake
    weight = dense_weight if dense and best > 0 else float(bool(dense))
    share = (1 - weight) / best if best > 0 else 0.0
    totals = {key: weight * dense.get(key, 0.0) + share * score for key, score in sparse.items()}
    unknown = [key for key in dense if key not in sparse]
    totals.update((key, weight * dense[key]) for key in unknown)
    known: dict[str, float] = dict(sparse)
    if score_sparse is not None and sparse and sparse_floor > 0:
        least = sorted(totals.values(), reverse=True)[limit - 1] if len(totals) > limit else 0.0
        hopeful = [key for key in unknown if totals[key] + share * sparse_floor >= least]
        scores = score_sparse(hopeful)
        for key in hopeful:
            known[key] = min(scores.get(key, 0.0), sparse_floor)
            totals[key] += share * known[key]
    fused = [Fused(key, round(total, DIGITS), known.get(key)) for key, total in totals.items()]
    fused.sort(key=lambda one: (-one.score, one.chunk_id))
    return fused

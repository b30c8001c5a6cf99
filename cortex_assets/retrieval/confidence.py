"""How sure an answer is: the measured constants, and from features of sentences and answers to chances between 0 and 1.

Constants are fitted by ``python -m tests.bench.answers --fit`` on half a of XQuAD en and are never tuned by hand: questions
as they are, as keywords and as one word; each over articles that have its paragraph, over articles on other matters, and over its own
article without the paragraph. A chance is that of holding the answer in a lake where half of what is asked can be answered.
Changing a feature in ``answer`` means fitting anew. Choosing sentences does not belong here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Support(StrEnum):
    """Whether what is indexed answers a question."""

    SUPPORTED = "supported"
    """The sentences more likely answer it than not."""
    WEAK = "weak"
    """They are about it, and may not answer it."""
    NONE = "none"
    """Nothing answers it."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A chance from features: ``1 / (1 + exp(-(bias + weights . features)))``."""

    bias: float
    weights: tuple[float, ...]

    def logit(self, features: Sequence[float]) -> float:
        """The chance as log odds."""
        return self.bias + sum(weight * value for weight, value in zip(self.weights, features, strict=True))

    def chance(self, features: Sequence[float]) -> float:
        """The chance, 0..1."""
        return 0.5 * (1 + math.tanh(0.5 * self.logit(features)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants for one basis of judgement.

    Attributes:
        sentence: of ``own near context rank length`` and, by meaning, ``lift``: whether a sentence holds the answer, given
            that one of them does.
        whole: of ``own chunk`` and, by meaning, ``dense cosine``: whether what was chosen holds it.
        word: the same where the question names one thing alone, which is no question: sentences on it are easily found, and
            hold what was meant far less often.
    """

    sentence: Logistic
    whole: Logistic
    word: Logistic


WORDS = Calibration(
    sentence=Logistic(-7.298, (5.665, 0.925, 2.989, 3.682, 0.205)),
    whole=Logistic(-5.22, (4.213, 6.286)),
    word=Logistic(-3.686, (1.763, 1.471)),
)
"""By words alone: for every language that is written in words, whatever the embedder."""
MEANING = {
    "all-minilm-l6-v2-": Calibration(
        sentence=Logistic(-7.686, (4.347, 1.245, 1.895, 4.652, 0.324, 5.509)),
        whole=Logistic(-8.311, (3.492, 4.729, 2.525, 5.833)),
        word=Logistic(-3.966, (1.655, 1.323, -0.82, 2.222)),
    )
}
"""By words and meaning, by the beginning of the embedding space's id: cosines of another model mean something else."""
SUPPORTED_FROM, WEAK_FROM = 0.5, 0.2
"""Least chances of ``Support.SUPPORTED`` and ``Support.WEAK``."""


def calibration(space_ids: Sequence[str]) -> Calibration | None:
    """The constants by meaning for hits of some spaces; None where they are of several, or of one that was not measured."""
    if len(set(space_ids)) != 1:
        return None
    return next((known for prefix, known in MEANING.items() if space_ids[0].startswith(prefix)), None)


def support(chance: float) -> Support:
    """What a chance is called."""
    if chance >= SUPPORTED_FROM:
        return Support.SUPPORTED
    return Support.WEAK if chance >= WEAK_FROM else Support.NONE

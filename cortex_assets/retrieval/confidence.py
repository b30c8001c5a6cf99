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
    sentence=Logistic(-7.267, (5.778, 1.014, 2.747, 3.584, 0.198)),
    whole=Logistic(-5.247, (3.956, 6.675)),
    word=Logistic(-3.687, (1.771, 1.478)),
)
"""By words alone: for every language that is written in words, whatever the embedder."""
MEANING = {
    "all-minilm-l6-v2-": Calibration(
        sentence=Logistic(-7.706, (4.468, 1.373, 1.633, 4.597, 0.313, 5.618)),
        whole=Logistic(-8.227, (3.363, 4.922, 2.578, 5.541)),
        word=Logistic(-3.958, (1.666, 1.336, -1.033, 2.321)),
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

"""What a question looks like, which says which kind of search to trust and what good hits contain. By its looks alone.

Weights are shares of the dense score; they were chosen on half A of each set (``tests/bench/retrieval_bench.py``). Where a
question is in words, code among the nearest candidates shifts the weight: code is written in other words than questions are.
Ranking does not belong here.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """What a question looks like."""

    QUOTED = "quoted phrase"
    """It has a quoted phrase, which good hits contain."""
    IDENTIFIER = "identifier"
    """Only names of code, or versions."""
    PATH = "path"
    """Only paths or file names."""
    ERROR = "error code"
    """Only codes, such as ``E0308``, ``KEP-1880`` or ``0x80070005``."""
    MIXED = "names among words"
    """Identifiers, paths or codes among other words, or a single word (a name as often as a topic)."""
    KEYWORDS = "keywords"
    """A few words that are no sentence."""
    QUESTION = "question"
    """A question or a sentence."""


EXACT_FORMS = frozenset({Form.QUOTED, Form.IDENTIFIER, Form.PATH, Form.ERROR})
"""Their strings are what good hits contain."""
DENSE_WEIGHT = {
    **dict.fromkeys(EXACT_FORMS, 0.25),
    Form.MIXED: 0.4,
    Form.KEYWORDS: 0.55,
    Form.QUESTION: 0.55,
}
"""Share of the dense score in the fused one; the rest is sparse."""
CODE_WEIGHT = 0.2
"""What is added to that share for a question in words where all of the nearest candidates are code."""

QUESTION_WORDS = frozenset(
    "how what which who whom whose when where why do does did can could should would i you we my me".split()  # noqa: SIM905
)
"""Words that ask and say nothing of the answer; rare in prose and code, so that idf alone takes them for weighty. Measured:
without them the sparse half alone gains .011 hit@1 on XQuAD and .007 MRR on CoSQA."""

_QUOTED = re.compile(r'"([^"]{2,200})"|“([^”]{2,200})”|`([^`]{2,200})`')
_PATH = r"""
      [\w.+-]+(?:/[\w.+@-]+)+/?          # docs/setup, src/main.rs
    | /[\w.+@-]+(?:/[\w.+@-]+)*/?        # /etc/hosts
    | \w[\w.-]*\.(?:c|cc|cfg|conf|cpp|cs|css|csv|docx?|eml|go|h|hpp|html?|ini|ipynb|java|jpe?g|jsx?|json|jsonl|kt|log|lua
      |md|mdx|pdf|php|png|pptx?|py|pyi|rb|rs|rst|sh|sql|svg|swift|tar|tex|toml|tsv|tsx?|txt|xlsx?|xml|ya?ml|zip)
    | \w*[-\d][\w-]*\.[a-z]\w{0,4}       # other file names with digits or dashes
"""
_ERROR = r"[A-Z]{1,8}-?\d{2,}[\w-]* | 0x[0-9a-fA-F]{4,16} | E[A-Z]{4,}"
_NAME = r"""
      \w*[^\W_]_+[^\W_]\w*            # snake_case
    | _+[^\W_]\w*                      # _private, __dunder__
    | [^\W_]*[a-z\d][A-Z][^\W_]*       # camelCase, PascalCase with a hump
    | v?\d+(?:\.\d+)+[\w.+-]*          # versions
    | \w+(?:::\w+)+                    # C++ and Rust names
    | [^\W\d]\w+(?:\.[^\W\d]\w+)+      # dotted names
"""
_KINDS = {
    Form.ERROR: re.compile(rf"(?:{_ERROR})", re.VERBOSE),
    Form.PATH: re.compile(rf"(?:{_PATH})", re.VERBOSE),
    Form.IDENTIFIER: re.compile(rf"(?:{_NAME})(?:\(\))?", re.VERBOSE),
}
_MOST_EXACT_WORDS = 4
_MOST_KEYWORDS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its form.

    Attributes:
        form: see ``Form``.
        exact: strings, casefolded and with single spaces, that good hits contain: quoted phrases, or the names of an exact
            form.
    """

    form: Form
    exact: tuple[str, ...] = ()

    def dense_weight(self, code_share: float = 0.0) -> float:
        """Share of the dense score, 0..1, where ``code_share`` (0..1) of the nearest candidates are code."""
        in_words = self.form in (Form.KEYWORDS, Form.QUESTION)
        return DENSE_WEIGHT[self.form] + (CODE_WEIGHT * code_share if in_words else 0.0)

    def is_met_by(self, *texts: str) -> bool:
        """Whether every exact string occurs in one of the texts, case and white space apart."""
        folded = [flattened(text) for text in texts]
        return all(any(needle in text for text in folded) for needle in self.exact)


def flattened(text: str) -> str:
    """Casefolded, with single spaces for white space."""
    return " ".join(text.casefold().split())


def question_form(text: str) -> Question:
    """The form of a question, by its looks alone."""
    phrases = tuple(flattened(next(filter(None, found))) for found in _QUOTED.findall(text))
    if phrases:
        return Question(Form.QUOTED, tuple(phrase for phrase in phrases if phrase))
    words = [word for word in (_bare(word) for word in text.split()) if word]
    kinds = [_kind(word) for word in words]
    names = [kind for kind in kinds if kind is not None]
    if words and len(names) == len(words) <= _MOST_EXACT_WORDS:
        return Question(max(names, key=names.count), tuple(word.removesuffix("()").casefold() for word in words))
    if names or len(words) == 1:
        return Question(Form.MIXED)
    return Question(Form.QUESTION if _is_sentence(text, words) else Form.KEYWORDS)


def unasked_words(text: str, form: Form) -> frozenset[str]:
    """The words of a question in words that ask and say nothing of the answer; none where nothing else would be left."""
    words = {_bare(word).casefold() for word in text.split()}
    asking = words & QUESTION_WORDS
    return frozenset(asking) if form in (Form.QUESTION, Form.KEYWORDS) and words - asking - {""} else frozenset()


def _bare(word: str) -> str:
    return word.strip("?!,;()[]{}<>'\"").rstrip(".:")


def _kind(word: str) -> Form | None:
    return next((form for form, pattern in _KINDS.items() if pattern.fullmatch(word)), None)


def _is_sentence(text: str, words: list[str]) -> bool:
    first = words[0].casefold() if words else ""
    return "?" in text or len(words) > _MOST_KEYWORDS or first in QUESTION_WORDS

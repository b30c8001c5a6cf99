"""Questions that might go into a golden set: from what people clicked on, and from headings. Pure.

Reading clicks, headings and texts is ``collect``'s; whether a candidate becomes a question is a person's decision.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cortex_assets.documents.model import Heading
from cortex_assets.evaluation.golden import Question
from cortex_assets.identity import content_id

LIKED, OPENED = 3, 1
"""Grades of a passage that was taken for good, and of one that was only opened."""
FEWEST_WORDS, MOST_WORDS = 3, 12
FEWEST_CHARS, MOST_CHARS = 160, 6_000
"""Of a section that answers its heading."""
SPARE = 10
"""So many times as many topics as are wanted are kept until it is known which stand only once."""
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_NUMBERING = re.compile(
    r"^(?:(?:chapter|section|part|appendix)\s+)?(?:[\divxlc]+[.)]|\d+(?:\.\d+)*[.)]?|[a-z][.)])\s+", re.I
)
_COMMON = frozenset(
    """
    a about abstract acknowledgements additional all also an and annex appendix are as at attendees author authors background
    basic basics be by can changelog changes chapter conclusion conclusions contact contents contributing copyright decisions
    description details do documentation documents example examples faq figures files for foreword format frequently from
    further general getting glossary guide here history how i in index information install installation introduction is it
    items know language languages learn legal licence license links list main manual minutes misc miscellaneous more need new
    next notes notice of on open option options or other our outline overview page part preface prerequisites purpose
    questions quick read reading reference references related remarks requirements resources results scope section see
    settings setup some start started steps summary support table tables terms thanks the this to todo topics up usage use
    used useful using version versions we what where who why with you your
    """.split()  # noqa: SIM905
)
"""Words that say nothing of what a section is about."""


class Clicked(NamedTuple):
    """A click on a result, as it was noted; the names are those of ``human/feedback``."""

    question: str
    how: str
    corpus_id: str
    path: str
    inner: str
    text_hash: str
    quote: str
    clicked_at: datetime


class Judged(NamedTuple):
    """A passage that clicks say answers a question, and how well (``LIKED`` or ``OPENED``)."""

    grade: int
    corpus_id: str
    path: str
    inner: str
    text_hash: str
    quote: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that people asked, and passages that answer it, the best first."""

    question: str
    passages: tuple[Judged, ...]

    @property
    def liked(self) -> int:
        """How many passages were taken for good."""
        return sum(one.grade == LIKED for one in self.passages)


class Section(NamedTuple):
    """A part of a document below a heading that reads as a topic; ``start`` is that of the heading."""

    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question with its gold that a person may accept.

    Attributes:
        candidate_id: of the words of the question.
        question: as it would be written; its id is the candidate's.
        origin: ``clicks`` or ``heading``.
        told: where it comes from, for people.
    """

    candidate_id: str
    question: Question
    origin: str
    told: str


def candidate_id(question: str) -> str:
    """Id of a question by its words: case, punctuation and white space do not tell candidates apart."""
    return content_id("candidate", plain_words(question))


def plain_words(text: str) -> str:
    """The words of a text in small letters; where it has none, the text."""
    words = _WORD.findall(text.casefold())
    return " ".join(words) if words else " ".join(text.split())


# -- clicks ------------------------------------------------------------------------------------------------------------


def asked_by_clicks(clicks: Iterable[Clicked]) -> list[Asked]:
    """Questions with the passages that were judged or opened, those with more that are good first, then by question.

    A passage's latest thumb counts: up makes it gold of grade 3, down takes it out, one that was taken back is none. Opened and
    not judged is grade 1. A question is worded as it was asked last.
    """
    wording: dict[str, str] = {}
    places: dict[tuple[str, tuple[str, ...]], list[Clicked]] = {}
    for click in sorted(clicks, key=lambda one: (one.clicked_at, one)):
        name = plain_words(click.question)
        wording[name] = " ".join(click.question.split())
        places.setdefault((name, (click.corpus_id, click.path, click.inner, click.quote)), []).append(click)
    found: dict[str, list[Judged]] = {}
    for (name, place), mine in places.items():
        grade = _grade([click.how for click in mine])
        if grade:
            corpus_id, path, inner, quote = place
            found.setdefault(name, []).append(Judged(grade, corpus_id, path, inner, mine[-1].text_hash, quote))
    asked = [
        Asked(wording[name], tuple(sorted(passages, key=lambda one: (-one.grade, one))))
        for name, passages in found.items()
    ]
    return sorted(asked, key=lambda one: (-one.liked, one.question))


def _grade(hows: Sequence[str]) -> int:
    """Of a passage by its clicks, the oldest first; 0 = it is no gold."""
    thumb = next((how for how in reversed(hows) if how != "opened"), "")
    if thumb == "thumb_up":
        return LIKED
    return OPENED if "opened" in hows and thumb != "thumb_down" else 0


# -- headings ----------------------------------------------------------------------------------------------------------


def topic_of(title: str) -> str | None:
    """A heading without its numbering where it reads as a topic, else None: a few words, most of which say something."""
    topic = _NUMBERING.sub("", " ".join(title.split())).strip(" #*_:.–—-")
    words = _WORD.findall(topic.casefold())
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS or topic.count("`") > 2 or "://" in topic or "](" in topic:
        return None
    telling = [word for word in words if word not in _COMMON and len(word) > 2 and not word[0].isdigit()]
    letters = sum(letter.isalpha() or letter.isspace() for letter in topic)
    return topic if len(set(telling)) >= 2 and letters >= 0.8 * len(topic) else None


def sections(headings: Sequence[Heading], length: int) -> Iterator[Section]:
    """The parts of a document whose heading is a topic and whose text is neither a line nor half a book.

    Args:
        headings: of the document, by start.
        length: characters of its text.
    """
    for number, heading in enumerate(headings):
        topic = topic_of(heading.title)
        if topic is None:
            continue
        below = (one.start for one in headings[number + 1 :] if one.level <= heading.level)
        end = next(below, length)
        if end - heading.start - len(heading.title) >= FEWEST_CHARS and end - heading.start <= MOST_CHARS:
            yield Section(topic, heading.start, end)


@dataclass(slots=True)
class Topics:
    """The topics of one corpus while its documents go by: few of them, spread by the hash of their words.

    Which are kept depends on the words alone, so the order of documents does not matter, and memory does not grow with them.
    """

    most: int
    known: Collection[str] = frozenset()
    """Ids of candidates that need not be proposed."""
    _kept: dict[str, list[tuple[str, Section]]] = field(default_factory=dict)

    def add(self, document_id: str, found: Iterable[Section]) -> None:
        """Note the sections of a document."""
        for section in found:
            identity = candidate_id(section.title)
            places = [] if identity in self.known else self._kept.setdefault(identity, [])
            if len(places) < 2:
                places.append((document_id, section))
        if len(self._kept) > 2 * self.most * SPARE:
            self._kept = dict(sorted(self._kept.items())[: self.most * SPARE])

    def unique(self) -> list[tuple[str, Section]]:
        """Document and section of the topics that stand only once, in the order of their hashes; more than are wanted."""
        ordered = sorted(self._kept.items())[: self.most * SPARE]
        return [places[0] for _, places in ordered if len(places) == 1]

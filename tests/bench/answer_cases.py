"""Questions that can and cannot be answered, each with what a search found: what ``answers`` measures and fits on.

Every question of XQuAD en is asked as it is, as keywords and as one word, three times: of an index of about half of the articles, with its
own among them (``here``) or not (``far``), and of its own half without the paragraph that answers it (``near``).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from cortex_assets.retrieval.answer import HITS_READ
from cortex_assets.retrieval.candidates import named
from cortex_assets.retrieval.cite import Citation, Verified, verify_citation
from cortex_assets.retrieval.search import SearchResult, search
from cortex_assets.retrieval.sparse import Fields, encode_points
from inference.protocols import Embedder, Floats
from resources.vectors.edge import EdgeStore
from tests.bench.retrieval_bench import SHARD, cosqa, half_of, points

Ask = Callable[[str], SearchResult]
FUNCTIONS = 1_000
"""Functions that questions of code are asked of."""


@dataclass(frozen=True, slots=True)
class Text:
    """A chunk of its own: what stands above it, itself, and its kind."""

    context: str
    text: str
    kind: str = "markdown"


@dataclass(frozen=True, slots=True)
class Case:
    """A question as it was asked, and what was found.

    Attributes:
        question_id: of the set.
        question: its words.
        form: ``question``, ``keywords`` or ``word``.
        kind: ``here``, ``far`` or ``near``.
        gold: what a right answer contains, one of them; empty where none is there.
        result: of the search.
    """

    question_id: str
    question: str
    form: str
    kind: str
    gold: tuple[str, ...]
    result: SearchResult


class Remembering:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        """Nothing is known yet."""
        self.space_id = embedder.space.space_id
        self._embedder = embedder
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Vectors of texts; see ``EmbedTexts``."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, self._embedder.embed_batch(fresh), strict=True))
        return np.array([self._known[text] for text in texts], dtype=np.float32)


def verify(citation: Citation) -> Verified:
    """Here a chunk is a document, so a quote stands where it says."""
    return verify_citation(citation, " " * citation.start_char + citation.quote)


def keywords(question: str) -> str:
    """The words of a question that do not only ask."""
    return " ".join(named(question)) or question


def forms(question: str) -> dict[str, str]:
    """A question as it is, as keywords, and as its longest word alone."""
    words = keywords(question)
    return {"question": question, "keywords": words, "word": max(words.split(), key=len)}


@contextmanager
def index_of(texts: Sequence[Text], embed: Remembering, folder: Path) -> Iterator[Ask]:
    """Search over some texts; ``HITS_READ`` hits and one more, for that one may be taken away."""
    vectors = embed([one.context + one.text for one in texts])
    batch = encode_points([Fields(one.text, one.context) for one in texts])
    sparse = [batch.vector(number) for number in range(len(batch))]
    frame = points([one.text for one in texts], vectors).with_columns(
        context=pl.Series([one.context for one in texts]),
        kind=pl.Series([one.kind for one in texts]),
        terms=pl.Series([terms.tolist() for terms, _ in sparse], dtype=pl.List(pl.UInt32)),
        weights=pl.Series([weights.tolist() for _, weights in sparse], dtype=pl.List(pl.Float32)),
    )
    store = EdgeStore(folder)
    try:
        store.publish(embed.space_id, vectors.shape[1], SHARD, frame, [], {})

        def ask(question: str) -> SearchResult:
            vector = embed([question])[0].tolist()
            begun = lambda _: lambda: vector  # noqa: E731 (a question's vector, begun and finished)
            space = embed.space_id
            return search(question, store=store, embed_query=begun, space_id=space, shards=[SHARD], limit=HITS_READ + 1)

        yield ask
    finally:
        store.close()


def xquad_cases(data: Path, embed: Remembering, scratch: Path) -> list[Case]:
    """Every question of XQuAD en in its three forms and its three kinds."""
    articles = json.loads((data / "retrieval" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [
        (half_of(article["title"]), Text(article["title"].replace("_", " ") + "\n", one["context"]), one["qas"])
        for article in articles
        for one in article["paragraphs"]
    ]
    asked = [(half, text, qa) for half, text, qas in paragraphs for qa in qas]
    embed([form for _, _, qa in asked for form in forms(qa["question"]).values()])
    cases: list[Case] = []
    for half in "ab":
        with index_of([text for mine, text, _ in paragraphs if mine == half], embed, scratch / half) as ask:
            for mine, text, qa in asked:
                gold = tuple(one["text"] for one in qa["answers"])
                for form, question in forms(qa["question"]).items():
                    result = ask(question)
                    known = (qa["id"], question, form)
                    if mine != half:
                        cases.append(Case(*known, "far", (), result))
                        continue
                    cases.append(Case(*known, "here", gold, result))
                    others = tuple(hit for hit in result.hits if hit.text != text.text)
                    cases.append(Case(*known, "near", (), replace(result, hits=others)))
    return cases


def code_cases(data: Path, embed: Remembering, scratch: Path) -> list[Case]:
    """Questions of CoSQA dev over functions, the right one there or not (``near``; another may be as good), and foreign ones."""
    tested = cosqa(data)
    wanted = sorted({question.answer for question in tested.questions})
    others = [number for number in range(len(tested.texts)) if number not in set(wanted)]
    numbers = [*wanted, *others[: FUNCTIONS - len(wanted)]]
    texts = {number: Text("", tested.texts[number], "code") for number in numbers}
    articles = json.loads((data / "retrieval" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    foreign = [qa for article in articles for one in article["paragraphs"][:1] for qa in one["qas"][:2]]
    cases: list[Case] = []
    with index_of(list(texts.values()), embed, scratch / "code") as ask:
        for question in tested.questions:
            result, gold = ask(question.text), texts[question.answer].text
            known = (question.question_id, question.text, "question")
            cases.append(Case(*known, "here", (gold,), result))
            left = tuple(hit for hit in result.hits if hit.text != gold)
            cases.append(Case(*known, "near", (), replace(result, hits=left)))
        cases += [Case(qa["id"], qa["question"], "question", "far", (), ask(qa["question"])) for qa in foreign]
    return cases

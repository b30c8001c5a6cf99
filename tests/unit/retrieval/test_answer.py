"""Answers over a small exact store: what is chosen, cited, verified, left out, and when nothing supports one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.answer import EMBEDDED, MOST, MOST_LEFT_OUT, Answer, answer, draft
from cortex_assets.retrieval.candidates import FRAME
from cortex_assets.retrieval.cite import Citation, Verdict, Verified, verify_citation
from cortex_assets.retrieval.confidence import MEANING, WORDS, Support, calibration, support
from cortex_assets.retrieval.search import SearchResult, search
from cortex_assets.retrieval.words import asked_ids
from inference.protocols import Floats
from tests.unit.retrieval.exact_store import ExactStore, payload

MEASURED = f"{next(iter(MEANING))}0123"
REPORT = (
    "# Water\n\nThe year was calm. The highest water level of the year was 4.87 m, reached on 12 November. It rained in May.\n\n"
    "What was the highest water level of the year?"
)
NOTES = "Visitors bring bread to the island. The old lamp burned colza oil until 1902."
GAUGE = "The north gauge is a pressure gauge in a well. It was built in 2011."
HARBOUR = "The harbour gauge is a radar gauge on the pier arm. Nothing touches it."
FILLER = {
    f"f{n}": f"Note {n} tells of bread, boats and the weather of day {n}. Nobody asked for it." for n in range(12)
}
TEXTS = {"report": REPORT, "notes": NOTES, "gauge": GAUGE, "harbour": HARBOUR, **FILLER}


def found(question: str, texts: Mapping[str, str] = TEXTS, space: str = "v", **columns: object) -> SearchResult:
    """Hits by words over one document a text."""
    store = ExactStore()
    for key, text in texts.items():
        row = payload(text, document_id=key, path=f"{key}.md", start_char=7, start_line=3, **columns)
        store.add(key, row, [1.0], space=space)
    return search(question, store=store, embed_query=None, space_id=space, shards=["s"])


def answered(question: str, texts: Mapping[str, str] = TEXTS, stored: Mapping[str, str] | None = None) -> Answer:
    documents = {key: "1\n2\n345" + text for key, text in texts.items()} if stored is None else stored
    return answer(
        question, found(question, texts), lambda cited: verify_citation(cited, documents.get(cited.document_id))
    )


def exact(citation: Citation) -> Verified:
    return Verified(Verdict.EXACT, citation.start_char, citation.end_char, 1.0)


def quotes(given: Answer) -> list[str]:
    return [quote.hit.citation.quote for quote in given.quotes]


def test_the_sentence_that_answers_is_cited_to_its_line_and_its_characters() -> None:
    given = answered("what was the highest water level of the year?")
    assert given.support is Support.SUPPORTED
    (quote,) = given.quotes
    assert quote.hit.citation.quote == "The highest water level of the year was 4.87 m, reached on 12 November."
    assert quote.verified.verdict is Verdict.EXACT
    assert quote.hit.citation.place == "report.md:5"
    assert quote.hit.citation.start_char == 7 + REPORT.index("The highest")
    stressed = [quote.hit.snippet.text[start:end] for start, end in quote.hit.snippet.spans]
    assert stressed == ["highest", "water", "level", "year"]


def test_a_heading_and_a_question_answer_nothing() -> None:
    given = answered("highest water level of the year")
    assert not any(quote.startswith("#") or quote.endswith("?") for quote in quotes(given))


@pytest.mark.parametrize("question", ["qwxz vbnq plokij", "who won the chess tournament in Berlin?", "?!"])
def test_what_nothing_answers_has_no_support_and_no_quotes(question: str) -> None:
    given = answered(question)
    assert (given.support, given.quotes) == (Support.NONE, ())
    assert given.confidence < 0.2


def test_a_word_alone_is_no_question_and_words_that_only_ask_name_nothing() -> None:
    alone = answered("colza")
    assert alone.support is Support.WEAK
    assert quotes(alone) == ["The old lamp burned colza oil until 1902."]
    assert answered("what was it?").support is Support.NONE
    assert answered('"day 3"').quotes  # quoted words are what is looked for, whatever they are


def test_an_empty_index_supports_nothing() -> None:
    assert answer("what is it?", SearchResult((), {}, ()), exact) == Answer(Support.NONE, 0.0, "words")


def test_a_question_over_two_documents_shows_what_each_says() -> None:
    given = answered("north gauge and harbour gauge")
    assert [{quote.hit.path for quote in group} for group in given.documents] == [{"harbour.md"}, {"gauge.md"}]
    assert quotes(given) == [HARBOUR.split(" Nothing")[0], GAUGE.split(" It")[0]]
    assert [quote.number for quote in given.quotes] == [1, 2]


def test_neighbours_are_one_quote() -> None:
    text = "The pump feeds the boiler room. The pump feeds the boiler tank. Ducks swim."
    given = answered("what does the pump feed in the boiler room and the boiler tank", {"pump": text, **FILLER})
    assert quotes(given) == ["The pump feeds the boiler room. The pump feeds the boiler tank."]


def test_the_same_sentence_is_not_said_twice() -> None:
    given = answered(
        "what did the lamp burn", {"notes": NOTES, "copy": "The *old lamp* burned **colza oil** until 1902!", **FILLER}
    )
    assert len(given.quotes) == 1


def test_what_the_stored_text_does_not_bear_out_is_left_out_and_counted() -> None:
    question = "what was the highest water level of the year?"
    gone = answered(question, stored={})
    assert (gone.support, gone.quotes, gone.confidence) == (Support.NONE, (), 0.0)
    assert 0 < gone.left_out <= MOST_LEFT_OUT
    moved = answered(question, stored={"report": "Before it. " + REPORT})
    assert [quote.verified.verdict for quote in moved.quotes] == [Verdict.FUZZY]


def test_an_exact_name_is_answered_only_from_where_it_stands() -> None:
    texts = {"a": "def max_retry_count(limit):\n    return limit", "b": "max retry count of the retry", **FILLER}
    assert {quote.hit.path for quote in answered("max_retry_count", texts).quotes} == {"a.md"}
    assert answered('"colza whale oil"').support is Support.NONE


def test_text_from_files_is_shown_without_what_moves_a_terminal() -> None:
    given = answered("which oil does the lamp burn", {"x": "The lamp\x1b[31m burned\u202e colza oil.", **FILLER})
    (quote,) = given.quotes
    assert quote.hit.snippet.text == "The lamp burned colza oil."
    assert quote.hit.citation.quote == "The lamp\x1b[31m burned\u202e colza oil."


def test_by_meaning_only_in_a_space_that_was_measured_and_few_texts_are_embedded() -> None:
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> Floats:
        asked.append(len(texts))
        vectors = np.array([[1.0, 2.0 * ("colza" in text)] for text in texts], dtype=np.float32)
        length: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / length

    question = "which oil did the lamp burn?"
    assert answer(question, found(question), exact, embed).basis == "words"
    assert not asked
    by_meaning = answer(question, found(question, space=MEASURED), exact, embed)
    assert by_meaning.basis == "words and meaning"
    assert asked == [1 + min(EMBEDDED, asked[0] - 1)]
    assert calibration([MEASURED, "v"]) is None


def test_code_is_quoted_in_blocks_and_a_table_by_rows() -> None:
    code = "def drift(hours):\n    return hours * 2\n\ndef tide():\n    return 3"
    given = answer("drift hours", found("drift hours", {"c": code, **FILLER}, kind="code"), exact)
    assert quotes(given)[0] == "def drift(hours):\n    return hours * 2"
    rows = answer(
        "offset of NP-7",
        found("offset of NP-7", {"t": "serial,offset\nNP-7,1.8\nNP-8,2", **FILLER}, kind="table"),
        exact,
    )
    assert quotes(rows) == ["serial,offset\nNP-7,1.8"]


WORDS_OF = st.lists(
    st.sampled_from(
        [
            "lamp",
            "oil",
            "gauge",
            "north",
            "harbour",
            "water",
            "level",
            "bread",
            "what",
            "is",
            "the",
            "of",
            "1902",
            "zzz",
        ]
    ),
    min_size=1,
    max_size=8,
)


@given(WORDS_OF.map(" ".join))
def test_every_answer_stands_in_the_documents_in_order_and_within_bounds(question: str) -> None:
    result = found(question)
    given = answer(question, result, exact)
    assert given == answer(question, result, exact)
    assert 0 <= given.confidence <= 1
    assert len(given.quotes) <= MOST
    assert [quote.number for quote in given.quotes] == list(range(1, len(given.quotes) + 1))
    for quote in given.quotes:
        cited = quote.hit.citation
        assert TEXTS[cited.document_id][cited.start_char - 7 : cited.end_char - 7] == cited.quote
    assert bool(given.quotes) == (given.support is not Support.NONE)


def test_words_that_only_ask_weigh_nothing_and_constants_fit_their_features() -> None:
    assert FRAME.issuperset(asked_ids("what is the"))
    drafted = draft("which oil did the lamp burn?", found("which oil did the lamp burn?"), exact, WORDS)
    assert len(drafted.features) == len(WORDS.whole.weights)
    assert drafted.best == NOTES.split(". ")[1]
    for known in MEANING.values():
        assert len(known.sentence.weights) == len(WORDS.sentence.weights) + 1
        assert len(known.whole.weights) == len(known.word.weights) == len(WORDS.whole.weights) + 2


def test_a_chance_is_called_by_its_bounds() -> None:
    assert [support(chance) for chance in (0.0, 0.19, 0.2, 0.49, 0.5, 1.0)] == [
        *[Support.NONE] * 2, *[Support.WEAK] * 2, *[Support.SUPPORTED] * 2,
    ]  # fmt: skip
    assert WORDS.whole.chance((1000.0, 1000.0)) == 1.0
    assert WORDS.whole.chance((-1000.0, -1000.0)) == 0.0

"""Search over a small exact store."""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from cortex_assets.retrieval.cite import Verdict, verify_citation
from cortex_assets.retrieval.filters import SearchFilter
from cortex_assets.retrieval.gather import LiveSpace
from cortex_assets.retrieval.search import Options, QueryError, SearchResult, search, search_spaces
from cortex_assets.retrieval.sparse import QUERY_CHARACTERS
from cortex_assets.retrieval.words import asked_ids
from inference.errors import EngineUnavailable
from tests.unit.retrieval.exact_store import ExactStore, payload

MEANINGS = {"cat": 0, "kitten": 0, "feline": 0, "dog": 1, "puppy": 1, "rain": 2, "weather": 2}


def embed(text: str) -> list[float]:
    """A toy embedder that knows synonyms."""
    vector = [0.01] * 4
    for word in text.lower().replace("?", "").split():
        vector[MEANINGS.get(word, 3)] += 1.0
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def asked(text: str) -> Callable[[], list[float]]:
    """``embed`` as a search takes it: begun, then finished."""
    return partial(embed, text)


def store(texts: dict[str, str], shards: int = 1, **columns: str) -> ExactStore:
    made = ExactStore()
    for n, (key, text) in enumerate(sorted(texts.items())):
        made.add(
            key, payload(text, document_id=f"d{n}", path=f"notes/{key}.md", **columns), embed(text), f"s{n % shards}"
        )
    return made


TEXTS = {
    "a": "the kitten sleeps on a mat",
    "b": "a puppy runs in the park",
    "c": "weather report with rain",
    "d": "def max_retry_count(): return 3",
    "e": "count every retry up to the max of them, max retry max count",
}


def ask(question: str, made: ExactStore, shards: int = 1, **settings: object) -> SearchResult:
    names = [f"s{n}" for n in range(shards)]
    options = {"embed_query": asked, "space_id": "v", "shards": names, **settings}
    return search(question, store=made, **options)  # type: ignore[arg-type]


def test_a_paraphrase_is_found_by_meaning_and_an_identifier_by_words() -> None:
    made = store(TEXTS)
    assert ask("where is my feline cat", made).hits[0].chunk_id == "a"
    assert ask("max_retry_count", made).hits[0].chunk_id == "d"


def test_an_identifier_ranks_first_though_its_parts_stand_elsewhere_more_often_and_meaning_says_otherwise() -> None:
    made = store(TEXTS | {f"x{n:02}": f"max retry count max retry count number {n}" for n in range(30)})
    assert ask("max_retry_count", made).hits[0].chunk_id == "d"
    assert ask("maxRetryCount", made).hits[0].chunk_id != "d"


def test_a_file_is_found_by_its_name() -> None:
    made = store({**TEXTS, "budget_2026": "nothing about money here"})
    assert ask("budget_2026.md", made).hits[0].chunk_id == "budget_2026"
    assert ask("budget 2026", made, embed_query=None).hits[0].chunk_id == "budget_2026"


def test_a_quoted_phrase_comes_before_its_scattered_words() -> None:
    made = store(
        {"a": "red fox red fox quick quick brown brown", "b": "so the quick\nbrown fox is a long sentence of others"}
    )
    assert ask('"quick brown fox"', made).hits[0].chunk_id == "b"


def test_without_an_embedder_it_says_so() -> None:
    found = ask("kitten", store(TEXTS), embed_query=None)
    assert [hit.chunk_id for hit in found.hits] == ["a"]
    assert found.hits[0].dense_score is None
    assert "no embedder" in found.notes[0]
    assert ask("kitten", store(TEXTS)).notes == ()


def test_chunks_without_a_vector_are_found_by_words() -> None:
    made = store(TEXTS)
    made.add("late", payload("a zebra came late"), None, "s0")
    assert ask("zebra", made).hits[0].chunk_id == "late"


def test_words_that_occur_nowhere_are_noted() -> None:
    found = ask("xylophone", store(TEXTS))
    assert "by meaning only" in found.notes[0]
    assert ask("xylophone", store(TEXTS), embed_query=None).hits == ()


def test_bad_questions() -> None:
    for question in ("", " \n\t", "\x00"):
        with pytest.raises(QueryError, match="empty"):
            ask(question, store(TEXTS))
    with pytest.raises(QueryError, match="limit 0"):
        ask("cat", store(TEXTS), limit=0)


def test_a_very_long_question_is_cut_and_says_so() -> None:
    heard: list[int] = []

    def listen(text: str) -> Callable[[], list[float]]:
        heard.append(len(text))
        return asked(text)

    found = ask("kitten " * 100_000, store(TEXTS), embed_query=listen)
    assert heard == [QUERY_CHARACTERS]
    assert "700,000" not in found.notes[0]
    assert f"{QUERY_CHARACTERS:,} were read" in found.notes[0]


def test_no_shards_is_said_not_silent() -> None:
    found = ask("cat", ExactStore(), shards=0)
    assert found.hits == ()
    assert "nothing is indexed" in found.notes[0]


def test_equal_texts_collapse_under_the_best() -> None:
    made = store(TEXTS)
    made.add("a2", payload(TEXTS["a"], document_id="copy", path="other/copy.md", start_line=7), embed(TEXTS["a"]), "s0")
    hits = ask("kitten", made).hits
    assert [hit.chunk_id for hit in hits].count("a") == 1
    first = hits[0]
    assert [(place.chunk_id, place.path, place.start_line) for place in first.also_in] == [("a2", "other/copy.md", 7)]
    assert "a2" not in [hit.chunk_id for hit in hits]


@pytest.mark.parametrize("shards", [1, 8, 40])
def test_the_number_of_shards_changes_no_rank(shards: int) -> None:
    texts = {
        hashlib.blake2b(
            str(n).encode(), digest_size=4
        ).hexdigest(): f"note {n} about {'rain' if n % 7 else 'cat'} {n % 13} w{n % 5}"
        for n in range(80)
    }
    for question in ("rain w3", "cat 7", "note about weather 12"):
        many = ask(question, store(texts, shards), shards, candidates=20)
        one = ask(question, store(texts), candidates=20)
        assert [(hit.chunk_id, hit.score, hit.sparse_score) for hit in many.hits] == [
            (hit.chunk_id, hit.score, hit.sparse_score) for hit in one.hits
        ]


def test_the_filter_goes_to_the_store() -> None:
    made = store(TEXTS)
    made.add("p", payload("kitten in a pdf", kind="pdf"), embed("kitten"), "s0")
    assert [hit.chunk_id for hit in ask("kitten", made, filter=SearchFilter(kinds=("pdf",))).hits] == ["p"]


def test_two_spaces_embed_once_each_and_merge() -> None:
    made = store(TEXTS)
    made.add("w", payload("kitten elsewhere", document_id="w"), [1.0, 0.0], "t0", "other")
    heard: list[str] = []

    def other(text: str) -> Callable[[], list[float]]:
        heard.append(text)
        return lambda: [1.0, 0.0]

    spaces = [LiveSpace("v", ("s0",), asked), LiveSpace("other", ("t0",), other)]
    found = search_spaces("kitten", store=made, spaces=spaces)
    assert heard == ["kitten"]
    assert {hit.chunk_id: hit.space_id for hit in found.hits}["w"] == "other"
    assert found.hits[0].chunk_id in ("a", "w")


def test_words_of_a_shard_in_two_spaces_weigh_once_and_those_of_its_parts_together() -> None:
    made, seen = store(TEXTS), []
    for chunk_id, text in TEXTS.items():
        made.add(chunk_id, payload(text), embed(text), "s0", "copy")
    made.add("w", payload("kitten elsewhere", document_id="w"), [1.0, 0.0], "s0", "part")
    frequencies = made.document_frequencies

    def heard(space_id: str, shards: Sequence[str], terms: Sequence[int]) -> Any:
        seen.append((space_id, tuple(shards)))
        return frequencies(space_id, shards, terms)

    made.document_frequencies = heard  # type: ignore[method-assign]
    whole = [LiveSpace("v", ("s0",)), LiveSpace("copy", ("s0",))]
    parts = [LiveSpace("v", ("s0",), None, frozenset({"s0"})), LiveSpace("part", ("s0",), None, frozenset({"s0"}))]
    once = search_spaces("kitten", store=made, spaces=whole)
    assert seen == [("v", ("s0",))]
    alone = search_spaces("kitten", store=made, spaces=whole[:1])
    assert [(hit.chunk_id, hit.score) for hit in once.hits] == [(hit.chunk_id, hit.score) for hit in alone.hits]
    seen.clear()
    both = search_spaces("kitten", store=made, spaces=parts)
    assert seen == [("v", ("s0",)), ("part", ("s0",))]
    assert "w" in {hit.chunk_id for hit in both.hits}


def test_a_hit_cites_its_bytes() -> None:
    body = "# Title\n\n" + "filler words\n" * 40 + "The kitten sleeps.\nIt dreams.\n" + "more filler\n" * 40
    document = "front matter\n\n" + body
    made = ExactStore()
    start = document.index(body)
    made.add("k", payload(body, start_char=start, start_line=3, start_page=2, end_page=2), embed("kitten"), "s0")
    hit = ask("kitten dreams", made).hits[0]
    assert verify_citation(hit.citation, document).verdict is Verdict.EXACT
    assert "The kitten sleeps." in hit.citation.quote
    lines = document.split("\n")
    assert lines[hit.citation.start_line - 1] in document[: hit.citation.end_char]
    quoted = "\n".join(lines[hit.citation.start_line - 1 : hit.citation.end_line])
    assert hit.citation.quote.strip() in quoted
    assert hit.citation.start_page == 2


def test_hostile_names_are_safe_to_print() -> None:
    made = ExactStore()
    made.add("k", payload("kitten", path="a\x1b[2Jb\n.md", title="\u202etitle"), embed("kitten"), "s0")
    hit = ask("kitten", made).hits[0]
    assert (hit.path, hit.title) == ("ab .md", "title")


def test_words_are_looked_for_while_the_question_is_embedded() -> None:
    made = store(TEXTS)

    def listen(text: str) -> Callable[[], list[float]]:
        made.calls.append("begun")
        return lambda: made.calls.append("asked for") or embed(text)  # type: ignore[func-returns-value]

    ask("kitten", made, embed_query=listen)
    assert [call for call in made.calls if call in ("begun", "sparse", "asked for", "dense")] == [
        "begun",
        "sparse",
        "asked for",
        "dense",
    ]


def test_timings_use_the_clock_that_is_given() -> None:
    ticks = iter(range(100))
    found = ask("kitten", store(TEXTS), clock=lambda: float(next(ticks)))
    assert set(found.timings) == {"sparse", "embed", "dense", "rank", "total"}
    assert found.timings["total"] >= 4


def test_a_misspelt_word_is_found_and_told() -> None:
    made = store({**TEXTS, "f": "weather and rain again"})
    found = ask("wether", made, embed_query=None)
    assert {hit.chunk_id for hit in found.hits} == {"c", "f"}
    assert "wether occurs nowhere: weather was looked for as well" in found.notes


def test_what_has_no_vector_yet_stands_where_its_words_put_it_and_is_told() -> None:
    made = store(TEXTS)
    made.add("late", payload("a zebra came late"), None, "s0")
    found = ask("zebra or kitten", made)
    assert "no vector yet" in " ".join(found.notes)
    assert found.hits[0].chunk_id == "late"


def test_a_corrected_word_weighs_for_sentences_as_it_was_found() -> None:
    made = store({**TEXTS, "r1": "receive the parcel", "r2": "we receive mail"})
    weights = ask("recieve", made, embed_query=None).term_weights
    assert asked_ids("receive")[0] in weights
    assert asked_ids("recieve")[0] not in weights


def test_nothing_overtakes_what_has_the_quoted_phrase() -> None:
    """Neither the time that is asked for, nor a reranker, nor the wish for passages that differ."""
    made = ExactStore()
    for key, text, changed in (
        ("a", "a pump failure in the hall", "2025-03-01"),
        ("b", "a pump failure in the old hall", "2025-03-02"),
        ("c", "failure of a pump, pump, failure, failure", "2026-03-01"),
    ):
        made.add(key, payload(text, document_id=key, path=f"{key}.md", modified_at=changed), embed(text), "s0")

    class Reverse:
        name, share = "reverse", 0.7

        def score_batch(self, _: str, texts: Sequence[str]) -> list[float]:
            return [float("of a pump" in text) for text in texts]

    question = '"pump failure" since 2026-01-01'
    for options in (Options(), Options(reranker=Reverse()), Options(is_diverse=True)):
        hits = ask(question, made, options=options).hits
        assert [hit.chunk_id for hit in hits][2:] == ["c"]
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True) or options.is_diverse


def test_a_reranker_that_fails_is_told_to_whoever_measures() -> None:
    class Dead:
        name, share = "dead", 0.7

        def score_batch(self, _: str, __: Sequence[str]) -> list[float]:
            raise EngineUnavailable("nobody there")

    made = store(TEXTS)
    assert "nobody there" in ask("cat", made, options=Options(reranker=Dead())).unjudged
    assert not ask("cat", made).unjudged


def test_a_question_for_the_newest_lifts_what_changed_last() -> None:
    made = ExactStore()
    for year in (2024, 2025, 2026):
        row = payload(f"release notes {year}", path=f"{year}.md", modified_at=f"{year}-05-01T00:00:00Z")
        made.add(f"y{year}", row, embed("rain"), "s0")
    assert ask("release notes", made).hits[0].chunk_id == "y2024"
    found = ask("latest release notes", made)
    assert found.hits[0].chunk_id == "y2026"
    assert "the newest come first" in " ".join(found.notes)
    assert found.hits[0].signals.time == 1.0


def test_signals_say_what_made_the_score() -> None:
    made = store(TEXTS)
    hit = ask("kitten on a mat", made, options=Options(explains=True)).hits[0]
    assert hit.chunk_id == "a"
    assert hit.signals.by_meaning + hit.signals.by_words == pytest.approx(hit.score, abs=2e-4)
    assert hit.signals.dense_rank == hit.signals.sparse_rank == 1
    words = {word.word: word for word in hit.signals.words}
    assert "text" in words["kitten"].fields
    assert sum(word.score for word in hit.signals.words) == pytest.approx(hit.sparse_score, abs=1e-3)
    assert ask("kitten", made).hits[0].signals.words == ()


def test_signals_of_an_exact_question() -> None:
    found = ask("max_retry_count", store(TEXTS), options=Options(explains=True))
    assert (found.hits[0].signals.exact, found.hits[1].signals.exact) == (True, False)
    assert found.hits[0].signals.words[0].fields == ("text",)


def test_a_chunk_says_where_it_stands_in_its_document() -> None:
    made = ExactStore()
    made.add("a", payload("a kitten sleeps", start_char=40), embed("kitten"), "s0")
    hit = ask("kitten", made).hits[0]
    assert (hit.start_char, hit.end_char) == (40, 55)

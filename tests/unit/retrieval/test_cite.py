"""Citations: exact, moved, respaced, edited, gone."""

import time

from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.cite import Citation, Verdict, verify_citation

TEXT = "Intro line.\n\nThe engine stores every row with its hash and the key it was made from.\nThe end of it.\n"
QUOTE = "The engine stores every row with its hash and the key it was made from."


def citation(quote: str, start: int) -> Citation:
    return Citation("d", "notes/a.md", start, start + len(quote), 3, 4, None, None, quote)


def test_exact() -> None:
    found = verify_citation(citation(QUOTE, TEXT.index(QUOTE)), TEXT)
    assert (found.verdict, found.start_char, found.ratio) == (Verdict.EXACT, TEXT.index(QUOTE), 1.0)


def test_moved_text_is_found_nearest_to_where_it_stood() -> None:
    moved = QUOTE + "\n" + "x" * 500 + "\n" + QUOTE + "\n"
    found = verify_citation(citation(QUOTE, 560), moved)
    assert found.verdict is Verdict.FUZZY
    assert found.start_char == moved.rindex(QUOTE)
    assert found.ratio == 1.0


def test_other_white_space() -> None:
    respaced = TEXT.replace("every row", "every\n   row")
    found = verify_citation(citation(QUOTE, TEXT.index(QUOTE)), respaced)
    assert (found.verdict, found.ratio) == (Verdict.FUZZY, 1.0)
    assert respaced[found.start_char : found.end_char].split() == QUOTE.split()


def test_an_edited_word_is_fuzzy_with_its_ratio() -> None:
    edited = "More before.\n" + TEXT.replace("stores", "keeps")
    found = verify_citation(citation(QUOTE, TEXT.index(QUOTE)), edited)
    assert found.verdict is Verdict.FUZZY
    assert 0.9 < found.ratio < 1
    assert edited[found.start_char : found.end_char] == QUOTE.replace("stores", "keeps").rstrip(".")


def test_what_is_not_there_is_unverified() -> None:
    for quote in ("Nothing of this kind was ever said in that place at all.", "   ", "hash key row"):
        assert verify_citation(citation(quote, 0), TEXT).verdict is Verdict.UNVERIFIED
    assert verify_citation(citation(QUOTE, 0), None).verdict is Verdict.UNVERIFIED
    assert verify_citation(citation(QUOTE, 0), "").verdict is Verdict.UNVERIFIED


def test_a_span_that_does_not_fit_its_quote_is_not_exact() -> None:
    start = TEXT.index(QUOTE)
    wrong = Citation("d", "a", start, start + 5, 1, 1, None, None, QUOTE)
    assert verify_citation(wrong, TEXT).verdict is Verdict.FUZZY


@given(st.text(max_size=300), st.integers(0, 300), st.integers(1, 100))
def test_every_slice_of_a_text_is_exact(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    if quote.strip():
        assert verify_citation(citation(quote, start), text).verdict is Verdict.EXACT


def test_a_large_document_of_one_word_takes_bounded_time() -> None:
    begun = time.process_time()
    verify_citation(citation("b " + "a " * 3_000 + "c", 0), "a " * 200_000)
    assert time.process_time() - begun < 5


def test_place_for_people() -> None:
    assert citation("x", 0).place == "notes/a.md:3-4"
    assert Citation("d", "r.pdf", 0, 1, 1, 1, 3, 3, "x").place == "r.pdf p. 3"

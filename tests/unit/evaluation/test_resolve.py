"""Gold in documents: anchors whatever the white space, members, parts, and why gold is gone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.evaluation.golden import Gold, Question
from cortex_assets.evaluation.resolve import Document, Shelf, Target, find_span

TEXT = "Mussels had settled\n  in the inlet.  The peak was\tcut off. Later the peak was cut off again."
DOCUMENTS = [
    Document("d1", "notes", "a.md", text=TEXT),
    Document("d2", "other", "a.md", text="Nothing of it."),
    Document("d3", "notes", "big.txt", "#part-1", "The first part."),
    Document("d4", "notes", "big.txt", "#part-2", "The second part."),
    Document("d5", "notes", "box.zip", "/in/a.md", "A member."),
    Document("d6", "notes", "box.zip", "/in/b.md#part-1", "Another member."),
]
SHELF = Shelf(DOCUMENTS, {"c1": ("d1", 4, 9)})


def resolved(*golds: Gold, corpora: tuple[str, ...] = ()) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    found = SHELF.resolve(Question("q", "?", "other", golds), corpora)
    return found.targets, found.gone


def test_words_are_found_whatever_the_white_space_between_them() -> None:
    (target,), gone = resolved(Gold(path="a.md", begins="settled in the   inlet.", ends="was cut off.", grade=2))
    assert not gone
    assert target.document_ids == {"d1"}
    assert target.span is not None
    assert TEXT[slice(*target.span)] == "settled\n  in the inlet.  The peak was\tcut off."
    assert target.grade == 2


def test_gold_by_path_takes_all_documents_of_it_and_a_corpus_narrows_them() -> None:
    assert resolved(Gold(path="a.md"))[0][0].document_ids == {"d1", "d2"}
    assert resolved(Gold(path="a.md", corpus="other"))[0][0].document_ids == {"d2"}
    assert resolved(Gold(path="a.md"), corpora=("notes",))[0][0].document_ids == {"d1"}


def test_parts_of_a_file_are_the_file_and_members_are_named() -> None:
    assert resolved(Gold(path="big.txt"))[0][0].document_ids == {"d3", "d4"}
    (target,), _ = resolved(Gold(path="big.txt", begins="second part"))
    assert target == Target(1, frozenset({"d4"}), (4, 15))
    assert resolved(Gold(path="box.zip", inner="in/a.md"))[0][0].document_ids == {"d5"}
    assert resolved(Gold(path="box.zip", inner="/in/b.md"))[0][0].document_ids == {"d6"}


def test_gold_by_id() -> None:
    targets, gone = resolved(Gold(document_id="d5"), Gold(chunk_id="c1", grade=3))
    assert targets == (Target(1, frozenset({"d5"})), Target(3, frozenset({"d1"}), (4, 9), "c1"))
    assert not gone


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        (Gold(path="no.md"), "no.md: no such document"),
        (Gold(path="box.zip"), "box.zip: no such document"),
        (Gold(document_id="d9"), "d9: no such document"),
        (Gold(chunk_id="c9"), "c9: no chunk has that id"),
        (Gold(path="a.md", begins="Oysters"), "a.md “Oysters”: its first words are not in the text"),
        (
            Gold(path="a.md", begins="Mussels", ends="drowned"),
            "a.md “Mussels … drowned”: its last words are not in the text",
        ),
        (
            Gold(path="a.md", begins="cut off again", ends="Mussels"),
            "a.md “cut off again … Mussels”: its last words are not in the text",
        ),
    ],
)
def test_gold_that_is_gone_says_why_and_the_rest_stays(gold: Gold, why: str) -> None:
    targets, gone = resolved(gold, Gold(path="a.md", corpus="notes"))
    assert [target.document_ids for target in targets] == [{"d1"}]
    assert len(gone) == 1
    assert gone[0].startswith(why)


def test_golds_that_are_not_there_are_told_apart_by_their_words() -> None:
    """Which golds a question has left decides whether it is compared."""
    long = "It begins alike for two lines and says the same of nearly everything, and only then "
    golds = [
        Gold(path="a.md", begins=words) for words in ("Oysters\n had", "Crabs had", f"{long}drifts", f"{long}stays")
    ]
    golds += [Gold(path="a.md", begins="Mussels", ends=words) for words in ("drowned", "swam")]
    gone = [resolved(gold)[1][0] for gold in golds]
    assert len(set(gone)) == len(golds)
    assert gone[0] == "a.md “Oysters had”: its first words are not in the text"
    assert gone[2].startswith("a.md “It begins alike for two lines and says t … erything, and only then drifts”: ")


WORDS = st.lists(st.text("abc.*[\\", min_size=1, max_size=4), min_size=1, max_size=5)
BLANK = st.text(" \n\t\u00a0", min_size=1, max_size=3)


@given(WORDS, st.data())
def test_a_passage_is_found_with_any_blanks_between_its_words(words: list[str], data: st.DataObject) -> None:
    text = "x " + "".join(word + data.draw(BLANK) for word in words) + "y"
    span = find_span(text, " ".join(words))
    assert span is not None
    assert re.split(r"\s+", text[slice(*span)]) == words
    assert find_span(text, words[0], "y") == (text.index(words[0]), len(text))

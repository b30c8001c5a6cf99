"""Questions are added to a golden set's text: what stands there stays, what is added reads back, other forms are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.evaluation.golden import Gold, GoldenError, Question, parse_golden
from cortex_assets.evaluation.written import with_questions

FILE = Path("golden/accepted.yaml")
ONE = Question("a-1", "high water?", "question", (Gold("a.md", "notes", grade=3, begins="the quay", ends="flooded."),))


def test_the_first_question_makes_the_file() -> None:
    text = with_questions("", [ONE], FILE)
    golden = parse_golden(text, FILE)
    assert (golden.name, golden.version, golden.questions) == ("accepted", 1, (ONE,))
    assert text.startswith("# ")


def test_what_a_person_wrote_stays_as_it_is_written() -> None:
    mine = (
        "# mine\nset: accepted # a name\nversion: 7   # counted by hand\ncorpora:\n  - notes\nquestions:\n\n"
        "# the first\n- {id: x, question: 'why?', gold: [{path: b.md}]}  # short\n# the end"
    )
    text = with_questions(mine, [ONE], FILE)
    assert text.startswith(mine.replace("version: 7", "version: 8"))
    golden = parse_golden(text, FILE)
    assert [one.question_id for one in golden.questions] == ["x", "a-1"]
    assert (golden.version, golden.corpora) == (8, ("notes",))


def test_an_id_that_is_taken_gets_a_number() -> None:
    text = with_questions(with_questions("", [ONE], FILE), [ONE, ONE], FILE)
    assert [one.question_id for one in parse_golden(text, FILE).questions] == ["a-1", "a-1-2", "a-1-3"]


@pytest.mark.parametrize(
    "text",
    [
        "set: s\nversion: 1\nquestions: [{id: x, question: why, gold: [{path: a}]}]\n",
        "version: 1\nquestions:\n  - {id: x, question: why, gold: [{path: a}]}\nset: s\n",
        "questions:\n  - {id: x, question: why, gold: [{path: a}]}\n",
        "version: 1\nquestions:\n  - id: x\n    question: why\n    gold:\n    - path: |\n        a\n    # version\n",
        "questions: [",
    ],
)
def test_a_file_of_another_form_is_refused_with_a_remedy(text: str) -> None:
    try:
        whole = with_questions(text, [ONE], FILE)
    except GoldenError as error:
        assert "accepted.yaml" in str(error)
    else:
        assert parse_golden(whole, FILE).questions[-1] == ONE


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40).filter(
    str.strip
)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=3, unique_by=lambda one: one[0]))
def test_any_words_read_back_as_they_were(questions: list[tuple[str, str, str]]) -> None:
    made = [
        Question(f"a-{number}", asked, "keywords", (Gold(path, "notes", "/member", grade=2, begins=words),))
        for number, (asked, path, words) in enumerate(questions)
    ]
    try:
        text = with_questions("", made[:1], FILE)
    except GoldenError:
        return  # a character that YAML does not take is refused, not changed
    for one in made[1:]:
        try:
            text = with_questions(text, [one], FILE)
        except GoldenError:
            made.remove(one)
    assert parse_golden(text, FILE).questions[0] == made[0]

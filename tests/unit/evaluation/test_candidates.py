"""What clicks say of passages, which headings are topics, and that the choice of topics does not depend on order."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents.model import Heading
from cortex_assets.evaluation.candidates import (
    LIKED,
    MOST_CHARS,
    OPENED,
    Clicked,
    Section,
    Topics,
    asked_by_clicks,
    candidate_id,
    sections,
    topic_of,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def click(
    how: str, minute: int = 0, question: str = "high water?", path: str = "a.md", quote: str = "the quote"
) -> Clicked:
    return Clicked(question, how, "c1", path, "", "hash", quote, NOON + timedelta(minutes=minute))


# -- clicks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hows", "grade"),
    [
        (["thumb_up"], LIKED),
        (["opened"], OPENED),
        (["opened", "thumb_up"], LIKED),
        (["thumb_up", "opened"], LIKED),
        (["thumb_down"], None),
        (["opened", "thumb_down"], None),
        (["thumb_up", "thumb_down"], None),
        (["thumb_down", "thumb_up"], LIKED),
        (["thumb_up", "withdrawn"], None),
        (["opened", "thumb_up", "withdrawn"], OPENED),
        (["opened", "thumb_down", "withdrawn"], OPENED),
    ],
)
def test_the_latest_thumb_counts_and_an_opening_without_one(hows: list[str], grade: int | None) -> None:
    asked = asked_by_clicks(click(how, minute) for minute, how in enumerate(hows))
    assert [passage.grade for one in asked for passage in one.passages] == ([] if grade is None else [grade])


def test_a_question_is_one_however_it_is_written_and_worded_as_asked_last() -> None:
    (one,) = asked_by_clicks(
        [
            click("thumb_up", 0, "HIGH  water"),
            click("opened", 1, "High water?", "b.md"),
            click("thumb_down", 2, "high water", "c.md"),
        ]
    )
    assert one.question == "high water"
    assert [(passage.path, passage.grade) for passage in one.passages] == [("a.md", LIKED), ("b.md", OPENED)]


def test_questions_with_more_that_is_good_come_first() -> None:
    found = asked_by_clicks(
        [
            click("opened", question="a"),
            click("thumb_up", question="b"),
            click("thumb_up", question="c"),
            click("thumb_up", question="c", path="b.md"),
        ]
    )
    assert [one.question for one in found] == ["c", "b", "a"]


@given(
    st.lists(
        st.builds(
            click,
            st.sampled_from(["thumb_up", "thumb_down", "withdrawn", "opened"]),
            st.integers(0, 3),
            st.sampled_from(["q", "Q?", "r"]),
            st.sampled_from(["a", "b"]),
        ),
        max_size=12,
    ),
    st.randoms(),
)
def test_the_order_of_rows_does_not_matter(clicks: list[Clicked], random: object) -> None:
    shuffled = list(clicks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert asked_by_clicks(shuffled) == asked_by_clicks(clicks)


# -- headings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "topic"),
    [
        ("Setting and disabling timeouts", "Setting and disabling timeouts"),
        ("3.2 Calibration of tide gauges", "Calibration of tide gauges"),
        ("Appendix B. Levels of the three inlets", "Levels of the three inlets"),
        ("  Highest   still water ", "Highest still water"),
        ("Introduction", None),
        ("Table of contents", None),
        ("How to use this guide", None),
        ("Frequently asked questions", None),
        ("Release notes 2.0.1 3.1.4", None),
        ("2026-05-06 2026-05-07 2026-05-08", None),
        ("Tide gauges", None),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", None),
        ("gauge gauge gauge", None),
        ("![a](https://example.org/picture.png) of a gauge", None),
        ("x = {a: 1, b: 2} + [c] * (d)", None),
    ],
)
def test_which_headings_are_topics(title: str, topic: str | None) -> None:
    assert topic_of(title) == topic


def test_a_section_ends_at_the_next_heading_of_its_level_and_is_neither_a_line_nor_half_a_book() -> None:
    headings = [
        Heading(1, "Moorings of the wave buoy", 0),
        Heading(2, "Shackles and swivels replaced", 400),
        Heading(2, "Chain wear last winter", 500),
        Heading(1, "Ferry times in summer", 1_000),
        Heading(1, "Harbour dues and waivers", 1_000 + MOST_CHARS + 1),
    ]
    found = list(sections(headings, 30_000))
    assert found == [Section("Moorings of the wave buoy", 0, 1_000), Section("Chain wear last winter", 500, 1_000)]


TITLES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([f"topic {n} of tides" for n in range(80)])), max_size=120
)


@given(TITLES, st.randoms())
def test_topics_are_unique_bounded_and_the_same_in_any_order(found: list[tuple[int, str]], random: object) -> None:
    def unique(pairs: list[tuple[int, str]]) -> list[str]:
        topics = Topics(1, frozenset({candidate_id("Topic 3 of tides")}))
        for document, title in pairs:
            topics.add(str(document), [Section(title, 0, 9)])
        return [section.title for _, section in topics.unique()]

    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    titles = [title for _, title in found]
    assert unique(shuffled) == unique(found)
    assert all(titles.count(title) == 1 for title in unique(found))
    assert "topic 3 of tides" not in unique(found)
    single = sorted({t for t in titles if titles.count(t) == 1 and t != "topic 3 of tides"}, key=candidate_id)
    assert unique(found) == single[: len(unique(found))]

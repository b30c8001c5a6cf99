"""The pure parts of the vector stores: exact top lists, merging, filters."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.vectors.filters import AnyOf, Between, Filter, matching_paths
from resources.vectors.generation import SegmentEntry
from resources.vectors.merging import AVERAGE_POINTS, next_to_compact, segments_to_merge
from resources.vectors.ranking import Candidate, Floor, exact_top, ranked

SCORES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.booleans()), max_size=80)


@given(SCORES, st.integers(1, 12), st.integers(1, 7))
def test_top_is_exact_however_points_are_spread(drawn: list[tuple[int, int, bool]], limit: int, parts: int) -> None:
    """Ties are everywhere, an engine breaks them its own way, some points are dead: the ranking is still exact."""
    every = [Candidate(f"{(i * 37) % 101:03d}{i}", score / 10) for i, (score, _, _) in enumerate(drawn)]
    dead = {candidate.chunk_id for candidate, (_, _, is_dead) in zip(every, drawn, strict=True) if is_dead}
    found = []
    floor = Floor(limit)
    for part in range(parts):
        own = [candidate for candidate, (_, home, _) in zip(every, drawn, strict=True) if home % parts == part]
        engine = sorted(own, key=lambda candidate: (-candidate.score, candidate.chunk_id[::-1]))
        held = {candidate.chunk_id for candidate in own} & dead

        def fetch(ask: int, least: float | None, engine: list[Candidate] = engine) -> list[Candidate]:
            return [candidate for candidate in engine if least is None or candidate.score >= least][:ask]

        top = exact_top(fetch, limit, held, len(held), len(engine), floor)
        found += [(candidate, part) for candidate in top]
    live = [candidate for candidate in every if candidate.chunk_id not in dead]
    wanted = sorted(live, key=lambda candidate: (-candidate.score, candidate.chunk_id))[:limit]
    assert [candidate for candidate, _ in ranked(found, limit)] == wanted


def test_more_ties_than_the_slack_are_read_to_their_end() -> None:
    engine = [Candidate(f"{999 - number:03d}", 0.5) for number in range(300)]
    asked = []

    def fetch(ask: int, least: float | None) -> list[Candidate]:
        asked.append(ask)
        return engine[:ask]

    top = exact_top(fetch, 3, frozenset(), 0, 300, Floor(3))
    assert len(top) == 300
    assert len(asked) < 6
    assert [candidate.chunk_id for candidate, _ in ranked([(hit, 0) for hit in top], 3)] == ["700", "701", "702"]


FULL = 100_000


def simulate(stream: list[int], first: list[int], max_segments: int = 8) -> tuple[float, int]:
    """Points written per point that came in, and the most segments there were that were not full."""
    segments = [SegmentEntry(f"first{number}", size) for number, size in enumerate(first)]
    written, most = 0, 0
    for number, incoming in enumerate(stream):
        victims = segments_to_merge(segments, incoming, max_segments, FULL)
        size = incoming + sum(victim.live for victim in victims)
        segments = [segment for segment in segments if segment not in victims]
        segments.append(SegmentEntry(f"seg{number}", size))
        written += size
        most = max(most, sum(segment.live < FULL for segment in segments))
    return written / sum(stream), most


@pytest.mark.parametrize(
    ("stream", "first", "bound"),
    [
        ([11_000] * 5, [], 1.0),
        ([13_000] * 20, [], 2.0),
        ([13_000] * 75, [], 3.0),
        ([25_500] * 72, [], 1.0),
        ([25_500, 300] * 30, [20_000] * 20, 1.6),
        ([20] * 99, [12_500] * 8, 5.0),
        ([20] * 100, [11_000] * 5, 5.0),
        ([20] * 1_000, [55_000], 7.0),
        ([13_000] * 5 + [20] * 200 + [300] * 20, [], 2.0),
    ],
)
def test_merging_keeps_few_segments_at_a_bounded_cost(stream: list[int], first: list[int], bound: float) -> None:
    amplification, most = simulate(stream, first)
    assert amplification <= bound
    assert most <= max(12, (sum(stream) + sum(first)) // AVERAGE_POINTS + 4)


def test_worn_segments_are_rewritten_and_dead_ones_dropped() -> None:
    fresh, worn, gone = SegmentEntry("a", 100, 20), SegmentEntry("b", 100, 26), SegmentEntry("c", 100, 100)
    assert segments_to_merge([fresh, worn, gone], 5, 8, FULL) == [worn]
    assert segments_to_merge([fresh, gone], 0, 8, FULL) == []


@given(st.lists(st.integers(1, 150_000), min_size=1, max_size=60))
def test_full_segments_are_left_alone_and_no_merge_gets_much_larger(stream: list[int]) -> None:
    segments: list[SegmentEntry] = []
    for number, incoming in enumerate(stream):
        victims = segments_to_merge(segments, incoming, 8, FULL)
        size = incoming + sum(victim.live for victim in victims)
        assert all(victim.live < FULL for victim in victims)
        assert not victims or size < 2 * FULL
        segments = [segment for segment in segments if segment not in victims] + [SegmentEntry(f"seg{number}", size)]
    assert sum(segment.live < FULL for segment in segments) <= 12 + sum(stream) // AVERAGE_POINTS


SIZES = st.lists(st.tuples(st.integers(1, 250_000), st.integers(0, 30), st.booleans()), max_size=20)


@given(SIZES)
def test_compacting_ends_with_graphs_and_one_rest(drawn: list[tuple[int, int, bool]]) -> None:
    segments = [
        SegmentEntry(f"s{number}", points, points * dead // 100, has_graph and points >= FULL)
        for number, (points, dead, has_graph) in enumerate(drawn)
    ]
    live = sum(segment.live for segment in segments)
    for step in range(len(segments) + 1):
        victims = next_to_compact(segments, FULL)
        if not victims:
            break
        size = sum(victim.live for victim in victims)
        assert size < 2 * FULL or len(victims) == 1 or victims[-1].live >= FULL
        segments = [segment for segment in segments if segment not in victims]
        segments.append(SegmentEntry(f"new{step}", size, 0, size >= FULL))
    assert next_to_compact(segments, FULL) == []
    assert sum(segment.live for segment in segments) == live
    assert sum(segment.live > 0 and not segment.has_graph for segment in segments) <= 1
    assert all(segment.dead <= 0.05 * segment.points for segment in segments if segment.live)


def test_compacting_leaves_what_is_well_alone() -> None:
    graph, rest = SegmentEntry("a", 150_000, 100, True), SegmentEntry("b", 400)
    assert next_to_compact([graph, rest], FULL) == []
    assert next_to_compact([graph, rest, SegmentEntry("c", 10)], FULL) == [SegmentEntry("c", 10), rest]
    assert next_to_compact([SegmentEntry("d", 100_000)], FULL) == [SegmentEntry("d", 100_000)]


@pytest.mark.parametrize(
    ("globs", "path", "is_match"),
    [
        (("docs/**/*.md",), "docs/a.md", True),
        (("docs/**/*.md",), "docs/x/y/a.md", True),
        (("docs/**/*.md",), "old/docs/a.md", False),
        (("docs/**/*.md",), "docs/a.MD", False),
        (("*.py",), "src/deep/a.py", True),
        (("/a.py",), "src/a.py", False),
        (("docs/",), "docs/x/y", True),
        (("docs",), "docs/x/y", True),
        (("src/*.py",), "src/deep/a.py", False),
        (("*.md", "!docs/old/**"), "docs/old/a.md", False),
        (("!docs/old/**",), "docs/a.md", True),
        (("!docs/old/**",), "docs/old/a.md", False),
        (("#notes/*.md",), "#notes/a.md", True),
        (("日記/*.md",), "日記/一.md", True),
    ],
)
def test_globs_mean_what_they_mean_in_a_gitignore(globs: tuple[str, ...], path: str, is_match: bool) -> None:
    assert matching_paths(globs, [path]) == ([path] if is_match else [])


def test_filter_conditions() -> None:
    where = Filter(corpora=("c",), modified_after=datetime(2026, 1, 2, 3, tzinfo=UTC))
    assert where.conditions() == (
        AnyOf("corpus_id", ("c",)),
        Between("modified_at", "2026-01-02T03:00:00.000000Z", None),
    )
    assert Filter().conditions() == ()
    with pytest.raises(ValueError, match="time zone"):
        Filter(modified_before=datetime(2026, 1, 1))
    for glob in ("", "  ", "!", "/"):
        with pytest.raises(ValueError, match="empty pattern"):
            Filter(path_globs=(glob,))

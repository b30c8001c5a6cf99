"""The gate over made-up histories: which evaluation counts as baseline, what is a regression, what is drift."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cortex_assets.evaluation.compare import Asked, Past, State, Verdict, compared, verdict
from cortex_assets.evaluation.recipe import Recipe, space_entry

OLD = Recipe(("space-1",), ("chunker-1",), "search-1")
NEW = replace(OLD, retrieval="search-2")
START = datetime(2026, 11, 20, tzinfo=UTC)
FIRST = (1,) * 20
WORSE = (1,) * 10 + (5,) * 10
"""Half of the questions fall from rank 1 to rank 5."""
SLIGHTLY = (1,) * 19 + (2,)


class History:
    """Evaluations one after the other, with the rank of one gold a question."""

    def __init__(self) -> None:
        self.past: list[Past] = []
        self.asked: dict[str, dict[str, Asked]] = {}
        self.accepted: str | None = None

    def add(self, recipe: Recipe, ranks: Sequence[int], content: str = "c0", questions: str = "s0") -> str:
        identity = f"e{len(self.past)}"
        at = START + timedelta(days=len(self.past))
        self.past.append(Past(identity, questions, at, recipe, content))
        self.asked[identity] = {f"h{n}": asked(f"q{n:02d}", rank) for n, rank in enumerate(ranks)}
        return identity

    def verdict(self, tolerance: float = 0.01) -> Verdict:
        return verdict(self.past, self.accepted, self.asked.__getitem__, tolerance)


def asked(name: str, *ranks: int) -> Asked:
    first = min((rank for rank in ranks if rank), default=0)
    metrics: Mapping[str, float] = {
        "recall@10": sum(0 < rank <= 10 for rank in ranks) / len(ranks),
        "mrr@10": 1 / first if first else 0.0,
        "ndcg@10": 1 / first if first else 0.0,
    }
    return Asked(name, f"text of {name}", ranks, metrics)


def test_the_first_evaluation_is_its_own_baseline() -> None:
    history = History()
    only = history.add(OLD, FIRST)
    assert history.verdict() == Verdict(State.BASELINE, only)


def test_a_change_of_the_search_that_loses_quality_is_a_regression_with_the_questions_that_changed_rank() -> None:
    history = History()
    base = history.add(OLD, FIRST)
    history.add(NEW, WORSE)
    found = history.verdict()
    assert (found.state, found.baseline_id, found.moved) == (State.REGRESSION, base, ("retrieval",))
    fallen = {one.metric: one.has_fallen for one in found.metrics}
    assert fallen == {"recall@10": False, "mrr@10": True, "ndcg@10": True}
    (mrr,) = [one for one in found.metrics if one.metric == "mrr@10"]
    assert (mrr.before, mrr.after, mrr.difference.value) == (1.0, 0.6, -0.4)
    assert mrr.difference.low < -0.4 < mrr.difference.high < 0
    assert [(one.question_id, one.before, one.after) for one in found.changes] == [
        (f"q{number}", (1,), (5,)) for number in range(10, 20)
    ]
    assert all(one.is_worse for one in found.changes)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (replace(OLD, space_ids=("space-2",)), "space"),
        (replace(OLD, chunkers=("chunker-2",)), "chunker"),
        (replace(OLD, retrieval="search-2"), "retrieval"),
    ],
)
def test_space_chunker_and_retrieval_are_gated(changed: Recipe, what: str) -> None:
    history = History()
    history.add(OLD, FIRST)
    history.add(changed, WORSE)
    found = history.verdict()
    assert (found.state, found.moved) == (State.REGRESSION, (what,))


def test_content_alone_is_drift_however_much_is_lost() -> None:
    history = History()
    history.add(OLD, FIRST)
    history.add(OLD, (0,) * 20, content="c1")
    found = history.verdict()
    assert (found.state, found.moved) == (State.DRIFT, ("content",))
    assert len(found.changes) == 20
    assert all(one.has_fallen for one in found.metrics)


def test_noise_and_what_is_within_the_tolerance_hold() -> None:
    history = History()
    history.add(OLD, FIRST)
    history.add(NEW, SLIGHTLY)
    assert history.verdict().state == State.HELD, "one question alone: the interval holds zero"
    history = History()
    history.add(OLD, FIRST)
    history.add(NEW, WORSE)
    assert history.verdict(tolerance=0.5).state == State.HELD


def test_content_moves_the_baseline_along_so_that_a_later_change_of_the_search_is_not_blamed_for_it() -> None:
    history = History()
    history.add(OLD, FIRST)
    moved = history.add(OLD, WORSE, content="c1")
    history.add(NEW, WORSE, content="c1")
    found = history.verdict()
    assert (found.state, found.baseline_id, found.changes) == (State.HELD, moved, ())


def test_content_after_a_change_that_held_is_drift_again() -> None:
    history = History()
    history.add(OLD, FIRST)
    held = history.add(NEW, FIRST)
    history.add(NEW, WORSE, content="c1")
    found = history.verdict()
    assert (found.state, found.baseline_id) == (State.DRIFT, held)


def test_a_regression_stays_one_until_it_is_repaired_or_accepted() -> None:
    history = History()
    base = history.add(OLD, FIRST)
    history.add(NEW, WORSE)
    again = history.add(NEW, WORSE, content="c1")
    assert (history.verdict().state, history.verdict().baseline_id) == (State.REGRESSION, base)
    history.accepted = again
    assert history.verdict() == Verdict(State.BASELINE, again)
    history.accepted = None
    history.add(OLD, FIRST, content="c1")
    assert history.verdict().state == State.DRIFT, "taken back"


def test_small_losses_do_not_add_up_unseen() -> None:
    """Each change loses too little to be seen; the anchor stays, so their sum is."""
    history = History()
    base = history.add(OLD, FIRST)
    for step in range(1, 12):
        history.add(replace(OLD, retrieval=f"search-{step + 1}"), (1,) * (20 - step) + (3,) * step)
        found = history.verdict(tolerance=0.05)
        assert found.baseline_id == base
    assert found.state == State.REGRESSION


def test_a_set_that_grows_keeps_its_baseline_and_questions_with_other_gold_are_apart() -> None:
    history = History()
    base = history.add(OLD, FIRST)
    after = history.add(NEW, (*WORSE, 0, 0), questions="s1")
    history.asked[after]["h0"] = asked("q00", 1, 1)
    found = history.verdict()
    assert (found.state, found.baseline_id, found.moved) == (State.REGRESSION, base, ("retrieval", "set"))
    assert (found.pairs, found.apart) == (19, 1)


def test_nothing_in_common_is_no_regression() -> None:
    before, after = Past("a", "s0", START, OLD, "c0"), Past("b", "s1", START, NEW, "c0")
    found = compared(before, after, {"a": {"h1": asked("q1", 1)}, "b": {"h2": asked("q2", 0)}}.__getitem__)
    assert (found.state, found.metrics, found.pairs) == (State.HELD, (), 0)


def test_an_accepted_evaluation_that_is_not_there_any_more_is_replaced_by_the_first() -> None:
    history = History()
    history.add(OLD, FIRST)
    history.add(NEW, WORSE)
    history.accepted = "swept"
    assert history.verdict().state == State.REGRESSION


def test_changes_for_the_better_are_told_after_those_for_the_worse() -> None:
    history = History()
    history.add(OLD, (1, 0, 4, 2))
    history.add(NEW, (2, 1, 4, 3))
    found = history.verdict()
    assert [(one.question_id, one.is_worse) for one in found.changes] == [("q00", True), ("q03", True), ("q01", False)]


def test_a_question_that_has_another_of_its_golds_left_is_not_compared() -> None:
    history = History()
    for recipe, gone in ((OLD, "a.md: no such document"), (NEW, "b.md: no such document")):
        identity = history.add(recipe, FIRST)
        name = next(iter(history.asked[identity]))
        history.asked[identity][name] = replace(history.asked[identity][name], gone=(gone,))
    found = history.verdict()
    assert (found.pairs, found.apart) == (len(FIRST) - 1, 1)


def spread(**spaces: str) -> Recipe:
    """A recipe of corpora in spaces, where a corpus may have a second one for code."""
    return replace(OLD, space_ids=tuple(sorted(space_entry(name, some.split()) for name, some in spaces.items())))


@pytest.mark.parametrize(
    ("before", "after", "is_moved"),
    [
        (spread(a="s1", b="s1", c="s2"), spread(a="s1", b="s2", c="s2"), True),
        (spread(a="s1", b="s2"), spread(a="s2", b="s1"), True),
        (spread(a="s1 s2"), spread(a="s2 s1"), True),
        (spread(a="s1", b="s1 s2"), spread(a="s1", b="s1"), True),
        (spread(a="s1"), spread(a="s1", b="s2"), False),
        (spread(a="s1", b="s2"), spread(a="s1"), False),
        (spread(a="s1", b="s2"), spread(a="s1", c="s3"), False),
        (spread(), spread(a="s1"), False),
        (replace(OLD, space_ids=("s1", "s2")), spread(a="s1", b="s2", c="s1"), False),
        (replace(OLD, space_ids=("s1", "s2")), spread(a="s1 s2"), False),
        (replace(OLD, space_ids=("s1", "s2")), spread(a="s1"), True),
        (replace(OLD, space_ids=("s1",)), spread(a="s2"), True),
    ],
)
def test_a_corpus_that_moves_is_another_space_and_one_that_comes_or_goes_is_none(
    before: Recipe, after: Recipe, is_moved: bool
) -> None:
    """Also where the set of spaces stays; evaluations of earlier versions know that set alone."""
    for one, other in ((before, after), (after, before)):
        assert one.differs(other) == ("space",) * is_moved
        history = History()
        history.add(one, FIRST)
        history.add(other, WORSE, content="c1")
        assert history.verdict().state == (State.REGRESSION if is_moved else State.DRIFT)


def test_a_corpus_that_came_later_and_then_moves_is_seen_although_the_anchor_does_not_know_it() -> None:
    history = History()
    history.add(spread(a="s1"), FIRST)
    came = history.add(spread(a="s1", b="s2"), FIRST, content="c1")
    history.add(spread(a="s1", b="s1"), WORSE, content="c2")
    found = history.verdict()
    assert (found.state, found.baseline_id, found.moved) == (State.REGRESSION, came, ("space", "content"))


def test_what_the_line_of_the_anchor_knew_is_known_after_a_corpus_went_or_an_earlier_version_evaluated() -> None:
    bare = replace(OLD, space_ids=("s1", "s2"))
    for between in (spread(a="s1"), bare):
        history = History()
        history.add(bare, FIRST)
        history.add(spread(a="s1", b="s2"), FIRST)
        history.add(between, FIRST, content="c1")
        history.add(spread(a="s1", b="s2"), WORSE, content="c2")
        assert history.verdict().state == State.DRIFT, "it is where it was"
    history = History()
    history.add(spread(a="s1", b="s2"), FIRST)
    history.add(bare, FIRST)
    history.add(spread(a="s2", b="s1"), WORSE)
    history.add(spread(a="s2", b="s1", c="s1"), WORSE)
    assert history.verdict().baseline_id == "e1"
    history.accepted = "e3"
    history.add(spread(b="s1"), WORSE)
    history.add(spread(a="s2", b="s2"), WORSE)
    assert history.verdict().state == State.HELD
    assert history.verdict().baseline_id == "e4"

"""The mass-delete guard, clause by clause."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cortex_assets.corpora.guard import Decision, PastScan, Question, decide

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def paths(count: int, prefix: str = "f") -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]


def ask(vanished: int, known: int, **more: object) -> Decision:
    question = Question(paths(vanished), known, known - vanished, "present", "the root", (), "scan-9", NOW)
    return decide(replace(question, **more))


def scan(number: int, hours_ago: float, deleted: int = 0, withheld: int = 0, confirmed: bool = False) -> PastScan:
    return PastScan(f"scan-{number}", NOW - timedelta(hours=hours_ago), deleted, withheld, confirmed)


@pytest.mark.parametrize(
    ("vanished", "known", "is_withheld"),
    [(20, 30, False), (21, 140, False), (21, 139, True), (150, 1000, False), (151, 1000, True), (1, 2, False)],
)
def test_both_limits_must_be_passed(vanished: int, known: int, is_withheld: bool) -> None:
    decision = ask(vanished, known)
    assert (len(decision.withheld), len(decision.allowed)) == ((vanished, 0) if is_withheld else (0, vanished))
    assert (decision.reason is not None) == is_withheld


@pytest.mark.parametrize("root", ["missing", "unreadable", "other_device"])
def test_a_lost_root_withholds_even_one(root: str) -> None:
    decision = ask(1, 1000, root=root)
    assert len(decision.withheld) == 1
    assert "cortex confirm scan-9" in str(decision.reason)


def test_an_emptied_root_withholds() -> None:
    assert len(ask(3, 3, listed_count=0).withheld) == 3
    assert ask(0, 0, listed_count=0) == Decision(frozenset(), frozenset(), frozenset())


def test_deletes_within_a_day_add_up() -> None:
    history: list[PastScan] = []
    known = 100
    withheld_at = None
    for hour in range(6):
        now = NOW + timedelta(hours=hour)
        decision = decide(Question(paths(10), known, known - 10, "present", "r", (), f"s{hour}", now, history))
        if decision.withheld:
            withheld_at = hour
            break
        known -= len(decision.allowed)
        history.append(PastScan(f"s{hour}", now, len(decision.allowed), 0, False))
    assert withheld_at == 2
    assert not ask(10, 80, history=[scan(1, 25, deleted=20)]).withheld


def test_a_confirmed_scan_starts_the_sum_anew() -> None:
    before, confirmed = scan(1, 3, deleted=20), scan(2, 2, deleted=50, confirmed=True)
    assert ask(10, 60, history=[before]).withheld
    assert not ask(10, 60, history=[before, confirmed]).withheld
    assert ask(10, 60, history=[before, confirmed, scan(3, 1, deleted=15)]).withheld


def test_confirm_lets_through_what_was_shown_and_no_more() -> None:
    history = [scan(1, 1, withheld=50)]
    assert ask(50, 100, history=history).withheld
    accepted = ask(50, 100, history=history, confirm="scan-1")
    assert (len(accepted.allowed), accepted.is_confirmed, accepted.reason) == (50, True, None)
    more = ask(51, 100, history=history, confirm="scan-1")
    assert len(more.withheld) == 51
    assert "more have vanished" in str(more.reason)
    assert ask(50, 100, history=history, confirm="scan-77").withheld


@pytest.mark.parametrize("hours_ago", [5, 50])
def test_a_confirmation_is_used_up(hours_ago: float) -> None:
    confirmed = scan(1, hours_ago, withheld=50, confirmed=True)
    assert not ask(50, 100, history=[confirmed]).withheld
    used = scan(2, hours_ago - 1, deleted=50, confirmed=True)
    assert ask(40, 50, history=[confirmed, used]).withheld
    assert ask(40, 50, history=[confirmed, used], confirm="scan-1").withheld


def test_an_unreadable_prefix_protects_only_what_lies_under_it() -> None:
    vanished = [*paths(300, "shut/"), *paths(5, "open/"), b"shutter"]
    question = Question(vanished, 1000, 694, "present", "r", (b"shut/",), "s", NOW)
    decision = decide(question)
    assert decision.protected == set(paths(300, "shut/"))
    assert decision.allowed == {*paths(5, "open/"), b"shutter"}
    assert decide(replace(question, unreadable=(b"",))).protected == set(vanished)
    assert decide(replace(question, unreadable=(b"shutter",))).protected == {b"shutter"}


def test_the_shards_of_a_corpus_share_one_confirmation() -> None:
    confirmed = scan(1, 0.2, withheld=60, confirmed=True)
    assert ask(60, 100, history=[confirmed]).is_confirmed
    first_shard = scan(2, 0.1, deleted=30, confirmed=True)
    assert len(ask(30, 70, history=[confirmed, first_shard]).allowed) == 30
    assert len(ask(35, 75, history=[confirmed, first_shard]).withheld) == 35

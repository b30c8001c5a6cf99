"""The three-set plan: what is new, stale, orphaned and unchanged."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.engine.plan import INPUTS, LEDGER, OUTPUT, make_plan

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def inputs(*rows):
    return pl.DataFrame(
        [(k, k, h, "", 1, NOW - timedelta(minutes=i)) for i, (k, h) in enumerate(rows)], schema=INPUTS, orient="row"
    )


def ledger(*rows):
    full = [(k, h, v, n, s, *(rest or ("ok", 0, None))) for k, h, v, n, s, *rest in rows]
    return pl.DataFrame(full, schema=LEDGER, orient="row")


def output(*rows):
    return pl.DataFrame(list(rows), schema=OUTPUT, orient="row")


def verdicts(plan):
    return dict(plan.todo.select("input_key", "verdict").iter_rows())


def test_a_key_never_derived_is_new():
    plan = make_plan(inputs(("a", 1)), ledger(), output(), {"": "v"}, NOW)
    assert verdicts(plan) == {"a": "new"}


def test_output_without_a_ledger_row_is_stale_because_a_crash_came_between():
    plan = make_plan(inputs(("a", 1)), ledger(), output(("a", 2, 5)), {"": "v"}, NOW)
    assert verdicts(plan) == {"a": "stale"}


def test_equal_sets_leave_nothing_to_do():
    plan = make_plan(inputs(("a", 1)), ledger(("a", 1, "v", 2, 5)), output(("a", 2, 5)), {"": "v"}, NOW)
    assert plan.is_empty
    assert plan.unchanged == 1


def test_moved_input_producer_count_and_sum_are_stale():
    rows = ledger(
        ("i", 0, "v", 1, 1), ("p", 1, "old", 1, 1), ("n", 1, "v", 2, 1), ("s", 1, "v", 1, 9), ("gone", 1, "v", 1, 1)
    )
    out = output(("i", 1, 1), ("p", 1, 1), ("n", 1, 1), ("s", 1, 1))
    plan = make_plan(inputs(("i", 1), ("p", 1), ("n", 1), ("s", 1), ("gone", 1)), rows, out, {"": "v"}, NOW)
    assert verdicts(plan) == dict.fromkeys(["i", "p", "n", "s", "gone"], "stale")


def test_in_output_and_not_in_input_is_orphaned_whatever_the_ledger_knows():
    plan = make_plan(inputs(), ledger(("l", 1, "v", 0, 0)), output(("o", 1, 1)), {"": "v"}, NOW)
    assert plan.orphaned == ["l", "o"]


def test_only_the_route_whose_producer_moved_is_stale():
    both = inputs(("pdf", 1), ("md", 1)).with_columns(route=pl.col("input_key"))
    rows = ledger(("pdf", 1, "p1", 1, 1), ("md", 1, "m1", 1, 1))
    plan = make_plan(both, rows, output(("pdf", 1, 1), ("md", 1, 1)), {"pdf": "p2", "md": "m1"}, NOW)
    assert verdicts(plan) == {"pdf": "stale"}


def test_failures_wait_for_a_change_or_for_their_time():
    rows = ledger(
        ("permanent", 1, "v", 0, 0, "failed", 1, None),
        ("later", 1, "v", 0, 0, "transient", 1, NOW + timedelta(minutes=1)),
        ("due", 1, "v", 0, 0, "transient", 2, NOW - timedelta(minutes=1)),
        ("spent", 1, "v", 0, 0, "quarantined", 4, None),
    )
    plan = make_plan(inputs(("permanent", 1), ("later", 1), ("due", 1), ("spent", 1)), rows, output(), {"": "v"}, NOW)
    assert verdicts(plan) == {"due": "stale"}
    assert plan.todo.get_column("attempts").to_list() == [2]
    assert plan.waiting == 3
    assert plan.next_retry == NOW + timedelta(minutes=1)


def test_a_changed_input_starts_its_attempts_anew():
    rows = ledger(("a", 0, "v", 0, 0, "quarantined", 4, None))
    plan = make_plan(inputs(("a", 1)), rows, output(), {"": "v"}, NOW)
    assert plan.todo.get_column("attempts").to_list() == [0]


def test_work_is_newest_first():
    plan = make_plan(inputs(("newest", 1), ("older", 1), ("oldest", 1)), ledger(), output(), {"": "v"}, NOW)
    assert plan.todo.get_column("input_key").to_list() == ["newest", "older", "oldest"]


keys = st.sets(st.sampled_from("abcdefgh"))


@given(keys, keys, keys)
def test_every_key_is_in_exactly_one_set(wanted, recorded, stored):
    plan = make_plan(
        inputs(*((k, 1) for k in sorted(wanted))),
        ledger(*((k, 1, "v", 1, 1) for k in sorted(recorded))),
        output(*((k, 1, 1) for k in sorted(stored))),
        {"": "v"},
        NOW,
    )
    assert set(plan.orphaned) == (recorded | stored) - wanted
    assert plan.todo.height + plan.unchanged == len(wanted)
    assert plan.unchanged == len(wanted & recorded & stored)

"""F10: a file that crashes its parser, one that hangs it and one that eats memory cost three rows, not a run."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from apps import actions
from cortex_assets import workshop
from cortex_assets.documents import derive
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.lease import shard_lease
from tests.dagster import poison
from tests.dagster.lake import Lake, sentence

GOOD = 97
POISONED = ["crash.html", "hang.html", "memory.html"]


def page(text: str) -> str:
    """A small HTML page; HTML is parsed in the sandbox."""
    return f"<html><head><title>Page</title></head><body><h1>Page</h1><p>{text}</p></body></html>"


@pytest.fixture
def poisoned(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A hundred pages, three of them poisoned, and a parser that is given three seconds and 300 MB."""
    monkeypatch.setattr(derive, "PARSE_PATH", poison.FUNCTION)
    monkeypatch.setattr(workshop, "PARSE_SECONDS", 3.0)
    monkeypatch.setattr(workshop, "PARSE_MEGABYTES", 300)
    for number in range(GOOD):
        lake.drop(f"notes/page-{number:02d}.html", page(sentence(number)))
    lake.drop("notes/crash.html", page(poison.CRASH.decode()))
    lake.drop("notes/hang.html", page(poison.HANG.decode()))
    lake.drop("notes/memory.html", page(poison.MEMORY.decode()))
    yield lake


def run_at(lake: Lake, moment: datetime) -> list[str]:
    """Run the chain as if it were ``moment``; the files that were parsed, sorted."""
    lake.counts.reset()
    with lake.house() as house:
        registry = house.sync_registry()
        (corpus,) = registry.corpora
        with shard_lease(house.settings.locks, "notes"):
            house.workshop.chain(corpus, registry).run_shard("notes", lambda: moment)
    return sorted(lake.counts.parsed)


def states(lake: Lake) -> dict[str, tuple[str, int]]:
    """(status, attempts) in the ledger of the poisoned files."""
    rows = lake.ledger("documents").join(lake.table(DOCUMENTS).select("input_key", "path"), on="input_key")
    bad = rows.filter(pl.col("path").is_in(POISONED)).sort("path")
    return {row["path"]: (row["status"], row["attempts"]) for row in bad.iter_rows(named=True)}


def test_three_poisoned_files_of_a_hundred_cost_three_rows(poisoned: Lake) -> None:
    report = poisoned.run()
    assert report.failed == 3
    assert not report.is_clean
    documents = poisoned.table(DOCUMENTS)
    assert documents.filter(pl.col("status") == "ok").height == GOOD
    reasons = dict(documents.filter(pl.col("status") == "quarantined").select("path", "reason").iter_rows())
    assert sorted(reasons) == POISONED
    assert "SIGABRT" in reasons["crash.html"]
    assert "no result within 3 s" in reasons["hang.html"]
    assert "memory limit of 300 MB" in reasons["memory.html"]
    assert all(len(reason) <= 200 for reason in reasons.values())
    assert len(poisoned.points()["notes"]) == GOOD
    assert poisoned.found(sentence(42))[0] == "page-42.html"
    assert poisoned.findings() == []
    report, work = poisoned.run_counted()
    assert report.is_clean, "what waits for its time is no failure of this run"
    assert work["parsed"] == 0


def test_permanent_failures_wait_for_a_change_and_transient_ones_for_their_time(poisoned: Lake) -> None:
    start = datetime.now(UTC)
    assert len(run_at(poisoned, start)) == 100
    assert states(poisoned) == {
        "crash.html": ("failed", 1),
        "hang.html": ("transient", 1),
        "memory.html": ("transient", 1),
    }
    passing = ["hang.html", "memory.html"]
    moment = start
    for attempt, minutes in ((2, 1), (3, 4), (4, 16)):
        assert run_at(poisoned, moment + timedelta(minutes=minutes, seconds=-2)) == [], "it is not its time yet"
        moment += timedelta(minutes=minutes, seconds=1)
        assert run_at(poisoned, moment) == passing
        status = "quarantined" if attempt == 4 else "transient"
        assert states(poisoned) == {"crash.html": ("failed", 1)} | dict.fromkeys(passing, (status, attempt))
    assert run_at(poisoned, moment + timedelta(days=30)) == [], "four times is enough"

    Path(poisoned.path("notes/crash.html")).touch()
    assert run_at(poisoned, moment + timedelta(days=30)) == [], "the same bytes fail again"
    poisoned.drop("notes/crash.html", page("Healed."))
    assert run_at(poisoned, moment + timedelta(days=31)) == ["crash.html"]
    assert "crash.html" not in states(poisoned) or states(poisoned)["crash.html"] == ("ok", 0)
    assert poisoned.found("Healed.")[0] == "crash.html"


def test_retry_takes_failures_up_again_at_once(poisoned: Lake) -> None:
    poisoned.run()
    assert actions.retry("notes/hang.html").keys == 1
    _, work = poisoned.run_counted()
    assert poisoned.counts.parsed == ["hang.html"]
    assert actions.retry().keys == 3
    _, work = poisoned.run_counted()
    assert sorted(poisoned.counts.parsed) == POISONED
    assert work["published"] == 0, "they failed again: nothing of the index moved"
    assert poisoned.points()["notes"]
    assert poisoned.findings() == []

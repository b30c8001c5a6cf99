"""Aggregates and globals: always what a plain computation over the tables gives, and recomputed only where something moved."""

import functools
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora import derive
from cortex_assets.corpora.schema import CORPUS_STATISTICS, DUPLICATES, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.aggregate import BUCKETS, bucket_of
from tests.dagster.lake import Lake, note

CORPORA = ("left", "right")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the aggregate's and the global's functions were given: groups, and names of corpora's tables."""
    seen: dict[str, list[Any]] = {"duplicates": [], "corpus_statistics": []}
    duplicates, statistics = derive._duplicates, derive.corpus_statistics

    @functools.wraps(duplicates)
    def counted_duplicates(rows: pl.DataFrame) -> Iterator[Any]:
        seen["duplicates"] += sorted(set(rows.get_column("content_hash")))
        return duplicates(rows)

    @functools.wraps(statistics)
    def counted_statistics(tables: Any) -> pl.DataFrame:
        seen["corpus_statistics"].append(sorted(tables))
        return statistics(tables)

    monkeypatch.setattr(derive, "_duplicates", counted_duplicates)
    monkeypatch.setattr(derive, "corpus_statistics", counted_statistics)
    return seen


def forget(computed: dict[str, list[Any]]) -> None:
    for calls in computed.values():
        calls.clear()


def expected_duplicates(lake: Lake) -> dict[str, tuple[int, int, list[str], list[str]]]:
    """Content hash to (copies, size, corpora, paths), counted one by one."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lake.table(FILES).iter_rows(named=True):
        groups[row["content_hash"]].append(row)
    return {
        content: (
            len(rows),
            rows[0]["size"],
            sorted({row["corpus_id"] for row in rows}),
            sorted(row["path"] for row in rows)[:20],
        )
        for content, rows in groups.items()
        if len(rows) > 1
    }


def held_duplicates(lake: Lake) -> dict[str, tuple[int, int, list[str], list[str]]]:
    rows = lake.table(DUPLICATES)
    assert rows.get_column("content_hash").is_unique().all()
    assert all(bucket_of(row["content_hash"]) == row["shard"] for row in rows.iter_rows(named=True))
    columns = ("copies", "size", "corpus_ids", "paths")
    return {row["content_hash"]: tuple(row[c] for c in columns) for row in rows.iter_rows(named=True)}  # type: ignore[misc]


def expected_statistics(lake: Lake) -> list[tuple[Any, ...]]:
    """Rows of the statistics, counted one by one."""
    rows = {table.name: lake.table(table).to_dicts() for table in (FILES, DOCUMENTS, CHUNKS)}
    found = []
    for corpus in sorted({row["corpus_id"] for row in rows[FILES.name]}):
        files, documents, chunks = (
            [row for row in rows[table.name] if row["corpus_id"] == corpus] for table in (FILES, DOCUMENTS, CHUNKS)
        )
        found.append(
            (
                corpus,
                len(files),
                sum(row["size"] for row in files),
                len(documents),
                sum(row["status"] != "ok" for row in documents),
                sum(len(row["text"]) for row in documents),
                len(chunks),
                sum(row["token_count"] for row in chunks),
                len({row["embed_hash"] for row in chunks}),
            )
        )
    return found


def test_after_random_adds_edits_and_deletes_they_are_what_a_plain_computation_gives(lake: Lake) -> None:
    draw = random.Random(20_261_120)
    contents = [note(number) for number in range(9)] + ["", "{not json"]
    there: set[str] = set()
    seen = set()
    for _ in range(5):
        for _ in range(draw.randrange(4, 12)):
            name = f"{draw.choice(CORPORA)}/{draw.choice('abcdefgh')}.{draw.choice(('md', 'json', 'txt'))}"
            lake.drop(name, draw.choice(contents))
            there.add(name)
        for name in draw.sample(sorted(there), min(len(there) - 2, draw.randrange(0, 6))):
            lake.delete(name)
            there.discard(name)
        lake.run()
        assert held_duplicates(lake) == expected_duplicates(lake)
        assert list(lake.table(CORPUS_STATISTICS).iter_rows()) == expected_statistics(lake)
        seen.add(len(held_duplicates(lake)))
    assert len(seen) > 2, "the number of groups moved, or the test shows little"
    lake.assert_sound()


def test_unchanged_input_computes_and_commits_nothing(lake: Lake, computed: dict[str, list[Any]]) -> None:
    fill(lake)
    lake.run()
    assert len(computed["duplicates"]) == 3
    assert len(computed["corpus_statistics"]) == 1
    forget(computed)
    versions = lake.image().versions
    for empty_cache in (False, True):
        with lake.house() as house:
            if empty_cache:
                for name in ("_lake", *BUCKETS):
                    house.state.clear_complete(name)
            counts = house.run_lake(datetime.now(UTC))
        assert counts == {"duplicates": {"new": 0, "changed": 0, "deleted": 0}, "corpus_statistics": {"rows": 0}}
    lake.drop("left/other.md", note(77))
    lake.run("left")
    assert computed["duplicates"] == [], "no group has other members"
    assert computed["corpus_statistics"] == [["bronze/documents", "bronze/files", "silver/chunks"]]
    now = lake.image().versions
    assert now["silver/duplicates"] == versions["silver/duplicates"]
    assert now["ops/ledger/duplicates"] == versions["ops/ledger/duplicates"]
    assert now["gold/corpus_statistics"] == versions["gold/corpus_statistics"] + 1


def fill(lake: Lake) -> None:
    """Three contents twice each, two once."""
    for number in range(3):
        for corpus in CORPORA:
            lake.drop(f"{corpus}/note-{number}.md", note(number))
    lake.drop("left/alone.md", note(50))
    lake.drop("right/alone.md", note(51))


def content_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def touch_by_a_third_copy(lake: Lake) -> None:
    lake.drop("left/third.md", note(1))


def touch_by_a_rename(lake: Lake) -> None:
    lake.move("left/note-1.md", "left/renamed.md")


@pytest.mark.parametrize("touch", [touch_by_a_third_copy, touch_by_a_rename])
def test_one_group_touched_recomputes_one_group(
    lake: Lake, computed: dict[str, list[Any]], touch: Callable[[Lake], None]
) -> None:
    fill(lake)
    lake.run()
    forget(computed)
    before = dict(lake.table(DUPLICATES).select("content_hash", "row_hash").iter_rows())
    touch(lake)
    lake.run()
    assert computed["duplicates"] == [content_hash(note(1))]
    after = dict(lake.table(DUPLICATES).select("content_hash", "row_hash").iter_rows())
    assert {key for key in before if before[key] != after[key]} == {content_hash(note(1))}
    assert held_duplicates(lake) == expected_duplicates(lake)


def test_a_group_of_one_left_and_a_corpus_that_went_are_taken_out(lake: Lake, computed: dict[str, list[Any]]) -> None:
    from apps import actions

    fill(lake)
    lake.run()
    forget(computed)
    lake.delete("right/note-2.md")
    lake.run()
    assert computed["duplicates"] == [], "a delete computes nothing"
    assert content_hash(note(2)) not in held_duplicates(lake)
    away = lake.root / "away"
    lake.path("right").rename(away)
    actions.remove("right", purge=True)
    lake.run()
    assert held_duplicates(lake) == {}
    assert len(lake.table(CORPUS_STATISTICS)) == 1
    assert list(lake.table(CORPUS_STATISTICS).iter_rows()) == expected_statistics(lake)


def test_a_changed_function_recomputes_all_of_its_own_and_nothing_else(
    lake: Lake, computed: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake)
    lake.run()
    forget(computed)
    image = lake.image()
    monkeypatch.setattr("cortex_assets.corpora.duplicates.SHOWN_PATHS", 1)
    from cortex_assets.engine import fingerprint

    fingerprint._frozen_versions.clear()
    report, work = lake.run_counted()
    assert sorted(computed["duplicates"]) == sorted(content_hash(note(number)) for number in range(3))
    assert computed["corpus_statistics"] == []
    assert set(work.values()) == {0}
    assert all(len(row[3]) == 1 for row in held_duplicates(lake).values())
    assert lake.image().rows["gold/corpus_statistics"] == image.rows["gold/corpus_statistics"]
    assert report.is_clean

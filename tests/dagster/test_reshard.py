"""Another number of shards: everything moves as it is, at whatever point it is cut off."""

import json
import shutil
import signal
from typing import Any

import polars as pl
import pytest

from apps import actions
from apps.errors import CommandError
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import reshard
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.reshard import Places
from cortex_assets.house import House
from cortex_assets.partitions import advised_shards, shard_of
from tests.dagster.contents import contents
from tests.dagster.lake import NO_WORK, Lake, note, notes

QUESTIONS = ("the old harbour near mark", "who guards the granite at noon")


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Thirty notes with an edit and a failure behind them, beside another corpus."""
    lake.drop_all(notes("notes", 30) | notes("other", 3) | {"notes/broken.pdf": b"%PDF-1.4 no"})
    lake.run()
    lake.drop("notes/note-003.md", note(77))
    lake.delete("notes/note-004.md")
    lake.run()
    return lake


def plain(lake: Lake) -> dict[str, Any]:
    """What the lake holds, whatever shard it is in."""
    held = contents(with_vectors=True)
    for name in ("bronze/files", "bronze/documents", "silver/chunks"):
        held[name] = sorted(row[1:] for row in held[name])
    held["ledgers"] = {name: sorted(row[1:] for row in rows) for name, rows in held["ledgers"].items()}
    for name in ("points", "sidecars"):
        held[name] = sorted(point for points in held[name].values() for point in points)
    held["corpora"] = [row[:2] for row in held["corpora"]]
    return held


def answers(lake: Lake) -> list[Any]:
    return [[(hit.path, hit.chunk_id, hit.score, hit.citation) for hit in lake.search(q).hits] for q in QUESTIONS]


def shards(lake: Lake) -> dict[str, set[str]]:
    """Where rows and points are."""
    found = {table.name: set(lake.table(table)["shard"]) for table in (FILES, DOCUMENTS, CHUNKS)}
    with lake.house() as house:
        (space,) = {corpus.space_id for corpus in house.register.corpora()}
        return found | {"index": set(house.store.shards(space))}


def names(count: int) -> set[str]:
    return {"other"} | ({"notes"} if count == 1 else {f"notes.{number:02d}" for number in range(count)})


@pytest.mark.parametrize("path", [(4, 1), (2, 4, 2), (8, 2, 1)])
def test_nothing_is_made_anew(filled: Lake, path: tuple[int, ...]) -> None:
    wanted, said = plain(filled), answers(filled)
    for epoch, count in enumerate(path, start=1):
        filled.counts.reset()
        report = actions.reshard("notes", count)
        assert (report.after, report.epoch) == (count, epoch) and report.rows > 0 and report.points > 0
        assert filled.counts.work | {"published": 0} == NO_WORK
        assert answers(filled) == said, "searches work before any run"
        assert all(found <= names(count) for found in shards(filled).values()), shards(filled)
        assert plain(filled) == wanted
        filled.assert_sound()
        assert filled.run_counted()[1] == NO_WORK
        assert plain(filled) == wanted
    filled.drop("notes/note-005.md", note(88))
    filled.delete("notes/note-006.md")
    assert filled.run_counted()[1]["parsed"] == 1
    filled.assert_sound()


def test_rows_are_where_a_run_would_put_them(filled: Lake) -> None:
    actions.reshard("notes", 4)
    files = filled.table(FILES).filter(pl.col("shard") != "other")
    assert all(
        shard == shard_of("notes", file_id, 4) for shard, file_id in files.select("shard", "file_id").iter_rows()
    )
    with filled.house() as house:
        corpus = next(one for one in house.register.corpora() if one.name == "notes")
        places = Places(house.lake, corpus, sorted(names(4) - {"other"}), ["notes"])
        assert places.of_files(files["file_id"]).to_list() == files["shard"].to_list()


def test_the_number_is_what_the_files_ask_for(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert actions.reshard("notes").rows == 0, "one shard is right"
    monkeypatch.setattr("cortex_assets.partitions.FILES_PER_SHARD", 10)
    assert advised_shards(30) == 4
    assert actions.reshard("notes").after == 4
    for bad in (3, 2048):
        with pytest.raises(CommandError, match="not possible"):
            actions.reshard("notes", bad)
    with pytest.raises(CommandError, match="no corpus"):
        actions.reshard("nobody")
    filled.inbox.joinpath("fresh").mkdir()
    with pytest.raises(CommandError, match="no shards yet"):
        actions.reshard("fresh")


def test_beside_a_run(filled: Lake) -> None:
    with shard_lease(filled.settings.locks, "other"), pytest.raises(LeaseBusy):
        actions.reshard("notes", 2)
    assert not any(row["resharding"] for row in settings(filled))


def settings(lake: Lake) -> list[dict[str, Any]]:
    from cortex_assets.corpora.schema import CORPORA

    return [{"resharding": None} | json.loads(text) for text in lake.table(CORPORA)["settings"]]


def test_a_run_that_read_the_registry_before_leaves_the_shards_alone(filled: Lake) -> None:
    with House.open(filled.settings) as early:
        registry = early.sync_registry()
        corpus = registry.by_name("notes")
        assert corpus is not None
        filled.drop("notes/note-001.md", note(99))
        actions.reshard("notes", 2)
        (report,) = early.run_corpus(corpus, registry)
        assert report.is_busy and "being changed" in report.notes[0]
    assert all(found <= names(2) for found in shards(filled).values())
    assert filled.run_counted()[1]["parsed"] == 1
    filled.assert_sound()


def test_a_change_that_was_cut_off_is_not_taken_for_something_to_repair(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plain(filled)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reshard.Resharding, "_drop", dies)
        with pytest.raises(KeyboardInterrupt):
            actions.reshard("notes", 4)
    with shard_lease(filled.settings.locks, "other"):
        report = filled.run("notes")
        assert set(report.busy) == names(4) - {"other"}, "while it cannot be finished nobody works on it"
    assert answers(filled)
    filled.assert_sound()
    assert plain(filled) == wanted and all(found <= names(4) for found in shards(filled).values())


def test_a_damaged_index_is_made_anew_by_the_next_run(filled: Lake) -> None:
    wanted = plain(filled)
    victim = max(filled.settings.index.rglob("seg-*/*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    victim.write_bytes(b"damaged")
    actions.reshard("notes", 2)
    filled.run()
    actions.verify(repair=True)
    filled.assert_sound()
    assert plain(filled) == wanted


def test_failed_texts_stay_failed(filled: Lake) -> None:
    """The ledger of texts that failed goes with the chunks that have them."""
    from cortex_assets.engine.ledger import AssetLedger

    with filled.house() as house:
        ledger = AssetLedger(house.lake, "embeddings")
        texts = house.lake.scan(CHUNKS, where={"shard": "notes"}).select("embed_hash", "document_id").collect()
        row = {
            "input_key": texts["embed_hash"][0],
            "input_hash": 0,
            "route": "",
            "producer_version": "space",
            "row_count": 0,
            "row_sum": 0,
            "status": "failed",
            "reason": "no",
            "attempts": 1,
            "retry_at": None,
        }
        given = set(ledger.table.dtypes) - {"shard", "sequence", "is_deleted"}
        ledger.record(
            "notes", pl.DataFrame([dict.fromkeys(given) | row], schema={n: ledger.table.dtypes[n] for n in given})
        )
    actions.reshard("notes", 4)
    with filled.house() as house:
        ledger = AssetLedger(house.lake, "embeddings")
        found = {shard: ledger.rows(shard).height for shard in names(4)}
        place = house.lake.scan(CHUNKS).filter(pl.col("embed_hash") == row["input_key"]).select("shard").collect()
    assert {shard for shard, count in found.items() if count} == set(place["shard"])


DYING = """
import os, signal
from apps import actions
from cortex_assets.house import House
from resources.lake_writing import Writes
from resources.lakehouse import Lakehouse
from resources.state import State
from resources.vectors import publishing, generation
from resources.vectors.edge import EdgeStore
left = {at}
def tick():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def around(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **named):
        tick()
        result = real(*args, **named)
        tick()
        return result
    setattr(owner, name, wrapped)
around(Writes, "_retry"), around(Lakehouse, "rearrange"), around(State, "_write"), around(EdgeStore, "drop")
around(generation, "switch"), around(generation, "write_generation")
actions.reshard("notes", {count})
print(1000000 - left)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("before", "count"), [(1, 4), (4, 2)])
def test_killed_at_any_point(filled: Lake, before: int, count: int) -> None:
    """The next run, or the next change, finishes it; searches find everything all the while."""
    actions.reshard("notes", before)
    filled.run()
    wanted, said = plain(filled), answers(filled)
    saved = filled.root / "saved"
    shutil.copytree(filled.settings.data_dir, saved)
    events = int(filled.fresh(DYING.format(at=1_000_000, count=count)))
    for number, at in enumerate(range(1, events + 1, 5)):
        shutil.rmtree(filled.settings.data_dir)
        shutil.copytree(saved, filled.settings.data_dir)
        process = filled.start(DYING.format(at=at, count=count))
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, at
        now = answers(filled)
        if before == 1 or count == 1:
            assert now == said, f"killed at {at} of {events}"
        # Where a shard stays one, points may be in two for now, which moves the weights of words, and so scores.
        assert [hits[0][1] for hits in now] == [hits[0][1] for hits in said], f"killed at {at} of {events}"
        assert all(hit[3] == "exact" for hits in now for hit in hits), f"killed at {at} of {events}"
        is_changed = number % 3 == 2
        if is_changed:
            actions.reshard("notes", count)
        report, work = filled.run_counted()
        assert not report.errors and not report.busy
        assert work | {"published": 0} == NO_WORK, at
        assert plain(filled) == wanted, at
        assert all(found <= names(before) or found <= names(count) for found in shards(filled).values())
        assert not any(row["resharding"] for row in settings(filled))
        if number % 4 == 0:
            filled.assert_sound()

"""F5: whatever is seeded wrong into tables, index, raw store or caches, ``verify`` names it and repairs it."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from apps import actions
from apps.reports import VerifyReport
from cortex_assets import house
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPORA, CORPUS_STATISTICS, DUPLICATES, FILES, SCANS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.ops.schema import SNAPSHOTS, ledger_table
from cortex_assets.tables import TableSpec
from resources.vectors.edge import EdgeStore
from tests.dagster.lake import NO_WORK, note
from tests.dagster.saved_lake import SavedLake, saved_lake
from tests.dagster.sources import Source

Damage = Callable[[SavedLake], None]
Found = set[tuple[str, str]]

FIRST: Source = {
    "notes/one.md": note(1, 40).encode(),
    "notes/two.md": note(2, 3).encode(),
    "notes/copy.md": note(4).encode(),
    "notes/old.md": note(9).encode(),
    "notes/copies/copy.md": note(4).encode(),
    "notes/add.py": b"def add(left, right):\n    return left + right\n",
}
SECOND: Source = {
    **{name: content for name, content in FIRST.items() if name != "notes/old.md"},
    "notes/two.md": note(20, 4).encode(),
    "notes/three.md": note(3, 3).encode(),
    "notes/copies/three.md": note(3, 3).encode(),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedLake]:
    with saved_lake(tmp_path_factory.mktemp("anti-entropy") / "lake", FIRST, SECOND) as lake:
        yield lake


@pytest.fixture
def sound(made: SavedLake) -> SavedLake:
    """A sound lake whose tables have two versions or more."""
    made.put_back()
    return made


@pytest.fixture
def sound_edge(sound: SavedLake, monkeypatch: pytest.MonkeyPatch) -> SavedLake:
    """The same, its points in qdrant-edge segments, which a lake as small as this one would not have."""
    monkeypatch.setattr(house, "EdgeStore", partial(EdgeStore, flat_points=0))
    shutil.rmtree(sound.settings.index)
    sound.run()
    sound.counts.reset()
    return sound


def kinds(report: VerifyReport) -> Found:
    """(asset, kind) of what a report lists."""
    return {(f.table, f.detail.split(": ", 1)[1].split()[1].rstrip(",")) for f in report.findings}


def assert_found_and_repaired(lake: SavedLake, wanted: Found) -> None:
    """``verify`` names exactly this and repairs all of it; the lake is as it was saved, and its index needed no embedding."""
    report = actions.verify(repair=True)
    assert kinds(report) == wanted
    assert [f.detail for f in report.findings if not f.is_repaired] == []
    lake.assert_as_saved()


def test_a_sound_lake_has_no_findings_and_a_damaged_one_is_not_sound_before_its_repair(sound: SavedLake) -> None:
    assert actions.verify().findings == ()
    deleted(CHUNKS)(sound)
    first, again = actions.verify(), actions.verify()
    assert not first.is_sound
    assert [f.is_repaired for f in first.findings] == [False] * len(first.findings)
    assert kinds(first) == kinds(again), "a look repairs nothing"
    assert sound.counts.work == NO_WORK
    assert actions.verify(repair=True).is_sound
    assert actions.verify().findings == ()


# -- rows --------------------------------------------------------------------------------------------------------------


def deleted(table: TableSpec, rows: int = 1) -> Damage:
    """Takes the first rows out of a table."""

    def damage(lake: SavedLake) -> None:
        count = min(rows, lake.table(table).height)
        column = "embed_hash" if table is EMBEDDINGS else "input_key" if "input_key" in table.dtypes else table.key[0]
        values = lake.table(table).get_column(column).unique().sort().to_list()[:rows]
        with lake.house() as house:
            assert house.lake.delete_where(table, column, values).deleted >= count

    return damage


def altered(table: TableSpec, column: str, value: str) -> Damage:
    """Sets a column of one row to a SQL value."""

    def damage(lake: SavedLake) -> None:
        key = lake.table(table).get_column(table.key[-1])[0]
        with lake.house() as house:
            handle = house.lake.open(table)
            assert handle is not None
            metrics = handle.update({column: value}, predicate=f"{table.key[-1]} = '{key}'")
            assert metrics["num_updated_rows"] == 1

    return damage


def repeated(table: TableSpec) -> Damage:
    """Appends a row once more, as a writer that did not look would."""

    def damage(lake: SavedLake) -> None:
        rows = lake.table(table).head(1)
        with lake.house() as house:
            house.lake.append(table, rows)

    return damage


def foreign(table: TableSpec, key: str) -> Damage:
    """Appends a row that stands for an input that does not exist."""

    def damage(lake: SavedLake) -> None:
        stray = pl.lit("f" * 32)
        rows = lake.table(table).head(1).with_columns(stray.alias(table.key[0]), input_key=stray, **{key: stray})
        with lake.house() as house:
            house.lake.append(table, rows)

    return damage


def together(*damages: Damage) -> Damage:
    """Several damages, one after the other."""

    def damage(lake: SavedLake) -> None:
        for one in damages:
            one(lake)

    return damage


NEXT = ("corpus_statistics", "stale")
INDEX = ("index", "stale")
"""A point's hash covers its chunk's and its document's rows and whether its vector exists."""

LEDGERS = [ledger_table(name) for name in ("documents", "chunks", "duplicates", "corpus_statistics")]
ROWS: dict[str, tuple[Damage, Found]] = {
    "file lost": (deleted(FILES), {("files", "missing"), ("documents", "orphaned")}),
    "document lost": (deleted(DOCUMENTS), {("documents", "stale"), ("chunks", "orphaned"), ("index", "extra")}),
    "chunks lost": (deleted(CHUNKS, 3), {("chunks", "stale"), ("index", "extra")}),
    "a vector lost": (deleted(EMBEDDINGS), {("embeddings", "missing"), INDEX}),
    "all vectors lost": (deleted(EMBEDDINGS, 1_000), {("embeddings", "missing"), INDEX}),
    "ledger rows lost": (
        together(*(deleted(ledger, 3) for ledger in LEDGERS)),
        {("documents", "stale"), ("chunks", "stale"), ("duplicates", "stale"), NEXT},
    ),
    "aggregates lost": (together(deleted(DUPLICATES), deleted(CORPUS_STATISTICS)), {("duplicates", "stale"), NEXT}),
    "texts altered": (
        together(altered(DOCUMENTS, "text", "concat(text, ' more')"), altered(CHUNKS, "text", "upper(text)")),
        {("documents", "altered"), ("chunks", "altered")},
    ),
    "values altered": (
        together(
            altered(FILES, "size", "size + 1"),
            altered(DOCUMENTS, "title", "'another'"),
            altered(CHUNKS, "end_char", "end_char + 1"),
            altered(EMBEDDINGS, "vector", "array_repeat(cast(2.0 as float), 256)"),
            altered(DUPLICATES, "copies", "copies + 1"),
        ),
        {(asset, "altered") for asset in ("files", "documents", "chunks", "duplicates")} | {("embeddings", "invalid")},
    ),
    "statistics altered": (altered(CORPUS_STATISTICS, "tokens", "tokens + 1"), {NEXT}),
    "a hash altered": (
        altered(CHUNKS, "row_hash", "row_hash + 1"),
        {("chunks", "altered"), ("chunks", "stale"), INDEX},
    ),
    "rows twice and of nothing": (
        together(repeated(DOCUMENTS), repeated(CHUNKS), foreign(CHUNKS, "document_id")),
        {(asset, kind) for asset in ("documents", "chunks") for kind in ("altered", "stale", "invalid")}
        | {("chunks", "orphaned")},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_lost_or_altered_are_found_and_repaired(sound: SavedLake, name: str) -> None:
    damage, wanted = ROWS[name]
    damage(sound)
    assert_found_and_repaired(sound, wanted)


@pytest.mark.parametrize(
    "tables",
    [(FILES,), (DOCUMENTS,), (CHUNKS,), (EMBEDDINGS,), (DUPLICATES, CORPUS_STATISTICS), LEDGERS],
    ids=lambda tables: " ".join(table.name.rpartition("/")[2] for table in tables),
)
def test_a_table_restored_to_an_older_version_is_found_and_repaired(sound: SavedLake, tables: list[TableSpec]) -> None:
    with sound.house() as house:
        for table in tables:
            assert house.lake.version(table) > 0
            house.lake.restore(table, 0)
    before = actions.verify()
    assert {table.name.rpartition("/")[2] for table in tables} <= {finding.table for finding in before.findings}
    assert actions.verify(repair=True).is_sound
    sound.assert_as_saved()


def test_records_restored_to_an_older_version_change_nothing_that_is_held(sound: SavedLake) -> None:
    with sound.house() as house:
        for table in (CORPORA, SCANS, SNAPSHOTS):
            house.lake.restore(table, 0)
    sound.run()
    assert sound.counts.work == NO_WORK
    assert actions.verify().findings == ()
    sound.assert_as_saved()


# -- points ------------------------------------------------------------------------------------------------------------


def test_missing_extra_stale_double_and_vectorless_real_points_are_found_and_repaired(sound_edge: SavedLake) -> None:
    import qdrant_edge as qe

    folder = largest_segment(sound_edge)
    ids = sound_edge.table(CHUNKS).get_column("chunk_id").to_list()
    missing, stale, bare = ids[0], ids[1], ids[2]
    edge = qe.EdgeShard.load(str(folder / "edge"))
    present = {record.id.hex for record in edge.retrieve([UUID(chunk) for chunk in ids], False, False)}
    assert {missing, stale, bare} <= present
    stray = qe.Point(UUID("ab" * 16), {"dense": [1.0] * 384}, {"row_hash": 6})
    edge.update(qe.UpdateOperation.delete_points([UUID(missing)]))
    edge.update(qe.UpdateOperation.set_payload([UUID(stale)], {"row_hash": 1}))
    edge.update(qe.UpdateOperation.delete_vectors([UUID(bare)], ["dense"]))
    edge.update(qe.UpdateOperation.upsert_points([stray]))
    edge.flush()
    edge.close()
    report = actions.verify()
    assert kinds(report) == {("index", "missing"), ("index", "stale"), ("index", "extra")}
    assert [(f.missing, f.stale, f.extra) for f in report.findings] == [(1, 0, 0), (0, 2, 0), (0, 0, 1)]
    assert_found_and_repaired(sound_edge, kinds(report))
    assert sound_edge.counts.work == NO_WORK | {"published": 1}, "an index is repaired without a parse or an embedding"


def largest_segment(lake: SavedLake) -> Path:
    """Folder of the index segment with most points."""
    with lake.house() as house:
        (corpus,) = house.register.corpora()
        assert isinstance(house.store, EdgeStore)
        folders = house.store.segment_folders(corpus.space_id, corpus.name)
    return max(folders, key=lambda folder: (folder / "points.arrow").stat().st_size)


def cut_short(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_index(lake: SavedLake) -> None:
    shutil.rmtree(lake.settings.index)


def remove_segment(lake: SavedLake) -> None:
    shutil.rmtree(largest_segment(lake))


def spoil_pointer(lake: SavedLake) -> None:
    (largest_segment(lake).parent / "current.json").write_bytes(b'{"format": 1, "numb')


def spoil_segment(lake: SavedLake) -> None:
    for path in (largest_segment(lake) / "edge").rglob("segment.json"):
        cut_short(path)


def spoil_sidecar(lake: SavedLake) -> None:
    cut_short(largest_segment(lake) / "points.arrow")


def spoil(name: str) -> Damage:
    """Cuts a file beside the qdrant-edge shard short."""
    return lambda lake: cut_short(largest_segment(lake) / name)


def alter_a_payload(lake: SavedLake) -> None:
    """One letter of what a point shows, so that every file still has its form."""
    path = largest_segment(lake) / "payloads.jsonl"
    path.write_bytes(path.read_bytes().replace(b"e", b"a", 1))


BROKEN: dict[str, tuple[Damage, str]] = {
    "whole folder": (remove_index, "missing"),
    "a segment": (remove_segment, "damaged"),
    "current.json": (spoil_pointer, "damaged"),
    "an engine file": (spoil_segment, "damaged"),
    "a sidecar": (spoil_sidecar, "damaged"),
}
BESIDE: dict[str, tuple[Damage, str]] = {
    **{
        name: (spoil(name), "damaged")
        for name in ("df.npy", "postings.npy", "fields.arrow", "payloads.jsonl", "sums.json")
    },
    "a payload": (alter_a_payload, "damaged"),
}


@pytest.mark.parametrize("what", [*BROKEN, *BESIDE])
def test_a_broken_index_is_found_and_rebuilt_with_no_embedding(sound_edge: SavedLake, what: str) -> None:
    damage, kind = (BROKEN | BESIDE)[what]
    damage(sound_edge)
    assert_found_and_repaired(sound_edge, {("index", kind)})
    assert sound_edge.counts.work == NO_WORK | {"published": 1}


@pytest.mark.parametrize("what", ["a segment", "a sidecar"])
def test_a_broken_flat_index_is_found_and_rebuilt_with_no_embedding(sound: SavedLake, what: str) -> None:
    damage, kind = BROKEN[what]
    damage(sound)
    assert_found_and_repaired(sound, {("index", kind)})
    assert sound.counts.work == NO_WORK | {"published": 1}


def test_points_altered_in_a_flat_index_are_found_and_repaired(sound: SavedLake) -> None:
    path = largest_segment(sound) / "points.arrow"
    points = pl.read_ipc(path.read_bytes())
    ids = points["chunk_id"].to_list()
    stray = points.head(1).with_columns(chunk_id=pl.lit("ab" * 16))
    is_stale, is_bare = pl.col("chunk_id") == ids[1], pl.col("chunk_id") == ids[2]
    row_hash, vector = pl.col("row_hash"), pl.col("vector")
    points = pl.concat([points.filter(pl.col("chunk_id") != ids[0]), stray]).with_columns(
        row_hash=pl.when(is_stale).then(row_hash + 1).otherwise(row_hash),
        vector=pl.when(is_bare).then(None).otherwise(vector),
    )
    points.sort("chunk_id").write_ipc(path)
    report = actions.verify()
    assert kinds(report) == {("index", "missing"), ("index", "stale"), ("index", "extra")}
    assert [(f.missing, f.stale, f.extra) for f in report.findings] == [(1, 0, 0), (0, 2, 0), (0, 0, 1)]
    assert_found_and_repaired(sound, kinds(report))
    once_for_the_sidecar_and_once_for_the_vector = {"published": 2}
    assert sound.counts.work == NO_WORK | once_for_the_sidecar_and_once_for_the_vector


@pytest.mark.parametrize("what", ["a segment", "current.json", "a sidecar"])
def test_an_ordinary_run_rebuilds_a_broken_index(sound: SavedLake, what: str) -> None:
    BROKEN[what][0](sound)
    (sound.settings.inbox / "notes" / "touched.md").write_text("# A new note\n")
    sound.run()
    (sound.settings.inbox / "notes" / "touched.md").unlink()
    sound.counts.reset()
    sound.run()
    assert sound.counts.embedded == []
    sound.assert_as_saved()


# -- caches and bytes --------------------------------------------------------------------------------------------------


def empty_cache(lake: SavedLake) -> None:
    shutil.rmtree(lake.settings.cache)


def spoil_cache(lake: SavedLake) -> None:
    (lake.settings.cache / "state.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)


def lie_in_cache(lake: SavedLake) -> None:
    """A cache of another lake's life: its records are there and wrong."""
    with lake.house() as house:
        (corpus,) = house.register.corpora()
        for stage, record in house.state.completes(corpus.name).items():
            house.state.set_complete(corpus.name, stage, record | {"signature": {"tables": {}}})
        house.state.clear_complete(corpus.corpus_id)


@pytest.mark.parametrize("damage", [empty_cache, spoil_cache, lie_in_cache])
def test_a_lost_or_spoilt_cache_costs_nothing_but_reading(sound: SavedLake, damage: Damage) -> None:
    damage(sound)
    sound.run()
    assert sound.counts.work == NO_WORK
    sound.assert_as_saved()
    assert actions.verify().findings == ()


def stored(lake: SavedLake, path: str) -> Path:
    """Where the raw store keeps the bytes of a file."""
    rows = lake.table(FILES).filter(pl.col("path") == path)
    with lake.house() as house:
        return house.raw.path_of(rows.get_column("content_hash")[0])


def spoil(path: Path) -> None:
    """Change a byte of a stored file."""
    content = path.read_bytes()
    path.chmod(0o640)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize(("damage", "kind"), [(Path.unlink, "missing"), (spoil, "damaged")], ids=["deleted", "spoilt"])
def test_lost_or_spoilt_raw_bytes_are_found_and_taken_again(
    sound: SavedLake, damage: Callable[[Path], None], kind: str
) -> None:
    damage(stored(sound, "one.md"))
    damage(stored(sound, "copy.md"))
    report = actions.verify()
    assert kinds(report) == {("raw store", kind)}
    assert [f.missing + f.stale for f in report.findings] == [2]
    assert_found_and_repaired(sound, {("raw store", kind)})
    assert sound.counts.work == NO_WORK


def test_raw_bytes_that_cannot_be_taken_again_stay_said(sound: SavedLake) -> None:
    """The folder is gone for now: its corpus is paused, its rows stay, and what is lost is not called repaired."""
    spoil(stored(sound, "one.md"))
    stored(sound, "two.md").unlink()
    away = sound.root / "away"
    sound.path("notes").rename(away)
    report = actions.verify(repair=True)
    assert {(f.table, f.is_repaired) for f in report.findings} == {("raw store", False)}
    assert kinds(report) == {("raw store", "damaged"), ("raw store", "missing")}
    assert not report.is_sound
    away.rename(sound.path("notes"))
    assert actions.verify(repair=True).is_sound
    sound.assert_as_saved()


def test_a_paused_corpus_is_verified_and_repaired_without_a_look_at_its_source(sound: SavedLake) -> None:
    sound.path("notes").rename(sound.root / "away")
    sound.run()
    deleted(CHUNKS, 2)(sound)
    report = actions.verify(repair=True)
    assert kinds(report) == {("chunks", "stale"), ("index", "extra")}
    assert report.is_sound
    (sound.root / "away").rename(sound.path("notes"))
    sound.run()
    sound.assert_as_saved()


def test_an_edit_that_kept_size_and_times_is_found_by_reading(sound: SavedLake) -> None:
    """What no listing can see: ``verify`` reads every file, and its repair takes the new bytes."""
    sound.run()
    path = sound.path("notes/add.py")
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"left + right", b"left - right"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with sound.house() as house:
        (corpus,) = house.register.corpora()
        memo = house.state.files(corpus.corpus_id)[b"add.py"]
        house.state.remember(corpus.corpus_id, {b"add.py": memo._replace(ctime_ns=path.stat().st_ctime_ns)})
    sound.run()
    assert sound.counts.work == NO_WORK, "the scenario needs an edit that a run does not see"
    report = actions.verify(repair=True)
    assert kinds(report) == {("files", "stale")}
    assert report.is_sound
    assert sound.found("left - right")[0] == "add.py"


def test_new_and_removed_files_are_disagreements_until_they_are_run(sound: SavedLake) -> None:
    sound.drop("notes/new.md", note(31))
    sound.path("notes/two.md").unlink()
    assert kinds(actions.verify()) == {("files", "missing"), ("files", "extra")}
    sound.run()
    assert actions.verify().findings == ()


@pytest.mark.parametrize("what", ["postings.npy", "payloads.jsonl"])
def test_an_ordinary_run_rebuilds_an_index_that_it_cannot_merge(sound_edge: SavedLake, what: str) -> None:
    notes = sorted((sound_edge.settings.inbox / "notes").rglob("*.*"))
    texts = {path: path.read_bytes() for path in notes}
    BESIDE[what][0](sound_edge)
    for path, text in texts.items():
        path.write_bytes(text + b"\n\n# One more word\n")
    sound_edge.run()
    assert actions.verify().findings == ()

"""The intake end to end on real folders: what a run takes, deletes, moves, withholds, and when it does nothing."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.corpora.guard import PastScan
from cortex_assets.corpora.schema import FILES, SCANS
from cortex_assets.corpora.take import known_files
from cortex_assets.engine import reading
from cortex_assets.engine.corpus import Corpus, TakenFile
from cortex_assets.engine.intake import Intake, is_settled, list_corpus
from cortex_assets.identity import file_id
from resources import listing
from resources.raw_store import RawStore
from resources.state import State

ROOT = Path(__file__).parents[3]


class House:
    """A corpus with a table of files in memory: does what a run does, and counts."""

    def __init__(self, tmp_path: Path, **settings: object) -> None:
        self.root = tmp_path / "corpus"
        self.root.mkdir()
        self.corpus = Corpus("c1", "notes", self.root, **settings)  # type: ignore[arg-type]
        self.state = State(tmp_path / "state.sqlite")
        self.store = RawStore(tmp_path / "raw")
        self.files = pl.DataFrame(schema=FILES.dtypes)
        self.scans = pl.DataFrame(schema=SCANS.dtypes)
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.typed: list[str] = []
        self.read = 0

    def write(self, name: str | bytes, content: str = "", age: float = 100.0) -> None:
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.root), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or str(name))
        stamp = self.now.timestamp() - age
        os.utime(path, (stamp, stamp))

    def media_types(self, files: Sequence[TakenFile]) -> list[str]:
        self.typed += [file.display_path for file in files]
        return ["text/plain" if file.path.read_bytes() is not None else "" for file in files]

    def look(self) -> Intake:
        return list_corpus(self.corpus, known_files(self.files), self.state, self.now)

    def run(self, limit: int = 500, shard: str | None = None, confirm: str | None = None) -> Intake:
        self.now += timedelta(minutes=1)
        intake = self.look()
        intake.decide(self.history(), confirm)
        while True:
            batch = intake.take(self.store, self.media_types, limit, shard)
            FILES.schema.validate(batch.rows, cast=True)
            self.files = pl.concat(
                [
                    self.files.filter(~pl.col("file_id").is_in([*batch.deleted, *batch.rows["file_id"].to_list()])),
                    batch.rows,
                ]
            )
            self.read += batch.bytes_read
            if not batch.remaining:
                break
        row = intake.scan_row(0.1)
        SCANS.schema.validate(row, cast=True)
        self.scans = pl.concat([self.scans, row])
        intake.settle("v1")
        return intake

    def history(self) -> list[PastScan]:
        names = ["scan_id", "started_at", "deleted", "withheld", "is_confirmed"]
        return [PastScan(*row) for row in self.scans.select(names).iter_rows()]

    def paths(self) -> set[str]:
        return set(self.files["path"].to_list())

    def last(self, column: str) -> object:
        return self.scans[column][-1]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_first_run_then_nothing(house: House) -> None:
    house.write("a.md", "one")
    house.write("sub/b.md", "two")
    house.write(b"caf\xe9.md", "three")
    assert house.look().counts.new == 3
    assert house.look().counts.bytes_to_read == 11
    house.run()
    assert house.paths() == {"a.md", "sub/b.md", "caf�.md"}
    row = house.files.filter(pl.col("path") == "caf�.md")
    assert row["raw_path"].to_list() == [b"caf\xe9.md"]
    assert row["file_id"].to_list() == [file_id("c1", b"caf\xe9.md")]
    assert all(house.store.verify(content) for content in house.files["content_hash"])
    assert house.last("added") == 3
    before, read = house.files, house.read
    assert is_settled(house.corpus, house.state, "v1")
    assert not is_settled(house.corpus, house.state, "v2")
    intake = house.run()
    assert intake.counts.unchanged == 3
    assert house.files.equals(before)
    assert (house.read, len(house.typed)) == (read, 3)


def test_listing_reads_and_writes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write("a.md")
    monkeypatch.setattr(reading, "read_file", lambda *_: pytest.fail("a file was read"))
    assert house.look().counts.new == 1
    assert house.state.files("c1") == {}
    assert not house.store.root.exists()


def test_edit_touch_and_delete(house: House) -> None:
    for number in range(30):
        house.write(f"{number}.md", f"text {number}")
    house.run()
    before = {row["path"]: row for row in house.files.to_dicts()}
    house.write("3.md", "other text", age=50)
    house.write("4.md", "text 4", age=40)
    (house.root / "5.md").unlink()
    house.run()
    after = {row["path"]: row for row in house.files.to_dicts()}
    assert before.keys() - after.keys() == {"5.md"}
    assert {path for path in after if after[path]["row_hash"] != before[path]["row_hash"]} == {"3.md"}
    assert [house.last(name) for name in ("added", "changed", "deleted", "moved")] == [0, 1, 1, 0]
    assert is_settled(house.corpus, house.state, "v1")


def test_losing_the_cache_costs_hashing_and_changes_nothing(house: House, tmp_path: Path) -> None:
    house.write("a.md", "one")
    house.run()
    before, read = house.files, house.read
    house.state.close()
    (tmp_path / "state.sqlite").unlink()
    house.state = State(tmp_path / "state.sqlite")
    house.run()
    assert house.files.equals(before)
    assert house.read == 2 * read
    assert is_settled(house.corpus, house.state, "v1")


def test_a_renamed_directory_is_all_moves(house: House) -> None:
    for number in range(60):
        house.write(f"old/{number}.md", f"text {number}")
    house.run()
    (house.root / "old").rename(house.root / "new")
    stored = len(list(house.store.root.glob("??/*")))
    house.run(limit=25)
    assert house.paths() == {f"new/{number}.md" for number in range(60)}
    assert [house.last(name) for name in ("moved", "deleted", "added", "withheld")] == [60, 0, 0, 0]
    assert len(list(house.store.root.glob("??/*"))) == stored
    assert is_settled(house.corpus, house.state, "v1")


def test_a_rename_across_shards_run_one_by_one_is_no_mass_delete(tmp_path: Path) -> None:
    house = House(tmp_path, shard_count=4)
    for number in range(80):
        house.write(f"old/{number}.md", f"text {number}")
    house.run()
    (house.root / "old").rename(house.root / "new")
    for number in (2, 0, 3, 1):
        house.run(shard=f"notes.{number:02d}")
        assert house.last("withheld") == 0
    assert house.paths() == {f"new/{number}.md" for number in range(80)}
    assert house.scans["deleted"].sum() == 0


def test_deletes_across_shards_are_counted_once(tmp_path: Path) -> None:
    house = House(tmp_path, shard_count=2)
    for number in range(400):
        house.write(f"{number}.md", f"text {number}")
    house.run()
    for number in range(50):
        (house.root / f"{number}.md").unlink()
    house.run(shard="notes.00")
    house.run(shard="notes.01")
    assert house.scans["deleted"].sum() == 50
    assert (house.scans["withheld"].sum(), house.files.height) == (0, 350)


@pytest.mark.parametrize("loss", ["emptied", "missing", "other"])
def test_a_lost_root_deletes_nothing_until_confirmed(house: House, loss: str) -> None:
    for number in range(3):
        house.write(f"{number}.md", f"text {number}")
    house.run()
    shutil.rmtree(house.root)
    if loss != "missing":
        house.root.mkdir()
    if loss == "other":
        house.write("else.md", "something else")
        house.state.set_meta("device:c1", "-7")
    house.run()
    assert house.files.height == 3 + (loss == "other")
    assert house.last("withheld") == 3
    assert not is_settled(house.corpus, house.state, "v1")
    house.run(confirm=str(house.last("scan_id")))
    assert house.files.height == (loss == "other")
    assert house.last("is_confirmed")


def test_a_mass_delete_is_withheld_while_adds_and_edits_go_on(house: House) -> None:
    for number in range(100):
        house.write(f"{number}.md", f"text {number}")
    house.run()
    for number in range(30):
        (house.root / f"{number}.md").unlink()
    house.write("new.md", "new")
    house.write("99.md", "edited", age=10)
    house.run()
    assert (house.files.height, house.last("withheld"), house.last("changed")) == (101, 30, 1)
    assert "cortex confirm" in str(house.last("withheld_reason"))
    for number in range(30):
        house.write(f"{number}.md", f"text {number}")
    house.run()
    assert (house.files.height, house.last("withheld")) == (101, 0)


def test_an_unreadable_folder_protects_only_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        house.write(f"shut/{number}.md", f"text {number}")
    house.write("open/a.md")
    house.write("open/b.md")
    house.write("open/same.md", "text 3")
    house.run()
    real = os.scandir

    def refusing(path: bytes) -> object:
        if path.rstrip(b"/").endswith(b"shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(listing.os, "scandir", refusing)
    (house.root / "open" / "a.md").unlink()
    house.run()
    assert house.files.height == 12
    assert house.last("deleted") == 1
    assert list(house.last("unreadable")) == ["shut/"]  # type: ignore[call-overload]


def test_a_half_copied_file_is_deferred(house: House) -> None:
    house.write("ready.md", "ready")
    house.write("young.md", "half", age=-59)
    intake = house.run()
    assert house.paths() == {"ready.md"}
    assert intake.counts.deferred == 1
    assert not is_settled(house.corpus, house.state, "v1")
    house.run()
    assert house.paths() == {"ready.md", "young.md"}


def test_a_file_that_changes_between_listing_and_reading_waits(house: House) -> None:
    house.write("a.md", "first")
    house.now += timedelta(minutes=1)
    intake = house.look()
    intake.decide()
    (house.root / "a.md").write_text("changed meanwhile")
    batch = intake.take(house.store, house.media_types, 10)
    assert (batch.rows.height, batch.not_ready, batch.remaining) == (0, 1, 0)
    assert not intake.settle("v1")


def test_newest_first_and_slices(house: House) -> None:
    for number in range(7):
        house.write(f"{number}.md", f"text {number}", age=1000 - number)
    intake = house.look()
    intake.decide()
    first = intake.take(house.store, house.media_types, 3)
    assert set(first.rows["path"]) == {"6.md", "5.md", "4.md"}
    assert first.remaining == 4
    assert not intake.settle("v1")
    late = intake.take(house.store, house.media_types, 3, is_late=lambda: True)
    assert (late.rows.height, late.remaining) == (1, 3)


def test_a_crash_after_the_cache_was_written_loses_nothing(house: House) -> None:
    house.write("a.md", "one")
    intake = house.look()
    intake.decide()
    intake.take(house.store, house.media_types, 10)
    again = house.run()
    assert again.counts.new == 1
    assert house.paths() == {"a.md"}
    assert house.read == 0


def test_lost_raw_bytes_are_taken_again_for_new_rows(house: House) -> None:
    house.write("a.md", "one")
    house.run()
    shutil.rmtree(house.store.root)
    house.files = house.files.clear()
    house.run()
    assert house.store.verify(house.files["content_hash"][0])


def test_too_large_and_unreadable_files_are_rows_with_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, max_bytes=100)
    house.write("big.md", "x" * 101)
    house.write("locked.md", "mine")
    house.write("was fine.md", "fine")
    monkeypatch.setattr(reading, "open_inside", _refuse(b"locked.md"))
    house.run()
    rows = {row["path"]: row for row in house.files.to_dicts()}
    assert (rows["big.md"]["status"], rows["big.md"]["content_hash"]) == ("too_large", None)
    assert "the limit is 100" in rows["big.md"]["reason"]
    assert (rows["locked.md"]["status"], rows["locked.md"]["reason"]) == (
        "failed",
        "cannot be read: Permission denied",
    )
    assert is_settled(house.corpus, house.state, "v1")
    house.write("was fine.md", "edited", age=10)
    monkeypatch.setattr(reading, "open_inside", _refuse(b"was fine.md"))
    house.run()
    assert house.files.filter(pl.col("path") == "was fine.md")["content_hash"].to_list() == [
        rows["was fine.md"]["content_hash"]
    ]
    assert list(house.last("unreadable")) == ["was fine.md"]  # type: ignore[call-overload]
    assert not is_settled(house.corpus, house.state, "v1")


def _refuse(name: bytes) -> object:
    real = listing.open_inside

    def refusing(root: bytes, path: bytes) -> int:
        if path == name:
            raise PermissionError(13, "Permission denied")
        return real(root, path)

    return refusing


def test_reference_keeps_no_bytes(tmp_path: Path) -> None:
    house = House(tmp_path, store="reference")
    house.write("a.md", "one")
    house.run()
    assert house.files["store"].to_list() == ["reference"]
    assert not house.store.root.exists()
    house.corpus = Corpus("c1", "notes", house.root)
    assert not is_settled(house.corpus, house.state, "v1")
    house.run()
    assert house.files["store"].to_list() == ["raw"]
    assert house.store.verify(house.files["content_hash"][0])


def test_deletes_before_the_guard_was_asked_are_refused(house: House) -> None:
    house.write("a.md")
    with pytest.raises(RuntimeError, match="ask the guard first"):
        house.look().take(house.store, house.media_types, 10)


def test_the_no_op_path_imports_nothing_heavy() -> None:
    code = (
        "import sys, cortex_assets.engine.intake as i; "
        "print(sorted({'polars', 'dagster', 'dataframely', 'deltalake', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_hundred_thousand_unchanged_files_are_settled_quickly(house: House) -> None:
    for folder in range(500):
        base = house.root / f"d{folder}"
        base.mkdir()
        for number in range(200):
            (base / f"n{number}.md").touch()
    house.now = datetime.now(UTC) + timedelta(minutes=5)
    intake = house.look()
    intake.decide()
    batch = intake.take(house.store, lambda files: ["text/plain"] * len(files), 200_000)
    assert (batch.rows.height, batch.remaining, intake.settle("v1")) == (100_000, 0, True)
    began = time.process_time()
    assert is_settled(house.corpus, house.state, "v1")
    spent = time.process_time() - began
    print(f"settled in {spent:.2f} s of CPU")
    assert spent < 2.0


def test_a_slice_reads_no_more_bytes_than_its_weight_beyond_the_first_file(house: House) -> None:
    for number in range(4):
        house.write(f"{number}.md", "x" * 1000)
    intake = house.look()
    intake.decide(house.history())
    sizes = [intake.take(house.store, house.media_types, 10, weight=2500).bytes_read for _ in range(2)]
    assert sizes == [2000, 2000]
    house.write("large.md", "y" * 9000)
    house.write("small.md", "z", age=50.0)
    intake = house.look()
    intake.decide(house.history())
    assert intake.take(house.store, house.media_types, 10, weight=100).bytes_read == 1
    assert intake.take(house.store, house.media_types, 10, weight=100).bytes_read == 9000

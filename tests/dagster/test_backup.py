"""A restore drill, and whatever may go wrong with it: interrupted, damaged, hostile, too full, too new, beside a run."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from apps import actions
from apps.care_reports import BackedUp
from apps.errors import CommandError
from apps.supervisor.state import held
from cortex_assets.engine import restore as engine_restore
from cortex_assets.engine.lease import LeaseBusy, lake_lease
from resources import archive, manifest
from resources.archive import Archive
from resources.manifest import BackupError
from resources.settings import DiskFullError
from tests.dagster.contents import contents
from tests.dagster.lake import NO_WORK, Lake, note, notes

ALL = frozenset({"tables", "raw", "inbox"})
QUESTIONS = ("the old harbour near mark", "who guards the granite at noon", "violin")


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake with history: two corpora, an edit, a delete, a failure, a name that is not UTF-8, duplicates."""
    lake.drop_all(notes("notes", 12) | notes("other", 4) | {"notes/broken.pdf": b"%PDF-1.4 no"})
    lake.drop(b"notes/caf\xe9.txt", "a bittern booms in the reeds")
    lake.run()
    lake.drop("notes/note-003.md", note(77))
    lake.delete("notes/note-004.md")
    lake.run()
    actions.maintain()
    lake.drop("notes/note-005.md", note(78))
    lake.run()
    return lake


def backup(lake: Lake, parts: frozenset[str] = ALL, **named: Any) -> tuple[Path, BackedUp]:
    folder = lake.root / "backup"
    return folder, actions.backup(str(folder), parts, **named)


def destroy(lake: Lake) -> None:
    shutil.rmtree(lake.settings.data_dir)


def answers(lake: Lake) -> list[Any]:
    return [
        [(hit.corpus, hit.path, hit.chunk_id, hit.score, hit.citation) for hit in lake.search(question).hits]
        for question in QUESTIONS
    ]


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def test_restore_drill(filled: Lake) -> None:
    before, said = contents(with_vectors=True), answers(filled)
    versions = filled.image().versions
    folder, report = backup(filled)
    assert not report.missing and {table.name for table in report.tables} >= {"human/corpora", "silver/chunks"}
    destroy(filled)
    restored = actions.restore(str(folder))
    assert not restored.is_replaced and not restored.kept
    assert filled.image().versions == versions, "versions go on where they were"
    report_of_run, work = filled.run_counted()
    assert not report_of_run.errors
    assert work | {"published": 0} == NO_WORK, "nothing is parsed, chunked or embedded"
    assert work["published"] == 2, "the index of each shard is made anew"
    assert contents(with_vectors=True) == before
    assert answers(filled) == said
    filled.assert_sound()
    assert filled.run_counted()[1] == NO_WORK
    filled.drop("notes/note-006.md", note(80))
    filled.run()
    filled.assert_sound()


def test_what_people_wrote_alone_is_enough_to_start_again(filled: Lake) -> None:
    """Human rows come back; everything else is made from the sources, under the same ids."""
    before = contents()
    inbox = filled.root / "kept"
    shutil.copytree(filled.inbox, inbox)
    folder, report = backup(filled, frozenset())
    assert [table.name for table in report.tables] == ["human/corpora"]
    destroy(filled)
    actions.restore(str(folder))
    shutil.rmtree(filled.inbox, ignore_errors=True)
    shutil.copytree(inbox, filled.inbox)
    filled.run()
    now = contents()
    same = ("corpora", "bronze/files", "bronze/documents", "silver/chunks", "points", "statistics")
    assert {name: now[name] for name in same} == {name: before[name] for name in same}


def test_human_rows_come_back_into_a_lake_that_stays(filled: Lake) -> None:
    folder, _ = backup(filled, frozenset())
    filled.drop("third/new.md", note(90))
    filled.run()
    with pytest.raises(BackupError, match="--replace"):
        actions.restore(str(folder))
    actions.restore(str(folder), is_replacing=True)
    assert not filled.run().errors
    filled.assert_sound()


def test_the_next_backup_copies_what_is_new(filled: Lake) -> None:
    folder, first = backup(filled)
    assert first.copied_files > 20
    _, again = backup(filled)
    assert (again.copied_files, again.files) == (0, first.files)
    filled.drop("notes/note-000.md", note(91))
    filled.run()
    _, third = backup(filled)
    assert 0 < third.copied_bytes < first.copied_bytes / 2
    named = {file.sha256 for file in Archive(folder).read().files}
    assert {path.name for path in objects(folder)} == named, "what only the old backup named is gone"
    destroy(filled)
    actions.restore(str(folder))
    assert filled.run_counted()[1] | {"published": 0} == NO_WORK
    assert filled.found(note(91))[0] == "note-000.md"


SLOW = """
import pathlib, time
from apps import actions
from cortex_assets.chunks.derive import ChunksCompute
make = ChunksCompute.__call__
def slow(self, rows):
    pathlib.Path({ready!r}).touch()
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.01)
    return make(self, rows)
ChunksCompute.__call__ = slow
actions.run()
"""


def test_a_backup_beside_a_run_is_a_moment_of_it(filled: Lake) -> None:
    filled.drop_all(notes("notes", 5, start=40))
    ready, gate = filled.root / "ready", filled.root / "gate"
    run = filled.start(SLOW.format(ready=str(ready), gate=str(gate)))
    try:
        while not ready.exists():
            assert run.poll() is None, run.communicate()
        folder, _ = backup(filled)
    finally:
        gate.touch()
        assert run.wait(60) == 0
    filled.run()
    wanted = contents(with_vectors=True)
    destroy(filled)
    actions.restore(str(folder))
    report, work = filled.run_counted()
    assert not report.errors and work["parsed"] == 0 and work["chunked"] == 5
    assert contents(with_vectors=True) == wanted
    filled.assert_sound()


def test_maintenance_and_backup_exclude_each_other(filled: Lake) -> None:
    with lake_lease(filled.settings.locks), pytest.raises(LeaseBusy):
        backup(filled)
    done: list[str] = []

    def heard(*_: object) -> None:
        if not done:
            with pytest.raises(LeaseBusy):
                actions.maintain()
            done.append("refused")

    backup(filled, progress=heard)
    assert done


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "manifest", "no manifest"])
def test_a_damaged_backup_is_refused_before_anything_is_written(filled: Lake, damage: str) -> None:
    folder, _ = backup(filled)
    before = contents()
    victim = max(objects(folder), key=lambda path: path.stat().st_size)
    whole = victim.read_bytes()
    if damage == "flipped":
        victim.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    elif damage == "cut":
        victim.write_bytes(whole[:-1])
    elif damage == "gone":
        victim.unlink()
    elif damage == "manifest":
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text.replace('"rows": 4', '"rows": 5', 1).replace("note-00", "note-99"))
    else:
        (folder / "manifest.json").unlink()
    with pytest.raises(BackupError, match=r"damaged|no backup that is whole"):
        actions.restore(str(folder), is_replacing=True)
    assert contents() == before
    assert not (filled.settings.data_dir / "restoring").exists()
    if damage in ("flipped", "cut", "gone"):
        backup(filled, is_checked=True)
        assert victim.read_bytes() == whole, "--verify mends what it can read from the lake"
        actions.restore(str(folder), is_replacing=True)


def rewritten(folder: Path, change: Any) -> None:
    """Change a manifest as somebody would who knows how its sum is made."""
    values = json.loads((folder / "manifest.json").read_bytes())
    values.pop("sum")
    change(values)
    (folder / "manifest.json").write_text(json.dumps(values | {"sum": manifest._sum(values)}))


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "lake/../../outside",
        "/etc/outside",
        "lake/human/corpora/../../../../outside",
        "inbox/../cache/outside",
        "inbox/./x",
        "inbox//x",
        "inbox",
        "",
        "outside",
        "locks/outside",
        "passwords/notes.txt",
        "raw/aa/outside",
        "lake/human/unknown/part-0.parquet",
        "lake/human/corpora",
        "inbox/a\0b",
    ],
)
def test_no_path_leads_out(filled: Lake, path: str) -> None:
    folder, _ = backup(filled)
    destroy(filled)

    def change(values: Any) -> None:
        values["files"][0]["path"] = path

    rewritten(folder, change)
    with pytest.raises(BackupError, match="nothing is restored"):
        actions.restore(str(folder))
    assert {entry.name for entry in filled.settings.data_dir.iterdir()} <= {"locks"}
    assert not (filled.root / "outside").exists()


def test_links_do_not_lead_out(filled: Lake) -> None:
    """Neither an object that is a link, nor a link in the inbox that a path of the backup goes through."""
    folder, _ = backup(filled)
    secret = filled.root / "secret"
    secret.mkdir()
    shutil.rmtree(filled.inbox / "notes")
    (filled.inbox / "notes").symlink_to(secret, target_is_directory=True)
    restored = actions.restore(str(folder), is_replacing=True)
    assert any(path.startswith("inbox/notes/") for path in restored.kept)
    assert list(secret.iterdir()) == []
    victim = objects(folder)[0]
    shutil.move(victim, secret / "bytes")
    victim.symlink_to(secret / "bytes")
    with pytest.raises(BackupError, match="missing or damaged"):
        actions.restore(str(folder), is_replacing=True)


def test_newer_formats_are_refused(filled: Lake) -> None:
    folder, _ = backup(filled)
    rewritten(folder, lambda values: values.update(lake_format=99))
    with pytest.raises(BackupError, match="newer Cortex"):
        actions.restore(str(folder), is_replacing=True)
    rewritten(folder, lambda values: values.update(format=99))
    with pytest.raises(BackupError, match="newer Cortex"):
        actions.restore(str(folder), is_replacing=True)


def test_the_inbox_is_added_to_and_never_overwritten(filled: Lake) -> None:
    folder, _ = backup(filled)
    filled.drop("notes/note-000.md", "what was written since")
    filled.delete("notes/note-001.md")
    restored = actions.restore(str(folder), is_replacing=True)
    assert restored.kept == ("inbox/notes/note-000.md",) and restored.is_replaced
    assert filled.path("notes/note-000.md").read_text() == "what was written since"
    assert filled.path("notes/note-001.md").read_text() == note(1)
    filled.run()
    assert filled.found("what was written since")[0] == "note-000.md"
    filled.assert_sound()


@pytest.mark.parametrize("place", ["full", "file", "inside"])
def test_where_a_backup_does_not_belong(filled: Lake, place: str) -> None:
    target = {"full": filled.root, "file": filled.root / "a", "inside": filled.settings.data_dir / "b"}[place]
    (filled.root / "a").write_text("x")
    with pytest.raises((BackupError, CommandError), match=r"something else|is a file|data folder"):
        actions.backup(str(target))


def test_a_full_disk_leaves_the_backup_before(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = backup(filled)
    filled.drop("notes/note-000.md", note(92))
    filled.run()
    manifest = (folder / "manifest.json").read_bytes()
    filled.set("CORTEX_MIN_FREE", "99.9%")
    with pytest.raises(DiskFullError):
        backup(filled)
    assert (folder / "manifest.json").read_bytes() == manifest
    before = contents()
    with pytest.raises(DiskFullError):
        actions.restore(str(folder), is_replacing=True)
    assert not (filled.settings.data_dir / "restoring").exists()
    assert contents() == before
    filled.set("CORTEX_MIN_FREE", "0")

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_copy", full)
        with pytest.raises(OSError, match="No space"):
            backup(filled)
        with pytest.raises(OSError, match="No space"):
            actions.restore(str(folder), is_replacing=True)
    assert contents() == before
    assert not (filled.settings.data_dir / "restoring").exists()
    actions.restore(str(folder), is_replacing=True)
    filled.run()
    filled.assert_sound()


DYING = """
import os, signal, shutil, pathlib
from apps import actions
from resources import archive, durability
from cortex_assets.engine import restore
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
around(pathlib.Path, "replace"), around(pathlib.Path, "rename"), around(pathlib.Path, "unlink"), around(pathlib.Path, "write_bytes")
around(shutil, "rmtree"), around(archive, "make_durable"), around(restore, "make_durable"), around(restore, "_forget_caches")
around(archive, "_copy")
{what}
print(1000000 - left)
"""


def events(lake: Lake, what: str) -> int:
    return int(lake.fresh(DYING.format(at=1_000_000, what=what)))


def killed(lake: Lake, what: str, at: int) -> None:
    process = lake.start(DYING.format(at=at, what=what))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, (at, process.returncode)


@pytest.mark.slow
def test_a_killed_backup_is_never_taken_for_a_whole_one(filled: Lake) -> None:
    folder = filled.root / "backup"
    what = f"actions.backup({str(folder)!r}, frozenset({sorted(ALL)!r}))"
    first = contents(with_vectors=True)
    count = events(filled, what)
    shutil.rmtree(folder)
    tried = {1, 2, 9, count // 2, *range(count - 8, count + 1)}
    for at in sorted(tried):
        killed(filled, what, at)
        if (folder / "manifest.json").exists():
            assert Archive(folder).read().files
            actions.restore(str(folder), is_replacing=True)
        else:
            with pytest.raises(BackupError, match="no backup that is whole"):
                actions.restore(str(folder), is_replacing=True)
            backup(filled)
        assert [
            f["path"] for f in json.loads((folder / "manifest.json").read_bytes())["files"] if "ops/" not in f["path"]
        ]
        shutil.rmtree(folder)
    filled.run()
    assert contents(with_vectors=True) == first


@pytest.mark.slow
def test_a_killed_restore_leaves_the_old_lake_or_the_new_one(filled: Lake) -> None:
    """At any point: afterwards the lake is one of the two, whole; whoever opens it next finishes what was announced."""
    folder, _ = backup(filled)
    filled.drop("notes/note-000.md", note(93))
    filled.drop_all(notes("later", 3))
    filled.run()
    now = contents(with_vectors=True)
    saved = filled.root / "saved"
    shutil.copytree(filled.settings.data_dir, saved, symlinks=True)
    what = f"actions.restore({str(folder)!r}, True)"
    count = events(filled, what)
    outcomes = set()
    late = [count - number for number in range(40) if count - number > 0]
    for at in sorted({1, 2, count // 2, *late[::5]}):
        shutil.rmtree(filled.settings.data_dir)
        shutil.copytree(saved, filled.settings.data_dir, symlinks=True)
        killed(filled, what, at)
        found = filled.search("the old harbour").hits is not None
        with filled.house() as house:
            (corpora,) = [sorted(corpus.name for corpus in house.register.corpora())]
        outcomes.add(tuple(corpora))
        assert found and corpora in (["notes", "other"], ["later", "notes", "other"])
        assert not filled.run().errors
        filled.assert_sound()
        if corpora == ["later", "notes", "other"]:
            assert contents(with_vectors=True) == now
    assert outcomes == {("notes", "other"), ("later", "notes", "other")}


def test_a_restore_that_was_announced_is_finished_by_whoever_comes_next(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = backup(filled)
    wanted = contents(with_vectors=True)
    shutil.rmtree(filled.settings.lake)
    swap = engine_restore._swap

    def dies(new: Path, target: Path, old: Path) -> None:
        swap(new, target, old)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine_restore, "_swap", dies)
        with pytest.raises(KeyboardInterrupt):
            actions.restore(str(folder))
    filled.run()
    assert contents(with_vectors=True) == wanted
    assert not (filled.settings.data_dir / "restoring").exists()
    filled.assert_sound()


def test_command_line(filled: Lake) -> None:
    folder = str(filled.root / "there")
    done = filled.cli("backup", folder, "--all", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parts"] == ["human", "tables", "raw", "inbox"]
    refused = filled.cli("restore", folder)
    assert refused.returncode == 1 and "--replace" in refused.stderr
    asked = filled.cli("restore", folder, "--replace")
    assert asked.returncode == 2, "nobody can be asked"
    back = filled.cli("restore", folder, "--replace", "--yes")
    assert back.returncode == 0, back.stderr
    assert "cortex run" in back.stdout.replace("\n", " ")
    nothing = filled.cli("restore", str(filled.root / "nowhere"))
    assert nothing.returncode == 1 and "no backup that is whole" in nothing.stderr.replace("\n", " ")


def test_nothing_is_swapped_under_what_is_up(filled: Lake) -> None:
    folder, _ = backup(filled)
    before = contents()
    with held(filled.settings.up):
        for command in (lambda: actions.restore(str(folder), is_replacing=True), actions.upgrade):
            with pytest.raises(CommandError, match="at work") as told:
                command()
            assert "cortex down" in told.value.remedy
    assert contents() == before
    actions.restore(str(folder), is_replacing=True)


def test_a_manifest_tells_every_file(filled: Lake) -> None:
    folder, report = backup(filled)
    manifest = Archive(folder).read()
    assert len(manifest.files) == report.files and report.bytes == manifest.size
    for file in manifest.files:
        content = (folder / "objects" / file.sha256[:2] / file.sha256).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    tops = {file.path.partition("/")[0] for file in manifest.files}
    assert tops == {"lake", "raw", "inbox"}, "neither index nor caches nor locks"
    assert any(os.fsencode(file.path) == b"inbox/notes/caf\xe9.txt" for file in manifest.files)

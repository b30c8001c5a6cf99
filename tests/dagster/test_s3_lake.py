"""Two machines on one lake in an object store: two data folders, processes of their own, one bucket."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pytest

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import from_row
from cortex_assets.corpora.schema import CORPORA, FILES
from cortex_assets.engine.holders import holder_of
from cortex_assets.ops.schema import SNAPSHOTS
from resources.lakehouse import Lakehouse
from tests.dagster.lake import Lake
from tests.object_store import KEY, SECRET, Store, serving

TERM = 2.0
OVER = TERM + 2.2
RUN = """
import json
from apps import actions
done = actions.run({names})
print(json.dumps({{"busy": done.busy, "errors": done.errors, "notes": done.notes,
                   "new": sum(line.new for line in done.stages if line.stage == "chunks")}}))
"""
LOOK = """
import json
from apps import actions, reader
from apps.errors import CommandError
from apps.search_reports import SearchFilters
again = actions.run(None)
found = reader.search("geese", 10, SearchFilters())
checked = actions.verify(None, False)
try:
    refused = actions.run(["notes"]).errors
except CommandError as error:
    refused = str(error)
print(json.dumps({
    "new": sum(line.new for line in again.stages), "said": [again.errors, again.notes, found.notes, checked.busy],
    "hits": sorted(f"{hit.corpus}/{hit.path}" for hit in found.hits), "citations": sorted({hit.citation for hit in found.hits}),
    "findings": [str(one) for one in checked.findings], "checked": checked.checked, "refused": refused,
    "owners": {one.name: [one.machine, one.is_here] for one in reader.status(None, False).corpora},
}))
"""
VERIFY = """
import json
from apps import actions
print(json.dumps([str(one) for one in actions.verify(None, False).findings]))
"""
STAY_AT_CHUNKS = """
import time
from pathlib import Path
from cortex_assets.ops.schema import SNAPSHOTS
from resources.lake_writing import Writes
retry = Writes._retry
def staying(self, table, write):
    if table.name == "silver/chunks":
        print("at chunks", flush=True)
        while not Path("go on").exists():
            time.sleep(0.05)
    return retry(self, table, write)
Writes._retry = staying
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving() as server:
        yield server


class Machine(Lake):
    """A data folder whose lake is in the store; its environment is that of its processes only."""

    def __init__(self, root: Path, store: Store, url: str) -> None:
        super().__init__(root, lambda name, value: None)
        for name, value in (store.environment(url) | {"CORTEX_LEASE_SECONDS": str(TERM)}).items():
            self.set(name, value)

    @property
    def settings(self) -> Any:
        from resources.settings import load_settings

        return load_settings(self.root, self.environment)

    def asks(self, code: str) -> Any:
        """What ``code`` prints in a process of this machine."""
        return json.loads(self.fresh(code).splitlines()[-1])

    def begins(self, code: str) -> Callable[[], Any]:
        """Begin it; the call waits for what it prints."""
        process = self.start(code)

        def ended() -> Any:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            return json.loads(out.splitlines()[-1])

        return ended

    def write(self, path: str, text: str) -> None:
        file = self.inbox / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    @property
    def tables(self) -> Lakehouse:
        settings = self.settings
        return Lakehouse(settings.lake_root, storage_options=settings.lake_options)


@pytest.fixture
def pair(store: Store, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    url = f"s3://lake/{tmp_path.name.replace('_', '-')}"
    desk, laptop = (Machine(tmp_path / name, store, url) for name in ("desk", "laptop"))
    yield desk, laptop
    desk.stop()
    laptop.stop()


def run(*names: str) -> str:
    return RUN.format(names=list(names) or None)


@pytest.mark.slow
def test_two_machines_fill_one_lake(pair: tuple[Machine, Machine]) -> None:
    """Each takes its own corpora, at the same time; each finds everything; nothing is doubled or lost."""
    desk, laptop = pair
    for number in range(6):
        desk.write(f"papers/p{number}.md", f"# Paper {number}\n\nOn the migration of geese, part {number}.\n")
        laptop.write(f"notes/n{number}.md", f"# Note {number}\n\nGeese seen at the lake, day {number}.\n")
        laptop.write(
            f"papers/q{number}.md", f"# Other {number}\n\nGeese in another folder of the same name {number}.\n"
        )
    first = [ended() for ended in (desk.begins(run()), laptop.begins(run()))]
    assert [(one["busy"], one["errors"]) for one in first] == [([], []), ([], [])]
    found = [ended() for ended in (desk.begins(LOOK), laptop.begins(LOOK))]

    rows = desk.tables.scan(CORPORA).collect().sort("name")
    assert rows["name"].to_list()[:2] == ["notes", "papers"]
    assert rows["name"][2].startswith("papers-")
    owners = dict(zip(rows["name"], rows["machine"], strict=True))
    assert len(set(owners.values())) == 2
    assert owners["notes"] == laptop.settings.machine
    assert all(from_row(row, desk.settings.machine).is_listed for row in rows.iter_rows(named=True))
    assert desk.tables.scan(FILES).collect().height == 18
    assert desk.tables.scan(CHUNKS).collect()["chunk_id"].n_unique() == desk.tables.rows(CHUNKS) == 18

    snapshots = desk.tables.scan(SNAPSHOTS).collect()
    assert snapshots["shard"].is_unique().all(), "the index of another machine's corpus is nobody's publication"
    assert found[0]["hits"] == found[1]["hits"]
    assert {hit.split("/")[0].split("-")[0] for hit in found[0]["hits"]} == {"notes", "papers"}
    for one, machine in zip(found, pair, strict=True):
        assert one["new"] == 0
        assert [*one["said"], one["findings"]] == [[], [], [], [], []]
        assert one["citations"] == ["exact"]
        assert one["checked"] == list(owners.values()).count(machine.settings.machine)
        assert one["owners"] == {name: [owner, owner == machine.settings.machine] for name, owner in owners.items()}
        files = [
            file.relative_to(machine.settings.data_dir)
            for file in machine.settings.data_dir.rglob("*")
            if file.is_file()
        ]
        assert [file for file in files if holder_of(PurePosixPath(file)) is None] == []
    assert found[0]["refused"] == "the corpus belongs to machine " + owners["notes"]


@pytest.mark.slow
def test_one_shard_two_machines(pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    """A corpus of no machine in particular: one runs it, the other is busy; what stopped is continued after its term."""
    desk, laptop = pair
    folder = tmp_path / "shared"
    folder.mkdir()
    for number in range(5):
        (folder / f"s{number}.md").write_text(f"# Shared {number}\n\nText number {number} of all.\n", encoding="utf-8")
    assert desk.cli("add", str(folder), "--name", "shared", "--yes").returncode == 0
    rows = desk.tables.scan(CORPORA).collect()
    desk.tables.overwrite(CORPORA, rows.with_columns(machine=pl.lit(None, pl.String)))

    stopped = stays_at_chunks(desk)
    meanwhile = laptop.asks(run())
    assert (meanwhile["busy"], meanwhile["new"], meanwhile["errors"]) == (["shared"], 0, [])
    stopped.send_signal(signal.SIGSTOP)
    time.sleep(OVER)
    assert laptop.asks(run())["new"] == 5
    (desk.root / "go on").touch()
    stopped.send_signal(signal.SIGCONT)
    out, err = stopped.communicate(timeout=60)
    (desk.root / "go on").unlink()
    assert stopped.returncode == 0, err
    assert "the lease of" in out and "nothing more is written" in out
    assert desk.tables.rows(CHUNKS) == 5

    (folder / "s0.md").write_text("# Shared anew\n\nOther text.\n", encoding="utf-8")
    killed = stays_at_chunks(desk)
    killed.kill()
    killed.wait()
    time.sleep(OVER)
    assert laptop.asks(run())["errors"] == []
    assert laptop.asks(VERIFY) == []
    assert desk.tables.rows(FILES) == desk.tables.rows(CHUNKS) == 5


def stays_at_chunks(machine: Machine) -> "subprocess.Popen[str]":
    """A run that is about to write chunks, and waits for a file ``go on``."""
    process = machine.start(STAY_AT_CHUNKS + run())
    assert process.stdout is not None
    assert process.stdout.readline() == "at chunks\n"
    return process


def test_an_endpoint_that_does_not_answer_is_one_sentence_within_seconds(tmp_path: Path) -> None:
    with serving() as own:
        machine = Machine(tmp_path / "desk", own, "s3://lake/one")
        own.process.kill()
        begin = time.monotonic()
        told = machine.cli("run")
        assert time.monotonic() - begin < 20
    assert told.returncode == 1
    assert "s3://lake/one: the object store cannot be reached" in told.stderr.replace("\n", " ")
    assert "AWS_ENDPOINT_URL" in told.stderr
    assert "Traceback" not in told.stderr


def test_what_a_store_refuses_is_told_without_secrets(pair: tuple[Machine, Machine]) -> None:
    desk, _ = pair
    desk.set("CORTEX_LAKE", "s3://no-such-bucket/one")
    told = desk.cli("run")
    assert told.returncode == 1
    assert "there is no such bucket" in told.stderr.replace("\n", " ")
    with serving(is_refusing=True) as other:
        desk.set("AWS_ENDPOINT_URL", other.endpoint)
        refused = desk.cli("run")
        doctor = desk.cli("doctor")
    assert refused.returncode == 1
    assert "the object store refuses these credentials" in refused.stderr.replace("\n", " ")
    outputs = (told.stderr, told.stdout, refused.stderr, refused.stdout, doctor.stdout, doctor.stderr)
    for output in (*outputs, repr(desk.settings), str(desk.settings)):
        assert SECRET not in output
        assert KEY not in output


def test_what_a_folder_has_and_a_store_has_not_is_refused(pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    desk, _ = pair
    backup = str(tmp_path / "backup")
    said = desk.asks(
        f"""
import json
from apps import caring
from apps.errors import CommandError
from apps.progress import silent
calls = [(caring.backup, {backup!r}, frozenset(), False, silent), (caring.restore, {backup!r}, True, silent)]
said = []
for call, *arguments in calls:
    try:
        said.append(repr(call(*arguments)))
    except CommandError as error:
        said.append([error.what, error.where, error.remedy])
print(json.dumps([*said, caring.upgrade(False).steps]))
"""
    )
    assert said.pop() == []
    for what, where, remedy in said:
        assert what.startswith("the lake is on an object store, and ")
        assert where == desk.settings.lake_root
        assert remedy
    assert not desk.settings.lake.exists()
    assert not Path(backup).exists()

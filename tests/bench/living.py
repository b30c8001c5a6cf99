"""Living with it: what `cortex up` costs while nothing happens, how soon an edit is found, and a day of edits in minutes.

``soak``: what somebody does to a folder in a day, an action each half minute around the clock, in 15 minutes; as a day is
made short, so are the ages that ``cortex maintain`` goes by, and it comes every minute. At the end the lake must equal one
that was made from the same folder at once, and the disk must not have grown with the edits. The embedder is ``hash``: what
is measured is the house, not a model.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from apps.search_reports import SearchFilters
from apps.supervisor.state import UP, read_state
from apps.worker import client
from resources.settings import child_environment
from tests.bench.figures import Figure, Part, load
from tests.bench.process import ROOT, CommandFailed, cortex

IDLE_TARGET_PERCENT, IDLE_TARGET_MB = 3.0, 1_500.0
EDIT_TARGET_SECONDS = 5.0
SETTLE_SECONDS, IDLE_SECONDS = 60.0, 180.0
PATIENCE = 90.0
DAY_ACTIONS = 2_880
SOAK = {
    "CORTEX_EMBED": "hash",
    "CORTEX_STILL_SECONDS": "0.5",
    "CORTEX_RETENTION": "60s",
    "CORTEX_SWEEP_AGE": "15s",
    "CORTEX_HISTORY": "60s",
}
WORDS = ("tide", "gauge", "harbour", "datum", "surge", "buoy", "record", "level", "storm", "mesh", "valve", "crest")


@contextmanager
def up(data: Path, *options: str, **variables: str) -> Iterator[Path]:
    """``cortex up`` over a data folder; gives the folder of its state."""
    environment = child_environment(CORTEX_DATA=str(data), DAGSTER_HOME=str(data / ".dagster"), **variables)
    with open(data / "up.out", "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.cli", "up", "--port", "3900", "--app-port", "8900", *options],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE
        while (state := read_state(data / "up")) is None or any(part.state != UP for part in state.parts):
            if time.monotonic() > until or process.poll() is not None:
                raise CommandFailed(f"cortex up did not come up: {(data / 'up.out').read_text()[-500:]}")
            time.sleep(0.2)
        yield data / "up"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time of processes and of the children they waited for."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def megabytes(processes: list[psutil.Process]) -> float:
    """Sum of proportional set sizes."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def idle(scratch: Path, asked: argparse.Namespace) -> Part:
    """CPU and memory of everything that ``cortex up`` starts, over the loaded sample, while nothing happens."""
    data = scratch / "data"
    _sample(data)
    cortex(["run", "--json"], scratch, CORTEX_EMBED="packaged")
    seconds = 20.0 if asked.quick else IDLE_SECONDS
    with up(data, CORTEX_EMBED="packaged") as state_folder:
        time.sleep(5.0 if asked.quick else SETTLE_SECONDS)
        state = read_state(state_folder)
        assert state is not None
        pids = {"supervisor": state.pid} | {part.name: part.pid for part in state.parts}
        before = {name: cpu_seconds(tree(pid)[:1] if name == "supervisor" else tree(pid)) for name, pid in pids.items()}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        percent, memory = {}, {}
        for name, pid in pids.items():
            processes = tree(pid)[:1] if name == "supervisor" else tree(pid)
            percent[name] = round(100 * (cpu_seconds(processes) - before[name]) / passed, 2)
            memory[name] = round(megabytes(processes))
    note = f"{passed:.0f} s; load {load()[0]}"
    part = Part("idle", details={"percent of a core": percent, "PSS, MB": memory})
    part.figures += [
        Figure("idle CPU of cortex up", sum(percent.values()), "% of a core", IDLE_TARGET_PERCENT, note=note),
        Figure("memory of cortex up", sum(memory.values()), "MB", IDLE_TARGET_MB, note="sum of PSS, no generator"),
    ]
    return part


def _sample(data: Path) -> None:
    """The sample, but for the file that is damaged on purpose: a run over it ends with 1."""
    shutil.copytree(ROOT / "data" / "sample", data / "inbox" / "sample", ignore=shutil.ignore_patterns("damaged-*"))


def edits(scratch: Path, asked: argparse.Namespace) -> Part:
    """Seconds from a saved file to a hit that shows the new word, with the packaged model and the worker up."""
    data = scratch / "data"
    _sample(data)
    cortex(["run", "--json"], scratch, CORTEX_EMBED="packaged")
    took = []
    with up(data, "--no-dagster", "--no-app", CORTEX_EMBED="packaged") as state_folder:
        file = data / "inbox" / "sample" / "notes" / "measured.md"
        for number in range(5 if asked.quick else 60):
            word = f"zebrafink{number:04d}{int(time.time()) % 100_000}"
            file.write_text(f"# Note {number}\n\nToday the {word} was seen near the gauge.\n", encoding="utf-8")
            took.append(_seconds_until_found(state_folder, word))
            time.sleep(random.Random(number).uniform(0.2, 2.0))
    took.sort()
    p95 = took[max(0, round(0.95 * len(took)) - 1)]
    note = f"{len(took)} edits; p50 {statistics.median(took):.2f} s, most {took[-1]:.2f} s; load {load()[0]}"
    return Part("edits", [Figure("edit to searchable, p95", p95, "s", EDIT_TARGET_SECONDS, note=note)])


def _seconds_until_found(state_folder: Path, word: str) -> float:
    saved = time.monotonic()
    while time.monotonic() - saved < PATIENCE:
        with contextlib.suppress(client.NoWorker):
            response = client.search(state_folder, word, 3, SearchFilters())
            if any(word in hit.snippet for hit in response.hits):
                return time.monotonic() - saved
        time.sleep(0.05)
    raise CommandFailed(f"{word} was not found within {PATIENCE:.0f} s")


# -- a day of edits ----------------------------------------------------------------------------------------------------


@dataclass
class Folder:
    """A folder that somebody works in; what is done to it follows from the seed."""

    root: Path
    seed: int
    actions: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.root.mkdir(parents=True)
        for number in range(200):
            self._write(self.root / f"{number % 8}" / f"note{number:03d}.md")

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        paragraphs = [" ".join(self.random.choices(WORDS, k=60)) + "." for _ in range(self.random.randint(2, 30))]
        path.write_text(f"# {path.stem} {self.random.random()}\n\n" + "\n\n".join(paragraphs), encoding="utf-8")

    def act(self) -> None:
        """One thing that a person does."""
        files = sorted(self.root.rglob("*.md"))
        name = self.random.choices(["edit", "append", "add", "rename", "delete", "move"], [40, 20, 14, 10, 12, 4])[0]
        path = self.random.choice(files)
        if name == "edit":
            self._write(path)
        elif name == "append":
            with open(path, "a", encoding="utf-8") as file:
                file.write("\n\n" + " ".join(self.random.choices(WORDS, k=40)))
        elif name == "add" or len(files) < 150:
            self._write(self.root / f"{self.random.randrange(8)}" / f"new{self.actions:06d}.md")
        elif name == "rename":
            path.rename(path.with_name(f"renamed{self.actions:06d}.md"))
        elif name == "delete":
            path.unlink()
        else:
            folder = path.parent
            folder.rename(folder.with_name(f"moved{self.actions:06d}")) if folder != self.root else None
        self.actions += 1
        self.counts[name] = self.counts.get(name, 0) + 1


def soak(scratch: Path, asked: argparse.Namespace) -> Part:
    """Constant edits for ``--minutes`` (15), a day's actions in them, maintenance every minute, then parity with a lake made at once."""
    minutes = 0.5 if asked.quick else max(asked.minutes, 1.0)
    data = scratch / "data"
    folder = Folder(data / "inbox" / "notes", seed=281128)
    pause = 900 / DAY_ACTIONS
    cortex(["run", "--json"], scratch, **SOAK)
    disk: list[float] = []
    memory: list[float] = []
    maintained = refused = 0
    with up(data, "--no-dagster", "--no-app", **SOAK) as state_folder:
        began = said = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            folder.act()
            time.sleep(folder.random.expovariate(1 / pause))
            if time.monotonic() - said > min(60.0, 10 * minutes):
                said = time.monotonic()
                _confirm(scratch)
                done = _maintain(scratch)
                maintained, refused = maintained + done, refused + (not done)
                disk.append(_megabytes(data) - _megabytes(folder.root))
                memory.append(_worker_megabytes(state_folder))
                print(
                    f"  {folder.actions} actions, {disk[-1]:.0f} MB on disk beside the files, worker {memory[-1]:.0f} MB",
                    file=sys.stderr,
                )
        passed = time.monotonic() - began
        runs = client.ask(state_folder, "health")["runs"]
        _until_quiet(state_folder)
    _confirm(scratch)
    cortex(["run", "--json"], scratch, **SOAK)
    found = json.loads(cortex(["verify", "--json"], scratch, **SOAK).output)["findings"]
    differing = _differing(scratch, data)
    half = len(disk) // 2
    growth = statistics.mean(disk[half:]) / statistics.mean(disk[1:half]) if half > 1 else None
    part = Part("soak", details={"actions": folder.counts, "disk MB": disk, "worker PSS MB": memory, "load": load()})
    rate = (
        f"{folder.actions / passed:.1f} actions and {runs / passed * 60:.0f} runs a minute over {passed / 60:.1f} min"
    )
    part.figures += [
        Figure("soak: rate", folder.actions / passed, "actions/s", note=rate),
        Figure("soak: rows that differ from a lake made at once", differing, "rows", 0.0),
        Figure("soak: findings of verify", len(found), "findings", 0.0),
        Figure(
            "soak: disk beside the files, second half to first",
            growth,
            "x",
            1.25,
            note=f"{maintained} maintained, {refused} refused",
        ),
    ]
    return part


def _maintain(scratch: Path) -> bool:
    """Whether all of maintenance was done; runs may have the lake for longer than it waits."""
    try:
        cortex(["maintain", "--wait", "30", "--json"], scratch, **SOAK)
    except CommandFailed:
        return False
    return True


def _confirm(scratch: Path) -> None:
    """What a person is asked after many deletes of a day: yes, they are meant."""
    for corpus in json.loads(cortex(["status", "--json"], scratch, **SOAK).output)["corpora"]:
        if corpus["withheld"] is not None:
            cortex(["confirm", corpus["withheld"]["scan_id"], "--json"], scratch, **SOAK)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6


def _worker_megabytes(state_folder: Path) -> float:
    return megabytes(tree(client.find(state_folder).pid))


def _until_quiet(state_folder: Path) -> None:
    """Until the worker has nothing to do for a while."""
    quiet_since = time.monotonic()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() - quiet_since < 5.0:
        told: dict[str, Any] = client.ask(state_folder, "health")
        if told["waiting"] or told["at_work"] or told["handed"]:
            quiet_since = time.monotonic()
        if time.monotonic() > deadline:
            raise CommandFailed(f"the worker is not done: {told['waiting']}")
        time.sleep(0.2)


def _differing(scratch: Path, data: Path) -> int:
    """Rows of files, documents and chunks that are in one lake only: this one, or one made at once from the same folder."""
    import polars as pl

    fresh = scratch / "fresh"
    shutil.copytree(data / "inbox", fresh / "data" / "inbox")
    cortex(["run", "--json"], fresh, **SOAK)
    count = 0
    for table, key in (("bronze/files", "file_id"), ("bronze/documents", "document_id"), ("silver/chunks", "chunk_id")):
        both = [pl.read_delta(str(root / "lake" / table)).select(key, "row_hash") for root in (data, fresh / "data")]
        count += both[0].join(both[1], on=[key, "row_hash"], how="anti").height
        count += both[1].join(both[0], on=[key, "row_hash"], how="anti").height
    return count

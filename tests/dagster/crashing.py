"""Kill points: a process that runs the real chain over a lake and kills itself, with no chance to clean up, at its n-th event.

An event is the moment before or after something becomes durable: a Delta commit, a rename (raw bytes, the index's switch), a
raw-store flush, a write to the state cache, a step of an index publish, a removal of garbage. The list is made by counting
a run, never by hand. ``Workshop`` keeps one warm process per lake, which forks a child for every job: imports are paid once.
Scenarios are in ``test_kill_converges``.

    python -m tests.dagster.crashing    serves jobs, one JSON object a line; started by ``Workshop``
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.dagster.folders import copy_folder

PROJECT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
HARMLESS_THREADS = {"jemalloc_bg_thd", "polars-ooc-clea"}
"""Threads that Polars starts when it is imported: its allocator's, which knows about forks, and a sweeper of spill files."""


class Fuse:
    """Counts events, and kills this process at the ``blow_at``-th (0 = never)."""

    def __init__(self, blow_at: int) -> None:
        self.names: list[str] = []
        self._blow_at = blow_at

    def event(self, name: str) -> None:
        """Something is about to become durable, or just did."""
        self.names.append(name)
        if len(self.names) == self._blow_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """``work`` between two events."""

        @functools.wraps(work)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.event(f"before {name}")
            result = work(*args, **kwargs)
            self.event(f"after {name}")
            return result

        return wrapped


def instrument(fuse: Fuse) -> None:
    """Put the fuse around everything that makes something durable in this process."""
    from cortex_assets import house
    from resources.lake_writing import Writes
    from resources.lakehouse import Lakehouse
    from resources.raw_store import RawStore
    from resources.state import State

    retry = Writes._retry

    def commit(self: Any, table: Any, write: Callable[[], Any]) -> Any:
        return retry(self, table, fuse.around(f"commit {table.name}", write))

    Writes._retry = commit
    Lakehouse.optimize = fuse.around("optimize", Lakehouse.optimize)
    Lakehouse.vacuum = fuse.around("vacuum", Lakehouse.vacuum)
    RawStore.flush = fuse.around("raw flush", RawStore.flush)
    RawStore.sweep = fuse.around("raw sweep", RawStore.sweep)
    State._write = fuse.around("state write", State._write)
    replace, counted = os.replace, fuse.around("rename", os.replace)
    # What a run tells of itself is written by the clock, and nobody needs it after a crash.
    os.replace = lambda old, new: (replace if Path(new).parent.name == "live" else counted)(old, new)
    shutil.rmtree = fuse.around("removal of a folder", shutil.rmtree)
    made, options = (
        house.EdgeStore,
        {"keep_seconds": 0, "max_segments": 2, "on_step": lambda s: fuse.event(f"publish {s}")},
    )
    house.EdgeStore = lambda root, **given: made(root, **(given | options))


def job_run(kill_at: int) -> list[str]:
    """``cortex run``; the names of its events."""
    from apps import actions

    fuse = Fuse(kill_at)
    instrument(fuse)
    actions.run(None)
    return fuse.names


def job_maintain(kill_at: int) -> list[str]:
    """``cortex maintain`` with nothing retained; the names of its events."""
    from apps import actions

    fuse = Fuse(kill_at)
    instrument(fuse)
    actions.maintain()
    return fuse.names


def job_migrate(model: str) -> None:
    """``cortex migrate`` of every corpus that is not on its way yet."""
    from apps import actions, reader

    for corpus in reader.status().corpora:
        if not reader.migrations(corpus.name).lines:
            actions.migrate(corpus.name, model)


def job_ask(question: str) -> list[str]:
    """``cortex search``: the paths that it cites, and its notes."""
    from apps import reader

    response = reader.search(question)
    return [hit.path for hit in response.hits] + list(response.notes)


def job_image(with_vectors: bool) -> dict[str, Any]:
    """What the lake holds, as plain values: rows by table, ledgers, points, vectors by point, findings of ``verify``."""
    from apps import actions
    from tests.dagster.contents import contents

    findings = [finding.detail for finding in actions.verify().findings]
    return contents(with_vectors) | {"findings": findings}


JOBS: Mapping[str, Callable[..., Any]] = {
    "run": job_run,
    "maintain": job_maintain,
    "migrate": job_migrate,
    "ask": job_ask,
    "image": job_image,
}


class Workshop:
    """A warm process that forks a child for each job over one lake. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Start the process.

        Args:
            folder: the lake's; its data lie in ``folder/data``.
        """
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        variables = {
            "PYTHONPATH": str(PROJECT),
            "CORTEX_DATA": str(self.data),
            "DAGSTER_HOME": str(self.data / ".dagster"),
            "CORTEX_EMBED": "hash",
            "CORTEX_STILL_SECONDS": "0",
            "CORTEX_MIN_FREE": "0",
            "CORTEX_RETENTION": "0",
            "POLARS_MAX_THREADS": "2",
            "RAYON_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        self._log = (folder / "workshop.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.dagster.crashing"],
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._log.close()

    def run(self, kill_at: int = 0) -> list[str] | None:
        """``cortex run`` in a child; its events, or None where the fuse blew."""
        return self._job("run", kill_at)

    def maintain(self, kill_at: int = 0) -> list[str] | None:
        """``cortex maintain`` in a child; its events, or None where the fuse blew."""
        return self._job("maintain", kill_at)

    def migrate(self, model: str) -> None:
        """Begin a migration of every corpus to a model."""
        self._job("migrate", model)

    def ask(self, question: str) -> list[str]:
        """Paths and notes that a search gives."""
        found = self._job("ask", question)
        assert isinstance(found, list)
        return found

    def image(self, with_vectors: bool = False) -> dict[str, Any]:
        """What the lake holds; see ``job_image``."""
        image = self._job("image", with_vectors)
        assert isinstance(image, dict)
        return image

    def _job(self, name: str, argument: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([name, argument]) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the workshop ended: {self.complaints()}"
        code, result = json.loads(line)
        if code == KILLED and argument:
            return None
        assert code == 0, f"{name}({argument}) ended with {code}: {self.complaints()}"
        return result

    def complaints(self) -> str:
        """The end of what children wrote to standard error."""
        return (self.folder / "workshop.log").read_text(errors="replace")[-4_000:]

    def save(self) -> None:
        """Keep the lake as it is now, for ``restore``."""
        copy_folder(self.data, self.folder / "saved")

    def restore(self) -> None:
        """Put the lake back to where it was saved."""
        copy_folder(self.folder / "saved", self.data)


# -- the warm process --------------------------------------------------------------------------------------------------


def serve() -> None:
    """Fork a child for every line of standard input; answer with its exit code and what it gave."""
    _warm_up()
    threads = {
        (task / "comm").read_text().strip()
        for task in Path("/proc/self/task").iterdir()
        if task.name != str(os.getpid())
    }
    assert threads <= HARMLESS_THREADS, f"{threads} run after the imports: a fork may be unsafe"
    for line in sys.stdin:
        name, argument = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(writing, name, argument)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as stream:
            result = stream.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps([code, json.loads(result) if result else None]), flush=True)


def _work(writing: int, name: str, argument: Any) -> None:
    """In the child: do one job and leave without the parent's ``atexit``."""
    import traceback

    code = 1
    try:
        result = json.dumps(JOBS[name](argument))
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            stream.write(result)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


def _warm_up() -> None:
    """Import what a run imports and compute producer versions; nothing that starts a thread."""
    import deltalake  # noqa: F401
    import qdrant_edge  # noqa: F401
    import tokenizers  # noqa: F401

    import apps.migrating
    import apps.running  # noqa: F401
    import tests.dagster.contents  # noqa: F401
    from cortex_assets.chunks.derive import chunks_derivation
    from cortex_assets.documents.derive import documents_derivation
    from cortex_assets.engine.wanted import encoder_version
    from cortex_assets.taking import media_version

    documents_derivation().versions()
    chunks_derivation("any", 256).versions()
    encoder_version()
    media_version()


if __name__ == "__main__":
    serve()

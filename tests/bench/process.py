"""Measures a command as a whole process tree: wall and CPU seconds, peak memory, bytes written.

Memory is the sum of the tree's proportional set sizes (PSS: a page that processes share counts once), sampled ten times
a second; the sum of resident set sizes is told beside it. Bytes written are what the kernel counted for the process and
the children it waited for, when the command ends; the disk is synced before and after.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from resources.settings import child_environment
from tests.bench.figures import load

ROOT = Path(__file__).parents[2]
SAMPLE_SECONDS, SAMPLE_SHARE = 0.1, 0.04
"""How often memory is looked at, and the share of a core that looking may take: adding up 1 GB of pages takes 15 ms."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One command that ended.

    Attributes:
        seconds: wall clock, start-up included.
        cpu_seconds: user and system, of the tree.
        peak_mb: greatest sum of PSS over the tree, 10^6 bytes.
        peak_rss_mb: greatest sum of RSS over the tree.
        written: bytes that the tree wrote.
        code: exit code.
        load: load averages when it ended.
        output: standard output.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    peak_rss_mb: float
    written: int
    code: int
    load: list[float]
    output: str = ""

    def brief(self) -> dict[str, Any]:
        """Without the output, rounded."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if name != "output"
        }

    def json(self) -> Any:
        """What was printed, as JSON."""
        return json.loads(self.output)


class CommandFailed(RuntimeError):
    """A measured command ended otherwise than it must; says how, with the end of what it printed."""


def cortex(arguments: Sequence[str], folder: Path, **environment: str) -> Measured:
    """Run ``cortex`` by the project's entry point in ``folder``, whose ``data`` it works on."""
    installed = Path(sys.executable).with_name("cortex")
    inline = [sys.executable, "-c", "import sys; from apps.cli import main; sys.exit(main())"]
    return measured([*([str(installed)] if installed.exists() else inline), *arguments], folder, environment)


def module(name: str, arguments: Sequence[str], folder: Path, **environment: str) -> Measured:
    """Run ``python -m name`` of this repository."""
    return measured([sys.executable, "-m", name, *arguments], folder, environment)


def measured(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], allowed: Sequence[int] = (0,)
) -> Measured:
    """Run a command to its end and measure its tree.

    Raises:
        CommandFailed: its exit code is not allowed.
    """
    env = child_environment(**{"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment})
    os.sync()
    begin = time.perf_counter()
    with open(folder / "stdout.txt", "wb") as out, open(folder / "stderr.txt", "wb") as err:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=err)
        sampler = _Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    if process.returncode not in allowed:
        tail = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-600:]
        raise CommandFailed(f"{' '.join(command[-3:])} ended with {process.returncode}: {tail}")
    return Measured(
        seconds,
        usage.ru_utime + usage.ru_stime,
        sampler.pss / 1e6,
        max(sampler.rss, usage.ru_maxrss * 1024) / 1e6,
        usage.ru_oublock * 512,
        process.returncode,
        load(),
        (folder / "stdout.txt").read_text(encoding="utf-8", errors="replace"),
    )


class _Sampler(threading.Thread):
    """Keeps the greatest sums over a process tree."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.pss = self.rss = 0

    def run(self) -> None:
        while True:
            begin = time.thread_time()
            sizes = [tree_member(pid) for pid in tree(self._pid)]
            self.pss = max(self.pss, sum(pss for pss, _ in sizes))
            self.rss = max(self.rss, sum(rss for _, rss in sizes))
            if self._ended.wait(max(SAMPLE_SECONDS, (time.thread_time() - begin) / SAMPLE_SHARE)):
                return

    def stop(self) -> None:
        self._ended.set()
        self.join()


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def tree_member(pid: int) -> tuple[int, int]:
    """(PSS, RSS) of a process in bytes; nothing where it has ended."""
    sizes = {"Pss": 0, "Rss": 0}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] = int(value.split()[0]) * 1024
    except (OSError, ValueError):
        return 0, 0
    return sizes["Pss"], sizes["Rss"]

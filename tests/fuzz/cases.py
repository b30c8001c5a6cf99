"""One case: a damaged file on its way to rows, and what is wrong with what came of it.

A case is a function of seed and number: the same two give the same bytes, whatever ran before.
"""

import faulthandler
import random
import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from resources.sandbox import Sandbox
from tests.fuzz.check import GRACE_SECONDS, violations
from tests.fuzz.mutators import mutate
from tests.fuzz.seeds import Seeds
from tests.produced import Produced, produce

MEMORY_MB = 1024
_UNFORESEEN = re.compile(r"^([A-Z]\w*(?:Error|Exception|Warning|Interrupt)|StopIteration)\b")
_ATTEMPT_LIMIT = 20


class TooSlowError(BaseException):
    """Parsing in this process did not end in time; no ``except Exception`` on the way catches it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A file to try: its number in the run, its name, its bytes."""

    number: int
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case.

    Attributes:
        status: of the file; ``none`` where nothing came.
        route: the parser's name.
        findings: what is wrong; empty where nothing is.
        notes: what was contained in a row but shows a gap: an exception nobody foresaw, a child that died.
    """

    status: str
    route: str
    findings: list[str]
    notes: list[str]


def case(seeds: Seeds, suffixes: list[str], seed: int, number: int) -> Case:
    """The case of a seed and a number."""
    pick = random.Random(f"{seed}:{number}")
    name, content = seeds.choose(pick, suffixes)
    _, other = seeds.choose(pick, suffixes if pick.random() < 0.5 else seeds.suffixes())
    return Case(number, name, mutate(pick, content, other))


def judge(file: Case, folder: Path, sandbox: Sandbox, timeout_s: float) -> Verdict:
    """Take a case the whole way and judge what came of it."""
    path = folder / f"case{Path(file.name).suffix}"
    path.write_bytes(file.content)
    before = _peak_mb()
    try:
        with _alarm((timeout_s + GRACE_SECONDS) * _ATTEMPT_LIMIT if timeout_s else 0.0, timeout_s):
            produced = produce(path, sandbox, file.name)
            again = produce(path, sandbox, file.name) if file.number % 16 == 0 else None
    except TooSlowError as error:
        return Verdict("none", "?", [f"hang: {error}"], [])
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Verdict("none", "?", [f"escaped: {type(error).__name__}: {str(error)[:120]}"], [])
    findings = violations(produced, timeout_s)
    if _peak_mb() - before > MEMORY_MB:
        findings.append(f"memory: {_peak_mb() - before:.0f} MB more in this process")
    if again is not None and not again.rows.equals(produced.rows):
        findings.append("not the same rows from the same bytes")
    return Verdict(produced.status, produced.route.name, findings, _notes(produced))


def _notes(produced: Produced) -> list[str]:
    found = []
    for document in produced.documents:
        match = _UNFORESEEN.match(document.reason or "")
        if match:
            found.append(f"unforeseen {match[1]} in {produced.route.name}")
        if document.status.value == "quarantined":
            found.append(f"quarantined in {produced.route.name}: {' '.join((document.reason or '').split()[:6])}")
    return list(dict.fromkeys(found))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _alarm(whole_s: float, each_s: float) -> Iterator[None]:
    """Raise ``TooSlowError`` in what runs too long in this process; where even that is not heard, end it with a traceback.

    Waiting for a child is bounded by the sandbox, so the alarm looks at the CPU time of this process only.
    """

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {each_s + GRACE_SECONDS:.0f} s of CPU in the parsing process")

    earlier = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, each_s + GRACE_SECONDS)
    faulthandler.dump_traceback_later(whole_s, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)
        faulthandler.cancel_dump_traceback_later()

"""``python -m tests.fuzz --minutes 20 --seed N``: damaged files through the production path; prints what does not hold.

A finding is an exception that escapes its row, a hang, memory beyond the limit, a status ``ok`` without text, or a document
that breaks what ``check`` asks. Notes are what a row contained but nobody foresaw. Exit code 1 where there are findings.
``--replay FILE`` shows what becomes of one file. The way in is the package's ``cases``; formats come from ``makers``.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from resources.sandbox import Sandbox
from tests.fuzz import cases, seeds
from tests.fuzz.check import violations
from tests.fuzz.findings import Judge, Saved, label_of, save, smaller
from tests.produced import produce

NOTES_KEPT = 3


@dataclass(slots=True)
class Tally:
    """Counts of a run."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    saved: list[Saved] = field(default_factory=list)

    def line(self) -> str:
        """One line of progress."""
        statuses = " ".join(f"{name} {count}" for name, count in self.statuses.most_common())
        return f"{self.cases} cases: {statuses}; {sum(self.findings.values())} findings of {len(self.findings)} kinds"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers as a run calls them.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, help="default: a new one, which is printed")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default="", help="suffixes to start from, such as .pdf,.docx")
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds until a parser counts as hanging")
    parser.add_argument("--data", type=Path, default=seeds.DATA, help="folder of the shared corpora")
    parser.add_argument("--out", type=Path, help="folder for what is found (default: one in the temporary folder)")
    parser.add_argument("--replay", type=Path, help="show what becomes of this file, and end")
    return parser.parse_args()


def fuzz(asked: argparse.Namespace, seed: int, out: Path) -> Tally:
    """Run cases until time or number is up."""
    tally = Tally()
    start = seeds.gather(asked.data if asked.data.is_dir() else None)
    suffixes = start.suffixes(tuple(filter(None, asked.only.split(","))))
    deadline = time.monotonic() + 60 * asked.minutes
    said = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, Sandbox(timeout_s=asked.timeout) as sandbox:

        def judge(file: cases.Case) -> cases.Verdict:
            return cases.judge(file, Path(scratch), sandbox, asked.timeout)

        number = asked.first
        while time.monotonic() < deadline and (asked.cases is None or tally.cases < asked.cases):
            file = cases.case(start, suffixes, seed, number)
            verdict = judge(file)
            number += 1
            tally.cases += 1
            tally.statuses[verdict.status] += 1
            tally.routes[verdict.route] += 1
            _keep(tally, file, verdict, judge, out)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                print(tally.line(), file=sys.stderr, flush=True)
    return tally


def _keep(tally: Tally, file: cases.Case, verdict: cases.Verdict, judge: Judge, out: Path) -> None:
    """Count findings and notes; save the first of each kind."""
    for finding in verdict.findings:
        label = label_of(finding)
        key = f"{verdict.route}: {label}"
        if not tally.findings[key]:
            is_slow = label.startswith(("hang", "memory"))
            shown = file if is_slow else smaller(file, label, judge)
            tally.saved.append(save(out / "findings", label, verdict.route, shown))
            print(f"FOUND {key} (case {file.number}, {file.name})", file=sys.stderr, flush=True)
        tally.findings[key] += 1
    for note in verdict.notes:
        if tally.notes[note] < NOTES_KEPT:
            save(out / "notes", note, verdict.route, file)
        tally.notes[note] += 1


def replay(path: Path, timeout_s: float) -> int:
    """Print what becomes of one file, and what is wrong with it."""
    with Sandbox(timeout_s=timeout_s) as sandbox:
        produced = produce(path, sandbox)
        found = violations(produced, timeout_s)
        print(f"{produced.media}, {produced.route.name}, {produced.seconds:.2f} s, {produced.attempts} attempts")
        for row in produced.rows.head(20).iter_rows(named=True):
            print(f"  {row['inner'] or '(file)'}: {row['status']}, {row['char_count']} characters, {row['reason']}")
        print("\n".join(found) or "nothing is wrong")
    return int(bool(found))


def main() -> int:
    """Fuzz, or replay; print counts and where the files are."""
    asked = arguments()
    if asked.replay:
        return replay(asked.replay, asked.timeout)
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**9)
    out = asked.out or Path(tempfile.mkdtemp(prefix="cortex-fuzz-"))
    print(f"seed {seed}; what is found goes to {out}", flush=True)
    tally = fuzz(asked, seed, out)
    print(f"seed {seed}: {tally.line()}")
    print("routes: " + ", ".join(f"{name} {count}" for name, count in tally.routes.most_common()))
    for note, count in tally.notes.most_common():
        print(f"note: {count} x {note}")
    for key, count in tally.findings.most_common():
        print(f"FINDING: {count} x {key}")
    for saved in tally.saved:
        print(f"  {saved.label}\n    {saved.command}")
    return int(bool(tally.findings))


if __name__ == "__main__":
    sys.exit(main())

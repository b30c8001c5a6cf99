"""``python -m tests.bench [PART ...]``: measure, print JSON (figures with target, value and whether it is met).

Without parts: the daily round, search latency and retrieval quality on a small scale of the slow ones. ``all`` adds those
that take long (an import of 10,000 files, a gigabyte of text, 100,000 tiny files, the real model, formats with a large
log and mailbox, quantized vectors), but for ``million``, which takes half an hour and is run by its name. ``--quick`` takes
200 files and small numbers everywhere: a check that the benchmarks work, not a measurement.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import (
    answers,
    formats,
    lanes,
    large,
    latency,
    living,
    million,
    models,
    pages,
    quality,
    quantized,
    scenario,
    ticks,
)
from tests.bench.corpus import DATA
from tests.bench.figures import Figure, Part, machine
from tests.bench.process import CommandFailed

Run = Callable[[Path, argparse.Namespace], Part]
PARTS: dict[str, Run] = {
    "import": large.import_many,
    "gigabyte": large.gigabyte,
    "tiny": large.tiny_files,
    "latency": latency.run,
    "command": latency.command,
    "model": models.run,
    "quality": quality.run,
    "answers": answers.run,
    "formats": formats.run,
    "formats_whole": formats.whole,
    "idle": living.idle,
    "edits": living.edits,
    "soak": living.soak,
    "pages": pages.run,
    "ticks": ticks.run,
    "quantized": quantized.run,
    "lanes": lanes.run,
    "million": million.run,
}
USUAL = (*scenario.STEPS, "latency", "command", "quality")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Cortex and print JSON.")
    names = (*scenario.STEPS, *PARTS, "all")
    parser.add_argument("parts", nargs="*", choices=[*names, []], metavar="PART", help=f"any of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small numbers everywhere")
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="what the real model, or the soak, may take (default 1)"
    )
    parser.add_argument("--megabytes", type=int, default=1_000, help="size of the part `gigabyte`")
    parser.add_argument("--chunks", type=int, default=million.CHUNKS, help="chunks of the part `million`")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the shared corpora")
    parser.add_argument("--scratch", type=Path, help="folder for scratch data (default: a temporary one)")
    return parser.parse_args()


def main() -> int:
    """Run the parts and print the report; 0 whether or not targets are met, 1 when a part broke."""
    asked = arguments()
    wanted = list(asked.parts or USUAL)
    if "all" in wanted:
        wanted = [*scenario.STEPS, *(name for name in PARTS if name != "million")]
    report: dict[str, Any] = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    parts: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="cortex-bench-", dir=asked.scratch) as scratch:
        steps = [name for name in scenario.STEPS if name in wanted]
        if steps:
            parts.append(
                _guarded(
                    "scenario", lambda: scenario.run(Path(scratch), steps, asked.data, 200 if asked.quick else None)
                )
            )
        for name, run in PARTS.items():
            if name in wanted:
                folder = Path(scratch) / name
                folder.mkdir()
                parts.append(_guarded(name, lambda run=run, folder=folder: run(folder, asked)))
    report["parts"] = [part.to_dict() for part in parts]
    report["missed"] = [figure.name for figure in _figures(parts) if figure.met is False]
    print(json.dumps(report, indent=2))
    return int(any(part.skipped.startswith("broke") for part in parts))


def _guarded(name: str, run: Callable[[], Part]) -> Part:
    print(f"{name} ...", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    try:
        part = run()
    except CommandFailed as error:
        part = Part(name, skipped=f"broke: {error}")
    part.details["seconds"] = round(time.perf_counter() - begin, 1)
    for figure in part.figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.met]
        print(f"  {figure.name}: {figure.value} {figure.unit} {mark} {figure.note}", file=sys.stderr, flush=True)
    return part


def _figures(parts: list[Part]) -> list[Figure]:
    return [figure for part in parts for figure in part.figures]


if __name__ == "__main__":
    sys.exit(main())

"""Formats: pages of PDF a second, Markdown to chunks, mixed small files a minute, peak memory of a large log and mailbox.

Run as a module it is the measured process itself: one that reads PDFs, one that cuts Markdown, or one that runs the files
and documents stages only. What a format's parser does well is measured nowhere here.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.corpus import LONG_AGO, settle, unpack
from tests.bench.figures import Figure, Part, load
from tests.bench.process import Measured, cortex, module
from tests.fuzz.makers import make

PAGES_PER_SECOND = 200.0
MARKDOWN_MB_PER_SECOND = 10.0
FILES_PER_MINUTE = 5_000.0
MEMORY_MB = 1_000.0
ROUNDS = 6
MIXED = (".md", ".txt", ".py", ".json", ".csv", ".html", ".yaml", ".docx", ".pdf", ".eml", ".ipynb", ".xlsx")
PDFS = ("pdf/009-pdflatex-geotopo", "demo_corpus/pdf")
STAGES = frozenset({"files", "documents"})
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """The speeds, and the memory of the files and documents stages."""
    part = Part("formats")
    _pdf_pages(scratch, asked, part)
    _markdown(scratch, asked, part)
    _mixed(scratch / "mixed", asked, part)
    _large(scratch, asked, part, "files and documents stages", _stages)
    return part


def whole(scratch: Path, asked: argparse.Namespace) -> Part:
    """The memory of ``cortex run`` to its end on the same large files, one run each."""
    part = Part("formats_whole")
    _large(scratch, asked, part, "whole run", lambda at: cortex(["run", "--json"], at, CORTEX_EMBED="hash"))
    return part


def _pdf_pages(scratch: Path, asked: argparse.Namespace, part: Part) -> None:
    """Born-digital reports through the sandbox, the best of six rounds."""
    paths = sorted(path for folder in PDFS for path in (asked.data / folder).glob("*.pdf"))
    if not paths:
        part.figures.append(Figure("PDF text", None, "pages/s", note="the shared PDFs are not there"))
        return
    found = module("tests.bench.formats", ["pdf", *map(str, paths)], scratch).json()
    note = f"{found['pages']} pages of {len(paths)} files, one child process; rounds {found['seconds']} s"
    part.figures.append(Figure("PDF text", found["rate"], "pages/s", PAGES_PER_SECOND, is_most=False, note=note))
    part.details["pdf"] = found


def _markdown(scratch: Path, asked: argparse.Namespace, part: Part) -> None:
    """The Markdown of the bench corpus, parsed and cut in one process with the packaged model's tokenizer."""
    corpus = unpack(scratch / "texts", asked.data, 200 if asked.quick else None)
    found = module("tests.bench.formats", ["markdown", str(corpus.folder)], scratch).json()
    note = (
        f"{found['megabytes']} MB in {found['files']} files by CPU time of one process, {found['cpu']} s; "
        f"by the clock parse {found['parse']} s, chunk {found['chunk']} s; load {load()[0]}"
    )
    figure = Figure(
        "Markdown to chunks, a core", found["rate"], "MB/s", MARKDOWN_MB_PER_SECOND, is_most=False, note=note
    )
    part.figures.append(figure)
    part.details["markdown"] = found


def _mixed(folder: Path, asked: argparse.Namespace, part: Part) -> None:
    """A tree of small files of twelve formats through ``cortex run``, all stages, with the hash embedder."""
    count = 240 if asked.quick else 5_000
    size = write_mixed(folder / "data" / "inbox" / "mixed", count)
    measured = cortex(["run", "--json"], folder, CORTEX_EMBED="hash")
    seconds = {line["stage"]: 0.0 for line in measured.json()["stages"]}
    for line in measured.json()["stages"]:
        seconds[line["stage"]] += line["seconds"]
    note = f"{count} files, {size / 1e6:.1f} MB, whole `cortex run`, hash embedder: {measured.seconds:.1f} s; load {measured.load[0]}"
    rate = count / measured.seconds * 60
    part.figures.append(Figure("mixed small files", rate, "files/min", FILES_PER_MINUTE, is_most=False, note=note))
    part.details["mixed"] = measured.brief() | {"stage seconds": seconds}


def _large(scratch: Path, asked: argparse.Namespace, part: Part, what: str, measure: Any) -> None:
    """Peak memory over the process tree: a log of 500 MB, a mailbox of 300 MB."""
    share = 0.04 if asked.quick else 1.0
    for name, write, megabytes in (("log", write_log, 500), ("mbox", write_mailbox, 300)):
        folder = scratch / name
        path = folder / "data" / "inbox" / name / f"large.{name}"
        size = write(path, int(share * megabytes * 1_000_000))
        measured: Measured = measure(folder)
        note = f"{size / 1e6:.0f} MB, {what}, {measured.seconds:.0f} s; PSS; RSS {measured.peak_rss_mb:.0f} MB"
        part.figures.append(Figure(f"peak memory of a {name}", measured.peak_mb, "MB", MEMORY_MB, note=note))
        part.details[name] = measured.brief()
        path.unlink()


def _stages(folder: Path) -> Measured:
    return module("tests.bench.formats", ["stages"], folder, CORTEX_DATA=str(folder / "data"), CORTEX_EMBED="hash")


def write_mixed(folder: Path, count: int) -> int:
    """Write small files of the formats in turn, 250 to a folder; returns the bytes."""
    total = 0
    for number in range(count):
        target = folder / f"{number // 250:03d}"
        target.mkdir(parents=True, exist_ok=True)
        suffix = MIXED[number % len(MIXED)]
        total += (target / f"file-{number:05d}{suffix}").write_bytes(make(suffix, number))
    settle(folder)
    return total


def write_log(path: Path, size: int) -> int:
    """Write a log of about ``size`` bytes; returns its bytes."""
    pick = random.Random(11)
    said = [make(".log", number).decode()[:110].replace("\n", " ") for number in range(500)]
    path.parent.mkdir(parents=True)
    total = first = 0
    with open(path, "w", encoding="utf-8") as stream:
        while total < size:
            lines = []
            for number in range(first, first + 5_000):
                level = "ERROR" if number % 97 == 0 else "INFO"
                at = f"2026-01-{number // 2_000_000 + 1:02d}T{number // 83_333 % 24:02d}:{number // 1_388 % 60:02d}"
                lines.append(f"{at} {level} worker-{number % 16} request={number:x} {pick.choice(said)}\n")
            total += stream.write("".join(lines))
            first += 5_000
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path.stat().st_size


def write_mailbox(path: Path, size: int) -> int:
    """Write a mailbox of about ``size`` bytes, each message with an id of its own; returns its bytes."""
    messages = [make(".eml", number).replace(b"\nFrom ", b"\n>From ") for number in range(200)]
    path.parent.mkdir(parents=True)
    total = number = 0
    with open(path, "wb") as stream:
        while total < size:
            number += 1
            message = messages[number % len(messages)].replace(b"Message-ID: <", b"Message-ID: <%d." % number)
            total += stream.write(b"From a@example.org Fri Jan  2 09:00:00 2026\n" + message + b"\n\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path.stat().st_size


def _read_pdfs(paths: list[str]) -> dict[str, Any]:
    """In the measured process: every PDF the whole way to rows, six times, after one that warms up."""
    from resources.sandbox import Sandbox
    from tests.produced import produce

    seconds: list[float] = []
    with Sandbox() as sandbox:
        produce(Path(paths[-1]), sandbox)
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            produced = [produce(Path(path), sandbox) for path in paths]
            seconds.append(round(time.perf_counter() - begin, 3))
    pages = sum(one.rows["page_count"].drop_nulls().first() or 0 for one in produced)
    return {"pages": pages, "seconds": seconds, "rate": pages / min(seconds)}


def _cut_markdown(folder: Path) -> dict[str, Any]:
    """In the measured process: parse every Markdown file and cut its rows, as the two stages do, the best of six rounds."""
    from resources.memory import loading
    from resources.settings import quiet_math_threads

    quiet_math_threads()
    with loading():  # as a run does
        import polars as pl

        from cortex_assets.chunks.derive import FRAME_DOCUMENTS
        from cortex_assets.chunks.rows import chunk_documents
        from cortex_assets.documents.derive import DocumentsCompute
        from inference.lanes import EngineConfig, load_tokenizer, space_of
        from inference.models import ModelPlaces

    places = ModelPlaces(folder / "models", folder / "cache")
    tokenizer, limit = load_tokenizer(EngineConfig(), places), space_of(EngineConfig(), places).max_tokens
    paths = sorted(folder.rglob("*.md"))
    rows = pl.DataFrame([_file_row(number, path) for number, path in enumerate(paths)])
    compute = DocumentsCompute(lambda row: nullcontext(Path(row["path"])), _no_sandbox)
    best: dict[str, Any] = {}
    for _ in range(ROUNDS):
        begin, cpu = time.perf_counter(), time.process_time()
        documents = pl.concat(output.frame for output in compute(rows))
        middle = time.perf_counter()
        chunks = sum(chunk_documents(part, tokenizer, limit).height for part in documents.iter_slices(FRAME_DOCUMENTS))
        end = time.perf_counter()
        found = {"parse": round(middle - begin, 3), "chunk": round(end - middle, 3)}
        found |= {"cpu": round(time.process_time() - cpu, 2), "chunks": chunks}
        best = min(best or found, found, key=lambda one: one["cpu"])
    megabytes = rows["size"].sum() / 1e6
    return best | {"files": len(paths), "megabytes": round(megabytes, 1), "rate": megabytes / best["cpu"]}


def _no_sandbox() -> Any:
    raise RuntimeError("Markdown is not parsed in a child process")


def _file_row(number: int, path: Path) -> dict[str, Any]:
    return {
        "file_id": f"{number:032x}",
        "corpus_id": "c" * 32,
        "shard": "bench",
        "path": str(path),
        "raw_path": None,
        "media_type": "text/markdown",
        "size": path.stat().st_size,
        "content_hash": "",
        "store": "reference",
        "modified_at": _WHEN,
    }


def _run_stages() -> dict[str, Any]:
    """In the measured process: the files and documents stages of every shard of the folder's lake."""
    from cortex_assets.house import House
    from resources.settings import load_settings

    with House.open(load_settings()) as house:
        shards = [shard for corpus in _prepared(house) for shard in corpus.shards]
        reports = [house.run_shard(shard, only=STAGES) for shard in shards]
    return {"shards": len(reports), "notes": [note for report in reports for note in report.notes]}


def _prepared(house: Any) -> Iterator[Any]:
    registry = house.sync_registry()
    for corpus in registry.corpora:
        yield house.prepare(corpus, registry)


def main(arguments: list[str]) -> None:
    """Measure one thing and print what was found as JSON."""
    kind, *rest = arguments
    if kind == "pdf":
        print(json.dumps(_read_pdfs(rest)))
    elif kind == "markdown":
        print(json.dumps(_cut_markdown(Path(rest[0]))))
    else:
        print(json.dumps(_run_stages()))


if __name__ == "__main__":
    main(sys.argv[1:])

"""F6: what makes a row is known by itself: an edit of a producer makes exactly the rows stale that depend on it.

Source edits are real ones: a copy of the packages is edited and asked, in a fresh process, what it thinks of the lake.
"""

import importlib.metadata
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from cortex_assets import workshop
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from tests.dagster.lake import PROJECT, Lake, note, notes

PACKAGES = ("apps", "cortex_assets", "inference", "resources", "sensors")
ASK = """
import json
from datetime import UTC, datetime
from apps.running import opened

with opened() as house:
    registry = house.sync_registry()
    found = {"documents": [], "chunks": [], "embeddings": [], "index": []}
    for corpus in registry.corpora:
        stages = house.workshop.stages(corpus, registry)
        for shard in corpus.shards:
            for stage in stages.maps:
                plan = stage.plan(shard, datetime.now(UTC))
                found[stage.name] += plan.todo["input_key"].to_list() + plan.orphaned
            found["embeddings"] += stages.embed.missing(shard)["embed_hash"].to_list()
            found["index"] += stages.index.wanted.pending(shard)[1]
    print(json.dumps(found))
"""
RUN = "from apps import actions; print(actions.run().failed)"
Edits = dict[str, tuple[str, str]]


def edited_copy(lake: Lake, name: str, edits: Edits) -> Path:
    """A copy of the project's packages with one text replaced in each of some files."""
    target = lake.root / name
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, (old, new) in edits.items():
        path = target / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))
    return target


def stale(lake: Lake, project: Path = PROJECT) -> dict[str, set[str]]:
    """What each stage would do anew by the source of ``project``: file paths, document paths, embed hashes, chunk ids."""
    found = json.loads(lake.fresh(ASK, project))
    documents = lake.table(DOCUMENTS)
    by_file = dict(documents.select("file_id", "path").iter_rows())
    by_document = dict(documents.select("document_id", "path").iter_rows())
    return {
        "documents": {by_file[key] for key in found["documents"]},
        "chunks": {by_document[key] for key in found["chunks"]},
        "embeddings": set(found["embeddings"]),
        "index": set(found["index"]),
    }


NOTHING: dict[str, set[str]] = {"documents": set(), "chunks": set(), "embeddings": set(), "index": set()}


@pytest.fixture
def varied(lake: Lake) -> Lake:
    """A lake with Markdown, plain text and code."""
    lake.drop_all(notes("notes", 2))
    lake.drop("notes/plain.txt", note(50))
    lake.drop("notes/tide.py", "def tide(hours):\n    return hours % 12\n")
    lake.run()
    assert set(lake.table(DOCUMENTS)["status"]) == {"ok"}
    return lake


@pytest.fixture
def with_pdf(varied: Lake) -> Lake:
    """The same lake with a PDF."""
    pdf = PROJECT / "data" / "sample" / "reports" / "annual-tide-report-2025.pdf"
    varied.drop("notes/report.pdf", pdf.read_bytes())
    varied.run()
    return varied


def test_comments_docstrings_locals_and_new_formats_make_nothing_stale(varied: Lake) -> None:
    copy = edited_copy(
        varied,
        "comments",
        {
            "cortex_assets/chunks/rows.py": ("def chunk_documents(", "# A remark.\n\n\ndef chunk_documents("),
            "cortex_assets/chunks/pack.py": ('"""Which units', '"""A remark. Which units'),
            "cortex_assets/documents/parsers/markdown.py": ('"""Markdown:', '"""Remark. Markdown:'),
            "cortex_assets/documents/registry.py": (
                'Route("rst",',
                'Route("roff", f"{_PARSERS}.text:parse_text", ("text/x-roff",)),\n    Route("rst",',
            ),
        },
    )
    assert stale(varied, copy) == NOTHING


def test_an_edit_of_the_pdf_parser_leaves_all_but_pdf_alone(with_pdf: Lake) -> None:
    """And an edit of how the index cuts words makes every point stale, and no row."""
    copy = edited_copy(
        with_pdf,
        "pdf",
        {
            "cortex_assets/documents/parsers/pdf.py": ("MAX_PAGES = 100_000", "MAX_PAGES = 100_001"),
            "cortex_assets/retrieval/words.py": ("_LONGEST_REMEMBERED = 80", "_LONGEST_REMEMBERED = 81"),
        },
    )
    found = stale(with_pdf, copy)
    assert found["documents"] == {"report.pdf"}
    assert found["chunks"] == set()
    assert found["embeddings"] == set()
    assert found["index"] == set(with_pdf.table(CHUNKS)["chunk_id"])


def test_an_edit_of_the_chunker_goes_all_the_way_and_back(varied: Lake) -> None:
    before = varied.image()
    copy = edited_copy(
        varied,
        "chunker",
        {"cortex_assets/chunks/split.py": ("limit // 8)", "limit // 8) - limit // 2")},
    )
    everything = set(varied.table(DOCUMENTS)["path"])
    found = stale(varied, copy)
    assert found["chunks"] == everything
    assert found["documents"] == set()

    assert varied.fresh(RUN, copy).strip() == "0"
    smaller = varied.image()
    assert smaller.rows["bronze/documents"] == before.rows["bronze/documents"]
    assert len(smaller.rows["silver/chunks"]) > len(before.rows["silver/chunks"])
    assert set(smaller.points["notes"]) == set(smaller.rows["silver/chunks"])
    assert stale(varied, copy) == NOTHING

    again = stale(varied)
    assert again["chunks"] == everything
    varied.run()
    after = varied.image()
    assert after.rows["silver/chunks"] == before.rows["silver/chunks"]
    assert after.points == before.points


def test_a_parser_edit_with_the_same_output_stops_there(varied: Lake) -> None:
    """Early cut-off: documents are made again and come out the same, so nothing downstream moves."""
    copy = edited_copy(varied, "cutoff", {"cortex_assets/documents/parse.py": ("FRAME_ROWS = 512", "FRAME_ROWS = 511")})
    before = varied.image()
    assert stale(varied, copy)["documents"] == set(varied.table(DOCUMENTS)["path"])
    varied.fresh(RUN, copy)
    after = varied.image()
    assert after.content == before.content
    for table in ("bronze/documents", "silver/chunks", "silver/embeddings"):
        assert after.versions[table] == before.versions[table], table
    assert after.generations == before.generations


def test_a_packages_version_makes_its_documents_stale(with_pdf: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "999" if name == "pypdfium2" else real(name))
    line = with_pdf.planned("documents")
    assert (line.new, line.stale, line.orphaned, line.is_exact) == (0, 1, 0, True)
    _, work = with_pdf.run_counted()
    assert with_pdf.counts.parsed == ["report.pdf"]
    assert work["embedded"] == 0
    assert with_pdf.plan().is_empty


def test_a_setting_makes_what_reads_it_stale(varied: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = workshop.chunks_derivation
    monkeypatch.setattr(workshop, "chunks_derivation", lambda name, limit: real(name, limit + 1))
    plan = {line.stage: line for line in varied.plan().lines}
    documents = varied.table(DOCUMENTS).height
    assert (plan["documents"].stale, plan["chunks"].stale) == (0, documents)
    _, work = varied.run_counted()
    assert work["parsed"] == 0
    assert work["chunked"] == documents
    assert work["embedded"] == 0
    assert varied.plan().is_empty


def test_another_digest_of_the_model_embeds_everything_anew_and_search_follows(
    varied: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference.engines import hash_embedder

    texts = varied.table(CHUNKS)["embed_hash"].n_unique()
    before = varied.found("tide hours")
    monkeypatch.setattr(hash_embedder, "_VERSION", "another one")
    response = varied.search("tide hours")
    assert "by words only" in " ".join(response.notes), "vectors of two models must not be compared"
    assert response.hits
    _, work = varied.run_counted()
    assert work["parsed"] == 0
    assert work["embedded"] == texts
    assert varied.found("tide hours") == before
    assert set(varied.points()["notes"]) == set(varied.table(CHUNKS)["chunk_id"])
    varied.delete("notes/note-001.md")
    varied.run()
    assert "note-001.md" not in varied.found("Note 1", 100)
    varied.assert_sound()
    assert varied.plan().is_empty


def test_only_the_embedders_texts_count_not_the_rows_around_them(varied: Lake) -> None:
    """A new path is new rows and points, and no new vector."""
    varied.move("notes/plain.txt", "notes/deep/renamed.txt")
    _, work = varied.run_counted()
    assert work["embedded"] == 0
    paths = varied.table(DOCUMENTS).filter(pl.col("path").str.contains("renamed"))["path"].to_list()
    assert paths == ["deep/renamed.txt"]

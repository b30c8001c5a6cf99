"""Files as they come: odd names, links, special files, empty, too large, and one so large that it is cut into parts."""

import os
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from tests.dagster.lake import Lake, note, paragraph, stage_counts

ODD = [
    b"line\nbreak.md",
    b'quote\'s and "double".md',
    b"latin-\xe9\xff.md",
    b"..dots.md",
    b"...",
    b"a..b.md",
    b"-dash.md",
    b"star*question?[x].md",
    b"back\\slash.md",
    b"per%20cent; DROP TABLE.md",
    "emoji 🌊 é.md".encode(),
    b" space .md",
    b"tab\tand\x01control.md",
    b"$HOME `id`.md",
    b"n" * 250 + b".md",
    "e\u0301 decomposed.md".encode(),
    "é decomposed.md".encode(),
]
RARE = "The zanzibar chronometer stopped at dawn.\n"


@pytest.fixture
def odd(lake: Lake) -> Lake:
    """A note under each odd name, and one in a folder of such a name."""
    (lake.inbox / "notes").mkdir()
    for number, name in enumerate([*ODD, b"fold\xe9r\n/in.md"]):
        lake.drop(b"notes/" + name, f"# N{number}\n\nThe word{number}word stands here alone.\n")
    lake.run()
    return lake


def raw_paths(lake: Lake) -> set[bytes]:
    rows = lake.table(FILES).select("path", "raw_path").iter_rows()
    return {path.encode() if raw is None else bytes(raw) for path, raw in rows}


def test_any_name_that_a_disk_takes_is_taken_found_and_let_go(odd: Lake) -> None:
    names = [*ODD, b"fold\xe9r\n/in.md"]
    assert raw_paths(odd) == set(names)
    assert set(odd.table(DOCUMENTS)["status"]) == {"ok"}
    for number, name in enumerate(names):
        hit = odd.search(f"word{number}word").hits[0]
        assert f"word{number}word" in hit.snippet, name
        assert hit.citation == "exact", name
    assert odd.plan().is_empty
    before = odd.image()
    odd.run()
    assert odd.image().content == before.content
    odd.assert_sound()
    for name in names:
        odd.drop(b"notes/" + name, "Another text altogether.\n")
    report, _ = odd.run_counted()
    assert stage_counts(report, "files") == (0, len(names), 0)
    odd.delete(*(b"notes/" + name for name in names[2:]))
    odd.drop("notes/stays.md", RARE)
    odd.run()
    assert raw_paths(odd) == {*names[:2], b"stays.md"}
    odd.assert_sound()


def test_no_name_reaches_a_terminal_or_a_table_as_it_is(odd: Lake) -> None:
    for hit in odd.search("word12word").hits:
        assert not set(hit.path) & {"\x01", "\n", "\x1b"}
    out = odd.cli("search", "word12word")
    assert out.returncode == 0, out.stderr
    assert "\x01" not in out.stdout


def test_links_that_lead_out_are_ignored_and_those_inside_are_files(lake: Lake) -> None:
    secret = lake.root / "secret"
    secret.mkdir()
    (secret / "key.md").write_text("The forbidden password is swordfish.\n")
    lake.drop("notes/real.md", RARE)
    folder = lake.path("notes")
    (folder / "out.md").symlink_to(secret / "key.md")
    (folder / "relative.md").symlink_to("../../../secret/key.md")
    (folder / "outdir").symlink_to(secret)
    (folder / "inside.md").symlink_to("real.md")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "nowhere.md").symlink_to("missing.md")
    (folder / "self").symlink_to(".")
    os.mkfifo(folder / "pipe.md")
    lake.run()
    assert set(lake.table(FILES)["path"]) == {"real.md", "inside.md"}
    assert "swordfish" not in "".join(lake.table(DOCUMENTS)["text"])
    lake.assert_sound()


def test_a_file_replaced_by_a_link_out_after_the_listing_is_not_followed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cortex_assets.engine import reading

    secret = lake.root / "secret.md"
    secret.write_text("The forbidden password is swordfish.\n")
    victim = lake.drop("notes/victim.md", "x" * secret.stat().st_size)
    real = reading.open_inside

    def swap(root: bytes, path: bytes) -> int:
        if not victim.is_symlink():
            victim.unlink()
            victim.symlink_to(secret)
        return real(root, path)

    monkeypatch.setattr(reading, "open_inside", swap)
    lake.run()
    assert lake.table(FILES).height == 0
    assert not any(b"swordfish" in path.read_bytes() for path in lake.settings.raw.rglob("*") if path.is_file())


def test_a_file_above_the_limit_is_a_row_that_says_so(lake: Lake) -> None:
    lake.set("CORTEX_MAX_FILE", "2000")
    lake.drop("notes/small.md", note(1))
    lake.drop("notes/large.md", RARE * 100)
    _, work = lake.run_counted()
    rows = {row["path"]: row for row in lake.table(FILES).to_dicts()}
    assert rows["large.md"]["status"] == "too_large"
    assert "2000" in rows["large.md"]["reason"]
    assert lake.counts.parsed == ["small.md"]
    assert work["parsed"] == 1
    assert lake.plan().is_empty
    lake.drop("notes/large.md", RARE)
    lake.run()
    assert lake.found("zanzibar chronometer")[0] == "large.md"
    lake.drop("notes/large.md", RARE * 100)
    lake.run()
    assert set(lake.table(DOCUMENTS)["path"]) == {"small.md"}
    assert "large.md" not in lake.found("zanzibar chronometer")
    lake.set("CORTEX_MAX_FILE", "1MB")
    lake.run()
    assert lake.found("zanzibar chronometer")[0] == "large.md"
    lake.assert_sound()


def test_an_empty_file_is_a_row_and_nothing_to_find(lake: Lake) -> None:
    lake.drop("notes/empty.md", b"")
    lake.drop("notes/blank.txt", " \n\n\t\n")
    lake.drop("notes/full.md", RARE)
    report = lake.run()
    assert report.failed == 0
    statuses = dict(lake.table(DOCUMENTS).select("path", "status").iter_rows())
    assert statuses == {"empty.md": "empty", "blank.txt": "empty", "full.md": "ok"}
    assert lake.table(CHUNKS).height == 1
    assert lake.plan().is_empty
    lake.drop("notes/empty.md", RARE.replace("zanzibar", "ptarmigan"))
    lake.drop("notes/full.md", b"")
    lake.run()
    assert "ptarmigan" in lake.search("ptarmigan chronometer").hits[0].snippet
    assert "zanzibar" not in "".join(lake.table(CHUNKS)["text"])
    lake.assert_sound()


def test_a_large_file_is_cut_into_parts_that_are_its_text(lake: Lake) -> None:
    blocks = [f"## Section {number}\n\n{paragraph(number, 12)}\n\n" for number in range(9_000)]
    text = "".join(blocks)
    assert len(text) > 8_500_000
    lake.drop("notes/huge.md", text)
    lake.drop("notes/small.md", RARE)
    lake.run_stages("notes", "files", "documents")
    documents = lake.table(DOCUMENTS).filter(pl.col("path") == "huge.md").sort("inner")
    assert documents.height >= 3
    assert documents["document_id"].is_unique().all()
    assert documents["char_count"].max() <= 4 * 1024 * 1024
    parts = sorted(documents["text"].to_list(), key=text.index)
    assert "".join(parts) == text
    assert all(part.startswith("## Section") for part in parts), "cut at structure"
    first = dict(documents.select("document_id", "row_hash").iter_rows())

    lake.drop("notes/huge.md", text.replace("## Section 8999\n", "## Section 8999 edited\n"))
    report = lake.run_stages("notes", "files", "documents")
    assert report.stages["documents"].changed == 1
    edited = dict(
        lake.table(DOCUMENTS).filter(pl.col("path") == "huge.md").select("document_id", "row_hash").iter_rows()
    )
    assert edited.keys() == first.keys()
    assert sum(edited[key] != first[key] for key in first) == 1, "the other parts' rows are as they were"

    lake.drop("notes/huge.md", "".join(blocks[:10]))
    lake.run_stages("notes", "files", "documents")
    assert lake.table(DOCUMENTS).filter(pl.col("path") == "huge.md").height == 1
    lake.delete("notes/huge.md")
    lake.run()
    assert lake.table(DOCUMENTS)["path"].to_list() == ["small.md"]
    lake.assert_sound()


def test_a_folder_in_place_of_a_file_and_back(lake: Lake) -> None:
    lake.drop("notes/thing", RARE)
    lake.run()
    lake.delete("notes/thing")
    lake.drop(Path("notes/thing/inner.md"), RARE)
    _, work = lake.run_counted()
    assert set(lake.table(FILES)["path"]) == {"thing/inner.md"}
    assert work["embedded"] == 0
    lake.delete("notes/thing")
    lake.drop("notes/thing", RARE)
    lake.run()
    assert set(lake.table(FILES)["path"]) == {"thing"}
    lake.assert_sound()

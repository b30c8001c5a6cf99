"""F34: a key that is planted in a source is in no table, index, cache, log or reason; and a password in an address is refused."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from apps import actions, reader
from apps.errors import CommandError, explain
from apps.reports import AddOptions
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.corpora.sources import Source
from cortex_assets.documents.model import Structure
from cortex_assets.documents.parsers import text as text_parser
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.documents.secret_checks import MASK
from cortex_assets.documents.spans import secret_spans
from cortex_assets.engine.withheld import DUE
from cortex_assets.house import House
from cortex_assets.ops.schema import SECRET_COUNTS
from tests.dagster import planted
from tests.dagster.lake import Lake, note


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake over the planted sources, after its first run."""
    lake.drop_all(planted.sources())
    assert not lake.run().errors
    return lake


def document(lake: Lake, path: str) -> dict[str, object]:
    """The row of a file's only document."""
    return lake.table(DOCUMENTS).row(by_predicate=pl.col("path") == path, named=True)


def stored_bytes(lake: Lake) -> set[str]:
    """Hashes that the raw store holds."""
    return {path.name for path in lake.settings.raw.rglob("*") if path.is_file()}


def test_a_planted_key_is_nowhere(filled: Lake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        filled.drop("notes/more.md", f"# More\n\nAlso {planted.STRIPE} here.\n")
        filled.run()
    assert list(planted.leaks(filled.settings.data_dir, planted.VALUES, ("inbox",))) == []
    assert not any(value in caplog.text for value in planted.VALUES)
    assert filled.cli("status", "--json").stdout.count(planted.GITHUB) == 0
    with filled.house() as house:
        for corpus in house.register.corpora():
            assert house.store.real_points(corpus.space_id, "notes").height == len(filled.table(CHUNKS))
    assert filled.found("nothing of value about lanterns")[0] == "plain.md"
    for value in planted.VALUES:
        for hit in filled.search(value).hits:
            assert value not in str(hit)
    filled.assert_sound()


def test_the_look_sees_what_is_not_masked(lake: Lake) -> None:
    for name, content in planted.sources().items():
        lake.drop(lake.root / name, content)
    declare(lake, lake.root / "notes", "  secrets: keep\n")
    lake.run()
    seen = list(planted.leaks(lake.settings.data_dir, planted.VALUES, ("inbox",)))
    for place in ("lake/bronze/documents", "lake/silver/chunks", "index/"):
        assert any(leak.startswith(place) for leak in seen), place
    assert {leak.rpartition(": ")[2] for leak in seen} == {value[:9].lower() for value in planted.VALUES}


def declare(lake: Lake, folder: Path, settings: str) -> None:
    """Declare a folder with further settings."""
    text = f"corpora:\n- name: code\n  path: {folder}\n{settings}"
    lake.settings.sources_file.write_text(text, encoding="utf-8")


def test_offsets_lines_and_structure_are_those_of_the_source(filled: Lake) -> None:
    source = planted.sources()["notes/access.md"].decode()
    row = document(filled, "access.md")
    text = str(row["text"])
    assert len(text) == len(source)
    assert [len(line) for line in text.splitlines()] == [len(line) for line in source.splitlines()]
    assert all(mine in (theirs, MASK) for mine, theirs in zip(text, source, strict=True))
    (heading,) = Structure.from_json(str(row["structure"])).headings
    assert text[heading.start :].startswith(f"# {heading.title}") and MASK in heading.title
    for chunk in filled.table(CHUNKS).filter(pl.col("document_id") == row["document_id"]).iter_rows(named=True):
        assert text[chunk["start_char"] : chunk["end_char"]] == chunk["text"]


def test_findings_say_where_and_counts_how_many(filled: Lake) -> None:
    spans = secret_spans(filled.table(DOCUMENTS).lazy()).collect()
    found = {(row["path"], row["rule"], row["place"]) for row in spans.iter_rows(named=True)}
    assert {
        ("access.md", "github-token", "text"),
        ("access.md", "private-key", "text"),
        ("deploy.py", "assigned-secret", "text"),
        ("service.json", "stripe-key", "text"),
        (".env", "aws-access-key", "text"),
        ("scan.pdf", "aws-access-key", "text"),
        ("letter.docx", "github-token", "text"),
        ("mail.txt", "url-password", "text"),
        ("page.html", "gitlab-token", "title"),
        ("page.html", "url-password", "link"),
    } <= found
    assert "plain.md" not in {path for path, _, _ in found}
    (key,) = spans.filter((pl.col("path") == "access.md") & (pl.col("rule") == "private-key")).rows(named=True)
    source = planted.sources()["notes/access.md"].decode()
    assert planted.KEY_LINES[0] in source[key["start_char"] : key["end_char"]]
    assert source.splitlines()[key["line"] - 1].startswith("-----BEGIN")
    counts = filled.table(SECRET_COUNTS)
    assert counts["found"].sum() == spans.height and counts["is_masked"].all()
    assert set(counts["rule"]) == set(spans["rule"])
    again = filled.run()
    assert filled.table(SECRET_COUNTS).equals(counts) and not again.errors


def test_a_reason_and_a_ledger_quote_no_key(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: object) -> object:
        raise ValueError(f"bad token {planted.IN_REASON} in line 1")

    monkeypatch.setattr(text_parser, "parse_text", broken)
    lake.drop("notes/bad.txt", "anything\n")
    lake.run()
    (reason,) = lake.ledger("documents")["reason"].to_list()
    assert "(bad token " + MASK in reason and planted.IN_REASON not in reason
    assert document(lake, "bad.txt")["reason"] == reason
    assert list(planted.leaks(lake.settings.data_dir, [planted.IN_REASON], ("inbox",))) == []


def test_the_settings_of_a_corpus_parse_its_files_again(lake: Lake) -> None:
    folder = lake.root / "code"
    lake.drop(folder / "a.md", f"# A\n\nUse {planted.GITHUB} and write to ada@example.net today.\n")
    lake.drop("notes/b.md", note(1))
    declare(lake, folder, "")
    lake.run()
    assert planted.GITHUB not in str(document(lake, "a.md")["text"])
    for settings, shown in (
        ("  secrets: keep\n", (True, True)),
        ("  personal_data: mask\n", (False, False)),
        ("  allow: [github-token]\n", (True, True)),
        (f"  allow: ['^{planted.GITHUB[:8]}']\n", (True, True)),
        ("", (False, True)),
    ):
        declare(lake, folder, settings)
        _, work = lake.run_counted()
        assert work["parsed"] == 1, settings
        text = str(document(lake, "a.md")["text"])
        assert (planted.GITHUB in text, "ada@example.net" in text) == shown, settings
    lake.assert_sound()


# -- raw bytes ---------------------------------------------------------------------------------------------------------


def test_bytes_with_secrets_are_not_kept_and_nothing_misses_them(filled: Lake) -> None:
    files = filled.table(FILES).sort("path")
    plain = files.filter(pl.col("path") == "plain.md")["content_hash"].item()
    assert stored_bytes(filled) == {plain}
    assert set(files["store"]) == {"raw"}
    before = filled.image()
    filled.assert_sound()
    assert actions.verify(repair=True).is_sound
    assert stored_bytes(filled) == {plain}
    assert filled.image().content == before.content


def test_a_file_with_secrets_is_parsed_again_from_its_place(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["access.md"])
    _, work = filled.run_counted()
    assert work["parsed"] == 1
    assert document(filled, "access.md")["status"] == "ok"
    filled.assert_sound()


def test_touched_files_do_not_come_back_into_the_store(filled: Lake) -> None:
    kept = stored_bytes(filled)
    for name, content in planted.sources().items():
        filled.drop(name, content)
    filled.run()
    assert stored_bytes(filled) == kept


def test_a_run_that_is_cut_off_leaves_the_bytes_to_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(planted.sources())

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(House, "_after_findings", stopped)
        with pytest.raises(KeyboardInterrupt):
            lake.run()
    assert len(stored_bytes(lake)) == len(planted.sources())
    with lake.house() as house:
        assert house.state.meta("withheld:notes") == DUE
    lake.run()
    assert len(stored_bytes(lake)) == 1
    lake.settings.cache.joinpath("state.sqlite").unlink()
    lake.run()
    assert len(stored_bytes(lake)) == 1
    lake.assert_sound()


def test_bytes_stay_where_a_corpus_asks_for_them_or_another_file_needs_them(lake: Lake) -> None:
    content = planted.sources()["notes/access.md"]
    lake.drop(lake.root / "stick" / "access.md", content)
    lake.add(lake.root / "stick", "stick", AddOptions(copies_raw=True))
    lake.drop("notes/access.md", content)
    lake.run()
    assert len(stored_bytes(lake)) == 1
    assert planted.GITHUB not in str(lake.table(DOCUMENTS)["text"].to_list())
    lake.assert_sound()


HIDDEN = {
    "comment.html": f"<html><body><h1>Page</h1><!-- {planted.GITHUB} --><p>Words.</p></body></html>".encode(),
    "script.html": f"<html><body><p>Words.</p><script>let key = '{planted.STRIPE}'</script></body></html>".encode(),
    "wide.html": f"<html><body><!-- {planted.GITHUB} --><p>Words.</p></body></html>".encode("utf-16"),
    "output.ipynb": json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "source": "show()",
                    "metadata": {},
                    "outputs": [{"output_type": "display_data", "data": {"text/html": f"<b>{planted.GITHUB}</b>"}}],
                }
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    ).encode(),
    "film.srt": f"1\n00:00:01,000 --> 00:00:02,000\n{{\\an8 {planted.GITHUB} }}Words.\n".encode(),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_a_parser_leaves_out_is_searched_in_the_bytes(lake: Lake, name: str) -> None:
    lake.drop(f"notes/{name}", HIDDEN[name])
    lake.drop("notes/plain.html", "<html><body><!-- nothing --><p>Words.</p></body></html>")
    lake.run()
    row = document(lake, name)
    assert row["status"] == "ok"
    assert [finding["rule"].partition("-")[0] for finding in row["findings"]] in (["github"], ["stripe"])
    assert len(stored_bytes(lake)) == 1
    assert list(planted.leaks(lake.settings.data_dir, planted.VALUES, ("inbox",))) == []
    lake.assert_sound()


def test_explain_tells_a_finding_in_the_bytes_from_one_that_is_masked(lake: Lake) -> None:
    lake.drop("notes/comment.html", HIDDEN["comment.html"])
    lake.drop("notes/access.md", planted.sources()["notes/access.md"])
    lake.run()
    (finding,) = document(lake, "comment.html")["findings"]
    assert finding == {"rule": "github-token", "place": "bytes", "line": None, "start_char": None, "end_char": None}
    told = lake.cli("explain", "notes/comment.html").stdout
    assert "found in the bytes only" in told and "1 github-token" in told and "masked" not in told
    assert "masked" in lake.cli("explain", "notes/access.md").stdout


def test_a_file_that_could_not_be_parsed_is_searched_in_its_bytes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: object) -> object:
        raise ValueError("broken")

    monkeypatch.setattr(text_parser, "parse_text", broken)
    lake.drop("notes/bad.txt", f"Use {planted.GITHUB} for now.\n")
    lake.run()
    row = document(lake, "bad.txt")
    assert row["status"] == "failed"
    assert [(finding["rule"], finding["place"]) for finding in row["findings"]] == [("github-token", "bytes")]
    assert stored_bytes(lake) == set()


def test_a_run_removes_what_a_killed_one_left_on_its_way_into_the_store(lake: Lake) -> None:
    incoming = lake.settings.raw / ".incoming"
    incoming.mkdir(parents=True)
    for name in ("17-00ff-1", "17-00ff-lock"):
        (incoming / name).write_bytes(planted.GITHUB.encode())
    lake.drop("notes/plain.md", note(1))
    lake.run()
    assert list(incoming.iterdir()) == []


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_add_refuses_a_password(lake: Lake) -> None:
    with pytest.raises(CommandError) as raised:
        actions.preview_add("https://ada:s3cret@example.invalid/x.git")
    assert "s3cret" not in json.dumps(explain(raised.value).to_dict())
    with pytest.raises(CommandError, match="https://, ssh://"):
        actions.preview_add("http://example.invalid/x.git")


def test_status_shows_none_that_is_registered_already(lake: Lake) -> None:
    with lake.house() as house:
        corpus = house.register.add(Source("x", "git", "https://example.invalid/x.git"), "added")
        secret = replace(corpus.source, uri="https://ada:s3cret@example.invalid/x.git")
        house.register.save(replace(corpus, source=secret))
    assert [line.uri for line in reader.status().corpora if line.name == "x"] == ["https://example.invalid/x.git"]
    assert not any("s3cret" in error for error in lake.run("x").errors)

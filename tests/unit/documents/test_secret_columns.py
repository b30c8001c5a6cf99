"""Cells of columns for secrets: masked in every kind of table, and nothing else of it."""

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents.model import Block, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.data import parse_csv
from cortex_assets.documents.parsers.markdown import parse_markdown
from cortex_assets.documents.parsers.sqlite import parse_sqlite
from cortex_assets.documents.redact import Redaction, redacted
from cortex_assets.documents.secret_checks import MASK
from cortex_assets.documents.secret_columns import COLUMN_RULE, find_in_columns, joined
from cortex_assets.documents.secrets import Finding

PASSWORD, TOKEN = "rock&Roll7", "k9Xz77QwTr4Lm2"


def found(document: ParsedDocument) -> list[str]:
    """Values, as they stand in the text."""
    return [document.text[finding.start : finding.end] for finding in find_in_columns(document)]


def csv(text: str) -> ParsedDocument:
    """A document of CSV."""
    content = text.encode()
    return next(parse_csv(ParseInput(io.BytesIO(content), len(content), "a.csv", "text/csv")))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["password", "Password", "db_password", "user.passwd", "pwd", "passwords"])
def test_passwords_of_csv(mark: str, name: str) -> None:
    lines = [
        ["user", name, "city"],
        ["ada", PASSWORD, "Rome-7"],
        ["eve", '"a ""b"""', "x9"],
        ["bob", '"zQ7,;\nk9"', "y"],
    ]
    text = "\r\n".join(mark.join(line) for line in lines)
    assert found(csv(text)) == [PASSWORD]
    assert found(csv(text.replace("zQ7,;\nk9", "zQ7,;k9"))) == [PASSWORD, "zQ7,;k9"]


@pytest.mark.parametrize("name", ["token", "api_key", "API key", "client secret", "access-key"])
def test_tokens_of_csv(name: str) -> None:
    assert found(csv(f"id,{name}\n1,{TOKEN}\n2,\n3,mid-1990s\n4,don't\n5,plain\n")) == [TOKEN]


@pytest.mark.parametrize(
    "text",
    [
        "token,tag\nU.S.,NNP\ndon't,VB\n2nd,JJ\nmid-1990s,NN\nsecond-hand,JJ\n",
        "user,password\nada,changeme\neve,${VAR}\nbob,yes\nkim,******\nlee,not given\n",
        "user,password_changed,key\nada,2026-11-28T10,a9b8c7\n",
        "a line about a password, and one more\nthis is prose7, and so is this9\n",
        "password\nhunter2x\n",
    ],
)
def test_words_placeholders_and_other_columns_are_left(text: str) -> None:
    assert found(csv(text)) == []


def test_tables_of_bars() -> None:
    text = f"# Logins\n\n| user | **Password** |\n| --- | --- |\n| ada | {PASSWORD} |\n| eve | `zQ7\\|k9x` |\n\nafter\n"
    content = text.encode()
    document = next(parse_markdown(ParseInput(io.BytesIO(content), len(content), "a.md", "text/markdown")))
    assert found(document) == [PASSWORD, "`zQ7\\|k9x`"]
    sheet = f"| Logins | |\n| user | pwd |\n| ada | {PASSWORD} |"
    assert found(ParsedDocument(sheet, "sheet", structure=Structure(blocks=(Block("table", 0, len(sheet)),)))) == [
        PASSWORD
    ]


def test_a_database_with_the_profile_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE users (name TEXT, password TEXT, api_key TEXT)")
    base.executemany("INSERT INTO users VALUES (?, ?, ?)", [("ada", PASSWORD, TOKEN), ("eve", "zQ7,k9x", "")])
    base.commit()
    base.close()
    with path.open("rb") as stream:
        source = ParseInput(stream, path.stat().st_size, "a.sqlite", "application/vnd.sqlite3")
        documents = [one for one in parse_sqlite(source) if isinstance(one, ParsedDocument)]
    for result in redacted(documents, Redaction()):
        for value in (PASSWORD, TOKEN, "zQ7,k9x"):
            assert value not in repr(result)
        assert "ada" in result.document.text


def test_what_a_corpus_allows() -> None:
    document = csv(f"user,password\nada,{PASSWORD}\n")
    (masked,) = redacted([document], Redaction())
    assert masked.document.text == document.text.replace(PASSWORD, MASK * len(PASSWORD))
    assert [finding["rule"] for finding in masked.findings] == [COLUMN_RULE]
    for allow in (COLUMN_RULE, "^rock"):
        assert redacted([document], Redaction(allow=(allow,)))[0].document.text == document.text


def test_two_findings_of_one_place_are_one() -> None:
    cell = Finding(COLUMN_RULE, 3, 9)
    assert joined([Finding("github-token", 4, 12)], [cell]) == [Finding("github-token", 3, 12)]
    assert joined([Finding("github-token", 10, 12)], [cell]) == [cell, Finding("github-token", 10, 12)]


def _cells() -> Iterator[str]:
    yield from ("ada", PASSWORD, "", '"quoted, cell"', "| bars |", "\u00e9\U0001f511", '"open')


@given(st.lists(st.lists(st.sampled_from(list(_cells())), max_size=4), max_size=8))
def test_any_table_ends_and_every_cell_is_within_the_text(rows: list[list[str]]) -> None:
    text = "\n".join(["user,password,city", *(",".join(row) for row in rows)])
    for finding in find_in_columns(csv(text)):
        assert "\n" not in text[finding.start : finding.end] and 0 <= finding.start < finding.end <= len(text)

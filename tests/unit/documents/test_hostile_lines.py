"""Text made to let a pattern try again and again: recognized and parsed in well under a second.

Text is parsed in process, where nothing but the pattern itself can end a match.
"""

import io
import time

import pytest

from cortex_assets.documents.content_lines import ContentLine
from cortex_assets.documents.model import ParseInput
from cortex_assets.documents.parsers.code import parse_code
from cortex_assets.documents.parsers.data import parse_ini, parse_json, parse_toml
from cortex_assets.documents.parsers.markdown import parse_markdown
from cortex_assets.documents.parsers.markup import parse_asciidoc, parse_mediawiki, parse_org, parse_textile
from cortex_assets.documents.parsers.text import parse_rst
from cortex_assets.media.detect import media_type

SECONDS = 1.0
LONG = 50_000


@pytest.mark.parametrize(
    "head",
    [
        b"name: x\n" + b"    indented\n" * 40 + b"end",
        b"name: x\n" + b"  \t  a\n" * 400 + b"\f",
        b"<!---->" * 300 + b"x",
        b"<!-- -->\n \n" * 300 + b"<p>",
        b"From me 10:30\n" + b"From \n" * 2000,
        b" " * 4096,
        b"#!" + b"A" * 16_000,
        b"#!/" + b" A" * 8_000,
        b"BEGIN:VCARD" + b" " * 4000,
    ],
)
def test_what_a_file_is_is_told_at_once(head: bytes) -> None:
    begin = time.perf_counter()
    assert media_type(head, head, "notes", len(head))
    assert time.perf_counter() - begin < SECONDS + 1.5, "the first call loads a model"
    begin = time.perf_counter()
    media_type(head, head, "notes", len(head))
    assert time.perf_counter() - begin < SECONDS


@pytest.mark.parametrize(
    ("parse", "line"),
    [
        (parse_markdown, "-" + " " * LONG + "x"),
        (parse_markdown, "| -" + " " * LONG + "| x"),
        (parse_markdown, "|-" * LONG + "x"),
        (parse_markdown, "# a" + " " * LONG + "x"),
        (parse_markdown, "# a" + " #" * LONG + "x"),
        (parse_org, "* a" + " " * LONG + "x"),
        (parse_org, "* " + " :a" * LONG + "x"),
        (parse_org, "#+title:" + " " * LONG + "x"),
        (parse_mediawiki, "= a" + " " * LONG + "x"),
        (parse_mediawiki, "= a" + " =" * LONG + " x"),
        (parse_textile, "h1" + "<" * LONG + "x"),
        (parse_textile, "h1. a" + " " * LONG + "\0"),
        (parse_asciidoc, "= a" + " " * LONG + "x"),
        (parse_rst, "Title: a" + " " * LONG + "x"),
        (parse_rst, "A: b\nTitle: a" + " " * LONG + "x\n\n"),
        (parse_asciidoc, "a\n===" + " " * LONG + "x"),
        (parse_toml, "[ " + " " * LONG + "x"),
        (parse_ini, "[ " + " " * LONG + "x"),
        (parse_json, '"\\\\\\' * LONG),
        (parse_code, "\n" * LONG),
        (parse_asciidoc, "= a" + " =" * LONG + "x"),
    ],
)
def test_a_line_is_read_once(parse, line) -> None:
    raw = f"{'{' if parse is parse_json else ''}# Title\n\n{line}\n\nend\n".encode()
    begin = time.perf_counter()
    documents = list(parse(ParseInput(io.BytesIO(raw), len(raw), "notes.h", "text/x-c")))
    assert time.perf_counter() - begin < SECONDS
    assert "".join(document.text for document in documents) == raw.decode()


def test_a_structured_value_of_backslashes_is_read_once() -> None:
    begin = time.perf_counter()
    assert len(ContentLine("N", "a\\\\\\" * LONG).fields) == 1
    assert time.perf_counter() - begin < SECONDS


@pytest.mark.parametrize(
    ("parse", "text", "titles"),
    [
        (parse_org, "* TODO [#A] Plan the year   :work:home:  \n** Next\n*** :only:\n", ["Plan the year", "Next"]),
        (parse_org, "* About :sym: and more\r\n", ["About :sym: and more"]),
        (parse_asciidoc, "= One =\n== Two  == \r\n=== C = D\nFour\n----\n", ["One", "Two", "C = D", "Four"]),
        (parse_toml, "[ a.b ]\n[[c]] # d\nf = 1\n", ["a.b", "c"]),
        (parse_ini, "[ a b ]\nx=1\n[c] ; d\n[e] f\n", ["a b", "c"]),
        (parse_mediawiki, "== A = B ==\n=== C ===  \r\n== D =\n", ["A = B", "C"]),
        (parse_textile, "h1. One \r\nh2(class)<>. Two\nh3{color:red}. Three\n", ["One", "Two", "Three"]),
        (parse_markdown, "---\ntitle:  The   whole  \r\n---\n# One ## \n## #\n### C# #\n", ["One", "C#"]),
        (parse_markdown, "A\n===  \n\nB\n--\t\n\n| a | b |\n| --- | :-: |\n| 1 | 2 |\n", ["A", "B"]),
    ],
)
def test_titles_are_what_they_were(parse, text, titles) -> None:
    raw = text.encode()
    (document,) = parse(ParseInput(io.BytesIO(raw), len(raw), "notes.h", "text/x-c"))
    assert [heading.title for heading in document.structure.headings] == titles

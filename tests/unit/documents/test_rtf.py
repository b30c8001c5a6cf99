"""RTF: code pages, Unicode, headings, tables, notes; damage and bombs."""

import pytest

from cortex_assets.documents.model import ParsedDocument
from cortex_assets.tables import Status
from tests.unit.documents.packages import RTF

HEAD = rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 T;}{\f2\fcharset128 M;}}"


def only(documents: list[ParsedDocument]) -> ParsedDocument:
    (document,) = documents
    return document


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"caf\'e9 \'80 {\f1 \'cf\'f0\'e8} {\f2 \'93\'fa\'96\{\'8c\'ea}", "café € При 日本語"),
        (rb"\u8364? \u-10179?\u-8704? \uc2\u228\'c3\'a4! \uc0\u233 x", "€ \U0001f600 ä! éx"),
        (rb"a\~b\_c\-d \{x\} \\ \emdash\ldblquote q\rdblquote", "a\u00a0b\u2011cd {x} \\ —“q”"),
        (rb"seen{\v hidden}{\deleted gone}{\*\unknown junk {deep}}{\pict\pngblip 8950}!", "seen!"),
        (rb"one\par two\line three", "one\n\ntwo three"),
        (b"a{\\pict\\bin5 }}}}}}b", "ab"),
        (rb"{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt in a box\par}}}after", "in a box\n\nafter"),
        (rb"{\pntext\'b7\tab}first\par{\listtext\pard 2.\tab}second\par last", "- first\n2. second\n\nlast"),
    ],
)
def test_words(body: bytes, text: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(HEAD + rb"\pard\plain " + body + b"}", RTF))
    assert document.text == text
    assert document.status is Status.OK


def test_structure(parse) -> None:  # type: ignore[no-untyped-def]
    raw = HEAD + (
        rb"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s2\outlinelevel1 \'dcberschrift 2;}}{\info{\title My \'e4}{\author X}}"
        rb"{\header Page 1\par}{\footer Confidential footer text\par}"
        rb"\pard\s1 One\par\pard\s2 Two\par\pard\plain body{\footnote\pard a note\par}"
        rb"{\*\atnauthor Bo}{\*\annotation why\par} "
        rb'{\field{\*\fldinst{HYPERLINK "https://a.b/c"}}{\fldrslt linked}}\par'
        rb"\trowd\pard\intbl k\cell v\cell\row\trowd\pard\intbl a\par b\cell 1\cell\row\pard end\par}"
    )
    document = only(parse(raw, RTF))
    assert document.text == (
        "# One\n\n## Two\n\nbody linked\n\n| k | v |\n| --- | --- |\n| a b | 1 |\n\nend\n\n"
        "Footer: Confidential footer text\n\na note\n\nComment (Bo): why"
    )
    assert (document.title, document.kind) == ("My ä", "word")
    assert [(heading.level, heading.title) for heading in document.structure.headings] == [(1, "One"), (2, "Two")]
    assert document.structure.links == ("https://a.b/c",)
    (block,) = document.structure.blocks
    assert document.text[block.start : block.head_end] == "| k | v |\n| --- | --- |\n"


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (HEAD + rb"\pard some words and {\b more", Status.PARTIAL, "cut off"),
        (HEAD, Status.FAILED, "cut off"),
        (HEAD + b"}", Status.EMPTY, "no text"),
        (HEAD + b"{\\pict 00}}", Status.EMPTY, "only pictures"),
        (HEAD + b"x" + b"{" * 50_000, Status.PARTIAL, "nested"),
        (b"no rtf at all", Status.FAILED, "does not begin"),
        (HEAD + b"x{\\pict" + b"{" * 100_000, Status.PARTIAL, "cut off"),
    ],
)
def test_what_is_not_whole_says_why(raw: bytes, status: Status, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(raw, RTF))
    assert document.status is status and said in (document.reason or "")


def test_what_follows_the_document_is_none_of_it(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse(HEAD + b"inside}outside", RTF)).text == "inside"


def test_unknown_code_pages_do_not_stop_the_reading(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse(rb"{\rtf1\ansi\ansicpg99999 caf\'e9}", RTF)).text == "café"

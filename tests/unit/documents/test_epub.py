"""EPUB: reading order, titles by the table of contents, protection, damage."""

from typing import Any

import pytest

from cortex_assets.documents.model import Mark, ParsedDocument, Place
from cortex_assets.tables import Status
from tests.unit.documents.packages import EPUB, zipped

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
NCX = (
    '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Old title</text></navLabel>'
    '<content src="two.xhtml#top"/></navPoint></navMap></ncx>'
)
NAV = '<html><body><nav><ol><li><a href="two.xhtml">The second</a></li></ol></nav></body></html>'


def only(documents: list[Any]) -> ParsedDocument:
    (document,) = (document for document in documents if not isinstance(document, Mark))
    return document


def epub(chapters: dict[str, str | bytes], more: dict[str, str | bytes] | None = None, items: str = "") -> bytes:
    manifest = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in chapters
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>My book</dc:title></metadata><manifest>{manifest}{items}</manifest><spine>{spine}</spine></package>"
    )
    parts: dict[str, str | bytes] = {"mimetype": EPUB, "META-INF/container.xml": CONTAINER, "OPS/book.opf": opf}
    parts |= {f"OPS/{name}.xhtml": content for name, content in chapters.items() if content}
    return zipped(parts | (more or {}))


def page(body: str) -> str:
    return f"<?xml version='1.0'?><!DOCTYPE html><html><head><title/><script/></head><body>{body}</body></html>"


TWO = {
    "one": page(
        '<h2>First</h2><p>Words <a id="x"/>after. <a href="https://a.b/">out</a> <a href="two.xhtml">in</a></p><aside>A note</aside>'
    ),
    "two": page("<p>No heading here</p>"),
}


def test_chapters_in_reading_order(parse) -> None:  # type: ignore[no-untyped-def]
    items = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    document = only(parse(epub(TWO, {"OPS/nav.xhtml": NAV}, items), EPUB))
    assert document.text == "## First\n\nWords after. out in\n\nA note\n\n# The second\n\nNo heading here"
    second = document.text.index("# The")
    assert document.structure.places == (
        Place("chapter 1", 0, second - 2),
        Place("chapter 2", second, len(document.text)),
    )
    assert (document.title, document.kind, document.status) == ("My book", "book", Status.OK)
    assert document.structure.links == ("https://a.b/",)
    assert all(document.text[h.start :].lstrip("# ").startswith(h.title) for h in document.structure.headings)


def test_titles_of_old_books(parse) -> None:  # type: ignore[no-untyped-def]
    items = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    document = only(parse(epub(TWO, {"OPS/toc.ncx": NCX}, items), EPUB))
    assert "# Old title\n\nNo heading here" in document.text and document.status is Status.OK


def test_a_missing_chapter_is_named(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(epub({**TWO, "three": "", "four": b"\0\1\2\3" * 200}), EPUB))
    assert document.status is Status.PARTIAL and document.failed_pages == (3, 4)
    assert "chapters 3, 4" in (document.reason or "")


def encryption(method: str, part: str) -> dict[str, str | bytes]:
    return {
        "META-INF/encryption.xml": '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{method}"/><e:CipherData><e:CipherReference URI="{part}"/></e:CipherData>'
        "</e:EncryptedData></encryption>"
    }


def test_protection_is_told_apart_from_scrambled_fonts(parse) -> None:  # type: ignore[no-untyped-def]
    aes = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
    document = only(parse(epub(TWO, encryption(aes, "OPS/one.xhtml")), EPUB))
    assert document.status is Status.FAILED and "DRM" in (document.reason or "")
    fonts = encryption("http://www.idpf.org/2008/embedding", "OPS/font.otf")
    assert only(parse(epub(TWO, fonts), EPUB)).status is Status.OK


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (epub({}), Status.EMPTY, "no chapters"),
        (epub({"one": page("<img src='a.png'/>")}), Status.EMPTY, "only pictures"),
        (zipped({"mimetype": EPUB}), Status.FAILED, "no package document"),
        (zipped({"a.opf": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}), Status.FAILED, "entities"),
        (b"PK\x03\x04cut", Status.FAILED, "damaged EPUB"),
    ],
)
def test_what_has_no_text_says_why(data: bytes, status: Status, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(data, EPUB))
    assert document.status is status and said in (document.reason or "")


def test_a_cut_off_book_gives_the_chapters_before(parse) -> None:  # type: ignore[no-untyped-def]
    data = epub({f"c{number}": page(f"<p>chapter {number} {number**200}</p>") for number in range(50)})
    document = only(parse(data[: len(data) // 2], EPUB))
    assert document.status is Status.PARTIAL
    assert "chapter 3 " in document.text and 50 in document.failed_pages

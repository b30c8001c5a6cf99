"""Contacts: names as headings, fields readable, in every version of vCard, broken cards too."""

import io

import pytest

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.contacts import parse_contacts
from cortex_assets.tables import Status


def only(raw: str | bytes) -> ParsedDocument:
    data = raw.replace("\n", "\r\n").encode() if isinstance(raw, str) else raw
    documents = list(parse_contacts(ParseInput(io.BytesIO(data), len(data), "a.vcf", "text/vcard")))
    assert len(documents) == 1
    assert (documents[0].reason is None) == (documents[0].status is Status.OK)
    return documents[0]


def card(*lines: str) -> str:
    return "\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""])


ANN = card(
    "VERSION:4.0",
    "FN:Ann Example",
    "N:Example;Ann;;Dr.;",
    "ORG:ACME\\, Inc.;Sales",
    "EMAIL;TYPE=work,pref:ann@example.org",
    "item1.URL:https://ann.example.org",
    "item1.X-ABLabel:_$!<HomePage>!$_",
    "ADR;TYPE=home:;;Street 1;Town;;12345;Germany",
    'TEL;TYPE="voice,cell";VALUE=uri:tel:+1-555',
    "NOTE:likes\\ntea",
    "PHOTO;ENCODING=b:AAAA",
    " BBBB",
)


def test_a_card_is_readable() -> None:
    document = only(ANN)
    assert document.text == (
        "# Ann Example\nOrganization: ACME, Inc., Sales\nEmail (work): ann@example.org\n"
        "Link (HomePage): https://ann.example.org\nAddress (home): Street 1, Town, 12345, Germany\n"
        "Phone (cell): +1-555\nNote: likes\ntea"
    )
    assert (document.kind, document.title) == ("contacts", "Ann Example")
    assert document.structure.links == ("https://ann.example.org",)
    place = document.structure.places[0]
    assert (place.label, place.start, place.end) == ("Ann Example", 0, len(document.text))


def test_old_cards_are_decoded() -> None:
    old = card(
        "VERSION:2.1",
        "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BC=",
        "ller;J=C3=B6rg",
        "TEL;CELL;VOICE:+49 170 1",
        "NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0Atwo",
        "PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQ",
        " AAAA",
        "",
    )
    assert only(old).text == "# Jörg Müller\nPhone (cell): +49 170 1\nNote: one\ntwo"
    latin = card("N;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:M=FCller;J=F6rg")
    assert only(latin).text == "# Jörg Müller"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (("N:Example;Ann;M.;Dr.;Jr.",), "Dr. Ann M. Example Jr."),
        (("FN:", "ORG:ACME;Sales"), "ACME, Sales"),
        (("EMAIL:a@b.c",), "a@b.c"),
        (("NOTE:x",), "(contact without a name)"),
    ],
)
def test_a_card_without_a_full_name_gets_what_it_has(lines: tuple[str, ...], name: str) -> None:
    assert only(card(*lines)).structure.headings[0].title == name


def test_many_cards_and_lost_ends() -> None:
    document = only(ANN + ANN.replace("END:VCARD\n", "") + card("FN:Bob", "garbage line"))
    assert [h.title for h in document.structure.headings] == ["Ann Example", "Ann Example", "Bob"]
    assert document.title == ""
    assert document.status is Status.OK


def test_a_file_cut_off_is_partial_and_keeps_what_came() -> None:
    document = only(ANN[: ANN.index("NOTE")])
    assert document.status is Status.PARTIAL and "cut off" in (document.reason or "")
    assert document.text.startswith("# Ann Example\nOrganization")


def test_encodings_and_what_is_no_contact() -> None:
    assert only(card("FN:Jörg").encode("utf-16")).text == "# Jörg"
    assert only(card("FN:Jörg Müller aus Köln").encode("latin-1")).text == "# Jörg Müller aus Köln"
    assert only("<html>").status is Status.FAILED
    assert only("").status is Status.EMPTY
    assert only(bytes(range(256)) * 8).status is Status.UNSUPPORTED


def test_a_huge_line_is_bounded() -> None:
    document = only(card("FN:Ann", "PHOTO:" + "A" * 9_000_000, "TEL:1"))
    assert document.text == "# Ann\nPhone: 1"

"""Mail: headers and bodies as people read them, attachments as members, and what is broken said."""

import base64
import io
from email.message import EmailMessage
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.mail_body import flowed
from cortex_assets.documents.mail_headers import readable
from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers.mail import parse_mail
from cortex_assets.documents.quality import LOW, assess
from cortex_assets.tables import Status

HEAD = (
    b"From: Ann Example <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Plan\r\n"
    b"Date: Thu, 1 Jan 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)


def parsed(raw: bytes, options: ParseOptions | None = None) -> list[ParsedDocument]:
    source = ParseInput(io.BytesIO(raw), len(raw), "a.eml", "message/rfc822", options or ParseOptions())
    return [item for item in parse_mail(source) if isinstance(item, ParsedDocument)]


def first(raw: bytes) -> ParsedDocument:
    document = parsed(raw)[0]
    assert (document.reason is None) == (document.status is Status.OK)
    assert document.reason is None or len(document.reason) <= 200
    for places in (document.structure.headings, document.structure.blocks, document.structure.places):
        assert all(left.start <= right.start for left, right in pairwise(places))
        assert all(0 <= place.start < len(document.text) for place in places)
    return document


def body(document: ParsedDocument) -> str:
    return document.text.partition("\n\n")[2]


def test_headers_come_first_and_the_thread_is_a_heading() -> None:
    document = first(HEAD.replace(b"Plan", b"Re: AW: Plan") + b"\r\nSee https://example.org/x.\r\n\r\n> quoted\r\n")
    assert document.text == (
        "Subject: Re: AW: Plan\nFrom: Ann Example <ann@example.org>\nTo: bob@example.org\n"
        "Date: Thu, 1 Jan 2026 10:00:00 +0100\n\nSee https://example.org/x.\n\n> quoted"
    )
    assert (document.kind, document.title, document.inner) == ("mail", "Re: AW: Plan", "")
    assert [(h.level, h.title, h.start) for h in document.structure.headings] == [(1, "Plan", 0)]
    place = document.structure.places[0]
    assert (place.label, place.start, place.end) == ("message <1@example.org>", 0, len(document.text))
    assert document.structure.links == ("https://example.org/x.",)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?J=C3=BCrgen?= <a@b>", "Jürgen <a@b>"),
        ("=?utf-8?Q?=E6=97?=\r\n =?utf-8?Q?=A5?= x", "日 x"),
        ("=?UTF-8?Q?a b?c?=tail", "a b?ctail"),
        ("=?iso-8859-1*en?q?caf=E9=80?=", "café€"),
        ("=?x-unknown?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?SsO8cmdlbg?=", "Jürgen"),
        ("=?utf-8?b?not closed", "=?utf-8?b?not closed"),
        ("J\udcc3\udcbcrgen", "Jürgen"),
        ('"=?gb2312?B?1tDOxA==?=" <x@y>', '"中文" <x@y>'),
        ("=?idna?q?abc?=", "abc"),
        ("a\0b\x1b", "a b"),
    ],
)
def test_header_values_are_decoded_broken_ones_too(raw: str, expected: str) -> None:
    assert readable(raw) == expected


@pytest.mark.parametrize(
    ("fields", "raw", "expected"),
    [
        (b"Content-Type: text/plain; charset=utf-8", "Grüße".encode(), "Grüße"),
        (b"Content-Type: text/plain; charset=us-ascii", "Grüße".encode(), "Grüße"),
        (b"Content-Type: text/plain; charset=iso-8859-1", "Grüße aus Köln € 5".encode("cp1252"), "Grüße aus Köln € 5"),
        (
            b"Content-Type: text/plain; charset=utf-8",
            "Grüße aus Köln, schöne Tage".encode("cp1252"),
            "Grüße aus Köln, schöne Tage",
        ),
        (b"Content-Type: text/plain; charset=iso-2022-jp", "日本語".encode("iso2022_jp"), "日本語"),
        (b"Content-Type: text/plain; charset=nonsense", b"plain", "plain"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"R3LDvMOf ZQ", "Grüße"),
        (b"Content-Transfer-Encoding: quoted-printable", b"Gr=C3=BC=C3=9Fe a=\r\nb =XX", "Grüße ab =XX"),
        (b"X-Lost: yes", b"Gr=C3=BC=C3=9Fe an=\r\n alle hie=\r\nr", "Grüße an alle hier"),
        (b"Content-Type: text/plain; format=flowed", b"a \r\nb\r\n>> c \r\n>> d\r\n-- \r\nme", "a b\n>> c d\n-- \nme"),
        (b"Content-Type: text", b"no subtype", "no subtype"),
    ],
)
def test_bodies_are_decoded(fields: bytes, raw: bytes, expected: str) -> None:
    assert body(first(HEAD + fields + b"\r\n\r\n" + raw + b"\r\n")) == expected


def test_undeclared_quoted_printable_is_a_doubt() -> None:
    assert "quoted-printable" in (first(HEAD + b"\r\nGr=C3=BC=C3=9Fe an=\r\n alle hie=\r\nr").doubt or "")


@settings(deadline=None)
@given(st.text(alphabet="ab> -\n", max_size=60), st.booleans())
def test_flowed_text_loses_no_letter(text: str, is_joined_tight: bool) -> None:
    joined = flowed(text, is_joined_tight)
    assert [c for c in joined if c in "ab"] == [c for c in text if c in "ab"]


def test_plain_is_preferred_but_not_a_stub() -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message["From"] = "a@b.c"
    message.set_content("The plain version of the text.")
    message.add_alternative("<h1>Title</h1><p>The rich version</p>", subtype="html")
    assert body(first(message.as_bytes())) == "The plain version of the text."
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("No HTML here.")
    message.add_alternative("<h1>Title</h1>" + "<p>The rich version says it all.</p>" * 20, subtype="html")
    document = first(message.as_bytes())
    assert body(document).startswith("# Title\n\nThe rich version")
    assert [(h.level, h.title) for h in document.structure.headings] == [(1, "x"), (2, "Title")]


def test_quotes_in_html_stay_recognizable_and_structure_stays_in_place() -> None:
    page = (
        b"<p>Yes.</p><blockquote type=cite><p>Really?</p><h2>Old</h2><blockquote>Deeper</blockquote></blockquote>"
        b"<h2>After</h2><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
        b'<a href="https://example.org/y">link</a>'
    )
    document = first(HEAD + b"Content-Type: text/html\r\n\r\n" + page)
    assert body(document).startswith("Yes.\n\n> Really?\n>\n> ## Old\n>\n> > Deeper\n\n## After\n\n| a | b |")
    heading = document.structure.headings[-1]
    assert (heading.level, document.text[heading.start :].split("\n")[0]) == (3, "## After")
    table = document.structure.blocks[0]
    assert document.text[table.start : table.end] == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert document.structure.links == ("https://example.org/y",)


def test_attachments_and_forwarded_mails_are_members() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("inner body")
    message = EmailMessage()
    message["Subject"] = "Outer"
    message.set_content("see attached")
    message.add_attachment(b"# Notes\n", maintype="text", subtype="markdown", filename="../Nötes.md")
    message.add_attachment(b"# Other\n", maintype="text", subtype="markdown", filename="Nötes.md")
    message.add_attachment(inner)
    message.add_attachment(bytes(100), maintype="image", subtype="png", cid="<logo>", disposition="inline")
    outer, *members = parsed(message.as_bytes())
    assert "Attachments: Nötes.md, Nötes (2).md, message-3.eml" in outer.text
    assert [(d.inner, d.kind) for d in members] == [
        ("/Nötes.md", "markdown"),
        ("/Nötes (2).md", "markdown"),
        ("/message-3.eml", "mail"),
    ]
    assert members[2].text == "Subject: Inner\n\ninner body"


def test_a_deadly_attachment_is_marked_and_left_out() -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("body")
    message.add_attachment(b"boom", maintype="text", subtype="plain", filename="a.txt")
    raw = message.as_bytes()
    marks = [
        item.unit for item in parse_mail(ParseInput(io.BytesIO(raw), len(raw), "a", "m")) if isinstance(item, Mark)
    ]
    assert marks == ["/a.txt"]
    left_out = parsed(raw, ParseOptions(avoid={"/a.txt": "it died"}))
    assert [(d.inner, d.status) for d in left_out] == [("", Status.OK), ("/a.txt", Status.QUARANTINED)]


def _multipart(kind: bytes, *parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    joined = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return HEAD + b"Content-Type: " + kind + b'; boundary="b"\r\n\r\n' + joined + end


def test_signed_is_read_and_encrypted_is_told_apart() -> None:
    signature = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nabc"
    documents = parsed(_multipart(b"multipart/signed", b"Content-Type: text/plain\r\n\r\nsigned words", signature))
    assert [(d.status, body(d)) for d in documents] == [(Status.OK, "signed words")]
    for raw in (
        _multipart(b"multipart/encrypted", b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1"),
        HEAD + b"\r\n-----BEGIN PGP MESSAGE-----\r\nabc\r\n",
    ):
        document = first(raw)
        assert document.status is Status.PARTIAL and "(PGP): decrypt" in (document.reason or "")
        assert document.text.startswith("Subject: Plan")
    mixed = first(HEAD + b"\r\nHi\r\n-----BEGIN PGP MESSAGE-----\r\nabc\r\n-----END PGP MESSAGE-----\r\nAnn\r\n")
    assert (mixed.status, body(mixed)) == (Status.PARTIAL, "Hi\n\nAnn")
    enveloped = base64.b64encode(bytes.fromhex("308006092a864886f70d010703a080") + bytes(100))
    raw = HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
    document = first(raw + b"Content-Transfer-Encoding: base64\r\n\r\n" + enveloped)
    assert document.status is Status.PARTIAL and "S/MIME" in (document.reason or "")


@pytest.mark.parametrize("is_in_pieces", [False, True])
def test_an_opaque_signed_envelope_is_opened(is_in_pieces: bool) -> None:
    content = b"Content-Type: text/plain\r\n\r\nwords under a seal\r\n"
    octets = b"\x04" + bytes([len(content)]) + content
    if is_in_pieces:
        octets = (
            b"\x24\x80" + b"\x04\x0a" + content[:10] + b"\x04" + bytes([len(content) - 10]) + content[10:] + b"\0\0"
        )
    data = bytes.fromhex("06092a864886f70d010701") + b"\xa0\x80" + octets
    envelope = bytes.fromhex("308006092a864886f70d010702a0803080020101310030 80".replace(" ", "")) + data
    raw = (
        HEAD
        + b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    document = first(raw + base64.b64encode(envelope))
    assert (document.status, body(document)) == (Status.OK, "words under a seal")


def test_a_message_cut_off_is_partial_and_keeps_what_came() -> None:
    text = b"Content-Type: text/plain\r\n\r\nfirst part"
    cut = b"Content-Type: text/markdown; name=a.md\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(
        b"# Title words"
    )
    documents = parsed(_multipart(b"multipart/mixed", text, cut[:-5], end=b""))
    assert documents[0].status is Status.PARTIAL and "cut off" in (documents[0].reason or "")
    assert body(documents[0]) == "first part"
    assert documents[1].text.startswith("# Title w")


def test_a_charset_declared_wrong_costs_nothing_in_a_part_either() -> None:
    for declared in (b"us-ascii", b"utf-8", b"utf-16", b"nonsense"):
        part = (
            b"Content-Type: text/plain; charset="
            + declared
            + b"\r\n\r\n"
            + "Grüße aus Köln, schöne Tage".encode("cp1252")
        )
        assert body(first(_multipart(b"multipart/mixed", part))) == "Grüße aus Köln, schöne Tage"
    odd = b"Content-Type: text/plain; charset*=x'y'z\r\n\r\n" + "Grüße".encode()
    assert body(first(_multipart(b"multipart/mixed", odd))) == "Grüße"


def test_parts_nested_without_end_do_not_break_it() -> None:
    lines = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(3000))
    document = first(HEAD + lines + b"Content-Type: text/plain\r\n\r\ndeep")
    assert document.status is Status.PARTIAL and document.text


def test_what_is_no_mail_says_so() -> None:
    document = first(b"Just words.\r\nMore words.\r\n")
    assert (document.status, document.text) == (Status.PARTIAL, "Just words.\nMore words.")
    assert "no mail header" in (document.reason or "")
    assert first(bytes(range(256)) * 8).status is Status.FAILED
    assert first(b"").status is Status.EMPTY
    assert first(b" \r\n\r\n").status is Status.EMPTY
    assert first(b"MIME-Version: 1.0\r\n\r\n\r\n").status is Status.EMPTY


def test_odd_starts_are_passed_over() -> None:
    for raw in (
        b"From ann@example.org Thu Jan  1 10:00:00 2026\r\n" + HEAD + b"\r\nwords",
        b"\xef\xbb\xbf\r\n" + HEAD + b"\r\nwords",
        (HEAD + b"\r\nwords").decode().encode("utf-16"),
        (HEAD + b"\r\nwords").replace(b"\r\n", b"\r"),
        b"%d\n" % len(HEAD + b"\r\nwords") + HEAD + b"\r\nwords<?xml version='1.0'?><plist/>",
        HEAD + b"no colon here, so the body begins\r\n\r\nwords",
    ):
        document = first(raw)
        assert document.title == "Plan"
        assert document.text.endswith("words")


def test_long_text_comes_in_parts_that_join() -> None:
    documents = parsed(HEAD + b"\r\n" + b"word and word\r\n" * 700_000)
    assert [d.inner for d in documents] == ["part-0001", "part-0002", "part-0003"]
    joined = "".join(d.text for d in documents)
    assert joined.count("word and word") == 700_000
    assert all(d.structure.places[0].end == len(d.text) for d in documents)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8)), max_size=8))
def test_damaged_bytes_always_give_rows_that_say_why(edits: list[tuple[int, bytes]]) -> None:
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content("plain words " * 20)
    message.add_alternative("<p>rich words</p>", subtype="html")
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="t.csv")
    raw = bytearray(message.as_bytes())
    for place, edit in edits:
        raw[place : place + len(edit)] = edit
    for document in parsed(bytes(raw)):
        assert document.reason or document.status is Status.OK
        assert document.text.strip() or document.status is not Status.OK


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_of_attachments_in_raw_bytes_are_read(encoding: str) -> None:
    raw = (
        b'\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Disposition: attachment; filename="'
        + "größe.txt".encode(encoding)
        + b'"\r\n\r\nbody\r\n--x--\r\n'
    )
    message, attachment = parsed(HEAD + b'Content-Type: multipart/mixed; boundary="x"\r\n' + raw)
    assert attachment.inner == "/größe.txt"
    assert "Attachments: größe.txt" in message.text


def test_a_body_that_no_encoding_fits_is_partial_and_scored_low() -> None:
    document = first(HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\ncaf\xe9 \x81")
    assert body(document).startswith("café")
    assert document.status is Status.PARTIAL
    assert assess(document).score < LOW


def test_a_body_of_binary_bytes_is_left_out_and_told() -> None:
    document = first(HEAD + b"Content-Type: text/plain\r\n\r\n" + bytes(range(256)) * 2)
    assert document.status is Status.PARTIAL
    assert "512 bytes" in (document.reason or "")
    assert body(document) == ""

"""Outlook messages: fields, bodies, attachments, messages within, and the ones that nobody may read."""

import io
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from cortex_assets.documents.model import Limits, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.outlook import decompressed_rtf
from cortex_assets.documents.parsers.msg import parse_msg
from cortex_assets.documents.registry import UNSUPPORTED, parser_for
from cortex_assets.media.detect import media_type
from cortex_assets.tables import Status

DATA = Path(__file__).parents[3].parent / "shared" / "data"
Tree = dict[str, "bytes | Tree"]
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
RTF = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a0072637067313235423 20af32068656c0900206277 05b06c647d0a800fa0".replace(
        " ", ""
    )
)


class Chains:
    """Blocks of one size, and what follows each."""

    def __init__(self, size: int) -> None:
        self.size, self.raw, self.next = size, b"", list[int]()

    def store(self, raw: bytes) -> int:
        start, count = len(self.next), -(-len(raw) // self.size)
        if not count:
            return END
        self.raw += raw.ljust(count * self.size, b"\0")
        self.next += [*range(start + 1, start + count), END]
        return start


def ole(tree: Tree) -> bytes:
    """An OLE file with these storages and streams."""
    entries: list[tuple[str, int, bytes]] = []
    links: dict[int, list[int]] = {}

    def add(name: str, content: "bytes | Tree", kind: int) -> int:
        number = len(entries)
        entries.append((name, kind, content if isinstance(content, bytes) else b""))
        if isinstance(content, dict):
            links[number] = [add(below, inner, 1 if isinstance(inner, dict) else 2) for below, inner in content.items()]
        return number

    add("Root Entry", tree, 5)
    large, small = Chains(512), Chains(64)
    starts = [(small if len(content) < 4096 else large).store(content) for _, _, content in entries]
    sizes = [len(content) for _, _, content in entries]
    starts[0], sizes[0] = large.store(small.raw), len(small.raw)
    right = {a: b for kids in links.values() for a, b in pairwise(kids)}
    rows = b""
    for number, (name, kind, _) in enumerate(entries):
        wide = name.encode("utf-16-le") + b"\0\0"
        child = links[number][0] if links.get(number) else FREE
        rows += wide.ljust(64, b"\0") + struct.pack("<HBBIII", len(wide), kind, 1, FREE, right.get(number, FREE), child)
        rows += bytes(36) + struct.pack("<IQ", starts[number], sizes[number])
    directory = large.store(rows)
    minis = struct.pack(f"<{len(small.next)}I", *small.next)
    mini_fat = large.store(minis.ljust(-(-len(minis) // 512) * 512, b"\xff"))
    count = next(n for n in range(1, 100) if n * 128 >= len(large.next) + n)
    fats = [len(large.next) + number for number in range(count)]
    table = [*large.next, *[FAT] * count]
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, count, directory, 0, 4096, mini_fat, -(-len(minis) // 512), END, 0)
    head += struct.pack("<109I", *(fats + [FREE] * (109 - count)))
    return head + large.raw + struct.pack(f"<{count * 128}I", *(table + [FREE] * (count * 128 - len(table))))


def properties(head: int, **numbers: int) -> bytes:
    rows = [
        struct.pack("<HHIq", 0x0040 if value > 1 << 33 else 3, int(key[1:], 16), 6, value)
        for key, value in numbers.items()
    ]
    return bytes(head) + b"".join(rows)


def text(**values: str) -> Tree:
    return {f"__substg1.0_{key[1:]}001F": value.encode("utf-16-le") for key, value in values.items()}


def attachment(name: str, content: bytes, mime: str = "") -> Tree:
    more: Tree = {"__substg1.0_37010102": content, "__properties_version1.0": properties(8, x3705=1)}
    return {**text(x3707=name, x370E=mime), **more}


def message(**values: str) -> Tree:
    return {**text(**values), "__properties_version1.0": properties(32, x0039=132_000_000_000_000_000)}


def parsed(raw: bytes, options: ParseOptions | None = None) -> list[ParsedDocument]:
    source = ParseInput(io.BytesIO(raw), len(raw), "a.msg", "application/vnd.ms-outlook", options or ParseOptions())
    return [item for item in parse_msg(source) if isinstance(item, ParsedDocument)]


def test_a_message_with_attachments_and_a_message_within() -> None:
    inner: Tree = {**text(x0037="Inner", x1000="inner words"), "__properties_version1.0": bytes(24)}
    tree = message(
        x0037="Plan", x0C1A="Ann", x5D01="ann@example.org", x0E04="Bob", x1000="Grüße\r\nhere\r\n", x1035="<7@x>"
    )
    tree["__recip_version1.0_#00000000"] = {**text(x3001="Bob", x39FE="bob@x.org"), "__properties_version1.0": bytes(8)}
    tree["__attach_version1.0_#00000000"] = attachment("C:\\x\\notes.md", b"# Notes\n")
    embedded: Tree = {**text(x3001="Forwarded"), "__properties_version1.0": properties(8, x3705=5)}
    tree["__attach_version1.0_#00000001"] = {**embedded, "__substg1.0_3701000D": inner}
    documents = parsed(ole(tree))
    assert [(d.inner, d.kind, d.status) for d in documents] == [
        ("", "mail", Status.OK),
        ("/notes.md", "markdown", Status.OK),
        ("/Forwarded.msg", "mail", Status.OK),
    ]
    assert documents[0].text == (
        "Subject: Plan\nFrom: Ann <ann@example.org>\nTo: Bob <bob@x.org>\nDate: 2019-04-17 18:40 UTC\n"
        "Attachments: notes.md, Forwarded.msg\n\nGrüße\nhere"
    )
    assert documents[0].structure.places[0].label == "message <7@x>"
    assert documents[2].text == "Subject: Inner\n\ninner words"


def test_bodies_in_html_and_in_8_bit_text() -> None:
    tree = message(x0037="x")
    tree["__properties_version1.0"] = properties(32, x3FDE=1251, x3FFD=1251)
    tree["__substg1.0_10130102"] = "<h1>Заголовок</h1><p>Привет</p>".encode("cp1251")
    tree["__substg1.0_0C1A001E"] = "Анна".encode("cp1251")
    assert parsed(ole(tree))[0].text == "Subject: x\nFrom: Анна\n\n# Заголовок\n\nПривет"


def test_compressed_rtf() -> None:
    assert decompressed_rtf(RTF) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    overlap = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompressed_rtf(overlap) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert decompressed_rtf(struct.pack("<III", 15, 3, 0x414C454D) + bytes(4) + b"abcd") == b"abc"
    for size in range(len(RTF)):
        assert decompressed_rtf(RTF[:size]) == b"" or decompressed_rtf(RTF).startswith(decompressed_rtf(RTF[:size]))


def test_a_body_that_is_only_rtf() -> None:
    tree = message(x0037="x")
    tree["__substg1.0_10090102"] = RTF
    document = parsed(ole(tree))[0]
    if parser_for("application/rtf") is UNSUPPORTED:
        assert document.status is Status.PARTIAL and "RTF" in (document.reason or "")
    else:
        assert document.status is Status.OK and document.text.endswith("hello world")


@pytest.mark.parametrize(
    ("message_class", "name", "mime", "content", "expected"),
    [
        ("IPM.Note.SMIME", "smime.p7m", "multipart/signed", bytes.fromhex("308006092a864886f70d010703"), "S/MIME"),
        ("IPM.Note", "message.rpmsg", "application/x-microsoft-rpmsg-message", b"\x76\xe8", "rights-protected"),
        ("IPM.Note", "ATT1.bin", "application/pgp-encrypted", b"Version: 1", "PGP"),
    ],
)
def test_what_nobody_may_read_is_told_apart(
    message_class: str, name: str, mime: str, content: bytes, expected: str
) -> None:
    tree = message(x0037="Secret plan", x001A=message_class)
    tree["__attach_version1.0_#00000000"] = attachment(name, content, mime)
    documents = parsed(ole(tree))
    assert [d.status for d in documents] == [Status.PARTIAL]
    assert expected in (documents[0].reason or "") and documents[0].title == "Secret plan"


def test_a_signed_message_is_read() -> None:
    tree = message(x0037="x", x001A="IPM.Note.SMIME.MultipartSigned")
    content = (
        b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n--b--\r\n'
    )
    tree["__attach_version1.0_#00000000"] = attachment("smime.p7m", content)
    document = parsed(ole(tree))[0]
    assert (document.status, document.text.partition("\n\n")[2]) == (Status.OK, "words")


def test_links_and_objects_are_said() -> None:
    tree = message(x0037="x", x1000="words")
    link: Tree = {**text(x3707="big.zip"), "__properties_version1.0": properties(8, x3705=7)}
    tree["__attach_version1.0_#00000000"] = link
    tree["__attach_version1.0_#00000001"] = {**text(x3707="chart"), "__substg1.0_3701000D": {"CONTENTS": b"x"}}
    documents = parsed(ole(tree))
    assert [(d.inner, d.status) for d in documents[1:]] == [
        ("/big.zip", Status.UNSUPPORTED),
        ("/chart", Status.UNSUPPORTED),
    ]


def test_messages_within_messages_end_at_the_depth_limit() -> None:
    tree: Tree = {**text(x0037="deepest"), "__properties_version1.0": bytes(24)}
    for number in range(4):
        inner = {**text(x3001=f"m{number}"), "__substg1.0_3701000D": tree}
        tree = {**text(x0037=str(number)), "__properties_version1.0": bytes(24), "__attach_version1.0_#00000000": inner}
    documents = parsed(ole(tree), ParseOptions(limits=Limits(depth=2)))
    assert [d.status for d in documents] == [Status.OK, Status.OK, Status.OK, Status.TOO_LARGE]
    assert documents[3].inner == "/m3.msg/m2.msg/m1.msg"


def test_damaged_files_say_so() -> None:
    tree = message(x0037="Plan", x1000="words " * 300)
    tree["__attach_version1.0_#00000000"] = attachment("notes.md", b"# Notes\n" * 300)
    raw = ole(tree)
    statuses = set()
    for size in (0, 7, 100, 512, 600, 1024, 2048, len(raw) // 2, len(raw) - 512, len(raw) - 1):
        for document in parsed(raw[:size]):
            assert document.reason or document.status is Status.OK
            statuses.add(document.status)
    assert Status.FAILED in statuses
    for place in range(512, len(raw), 97):
        broken = raw[:place] + b"\xff" * 40 + raw[place + 40 :]
        for document in parsed(broken):
            assert document.reason or document.text
    assert parsed(ole({"Workbook": b"x"}))[0].status is Status.FAILED


def test_a_message_is_told_by_its_content() -> None:
    raw = ole(message(x0037="x"))
    assert media_type(raw, b"", "noname", len(raw)) == "application/vnd.ms-outlook"


@pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")
def test_the_shared_encrypted_message() -> None:
    raw = (DATA / "bad_inputs" / "unstructured_docs" / "fake-encrypted.msg").read_bytes()
    documents = parsed(raw)
    assert [d.status for d in documents] == [Status.PARTIAL]
    assert "(PGP): decrypt" in (documents[0].reason or "") and "elkins@aero.org" in documents[0].text

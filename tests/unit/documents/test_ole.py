"""OLE containers: encrypted Office files with and without passwords; old formats say how to convert them."""

import io
import struct

import msoffcrypto
import pytest

from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers.ole import native_file
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import media_type
from cortex_assets.tables import Status
from tests.unit.documents.packages import DOCX, OLE, docx, paragraph


def parsed(data: bytes, path: str, passwords: tuple[str, ...] = ()) -> ParsedDocument:
    media = media_type(data[:16384], data[16384:][-4096:], path, len(data))
    source = ParseInput(io.BytesIO(data), len(data), path, media, ParseOptions(passwords))
    (document,) = (item for item in parser_for(media).parser(source) if not isinstance(item, Mark))
    return document


def container(*streams: tuple[str, bytes]) -> bytes:
    """A small OLE container: one sector for the directory, then the streams, each in whole sectors of 512 bytes."""
    entries = [_entry("Root Entry", 5, -2, 0, child=1)]
    sectors: list[bytes] = []
    table = [-3, -2]
    for number, (name, content) in enumerate(streams, 1):
        content = content.ljust(4096, b"\0")
        content += bytes(-len(content) % 512)
        right = number + 1 if number < len(streams) else -1
        entries.append(_entry(name, 2, 2 + len(sectors), len(content), right=right))
        count = len(content) // 512
        first = 2 + len(sectors)
        table += [*range(first + 1, first + count), -2]
        sectors += [content[start : start + 512] for start in range(0, len(content), 512)]
    entries += [bytes(128)] * (4 - len(entries))
    header = (
        OLE
        + bytes(16)
        + struct.pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    )
    header += struct.pack("<i", 0) + struct.pack("<i", -1) * 108
    fat = b"".join(struct.pack("<i", value) for value in table).ljust(512, b"\xff")
    return header + fat + b"".join(entries) + b"".join(sectors)


def _entry(name: str, kind: int, start: int, size: int, right: int = -1, child: int = -1) -> bytes:
    encoded = name.encode("utf-16-le")
    head = encoded.ljust(64, b"\0") + struct.pack("<HBBiii", len(encoded) + 2, kind, 1, -1, right, child)
    return head.ljust(116, b"\0") + struct.pack("<iII", start, size, 0)


@pytest.fixture(scope="module")
def encrypted() -> bytes:
    out = io.BytesIO()
    filling = "".join(paragraph(str(number**9)) for number in range(1000))  # the library encrypts no tiny file well
    msoffcrypto.OfficeFile(io.BytesIO(docx(paragraph("a secret plan") + filling))).encrypt("pass word", out)
    return out.getvalue()


def test_a_password_of_the_corpus_opens_the_file(encrypted: bytes) -> None:
    document = parsed(encrypted, "plan.docx", ("wrong", "pass word"))
    assert (document.status, document.text[:13], document.kind) == (Status.OK, "a secret plan", "word")


@pytest.mark.parametrize("path", ["plan.docx", "plan.xls", "plan.doc", "plan"])
def test_without_its_password_an_encrypted_file_says_so(encrypted: bytes, path: str) -> None:
    document = parsed(encrypted, path)
    assert document.status is Status.FAILED and "password is needed" in (document.reason or "")
    document = parsed(encrypted, path, ("wrong",))
    assert document.status is Status.FAILED and "none of the corpus's 1 passwords" in (document.reason or "")
    assert "wrong" not in (document.reason or "")


def test_the_docx_route_tells_encryption_too(encrypted: bytes) -> None:
    source = ParseInput(io.BytesIO(encrypted), len(encrypted), "a.docx", DOCX)
    (document,) = parser_for(DOCX).parser(source)
    assert isinstance(document, ParsedDocument) and "encrypted" in (document.reason or "")


def test_a_damaged_encrypted_file_is_told_apart(encrypted: bytes) -> None:
    broken = encrypted[:-9000] + bytes(9000)
    for data in (encrypted[:2000], broken):
        document = parsed(data, "plan.docx", ("pass word",))
        assert document.status is Status.FAILED and "damaged" in (document.reason or "")


@pytest.mark.parametrize(
    ("stream", "path", "said", "kind"),
    [
        ("WordDocument", "old.doc", ".docx", "word"),
        ("WordDocument", "noname", "docx", "word"),
        ("PowerPoint Document", "old.ppt", "pptx", "slides"),
        ("Something", "x.bin", "no Office document", "none"),
    ],
)
def test_old_formats_are_unsupported_with_the_remedy(stream: str, path: str, said: str, kind: str) -> None:
    document = parsed(container((stream, b"x")), path)
    assert (document.status, document.kind) == (Status.UNSUPPORTED, kind)
    assert said in (document.reason or "")


def test_a_file_wrapped_as_an_object_is_unwrapped() -> None:
    native = b"\0\0\0\0\2\0" + b"notes.txt\0" + b"C:\\notes.txt\0" + b"\0\0\3\0" + struct.pack("<I", 2) + b"t\0"
    native += struct.pack("<I", 5) + b"hello"
    assert native_file(container(("\x01Ole10Native", native))) == ("notes.txt", b"hello")
    assert native_file(container(("Equation Native", b"x"))) is None
    assert native_file(b"no container") is None

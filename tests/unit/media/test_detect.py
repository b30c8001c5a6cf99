"""Media types: content first, suffix second, magika last; fast for common text."""

import io
import time
import zipfile

import pytest

from cortex_assets.documents.parsers.code import LANGUAGES
from cortex_assets.media.detect import media_type
from cortex_assets.media.types import TYPES


def found(head: bytes, path: str) -> str:
    return media_type(head, b"", path, len(head))


@pytest.mark.parametrize(
    ("head", "path", "expected"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "report.txt", "application/pdf"),
        (b"\x7fELF\2\1\1" + bytes(60), "notes.md", "application/x-executable"),
        (bytes(range(256)) * 4, "notes.md", "application/octet-stream"),
        (bytes(4000), "report.txt", "application/x-zeros"),
        (bytes(4000), "report.docx", "application/x-zeros"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "picture.json", "image/png"),
        (b"SQLite format 3\0" + bytes(50), "data.csv", "application/vnd.sqlite3"),
        (b"\x1f\x8b\x08" + bytes(20), "x.tar.gz", "application/gzip"),
        (b"# Title\n", "a/b/README.md", "text/markdown"),
        ("# Über\n".encode("utf-16"), "note.md", "text/markdown"),
        ("Привет мир\n".encode("utf-16-le"), "note.txt", "text/plain"),
        ('["é"]'.encode("utf-16-be"), "x.json", "application/json"),
        (b"all: build\n", "Makefile", "text/x-makefile"),
        (b"FROM x\n", "Dockerfile.dev", "text/x-dockerfile"),
        (b"#!/usr/bin/env python3\nprint(1)\n", "run", "text/x-python"),
        (b"#!/bin/bash\necho\n", "run", "text/x-shellscript"),
        (b"<!DOCTYPE html><title>x</title>", "page.txt", "text/html"),
        (b"<!DOCTYPE html><title>x</title>", "page.php", "text/x-php"),
        (b"<?xml version='1.0'?><a/>", "noname", "application/xml"),
        (b"", "py.typed", "inode/x-empty"),
        (b"", "empty.py", "text/x-python"),
        (b"garbage 1 0 obj << >> endobj\ntrailer << >>", "cut.pdf", "application/pdf"),
        (b"I wrote about %PDF-1.4 files.", "note.txt", "text/plain"),
        (b"From a@b.c Thu Jan  1 10:00:00 2026\nFrom: a@b.c\n\nx\n", "Inbox", "application/mbox"),
        (b"From a@b.c Thu Jan  1 10:00:00 2026\r\nFrom: a@b.c\r\n\r\nx", "archive.txt", "application/mbox"),
        (b"From here on\nNote: x\n", "note.txt", "text/plain"),
        (b"Received: from x\n\tby y\nFrom: a@b.c\nSubject: x\n\nx\n", "saved.txt", "message/rfc822"),
        (b"From: a@b.c\nTo: d@e.f\nSubject: x\nDate: today\n\nx\n", "saved", "message/rfc822"),
        (b"To: do\nFrom: me\n\nbuy milk\n", "note.txt", "text/plain"),
        (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "download", "text/calendar"),
        (b"BEGIN:VCARD\r\nFN:x\r\n", "card.txt", "text/vcard"),
        (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nx\r\n", "film.txt", "application/x-subrip"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nx\n", "talk", "text/vtt"),
        (b"{1}{1}25\n{10}{20}x\n", "film.sub", "text/x-microdvd"),
        (b"[Script Info]\nTitle: x\n", "film", "text/x-ssa"),
        (b"no header", "mail.eml", "message/rfc822"),
    ],
)
def test_media_type(head: bytes, path: str, expected: str) -> None:
    assert found(head, path) == expected


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("ppt/presentation.xml", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ],
)
def test_office_files_are_told_by_their_members(member: str, expected: str) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("docProps/thumbnail.bin", bytes(range(256)) * 100)
        package.writestr(member, "<x/>")
    raw = made.getvalue()
    assert found(raw, "a.bin") == expected
    assert media_type(raw[:16384], raw[-4096:], "a.bin", len(raw)) == expected
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as package:
        package.writestr("a.txt", "x")
    assert found(other.getvalue(), "a.docx") == "application/zip"


def zipped(*names: str, first: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        if first:
            package.writestr("mimetype", first)
        for name in names:
            package.writestr(name, bytes(range(256)) * 100)
    return made.getvalue()


ODF = "application/vnd.oasis.opendocument"
BINARY_WORKBOOK = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("data", "path", "expected"),
    [
        (zipped("content.xml", first=f"{ODF}.text".encode()), "a.bin", f"{ODF}.text"),
        (zipped("content.xml", first=b"application/epub+zip"), "a.bin", "application/epub+zip"),
        (zipped("content.xml", first=b"application/epuX+zip"), "a.epub", "application/epub+zip"),
        (zipped("META-INF/manifest.xml", "content.xml"), "a.ods", f"{ODF}.spreadsheet"),
        (zipped("META-INF/container.xml", "book.opf"), "a.epub", "application/epub+zip"),
        (zipped("a.txt"), "a.epub", "application/zip"),
        (zipped("[Content_Types].xml", "xl/workbook.bin"), "a.xlsx", BINARY_WORKBOOK),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "a.xlsm", WORKBOOK),
        (zipped("xl/workbook.xml", "[Content_Types].xml")[:20_000], "a.xltx", WORKBOOK),
        (b"{\\rtf1 x}", "a.doc", "application/rtf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.docx", "application/x-ole-storage"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.xlt", "application/vnd.ms-excel"),
        (bytes(range(256)) * 8, "a.xlsx", WORKBOOK),
        (bytes(range(256)) * 8, "a.ppt", "application/vnd.ms-powerpoint"),
        (b"a;b\n1;2\n" * 20, "a.xls", "text/csv"),
    ],
)
def test_office_formats_and_books(data: bytes, path: str, expected: str) -> None:
    assert media_type(data[:16384], data[16384:][-4096:], path, len(data)) == expected


def test_magika_names_text_without_a_suffix() -> None:
    code = b"import os\nimport sys\n\n\ndef main(path: str) -> int:\n    return len(os.listdir(path))\n" * 4
    assert found(code, "script") == "text/x-python"
    assert found(b"just some words in a file without a suffix, that mean nothing.\n", "thing.zzz").startswith("text/")


def test_languages_have_suffixes() -> None:
    assert set(LANGUAGES) <= set(TYPES)
    assert len(LANGUAGES) >= 25


def test_common_text_is_fast() -> None:
    head = b"Some words of text, with a line end.\n" * 440
    start = time.perf_counter()
    for number in range(1000):
        media_type(head, b"", f"folder/note-{number}.md", 1_000_000)
    assert time.perf_counter() - start < 1.0


def test_an_overlong_stated_type_is_not_believed() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("mimetype", "application/" + "x" * 300)
    assert found(made.getvalue(), "a.bin") == "application/zip"

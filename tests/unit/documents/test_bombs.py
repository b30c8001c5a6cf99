"""Bombs end as ``too_large`` or with a problem named, in seconds and without taking much memory."""

import bz2
import copy
import gzip
import io
import lzma
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator

import pytest
from backports import zstd

from cortex_assets.documents.model import Limits, Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers import archive
from cortex_assets.documents.registry import parser_for
from cortex_assets.tables import Status

MEGABYTE = 1024 * 1024
SECONDS = 20.0
MEMORY = 400 * MEGABYTE


@pytest.fixture(autouse=True)
def _soon() -> Iterator[None]:
    """Every bomb is told within seconds."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS


@pytest.fixture
def little_memory() -> Iterator[None]:
    """What Python allocates stays below a limit."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


def opened(raw: bytes, media: str, path: str = "bomb", limits: Limits | None = None) -> list[ParsedDocument]:
    options = ParseOptions(limits=limits or Limits())
    source = ParseInput(io.BytesIO(raw), len(raw), path, media, options)
    return [item for item in parser_for(media).parser(source) if not isinstance(item, Mark)]


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return stream.getvalue()


def statuses(documents: list[ParsedDocument]) -> set[Status]:
    assert all(document.reason or document.status is Status.OK for document in documents)
    return {document.status for document in documents}


@pytest.mark.parametrize(
    ("media", "one"),
    [
        ("application/gzip", lambda: gzip.compress(b"\0" * (10 * MEGABYTE), 6, mtime=0)),
        ("application/x-bzip2", lambda: bz2.compress(b"\0" * (10 * MEGABYTE))),
        ("application/zstd", lambda: zstd.compress(b"\0" * (10 * MEGABYTE))),
        ("application/x-xz", lambda: lzma.compress(b"\0" * (10 * MEGABYTE), preset=0)),
    ],
)
@pytest.mark.usefixtures("little_memory")
def test_ten_gigabytes_of_zeros(media: str, one: object) -> None:
    assert callable(one)
    raw = one() * 1000
    assert statuses(opened(raw, media, "zeros.txt.gz")) == {Status.TOO_LARGE}


@pytest.mark.usefixtures("little_memory")
def test_ten_gigabytes_in_a_packed_tar() -> None:
    info = tarfile.TarInfo("zeros.bin")
    info.size = 200 * MEGABYTE
    block = gzip.compress(b"\0" * MEGABYTE, 6, mtime=0)
    header = gzip.compress(info.tobuf(), mtime=0)
    documents = opened((header + block * 200) * 50, "application/gzip", "zeros.tar.gz")
    assert statuses(documents) <= {Status.TOO_LARGE, Status.PARTIAL}
    assert any(d.inner == "" and "times its size" in (d.reason or "") for d in documents)


@pytest.mark.usefixtures("little_memory")
def test_a_zip_member_that_unpacks_a_thousandfold() -> None:
    raw = zipped({"zeros.txt": b"\0" * (20 * MEGABYTE), "fine.txt": b"text"})
    found = {document.inner: document for document in opened(raw, "application/zip")}
    assert found["/zeros.txt"].status is Status.TOO_LARGE and found["/fine.txt"].text == "text"


def test_a_zip_member_that_lies_about_its_size() -> None:
    raw = bytearray(zipped({"zeros.txt": b"\0" * (20 * MEGABYTE)}))
    start = raw.index(b"PK\x01\x02")
    raw[start + 24 : start + 28] = (1000).to_bytes(4, "little")
    assert statuses(opened(bytes(raw), "application/zip")) <= {Status.TOO_LARGE, Status.FAILED}
    # the same where only the headers of members are left
    assert Status.TOO_LARGE in statuses(opened(bytes(raw[:start]), "application/zip"))


def test_members_that_lie_over_each_other() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a.txt", b"\0" * (20 * MEGABYTE))
        first = package.filelist[0]
        for number in range(250):
            other = copy.copy(first)
            other.filename = f"{number}.txt"
            package.filelist.append(other)
    documents = opened(stream.getvalue(), "application/zip")
    assert [(d.inner, d.status) for d in documents] == [("", Status.TOO_LARGE)]
    assert "over each other" in (documents[0].reason or "")


@pytest.mark.usefixtures("little_memory")
def test_a_directory_with_a_million_members() -> None:
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 1_000_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, len(directory), 0, 0)
    documents = opened(directory + end, "application/zip")
    assert [(d.inner, d.status) for d in documents] == [("", Status.TOO_LARGE)]


def test_more_members_than_are_opened() -> None:
    raw = zipped({f"{number}.txt": b"text" for number in range(300)})
    documents = opened(raw, "application/zip", limits=Limits(members=100))
    assert sum(document.status is Status.OK for document in documents) == 100
    assert documents[-1].inner == "" and documents[-1].status is Status.PARTIAL
    assert "100 members" in (documents[-1].reason or "") and len(documents) == 101


def test_a_tar_with_very_many_members_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_LISTED", 10_000)
    link = tarfile.TarInfo("l")
    link.type, link.linkname = tarfile.SYMTYPE, "x"
    documents = opened(gzip.compress(link.tobuf() * 12_000, 1), "application/gzip", "links.tar.gz")
    assert [document.status for document in documents] == [Status.IGNORED, Status.TOO_LARGE]


def test_archives_in_archives_wider_and_deeper() -> None:
    raw = zipped({f"{number}.txt": b"\0" * 5000 for number in range(16)})
    for _ in range(5):
        raw = zipped({f"{number}.zip": raw for number in range(16)})
    documents = opened(raw, "application/zip", limits=Limits(members=500, depth=4))
    assert Status.TOO_LARGE in statuses(documents) and Status.OK not in statuses(documents)
    assert len(documents) < 1500


def test_an_archive_that_holds_archives_without_end() -> None:
    raw = zipped({"end.txt": b"the end"})
    for level in range(12):
        raw = gzip.compress(raw) if level % 2 else zipped({"again.zip": raw, "again.gz": raw})
    documents = opened(raw, "application/zip" if raw[:2] == b"PK" else "application/gzip", "again.zip")
    assert statuses(documents) == {Status.TOO_LARGE} and "containers deep" in (documents[0].reason or "")


@pytest.mark.usefixtures("little_memory")
def test_a_tar_member_and_a_header_that_say_they_are_huge() -> None:
    huge = tarfile.TarInfo("huge.txt")
    huge.size = 8 * 1024**4
    documents = opened(huge.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096, "application/x-tar")
    assert statuses(documents) == {Status.TOO_LARGE, Status.PARTIAL}
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 * 1024**3
    told = opened(header.tobuf(tarfile.GNU_FORMAT) + b"1" * 4096, "application/x-tar")
    assert statuses(told) == {Status.FAILED} and "huge" in (told[0].reason or "")


@pytest.mark.usefixtures("little_memory")
def test_a_sparse_tar_member() -> None:
    info = tarfile.TarInfo("holes.bin")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[386:398] = raw[398:410] = b"00000000000\0"
    raw[483:495] = (b"\x80" + (10 * 1024**3).to_bytes(11, "big"))[:12]
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw)
    assert Status.TOO_LARGE in statuses(opened(bytes(raw) + b"\0" * 1024, "application/x-tar"))


def test_an_xz_dictionary_and_a_zstandard_window_that_are_too_large() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]
    raw = bytearray(lzma.compress(b"x" * 1000, filters=filters))
    at = raw.index(b"\x21\x01") + 2
    raw[at] = 40  # a dictionary of 4 GB
    raw[20:24] = zlib.crc32(bytes(raw[12:20])).to_bytes(4, "little")
    documents = opened(bytes(raw), "application/x-xz", "x.txt.xz")
    assert statuses(documents) == {Status.TOO_LARGE}
    window = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    assert statuses(opened(window, "application/zstd", "x.txt.zst")) <= {Status.TOO_LARGE, Status.FAILED}


def test_the_total_of_all_members_is_bounded() -> None:
    noise = zlib.compress(b"".join(struct.pack("<I", zlib.crc32(bytes([n % 251, n % 241]))) for n in range(60_000)))
    raw = zipped({f"{number}.bin": noise * 4 for number in range(40)})
    documents = opened(raw, "application/zip", limits=Limits(total_bytes=2 * len(noise) * 4))
    refused = [document for document in documents if document.status is Status.TOO_LARGE]
    assert len(refused) == 38 and "in all" in (refused[0].reason or "")

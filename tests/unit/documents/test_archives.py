"""Archives opened as folders: what is read, what is left out, and what is said of damaged ones."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import py7zr
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.gather import RowGatherer
from cortex_assets.documents.members import inner_path
from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parse import FileInput
from cortex_assets.documents.registry import parser_for
from cortex_assets.documents.schema import Documents
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status

FILES = {"docs/a.md": b"# Hello\n\nworld", "b.txt": b"plain " * 200}


def opened(
    raw: bytes, path: str, options: ParseOptions | None = None, media: str | None = None
) -> list[ParsedDocument]:
    """All documents of an archive, its media type found by its content."""
    found = media or media_type(raw[:HEAD_BYTES], raw[HEAD_BYTES:][-TAIL_BYTES:], path, len(raw))
    source = ParseInput(io.BytesIO(raw), len(raw), path, found, options or ParseOptions())
    documents = [item for item in parser_for(found).parser(source) if not isinstance(item, Mark)]
    for document in documents:
        assert document.reason or document.status is Status.OK
    return documents


def by_inner(documents: list[ParsedDocument]) -> dict[str, ParsedDocument]:
    found = {document.inner: document for document in documents}
    assert len(found) == len(documents)
    return found


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return stream.getvalue()


def tarred(files: dict[str, bytes], others: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return stream.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class ZipCrypto:
    """The old encryption of ZIP, which the standard library only reads."""

    def __init__(self, password: bytes) -> None:
        self.keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._update(byte)

    def _update(self, byte: int) -> None:
        first = zlib.crc32(bytes([byte]), self.keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        second = ((self.keys[1] + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = zlib.crc32(bytes([second >> 24]), self.keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        self.keys = [first, second, third]

    def encrypt(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            key = self.keys[2] | 2
            out.append(byte ^ (((key * (key ^ 1)) >> 8) & 0xFF))
            self._update(byte)
        return bytes(out)


def locked_zip(name: str, content: bytes, password: bytes) -> bytes:
    """A ZIP archive of one stored member, encrypted."""
    crc = zlib.crc32(content)
    data = ZipCrypto(password).encrypt(b"\0" * 11 + bytes([crc >> 24]) + content)
    raw = bytearray(zipped({name: data}, zipfile.ZIP_STORED))
    start = raw.index(b"PK\x01\x02")
    for at, flags, crc_at, size_at in ((0, 6, 14, 22), (start, 8, 16, 24)):
        raw[at + flags] |= 1
        raw[at + crc_at : at + crc_at + 4] = crc.to_bytes(4, "little")
        raw[at + size_at : at + size_at + 4] = len(content).to_bytes(4, "little")
    return bytes(raw)


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", lambda raw: gzip.compress(raw, mtime=0)),
    (".bz2", bz2.compress),
    (".xz", lambda raw: lzma.compress(raw, preset=0)),
    (".zst", zstd.compress),
]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_a_zip_are_documents_and_the_archive_has_no_row(method: int) -> None:
    found = by_inner(opened(zipped(FILES, method), "x.zip"))
    assert set(found) == {"/docs/a.md", "/b.txt"}
    assert found["/docs/a.md"].kind == "markdown" and found["/docs/a.md"].title == "Hello"
    assert found["/b.txt"].text == FILES["b.txt"].decode()


@pytest.mark.parametrize(("suffix", "pack"), PACKERS)
def test_packed_tars_and_packed_files(suffix: str, pack: Callable[[bytes], bytes]) -> None:
    found = by_inner(opened(pack(tarred(FILES)), "x.tar" + suffix))
    assert set(found) == {"/docs/a.md", "/b.txt"} and found["/b.txt"].text == FILES["b.txt"].decode()
    alone = opened(pack(b"# Title\n\nbody"), "notes.md" + suffix)
    assert [(d.inner, d.kind, d.title) for d in alone] == [("/notes.md", "markdown", "Title")]
    joined = opened(pack(b"one ") + pack(b"two"), "log.txt" + suffix)
    assert [d.text for d in joined] == ["one two"]


@pytest.mark.parametrize(("suffix", "pack"), PACKERS)
def test_a_packed_file_that_is_cut_off_gives_its_start_and_says_so(suffix: str, pack: Callable[[bytes], bytes]) -> None:
    noise = "\n".join(f"line {number} {zlib.crc32(str(number).encode())}" for number in range(60_000)).encode()
    raw = pack(noise)
    found = by_inner(opened(raw[: len(raw) * 9 // 10], "log.txt" + suffix))
    assert found[""].status is Status.PARTIAL and "cut off" in (found[""].reason or "")
    assert len(found["/log.txt"].text) > 1000 and noise.decode().startswith(found["/log.txt"].text)


def test_names_never_leave_the_archive() -> None:
    names = ["../../etc/passwd", "/abs/b.txt", "C:\\win\\c.txt", "a/../../d.txt", "..\\..\\e.txt"]
    found = by_inner(opened(zipped(dict.fromkeys(names, b"text")), "x.zip"))
    assert set(found) == {"/etc/passwd", "/abs/b.txt", "/win/c.txt", "/a/d.txt", "/e.txt"}
    assert set(by_inner(opened(tarred({"../../up.txt": b"x"}), "x.tar"))) == {"/up.txt"}


@given(st.text(max_size=60))
def test_any_name_is_a_path_inside(name: str) -> None:
    parts = inner_path(name).split("/")
    assert parts[0] == "" and len(parts) > 1 and not {"", ".", ".."} & set(parts[1:])


def test_links_and_devices_are_not_followed_but_named() -> None:
    others = (
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("other", tarfile.SYMTYPE, "b.txt"),
        special("hard", tarfile.LNKTYPE, "b.txt"),
        special("disk", tarfile.BLKTYPE),
        special("pipe", tarfile.FIFOTYPE),
        special("folder", tarfile.DIRTYPE),
    )
    found = by_inner(opened(tarred(FILES, others), "x.tar"))
    assert set(found) == {"/docs/a.md", "/b.txt", "/link", "/disk"}
    assert found["/link"].status is Status.IGNORED and "3 members" in (found["/link"].reason or "")
    assert found["/disk"].status is Status.IGNORED and "devices" in (found["/disk"].reason or "")


def test_a_link_in_a_zip_is_not_followed() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        package.writestr(info, "/etc/passwd")
        package.writestr("a.txt", "text")
    found = by_inner(opened(stream.getvalue(), "x.zip"))
    assert found["/link"].status is Status.IGNORED and found["/a.txt"].text == "text"


def test_what_folders_leave_out_is_left_out_with_one_row_for_each_rule() -> None:
    noise = {f"app/node_modules/m{n}/index.js": b"x" for n in range(40)}
    files = {**noise, "__MACOSX/._a.txt": b"x", ".DS_Store": b"x", "app/main.py": b"x = 1", "dist/page.md": b"# Page"}
    found = by_inner(opened(zipped(files), "x.zip"))
    read = {inner for inner, document in found.items() if document.status is Status.OK}
    assert read == {"/app/main.py", "/dist/page.md"}
    assert "40 members" in (found["/app/node_modules"].reason or "")
    assert {found[inner].status for inner in found.keys() - read} == {Status.IGNORED} and len(found) == 5


def test_rows_of_an_archive_fit_the_table() -> None:
    found = opened(zipped({"a.txt": b"text", "b.zip": b"PK\x03\x04", ".DS_Store": b"x"})[:-5], "x.zip")
    file = FileInput(
        "f" * 32, "c" * 32, "notes", "x.zip", "application/zip", 3, datetime(2026, 1, 1, tzinfo=UTC), "zip"
    )
    gatherer = RowGatherer()
    for document in found:
        gatherer.add(file, document)
    rows = gatherer.frame()
    Documents.validate(rows)
    assert dict(zip(rows["inner"], rows["status"], strict=True)) == {
        "/a.txt": "ok",
        "/b.zip": "failed",
        "/.DS_Store": "ignored",
        "": "partial",
    }
    assert rows["title"].to_list() == ["a", "b", ".DS_Store", "x"]


def test_archives_with_nothing_to_read_have_a_row_that_says_so() -> None:
    for raw, path in ((zipped({}), "x.zip"), (zipped({"folder/": b""}), "x.zip"), (tarred({}), "x.tar")):
        documents = opened(raw, path, media=None if path == "x.zip" else "application/x-tar")
        assert [(d.inner, d.status) for d in documents] == [("", Status.EMPTY)]
    only_noise = opened(zipped({".DS_Store": b"x"}), "x.zip")
    assert [(d.inner, d.status) for d in only_noise] == [("/.DS_Store", Status.IGNORED), ("", Status.EMPTY)]
    assert opened(gzip.compress(tarred({})), "x.tar.gz")[0].status is Status.EMPTY


def test_a_broken_member_costs_only_itself() -> None:
    raw = bytearray(zipped({"a.txt": b"first " * 99, "b.txt": b"second", "c.txt": b"third"}, zipfile.ZIP_STORED))
    raw[raw.index(b"first") + 3] ^= 0xFF
    found = by_inner(opened(bytes(raw), "x.zip"))
    assert found["/a.txt"].status is Status.FAILED and "CRC" in (found["/a.txt"].reason or "")
    assert [found[name].text for name in ("/b.txt", "/c.txt")] == ["second", "third"] and "" not in found


def test_a_zip_without_its_directory_is_read_by_the_members_headers() -> None:
    raw = zipped({**FILES, "c.txt": b"last " * 500})
    found = by_inner(opened(raw[: raw.index(b"PK\x01\x02")], "x.zip"))
    assert found[""].status is Status.PARTIAL and "directory" in (found[""].reason or "")
    assert [found[name].status for name in ("/docs/a.md", "/b.txt", "/c.txt")] == [Status.OK] * 3
    cut = by_inner(opened(raw[: raw.index(b"c.txt") + 20], "x.zip"))
    assert cut["/c.txt"].status is Status.FAILED and "cut off" in (cut["/c.txt"].reason or "")
    assert cut["/b.txt"].text == FILES["b.txt"].decode()
    assert [d.status for d in opened(raw[:20], "x.zip")] == [Status.FAILED]


def test_a_streamed_zip_without_its_directory_is_read_too() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *arguments: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    stream = Pipe()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in FILES.items():
            package.writestr(name, content)
    raw = stream.getvalue()
    found = by_inner(opened(raw[: raw.index(b"PK\x01\x02")], "x.zip"))
    assert found["/b.txt"].text == FILES["b.txt"].decode() and found[""].status is Status.PARTIAL


def test_a_tar_that_is_cut_off_or_damaged_says_so() -> None:
    raw = tarred({**FILES, "c.txt": b"last " * 500})
    at = raw.index(b"c.txt")
    cut = by_inner(opened(raw[: at + 900], "x.tar"))
    assert cut[""].status is Status.PARTIAL and cut["/c.txt"].status is Status.FAILED
    at_border = by_inner(opened(raw[:at], "x.tar"))
    assert "may be cut off" in (at_border[""].reason or "") and at_border["/b.txt"].status is Status.OK
    bad = bytearray(raw)
    bad[raw.index(b"b.txt") + 30] ^= 0xFF
    damaged = by_inner(opened(bytes(bad), "x.tar"))
    assert damaged[""].status is Status.PARTIAL and "bad headers" in (damaged[""].reason or "")
    assert damaged["/c.txt"].status is Status.OK and "/b.txt" not in damaged


def test_passwords_open_the_old_encryption() -> None:
    raw = locked_zip("secret.txt", b"the secret text", b"open sesame")
    told = opened(raw, "x.zip")
    assert [(d.inner, d.status) for d in told] == [("", Status.FAILED)] and "encrypted" in (told[0].reason or "")
    wrong = opened(raw, "x.zip", ParseOptions(passwords=("wrong",)))
    assert "none of the 1 passwords" in (wrong[0].reason or "") and "wrong" not in (wrong[0].reason or "")
    right = opened(raw, "x.zip", ParseOptions(passwords=("wrong", "open sesame")))
    assert [(d.inner, d.text) for d in right] == [("/secret.txt", "the secret text")]


def test_aes_and_rare_methods_are_told_apart() -> None:
    def patched(method: int, flags: int) -> bytes:
        raw = bytearray(zipped({"a.txt": b"x" * 50, "b.txt": b"y" * 50}))
        start = raw.index(b"PK\x01\x02")
        raw[8:10] = raw[start + 10 : start + 12] = method.to_bytes(2, "little")
        raw[6] |= flags
        raw[start + 8] |= flags
        return bytes(raw)

    aes = by_inner(opened(patched(99, 1), "x.zip"))
    assert aes["/a.txt"].status is Status.UNSUPPORTED and "AES" in (aes["/a.txt"].reason or "")
    assert aes["/b.txt"].text == "y" * 50
    rare = by_inner(opened(patched(9, 0), "x.zip"))
    assert rare["/a.txt"].status is Status.UNSUPPORTED and "deflate64" in (rare["/a.txt"].reason or "")


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("Übersicht.txt", "Übersicht.txt".encode("cp437")),
        ("Übersicht.txt", "Übersicht.txt".encode()),
        ("日本語の資料と議事録です.txt", "日本語の資料と議事録です.txt".encode("cp932")),
    ],
)
def test_names_without_a_stated_encoding(name: str, raw: bytes) -> None:
    placeholder = "n" * len(raw)
    archive = zipped({placeholder: b"text"}).replace(placeholder.encode(), raw)
    assert [d.inner for d in opened(archive, "x.zip")] == ["/" + name]


def test_zip64_is_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package, package.open("a.txt", "w", force_zip64=True) as member:
        member.write(b"large in principle")
    assert [d.text for d in opened(stream.getvalue(), "x.zip")] == ["large in principle"]


def test_archives_in_archives() -> None:
    inside = gzip.compress(tarred({"deep.txt": b"found"}))
    found = by_inner(opened(zipped({"pack/x.tgz": inside, "broken.zip": zipped(FILES)[:20]}), "x.zip"))
    assert found["/pack/x.tgz/deep.txt"].text == "found"
    assert found["/broken.zip"].status is Status.FAILED and len(found) == 2


def test_a_member_that_ended_an_attempt_is_not_unpacked_again() -> None:
    options = ParseOptions(avoid={"/b.txt": "crashed: signal 11"})
    for raw, path in ((zipped(FILES), "x.zip"), (tarred(FILES), "x.tar")):
        found = by_inner(opened(raw, path, options))
        assert found["/b.txt"].status is Status.QUARANTINED and found["/docs/a.md"].status is Status.OK


def seven_zipped(files: dict[str, bytes], password: str | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", password=password, **options) as archive:
        for name, content in files.items():
            archive.writestr(content, name)
    return stream.getvalue()


@pytest.mark.parametrize("method", [py7zr.FILTER_LZMA2, py7zr.FILTER_COPY, py7zr.FILTER_ZSTD, py7zr.FILTER_BZIP2])
def test_members_of_a_7z_archive(method: int) -> None:
    files = {**FILES, "empty.txt": b"", "node_modules/x.js": b"x", "deep/x.zip": zipped({"in.txt": b"inside"})}
    found = by_inner(opened(seven_zipped(files, filters=[{"id": method}]), "x.7z"))
    assert found["/b.txt"].text == FILES["b.txt"].decode() and found["/docs/a.md"].title == "Hello"
    assert found["/deep/x.zip/in.txt"].text == "inside"
    assert found["/empty.txt"].status is Status.EMPTY and found["/node_modules"].status is Status.IGNORED
    assert len(found) == 5


@pytest.mark.parametrize("header", [False, True])
def test_passwords_open_a_7z_archive(header: bool) -> None:
    raw = seven_zipped({"a.txt": b"the secret text"}, "open sesame", header_encryption=header)
    for passwords in ((), ("wrong",)):
        told = opened(raw, "x.7z", ParseOptions(passwords=passwords))
        assert [(d.inner, d.status) for d in told] == [("", Status.FAILED)] and "encrypted" in (told[0].reason or "")
    right = opened(raw, "x.7z", ParseOptions(passwords=("wrong", "open sesame")))
    assert [(d.inner, d.text) for d in right] == [("/a.txt", "the secret text")]


def test_damaged_7z_archives_and_bombs() -> None:
    raw = seven_zipped({"a.txt": b"first " * 50, "b.txt": b"second " * 50}, filters=[{"id": py7zr.FILTER_COPY}])
    bad = bytearray(raw)
    bad[raw.index(b"second") + 2] ^= 0xFF
    found = by_inner(opened(bytes(bad), "x.7z"))
    assert found["/a.txt"].text == "first " * 50 and found["/b.txt"].status is Status.FAILED
    assert [d.status for d in opened(raw[:-20], "x.7z")] == [Status.FAILED]
    bomb = opened(seven_zipped({"zeros.txt": b"\0" * 20_000_000}), "x.7z")
    assert [(d.inner, d.status) for d in bomb] == [("", Status.TOO_LARGE)]
    again = opened(raw, "x.7z", ParseOptions(avoid={"unpacking": "timed out"}))
    assert [d.status for d in again] == [Status.QUARANTINED]


def test_more_than_is_unpacked_of_a_7z_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.seven_zip.MAX_UNPACKED", 100)
    found = by_inner(opened(seven_zipped({"a.txt": b"a" * 90, "b.txt": b"b" * 90, "c.txt": b"c"}), "x.7z"))
    assert found["/b.txt"].status is Status.TOO_LARGE
    assert found["/a.txt"].status is found["/c.txt"].status is Status.OK


@pytest.mark.parametrize(
    ("head", "remedy"),
    [(b"Rar!\x1a\x07\x01\x00", "unpack"), (b"\0" * 8 + b"DUCK" + b"\0" * 50, "EXPORT DATABASE")],
)
def test_what_is_not_read_has_a_remedy(head: bytes, remedy: str) -> None:
    documents = opened(head, "x.bin")
    assert documents[0].status is Status.UNSUPPORTED and remedy in (documents[0].reason or "")


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300), st.sampled_from(["zip", "tar", "gz", "xz", "7z"]), st.data())
def test_damage_of_any_kind_never_escapes(noise: bytes, kind: str, data: st.DataObject) -> None:
    pack = {
        "zip": zipped,
        "tar": tarred,
        "gz": lambda f: gzip.compress(tarred(f)),
        "xz": lambda f: lzma.compress(tarred(f)),
        "7z": seven_zipped,
    }
    media = {
        "zip": "application/zip",
        "tar": "application/x-tar",
        "gz": "application/gzip",
        "xz": "application/x-xz",
        "7z": "application/x-7z-compressed",
    }
    raw = bytearray(pack[kind](FILES))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + len(noise)] = noise
    assert opened(bytes(raw), f"x.{kind}", media=media[kind])

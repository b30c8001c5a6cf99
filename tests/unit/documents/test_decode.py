"""Encodings: the same text in many encodings gives the same words; parts joined are the text; doubt is said."""

import io
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents import decode as module
from cortex_assets.documents.decode import NotTextError, decode, decode_as, is_blank, text_parts

TEXTS = {
    "english": "Hello world, this is a text.\nSecond line, quite plain.\n",
    "german": "Die größte Übung für Männer: äöü ß.\r\nEin zweiter Satz über Öl.\r\n",
    "french": "L'été à la plage, ça va très bien. Où êtes-vous ?\n",
    "japanese": "これは日本語のテキストです。検索できる言葉がここにあります。\n東京都の天気は晴れ。\n",
    "chinese": "这是一个中文文本，用来测试编码检测。\n搜索引擎应该能找到这些词语。\n",
    "russian": "Привет, мир. Это русский текст для проверки.\nВторая строка.\n",
}
WIDE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
LEGACY = [("german", "cp1252"), ("german", "latin-1"), ("french", "latin-1"), ("japanese", "cp932"), ("chinese", "gbk")]


@pytest.mark.parametrize("times", [1, 30])
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", WIDE)
def test_unicode_encodings_give_the_same_text(name: str, encoding: str, times: int) -> None:
    text = TEXTS[name] * times
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert not decoded.encoding.is_doubtful
    assert decoded.encoding.reason is None


@pytest.mark.parametrize("times", [1, 30])
@pytest.mark.parametrize(("name", "encoding"), LEGACY)
def test_legacy_encodings_give_the_same_text(name: str, encoding: str, times: int) -> None:
    text = TEXTS[name] * times
    assert decode(text.encode(encoding)).text == text


def test_guesses_are_flagged() -> None:
    decoded = decode("Привет, мир. Это текст.".encode("koi8-r"))
    assert decoded.encoding.is_doubtful
    assert "guessed" in (decoded.encoding.reason or "")


def test_a_few_bad_bytes_do_not_turn_utf8_into_mojibake() -> None:
    data = TEXTS["japanese"].encode() + b"\xff\xfe ok"
    decoded = decode(data)
    assert decoded.encoding.name == "utf-8"
    assert decoded.encoding.bad_bytes == 2
    assert decoded.text.startswith(TEXTS["japanese"]) and decoded.text.endswith(" ok")


def test_a_lone_surrogate_is_replaced_and_storable() -> None:
    decoded = decode("日本 ".encode() + b"\xed\xa0\x80" + " 語".encode())
    decoded.text.encode("utf-8")
    assert decoded.encoding.bad_bytes


def test_nuls_in_text_stay() -> None:
    decoded = decode(b"one\0two, and enough text around it to be text")
    assert "one\0two" in decoded.text
    assert decoded.encoding.is_doubtful


@pytest.mark.parametrize("data", [bytes(range(256)) * 8, b"\x7fELF" + bytes(500), b"\0\1\2\3" * 100])
def test_binary_is_refused(data: bytes) -> None:
    with pytest.raises(NotTextError, match="binary"):
        decode(data)


def test_a_declared_charset_is_taken_where_it_fits() -> None:
    assert decode_as("Łódź".encode("iso-8859-2"), "iso-8859-2").text == "Łódź"
    assert decode_as("Łódź".encode(), "iso-8859-2").text == "Łódź"
    assert decode_as("größe".encode("cp1252"), "no-such-charset").text == "größe"


@given(st.text(), st.integers(1, 40))
def test_parts_joined_are_the_text(text: str, limit: int) -> None:
    data = text.encode("utf-8", "replace")
    whole = "".join(part for part, _ in text_parts(io.BytesIO(b"\xef\xbb\xbf" + data), len(data), limit))
    assert whole == data.decode()


@given(
    st.lists(st.sampled_from(["word ", "\r\n", "\n\n", "e\u0301", "\U0001f468\u200d\U0001f469", "x" * 7]), min_size=9)
)
def test_parts_end_between_characters(pieces: list[str]) -> None:
    text = "".join(pieces)
    parts = [part for part, _ in text_parts(io.BytesIO(text.encode()), len(text.encode()), 40)]
    assert "".join(parts) == text
    assert all(len(part) <= 40 for part in parts)
    for left, right in pairwise(parts):
        assert not (left.endswith("\r") and right.startswith("\n"))
        assert not right.startswith(("\u0301", "\u200d"))


def test_parts_end_at_blank_lines_and_stay_where_they_are_after_an_edit() -> None:
    text = "".join(f"Paragraph {n} has some words in it.\n\n" for n in range(3000))
    parts = [part for part, _ in text_parts(io.BytesIO(text.encode()), len(text), 10_000)]
    assert all(part.endswith("\n\n") for part in parts)
    edited = "One more line.\n\n" + text
    again = [part for part, _ in text_parts(io.BytesIO(edited.encode()), len(edited), 10_000)]
    assert len(set(parts) & set(again)) >= len(parts) - 4


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=60), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_streamed_files_are_read_as_whole_ones(text: str, encoding: str) -> None:
    raw = (text.encode("utf-8", "replace").decode() + " end of the line\n") * 50
    data = raw.encode(encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE_BYTES", 100)
        patch.setattr(module, "_BLOCK", 64)
        try:
            expected = decode(data).text
        except NotTextError:
            return
        assert "".join(part for part, _ in text_parts(io.BytesIO(data), len(data), 200)) == expected


def test_a_bad_byte_far_into_a_streamed_file_is_found() -> None:
    data = "größe und maße\n".encode() * 2_000_000
    data = data[:25_000_010] + b"\xff" + data[25_000_010:]
    parts = list(text_parts(io.BytesIO(data), len(data)))
    assert parts[0][1].name == "utf-8"
    assert parts[0][1].is_doubtful
    assert sum(part.count("ÿ") for part, _ in parts) == 1


class _Endless(io.RawIOBase):
    """A large file that is made while it is read."""

    line = b"Some line of a very large file, with words.\n" * 1000

    def __init__(self, size: int) -> None:
        self.size, self.at = size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.size - self.at)
        start = self.at % len(self.line)
        self.at += size
        return (self.line * (size // len(self.line) + 2))[start : start + size]


def test_memory_does_not_grow_with_the_file() -> None:
    size = 48 * 1024 * 1024
    tracemalloc.start()
    total = sum(len(part) for part, _ in text_parts(_Endless(size), size))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == size
    assert peak < 30 * 1024 * 1024


def test_a_legacy_byte_that_the_sample_does_not_show_is_counted_not_fatal() -> None:
    western = "Où êtes-vous à la plage. ".encode("cp1252") * 30_000
    decoded = decode(western + b"\x81" + b" end")
    assert decoded.encoding.name == "cp1252"
    assert decoded.encoding.bad_bytes == 1
    assert decoded.text.endswith("\ufffd end")


def test_a_high_byte_far_into_one_long_line_is_found() -> None:
    decoded = decode(b"plain words " * 60_000 + "Straße und Öl".encode("cp1252"))
    assert decoded.text.endswith("Straße und Öl")


def test_long_plain_lines_before_a_legacy_byte_take_no_time() -> None:
    begin = time.process_time()
    decoded = decode(b"plain words " * 100_000 + "\nStraße und Öl\n".encode("cp1252"))
    assert decoded.text.endswith("Straße und Öl\n")
    assert time.process_time() - begin < 3  # it took minutes where each place in the line was a new beginning


@pytest.mark.parametrize("text", ["", " \n", "\ufeff", "\u200b\u200b", "\x80", "\x1f\0", "\u00a0\u3000"])
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "a")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize(("wide", "narrow"), [(1, 1), (1, 5), (50, 50)])
def test_western_lines_among_utf8_lines_are_read_and_told(wide: int, narrow: int, encoding: str) -> None:
    text = TEXTS["german"]
    decoded = decode(text.encode() * wide + text.encode(encoding) * narrow)
    assert decoded.text == text * (wide + narrow)
    assert decoded.encoding.is_partial and decoded.encoding.confidence <= 0.5
    assert "mixed" in (decoded.encoding.reason or "")


def test_few_bytes_are_not_taken_for_a_wide_encoding() -> None:
    decoded = decode(b"caf\xe9 \x81")
    assert decoded.text.startswith("café ")
    assert decoded.encoding.is_partial
    assert "no encoding fits" in (decoded.encoding.reason or "")

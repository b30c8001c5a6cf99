"""The same text in any encoding gives the same words, whatever format carries it; what is not sure is said (F18)."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.decode import NotTextError, decode, decode_as
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.html import _declared
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import media_type
from cortex_assets.tables import Status

TEXTS = {
    "english": "The quick brown fox jumps over the lazy dog, twice a day and once at night.",
    "german": "Die größte Übung für Männer und Frauen: süße Äpfel, schöne Öfen, heiße Brötchen.",
    "french": "L'été à la plage, ça va très bien, où êtes-vous allés après le café préféré ?",
    "japanese": "これは日本語のテキストです。検索できる言葉がここにあります。東京都の天気は晴れ。",
    "chinese": "这是一个中文文本，用来测试编码检测。搜索引擎应该能找到这些词语，我们在这里写了很多的字。",
    "taiwan": "這是一個中文文本，用來測試編碼檢測。搜尋引擎應該能找到這些詞語，我們在這裡寫了很多的字。",
    "korean": "이것은 한국어 텍스트입니다. 인코딩 감지를 시험합니다. 검색 엔진은 이 단어들을 찾아야 합니다.",
    "russian": "Привет, мир. Это русский текст для проверки кодировок, в нём есть слова для поиска.",
}
WIDE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
LEGACY = {
    "english": ("latin-1",),
    "german": ("cp1252", "latin-1"),
    "french": ("cp1252", "latin-1"),
    "japanese": ("cp932", "euc-jp", "iso2022_jp"),
    "chinese": ("gbk", "gb18030"),
    "taiwan": ("big5",),
    "korean": ("euc-kr", "cp949"),
    "russian": ("koi8-r", "cp1251", "iso8859-5"),
}
# File name to what carries the text, once in a line.
FORMATS = {
    "a.txt": "{}\n{}\n",
    "a.md": "# {}\n\n- {}\n",
    "a.py": "# {}\nx = '{}'\n",
    "a.sql": "-- {}\nSELECT 1; -- {}\n",
    "a.html": "<!DOCTYPE html><html><head><title>x</title></head><body><p>{}</p><p>{}</p></body></html>",
    "a.csv": "name,note\n1,{}\n2,{}\n",
    "a.json": '{{"first": "{}", "second": "{}"}}\n',
    "a.jsonl": '{{"a": "{}"}}\n{{"a": "{}"}}\n',
    "a.yaml": "first: '{}'\nsecond: |\n  {}\n".replace("'{}'", "|\n  {}"),
    "a.xml": "<?xml version='1.0'?>\n<doc><p>{}</p><p>{}</p></doc>\n",
    "a.ini": "[part]\na = {}\nb = {}\n",
    "a.rst": "Title\n=====\n\n{}\n\n{}\n",
    "a.tex": "\\section{{One}}\n{}\n\n{}\n",
    "a.org": "* One\n{}\n{}\n",
    "a.adoc": "= One\n\n{}\n\n{}\n",
    "a.bib": "@book{{one,\n title = {{{}}},\n note = {{{}}},\n}}\n",
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\n{}\n\n2\n00:00:03,000 --> 00:00:04,000\n{}\n",
    "a.ipynb": '{{"cells": [{{"cell_type": "markdown", "source": "{}"}}, {{"cell_type": "raw", "source": "{}"}}],'
    ' "metadata": {{}}, "nbformat": 4}}',
}
CASES = [(name, encoding) for name in TEXTS for encoding in (*WIDE, *LEGACY[name])]
_WORD = re.compile(r"\w+")


def parsed(raw: bytes, name: str) -> ParsedDocument:
    """The one document of a file, found as any file is."""
    media = media_type(raw[:16384], raw[-4096:] if len(raw) > 16384 else b"", name, len(raw))
    (document,) = parser_for(media).parser(ParseInput(io.BytesIO(raw), len(raw), name, media))
    assert isinstance(document, ParsedDocument)
    return document


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_every_format_gives_the_same_words(name: str, language: str, encoding: str) -> None:
    text = FORMATS[name].format(TEXTS[language], TEXTS[language])
    document = parsed(text.encode(encoding), name)
    wanted = _WORD.findall(TEXTS[language])
    assert document.status is Status.OK, document.reason
    found = set(_WORD.findall(document.text))
    assert set(wanted) <= found
    if encoding in WIDE:
        assert document.reason is None


@pytest.mark.parametrize(
    ("head", "encoding", "text"),
    [
        ('<html><head><meta charset="iso-8859-2"></head><body>{}</body></html>', "iso-8859-2", "Zażółć gęślą jaźń"),
        ('<html><head><meta http-equiv="Content-Type" content="text/html; charset=big5"></head><body>{}</body></html>',
         "big5", "這是中文"),
        ("<html><head><meta charset=utf-8></head><body>{}</body></html>", "cp1252", "größte Übung für alle Männer"),
    ],
)  # fmt: skip
def test_a_page_is_read_as_it_says_where_that_fits(head: str, encoding: str, text: str) -> None:
    assert text in parsed(head.format(text).encode(encoding), "a.html").text


@pytest.mark.parametrize("encoding", ["iso-8859-2", "koi8-r", "cp1255", "euc-kr", "cp1252"])
def test_xml_is_read_as_its_declaration_says(encoding: str) -> None:
    words = {"iso-8859-2": "Zażółć gęślą jaźń", "koi8-r": "Да", "cp1255": "שלום", "euc-kr": "한글", "cp1252": "é"}[
        encoding
    ]
    text = f"<?xml version='1.0' encoding='{encoding}'?>\n<a>{words}</a>\n"
    document = parsed(text.encode(encoding), "a.xml")
    assert document.text == text
    assert document.reason is None


def test_code_is_read_as_its_coding_line_says() -> None:
    text = "#!/usr/bin/python\n# -*- coding: iso-8859-2 -*-\nx = 'Łódź'\n"
    assert parsed(text.encode("iso-8859-2"), "a.py").text == text


def test_a_declaration_that_does_not_fit_is_not_taken() -> None:
    text = "<?xml version='1.0' encoding='us-ascii'?>\n<a>größte Übung für Männer</a>\n"
    assert parsed(text.encode("cp1252"), "a.xml").text == text
    assert parsed(text.encode("utf-8"), "a.xml").text == text
    unknown = text.replace("us-ascii", "no-such")
    assert parsed(unknown.encode("cp1252"), "a.xml").text == unknown


def test_latin_lines_within_utf8_keep_their_words_and_are_flagged() -> None:
    raw = "Größe und Maße stehen hier.\n".encode() * 6 + "Straße für schöne Häuser\n".encode("latin-1")
    document = parsed(raw, "a.txt")
    assert document.status is Status.PARTIAL
    assert "cp1252" in (document.reason or "")
    assert document.text.endswith("Straße für schöne Häuser\n")
    assert document.encoding == "utf-8"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_short_texts_are_right_or_doubtful(data: st.DataObject) -> None:
    """About twenty bytes from anywhere in a text: never another text without a word of doubt."""
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    encoding = data.draw(st.sampled_from(LEGACY[name]))
    start = data.draw(st.integers(0, len(TEXTS[name]) - 8))
    piece = TEXTS[name][
        start : start + (10 if len("".join(TEXTS[name].encode(encoding).hex())) > 3 * len(TEXTS[name]) else 20)
    ]
    decoded = decode(piece.encode(encoding))
    assert decoded.text == piece or decoded.encoding.is_doubtful


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=30), st.sampled_from(WIDE))
def test_any_text_with_a_mark_or_in_utf8_is_read_as_it_is(text: str, encoding: str) -> None:
    if encoding.endswith(("-le", "-be")) or text.startswith("\ufeff") or "\0" in text:
        return
    try:
        assert decode(text.encode(encoding)).text == text
    except NotTextError:
        pytest.fail("text was taken for binary")


def test_pages_of_html5lib_are_read_as_browsers_read_them() -> None:
    """All but one, whose charset a script changes while it is loaded, and one whose bytes are UTF-8 whatever it says."""
    folder = Path(__file__).parents[3].parent / "shared" / "data" / "bad_inputs" / "html5lib" / "encoding"
    if not folder.exists():
        pytest.skip("the shared data is not here")
    same = total = 0
    for path in sorted(folder.glob("*.dat")):
        for case in path.read_bytes().split(b"#data\n")[1:]:
            data, _, label = case.rpartition(b"\n#encoding\n")
            name = label.strip().decode().lower()
            expected = data.decode({"iso-8859-1": "cp1252", "shift_jis": "cp932"}.get(name, name), "replace")
            same += decode_as(data, _declared(data)).text == expected.removeprefix("\ufeff")
            total += 1
    assert total >= 80
    assert same >= total - 2

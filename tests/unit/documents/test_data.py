"""XML, JSON and JSON Lines: structure, broken ones, and bombs in bounded time."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents import verbatim
from cortex_assets.documents.decode import text_parts
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.registry import parser_for
from cortex_assets.tables import Status

DATA = Path(__file__).parents[3].parent / "shared" / "data"
XML, JSON, LINES = "application/xml", "application/json", "application/jsonl"
LAUGHS = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))


@pytest.fixture(autouse=True)
def _soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 20


def parsed(data: str | bytes, media: str) -> list[ParsedDocument]:
    raw = data.encode() if isinstance(data, str) else data
    documents = list(parser_for(media).parser(ParseInput(io.BytesIO(raw), len(raw), "a/b.x", media)))
    for document in documents:
        assert isinstance(document, ParsedDocument) and (document.reason or document.status is Status.OK)
    return [document for document in documents if isinstance(document, ParsedDocument)]


def only(documents: list[ParsedDocument]) -> ParsedDocument:
    assert len(documents) == 1
    return documents[0]


def test_named_elements_near_the_top_of_xml_are_headings() -> None:
    text = (
        '<?xml version="1.0"?>\n<rss><channel><title>Feed</title>\n'
        "<item><title>Erster é 🙂</title><body>x</body></item>\n<item><body>y</body></item>\n"
        '<item id="3"><title>ignored, as it has an id</title></item></channel></rss>'
    )
    document = only(parsed(text, XML))
    assert document.text == text and document.status is Status.OK
    found = [(h.level, h.title, text[h.start : h.start + 5]) for h in document.structure.headings]
    assert found == [(1, "channel Feed", "<chan"), (2, "item Erster é 🙂", "<item"), (2, "item 3", "<item")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "latin-1"])
def test_xml_in_other_encodings(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + "<list><entry name='Köln'>text</entry></list>" * 1
    document = only(parsed(text.encode(encoding), XML))
    assert document.status in (Status.OK, Status.PARTIAL) and document.text == text
    assert [h.title for h in document.structure.headings] == ["entry Köln"]


@pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")
def test_a_real_file_in_utf_16() -> None:
    raw = (DATA / "bad_inputs" / "unstructured_docs" / "factbook-utf-16.xml").read_bytes()
    document = only(parsed(raw, XML))
    assert document.status is Status.OK
    assert [h.title for h in document.structure.headings][:2] == ["country United States", "country Canada"]


def test_xml_that_is_not_well_formed_says_where() -> None:
    document = only(parsed("<a>\n<b>text</b>\n<c>", XML))
    assert document.status is Status.PARTIAL and "line 3" in (document.reason or "")
    assert only(parsed("<a>&undefined;</a>", XML)).text == "<a>&undefined;</a>"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]><x>&j;</x>', Status.PARTIAL),
        (f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]><x y="&j;"/>', Status.PARTIAL),
        (f'<!DOCTYPE x [<!ENTITY a "{"A" * 60_000}">]><x>{"&a;" * 200_000}</x>', Status.OK),
        (f'<!DOCTYPE x [<!ENTITY a "{"A" * 60_000}">]><x y="{"&a;" * 200_000}"/>', Status.PARTIAL),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd" [<!ENTITY % p SYSTEM "http://x/">%p;]><x/>', Status.OK),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', Status.OK),
        ("<a>" * 500_000, Status.PARTIAL),
        ("<a>" * 300_000 + "</a>" * 300_000, Status.OK),
        ("<a" + ' x="1"' * 300_000, Status.PARTIAL),
        ("<a>" + "<!--" * 500_000, Status.PARTIAL),
    ],
)
def test_xml_bombs_are_text(text: str, status: Status) -> None:
    document = only(parsed(text, XML))
    assert document.text == text and document.status is status
    assert "root:" not in (document.reason or "") and len(document.structure.headings) <= 2000


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, '[{"a":' * 50_000, "[" * 4_000_000])
def test_json_of_very_many_levels(text: str) -> None:
    document = only(parsed(text, JSON))
    assert document.text == text and document.status is Status.PARTIAL


def test_json_with_one_very_long_string() -> None:
    text = json.dumps({"key": 'x"\\' * 700_000})
    document = only(parsed(text, JSON))
    assert document.status is Status.OK and [h.title for h in document.structure.headings] == ["key"]


def test_broken_json_lines_are_counted_and_named() -> None:
    text = '{"a": 1}\n{bad}\r\n\n[1, NaN]\n"ok"\nnull\n'
    document = only(parsed(text, LINES))
    assert document.text == text and document.status is Status.PARTIAL
    assert (document.reason or "").startswith("2 of 6 lines are not JSON (lines 2, 4)")
    many = only(parsed("x\n" * 2000, LINES))
    assert "2,000 of 2,000 lines" in (many.reason or "") and "1, 2, 3, 4, 5, …" in (many.reason or "")


def test_a_json_line_that_is_cut_off() -> None:
    document = only(parsed('{"a": 1}\n{"b": "cut', LINES))
    assert document.status is Status.PARTIAL and "last line (2)" in (document.reason or "")
    assert only(parsed('{"a": 1}\n{"b": 2}', LINES)).status is Status.OK
    assert only(parsed("[" * 100_000 + "\n{}\n", LINES)).status is Status.PARTIAL
    assert only(parsed("", LINES)).status is Status.EMPTY


# JSON escapes every control character but DEL, and bytes with many of those are no text.
WORDS = st.characters(codec="utf-8", exclude_characters="\x7f")
RECORDS = st.lists(
    st.dictionaries(st.text(WORDS, max_size=5), st.text(WORDS, max_size=30), max_size=3), min_size=1, max_size=30
)


@settings(deadline=None)
@given(records=RECORDS, limit=st.integers(40, 300), cut=st.booleans())
def test_parts_of_json_lines_are_judged_as_the_whole(records: list[dict[str, str]], limit: int, cut: bool) -> None:
    text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records) + ("" if cut else "\n")
    text = text[:-1] if cut else text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verbatim, "text_parts", lambda stream, size: text_parts(stream, size, limit))
        documents = parsed(text, LINES)
    assert "".join(document.text for document in documents) == text
    bad = {document.status for document in documents}
    assert bad == ({Status.OK} if not cut else bad) and documents[-1].status is (Status.PARTIAL if cut else Status.OK)

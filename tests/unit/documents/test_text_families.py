"""Text, Markdown, code and data: text is verbatim, structure is at its place."""

import io
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents import verbatim
from cortex_assets.documents.decode import text_parts
from cortex_assets.documents.model import ParsedDocument, ParseInput, Structure
from cortex_assets.documents.registry import ROUTES, parser_for
from cortex_assets.tables import Status

FAMILIES = [route.media_types[0] for route in ROUTES if not route.isolated and route.name != "notebook"]
LINES = st.lists(
    st.sampled_from(
        [
            "# Title",
            "Text here",
            "",
            "```python",
            "```",
            "| a | b |",
            "| - | - |",
            "---",
            "===",
            "key: value",
            "[table]",
            '{"a": [1, {"b": 2}]}',
            "a,b,c",
            "- item",
            "<!--",
            "-->",
            ".. code:: x",
            "   deeper",
            "\ttab",
            "é 日本 🙂",
        ]
    ),
    max_size=30,
)


def only(documents: list[ParsedDocument]) -> ParsedDocument:
    assert len(documents) == 1
    return documents[0]


def assert_sound(document: ParsedDocument) -> None:
    """Structure lies within the text, sorted, and survives JSON."""
    size, structure = len(document.text), document.structure
    assert Structure.from_json(structure.to_json()) == structure
    for places in (structure.headings, structure.blocks, structure.pages):
        starts = [place.start for place in places]
        assert starts == sorted(starts)
    for heading in structure.headings:
        assert 0 <= heading.start < size
        assert 1 <= heading.level <= 6 and heading.title
        assert heading.start == 0 or document.text[heading.start - 1] == "\n" or document.kind == "data"
    for block in structure.blocks:
        assert 0 <= block.start < block.end <= size
        assert block.head_end is None or block.start < block.head_end <= block.end
    for left, right in pairwise(structure.blocks):
        assert left.end <= right.start


@pytest.mark.parametrize("media_type", FAMILIES)
@given(lines=LINES, newline=st.sampled_from(["\n", "\r\n"]), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_text_is_the_decoded_source(media_type: str, lines: list[str], newline: str, encoding: str) -> None:
    text = newline.join(lines)
    raw = text.encode(encoding)
    source = ParseInput(io.BytesIO(raw), len(raw), "a/b.c", media_type)
    document = only(list(parser_for(media_type).parser(source)))
    assert document.text == text
    assert document.inner == ""
    assert document.reason if document.status is not Status.OK else not document.reason
    assert_sound(document)


@pytest.mark.parametrize("media_type", FAMILIES)
def test_empty_and_blank_files_are_said_to_be_empty(media_type: str, parse) -> None:  # type: ignore[no-untyped-def]
    for raw in (b"", b"\xef\xbb\xbf", b" \r\n\t\n"):
        document = only(parse(raw, media_type))
        assert document.status is Status.EMPTY and document.reason


@pytest.mark.parametrize("media_type", FAMILIES)
def test_binary_is_unsupported(media_type: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(bytes(range(256)) * 4, media_type))
    assert (document.status, document.kind) == (Status.UNSUPPORTED, "none")
    assert "binary" in (document.reason or "")


def test_large_files_come_in_parts(parse, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(verbatim, "text_parts", lambda stream, size: text_parts(stream, size, 1000))
    text = "# Book\n\n" + "".join(f"## Chapter {n}\n\nWords of chapter {n}.\n\n" for n in range(200))
    documents = parse(text, "text/markdown", "book.md")
    assert len(documents) > 5
    assert "".join(document.text for document in documents) == text
    assert [document.inner for document in documents[:2]] == ["part-0001", "part-0002"]
    assert documents[1].title == "Book (part 2)"
    assert sum(len(document.structure.headings) for document in documents) == 201


def test_a_fence_goes_on_in_the_next_part(parse, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(verbatim, "text_parts", lambda stream, size: text_parts(stream, size, 400))
    text = "# Real\n\n```sh\n" + "# not a heading\n\n" * 60 + "```\n\n# Also real\n"
    titles = [h.title for document in parse(text, "text/markdown") for h in document.structure.headings]
    assert titles == ["Real", "Also real"]


def test_markdown_structure(parse) -> None:  # type: ignore[no-untyped-def]
    text = (
        '---\ntitle: "A: note"\ntags: [x]\n---\n\nIntro [[Other note|alias]] and [site](https://a.example/b).\n\n'
        "# One #\n\nTwo\nlines\n=====\n\n| a | b |\n| :-- | --: |\n| 1 | 2 |\n\n"
        "```python title=x\n# no heading\n```\n\n"
        "<!-- # hidden\n# hidden too -->\n\n    # indented code\n\n- item\n---\n\n#nospace\n\n~~~\n[[inside]]\n"
    )
    document = only(parse(text, "text/markdown"))
    structure = document.structure
    assert document.title == "A: note"
    assert [(h.level, h.title) for h in structure.headings] == [(1, "One"), (1, "Two lines")]
    front, table, code, unclosed = structure.blocks
    assert text[front.start : front.end].endswith("---\n") and front.kind == "front_matter"
    assert text[table.start : table.head_end] == "| a | b |\n| :-- | --: |\n"
    assert text[table.start : table.end].endswith("| 1 | 2 |\n")
    assert (code.language, text[code.start : code.end]) == ("python", "```python title=x\n# no heading\n```\n")
    assert (unclosed.kind, unclosed.end) == ("code", len(text))
    assert structure.links == ("[[Other note]]", "https://a.example/b")


def test_markdown_toml_front_matter_and_quotes(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse("+++\ntitle = 'It is'\n+++\n\n> # quoted\n", "text/markdown"))
    assert document.title == "It is"
    assert document.structure.blocks[0].kind == "front_matter"


def test_rst_headings_code_and_pep_header(parse) -> None:  # type: ignore[no-untyped-def]
    text = (
        "PEP: 8\nTitle: Style Guide\nAuthor: A,\n        B\n\n========\nOver it\n========\n\nPart\n====\n\nSub\n---\n\n"
        ".. code-block:: python\n\n   x = 1\n\nAgain\n=====\n\nshort\n--\n"
    )
    document = only(parse(text, "text/x-rst"))
    assert document.title == "Style Guide"
    found = [(h.level, h.title) for h in document.structure.headings]
    assert found == [(1, "Over it"), (2, "Part"), (3, "Sub"), (2, "Again")]
    code = document.structure.blocks[1]
    assert (code.language, text[code.start : code.end].endswith("x = 1")) == ("python", True)


@pytest.mark.parametrize(
    ("media_type", "path", "text", "language"),
    [
        ("text/x-python", "a.py", "x = 1\n", "python"),
        ("text/x-c", "a.h", "int f(void);\n", "c"),
        ("text/x-c", "a.h", "class A {\n public:\n};\n", "cpp"),
        ("text/x-tsx", "a.tsx", "let a = <b/>;\n", "tsx"),
        ("text/x-shellscript", "run", "echo\n", "bash"),
    ],
)
def test_code_has_a_language(media_type: str, path: str, text: str, language: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(text, media_type, path))
    assert (document.kind, document.language, document.title) == ("code", language, path)


def test_json_keys_are_headings(parse) -> None:  # type: ignore[no-untyped-def]
    text = '{"name": "x {\\" y", "deep": {"inner": [1]},\n "last" : 1}'
    document = only(parse(text, "application/json"))
    assert [h.title for h in document.structure.headings] == ["name", "deep", "last"]
    assert text[document.structure.headings[2].start :].startswith('"last"')
    assert document.status is Status.OK


@pytest.mark.parametrize(
    ("media_type", "text", "said"),
    [
        ("application/json", '{"a": }', "line 1, column 7"),
        ("application/json", "[NaN]", "NaN"),
        ("application/json", "[" * 200_000, "nested too deeply"),
        ("application/yaml", "a: b\n c: [\n", "line"),
        ("application/yaml", "a: \x07", "not valid YAML"),
        ("application/toml", "a = \n", "line 1"),
        ("application/toml", "a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_invalid_data_keeps_its_text_and_says_where(media_type: str, text: str, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(text, media_type))
    assert document.text == text
    assert document.status is Status.PARTIAL
    assert said in (document.reason or "")


def test_huge_numbers_and_aliases_are_harmless(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse("[" + "9" * 10_000 + "]", "application/json")).status is Status.OK
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    document = only(parse(bomb, "application/yaml"))
    assert document.status is Status.OK
    assert document.structure.headings[1].title == "a1"


def test_toml_tables_are_headings(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse("[tool.x]\na = 1\n[[many]]\nb = 2\n", "application/toml"))
    assert [h.title for h in document.structure.headings] == ["tool.x", "many"]


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("name,size\na,1\n", "name,size\n"),
        ('"two\nlines";b\r\n1;2\r\n', '"two\nlines";b\r\n'),
        ("1,2\n3,4\n", None),
        ("no delimiter\nhere\n", None),
    ],
)
def test_csv_header_is_the_tables_head(text: str, head: str | None, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(text, "text/csv"))
    block = document.structure.blocks[0]
    assert document.kind == "table"
    assert (block.head_end and text[: block.head_end]) == head


def test_json_lines_are_not_one_json(parse) -> None:  # type: ignore[no-untyped-def]
    text = json.dumps({"a": 1}) + "\n" + json.dumps({"b": 2}) + "\n"
    assert only(parse(text, "application/jsonl")).status is Status.OK

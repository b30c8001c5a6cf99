import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.chunks.split import Piece
from cortex_assets.documents.model import Block, Heading, Page, Structure
from tests.unit.chunks.pieces import split

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "river", "stone", "cloud", "engine"]


def prose(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count)).capitalize() + "."


def check(text: str, pieces: list[Piece], tokenizer: Any, limit: int) -> None:
    """Everything ``split`` promises of any document."""
    place = 0
    for piece in pieces:
        assert not text[place : piece.start_char].strip(), "text was lost"
        assert piece.start_char >= place, "pieces overlap"
        place = piece.end_char
        body = text[piece.start_char : piece.end_char]
        assert body.strip()
        assert body == body.rstrip()
        assert body.split("\n")[0].strip(), "a piece begins with a blank line"
        assert piece.context == "" or piece.context.endswith("\n")
        assert piece.start_line == text.count("\n", 0, piece.start_char) + 1
        assert piece.end_line == text.count("\n", 0, piece.end_char) + 1
    assert not text[place:].strip(), "text was lost at the end"
    counts = tokenizer.count_batch([p.context + text[p.start_char : p.end_char] for p in pieces])
    assert [piece.token_count for piece in pieces] == counts
    assert all(count + tokenizer.special_tokens <= limit for count in counts)


MARKDOWN = """# Guide to the river

Intro paragraph.

## Installing the engine

### On Linux

{long}

| name | value |
|------|-------|
{rows}

```python
{code}
```

## Notes

Short end.
"""


def markdown() -> tuple[str, Structure]:
    rng = random.Random(1)
    text = MARKDOWN.format(
        long="\n\n".join(prose(rng, 90) for _ in range(6)),
        rows="\n".join(f"| row {n} | {prose(rng, 8)} |" for n in range(60)),
        code="\n".join(f"def function_{n}(a, b):\n    return a + b * {n}\n" for n in range(40)),
    )
    fence = text.index("```python")
    headings = [Heading(len(m[1]), m[2], m.start()) for m in re.finditer(r"(?m)^(#+) (.*)$", text) if m.start() < fence]
    headings.append(Heading(2, "Notes", text.index("## Notes")))
    table = text.index("| name")
    head_end = text.index("| row 0")
    blocks = (
        Block("table", table, text.index("\n\n", table), head_end),
        Block("code", fence, text.index("```\n\n## Notes") + 3, language="python"),
    )
    return text, Structure(tuple(headings), (), blocks)


def test_structure_decides_where_markdown_is_cut(model: Any) -> None:
    text, structure = markdown()
    pieces = split(text, structure, "markdown", None, model, 256)
    check(text, pieces, model, 256)
    bodies = [text[p.start_char : p.end_char] for p in pieces]
    assert pieces[0].context == ""
    linux = [
        p for p in pieces if p.kind == "prose" and p.context.startswith("Guide to the river > Installing the engine")
    ]
    assert any(p.context == "Guide to the river > Installing the engine > On Linux\n" for p in linux)
    tables = [(p, b) for p, b in zip(pieces, bodies, strict=True) if p.kind == "table"]
    assert len(tables) > 3
    assert tables[0][1].startswith("| name | value |")
    assert "| name | value |" not in tables[0][0].context
    for piece, body in tables[1:]:
        assert piece.context.endswith("| name | value |\n")
        assert body.startswith("| row ")
        assert body.endswith("|")
    codes = [b for p, b in zip(pieces, bodies, strict=True) if p.kind == "code"]
    assert len(codes) > 2
    assert all(body.startswith(("def ", "```python")) for body in codes)
    notes = next(p for p, b in zip(pieces, bodies, strict=True) if b.startswith("## Notes"))
    assert notes.context == "Guide to the river\n"


def test_a_paragraph_of_ordinary_length_is_one_chunk(model: Any) -> None:
    rng = random.Random(5)
    paragraphs = [prose(rng, 110) for _ in range(30)]
    text = "\n\n".join(paragraphs)
    pieces = split(text, Structure(), "text", None, model, 256)
    assert [text[p.start_char : p.end_char] for p in pieces] == paragraphs


def test_small_blocks_stay_whole_and_join_their_neighbours(model: Any) -> None:
    text = "Before the code:\n\n```\nx = 1\n\ny = 2\n```\n\nAfter it.\n"
    start = text.index("```")
    structure = Structure(blocks=(Block("code", start, text.rindex("```") + 3),))
    (piece,) = split(text, structure, "markdown", None, model, 256)
    assert piece.kind == "prose"
    (alone,) = split(text[start:-11], Structure(blocks=(Block("code", 0, 20),)), "markdown", None, model, 256)
    assert alone.kind == "code"


def test_chunks_do_not_cross_pages(model: Any) -> None:
    rng = random.Random(3)
    parts = [prose(rng, count) + "\n\n" for count in (60, 300, 4, 80, 90)]
    starts = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    pages = tuple(Page(n + 1, starts[n], starts[n + 1]) for n in range(len(parts)))
    text = "".join(parts)
    pieces = split(text, Structure(pages=pages), "pdf", None, model, 256)
    check(text, pieces, model, 256)
    assert {p.start_page for p in pieces} | {p.end_page for p in pieces} == {1, 2, 3, 4, 5}
    assert [(p.start_page, p.end_page) for p in pieces if p.start_page != p.end_page] in ([(2, 3)], [(3, 4)], [])
    assert sum(p.start_page == 2 for p in pieces) >= 2


CODE = '''"""Module."""
import os

LIMIT = 3


class Signer:
    """Signs."""

    def __init__(self, key):
        self.key = key

{methods}

def small_one():
    return 1


def small_two():
    return 2
'''


def test_code_is_cut_at_symbols(model: Any) -> None:
    body = "\n\n".join(f"        value_{n} = compute(self.key, {n})\n        check(value_{n})" for n in range(40))
    methods = f"    def long_method(self):\n{body}\n\n" + "\n".join(
        f"    def method_{n}(self, a, b):\n        return [a, b, {n}, self.key]\n" for n in range(20)
    )
    text = CODE.format(methods=methods)
    pieces = split(text, Structure(), "code", "python", model, 256)
    check(text, pieces, model, 256)
    inside = [p for p in pieces if p.context == "class Signer > method long_method\n"]
    assert inside
    assert {p.symbol for p in inside} == {"Signer.long_method"}
    assert all(text[p.start_char : p.end_char].lstrip().startswith("value_") for p in inside)
    grouped = [p for p in pieces if p.symbol and p.symbol.startswith("Signer.method_")]
    assert grouped
    assert all(p.context == "class Signer\n" for p in grouped)
    assert all(text[p.start_char : p.end_char].startswith("    def method_") for p in grouped)
    last = pieces[-1]
    assert text[last.start_char : last.end_char].endswith("def small_two():\n    return 2")
    assert last.symbol == "small_one"


def test_data_is_cut_between_entries(model: Any) -> None:
    rng = random.Random(9)
    value = [{"name": prose(rng, 20), "tags": ["a", "b"], "inner": {"x": n}} for n in range(60)]
    text = json.dumps(value, indent=2)
    pieces = split(text, Structure(), "data", "json", model, 256)
    check(text, pieces, model, 256)
    assert all(p.kind == "data" for p in pieces)
    starts = {text[p.start_char : p.end_char].split("\n")[0] for p in pieces[1:]}
    assert starts == {"  {"}


def test_a_limit_without_room_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="leaves 8 for text"):
        split("text", Structure(), "text", None, model, 10)
    assert split(" \n\t ", Structure(), "text", None, model, 256) == []


def test_long_titles_are_shortened_and_outer_ones_dropped_first(model: Any) -> None:
    rng = random.Random(2)
    titles = [prose(rng, 30), prose(rng, 12), prose(rng, 10)]
    lines = [f"{'#' * (n + 1)} {title}\n\n" for n, title in enumerate(titles)]
    text = "".join(lines) + "\n\n".join(prose(rng, 90) for _ in range(3))
    headings = tuple(Heading(n + 1, title, text.index(lines[n])) for n, title in enumerate(titles))
    pieces = split(text, Structure(headings), "markdown", None, model, 256)
    check(text, pieces, model, 256)
    assert pieces[-1].context == f"{titles[1]} > {titles[2]}\n"
    only = Structure((Heading(1, prose(rng, 200), 0),))
    long = split(text, only, "markdown", None, model, 256)
    check(text, long, model, 256)
    assert 20 < model.count_batch([long[-1].context])[0] <= 48


ODD = st.text(
    alphabet=st.one_of(
        st.sampled_from(["a", "b", " ", *".,;!?|#-`{}[]()=:", *"\n\n\n\r\t\x0c\x0b\x00", *"éß漢字。👩", "\u0301"]),
        st.characters(codec="utf-8"),
    ),
    max_size=400,
)


@settings(max_examples=150, deadline=None)
@given(ODD, st.integers(18, 60), st.sampled_from(["text", "markdown", "code", "data", "table", "pdf"]), st.data())
def test_any_text_keeps_the_promises(model: Any, text: str, limit: int, kind: str, data: st.DataObject) -> None:
    text = (text + "\n") * data.draw(st.integers(1, 4))
    places = st.integers(0, max(0, len(text) - 1))
    headings = sorted(data.draw(st.lists(places, max_size=4)))
    edges = sorted(set(data.draw(st.lists(places, max_size=6))))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    blocks = tuple(
        Block(
            data.draw(st.sampled_from(["table", "code", "front_matter"])),
            low,
            high,
            data.draw(st.integers(low, high)),
            "python",
        )
        for low, high in spans
    )
    pages = tuple(
        Page(n + 1, start, start) for n, start in enumerate(sorted(set(data.draw(st.lists(places, max_size=3)))))
    )
    structure = Structure(tuple(Heading(1 + n % 3, f"title {n}", at) for n, at in enumerate(headings)), pages, blocks)
    check(text, split(text, structure, kind, "python", model, limit), model, limit)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x1" * 60_000, "text"),
        ("word " * 40_000, "text"),
        ("漢字" * 20_000, "text"),
        ("# H\n\n" * 5_000, "markdown"),
        ("\x00" * 100_000, "text"),
        ("a" + " " * 100_000 + "b", "text"),
        (json.dumps([{"k": n, "v": [n] * 5} for n in range(3_000)], separators=(",", ":")), "data"),
        ("[\n" * 3_000 + "]\n" * 3_000, "data"),
        ("(" * 30_000, "code"),
        ("".join(" " * n + f"def f{n}():\n" for n in range(150)), "code"),
        ("same line\n" * 10_000, "code"),
        ("word\x0cword " * 10_000, "text"),
    ],
)
def test_extreme_documents_keep_the_promises(model: Any, text: str, kind: str) -> None:
    headings = tuple(Heading(1, "H", m.start()) for m in re.finditer("# H", text))
    pieces = split(text, Structure(headings), kind, "python", model, 256)
    check(text, pieces, model, 256)
    assert max(p.end_char - p.start_char for p in pieces) <= 20_000


def test_a_large_table_repeats_a_shortened_header(model: Any) -> None:
    header = ",".join(f"column_{n}" for n in range(200)) + "\n"
    text = header + "".join(",".join(str(n * k % 97) for k in range(40)) + "\n" for n in range(50))
    structure = Structure(blocks=(Block("table", 0, len(text), len(header)),))
    pieces = split(text, structure, "table", None, model, 256)
    check(text, pieces, model, 256)
    rows = [p for p in pieces if p.start_char >= len(header)]
    assert all(p.kind == "table" for p in pieces)
    assert all("column" not in p.context or p.context.startswith("column_0,") for p in rows)

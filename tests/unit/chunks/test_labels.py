"""What people call the place of a chunk: cells, slides, sections."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.chunks.labels import labels
from cortex_assets.chunks.source import Source
from cortex_assets.chunks.split import Piece
from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.model import Block, Heading, Page, Place, Structure
from tests.unit.chunks.pieces import split


def pieces(text: str, structure: Structure, tokenizer: Any, kind: str = "sheet") -> list[Piece]:
    return split(text, structure, kind, None, tokenizer, 64)


def sheet(rows: int, has_header: bool) -> tuple[str, Structure]:
    """A table whose rows name themselves, as a spreadsheet's parser gives it: row 1 of it is row 5 of the sheet."""
    out = MarkupText()
    heads = [number == 5 and has_header for number in range(5, 5 + rows)]
    out.table([[Cell(f"r{5 + at}", head), Cell("x y z", head)] for at, head in enumerate(heads)])
    text = out.text()
    block = out.structure().blocks[0]
    cells = f"My Budget!B5:C{4 + rows}"
    return text, Structure(blocks=(Block("table", block.start, block.end, block.head_end, cells=cells),))


@given(st.integers(2, 60), st.booleans())
def test_a_piece_of_a_sheet_names_exactly_its_rows(words: Any, rows: int, has_header: bool) -> None:
    text, structure = sheet(rows, has_header)
    seen: list[int] = []
    for piece in pieces(text, structure, words):
        named = [int(word[1:]) for word in text[piece.start_char : piece.end_char].split() if word.startswith("r")]
        assert piece.place == f"My Budget!B{named[0]}:C{named[-1]}"
        seen += named
    assert seen == list(range(5, 5 + rows))


def test_a_piece_over_two_slides_names_both(words: Any) -> None:
    text = "one two\n\nthree four\n\nfive"
    places = (Place("slide 1", 0, 7), Place("slide 2", 9, 19), Place("slide 3", 21, 25))
    assert [p.place for p in pieces(text, Structure(places=places), words, "notebook")] == ["slide 1 – slide 3"]
    assert [p.place for p in pieces(text, Structure(places=places), words, "slides")] == [
        "slide 1",
        "slide 2",
        "slide 3",
    ]


def test_no_piece_has_cells_of_two_sheets(words: Any) -> None:
    text = "# One\n\n| a |\n\n# Two\n\n| b |"
    blocks = (Block("table", 7, 12, cells="One!A1:A1"), Block("table", 21, 26, cells="Two!C9:C9"))
    structure = Structure((Heading(1, "One", 0), Heading(1, "Two", 14)), blocks=blocks)
    assert [p.place for p in pieces(text, structure, words)] == ["One!A1:A1", "Two!C9:C9"]


@pytest.mark.parametrize(
    ("count", "place"), [(3, "One!A1:B1, A2:B2, A3:B3"), (40, "One!A1:B40")], ids=["listed", "around them"]
)
def test_a_piece_over_tables_of_one_sheet_names_what_it_holds(count: int, place: str, words: Any) -> None:
    text = "\n\n".join("|a|b|" for _ in range(count))
    blocks = tuple(Block("table", 7 * n, 7 * n + 5, cells=f"One!A{n + 1}:B{n + 1}") for n in range(count))
    source = Source(text, words)
    assert labels(source, Structure(blocks=blocks), [(0, len(text))]) == [place]


def test_full_slides_have_pieces_of_their_own(words: Any) -> None:
    parts = [" ".join(f"w{slide}x{n}" for n in range(40)) for slide in range(4)]
    text = "\n\n".join(parts)
    starts = [text.index(part) for part in parts]
    places = tuple(
        Place(f"slide {n + 1}", at, at + len(part)) for n, (at, part) in enumerate(zip(starts, parts, strict=True))
    )
    assert [p.place for p in pieces(text, Structure(places=places), words, "slides")] == [
        "slide 1",
        "slide 2",
        "slide 3",
        "slide 4",
    ]


def test_sections_stand_in_where_nothing_else_says_it(words: Any) -> None:
    text = "intro\n\n# First\n\n" + "a " * 50 + "\n\n# Second\n\n" + "b " * 50
    structure = Structure((Heading(1, "First", text.index("# First")), Heading(1, "Second", text.index("# Second"))))
    named = [p.place for p in pieces(text, structure, words, "word")]
    assert named[0] in (None, "§ First")
    assert named[-1] == "§ Second"
    assert "§ First" in named
    paged = Structure(structure.headings, (Page(1, 0, len(text)),))
    assert {p.place for p in pieces(text, paged, words, "pdf")} == {None}


def test_a_long_heading_is_shortened(words: Any) -> None:
    text = "# " + "long " * 100 + "\n\nbody"
    structure = Structure((Heading(1, "long " * 100, 0),))
    assert all(len(p.place or "") <= 120 for p in pieces(text, structure, words, "word"))

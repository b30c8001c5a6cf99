"""Columns in reading order and tables as Markdown: found where they are clear, and nowhere else."""

import io
from collections import Counter
from pathlib import Path

import pypdfium2
import pytest

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.pdf import parse_pdf
from cortex_assets.documents.parsers.pdf_layout import columns_of, em_of, lines_of
from cortex_assets.documents.parsers.pdf_tables import Rule, aligned_grids, merged, ruled_grids
from cortex_assets.documents.parsers.pdf_text import clean, page_text
from tests.unit.documents.pdf_bytes import PdfBytes, grid, words

DATA = Path(__file__).parents[3].parent / "shared" / "data"
SENTENCES = (
    "The quick brown fox jumps over the lazy dog and then it",
    "rests a while in the shade of an old oak tree near water",
    "before it sets out again to find a place for the night",
    "where neither hounds nor hunters will ever come to look",
)


def page(drawn: str) -> ParsedDocument:
    made = PdfBytes()
    made.page(drawn)
    data = made.bytes()
    items = parse_pdf(ParseInput(io.BytesIO(data), len(data), "a.pdf", "application/pdf"))
    (document,) = [item for item in items if isinstance(item, ParsedDocument)]
    return document


def tables(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.structure.blocks]


def column_lines(name: str, count: int, width: int = 40) -> list[str]:
    return [f"{name}{number} {SENTENCES[number % 4]}"[:width].strip() for number in range(count)]


def row_wise(columns: list[list[str]], xs: list[float], top: float = 650) -> str:
    rows = zip(*columns, strict=True)
    return "".join(
        words(x, top - 14 * number, text) for number, row in enumerate(rows) for x, text in zip(xs, row, strict=True)
    )


@pytest.mark.parametrize(("xs", "width"), [([60.0, 320.0], 44), ([40.0, 225.0, 410.0], 32)])
def test_columns_that_were_written_line_by_line_are_read_one_after_the_other(xs: list[float], width: int) -> None:
    columns = [column_lines(name, 12, width) for name in "ABC"[: len(xs)]]
    heading = "A heading that goes over all of the columns of this page, from the left to the right of it"
    drawn = words(60, 700, heading) + row_wise(columns, xs) + words(300, 40, "17")
    document = page(drawn)
    assert document.text.split("\n") == [heading, *(line for column in columns for line in column), "17"]


def test_words_cut_at_the_end_of_a_column_line_are_joined() -> None:
    columns = [column_lines(name, 12, 44) for name in "AB"]
    columns[0][3], columns[0][4] = (
        "A3 and the next of these words is hyphen-",
        "ated A4 and then the line goes on for long",
    )
    text = page(row_wise(columns, [60, 320])).text
    assert "hyphenated A4" in text


def test_columns_that_were_written_one_after_the_other_stay_as_they_are() -> None:
    columns = [column_lines(name, 12, 44) for name in "AB"]
    drawn = "".join(row_wise([column], [x]) for column, x in zip(columns, (60, 320), strict=True))
    assert page(drawn).text.split("\n") == [line for column in columns for line in column]


def test_labels_and_values_are_no_columns() -> None:
    left = [f"Label number {number}:" for number in range(12)]
    right = [f"value {number}" for number in range(12)]
    text = page(row_wise([left, right], [60, 320])).text
    assert text.split("\n")[:2] == ["Label number 0: value 0", "Label number 1: value 1"]


def test_single_column_text_is_as_the_library_gives_it() -> None:
    drawn = "".join(words(60, 700 - 14 * number, line) for number, line in enumerate(SENTENCES * 5))
    made = PdfBytes()
    made.page(drawn)
    document = pypdfium2.PdfDocument(made.bytes())
    assert page(drawn).text == clean(document[0].get_textpage().get_text_range())
    document.close()


def table(rows: list[list[str]], xs: list[float], top: float, font: str = "F1") -> str:
    return "".join(
        words(x + 4, top - 20 * number, text, 10, font if number == 0 else "F1")
        for number, row in enumerate(rows)
        for x, text in zip(xs, row, strict=False)
        if text
    )


ROWS = [["Name", "Role", "Since"], ["Ann", "chair", "2001"], ["Bob", "clerk", "1999"], ["Cy", "guest", "2020"]]


def test_a_ruled_table_is_markdown_with_its_header_between_the_text_around_it() -> None:
    xs, ys = [60.0, 160.0, 260.0, 360.0], [715.0, 695.0, 675.0, 655.0, 635.0]
    drawn = words(60, 740, "Before it.") + table(ROWS, xs, 700) + grid(xs, ys) + words(60, 600, "After it.")
    document = page(drawn)
    expected = "| Name | Role | Since |\n| --- | --- | --- |\n| Ann | chair | 2001 |\n| Bob | clerk | 1999 |\n| Cy | guest | 2020 |"
    assert document.text == f"Before it.\n\n{expected}\n\nAfter it."
    (block,) = document.structure.blocks
    assert (block.kind, document.text[block.start : block.end]) == ("table", expected)
    assert document.text[block.start : block.head_end] == "| Name | Role | Since |\n| --- | --- | --- |\n"


def test_frames_of_cells_are_rules_too() -> None:
    xs, ys = [60.0, 160.0, 260.0], [695.0, 675.0, 655.0, 635.0]
    frames = "".join(f"{x} {y} 100 20 re S\n" for x in xs for y in ys)
    assert tables(page(table(ROWS, xs, 700) + frames))[0].startswith("| Name | Role | Since |\n| --- |")


def test_bold_type_makes_a_header_and_labels_with_colons_do_not() -> None:
    xs, ys = [60.0, 160.0, 260.0], [715.0, 695.0, 675.0]
    bold = page(table([["Name", "Role"], ["Ann", "chair"]], xs[:2], 700, "F2") + grid(xs, ys))
    plain = page(table([["Name:", "Ann"], ["Role:", "chair"]], xs[:2], 700) + grid(xs, ys))
    assert tables(bold) == ["| Name | Role |\n| --- | --- |\n| Ann | chair |"]
    assert tables(plain) == ["| Name: | Ann |\n| Role: | chair |"]
    assert plain.structure.blocks[0].head_end is None


def test_cells_over_several_rows_or_columns_and_lines_within_a_cell() -> None:
    rules = "".join(f"60 {y} m 360 {y} l S\n" for y in (715, 695, 635)) + "160 655 m 360 655 l S\n"
    rules += "".join(f"{x} 715 m {x} 635 l S\n" for x in (60, 160, 360)) + "260 715 m 260 655 l S\n"
    drawn = words(64, 700, "Group", 10, "F2") + words(164, 700, "One", 10, "F2") + words(264, 700, "Two", 10, "F2")
    drawn += words(64, 670, "both rows") + words(164, 680, "first line") + words(164, 668, "second line")
    drawn += words(264, 680, "x") + words(164, 640, "over two columns")
    assert tables(page("0.5 w\n" + rules + drawn)) == [
        "\n".join(
            (
                "| Group | One | Two |",
                "| --- | --- | --- |",
                "| both rows | first line second line | x |",
                "| both rows | over two columns |  |",
            )
        )
    ]


def test_a_title_row_over_a_table_stands_before_it() -> None:
    rules = "".join(f"60 {y} m 360 {y} l S\n" for y in (735, 715, 695, 675, 655))
    rules += "".join(f"{x} 735 m {x} 655 l S\n" for x in (60, 360)) + "".join(
        f"{x} 715 m {x} 655 l S\n" for x in (160, 260)
    )
    drawn = words(64, 720, "Exhibit 9") + table(ROWS[:3], [60.0, 160.0, 260.0], 700)
    document = page("0.5 w\n" + rules + drawn)
    assert document.text.startswith("Exhibit 9\n\n| Name | Role | Since |\n| --- |")


def test_a_rule_below_the_header_only_leaves_a_row_for_each_line() -> None:
    xs = [60.0, 160.0, 260.0, 360.0]
    document = page(table(ROWS, xs, 700) + grid(xs, [715.0, 695.0, 635.0]))
    assert tables(document)[0].split("\n")[2:] == [
        "| Ann | chair | 2001 |",
        "| Bob | clerk | 1999 |",
        "| Cy | guest | 2020 |",
    ]


def aligned(rows: list[list[str]], xs: list[float], top: float = 700) -> str:
    return "".join(
        words(x, top - 14 * number, text)
        for number, row in enumerate(rows)
        for x, text in zip(xs, row, strict=True)
        if text
    )


def test_aligned_numbers_are_a_table_with_the_headers_above_them() -> None:
    rows = [[f"Region {number}", f"{number * 1234:,}", f"{number * 7}.5", "\x97"] for number in range(1, 7)]
    head = words(200, 728, "Population and area of land") + words(440, 728, "Notes")
    head += "".join(
        words(x, 714, text) for x, text in zip((60, 200, 320, 440), ("Region", "2001", "Area", "n"), strict=True)
    )
    drawn = (
        words(60, 760, "A sentence that stands above the table and is as long as the page is wide, all of it.") + head
    )
    document = page(drawn + aligned(rows, [60, 200, 320, 440]))
    (text,) = tables(document)
    lines = text.split("\n")
    assert lines[0] == "|  | Population and area of land |  | Notes |"
    assert lines[1] == "| Region | 2001 | Area | n |"
    assert lines[2] == "| --- | --- | --- | --- |"
    assert lines[3].startswith("| Region 1 | 1,234 | 7.5 |")
    assert len(lines) == 9
    assert document.text.startswith("A sentence that stands")


def test_a_table_of_contents_is_no_table() -> None:
    rows = [[f"{number}", f"Chapter of things {number}", f"{number * 3}"] for number in range(1, 9)]
    assert tables(page(aligned(rows, [60, 100, 500]))) == []


def test_running_text_with_numbers_is_no_table() -> None:
    line = "In 1999 there were 300 of them, of which 20 and 17 were new, and in 2001 there were 412 of them."
    drawn = "".join(words(60, 700 - 14 * number, line) for number in range(10))
    assert tables(page(drawn)) == []


def test_a_chart_is_no_table() -> None:
    xs, ys = [100.0, 150.0, 200.0, 250.0, 300.0], [700.0, 650.0, 600.0, 550.0]
    labels = "".join(words(x - 6, 535, f"{2000 + n}") for n, x in enumerate(xs))
    labels += "".join(words(70, y - 3, f"{n * 10}") for n, y in enumerate(reversed(ys)))
    curve = words(140, 640, "sales of the year") + words(230, 590, "costs")
    assert tables(page(grid(xs, ys) + labels + curve)) == []


def test_frames_around_text_are_no_tables() -> None:
    drawn = words(70, 700, "A framed remark,") + words(70, 686, "of two lines.") + "60 675 200 45 re S\n"
    assert tables(page(drawn)) == []


def test_pages_turned_sideways_and_text_from_right_to_left_stay_in_their_order() -> None:
    made = PdfBytes()
    columns = [column_lines(name, 12, 44) for name in "AB"]
    made.page(row_wise(columns, [60, 320]), "/Rotate 90")
    document = pypdfium2.PdfDocument(made.bytes())
    found = document[0]
    assert page_text(found).text == clean(found.get_textpage().get_text_range())
    document.close()


def test_a_note_in_pieces_below_a_table_is_not_its_last_row() -> None:
    rows = [[(x, y, x + 30.0, y + 7.0) for x in (40.0, 280.0, 420.0, 550.0)] for y in (700.0, 690.0, 680.0, 670.0)]
    note = [(40.0, 655.0, 380.0, 662.0), (430.0, 655.0, 460.0, 662.0), (495.0, 655.0, 504.0, 662.0)]
    (found,) = aligned_grids(lines_of([box for row in [*rows, note] for box in row], 7.0), 7.0)
    assert len(found.ys) == 5 and found.ys[-1] > 662


def test_geometry_of_nothing_and_of_much() -> None:
    assert lines_of([], em_of([])) == [] and columns_of([], 1.0) is None and aligned_grids([], 1.0) == []
    assert ruled_grids([], []) == []
    many = [Rule(float(number * 10), 0.0, 9.0) for number in range(2000)]
    assert ruled_grids(many, many) == []
    assert merged([Rule(10, 0, 5), Rule(10.4, 6, 9), Rule(10, 40, 50)]) == [Rule(10, 0, 9), Rule(10, 40, 50)]


@pytest.mark.skipif(not (DATA / "pdf").is_dir(), reason="the shared data folder is not there")
def test_no_word_of_a_real_page_is_lost() -> None:
    paths = [*(DATA / "demo_corpus" / "pdf").glob("*.pdf"), DATA / "pdf" / "026-latex-multicolumn" / "multicolumn.pdf"]
    for path in paths:
        document = pypdfium2.PdfDocument(path)
        for number in range(len(document)):
            found = document[number]
            plain = Counter(clean(found.get_textpage().get_text_range()).split())
            assert not plain - Counter(page_text(found).text.split()), (path, number)
        document.close()


@pytest.mark.skipif(not (DATA / "pdf").is_dir(), reason="the shared data folder is not there")
def test_the_two_column_document_reads_column_by_column_and_has_its_table() -> None:
    data = (DATA / "pdf" / "026-latex-multicolumn" / "multicolumn.pdf").read_bytes()
    items = parse_pdf(ParseInput(io.BytesIO(data), len(data), "a.pdf", "application/pdf"))
    (document,) = [item for item in items if isinstance(item, ParsedDocument)]
    places = [
        document.text.index(words)
        for words in ("Nam dui ligula", "ultricies et,\ntellus.", "Quisque ullamcorper placerat", "Fusce mauris.")
    ]
    assert places == sorted(places)
    assert tables(document)[0].split("\n")[:3] == [
        "| Country | Population (millions) | Area (km2 ) | Capital | Official Language |",
        "| --- | --- | --- | --- | --- |",
        "| Austria | 8.9 | 83,879 | Vienna | German |",
    ]
    assert document.text[: document.structure.blocks[0].start].rstrip().endswith("Table 1: EU Countries Information")


@pytest.mark.skipif(not (DATA / "pdf").is_dir(), reason="the shared data folder is not there")
def test_a_book_of_formulas_and_drawings_has_no_tables() -> None:
    document = pypdfium2.PdfDocument(DATA / "pdf" / "009-pdflatex-geotopo" / "GeoTopo-komprimiert.pdf")
    for number in range(len(document)):
        assert page_text(document[number]).tables == (), number + 1
    document.close()

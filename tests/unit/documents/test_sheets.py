"""Workbooks (XLSX, ODS, XLS): values as people see them, tables that name their cells, bounds, damage."""

import base64
import io
import re
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers import sheet_text
from cortex_assets.documents.parsers.number_format import formatter
from cortex_assets.documents.parsers.sheet_text import TEXT, VALUE, Row, Sheet, WorkbookText, column_name
from cortex_assets.documents.parsers.sheets_binary import parse_xls
from cortex_assets.documents.parsers.xlsx_rows import column_number
from cortex_assets.tables import Status
from tests.unit.documents.packages import ODS, OLE, XLSX, odf, relations, row, spreadsheet_xml, xlsx, zipped

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "bad_inputs" / "unstructured_docs"


def documents(items: list[Any]) -> list[ParsedDocument]:
    return [item for item in items if not isinstance(item, Mark)]


def only(items: list[Any]) -> ParsedDocument:
    (document,) = documents(items)
    return document


STYLES = spreadsheet_xml(
    "styleSheet",
    '<numFmts><numFmt numFmtId="164" formatCode="#,##0.00&quot; €&quot;"/></numFmts><fonts><font/><font><b/></font></fonts>'
    '<cellXfs><xf/><xf numFmtId="164"/><xf numFmtId="9"/><xf numFmtId="14"/><xf fontId="1"/></cellXfs>',
)


def test_values_as_people_see_them(parse) -> None:  # type: ignore[no-untyped-def]
    rows = (
        '<row r="2"><c r="B2" t="s"><v>0</v></c><c r="C2" t="s"><v>1</v></c><c r="D2" t="inlineStr"><is><t>When</t></is></c></row>'
        '<row r="3"><c r="B3" t="inlineStr"><is><t>a|b</t></is></c><c r="C3" s="1"><v>1234.5</v></c><c r="D3" s="3"><v>45352</v></c></row>'
        '<row r="4"><c r="B4" t="b"><v>1</v></c><c r="C4" s="2"><v>0.25</v></c><c r="D4" t="e"><v>#N/A</v></c></row>'
        '<row r="5"><c r="B5" t="str"><f>A1</f><v>made</v></c><c r="C5"><f>SUM(C3:C4)</f></c></row>'
    )
    strings = spreadsheet_xml(
        "sst", "<si><r><t>It</t></r><r><t>em</t></r><rPh><t>no</t></rPh></si><si><t>Co_x000D_st</t></si>"
    )
    document = only(parse(xlsx({"Budget": rows}, {"xl/sharedStrings.xml": strings, "xl/styles.xml": STYLES}), XLSX))
    assert document.text == (
        "# Budget\n\n| Item | Co st | When |\n| --- | --- | --- |\n| a\\|b | 1,234.50 € | 2024-03-01 |\n"
        "| TRUE | 25% | #N/A |\n| made | =SUM(C3:C4) |  |"
    )
    (block,) = document.structure.blocks
    assert (block.cells, document.text[block.start : block.head_end].count("\n")) == ("Budget!B2:D5", 2)
    assert (document.status, document.page_count, document.kind) == (Status.OK, 1, "sheet")
    assert "formulas without a stored value: 1" in (document.doubt or "")


def test_blank_rows_end_a_table_and_sheets_are_told(parse) -> None:  # type: ignore[no-untyped-def]
    first = row(1, "only text") + row(3, "x", 1) + row(4, "y", 2)
    document = only(parse(xlsx({"A": first, "B &amp; C": row(1, "seen", first="C")}, states='state="hidden"'), XLSX))
    assert [block.cells for block in document.structure.blocks] == ["A!A1:A1", "A!A3:B4", "B & C!C1:C1"]
    assert [heading.title for heading in document.structure.headings] == ["A", "B & C"]
    assert "# B & C\n\n(hidden sheet)\n\n| seen |" in document.text
    assert [place.label for place in document.structure.places] == ["sheet A", "sheet B & C"]


def test_merged_cells_comments_and_links(parse) -> None:  # type: ignore[no-untyped-def]
    sheet = (
        f"<worksheet><sheetData>{row(1, 'Group', 'a')}{row(2, None, 'b')}<row r='3'/></sheetData>"
        '<mergeCells><mergeCell ref="A1:A1000000"/></mergeCells></worksheet>'
    )
    comments = spreadsheet_xml(
        "comments",
        '<authors><author>Ann</author></authors><commentList><comment ref="B2" authorId="0"><text><t>Ann: check</t></text>'
        "</comment></commentList>",
    )
    more: dict[str, str | bytes] = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(c="comments ../comments1.xml", l="hyperlink https://a.b/"),
        "xl/comments1.xml": comments,
    }
    document = only(parse(xlsx({"S": sheet}, more), XLSX))
    assert document.text == "# S\n\n| Group | a |\n| Group | b |\n\nComment on B2 (Ann): check"
    assert document.structure.links == ("https://a.b/",)


@pytest.mark.parametrize(
    ("head", "rows", "expected"),
    [
        (("name", "cost"), [("a", 1), ("b", 2)], 1),
        (("name", "town"), [("a", "x"), ("b", "y")], 0),
        (("name", 2024), [("a", 1), ("b", 2)], 0),
        (("name", "name"), [("a", 1)], 0),
        (("name", "cost"), [("a", 1, "beyond")], 0),
        (("name", "cost"), [], 0),
    ],
)
def test_a_header_needs_evidence(head: tuple[Any, ...], rows: list[tuple[Any, ...]], expected: int) -> None:
    group: list[Row] = [
        (
            number,
            [(column, str(value), TEXT if isinstance(value, str) else VALUE) for column, value in enumerate(cells, 1)],
        )
        for number, cells in enumerate([head, *rows], 1)
    ]
    assert sheet_text.header_rows(group) == expected
    titled = [(0, [(1, "Annual budget", TEXT)]), *group]
    assert sheet_text.header_rows(titled) == (2 if expected else 0)


@pytest.mark.parametrize(
    ("code", "number", "shown"),
    [
        ("General", 3.0, "3"),
        ("General", 0.1 + 0.2, "0.3"),
        ("0%", 0.256, "26%"),
        ("0.0%", -0.0512, "-5.1%"),
        ("#,##0", 1234567.4, "1,234,567"),
        ("0.##", 1.5, "1.5"),
        ('"$"#,##0.00', 12.5, "$12.50"),
        ("[$€-407] #,##0", 12.0, "€ 12"),
        ("[Red]0.0;[Blue]-0.0", 2.04, "2.0"),
        ("yyyy-mm-dd", 45352.0, "2024-03-01"),
        ("d/m/yyyy h:mm", 45352.5625, "2024-03-01 13:30"),
        ("mmm yyyy", 45352.0, "2024-03"),
        ("h:mm:ss", 0.5, "12:00:00"),
        ("[h]:mm", 1.5, "36:00"),
        ("d mmmm yyyy", 1.0, "1900-01-01"),
        ("d.m.yy", 1e9, "1000000000"),
        ("0.00E+00", 12345.0, "1.23E+04"),
        ("@", 7.0, "7"),
        ("# ?/?", 0.5, "0.5"),
    ],
)
def test_number_formats(code: str, number: float, shown: str) -> None:
    assert formatter(code)(number) == shown


def test_dates_from_1904() -> None:
    assert formatter("yyyy-mm-dd", has_1904_dates=True)(0.0) == "1904-01-01"


@given(st.integers(1, 16_384))
def test_column_names(number: int) -> None:
    assert column_number(column_name(number)) == number


CELLS = st.dictionaries(
    st.tuples(st.integers(1, 12), st.integers(1, 90)), st.sampled_from(["x", "7", "a b"]), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_each_line_of_a_table_is_a_row(cells: dict[tuple[int, int], str]) -> None:
    """Every cell is found again by the name of its block and the number of its line."""
    rows = [
        (number, [(column, cells[number, column], TEXT) for column in range(1, 91) if (number, column) in cells])
        for number in range(1, 13)
    ]
    out = WorkbookText("")
    assert not list(out.sheet(Sheet(1, "S", False), rows))
    document = out.last()
    found = 0
    for block in document.structure.blocks:
        match = re.fullmatch(r"S!([A-Z]+)(\d+):([A-Z]+)(\d+)", block.cells or "")
        assert match is not None
        lines = document.text[block.start : block.end].split("\n")
        assert len(lines) == int(match[4]) - int(match[2]) + 1
        for number, line in enumerate(lines, int(match[2])):
            texts = [text for text in line.strip("|").split(" | ") if text.strip()]
            assert [text.strip() for text in texts] == [text for _, text, _ in rows[number - 1][1]]
            found += len(texts)
    assert found == len(cells)


def test_a_used_range_of_a_million_empty_rows_costs_nothing(parse) -> None:  # type: ignore[no-untyped-def]
    empty = "".join(f'<row r="{number}" s="1"/>' for number in range(2, 300_000))
    start = time.process_time()
    document = only(parse(xlsx({"S": row(1, "a") + empty + row(1_048_576, "end", first="Z")}), XLSX))
    assert time.process_time() - start < 5
    assert document.text == "# S\n\n| a |\n\n| end |"
    assert document.structure.blocks[1].cells == "S!Z1048576:Z1048576"


def test_a_long_sheet_comes_in_parts_and_is_cut_with_a_count(parse, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sheet_text, "PART_CHARS", 20_000)
    monkeypatch.setattr(sheet_text, "MAX_TEXT_CHARS", 100_000)
    data = xlsx({"S": "".join(row(number, f"line {number}", number) for number in range(1, 10_001)), "T": row(1, "x")})
    parts = documents(parse(data, XLSX))
    assert len(parts) > 4 and all(len(part.text) < 40_000 for part in parts)
    assert [part.inner for part in parts[:2]] == ["part-0001", "part-0002"]
    shown = sum(part.text.count("| line ") for part in parts)
    assert parts[-1].status is Status.PARTIAL
    assert f"{10_001 - shown:,} rows are left out" in (parts[-1].reason or "")
    named = [block.cells for part in parts for block in part.structure.blocks]
    ends = [tuple(map(int, re.findall(r"\d+", name or ""))) for name in named]
    assert ends[0][0] == 1 and all(low == before + 1 for (_, before), (low, _) in pairwise(ends))


def test_a_sparse_sheet_does_not_blow_up(parse) -> None:  # type: ignore[no-untyped-def]
    diagonal = "".join(f'<row r="{n}"><c r="{column_name(n)}{n}"><v>{n}</v></c></row>' for n in range(1, 3001))
    assert sum(len(part.text) for part in documents(parse(xlsx({"S": diagonal}), XLSX))) < 8_000_000


def test_sheets_that_are_damaged_are_named(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(xlsx({"A": row(1, "kept"), "B": row(1, "before") + "<row", "C": row(1, "after")}), XLSX))
    assert document.status is Status.PARTIAL and document.failed_pages == (2,)
    assert all(word in document.text for word in ("kept", "before", "after"))
    assert "sheet 2: damaged after row 1" in (document.reason or "")
    missing = only(parse(xlsx({"S": '<row r="1"><c r="A1" t="s"><v>3</v></c><c r="B1"><v>5</v></c></row>'}), XLSX))
    assert missing.status is Status.PARTIAL and "1 texts are missing" in (missing.reason or "")


def test_sheets_without_a_workbook_are_read(parse) -> None:  # type: ignore[no-untyped-def]
    sheet = spreadsheet_xml("worksheet", f"<sheetData>{row(1, 'loose')}</sheetData>")
    document = only(parse(zipped({"xl/worksheets/sheet1.xml": sheet}), XLSX))
    assert document.text == "# sheet1\n\n| loose |" and document.status is Status.PARTIAL


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (xlsx({"S": ""}), Status.EMPTY, "no cells"),
        (xlsx({"S": '<row r="1"><c r="A1" s="1"/></row>'}), Status.EMPTY, "no cells"),
        (xlsx({"S": "<worksheet><!DOCTYPE x [<!ENTITY a 'b'>]></worksheet>"}), Status.FAILED, "sheet 1"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><worksheet>&a;</worksheet>", Status.FAILED, "damaged"),
        (b"PK\x03\x04" + bytes(50), Status.FAILED, "damaged"),
        (OLE + bytes(600), Status.FAILED, "damaged"),
        (xlsx({"S": "<?xml version='1.0' encoding='utf-99'?><worksheet/>"}), Status.FAILED, "encoding is unknown"),
        (xlsx({"S": "<?xml version='1.0' encoding='gbk'?><worksheet/>"}), Status.FAILED, "encoding is unknown"),
    ],
)
def test_what_has_no_cells_says_why(data: bytes, status: Status, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(data, XLSX))
    assert document.status is status and said in (document.reason or "")


def test_entities_in_a_sheet_are_refused(parse) -> None:  # type: ignore[no-untyped-def]
    data = xlsx({"S": row(1, "plain")})
    sheet = spreadsheet_xml("worksheet", f"<sheetData>{row(1, '&a;')}</sheetData>")
    bomb = zipped({"xl/worksheets/sheet1.xml": f"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>{sheet}"})
    assert only(parse(data, XLSX)).status is Status.OK
    document = only(parse(bomb, XLSX))
    assert document.status is Status.FAILED and "entities" in str(document.reason) and "aaaa" not in document.text


def test_ods_shows_the_text_of_cells(parse) -> None:  # type: ignore[no-untyped-def]
    cell = '<table:table-cell office:value-type="{}" {}><text:p>{}</text:p></table:table-cell>'
    note = "<office:annotation><dc:creator>A</dc:creator><text:p>why</text:p></office:annotation>"
    body = (
        '<table:table table:name="Costs"><table:table-row>'
        + cell.format("string", "", "name")
        + cell.format("string", "", "cost")
        + "</table:table-row><table:table-row>"
        + cell.format("string", "", "rent")
        + f'<table:table-cell office:value-type="percentage" office:value="0.5">{note}<text:p>50,0 %</text:p></table:table-cell>'
        + '</table:table-row><table:table-row table:number-rows-repeated="1048000"><table:table-cell'
        + ' table:number-columns-repeated="16384"/></table:table-row><table:table-row table:number-rows-repeated="2">'
        + cell.format("float", 'table:number-columns-repeated="2"', "7")
        + "</table:table-row></table:table>"
        + '<table:table table:name="Gone" table:style-name="h"><table:table-row>'
        + cell.format("string", "", "x")
        + "</table:table-row></table:table>"
    )
    styles = '<style:style style:name="h"><style:table-properties table:display="false"/></style:style>'
    document = only(parse(odf(ODS, body, styles), ODS))
    assert document.text == (
        "# Costs\n\n| name | cost |\n| --- | --- |\n| rent | 50,0 % |\n\n| 7 | 7 |\n| 7 | 7 |\n\nComment on B2: why\n\n"
        "# Gone\n\n(hidden sheet)\n\n| x |"
    )
    assert [block.cells for block in document.structure.blocks] == [
        "Costs!A1:B2",
        "Costs!A1048003:B1048004",
        "Gone!A1:A1",
    ]
    assert document.page_count == 2


def test_repeated_rows_of_ods_are_bounded_and_counted(parse) -> None:  # type: ignore[no-untyped-def]
    cell = '<table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell>'
    body = f'<table:table table:name="S"><table:table-row table:number-rows-repeated="5000">{cell}</table:table-row></table:table>'
    document = only(parse(odf(ODS, body), ODS))
    assert document.text.count("| x |") == 1000
    assert document.status is Status.PARTIAL
    assert document.reason == "4,000 rows that repeat the one above are left out; split it"


OLD_WORKBOOK = (
    "eNrtWE1oE1EQ/t7u5q80afontEIpBautzUG8eGnjD1ovlupFEUHbZsFQk8g2IPWg1ZqTCIInxUulHrxUvfiDHhQ8eBAqehAEIdGjJ0HBQ5N1Zr"
    "JL0xihAVus7Le8ee/Nm9k3OzPvvd19u9icn3vYWUAVhqCjZIfgr+ApKiG3EwWN2zY33TpIxfawoRAKUiD9PjwLvwlwDDneBWh4YLwkCnymcgJn"
    "MZJJm93riL1iw5hiGwaVQbmn4TaVCDrErhahE0Jbhd4X2edCdwvnmtBBks2r41iMj/TvcvL4mNYjYxGiCo9F56NwdqAdrzmPL15XZVkf9ljJsT"
    "MbbKDLaMQ8KKTDZtq0uN+Eu2gApgmxVCqWSOTRRuGexw+7G/jurusX3R5/ffkKxP+5kh/4Az9IQazm39AMYAb2KcXJnEMYfQaP+LAvM5WdylGW"
    "h/2cGn4cTCYSZnoJMRqEFJJMZs0UVRMkTJVlprk6d9pMk9KUOWGZ2Qbe+GWjiK7YKMKyfBqJJtAk7WZZRFGyc+net3eHxkfjJ4UzI4dD+QjZwv"
    "bCxiXWIOWIcMsHjU6lXzS2C70sd90s7U6hbWQ21b2j7U7jwKzIXJHRXppnp+B9fGtFexu1c18PP+nKfYn3UXthuHC+beFDfA49dKQlSJ+vWQyo"
    "AXXrJuNp3K2Vs9l8Etrx28YT1KLyBDps55xsQpGWmhJ/MMo9jXrKkddqyC/774LGPZa/2lqW12vI6yKvO/I6ybfgzitN5H3i62V5nxYUHlswpL"
    "XgEU9D2+Qy1jrG7kiZbsQYo8qnRfEZ+5SfVbyKWl714MGDBw8ePHj4p8AvY5rz4m043wT82hdw/usUqZS83yT/LY4gQ1eWPin3I021hem68mcT"
    "fMq9l1qljvu/kHGUZrcwiXGxY7Lu/KXXdlX5PKtWjP69JVTv/KV67Fzj+X8B4OoGSg=="
)
"""An XLS file of two sheets, the second hidden, compressed."""


def test_old_workbooks() -> None:
    raw = zlib.decompress(base64.b64decode(OLD_WORKBOOK))
    source = ParseInput(io.BytesIO(raw), len(raw), "old.xls", "application/vnd.ms-excel")
    items = list(parse_xls(source))
    assert [item.unit for item in items if isinstance(item, Mark)] == ["workbook", "sheet 1", "sheet 2"]
    document = only([item for item in items if isinstance(item, ParsedDocument)])
    assert document.text == (
        "# Costs\n\n| item | cost |\n| --- | --- |\n| rent | 12.5 |\n| when | 2024-03-01 |\n\n| TRUE |\n\n"
        "# Hidden\n\n(hidden sheet)\n\n| secret |"
    )
    assert [block.cells for block in document.structure.blocks] == ["Costs!B2:C4", "Costs!A6:A6", "Hidden!A1:A1"]
    assert (document.page_count, document.kind) == (2, "sheet")


def test_old_workbooks_that_are_damaged_say_so(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(OLE + bytes(2000), "application/vnd.ms-excel"))
    assert document.status is Status.FAILED and "damaged XLS" in (document.reason or "")


def test_a_workbook_that_ended_a_process_is_given_up_with_the_remedy() -> None:
    options = ParseOptions(avoid={"workbook": "out of memory"})
    (document,) = parse_xls(ParseInput(io.BytesIO(OLE), 8, "a.xls", "application/vnd.ms-excel", options))
    assert isinstance(document, ParsedDocument)
    assert document.status is Status.QUARANTINED and ".xlsx" in (document.reason or "")


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not there")
def test_real_workbooks(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse((DATA / "empty.xlsx").read_bytes(), XLSX)).status is Status.EMPTY
    document = only(parse((DATA / "more-than-1k-cells.xlsx").read_bytes(), XLSX))
    assert document.status is Status.OK and document.structure.blocks[0].cells == "Sheet1!A1:Z40"

"""DrawingML, which slides, documents and workbooks share: paragraphs of shapes, tables, charts as tables, SmartArt.

Where a drawing stands is the formats' own.
"""

import re
from collections.abc import Callable
from xml.etree import ElementTree

from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.parsers.ooxml import R, attribute, one_line, whole_number
from cortex_assets.documents.parsers.package import Package, Relation

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
MAX_CHART_ROWS = 500
MAX_SERIES = 50
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,30})?(?:E[+-]?\d{1,3})?")
_NOT_SHOWN = frozenset({"pres", "parTrans", "sibTrans"})


def write_runs(out: MarkupText, paragraph: ElementTree.Element, relations: dict[str, Relation]) -> None:
    """Words of a paragraph's runs, fields and line breaks; links are noted."""
    for child in paragraph:
        if child.tag in (A + "r", A + "fld"):
            text = child.find(A + "t")
            out.words((text.text or "") if text is not None else "")
            link = child.find(f"{A}rPr/{A}hlinkClick")
            relation = relations.get(attribute(link, R + "id"))
            if relation is not None and relation.is_external:
                out.link(relation.target)
        elif child.tag == A + "br":
            out.line_break()
        elif child.tag not in (A + "pPr", A + "endParaRPr"):
            out.words(one_line(child))


def write_table(out: MarkupText, table: ElementTree.Element) -> None:
    """A table; merged cells span as the table says. Its first row is its header where the table says so."""
    rows: list[list[Cell]] = []
    is_header = attribute(table.find(A + "tblPr"), "firstRow") in ("1", "true")
    for row in table.findall(A + "tr"):
        cells: list[Cell] = []
        for cell in row.findall(A + "tc"):
            if cell.get("hMerge") in ("1", "true") or cell.get("vMerge") in ("1", "true"):
                continue
            text = " ".join(one_line(paragraph) for paragraph in cell.iter(A + "p")).strip()
            columns = min(max(1, whole_number(cell.get("gridSpan"))), 100)
            cells.append(
                Cell(text, is_header and not rows, columns, min(max(1, whole_number(cell.get("rowSpan"))), 100))
            )
        rows.append(cells)
    while rows and not rows[0]:
        rows.pop(0)
    if any(cell.text for row in rows for cell in row):
        out.table(rows)


def write_graphic(
    out: MarkupText, graphic: ElementTree.Element, relations: dict[str, Relation], package: Package
) -> None:
    """What a graphic is: a table, a chart, SmartArt; another one has no text."""
    if graphic.tag == A + "tbl":
        write_table(out, graphic)
    elif graphic.tag == C + "chart":
        _write_part(out, relations.get(graphic.get(R + "id", "")), package, write_chart)
    elif graphic.tag == DGM + "relIds":
        _write_part(out, relations.get(graphic.get(R + "dm", "")), package, write_diagram)


def _write_part(
    out: MarkupText,
    relation: Relation | None,
    package: Package,
    write: Callable[[MarkupText, ElementTree.Element], None],
) -> None:
    if relation is not None and not relation.is_external:
        root = package.optional(relation.target)
        if root is not None:
            write(out, root)


def write_chart(out: MarkupText, root: ElementTree.Element) -> None:
    """A chart: its title, then its series as columns and its categories as rows, from the values stored with it."""
    chart = root.find(C + "chart")
    if chart is None:
        return
    title = " ".join(node.text or "" for node in chart.findall(f"{C}title//{A}t"))
    series = chart.findall(f"{C}plotArea/*/{C}ser")[:MAX_SERIES]
    names = [one_line(item.find(f"{C}tx//{C}v")) for item in series]
    categories: dict[int, str] = {}
    columns: list[dict[int, str]] = []
    for item in series:
        points = _points(item.find(C + "cat")) or _points(item.find(C + "xVal"))
        categories = {**points, **categories}
        columns.append(_points(item.find(C + "val")) or _points(item.find(C + "yVal")))
    numbers = sorted({number for column in (categories, *columns) for number in column})[:MAX_CHART_ROWS]
    rows = [[Cell("", True), *(Cell(name, True) for name in names)]]
    rows += [
        [Cell(categories.get(number, "")), *(Cell(column.get(number, "")) for column in columns)] for number in numbers
    ]
    caption = f"Chart: {title}" if title.strip() else "Chart"
    if numbers:
        out.table(rows, " ".join(caption.split()))
    elif title.strip():
        out.words(caption)
        out.end_block()


def _points(node: ElementTree.Element | None) -> dict[int, str]:
    """Values by index, of the lowest level where categories have several."""
    found: dict[int, str] = {}
    level = node.find(f".//{C}lvl") if node is not None else None
    source = level if level is not None else node
    for point in source.iter(C + "pt") if source is not None else ():
        if len(found) < MAX_CHART_ROWS:
            found[whole_number(point.get("idx"))] = _short_number(one_line(point.find(C + "v")))
    return found


def _short_number(text: str) -> str:
    """A number without the noise of binary fractions (``0.30000000000000004``); other text as it is."""
    return f"{float(text):.10g}" if len(text) > 12 and _NUMBER.fullmatch(text) else text


def write_diagram(out: MarkupText, root: ElementTree.Element) -> None:
    """SmartArt: the text of each of its points, as a list."""
    for point in root.iter(DGM + "pt"):
        text = one_line(point.find(DGM + "t"))
        if text and point.get("type") not in _NOT_SHOWN:
            out.open_item(0, "-")
            out.words(text)
            out.end_line()
    out.end_block()

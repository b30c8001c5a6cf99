"""Small office packages, built in a test."""

import io
import zipfile

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"
RTF = "application/rtf"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"' for prefix, uri in (("w", _W), ("r", _R), ("p", _P), ("a", _A), ("c", _C))
)
_ODF = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("presentation", "presentation"),
        ("style", "style"),
        ("manifest", "manifest"),
        ("chart", "chart"),
    )
)
ODF_NAMESPACES = f'{_ODF} xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def zipped(parts: dict[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return made.getvalue()


def relations(**targets: str) -> str:
    """Relations by id: ``kind part``, or ``kind http://...`` for one outside."""
    nodes = "".join(
        f'<Relationship Id="{key}" Type="{_R}/{value.split()[0]}" Target="{value.split()[1]}"'
        + (' TargetMode="External"/>' if "://" in value else "/>")
        for key, value in targets.items()
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{nodes}</Relationships>'
    )


def docx(body: str, **parts: str) -> bytes:
    made: dict[str, str | bytes] = {
        "[Content_Types].xml": _TYPES,
        "word/document.xml": f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>",
    }
    for name, xml in parts.items():
        made[f"word/{name}.xml"] = xml.replace("<w:root", f"<w:root {NAMESPACES}")
    return zipped(made)


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def shape(text: str, placeholder: str | None = None) -> str:
    kind = "" if placeholder is None else f'<p:ph type="{placeholder}"/>' if placeholder else '<p:ph idx="1"/>'
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{kind}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def slide(shapes: str, attributes: str = "") -> str:
    return f"<p:sld {NAMESPACES} {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"


def pptx(slides: list[str], more: dict[str, str | bytes] | None = None, order: list[int] | None = None) -> bytes:
    numbers = list(range(1, len(slides) + 1))
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="s{number}"/>' for number in order or numbers)
    targets = {f"s{number}": f"slide slides/slide{number}.xml" for number in numbers}
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": _TYPES,
        "ppt/presentation.xml": f"<p:presentation {NAMESPACES}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(**targets, a="commentAuthors commentAuthors.xml"),
    }
    parts |= {f"ppt/slides/slide{number}.xml": xml for number, xml in zip(numbers, slides, strict=True)}
    return zipped(parts | (more or {}))


def xlsx(sheets: dict[str, str], more: dict[str, str | bytes] | None = None, states: str = "") -> bytes:
    """Sheets by name: the rows' XML, or the whole part where it has ``<worksheet``."""
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="s{number}" {states if number > 1 else ""}/>'
        for number, name in enumerate(sheets, 1)
    )
    targets = {f"s{number}": f"worksheet worksheets/sheet{number}.xml" for number in range(1, len(sheets) + 1)}
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": _TYPES,
        "xl/workbook.xml": f'<workbook xmlns="{_S}" {NAMESPACES}><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(**targets, t="sharedStrings sharedStrings.xml", y="styles styles.xml"),
    }
    for number, rows in enumerate(sheets.values(), 1):
        sheet = rows if "<worksheet" in rows else f"<worksheet><sheetData>{rows}</sheetData></worksheet>"
        parts[f"xl/worksheets/sheet{number}.xml"] = sheet.replace("<worksheet>", f'<worksheet xmlns="{_S}">')
    return zipped(parts | (more or {}))


def spreadsheet_xml(tag: str, content: str) -> str:
    return f'<{tag} xmlns="{_S}">{content}</{tag}>'


def row(number: int, *values: str | float | None, first: str = "A", style: str = "") -> str:
    """A row: texts inline, numbers as they are, None for no cell."""
    cells = ""
    for offset, value in enumerate(values):
        place = f'r="{chr(ord(first) + offset)}{number}" {style}'
        if isinstance(value, str):
            cells += f'<c {place} t="inlineStr"><is><t>{value}</t></is></c>'
        elif value is not None:
            cells += f"<c {place}><v>{value}</v></c>"
    return f'<row r="{number}">{cells}</row>'


def odf(media: str, body: str, styles: str = "", more: dict[str, str | bytes] | None = None) -> bytes:
    kind = media.rpartition(".")[2]
    content = (
        f"<office:document-content {ODF_NAMESPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    return zipped({"mimetype": media, "content.xml": content} | (more or {}))

"""Makers of formats that are ZIP archives of XML: Office, OpenDocument, EPUB, and plain archives."""

import io
import random
import zipfile
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from tests.fuzz.words import paragraph, phrase, table, word

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ML = "application/vnd.openxmlformats-officedocument."
_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_ODF = (
    f'xmlns:office="{_OASIS}office:1.0" xmlns:text="{_OASIS}text:1.0" xmlns:table="{_OASIS}table:1.0" '
    f'xmlns:draw="{_OASIS}drawing:1.0" xmlns:presentation="{_OASIS}presentation:1.0"'
)


def zipped(members: Mapping[str, str | bytes], stored: str = "") -> bytes:
    """An archive of members with fixed times; the member named ``stored`` is not compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if name == stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def _office(parts: Mapping[str, tuple[str, str]], main: str, relations: Mapping[str, str] | None = None) -> bytes:
    """An Office package: part name to (content type, XML); the main part; and relations of parts."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{_ML}{kind}"/>' for name, (kind, _) in parts.items()
    )
    types = (
        f'{_XML}<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>'
    )
    root = _relations({"rId1": ("officeDocument", main)})
    members = {"[Content_Types].xml": types, "_rels/.rels": root}
    members |= {name: content for name, (_, content) in parts.items()}
    return zipped(members | dict(relations or {}))


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """A part with relations: id to (kind, target)."""
    items = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f'{_XML}<Relationships xmlns="{_RELATIONS}">{items}</Relationships>'


def docx(pick: random.Random) -> bytes:
    """Headings, paragraphs and a table."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

    def run(text: str, style: str = "") -> str:
        properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        return f"<w:p>{properties}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"

    rows = "".join("<w:tr>" + "".join(f"<w:tc>{run(cell)}</w:tc>" for cell in row) + "</w:tr>" for row in table(pick))
    body = run(phrase(pick), "Heading1") + run(paragraph(pick)) + f"<w:tbl>{rows}</w:tbl>" + run(paragraph(pick))
    document = f'{_XML}<w:document xmlns:w="{space}"><w:body>{body}<w:sectPr/></w:body></w:document>'
    return _office({"word/document.xml": ("wordprocessingml.document.main+xml", document)}, "word/document.xml")


def xlsx(pick: random.Random) -> bytes:
    """Two sheets of shared strings, inline strings and numbers."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strings: list[str] = []
    parts: dict[str, tuple[str, str]] = {}
    for sheet in (1, 2):
        rows = ""
        for number, row in enumerate(table(pick), 1):
            cells = f'<c r="A{number}" t="s"><v>{len(strings)}</v></c>'
            strings.append(row[0])
            for column, cell in zip("BCDEF", row[1:], strict=False):
                plain = number > 1
                cells += f'<c r="{column}{number}"' + (
                    f"><v>{cell}</v></c>" if plain else f' t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
                )
            rows += f'<row r="{number}">{cells}</row>'
        content = f'{_XML}<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'
        parts[f"xl/worksheets/sheet{sheet}.xml"] = ("spreadsheetml.worksheet+xml", content)
    shared = "".join(f"<si><t>{escape(one)}</t></si>" for one in strings)
    sheets = "".join(f'<sheet name="{word(pick)}{n}" sheetId="{n}" r:id="rId{n}"/>' for n in (1, 2))
    parts["xl/sharedStrings.xml"] = ("spreadsheetml.sharedStrings+xml", f'{_XML}<sst xmlns="{space}">{shared}</sst>')
    workbook = f'{_XML}<workbook xmlns="{space}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>'
    parts["xl/workbook.xml"] = ("spreadsheetml.sheet.main+xml", workbook)
    targets = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in (1, 2)}
    targets["rId3"] = ("sharedStrings", "sharedStrings.xml")
    return _office(parts, "xl/workbook.xml", {"xl/_rels/workbook.xml.rels": _relations(targets)})


def pptx(pick: random.Random) -> bytes:
    """Three slides with a title and text."""
    spaces = (
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
        f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="{_OFFICE}"'
    )
    parts: dict[str, tuple[str, str]] = {}
    for number in (1, 2, 3):
        shapes = "".join(
            f'<p:sp><p:nvSpPr><p:cNvPr id="{n}" name="s"/><p:cNvSpPr/><p:nvPr>{place}</p:nvPr></p:nvSpPr><p:spPr/><p:txBody>'
            f"<a:bodyPr/><a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p></p:txBody></p:sp>"
            for n, (place, text) in enumerate([('<p:ph type="title"/>', phrase(pick)), ("", paragraph(pick))], 2)
        )
        group = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
        slide = f"{_XML}<p:sld {spaces}><p:cSld><p:spTree>{group}{shapes}</p:spTree></p:cSld></p:sld>"
        parts[f"ppt/slides/slide{number}.xml"] = ("presentationml.slide+xml", slide)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in (1, 2, 3))
    main = f"{_XML}<p:presentation {spaces}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    parts["ppt/presentation.xml"] = ("presentationml.presentation.main+xml", main)
    targets = {f"rId{n}": ("slide", f"slides/slide{n}.xml") for n in (1, 2, 3)}
    return _office(parts, "ppt/presentation.xml", {"ppt/_rels/presentation.xml.rels": _relations(targets)})


def _open_document(kind: str, body: str) -> bytes:
    """An OpenDocument package."""
    media = f"application/vnd.oasis.opendocument.{kind}"
    content = (
        f"{_XML}<office:document-content {_ODF} office:version='1.2'><office:body>{body}</office:body>"
        "</office:document-content>"
    )
    entry = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media}"/>'
    manifest = f'{_XML}<manifest:manifest xmlns:manifest="{_OASIS}manifest:1.0">{entry}</manifest:manifest>'
    return zipped({"mimetype": media, "content.xml": content, "META-INF/manifest.xml": manifest}, stored="mimetype")


def odt(pick: random.Random) -> bytes:
    """A heading, paragraphs and a list."""
    heading = f'<text:h text:outline-level="1">{escape(phrase(pick))}</text:h>'
    items = "".join(f"<text:list-item><text:p>{escape(phrase(pick))}</text:p></text:list-item>" for _ in range(3))
    text = f"{heading}<text:p>{escape(paragraph(pick))}</text:p><text:list>{items}</text:list>"
    return _open_document("text", f"<office:text>{text}</office:text>")


def _odf_rows(rows: list[list[str]]) -> str:
    return "".join(
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{escape(cell)}</text:p></table:table-cell>" for cell in row)
        + "</table:table-row>"
        for row in rows
    )


def ods(pick: random.Random) -> bytes:
    """Two sheets, one with repeated cells."""
    blank = '<table:table-row><table:table-cell table:number-columns-repeated="1000"/></table:table-row>'
    sheets = "".join(
        f'<table:table table:name="{word(pick)}{n}">{_odf_rows(table(pick))}{blank}</table:table>' for n in (1, 2)
    )
    return _open_document("spreadsheet", f"<office:spreadsheet>{sheets}</office:spreadsheet>")


def odp(pick: random.Random) -> bytes:
    """Two slides."""
    pages = "".join(
        f'<draw:page draw:name="page{n}"><draw:frame presentation:class="title"><draw:text-box><text:p>'
        f"{escape(phrase(pick))}</text:p></draw:text-box></draw:frame></draw:page>"
        for n in (1, 2)
    )
    return _open_document("presentation", f"<office:presentation>{pages}</office:presentation>")


def epub(pick: random.Random) -> bytes:
    """Two chapters, a package file and a table of contents."""
    chapters = {
        f"OEBPS/c{n}.xhtml": f'{_XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{n}</title></head><body>'
        f"<h1>{escape(phrase(pick))}</h1><p>{escape(paragraph(pick))}</p></body></html>"
        for n in (1, 2)
    }
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in (1, 2))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in (1, 2))
    package = (
        f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(phrase(pick))}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        f'{_XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    members = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package}
    return zipped(members | chapters, stored="mimetype")


def archive(pick: random.Random) -> bytes:
    """Two texts, a folder, and an archive in the archive."""
    inner = zipped({"deep.txt": paragraph(pick)})
    members = {"a.md": f"# {phrase(pick)}\n\n{paragraph(pick)}", f"{word(pick)}/b.txt": paragraph(pick), "c.zip": inner}
    return zipped(members)


MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    ".docx": docx,
    ".xlsx": xlsx,
    ".pptx": pptx,
    ".odt": odt,
    ".ods": ods,
    ".odp": odp,
    ".epub": epub,
    ".zip": archive,
}

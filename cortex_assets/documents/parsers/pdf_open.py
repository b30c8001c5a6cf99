"""Opens a PDF: passwords in turn, damage told apart from encryption, and the plain facts about a file.

Reading its pages does not belong here (``pdf``), nor do attachments and the outline (``pdf_extras``).
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

MAX_PASSWORDS = 100
MAX_FACT_PAGES = 10_000
_MOST_HELD = 32 * 1024 * 1024
"""Bytes of a file that is read at once: for a larger one the library calls back for every few hundred bytes."""
_SUBTYPES = (
    "Unknown",
    "Text",
    "Link",
    "FreeText",
    "Line",
    "Square",
    "Circle",
    "Polygon",
    "PolyLine",
    "Highlight",
    "Underline",
    "Squiggly",
    "StrikeOut",
    "Stamp",
    "Caret",
    "Ink",
    "Popup",
    "FileAttachment",
    "Sound",
    "Movie",
    "Widget",
    "Screen",
    "PrinterMark",
    "TrapNet",
    "Watermark",
    "3D",
    "RichMedia",
    "XFAWidget",
    "Redact",
)


class PdfError(ValueError):
    """A PDF that cannot be opened; the message is one line that says why and what to do, and holds no password."""


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What a PDF says about itself.

    Attributes:
        pages: how many.
        encrypted: whether a security handler is in force, with an empty user password too.
        forms: 1 where it has an interactive form.
        annotations: how many of each subtype, as the format names them.
        images: image objects on its pages, those within form objects included.
        attachments: embedded files of the document.
    """

    pages: int
    encrypted: bool
    forms: int
    annotations: dict[str, int]
    images: int
    attachments: int


def open_pdf(stream: BinaryIO, passwords: Sequence[str] = ()) -> Any:
    """Open a PDF with no password, then with each of the given ones.

    Returns:
        A ``pypdfium2.PdfDocument``; close it.

    Raises:
        PdfError: it is damaged, or no password opens it.
    """
    pdfium: Any = import_module("pypdfium2")
    raw: Any = import_module("pypdfium2.raw")
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    held = stream.read() if size <= _MOST_HELD else None
    for password in (None, *passwords[:MAX_PASSWORDS]):
        stream.seek(0)
        try:
            return pdfium.PdfDocument(stream if held is None else held, password=password)
        except pdfium.PdfiumError as error:
            if error.err_code == raw.FPDF_ERR_SECURITY:
                raise PdfError(
                    "encrypted in a way that cannot be read (certificates or an unknown method): save a copy without "
                    "encryption and drop that"
                ) from None
            if error.err_code != raw.FPDF_ERR_PASSWORD:
                raise PdfError(_damage(stream, str(error))) from None
    tried = f"none of the {len(passwords)} passwords of the corpus opens it" if passwords else "a password is needed"
    raise PdfError(
        f"encrypted: {tried}; add it to the password file of the corpus (data/passwords/<corpus>.txt) and run cortex retry"
    )


def _damage(stream: BinaryIO, message: str) -> str:
    """Why a PDF that is not locked cannot be opened."""
    stream.seek(0)
    if b"%PDF-" not in stream.read(1024):
        return "damaged PDF: it does not begin as one; open it in a viewer and save it again, or delete it"
    what = message.partition("PDFium: ")[2].rstrip(").") or message
    return f"damaged PDF: {what}; open and save it again, or repair it with qpdf, and drop the result"


def is_repaired(document: Any) -> bool:
    """Whether the table of objects was broken and had to be rebuilt."""
    raw: Any = import_module("pypdfium2.raw")
    return not raw.FPDF_DocumentHasValidCrossReferenceTable(document)


def pdf_facts(stream: BinaryIO, passwords: Sequence[str] = ()) -> PdfFacts:
    """Count what is in a PDF; pages beyond 10,000 are not looked into, those that cannot be loaded count for nothing.

    Raises:
        PdfError: it cannot be opened.
    """
    pdfium: Any = import_module("pypdfium2")
    raw: Any = import_module("pypdfium2.raw")
    document = open_pdf(stream, passwords)
    annotations: Counter[str] = Counter()
    images = 0
    try:
        for number in range(min(len(document), MAX_FACT_PAGES)):
            try:
                page = document[number]
            except pdfium.PdfiumError:
                continue
            annotations.update(_subtypes(raw, page))
            images += sum(1 for _ in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=4))
            page.close()
        return PdfFacts(
            len(document),
            raw.FPDF_GetSecurityHandlerRevision(document) >= 0,
            int(document.get_formtype() != raw.FORMTYPE_NONE),
            dict(annotations),
            images,
            max(0, raw.FPDFDoc_GetAttachmentCount(document)),
        )
    finally:
        document.close()


def _subtypes(raw: Any, page: Any) -> list[str]:
    """Names of the subtypes of a page's annotations."""
    names = []
    for index in range(max(0, raw.FPDFPage_GetAnnotCount(page))):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            code = raw.FPDFAnnot_GetSubtype(annotation)
            names.append(_SUBTYPES[code] if 0 <= code < len(_SUBTYPES) else _SUBTYPES[0])
            raw.FPDFPage_CloseAnnot(annotation)
    return names

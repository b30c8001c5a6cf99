"""What a PDF holds besides its pages' text: annotations, form fields, links, attachments, the outline and the title.

Annotations and fields become lines of text at the end of their page, so that they are searched and cited like the rest.
Everything is bounded. Reading pages and judging a file are ``pdf``'s.
"""

import ctypes
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from cortex_assets.documents.members import Members, inner_path
from cortex_assets.documents.model import Mark, Parsed, ParseInput
from cortex_assets.documents.parsers.pdf_text import clean
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status

MAX_ANNOTATIONS = 2_000
MAX_NOTE_CHARS = 20_000
MAX_LINKS = 10_000
MAX_OUTLINE = 5_000
MAX_ATTACHMENTS = 5_000
_MAX_URI = 2_000
_MAX_TITLE = 500
_MAX_STRING_BYTES = 64 * 1024 * 1024
_DULL_TITLE = re.compile(
    r"(?i)\s*(?:untitled|unknown|document\d*|title)?\s*$|microsoft word\b|.*\.(?:docx?|pdf|tex|indd|dvi|qxd)\s*$"
)
_HIDDEN = 2  # FPDF_ANNOT_FLAG_HIDDEN


class Extras:
    """Annotations and fields of the pages of one document, and the links and attached files found so far.

    Args:
        document: an open ``pypdfium2.PdfDocument``, none of whose pages was loaded yet.
        has_form: whether to make its form ready, which field names and values need.

    Attributes:
        files: handles of files that annotations hold.
        is_xfa: whether the document's form is an XFA one.
    """

    def __init__(self, document: Any, has_form: bool = True) -> None:
        pdfium: Any = import_module("pypdfium2")
        self._raw: Any = import_module("pypdfium2.raw")
        self._document = document
        self._links: dict[str, None] = {}
        self.files: list[Any] = []
        self._labels = {
            self._raw.FPDF_ANNOT_TEXT: "comment",
            self._raw.FPDF_ANNOT_FREETEXT: "text",
            self._raw.FPDF_ANNOT_HIGHLIGHT: "highlight",
            self._raw.FPDF_ANNOT_UNDERLINE: "underline",
            self._raw.FPDF_ANNOT_SQUIGGLY: "underline",
            self._raw.FPDF_ANNOT_STRIKEOUT: "strikeout",
            self._raw.FPDF_ANNOT_STAMP: "stamp",
            self._raw.FPDF_ANNOT_CARET: "insertion",
            self._raw.FPDF_ANNOT_INK: "drawing",
            self._raw.FPDF_ANNOT_LINE: "drawing",
            self._raw.FPDF_ANNOT_SQUARE: "drawing",
            self._raw.FPDF_ANNOT_CIRCLE: "drawing",
            self._raw.FPDF_ANNOT_POLYGON: "drawing",
            self._raw.FPDF_ANNOT_POLYLINE: "drawing",
            self._raw.FPDF_ANNOT_FILEATTACHMENT: "file",
        }
        self._form: Any = None
        self.is_xfa = document.get_formtype() in (self._raw.FORMTYPE_XFA_FULL, self._raw.FORMTYPE_XFA_FOREGROUND)
        if has_form:
            try:
                document.init_forms()
                self._form = document.formenv
            except pdfium.PdfiumError:
                self._form = None

    def take_links(self) -> tuple[str, ...]:
        """The links found since the last call, each once."""
        links, self._links = tuple(self._links), {}
        return links

    def lines(self, page: Any) -> list[str]:
        """A line for each annotation that says something and each form field of a page; its links are noted."""
        raw = self._raw
        found: dict[str, None] = {}
        for index in range(min(max(0, raw.FPDFPage_GetAnnotCount(page)), MAX_ANNOTATIONS)):
            annotation = raw.FPDFPage_GetAnnot(page, index)
            if not annotation:
                continue
            try:
                subtype = raw.FPDFAnnot_GetSubtype(annotation)
                if subtype == raw.FPDF_ANNOT_LINK:
                    self._note_link(annotation)
                elif raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                    continue
                elif subtype == raw.FPDF_ANNOT_WIDGET:
                    found[self._field(annotation)] = None
                elif subtype in self._labels:
                    if subtype == raw.FPDF_ANNOT_FILEATTACHMENT and len(self.files) < MAX_ATTACHMENTS:
                        self.files.append(raw.FPDFAnnot_GetFileAttachment(annotation))
                    found[self._note(annotation, self._labels[subtype])] = None
            finally:
                raw.FPDFPage_CloseAnnot(annotation)
        return [line for line in found if line]

    def _note_link(self, annotation: Any) -> None:
        """Keep the address of a link."""
        raw = self._raw
        if len(self._links) >= MAX_LINKS:
            return
        link = raw.FPDFAnnot_GetLink(annotation)
        action = raw.FPDFLink_GetAction(link) if link else None
        if not action or raw.FPDFAction_GetType(action) != raw.PDFACTION_URI:
            return
        size = raw.FPDFAction_GetURIPath(self._document, action, None, 0)
        if 1 < size <= _MAX_URI:
            buffer = ctypes.create_string_buffer(size)
            raw.FPDFAction_GetURIPath(self._document, action, buffer, size)
            address = clean(buffer.value.decode("utf-8", "replace"))
            if address:
                self._links[address] = None

    def _note(self, annotation: Any, label: str) -> str:
        """``[comment by Ann] what it says``; empty where it says nothing."""
        words = _one_line(self._string(annotation, "Contents"))
        if not words:
            return ""
        author = _one_line(self._string(annotation, "T"))
        return f"[{label} by {author[:100]}] {words}" if author else f"[{label}] {words}"

    def _string(self, annotation: Any, key: str) -> str:
        raw, name = self._raw, key.encode()
        return _wide(lambda buffer, size: raw.FPDFAnnot_GetStringValue(annotation, name, buffer, size))

    def _field(self, annotation: Any) -> str:
        """``Name: value`` of a form field; buttons that only do something, and passwords, are left out."""
        raw, form = self._raw, self._form
        if not form:
            return ""
        kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
        flags = raw.FPDFAnnot_GetFormFieldFlags(form, annotation)
        if kind == raw.FPDF_FORMFIELD_TEXTFIELD and flags & raw.FPDF_FORMFLAG_TEXT_PASSWORD:
            return ""
        name = self._field_text(raw.FPDFAnnot_GetFormFieldAlternateName, annotation)
        name = name or self._field_text(raw.FPDFAnnot_GetFormFieldName, annotation)
        if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
            is_on = raw.FPDFAnnot_IsChecked(form, annotation)
            if kind == raw.FPDF_FORMFIELD_CHECKBOX:
                return f"{name or 'check box'}: {'yes' if is_on else 'no'}"
            value = self._field_text(raw.FPDFAnnot_GetFormFieldExportValue, annotation) if is_on else ""
        elif kind in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
            value = self._field_text(raw.FPDFAnnot_GetFormFieldValue, annotation)
            if not value and kind != raw.FPDF_FORMFIELD_TEXTFIELD:
                value = self._chosen(annotation)
        else:
            return ""
        if not value and (not name or kind == raw.FPDF_FORMFIELD_RADIOBUTTON):
            return ""
        return f"{name or 'field'}: {value}".rstrip()

    def _field_text(self, function: Any, annotation: Any) -> str:
        form = self._form
        return _one_line(_wide(lambda buffer, size: function(form, annotation, buffer, size)))

    def _chosen(self, annotation: Any) -> str:
        """The chosen options of a list, joined by commas."""
        raw, form = self._raw, self._form
        chosen = []
        for index in range(min(max(0, raw.FPDFAnnot_GetOptionCount(form, annotation)), 1000)):
            if raw.FPDFAnnot_IsOptionSelected(form, annotation, index):
                chosen.append(self._label(annotation, index))
        return ", ".join(label for label in chosen if label)

    def _label(self, annotation: Any, index: int) -> str:
        raw, form = self._raw, self._form
        return _one_line(
            _wide(lambda buffer, size: raw.FPDFAnnot_GetOptionLabel(form, annotation, index, buffer, size))
        )


def _wide(get: Any) -> str:
    """A string that the library gives as UTF-16 with an ending zero; cut at 20,000 characters."""
    size = get(None, 0)
    if not 2 < size <= _MAX_STRING_BYTES:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    get(buffer, size)
    text = bytes(memoryview(buffer))[: size - 2].decode("utf-16-le", "replace")
    return text[:MAX_NOTE_CHARS].partition("\0")[0]


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def attachments(document: Any, noted: Sequence[Any], source: ParseInput) -> Iterator[Parsed]:
    """The embedded files, each parsed as what it is, within the limits of containers.

    Args:
        document: the open document.
        noted: handles of files that annotations of its pages hold.
        source: the document's file.
    """
    pdfium: Any = import_module("pypdfium2")
    raw: Any = import_module("pypdfium2.raw")
    count = max(0, raw.FPDFDoc_GetAttachmentCount(document))
    members = Members(source)
    handles = [raw.FPDFDoc_GetAttachment(document, index) for index in range(min(count, MAX_ATTACHMENTS))]
    seen: set[int] = set()
    names: dict[str, int] = {}
    for index, handle in enumerate([*handles, *noted]):
        address = ctypes.addressof(handle.contents) if handle else 0
        if address and address in seen:
            continue
        seen.add(address)
        helper = pdfium.PdfAttachment(handle, document) if handle else None
        name = _unique(_name(pdfium, helper) or f"attachment {index + 1}", names)
        if helper is None:
            yield members.refused(name, _UNREADABLE, Status.FAILED)
            continue
        yield from _attachment(raw, helper, members, name, source.options.avoid)
    if count > MAX_ATTACHMENTS:
        reason = f"more than {MAX_ATTACHMENTS} attachments: the rest is not opened; save them from a viewer"
        yield members.refused("attachments", reason)


_UNREADABLE = "the attachment cannot be read (damaged, or locked by a password of its own): save it from a viewer"
_LOCKED = "of no known type: in an encrypted PDF an attachment may have a password of its own; save it from a viewer"


def _name(pdfium: Any, helper: Any) -> str:
    try:
        return clean(helper.get_name()) if helper is not None else ""
    except pdfium.PdfiumError:
        return ""


def _unique(name: str, names: dict[str, int]) -> str:
    """A name that no earlier attachment has, as it is the unit by which a deadly one is told."""
    count = names[name] = names.get(name, 0) + 1
    stem, dot, suffix = name.rpartition(".")
    if count == 1:
        return name
    return f"{stem} ({count}){dot}{suffix}" if stem else f"{name} ({count})"


def _attachment(raw: Any, helper: Any, members: Members, name: str, avoid: Mapping[str, str]) -> Iterator[Parsed]:
    """Unpack and parse one attachment, or say why not."""
    refusal = members.refusal(0)
    if refusal is not None:
        yield members.refused(name, refusal)
        return
    if inner_path(name) in avoid:
        yield from members.parse(name, b"")
        return
    yield Mark(inner_path(name))  # unpacking it may end the process
    size = ctypes.c_ulong()
    is_there = raw.FPDFAttachment_GetFile(helper, None, 0, ctypes.byref(size))
    refusal = members.refusal(size.value)
    if refusal is not None:
        yield members.refused(name, refusal)
        return
    buffer = ctypes.create_string_buffer(max(1, size.value))
    if not is_there or not raw.FPDFAttachment_GetFile(helper, buffer, size.value, ctypes.byref(size)):
        yield members.refused(name, _UNREADABLE, Status.FAILED)
        return
    content = buffer.raw[: size.value]
    media = media_type(content[:HEAD_BYTES], content[-TAIL_BYTES:], name, len(content))
    if media == "application/octet-stream" and raw.FPDF_GetSecurityHandlerRevision(helper.pdf) >= 0:
        yield members.refused(name, _LOCKED, Status.UNSUPPORTED)
        return
    yield from members.parse(name, content, media)


def title_of(document: Any) -> str:
    """The title in the metadata, unless it is what an editor put there by itself."""
    title = _one_line(document.get_metadata_value("Title"))[:_MAX_TITLE]
    return "" if _DULL_TITLE.match(title) else title


def outline_of(document: Any) -> dict[int, list[tuple[int, str]]]:
    """Bookmarks by page number: (level 1..6, title); what was read so far where the outline is broken."""
    pdfium: Any = import_module("pypdfium2")
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for number, bookmark in enumerate(document.get_toc(max_depth=6)):
            if number >= MAX_OUTLINE:
                break
            target = bookmark.get_dest()
            index = target.get_index() if target is not None else None
            title = _one_line(bookmark.get_title())[:_MAX_TITLE]
            if index is not None and index >= 0 and title:
                found.setdefault(index + 1, []).append((min(6, bookmark.level + 1), title))
    except pdfium.PdfiumError:
        return found
    return found

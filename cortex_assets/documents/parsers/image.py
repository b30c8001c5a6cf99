"""Pictures: their name, size and what is written in them about them; with the ``ocr`` extra also text in the picture.

Only headers are read here, pixels are not. Read are EXIF, XMP, IPTC, comments and PNG's text; where a picture was taken
is personal and left out. A picture that says nothing still has its name and size, so that people find it by its name.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.ocr import MAX_PIXELS, MISSING, is_available, ocr_image
from cortex_assets.documents.parsers.image_metadata import Facts, exif_facts, iptc_facts, xmp_facts
from cortex_assets.documents.parsers.image_streams import is_jpeg_whole, png_texts
from cortex_assets.tables import Status, short_reason

MAX_OCR_BYTES = 64 * 1024 * 1024
_OCR_UNIT = "text in the picture"
_DULL = frozenset({"xml:com.adobe.xmp", "date:create", "date:modify", "date:timestamp", "software"})


def parse_image(source: ParseInput) -> Iterator[Parsed]:
    """Parse a picture of a format that Pillow opens (HEIC by pi-heif)."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if source.media_type == "image/heic":
            import pi_heif

            pi_heif.register_heif_opener()
        try:
            with Image.open(source.stream) as picture:
                document = _document(source, picture)
        except Image.DecompressionBombError:
            reason = "more pixels than any picture has, as a bomb does: not opened; save a smaller copy"
            yield ParsedDocument("", "image", status=Status.TOO_LARGE, reason=reason)
            return
        except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = "damaged picture, or of a format that is not read: open it and save it as PNG"
            yield ParsedDocument("", "image", status=Status.FAILED, reason=reason)
            return
    yield from _with_ocr(source, document)


def _document(source: ParseInput, picture: Any) -> ParsedDocument:
    """The picture without what is written in its pixels."""
    facts = Facts()
    exif_facts(picture, facts)
    iptc_facts(picture, facts)
    problem = None
    if picture.format == "PNG":
        texts, is_whole = png_texts(source.stream)
        for key, value in texts:
            if key.lower() == "xml:com.adobe.xmp":
                xmp_facts(value.encode("utf-8", "replace"), facts)
            elif key.lower() not in _DULL and not key.startswith("Raw profile"):
                facts.add(key.capitalize(), value)
    else:
        is_whole = picture.format != "JPEG" or is_jpeg_whole(source.stream)
        xmp_facts(picture.info.get("xmp"), facts)
        facts.add("Comment", picture.info.get("comment"))
    if not is_whole:
        problem = "cut off: the end of the picture is missing; get the whole file again"
    frames = _frames(picture)
    if frames > 1:
        facts.add("Frames" if picture.format != "TIFF" else "Pages", f"{frames:,}")
    kind = str(picture.format or "").replace("HEIF", "HEIC")
    head = f"{PurePosixPath(source.path).name}: {kind} image, {picture.width} × {picture.height} pixels"
    return ParsedDocument(
        "\n".join([head, *facts.lines()]),
        "image",
        facts.first("Title"),
        status=Status.PARTIAL if problem else Status.OK,
        reason=problem,
    )


def _frames(picture: Any) -> int:
    """How many frames or pages a picture has; 1 where that cannot be told."""
    try:
        return int(getattr(picture, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, RuntimeError):
        return 1


def _with_ocr(source: ParseInput, document: ParsedDocument) -> Iterator[Parsed]:
    """The same document with the text in the picture, or with why that is not read."""
    if not is_available():
        yield replace(document, doubt=MISSING)
        return
    if _OCR_UNIT in source.options.avoid:
        yield replace(document, doubt=short_reason(f"{_OCR_UNIT} is not read: {source.options.avoid[_OCR_UNIT]}"))
        return
    yield Mark(_OCR_UNIT)
    text = None
    if source.size <= MAX_OCR_BYTES:
        source.stream.seek(0)
        text = ocr_image(source.stream.read())
    if text is None:
        yield replace(
            document,
            doubt=f"{_OCR_UNIT} is not read: damaged, above {MAX_PIXELS // 10**6} megapixels, or out of memory",
        )
        return
    yield replace(document, text=f"{document.text}\n\n{text}" if text else document.text)

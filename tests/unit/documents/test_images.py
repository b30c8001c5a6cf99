"""Pictures and drawings: what they say about themselves, what they hide, and what is said of damaged ones."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from cortex_assets.documents import ocr
from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers import image
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 exif:GPSLatitude="47,10.5N" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Headline="By the lake">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Lake</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>water</rdf:li><rdf:li>sun</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x14\x1c\x02\x78\x00\x0fCaption by hand"


@pytest.fixture(autouse=True)
def _without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra counts as absent, whether it is installed or not."""
    monkeypatch.setattr(image, "is_available", lambda: False)


def parsed(raw: bytes, path: str, avoid: dict[str, str] | None = None) -> ParsedDocument:
    found = media_type(raw[:HEAD_BYTES], raw[HEAD_BYTES:][-TAIL_BYTES:], path, len(raw))
    source = ParseInput(io.BytesIO(raw), len(raw), path, found, ParseOptions(avoid=avoid or {}))
    documents = [item for item in parser_for(found).parser(source) if not isinstance(item, Mark)]
    assert len(documents) == 1 and documents[0].kind in ("image", "none")
    assert documents[0].reason or documents[0].status is Status.OK
    return documents[0]


def picture(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[270], tags[271], tags[272], tags[306] = "A quiet evening", "Apple", "iPhone 12", "2021:05:03 14:22:11"
    tags[40091] = "Übersicht".encode("utf-16-le") + b"\0\0"
    details = tags.get_ifd(34665)
    details[36867], details[37510] = "2021:05:02 09:00:00", b"ASCII\0\0\0hand made"
    tags.get_ifd(34853).update({1: "N", 2: (47.0, 10.0, 3.0), 3: "E", 4: (8.0, 30.0, 0.0)})
    return tags


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tif"), ("BMP", "bmp")],
)
def test_a_picture_that_says_nothing_is_found_by_its_name(kind: str, suffix: str) -> None:
    document = parsed(picture(kind), f"plans/kitchen-plan.{suffix}")
    assert document.status is Status.OK
    assert document.text == f"kitchen-plan.{suffix}: {kind} image, 300 × 200 pixels"
    assert document.doubt == ocr.MISSING and "ocr extra" in ocr.MISSING


def test_avif_is_read_and_a_damaged_heic_is_told() -> None:
    assert "AVIF image, 300 × 200" in parsed(picture("AVIF"), "x.avif").text
    heic = parsed(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 50, "x.heic")
    assert heic.status is Status.FAILED and "save it" in (heic.reason or "")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif_is_text_but_for_the_place(kind: str) -> None:
    document = parsed(picture(kind, exif=exif()), "x.img")
    lines = document.text.split("\n")[1:]
    assert {"Description: A quiet evening", "Camera: Apple iPhone 12", "Taken: 2021-05-02 09:00:00"} <= set(lines)
    assert {"Title: Übersicht", "Comment: hand made"} <= set(lines) and document.title == "Übersicht"
    assert "47" not in document.text and "GPS" not in document.text


def test_xmp_and_iptc_are_text() -> None:
    document = parsed(picture("JPEG", xmp=XMP, comment=b"from the camera"), "x.jpg")
    assert "Title: Lake" in document.text and "Keywords: water; sun" in document.text
    assert "Headline: By the lake" in document.text and "Comment: from the camera" in document.text
    assert "47" not in document.text
    raw = picture("JPEG")
    with_iptc = raw[:2] + b"\xff\xed" + struct.pack(">H", len(IPTC) + 2) + IPTC + raw[2:]
    assert "Description: Caption by hand" in parsed(with_iptc, "x.jpg").text


def test_xmp_with_entities_is_not_read() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + XMP.replace(b"Lake", b"&a;")
    document = parsed(picture("JPEG", xmp=bomb), "x.jpg")
    assert document.status is Status.OK and "Title" not in document.text


def test_texts_of_a_png_before_and_behind_its_pixels() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Diagram")
    info.add_itxt("Description", "überall", zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    raw = picture("PNG", pnginfo=info)
    end = raw.index(b"IEND") - 4
    document = parsed(raw[:end] + chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a cat")) + raw[end:], "x.png")
    assert document.title == "Diagram" and "Description: überall" in document.text
    assert "Parameters: a cat" in document.text and "Keywords: water; sun" in document.text


def test_a_text_chunk_that_unpacks_to_too_much() -> None:
    raw = picture("PNG")
    end = raw.index(b"IEND") - 4
    bomb = chunk(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 50_000_000))
    document = parsed(raw[:end] + bomb + raw[end:], "x.png")
    assert len(document.text) < 20_000


def test_frames_are_counted() -> None:
    frames = [Image.new("L", (9, 9), shade) for shade in (0, 90, 180)]
    for kind, word in (("GIF", "Frames"), ("TIFF", "Pages")):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        assert f"{word}: 3" in parsed(stream.getvalue(), "x.img").text


def test_pictures_that_are_cut_off_say_so() -> None:
    for kind in ("PNG", "JPEG"):
        raw = picture(kind, exif=exif())
        cut = parsed(raw[:-30], "x.img")
        assert cut.status is Status.PARTIAL and "cut off" in (cut.reason or "") and "A quiet evening" in cut.text
    assert parsed(picture("PNG")[:20], "x.png").status is Status.FAILED
    assert parsed(picture("JPEG")[:30], "x.jpg").status is Status.FAILED


def test_a_picture_of_ten_gigapixels_is_not_opened() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    raw = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
    document = parsed(raw, "x.png")
    assert document.status is Status.TOO_LARGE and "bomb" in (document.reason or "")


@settings(deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF"]), st.integers(0, 2000), st.binary(min_size=1, max_size=40)
)
def test_damage_of_any_kind_is_told(kind: str, at: int, noise: bytes) -> None:
    raw = bytearray(picture(kind, exif=exif()) if kind != "GIF" else picture(kind))
    at = 12 + at % (len(raw) - 12)
    raw[at : at + len(noise)] = noise
    media = {"JPEG": "image/jpeg"}.get(kind, f"image/{kind.lower()}")
    source = ParseInput(io.BytesIO(bytes(raw)), len(raw), "x", media)
    (document,) = parser_for(media).parser(source)
    assert document.text.strip() or document.status is not Status.OK


def test_text_in_a_picture_is_read_where_the_extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "is_available", lambda: True)
    monkeypatch.setattr(image, "ocr_image", lambda raw: "Revenue grew" if raw[:4] == b"\x89PNG" else None)
    document = parsed(picture("PNG"), "scan.png")
    assert document.text.endswith("pixels\n\nRevenue grew") and document.doubt is None
    assert "not read" in (parsed(picture("JPEG"), "scan.jpg").doubt or "")
    avoided = parsed(picture("PNG"), "scan.png", avoid={"text in the picture": "timed out"})
    assert "timed out" in (avoided.doubt or "") and avoided.status is Status.OK


def test_without_the_extra_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    assert ocr.ocr_image(picture("PNG")) is None


@pytest.mark.skipif(not ocr.is_available(), reason="the ocr extra is not installed")
def test_the_engine_reads_a_line() -> None:
    from PIL import ImageDraw, ImageFont

    page = Image.new("RGB", (900, 160), "white")
    ImageDraw.Draw(page).text((20, 40), "Quarterly report 2024", fill="black", font=ImageFont.load_default(40))
    stream = io.BytesIO()
    page.save(stream, "PNG")
    assert ocr.ocr_image(stream.getvalue()) == "Quarterly report 2024"
    assert ocr.ocr_image(b"no picture") is None


SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="100" height="50px"><title>Plan</title><desc>Of the house</desc>
<style>.a { fill: red }</style><script>alert(1)</script>
<g><text x="1">Hello <tspan>big</tspan> world</text><text><tspan x="1" y="2">one</tspan><tspan x="1" dy="3">two</tspan></text></g>
</svg>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_texts_of_a_drawing(encoding: str) -> None:
    raw = SVG.replace('"1.0"', f'"1.0" encoding="{encoding}"', 1).encode(encoding)
    source = ParseInput(io.BytesIO(raw), len(raw), "a/plan.svg", "image/svg+xml")
    (document,) = parser_for("image/svg+xml").parser(source)
    assert isinstance(document, ParsedDocument) and document.title == "Plan" and document.kind == "image"
    assert document.text.split("\n") == [
        "plan.svg: SVG drawing, 100 × 50 pixels",
        "Plan",
        "Of the house",
        "Hello big world",
        "one",
        "two",
    ]


def test_drawings_that_are_damaged_or_bombs() -> None:
    cut = parsed(SVG[:-40].encode(), "x.svg")
    assert cut.status is Status.PARTIAL and "Hello big world" in cut.text and "line" in (cut.reason or "")
    entities = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">{entities}]><svg><text>&j;</text></svg>'
    assert parsed(b'<?xml version="1.0"?>' + bomb.encode(), "x.svg").status is Status.TOO_LARGE
    assert parsed(b"<svg>" + b"<g>" * 200_000, "x.svg").status is Status.FAILED
    adobe = '<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]><svg xmlns="&ns;"><text>kept</text></svg>'
    assert "kept" in parsed(adobe.encode(), "x.svg").text

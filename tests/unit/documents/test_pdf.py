"""PDF pages: text, what fails or is empty, parts, damage, encryption, and pages that end their process."""

import io
import zlib
from pathlib import Path

import pytest

from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions, page_unit
from cortex_assets.documents.parse import page_text
from cortex_assets.documents.parsers.pdf import parse_pdf, read_page
from cortex_assets.documents.parsers.pdf_open import PdfError
from cortex_assets.documents.recovery import Recovery
from cortex_assets.documents.registry import parser_for
from cortex_assets.tables import Status
from resources.sandbox import Sandbox
from tests.unit.documents.pdf_bytes import PdfBytes, simple_pdf, words

QPDF = Path(__file__).parents[3].parent / "shared" / "data" / "bad_inputs" / "pdf_qpdf"
LOCKED = Path(__file__).parents[3].parent / "shared" / "data" / "pdf" / "005-libreoffice-writer-password"
IMAGE = "<< /Font << /F1 3 0 R >> /XObject << /Im {} 0 R >> >>"


def parsed(data: bytes, options: ParseOptions | None = None) -> list[ParsedDocument]:
    source = ParseInput(io.BytesIO(data), len(data), "a.pdf", "application/pdf", options or ParseOptions())
    return [item for item in parse_pdf(source) if isinstance(item, ParsedDocument)]


def only(data: bytes, options: ParseOptions | None = None) -> ParsedDocument:
    documents = parsed(data, options)
    assert len(documents) == 1
    return documents[0]


def page_texts(document: ParsedDocument) -> list[str]:
    return [document.text[page.start : page.end] for page in document.structure.pages]


def test_pages_title_and_outline() -> None:
    made = PdfBytes("A title")
    made.page(words(72, 700, "Hello there"))
    last = made.page(words(72, 700, "2 Second thing"))
    root = made.add("")
    entry = made.add(f"<< /Title (Second thing) /Parent {root} 0 R /Dest [{last} 0 R /Fit] >>")
    made._objects[root - 1] = f"<< /First {entry} 0 R /Last {entry} 0 R /Count 1 >>".encode()
    made.catalog = f"/Outlines {root} 0 R"
    document = only(made.bytes())
    assert (document.title, document.page_count, document.status) == ("A title", 2, Status.OK)
    assert page_texts(document) == ["Hello there", "2 Second thing"]
    heading = document.structure.headings[0]
    assert (heading.title, heading.start) == ("Second thing", document.structure.pages[1].start)


def test_every_page_is_marked_before_it_is_read() -> None:
    data = simple_pdf(["one", "two"])
    marks = [item.unit for item in parse_pdf(ParseInput(io.BytesIO(data), 1, "a.pdf", "")) if isinstance(item, Mark)]
    assert marks[-2:] == [page_unit(1), page_unit(2)]


def test_pages_80_to_90_that_fail_are_listed_and_never_ok() -> None:
    lost = tuple(range(80, 91))
    document = only(simple_pdf([f"page number {n}" for n in range(1, 101)], broken=lost))
    assert (document.status, document.failed_pages, document.page_count) == (Status.PARTIAL, lost, 100)
    assert document.reason == "pages 80-90 cannot be read: save the file again in a viewer and drop it"
    assert "page number 79" in document.text and "page number 91" in document.text
    assert [page.number for page in document.structure.pages] == list(range(1, 101))


def test_no_page_that_can_be_read_is_a_failure() -> None:
    document = only(simple_pdf(["one", "two"], broken=(1, 2)))
    assert (document.status, document.failed_pages, document.text) == (Status.FAILED, (1, 2), "")


def test_avoided_pages_fail_and_given_ones_are_taken() -> None:
    data = simple_pdf(["one", "two", "three"])
    options = ParseOptions(avoid={page_unit(2): "killed after 60 s"}, given={page_unit(3): "given text"})
    document = only(data, options)
    assert page_texts(document) == ["one", "", "given text"]
    assert (document.status, document.failed_pages) == (Status.PARTIAL, (2,))
    assert document.reason == "page 2 cannot be read (killed after 60 s): save the file again in a viewer and drop it"


def test_one_page_is_read_by_itself(tmp_path: Path) -> None:
    data = simple_pdf(["one", "two", "three"], broken=(3,))
    assert read_page(io.BytesIO(data), 2, ParseOptions()) == "two"
    with pytest.raises(PdfError, match="page 3 cannot be read"):
        read_page(io.BytesIO(data), 3, ParseOptions())
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    assert list(page_text(str(path), "application/pdf", 1, ParseOptions())) == ["one"]
    assert parser_for("application/pdf").is_container


def test_parts_end_at_pages_and_each_says_what_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.pdf.PART_CHARS", 20)
    documents = parsed(simple_pdf([f"page number {n}" for n in range(5)], broken=(1,)))
    assert [document.inner for document in documents] == ["part-0001", "part-0002"]
    assert [page.number for document in documents for page in document.structure.pages] == [1, 2, 3, 4, 5]
    assert [document.status for document in documents] == [Status.PARTIAL, Status.OK]
    assert [document.failed_pages for document in documents] == [(1,), ()]


def test_too_much_text_is_never_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.pdf.MAX_CHARS", 20)
    document = only(simple_pdf([f"page number {n}" for n in range(4)]))
    assert (document.status, document.failed_pages) == (Status.PARTIAL, (3, 4))
    assert "more than 20 characters" in (document.reason or "")


def test_too_many_pages_are_never_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.pdf.MAX_PAGES", 2)
    document = only(simple_pdf(["one", "two", "three"]))
    assert (document.status, document.page_count) == (Status.PARTIAL, 3)
    assert "only the first 2 of 3 pages" in (document.reason or "")


def test_a_page_with_too_much_text_is_cut_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.pdf_text.MAX_PAGE_CHARS", 5)
    document = only(simple_pdf(["Hello world"]))
    assert (document.text, document.status, document.failed_pages) == ("Hello", Status.PARTIAL, (1,))


def test_scanned_pages_are_named_and_blank_ones_counted() -> None:
    made = PdfBytes()
    image = made.add("<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
                     " /Length 1 >>\nstream\nA\nendstream")  # fmt: skip
    made.page(words(72, 700, "Hello"))
    made.page("q 500 0 0 700 50 50 cm /Im Do Q", resources=IMAGE.format(image))
    made.page("")
    document = only(made.bytes())
    assert (document.status, document.empty_pages) == (Status.OK, (2, 3))
    assert document.doubt == "no text layer on page 2 (images only): run text recognition on them"
    alone = PdfBytes()
    image = alone.add("<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
                      " /Length 1 >>\nstream\nA\nendstream")  # fmt: skip
    alone.page("q 500 0 0 700 50 50 cm /Im Do Q", resources=IMAGE.format(image))
    document = only(alone.bytes())
    assert (document.status, document.text, document.empty_pages) == (Status.EMPTY, "", (1,))
    assert "page 1 scanned" in (document.reason or "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"\n6 0 obj", b"\nx 0 obj", "(object 6) is not in the file"),
        (b"/FlateDecode", b"/LZWDecode  ", "(object 6) cannot be unpacked as LZWDecode"),
        (b"stream\nx", b"stream\n?", "(object 6) cannot be unpacked as FlateDecode"),
    ],
)
def test_a_page_whose_content_is_lost_is_not_called_empty(old: bytes, new: bytes, said: str) -> None:
    data = simple_pdf(["Hello"])
    assert only(data).status is Status.OK
    document = only(data.replace(old, new, 1))
    assert document.status is Status.FAILED
    assert said in (document.reason or "")


@pytest.mark.parametrize(("drawn", "said"), [("", "nothing is on the pages"), ("10 10 m 90 90 l S", "are drawn")])
def test_pages_without_text_are_empty_with_a_reason(drawn: str, said: str) -> None:
    made = PdfBytes()
    made.page(drawn)
    document = only(made.bytes())
    assert (document.status, document.text) == (Status.EMPTY, "")
    assert "no text layer" in (document.reason or "") and said in (document.reason or "")


def test_damage_is_told() -> None:
    for data, said in ((b"%PDF-1.4 nothing else", "damaged PDF: Data format error"), (b"hello", "does not begin as")):
        document = only(data)
        assert document.status is Status.FAILED
        assert said in (document.reason or "")


def test_a_rebuilt_table_of_objects_is_a_doubt() -> None:
    whole = simple_pdf(["Hello"])
    assert only(whole).doubt is None
    damaged = only(whole.replace(b"startxref\n", b"startxref\n9"))
    assert (damaged.text, damaged.status) == ("Hello", Status.OK)
    assert "damaged and repaired" in (damaged.doubt or "")


def test_titles_that_editors_make_are_no_titles() -> None:
    assert only(simple_pdf(["x"], "Microsoft Word - draft.doc")).title == ""


def test_the_same_bytes_give_the_same_documents() -> None:
    data = simple_pdf(["one", "two"], broken=(2,))
    assert parsed(data) == parsed(data)


def test_cut_and_changed_files_never_raise_and_are_never_silent() -> None:
    whole = simple_pdf(["Hello there", "Second page"], "Title")
    for cut in range(0, len(whole), 37):
        for data in (whole[:cut], whole[:cut] + b"\xff\x00(<<[" + whole[cut + 6 :]):
            for document in parsed(data):
                assert document.text or document.status is not Status.OK
                assert document.reason or document.status is Status.OK


@pytest.mark.skipif(not LOCKED.is_dir(), reason="the shared data folder is not there")
def test_passwords_are_tried_in_turn_and_never_told() -> None:
    data = (LOCKED / "libreoffice-writer-password.pdf").read_bytes()
    document = only(data)
    assert document.status is Status.FAILED
    assert document.reason == (
        "encrypted: a password is needed; add it to the password file of the corpus "
        "(data/passwords/<corpus>.txt) and run cortex retry"
    )
    wrong = only(data, ParseOptions(passwords=("hunter2", "swordfish")))
    assert "none of the 2 passwords" in (wrong.reason or "")
    assert "hunter2" not in (wrong.reason or "") and "swordfish" not in (wrong.reason or "")
    right = only(data, ParseOptions(passwords=("hunter2", "openpassword")))
    assert right.status is Status.OK and right.text.startswith("Lorem ipsum")
    assert read_page(io.BytesIO(data), 1, ParseOptions(passwords=("openpassword",))) == right.text


@pytest.mark.skipif(not QPDF.is_dir(), reason="the shared data folder is not there")
@pytest.mark.parametrize("path", sorted(QPDF.glob("enc-*.pdf")), ids=lambda path: path.stem)
def test_files_with_a_user_password_are_told_from_those_with_an_owner_password_only(path: Path) -> None:
    data = path.read_bytes()
    document = parsed(data)[0]
    user = next((part[2:] for part in path.stem.split(",") if part.startswith("U=")), "")
    if "long-password" in path.stem or user not in ("", "attachment"):
        assert document.status is Status.FAILED
        assert (document.reason or "").startswith("encrypted: a password is needed")
    else:
        assert document.status is Status.OK and document.page_count == 30
    if user:
        assert parsed(data, ParseOptions(passwords=("no", user)))[0].status is Status.OK


@pytest.mark.skipif(not QPDF.is_dir(), reason="the shared data folder is not there")
def test_no_damaged_file_raises_or_is_silently_empty() -> None:
    paths = sorted(QPDF.glob("*.pdf"))
    assert len(paths) > 100
    for path in paths:
        documents = parsed(path.read_bytes())
        assert documents, path
        for document in documents:
            assert document.text.strip() or document.status is not Status.OK, path
            assert document.reason or document.status is Status.OK, path
            assert len(document.reason or "") <= 200, path
            assert bool(document.failed_pages) <= (document.status in (Status.PARTIAL, Status.FAILED)), path


DEADLY = "tests.unit.documents.deadly_pages."


def test_pages_that_end_their_process_are_lost_alone() -> None:
    """Of pages 3 and 5, page 3 ends a fresh process, too."""
    with Sandbox(timeout_s=20) as sandbox:
        recovery = Recovery(
            lambda options: sandbox.call(f"{DEADLY}parse", 6, (3, 5), options),
            lambda number, options: sandbox.call_apart(f"{DEADLY}read_page", number, (3,), options),
            ParseOptions(),
        )
        (document,) = recovery.documents()
    assert (document.status, document.failed_pages) == (Status.PARTIAL, (3,))
    assert recovery.ending is None
    assert page_texts(document) == ["page 1", "page 2", "", "page 4", "read apart 5", "page 6"]


def test_a_stream_that_unpacks_to_gigabytes_costs_its_page_only(tmp_path: Path) -> None:
    made = PdfBytes()
    made.page(words(72, 700, "before"))
    text = b"BT /F1 10 Tf (" + b"x" * 1000 + b") Tj ET\n"
    made.page()
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(text * 1000) for _ in range(250)) + packer.flush()
    bomb = made.add(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream")
    page = len(made._objects) - 1
    made._objects[page - 1] = made._objects[page - 1].replace(b"/Contents 8 0 R", b"/Contents %d 0 R" % bomb)
    made.page(words(72, 700, "after"))
    path = tmp_path / "bomb.pdf"
    path.write_bytes(made.bytes())
    size = path.stat().st_size
    with Sandbox(timeout_s=5, memory_mb=128) as sandbox:
        recovery = Recovery(
            lambda options: sandbox.call(
                "cortex_assets.documents.parse.parse_path", str(path), "bomb.pdf", "application/pdf", size, options
            ),
            None,
            ParseOptions(),
        )
        (document,) = recovery.documents()
    assert (document.status, document.failed_pages) == (Status.PARTIAL, (2,))
    assert "page 2 cannot be read (" in (document.reason or "")
    assert page_texts(document)[0] == "before" and page_texts(document)[2] == "after"

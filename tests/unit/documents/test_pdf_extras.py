"""What a PDF holds besides text: links, annotations, form fields, attachments; and the facts of files that are known."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cortex_assets.documents.model import Limits, Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers.pdf import parse_pdf, read_page
from cortex_assets.documents.parsers.pdf_open import pdf_facts
from cortex_assets.tables import Status
from tests.unit.documents.pdf_bytes import PdfBytes, words

GOLD = Path(__file__).parents[3].parent / "shared" / "data" / "pdf"


ATTACHED_PICTURES = {"025-attachment/with-attachment.pdf": 1}
"""The gold metadata count this attached picture as an image; no page of the file has one, and facts count pages'."""


def parsed(data: bytes, options: ParseOptions | None = None) -> list[ParsedDocument]:
    source = ParseInput(io.BytesIO(data), len(data), "a.pdf", "application/pdf", options or ParseOptions())
    return [item for item in parse_pdf(source) if isinstance(item, ParsedDocument)]


def with_annotations(*annotations: str, drawn: str = words(72, 700, "Page text")) -> PdfBytes:
    made = PdfBytes()
    numbers = [made.add(f"<< /Type /Annot /Rect [10 10 60 30] {entries} >>") for entries in annotations]
    made.page(drawn, f"/Annots [{' '.join(f'{number} 0 R' for number in numbers)}]")
    return made


def test_links_are_kept_once_each() -> None:
    uri = "/Subtype /Link /A << /S /URI /URI ({}) >>"
    made = with_annotations(
        uri.format("https://a.example/"),
        uri.format("https://b.example/x?y=1"),
        uri.format("https://a.example/"),
        "/Subtype /Link /A << /S /GoTo /D [1 /Fit] >>",
        "/Subtype /Link /A << /S /URI >>",
    )
    (document,) = parsed(made.bytes())
    assert document.structure.links == ("https://a.example/", "https://b.example/x?y=1")
    assert document.text == "Page text"


def test_annotations_are_lines_at_the_end_of_their_page() -> None:
    made = with_annotations(
        "/Subtype /Text /T (Ann) /Contents (Is this\\nright?)",
        "/Subtype /Highlight /Contents (Key point) /QuadPoints [10 30 60 30 10 10 60 10]",
        "/Subtype /FreeText /Contents (Draft, do not send)",
        "/Subtype /Stamp /Contents (APPROVED)",
        "/Subtype /Text /Contents (unseen) /F 2",
        "/Subtype /Highlight",
        "/Subtype /Popup /Contents (popup)",
        "/Subtype /Text /Contents <FEFF00FC00620065007200E4006C006C>",
    )
    made.page(words(72, 700, "Next page"))
    (document,) = parsed(made.bytes())
    first, second = (document.text[page.start : page.end] for page in document.structure.pages)
    assert first == (
        "Page text\n\n[comment by Ann] Is this right?\n[highlight] Key point\n[text] Draft, do not send\n"
        "[stamp] APPROVED\n[comment] \u00fcber\u00e4ll"
    )
    assert second == "Next page"
    assert read_page(io.BytesIO(made.bytes()), 1, ParseOptions()) == first


def form(*fields: str) -> PdfBytes:
    made = with_annotations(*(f"/Subtype /Widget {entries}" for entries in fields))
    numbers = " ".join(f"{6 + index} 0 R" for index in range(len(fields)))
    made.catalog = f"/AcroForm << /Fields [{numbers}] /DA (/F1 10 Tf) /DR << /Font << /F1 3 0 R >> >> >>"
    return made


def test_form_fields_are_named_with_their_values() -> None:
    made = form(
        "/FT /Tx /T (name) /V (Ada Lovelace)",
        "/FT /Tx /T (ref) /TU (Your reference) /V (A-17)",
        "/FT /Tx /T (empty)",
        "/FT /Btn /T (agreed) /V /Yes /AS /Yes /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>",
        "/FT /Btn /T (refused) /V /Off /AS /Off /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>",
        "/FT /Ch /Ff 131072 /T (city) /V (Paris) /Opt [(Rome) (Paris)]",
        "/FT /Tx /Ff 8192 /T (secret) /V (hunter2)",
        "/FT /Btn /Ff 65536 /T (send)",
    )
    (document,) = parsed(made.bytes())
    assert document.text == (
        "Page text\n\nname: Ada Lovelace\nYour reference: A-17\nempty:\nagreed: yes\nrefused: no\ncity: Paris"
    )
    facts = pdf_facts(io.BytesIO(made.bytes()))
    assert (facts.forms, facts.annotations) == (1, {"Widget": 8})


def test_a_page_of_nothing_but_a_form_has_its_values_and_is_counted_as_without_text() -> None:
    made = with_annotations("/Subtype /Text /Contents (note)", drawn="")
    (document,) = parsed(made.bytes())
    assert (document.text, document.status, document.empty_pages) == ("[comment] note", Status.OK, (1,))


def attach(made: PdfBytes, **files: bytes) -> PdfBytes:
    names = []
    for name, content in files.items():
        stream = made.stream(content, "/Type /EmbeddedFile")
        title = name.replace("_", ".")
        spec = made.add(f"<< /Type /Filespec /F ({title}) /UF ({title}) /EF << /F {stream} 0 R >> >>")
        names.append(f"({title}) {spec} 0 R")
    made.catalog += f" /Names << /EmbeddedFiles << /Names [{' '.join(names)}] >> >>"
    return made


def test_attachments_are_documents_of_their_own() -> None:
    inner = PdfBytes()
    inner.page(words(72, 700, "Inner page"))
    made = with_annotations()
    outer, note, within = parsed(attach(made, note_md=b"# Title\n\nWords\n", report_pdf=inner.bytes()).bytes())
    assert (outer.inner, outer.text) == ("", "Page text")
    assert (note.inner, note.kind, note.text) == ("/note.md", "markdown", "# Title\n\nWords\n")
    assert (within.inner, within.kind, within.text) == ("/report.pdf", "pdf", "Inner page")


def test_attachments_are_within_the_limits_of_containers() -> None:
    made = attach(with_annotations(), a_txt=b"small", b_txt=b"x" * 5000, c_txt=b"also small")
    limits = replace(Limits(), member_bytes=1000)
    _, first, large, last = parsed(made.bytes(), ParseOptions(limits=limits))
    assert (first.text, last.text) == ("small", "also small")
    assert (large.inner, large.status) == ("/b.txt", Status.TOO_LARGE)
    few = parsed(made.bytes(), ParseOptions(limits=replace(Limits(), total_bytes=5008)))
    assert [document.status for document in few] == [Status.OK, Status.OK, Status.OK, Status.TOO_LARGE]
    deep = parsed(made.bytes(), ParseOptions(depth=4))
    assert {document.status for document in deep[1:]} == {Status.TOO_LARGE}


def test_a_deadly_attachment_is_marked_before_it_is_unpacked_and_can_be_avoided() -> None:
    data = attach(with_annotations(), a_txt=b"one", b_txt=b"two").bytes()
    items = list(parse_pdf(ParseInput(io.BytesIO(data), len(data), "a.pdf", "application/pdf")))
    assert [item.unit for item in items if isinstance(item, Mark)][-4:] == ["/a.txt", "/a.txt", "/b.txt", "/b.txt"]
    _, first, second = parsed(data, ParseOptions(avoid={"/a.txt": "killed"}))
    assert (first.status, first.reason, second.text) == (Status.QUARANTINED, "killed", "two")


def test_files_of_annotations_are_attachments_and_names_do_not_collide() -> None:
    made = PdfBytes()
    attach(made, a_txt=b"first")
    stream = made.stream(b"second", "/Type /EmbeddedFile")
    spec = made.add(f"<< /Type /Filespec /F (a.txt) /EF << /F {stream} 0 R >> >>")
    pin = made.add(f"<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS {spec} 0 R /Contents (the data) >>")
    made.page(words(72, 700, "Page text"), f"/Annots [{pin} 0 R]")
    outer, first, second = parsed(made.bytes())
    assert outer.text == "Page text\n\n[file] the data"
    assert [(first.inner, first.text), (second.inner, second.text)] == [("/a.txt", "first"), ("/a (2).txt", "second")]


def test_a_broken_attachment_says_so() -> None:
    made = with_annotations()
    spec = made.add("<< /Type /Filespec /F (gone.txt) /UF (gone.txt) >>")
    made.catalog = f"/Names << /EmbeddedFiles << /Names [(gone.txt) {spec} 0 R] >> >>"
    _, broken = parsed(made.bytes())
    assert (broken.inner, broken.status) == ("/gone.txt", Status.FAILED)
    assert "cannot be read" in (broken.reason or "")


def test_outlines_and_forms_that_end_the_process_are_left_out_with_a_doubt() -> None:
    made = form("/FT /Tx /T (name) /V (Ada)")
    (document,) = parsed(made.bytes(), ParseOptions(avoid={"form": "killed", "outline": "killed"}))
    assert (document.text, document.status) == ("Page text", Status.OK)
    assert document.doubt == "its outline cannot be read: left out; its form cannot be read: left out"


def test_outlines_that_go_in_circles_end() -> None:
    made = with_annotations()
    root = made.add("")
    entry = made.add(f"<< /Title (Page text) /Parent {root} 0 R /Dest [7 0 R /Fit] /Next {root + 1} 0 R >>")
    made._objects[root - 1] = f"<< /First {entry} 0 R /Last {entry} 0 R /Count 1 >>".encode()
    made.catalog = f"/Outlines {root} 0 R"
    (document,) = parsed(made.bytes())
    assert document.text == "Page text"


@pytest.mark.skipif(not (GOLD / "files.json").is_file(), reason="the shared data folder is not there")
def test_facts_match_the_gold_metadata() -> None:
    gold = json.loads((GOLD / "files.json").read_text())["data"]
    present = [entry for entry in gold if (GOLD / entry["path"]).is_file()]
    assert len(present) >= 10
    for entry in present:
        with (GOLD / entry["path"]).open("rb") as stream:
            facts = pdf_facts(stream, ("openpassword",))
        assert facts.pages == entry["pages"], entry["path"]
        assert facts.encrypted == entry["encrypted"], entry["path"]
        assert facts.forms == entry["forms"], entry["path"]
        assert facts.annotations == entry["annotations"], entry["path"]
        pictures = facts.images + ATTACHED_PICTURES.get(entry["path"], 0)
        assert entry["images"] is None or pictures == entry["images"], entry["path"]
        assert facts.attachments == ("attachment" in entry["path"]), entry["path"]


@pytest.mark.skipif(not (GOLD / "files.json").is_file(), reason="the shared data folder is not there")
def test_gold_files_are_parsed_with_all_their_pages() -> None:
    gold = json.loads((GOLD / "files.json").read_text())["data"]
    for entry in gold:
        path = GOLD / entry["path"]
        if path.is_file():
            document = parsed(path.read_bytes(), ParseOptions(passwords=("openpassword",)))[0]
            assert (document.status, document.page_count) == (Status.OK, entry["pages"]), path
            assert (document.failed_pages, document.empty_pages) == ((), ()), path

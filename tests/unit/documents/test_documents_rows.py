"""From parsed documents to rows; the registry; and every bad input there is."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.documents import derive
from cortex_assets.documents.derive import DocumentsCompute
from cortex_assets.documents.gather import RowGatherer
from cortex_assets.documents.model import Heading, Mark, Parsed, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parse import FileInput, failed_document, parse_path, storable_document
from cortex_assets.documents.registry import ROUTES, UNSUPPORTED, parse_unsupported, parser_for
from cortex_assets.documents.schema import Documents
from cortex_assets.engine.derivation import Failure, Output
from cortex_assets.identity import document_id, text_hash
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status
from resources.sandbox import Ok, Sandbox

DATA = Path(__file__).parents[3].parent / "shared" / "data"
FILE = FileInput(
    "f" * 32, "c" * 32, "notes", "a/My file.md", "text/markdown", 3, datetime(2026, 1, 1, tzinfo=UTC), "markdown"
)


def rows(documents: Iterable[Parsed], file: FileInput = FILE) -> pl.DataFrame:
    """The rows of a file's documents, gathered and valid."""
    gatherer = RowGatherer()
    for document in documents:
        if isinstance(document, ParsedDocument):
            gatherer.add(file, document)
    gatherer.end(file)
    frame = gatherer.frame()
    Documents.validate(frame)
    return frame


def computed(monkeypatch: pytest.MonkeyPatch, parse: Callable[..., Iterator[ParsedDocument]]) -> list[Output]:
    """What the derivation makes of one text file that ``parse`` reads."""
    monkeypatch.setattr(derive, "parse_path", parse)
    file = {name: getattr(FILE, name) for name in FILE.__slots__ if name != "parser"} | {"media_type": "text/plain"}
    compute = DocumentsCompute(lambda row: nullcontext(Path("nowhere")), lambda: pytest.fail("no sandbox is needed"))
    return list(compute(pl.DataFrame([file])))


def test_a_document_becomes_a_valid_row() -> None:
    structure = Structure(headings=(Heading(1, "é", 0),))
    row = rows([ParsedDocument("é", "markdown", structure=structure)]).row(0, named=True)
    assert row["document_id"] == document_id(FILE.file_id, "")
    assert (row["title"], row["text_hash"], row["char_count"]) == ("My file", text_hash("é"), 1)
    assert Structure.from_json(row["structure"]) == structure
    assert (row["status"], row["reason"], row["parser"]) == ("ok", None, "markdown")


def test_row_hash_ignores_the_time_and_content_hash_ignores_the_title() -> None:
    later = FileInput(
        **{**{name: getattr(FILE, name) for name in FILE.__slots__}, "modified_at": datetime(2027, 1, 1, tzinfo=UTC)}
    )
    one = rows([ParsedDocument("x", "text", "t")])
    two = rows([ParsedDocument("x", "text", "t")], later)
    three = rows([ParsedDocument("x", "text", "other")])
    assert one["row_hash"].to_list() == two["row_hash"].to_list() != three["row_hash"].to_list()
    assert one["content_hash"].to_list() == three["content_hash"].to_list()


def test_repeated_inner_names_are_made_unique() -> None:
    names = ["a", "a", "a#2", "a", ""]
    frame = rows([ParsedDocument("x", "text", inner=name) for name in names])
    assert frame["inner"].to_list() == ["a", "a#2", "a#2#2", "a#3", ""]
    assert frame["document_id"].n_unique() == 5


def test_an_error_is_a_row_beside_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> Iterator[ParsedDocument]:
        yield ParsedDocument("first", "text", inner="part-0001")
        raise ValueError("bad\n" + "x" * 500)

    (output,) = computed(monkeypatch, breaks)
    Documents.validate(output.frame)
    assert output.frame["status"].to_list() == ["ok", "failed"]
    reason = output.frame["reason"][1]
    assert reason == "damaged, or not as its format wants it (bad…): save it again"
    assert output.failures == {FILE.file_id: Failure(reason)}


def test_bytes_that_cannot_be_read_are_a_transient_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> Iterator[ParsedDocument]:
        raise OSError(5, "disk")
        yield ParsedDocument("", "text")

    (output,) = computed(monkeypatch, breaks)
    assert output.failures == {FILE.file_id: Failure("the bytes cannot be read: disk", is_transient=True)}
    assert output.finished == (FILE.file_id,)


def test_nothing_parsed_is_an_empty_row() -> None:
    assert rows([])["status"].to_list() == ["empty"]
    assert rows([failed_document("why")])["reason"].to_list() == ["why"]


def test_half_a_character_in_a_language_can_be_stored() -> None:
    """As the metadata of a notebook may say it; one such file stopped a whole frame."""
    document = storable_document(ParsedDocument("text", "notebook", language="p\ud800y"))
    assert document.language == "p\ufffdy"
    plain = ParsedDocument("text", "notebook", language="python")
    assert storable_document(plain) is plain


def test_lone_surrogates_and_nuls_can_be_stored() -> None:
    frame = rows([ParsedDocument("a\ud800b\0c", "text", "t\udfff")])
    assert frame["text"].to_list() == ["a\ufffdb\0c"]


def test_large_documents_come_in_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts(*_: object) -> Iterator[ParsedDocument]:
        return (ParsedDocument("x" * 3_000_000, "text", inner=str(n)) for n in range(4))

    outputs = computed(monkeypatch, parts)
    assert [output.frame.height for output in outputs] == [2, 2, 0]
    assert [len(output.finished) for output in outputs] == [0, 0, 1]


def test_routes_are_whole() -> None:
    seen: set[str] = set()
    for route in ROUTES:
        assert callable(route.parser)
        assert route.label.startswith(route.name)
        assert not seen & set(route.media_types)
        seen |= set(route.media_types)
    isolated = {route.name for route in ROUTES if route.isolated}
    office = {"docx", "pptx", "xlsx", "xls", "xlsb", "ods", "odt", "odp", "rtf", "epub", "ole"}
    archives = {"zip", "tar", "packed", "7z", "sqlite", "parquet", "arrow", "image", "svg"}
    assert office | archives | {"html", "pdf", "mail", "mbox", "msg"} <= isolated
    assert {route.name for route in ROUTES if route.is_container} <= isolated
    assert parser_for("application/pdf").label.startswith("pdf pypdfium2==")


def test_an_unknown_media_type_is_unsupported() -> None:
    route = parser_for("video/mp4")
    assert route is UNSUPPORTED
    document = next(route.parser(ParseInput(io.BytesIO(b"x"), 1, "a.mp4", "video/mp4")))
    assert (document.status, document.reason) == (Status.UNSUPPORTED, "no parser for video/mp4")


def _walk(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (DATA / folder).rglob("*") if path.is_file())


def _media(path: Path) -> str:
    raw = path.read_bytes()
    return media_type(raw[:HEAD_BYTES], raw[HEAD_BYTES:][-TAIL_BYTES:], path.name, len(raw))


@pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")
def test_every_shared_file_goes_through_and_none_is_silently_empty() -> None:
    paths = _walk("bad_inputs", "demo_corpus", "pdf")
    assert len(paths) > 400
    statuses: dict[str, int] = {}
    with Sandbox(timeout_s=20, memory_mb=1024) as sandbox:
        for path in paths:
            found = _media(path)
            arguments = (str(path), path.name, found, path.stat().st_size)
            if parser_for(found).isolated:
                call = sandbox.call("cortex_assets.documents.parse.parse_path", *arguments)
                parsed = [item for item in call if isinstance(item, ParsedDocument)]
                assert call.outcome == Ok(), path
            else:
                parsed = [item for item in parse_path(*arguments) if isinstance(item, ParsedDocument)]
            assert parsed, path
            for row in rows(parsed).iter_rows(named=True):
                assert row["text"].strip() or row["status"] != "ok", path
                assert row["reason"] or row["status"] == "ok", path
                statuses[row["status"]] = statuses.get(row["status"], 0) + 1
    assert statuses["ok"] > 250


@pytest.mark.skipif(not (DATA / "demo_corpus").is_dir(), reason="the shared data folder is not there")
def test_the_demo_corpus_is_read_but_for_pictures() -> None:
    for path in _walk("demo_corpus"):
        found = _media(path)
        for document in parse_path(str(path), path.name, found, path.stat().st_size):
            if isinstance(document, Mark):
                continue
            assert document.status is Status.OK or found == "image/svg+xml" or path.stat().st_size == 0, path


@pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")
def test_json_test_suite_verdicts() -> None:
    wrong: list[str] = []
    for path in _walk("bad_inputs/json_test_suite"):
        document = next(parse_path(str(path), path.name, "application/json", path.stat().st_size))
        is_ok = document.status is Status.OK
        if (path.name.startswith("y_") and not is_ok) or (path.name.startswith("n_") and is_ok):
            wrong.append(path.name)
    assert wrong == []


@pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")
def test_the_same_words_in_every_shared_encoding() -> None:
    folder = DATA / "bad_inputs" / "unstructured_docs"
    texts = [
        "".join(document.text for document in parse_path(str(path), path.name, "text/plain", path.stat().st_size))
        for path in sorted(folder.glob("fake-text*.txt"))
        if "whitespace" not in path.name
    ]
    assert len(texts) == 5
    assert len({" ".join(text.split()) for text in texts}) == 1
    umlauts = [
        next(parse_path(str(folder / name), name, "text/markdown", 30)).text
        for name in ("umlauts-utf8.md", "umlauts-non-utf8.md")
    ]
    assert umlauts[0].split() == umlauts[1].split()


@pytest.mark.parametrize(("content", "status"), [(bytes(4000), Status.EMPTY), (bytes(4000) + b"x", Status.UNSUPPORTED)])
def test_zero_bytes_are_called_so_where_there_is_nothing_else(content: bytes, status: Status) -> None:
    source = ParseInput(io.BytesIO(content), len(content), "a.iso", "application/x-zeros")
    (document,) = parse_unsupported(source)
    assert document.status is status
    assert ("all 4,000 bytes are zero" in (document.reason or "")) == (status is Status.EMPTY)

"""F16 and F17: every chunk is its document's text at its offsets, fits the model, and no line of code is lost.

On the sample of this project always; on the shared demonstration corpus and the bad inputs where they are.
"""

import re
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.decode import decode
from cortex_assets.documents.model import Structure
from cortex_assets.documents.schema import DOCUMENTS
from inference.models import packaged_model
from tests.dagster.lake import PROJECT, SHARED_DATA, Lake

CORPORA = {
    "sample": PROJECT / "data" / "sample",
    "demo_corpus": SHARED_DATA / "demo_corpus",
    "bad_inputs": SHARED_DATA / "bad_inputs",
}
VERBATIM = ("text", "rst", "markdown", "code", "json", "jsonl", "yaml", "toml", "csv", "xml")


class Filled:
    """One corpus, loaded once: its folder, its lake and its tables."""

    def __init__(self, folder: Path, lake: Lake) -> None:
        self.folder, self.lake = folder, lake
        lake.add(folder, folder.name.replace("_", "-"))
        self.report = lake.run()
        self.files = lake.table(FILES)
        self.documents = lake.table(DOCUMENTS)
        self.chunks = lake.table(CHUNKS)

    def source(self, document: dict[str, object]) -> bytes:
        """The bytes of the file that a document is of."""
        return (self.folder / str(document["path"])).read_bytes()


@pytest.fixture(scope="module", params=list(CORPORA))
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """A lake over one of the corpora."""
    folder = CORPORA[request.param]
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not there: it comes with the shared data only")
    patch = pytest.MonkeyPatch()
    request.addfinalizer(patch.undo)
    return Filled(folder, Lake(tmp_path_factory.mktemp(request.param) / "lake", patch.setenv))


def test_every_file_is_accounted_for(filled: Filled) -> None:
    documents, files = filled.documents, filled.files
    assert files.height > 20
    read = files.filter(pl.col("status") == "ok")
    assert set(read["file_id"]) == set(documents["file_id"])
    bad = documents.filter(~pl.col("status").is_in(["ok"]))
    assert bad["reason"].null_count() == 0, "what is not ok says why"
    assert bad["reason"].str.len_chars().max() is None or bad["reason"].str.len_chars().max() <= 200
    chunked = set(filled.chunks["document_id"])
    whole = documents.filter(pl.col("status").is_in(["ok", "partial"]) & (pl.col("char_count") > 0))
    blank = {row["document_id"] for row in whole.to_dicts() if not row["text"].strip()}
    assert set(whole["document_id"]) - blank == chunked
    assert filled.lake.findings() == []


def test_every_chunk_is_its_documents_text(filled: Filled) -> None:
    texts = dict(filled.documents.select("document_id", "text").iter_rows())
    assert filled.chunks.height > 0
    for chunk in filled.chunks.to_dicts():
        text = texts[chunk["document_id"]]
        assert text[chunk["start_char"] : chunk["end_char"]] == chunk["text"]
        assert text.count("\n", 0, chunk["start_char"]) + 1 == chunk["start_line"]


def test_the_text_of_text_families_is_the_decoded_source(filled: Filled) -> None:
    """Decoded here by the encoding that the row names, so that a silent repair would show."""
    seen = 0
    parts = filled.documents.filter(pl.col("parser").str.split(" ").list.first().is_in(VERBATIM))
    for (_,), frame in parts.filter(pl.col("status") == "ok").group_by(["file_id"], maintain_order=True):
        rows = frame.sort("inner").to_dicts()
        if len(rows) > 1:
            continue
        raw = filled.source(rows[0])
        assert rows[0]["text"] == decode(raw).text
        if rows[0]["encoding"] in ("utf-8", "ascii", "utf-8-sig"):
            assert rows[0]["text"] == raw.decode("utf-8-sig")
            seen += 1
    assert seen > 5, "hardly any file was compared with an independent decoding"


def test_the_pages_of_a_pdf_contain_its_chunks(filled: Filled) -> None:
    import pypdfium2

    documents = filled.documents.filter(
        pl.col("parser").str.starts_with("pdf")
        & pl.col("status").is_in(["ok", "partial"])
        & ~pl.col("inner").str.starts_with("/")
    )
    if documents.is_empty():
        pytest.skip("no readable PDF in this corpus")
    for document in documents.to_dicts():
        pdf = pypdfium2.PdfDocument(filled.folder / document["path"])
        pages = [_squeezed(page.get_textpage().get_text_bounded()) for page in pdf]
        tabled = _tabled_pages(document["structure"])
        for chunk in filled.chunks.filter(pl.col("document_id") == document["document_id"]).to_dicts():
            first, last = chunk["start_page"], chunk["end_page"]
            assert 1 <= first <= last <= len(pages)
            shown = "".join(pages[first - 1 : last])
            words = re.split(r"[|\s]+", chunk["text"]) if tabled & {first, last} else [chunk["text"]]
            for part in words:
                assert _squeezed(part.strip("-")) in shown, (document["path"], first, part)
        pdf.close()


def _tabled_pages(structure: str) -> set[int]:
    """Numbers of the pages on which tables were found: there the words are in the order of the rows."""
    found = Structure.from_json(structure)
    return {
        page.number
        for page in found.pages
        if any(block.kind == "table" and page.start <= block.start < page.end for block in found.blocks)
    }


def test_no_chunk_is_over_the_limit_by_the_models_own_tokenizer(filled: Filled) -> None:
    texts = [context + text for context, text in filled.chunks.select("context", "text").iter_rows()]
    counts = _model_tokens(texts)
    assert max(counts) <= 256
    assert [count - 2 for count in counts] == filled.chunks["token_count"].to_list(), "special tokens are not counted"


def test_code_chunks_cover_every_line_that_is_not_blank(filled: Filled) -> None:
    code = filled.documents.filter((pl.col("kind") == "code") & (pl.col("status") == "ok"))
    if code.is_empty():
        pytest.skip("no code in this corpus")
    for document in code.to_dicts():
        covered: set[int] = set()
        for chunk in filled.chunks.filter(pl.col("document_id") == document["document_id"]).to_dicts():
            covered.update(range(chunk["start_char"], chunk["end_char"]))
        missed = [char for place, char in enumerate(document["text"]) if not char.isspace() and place not in covered]
        assert missed == [], document["path"]


def _squeezed(text: str) -> str:
    """Text without white space, soft hyphens and control characters, which a page may hold and its text need not."""
    return "".join(char for char in text if char.isprintable() and not char.isspace() and char not in "\u00ad\ufffe")


def _model_tokens(texts: list[str]) -> list[int]:
    """Tokens, special ones included, by the tokenizer file that comes with the packaged model."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(packaged_model().folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]

"""Documents between their parser and their row: what is masked, where it is said to be, and what a corpus may ask for."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents.derive import documents_derivation
from cortex_assets.documents.gather import RowGatherer
from cortex_assets.documents.model import Block, Heading, Page, ParsedDocument, Place, Structure
from cortex_assets.documents.parse import FileInput
from cortex_assets.documents.redact import MASKING, Redacted, Redaction, redacted, redacted_line
from cortex_assets.documents.schema import Documents
from cortex_assets.documents.secret_checks import MASK
from cortex_assets.documents.secret_rules import SECRETS
from cortex_assets.documents.secrets import find_secrets, masked
from cortex_assets.documents.spans import secret_spans
from cortex_assets.tables import Status

KEY = "ghp_a8Kd93jFqLmZx72PvT5wRyB6nCe4uHs1Go0i"
OTHER = "ghp_Zx72PvT5wRyB6nCe4uHs1Go0ia8Kd93jFqLm"
HIDDEN = MASK * len(KEY)
FILE = FileInput(
    "f" * 32, "c" * 32, "notes", "a/b.md", "text/markdown", 3, datetime(2026, 1, 1, tzinfo=UTC), "markdown"
)


def one(document: ParsedDocument, redaction: Redaction = MASKING) -> Redacted:
    """What becomes of a document."""
    (result,) = redacted([document], redaction)
    return result


def frame(documents: list[ParsedDocument], redaction: Redaction = MASKING) -> pl.DataFrame:
    """Their rows."""
    gatherer = RowGatherer(redaction)
    for document in documents:
        gatherer.add(FILE, document)
    gatherer.end(FILE)
    rows = gatherer.frame()
    Documents.validate(rows)
    return rows


def test_every_string_of_a_document_is_masked() -> None:
    text = f"# Key {KEY}\n\nbody {KEY} end\n"
    structure = Structure(
        headings=(Heading(1, f"Key {KEY}", 0),),
        pages=(Page(1, 0, len(text)),),
        blocks=(Block("table", 0, 5, cells=f"{KEY}!A1"),),
        links=(f"https://example.net/?k={KEY}", "https://ada:Vq8zTr4w@example.net"),
        places=(Place(f"slide {KEY}", 0, 5),),
    )
    document = ParsedDocument(
        text, "text", f"T {KEY}", inner=f"/{KEY}.txt", structure=structure, status=Status.PARTIAL,
        reason=f"stopped at {KEY}", doubt=f"{KEY} is odd",
    )  # fmt: skip
    result = one(document)
    assert KEY not in repr(result) and "Vq8zTr4w" not in repr(result)
    assert result.document.text == text.replace(KEY, HIDDEN)
    assert result.document.structure.pages == structure.pages
    assert result.document.structure.headings == (Heading(1, f"Key {HIDDEN}", 0),)
    assert result.document.structure.links[1] == f"https://ada:{MASK * 8}@example.net"
    assert [(f["rule"], f["place"], f["line"], f["start_char"]) for f in result.findings] == [
        ("github-token", "text", 1, 6),
        ("github-token", "text", 3, text.rindex(KEY)),
        ("url-password", "link", None, None),
    ]


def test_what_is_found_by_its_name_in_the_text_is_masked_where_it_stands_alone() -> None:
    document = ParsedDocument('db_password = "zebra-Quilt-77"', "text", "About zebra-Quilt-77", inner="/zebra-Quilt-77")
    result = one(document)
    assert "zebra" not in repr(result)


def test_a_document_without_secrets_is_left_as_it_is() -> None:
    document = ParsedDocument("plain", "text", "Title")
    assert one(document).document is document and one(document).findings == ()


def test_rows_hold_findings_and_masked_names_stay_apart() -> None:
    rows = frame([ParsedDocument("x", "text", inner=f"/{KEY}"), ParsedDocument("y", "text", inner=f"/{OTHER}")])
    assert rows["inner"].to_list() == [f"/{HIDDEN}", f"/{HIDDEN}#2"]
    assert rows["document_id"].n_unique() == 2
    spans = secret_spans(frame([ParsedDocument(f"a\nb {KEY}", "text")]).lazy()).collect()
    assert spans.select("rule", "place", "line", "start_char", "end_char").rows() == [
        ("github-token", "text", 2, 4, 4 + len(KEY))
    ]
    assert secret_spans(frame([ParsedDocument("a", "text")]).lazy()).collect().is_empty()


def test_the_row_hash_counts_findings_and_knows_no_value() -> None:
    hashes = [
        frame([ParsedDocument(text, "text")])["row_hash"].item() for text in (f"a {KEY}", f"a {OTHER}", f"a {HIDDEN}")
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("redaction", "text", "rules"),
    [
        (Redaction("keep"), f"{KEY} ada@example.net", ["github-token"]),
        (Redaction(personal_data="mask"), f"{HIDDEN} {MASK * 15}", ["github-token", "email-address"]),
        (Redaction("keep", "mask"), f"{KEY} {MASK * 15}", ["github-token", "email-address"]),
        (Redaction(allow=("github-token",)), f"{KEY} ada@example.net", []),
        (Redaction(allow=("^ghp_a8",)), f"{KEY} ada@example.net", []),
        (Redaction(allow=("^ghp_b",)), f"{HIDDEN} ada@example.net", ["github-token"]),
    ],
)
def test_what_a_corpus_asks_for(redaction: Redaction, text: str, rules: list[str]) -> None:
    result = one(ParsedDocument(f"{KEY} ada@example.net", "text", f"{KEY}"), redaction)
    assert result.document.text == text
    assert result.document.title == text.split()[0]
    assert [finding["rule"] for finding in result.findings] == rules
    assert redacted_line(f"{KEY} ada@example.net", redaction) == text


def test_settings_count_in_the_version_and_equal_ones_share_it() -> None:
    versions = {
        tuple(documents_derivation(redaction).versions().items())
        for redaction in (MASKING, Redaction("keep"), Redaction(personal_data="mask"), Redaction(allow=("a",)))
    }
    assert len(versions) == 4
    assert documents_derivation(Redaction("mask", "keep", ())) is documents_derivation(MASKING)


@given(st.lists(st.one_of(st.just(KEY), st.text(max_size=40)), max_size=8), st.sampled_from(["", " ", "\n", "é"]))
def test_masking_keeps_every_offset_and_leaves_nothing(parts: list[str], joint: str) -> None:
    text = joint.join(parts).encode("utf-8", "replace").decode("utf-8")
    findings = find_secrets(text, SECRETS)
    hidden = masked(text, findings)
    assert len(hidden) == len(text)
    assert all(new in (old, MASK) for new, old in zip(hidden, text, strict=True))
    assert all(hidden[f.start : f.end].strip(MASK + "\r\n") == "" for f in findings)
    assert find_secrets(hidden, SECRETS) == []


@pytest.mark.parametrize("links", [0, 100])
def test_half_characters_beside_the_text_lose_no_document(links: int) -> None:
    """Half of a pair of surrogates, as some tools write titles: the row has a replacement character, few links or many."""
    structure = Structure(
        (Heading(1, "Plan \ud83d", 0),), links=("b\ud83d", *(f"https://a.example/{n}" for n in range(links)))
    )
    rows = frame([ParsedDocument("Plan\n\ntext", "markdown", "Plan", structure=structure, doubt="\udc00")])
    assert rows["status"].to_list() == [Status.OK.value]
    assert rows["structure"][0].count("�") == 2

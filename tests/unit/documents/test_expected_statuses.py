"""Every shared bad input and PDF, on the way a run takes: its status is the one that was written down before any run.

The table is ``tests/data/expected_statuses.csv``. ``expected`` was filled in before the first run, from names, notes and
what is known of the files. ``settled`` says what was read in a file whose row disagreed: either ``expected`` was
corrected, or the note begins with ``open:``, and the parser is to be corrected; remove the note with the defect.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex_assets.documents.registry import UNSUPPORTED
from cortex_assets.documents.schema import Documents
from cortex_assets.tables import REASON_LIMIT
from resources.sandbox import Sandbox
from tests.produced import Produced, produce

TABLE = Path(__file__).parents[2] / "data" / "expected_statuses.csv"
DATA = Path(__file__).parents[3].parent / "shared" / "data"
FOLDERS = ("bad_inputs/json_test_suite", "bad_inputs/pdf_qpdf", "bad_inputs/unstructured_docs", "bad_inputs", "pdf")
pytestmark = pytest.mark.skipif(not (DATA / "bad_inputs").is_dir(), reason="the shared data folder is not there")


def table() -> list[dict[str, str]]:
    with open(TABLE, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(timeout_s=30) as opened:
        yield opened


def problems(produced: Produced) -> Iterator[str]:
    """What must not be in any file's rows: a silent empty, a silent failure, text that the table refuses."""
    Documents.validate(produced.rows)
    for row in produced.rows.iter_rows(named=True):
        if row["status"] == "ok" and not any(char.isprintable() and not char.isspace() for char in row["text"]):
            yield "ok without a visible character"
        if row["status"] != "ok" and not row["reason"]:
            yield f"{row['status']} without a reason"
    for document in produced.documents:
        if document.reason and (len(document.reason) > REASON_LIMIT or "\n" in document.reason):
            yield f"a reason of {len(document.reason)} characters, or of several lines: {document.reason[:60]}"
    if produced.attempts > 1 and not produced.route.page_function:
        yield f"{produced.attempts} attempts: something ended a child process"


def test_the_table_has_every_file_once() -> None:
    paths = [row["path"] for row in table()]
    files = {
        path.relative_to(DATA).as_posix()
        for folder in ("bad_inputs", "pdf")
        for path in (DATA / folder).rglob("*")
        if path.is_file()
    }
    assert len(paths) == len(set(paths))
    assert set(paths) == files


@pytest.mark.parametrize("folder", FOLDERS)
def test_statuses_are_as_expected(folder: str, sandbox: Sandbox) -> None:
    wrong: list[str] = []
    deeper = tuple(f"{name}/" for name in FOLDERS if len(name) > len(folder))
    for row in table():
        if not row["path"].startswith(f"{folder}/") or row["path"].startswith(deeper):
            continue
        produced = produce(DATA / row["path"], sandbox)
        wrong += [f"{row['path']}: {problem}" for problem in problems(produced)]
        if row["settled"].startswith("open:") or produced.route is UNSUPPORTED:
            continue
        if produced.status not in row["expected"].split("|"):
            wrong.append(f"{row['path']}: expected {row['expected']}, got {produced.status} ({produced.reason})")
    assert wrong == []


def test_an_unsupported_format_is_told() -> None:
    """Every format of these folders has a parser; one that vanishes is seen."""
    with Sandbox() as sandbox:
        found = {
            Path(row["path"]).suffix
            for row in table()
            if not row["path"].startswith(("bad_inputs/json", "bad_inputs/pdf"))
            and produce(DATA / row["path"], sandbox).route is UNSUPPORTED
        }
    assert found == set()


def test_a_corpus_with_the_passwords_reads_the_encrypted_files(sandbox: Sandbox) -> None:
    rows = [row for row in table() if row["password"]]
    passwords = tuple(dict.fromkeys(row["password"] for row in rows))
    assert len(rows) > 8
    # Two of them are words that reasons use.
    wrong = []
    for row in rows:
        produced = produce(DATA / row["path"], sandbox, passwords=passwords)
        if produced.status != "ok":
            wrong.append(f"{row['path']}: {produced.status} ({produced.reason})")
        assert not any(password in produced.reason for password in passwords if password not in ("attachment", "view"))
    assert wrong == []


def test_page_counts_match_the_gold_metadata(sandbox: Sandbox) -> None:
    gold = json.loads((DATA / "pdf" / "files.json").read_text(encoding="utf-8"))["data"]
    there = [entry for entry in gold if (DATA / "pdf" / entry["path"]).is_file()]
    assert len(there) >= 9
    for entry in there:
        produced = produce(DATA / "pdf" / entry["path"], sandbox)
        assert (produced.status == "failed") == entry["encrypted"], entry["path"]
        if not entry["encrypted"]:
            assert produced.rows["page_count"].drop_nulls().first() == entry["pages"], entry["path"]

"""A short fuzz run with a fixed seed; and that fuzzing sees what it is to see. The long one: ``python -m tests.fuzz``."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.documents.model import Block, Heading, Page, ParsedDocument, Place, Structure
from cortex_assets.tables import Status
from resources.sandbox import Sandbox
from tests.fuzz import cases, check, seeds
from tests.fuzz.cases import Case, Verdict
from tests.fuzz.findings import label_of, smaller
from tests.fuzz.makers import MAKERS, make
from tests.fuzz.mutators import AWARE, PLAIN
from tests.produced import produce

CASES = 400
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def start() -> seeds.Seeds:
    return seeds.gather(None)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(timeout_s=TIMEOUT_S) as opened:
        yield opened


@pytest.mark.slow
def test_damaged_files_never_escape_their_rows(start: seeds.Seeds, sandbox: Sandbox, tmp_path: Path) -> None:
    wrong: list[str] = []
    for number in range(CASES):
        file = cases.case(start, start.suffixes(), 3, number)
        verdict = cases.judge(file, tmp_path, sandbox, TIMEOUT_S)
        wrong += [f"{finding} (--seed 3 --first {number}, {file.name})" for finding in verdict.findings]
    assert wrong == []


@pytest.mark.parametrize("suffix", sorted(MAKERS))
def test_made_files_are_sound(suffix: str, sandbox: Sandbox, tmp_path: Path) -> None:
    assert make(suffix, 1) == make(suffix, 1) != make(suffix, 2)
    path = tmp_path / f"made{suffix}"
    path.write_bytes(make(suffix, 1))
    produced = produce(path, sandbox)
    assert produced.status in ("ok", "unsupported"), produced.reason
    assert check.violations(produced, TIMEOUT_S) == []


def test_a_case_is_a_function_of_seed_and_number(start: seeds.Seeds) -> None:
    suffixes = start.suffixes()
    assert cases.case(start, suffixes, 1, 5) == cases.case(seeds.gather(None), suffixes, 1, 5)
    assert len({cases.case(start, suffixes, 1, number).content for number in range(50)}) > 45


@pytest.mark.parametrize("suffix", [".docx", ".pdf", ".txt"])
def test_every_damage_takes_any_bytes(suffix: str) -> None:
    for change in (*PLAIN, *(known for _, known in AWARE)):
        for number in range(20):
            pick = random.Random(f"{change.__name__}{number}")
            for data in (make(suffix, number), b"x"):
                assert isinstance(change(pick, data, b"yz"), bytes)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (ParsedDocument(" \u200b\n", "text"), "silent empty"),
        (ParsedDocument("", "none", status=Status.FAILED), "no reason"),
        (ParsedDocument("", "none", status=Status.FAILED, reason="x" * 201), "more than 200"),
        (ParsedDocument("", "none", status=Status.FAILED, reason="a\nb"), "several lines"),
        (ParsedDocument("a", "text", status=Status.FAILED, reason="why"), "text of a failed"),
        (ParsedDocument("a", "song"), "unknown kind"),
        (ParsedDocument("a\ud800", "text"), "cannot be stored"),
        (ParsedDocument("a", "text", failed_pages=(2,)), "pages failed"),
        (ParsedDocument("a", "text", inner="/../a"), "out of its container"),
        (ParsedDocument("a", "text", structure=Structure((Heading(1, "b", 1), Heading(1, "a", 0)))), "not sorted"),
        (ParsedDocument("a", "text", structure=Structure((Heading(1, "b", 2),))), "outside"),
        (ParsedDocument("a", "text", structure=Structure((Heading(7, "b", 0),))), "1..6"),
        (ParsedDocument("a", "text", structure=Structure((Heading(1, " ", 0),))), "without a title"),
        (ParsedDocument("ab", "text", structure=Structure(pages=(Page(1, 0, 3),))), "outside"),
        (ParsedDocument("ab", "text", structure=Structure(pages=(Page(2, 0, 1), Page(1, 1, 2)))), "count up"),
        (ParsedDocument("ab", "text", structure=Structure(blocks=(Block("table", 0, 1, 2),))), "ends outside"),
        (ParsedDocument("a\nb", "text", structure=Structure(blocks=(Block("table", 0, 3, cells="S!A1:B3"),))), "rows"),
        (ParsedDocument("ab", "text", structure=Structure(places=(Place("", 0, 1),))), "without a label"),
        (ParsedDocument("ab", "text", structure=Structure(links=("",))), "empty link"),
    ],
)
def test_a_violation_is_seen(document: ParsedDocument, said: str) -> None:
    assert any(said in problem for problem in check.of_document(document))


def test_time_without_a_document_and_rows_that_share_an_id_are_seen(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"words")
    produced = produce(path, sandbox)
    assert check.violations(produced, 1.0) == []
    assert check.violations(replace(produced, longest=7.0), 1.0) == ["hang: no document for 7 s in 0 attempts"]
    twice = check.violations(replace(produced, rows=pl.concat([produced.rows] * 2)), 1.0)
    assert any("share an id" in problem for problem in twice)


def test_a_sound_document_violates_nothing() -> None:
    text = "# A\n| a |\n|---|\n| b |\n| c |"
    structure = Structure(
        (Heading(1, "A", 0),), (Page(1, 0, 4),), (Block("table", 4, len(text), 16, cells="S!A1:A3"),), ("a.md",)
    )
    assert list(check.of_document(ParsedDocument(text, "sheet", structure=structure))) == []


def test_what_escapes_and_what_hangs_is_found(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*args: object) -> None:
        raise KeyError("odd")

    def hangs(*args: object) -> None:
        end = time.process_time() + 5
        while time.process_time() < end:
            pass

    monkeypatch.setattr(cases, "produce", breaks)
    assert cases.judge(Case(1, "a.txt", b"x"), tmp_path, sandbox, 1.0).findings == ["escaped: KeyError: 'odd'"]
    monkeypatch.setattr(cases, "produce", hangs)
    monkeypatch.setattr(cases, "GRACE_SECONDS", 0.1)
    assert cases.judge(Case(1, "a.txt", b"x"), tmp_path, sandbox, 0.1).findings[0].startswith("hang")


def test_a_finding_is_made_smaller_while_it_stays() -> None:
    def judge(file: Case) -> Verdict:
        return Verdict("ok", "text", ["has 3 X"] if b"X" in file.content else [], [])

    file = Case(0, "a.txt", b"some words, an X, and many more words" * 20)
    assert smaller(file, label_of("has 4 X"), judge).content == b"X"

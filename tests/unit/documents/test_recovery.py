"""What ends a child process costs one unit: real children that abort, hang and run out of memory."""

from collections.abc import Iterator

import pytest

from cortex_assets.documents.model import ParsedDocument, ParseOptions
from cortex_assets.documents.recovery import MOST_RESTARTS, Recovery
from resources.sandbox import Sandbox
from tests.unit.documents.deadly import PAGES

HERE = "tests.unit.documents.deadly"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1, timeout_s=6, memory_mb=512) as pool:
        yield pool


def recovery(sandbox: Sandbox, deadly: dict[str, str]) -> tuple[list[ParsedDocument], Recovery]:
    tried = Recovery(lambda options: sandbox.call(f"{HERE}.members", deadly, options), None, ParseOptions())
    return list(tried.documents()), tried


def test_all_other_members_are_read_each_once(sandbox: Sandbox) -> None:
    found, tried = recovery(sandbox, {"/m3": "abort", "/m7": "hang"})
    assert [d.inner for d in found] == [f"/m{n}" for n in range(10)]
    assert [d.inner for d in found if d.status.value == "quarantined"] == ["/m3", "/m7"]
    assert "SIGABRT" in (found[3].reason or "")
    assert tried.ending is not None and tried.ending.is_transient and not tried.ending.is_whole
    assert "/m7" in tried.ending.reason


def test_a_permanent_loss_alone_is_no_failure_of_the_file(sandbox: Sandbox) -> None:
    found, tried = recovery(sandbox, {"/m0": "abort"})
    assert [d.status.value for d in found] == ["quarantined", *["ok"] * 9]
    assert tried.ending is None


def test_what_a_parser_raises_ends_the_file_and_is_said(sandbox: Sandbox) -> None:
    found, tried = recovery(sandbox, {"/m4": "raise"})
    assert len(found) == 4
    assert tried.ending is not None and tried.ending.is_raised and tried.ending.is_whole
    assert not tried.ending.is_transient


def test_restarts_are_bounded(sandbox: Sandbox) -> None:
    starts = []

    def parse(options: ParseOptions) -> object:
        starts.append(len(options.avoid))
        return sandbox.call(f"{HERE}.pages", tuple(range(1, PAGES + 1)), options)

    tried = Recovery(parse, None, ParseOptions())  # type: ignore[arg-type]
    assert list(tried.documents()) == []
    assert tried.ending is not None and tried.ending.is_whole
    assert starts == list(range(MOST_RESTARTS + 1))


def test_failed_pages_are_listed_and_read_again_in_a_process_of_their_own(sandbox: Sandbox) -> None:
    asked = []

    def read_page(number: int, options: ParseOptions) -> object:
        asked.append(number)
        return sandbox.call_apart(f"{HERE}.page", number, (81, 83))

    tried = Recovery(
        lambda options: sandbox.call(f"{HERE}.pages", (80, 81, 83), options),
        read_page,  # type: ignore[arg-type]
        ParseOptions(),
    )
    (document,) = tried.documents()
    assert asked == [80, 81, 83]
    assert document.failed_pages == (80,)
    assert document.status.value == "partial"
    lines = document.text.split("\n")
    assert len(lines) == PAGES - 1
    assert lines[79] == "page 81 apart" and lines[78] == "page 79" and lines[81] == "page 83 apart"

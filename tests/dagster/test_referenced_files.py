"""Files that are read in place: what is parsed are the bytes that were hashed, and nothing outside the corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex_assets import workshop
from cortex_assets.documents.schema import DOCUMENTS
from tests.dagster.lake import Lake, paragraph


def swap_content(file: Path, outside: Path) -> None:
    file.write_text(outside.read_text())


def swap_for_a_link(file: Path, outside: Path) -> None:
    file.unlink()
    file.symlink_to(outside)


@pytest.mark.parametrize("name", ["a.md", "a.html"])
@pytest.mark.parametrize("swap", [swap_content, swap_for_a_link])
def test_a_file_swapped_after_it_was_hashed_is_not_parsed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, swap: Callable[[Path, Path], None], name: str
) -> None:
    body = f"<html><body><main><h1>A</h1><p>{paragraph(1)}</p></main></body></html>"
    file = lake.drop(lake.root / "elsewhere" / name, body)
    outside = lake.drop(lake.root / "outside" / name, body.replace("noon", "the zanzibar chronometer"))
    lake.add(lake.root / "elsewhere", "elsewhere")
    real = workshop.media_types

    def media_types(files: Any) -> Any:
        found = real(files)
        swap(file, outside)
        return found

    monkeypatch.setattr(workshop, "media_types", media_types)
    report = lake.run()
    documents = lake.table(DOCUMENTS)
    assert documents["status"].to_list() == ["failed"]
    assert "chang" in documents["reason"][0] or "no longer" in documents["reason"][0]
    assert report.failed == 1
    assert lake.ledger("documents")["status"].to_list() == ["transient"]


@pytest.mark.parametrize("name", ["a.md", "a.html"])
def test_one_that_stays_is(lake: Lake, name: str) -> None:
    body = f"<html><body><main><h1>A</h1><p>{paragraph(1)}</p></main></body></html>"
    lake.drop(lake.root / "elsewhere" / name, body)
    lake.add(lake.root / "elsewhere", "elsewhere")
    lake.run()
    assert lake.table(DOCUMENTS)["status"].to_list() == ["ok"]


def test_a_file_that_goes_after_it_was_hashed_waits(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    going = lake.drop(lake.root / "elsewhere" / "going.md", "# Going\n")
    leaving = lake.drop(lake.root / "elsewhere" / "leaving.md", "# Leaving\n")
    lake.drop(lake.root / "elsewhere" / "staying.md", "# Staying\n")
    lake.add(lake.root / "elsewhere", "elsewhere")
    real = workshop.media_types

    def media_types(files: Any) -> Any:
        going.unlink(missing_ok=True)
        leaving.unlink(missing_ok=True)
        leaving.symlink_to("/etc/hostname")
        return real(files)

    monkeypatch.setattr(workshop, "media_types", media_types)
    assert lake.run().errors == ()
    assert lake.table(DOCUMENTS)["path"].to_list() == ["staying.md"]

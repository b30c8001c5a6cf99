"""`cortex explain`: one file from the disk to its chunks, whatever became of it."""

import io
import zipfile

import pytest

from apps import actions, reader
from apps.cli import main
from apps.errors import CommandError
from tests.dagster.lake import Lake, note


@pytest.fixture
def explained(lake: Lake) -> Lake:
    lake.drop("notes/gauge.md", "# Gauge\n\nThe north gauge reads low.\n\n## Repair\n\nTurn it left.\n")
    lake.drop("notes/broken.json", '{"a": ')
    lake.drop("notes/broken.pdf", b"%PDF-1.4\nnothing\n")
    lake.drop("notes/node_modules/x.js", "1")
    lake.run()
    return lake


def test_a_good_file_is_shown_with_its_sections_and_chunks(explained: Lake) -> None:
    report = reader.explain("notes/gauge.md")
    assert (report.corpus, report.path, report.status, report.waits) == ("notes", "gauge.md", "ok", ())
    assert report.facts["media type"] == "text/markdown"
    (document,) = report.documents
    assert document.facts["title"] == "Gauge" and document.facts["structure"] == "2 headings"
    assert document.chunk_count == len(document.chunks) >= 1
    assert document.chunks[0].place.startswith("§ Gauge")
    assert all(chunk.has_vector for chunk in document.chunks)


def test_the_path_on_the_disk_names_the_same_file(explained: Lake) -> None:
    assert reader.explain(str(explained.path("notes/gauge.md"))) == reader.explain("notes/gauge.md")


def test_what_failed_says_why_and_what_comes_next(explained: Lake) -> None:
    report = reader.explain("notes/broken.pdf")
    (document,) = report.documents
    assert document.status == "failed" and "damaged" in document.reason
    assert len(report.waits) == 1 and "cortex retry notes/broken.pdf" in report.waits[0]
    partial = reader.explain("notes/broken.json").documents[0]
    assert partial.status == "partial" and "not valid JSON" in partial.reason


def test_what_is_not_taken_says_why(explained: Lake) -> None:
    ignored = reader.explain("notes/node_modules/x.js")
    assert (ignored.status, ignored.documents) == ("ignored", ())
    assert "node_modules" in ignored.reason
    explained.drop("notes/later.md", note(1))
    assert reader.explain("notes/later.md").status == "new"


@pytest.mark.parametrize("name", ["notes/nothing.md", "nowhere/x.md", "x"])
def test_an_unknown_file_is_an_error_with_a_remedy(explained: Lake, name: str) -> None:
    with pytest.raises(CommandError) as raised:
        reader.explain(name)
    assert raised.value.remedy


@pytest.mark.parametrize("path", ["notes/../../../outside.md", "notes/{outside}", "notes/a/../../../outside.md"])
def test_no_path_leads_out_of_a_corpus(explained: Lake, path: str) -> None:
    """Nothing is told of a file out there, not even whether it is one."""
    outside = explained.path("notes").parents[1] / "outside.md"
    outside.write_text("x", encoding="ascii")
    with pytest.raises(CommandError, match=r"no such file|no corpus has this file"):
        reader.explain(path.format(outside=outside))


def test_the_command_draws_it(explained: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "notes/gauge.md"]) == 0
    out = capsys.readouterr().out
    assert "Gauge" in out and "parser markdown" in out
    assert main(["explain", "notes/gauge.md", "--json", "-k", "1"]) == 0
    assert '"document_count": 1' in capsys.readouterr().out
    assert main(["explain", "notes/none.md"]) == 2
    assert "remedy" in capsys.readouterr().err


def test_statuses_are_grouped_by_reason(explained: Lake) -> None:
    explained.drop("notes/broken2.json", '{"a": ')
    explained.run()
    groups = {(group.status, group.rows): group for group in reader.status(failed=True).failures}
    assert groups["partial", 2].examples == ("broken.json", "broken2.json")
    assert "not valid JSON" in groups["partial", 2].reason
    assert groups["failed", 1].examples == ("broken.pdf",)


def test_a_file_without_bytes_is_no_alarm_but_a_row(explained: Lake) -> None:
    before = reader.status(failed=True)
    explained.drop("notes/tool/__init__.py", "")
    explained.run()
    after = reader.status(failed=True)
    assert after.failures == before.failures
    assert after.corpora[0].files["ok"] == before.corpora[0].files["ok"] + 1
    assert reader.explain("notes/tool/__init__.py").status == "empty"


def test_a_member_is_explained_and_tried_again_by_the_name_that_a_search_shows(lake: Lake) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("docs/good.md", "# Good\n\nthe albatross returns")
        archive.writestr("docs/bad.pdf", b"%PDF-1.4\nnothing\n")
    lake.drop("notes/a.zip", made.getvalue())
    lake.run()
    (hit,) = lake.search("albatross").hits
    name = f"notes/{hit.path}!{hit.inner}"
    assert name == "notes/a.zip!/docs/good.md"
    report = reader.explain(name)
    assert [document.inner for document in report.documents] == ["/docs/good.md"]
    whole = reader.explain("notes/a.zip")
    assert (whole.status, whole.reason) == ("partial", "1 of 2 documents in it are not ok, see below")
    assert whole.documents[0].inner == "/docs/bad.pdf"
    assert actions.retry("notes/a.zip!/docs/bad.pdf").keys == 1
    report_of_run, work = lake.run_counted()
    assert work["parsed"] == 1 and work["embedded"] == 0
    assert report_of_run.failed == 0

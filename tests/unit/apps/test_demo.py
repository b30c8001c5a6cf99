"""The demo: the sample is whole and varied, its questions have their answers there, and the steps come in order."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from apps import cli, demo, looking, registering, running, searching
from apps.errors import CommandError
from apps.reports import AddPreview, Registered, RunReport, StageLine, StatusReport, TableLine
from apps.search_reports import SearchResponse
from tests.unit.apps.examples import HIT

SAMPLE = demo.ROOT / "data" / "sample"
FORMATS = {
    ".md", ".txt", ".html", ".csv", ".json", ".yaml", ".toml", ".pdf", ".docx",
    ".py", ".js", ".ts", ".go", ".rs", ".java", ".c", ".cpp",
}  # fmt: skip


def test_sample_has_every_format_and_is_small():
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= FORMATS
    assert sum(path.stat().st_size for path in files) < 100_000


def test_sample_files_are_what_they_say():
    json.loads((SAMPLE / "logger/stations.json").read_text())
    tomllib.loads((SAMPLE / "logger/config.toml").read_text())
    yaml.safe_load((SAMPLE / "logger/deploy.yaml").read_text())
    compile((SAMPLE / "logger/server/harmonics.py").read_text(), "harmonics.py", "exec")
    letter = (SAMPLE / "letters/harbour-master.txt").read_bytes()
    assert letter[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert "cable duct" in letter.decode("utf-16")


def test_the_good_pdf_opens_and_the_damaged_one_does_not():
    import pypdfium2

    with pypdfium2.PdfDocument(SAMPLE / "reports/annual-tide-report-2025.pdf") as report:
        assert len(report) == 3
        assert "4.87 m" in report[1].get_textpage().get_text_bounded()
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(SAMPLE / "reports/damaged-scan-1987.pdf")


def test_every_question_has_its_file():
    suffixes = {Path(question.answered_by).suffix for question in demo.QUESTIONS}
    assert len(suffixes) == len(demo.QUESTIONS) == 3
    assert all((SAMPLE / question.answered_by).is_file() for question in demo.QUESTIONS)


@pytest.fixture
def steps(monkeypatch):
    """Record the order of the engine calls."""
    seen = []

    def record(owner, name, answer):
        def call(*arguments):
            seen.append((name, arguments))
            return answer(*arguments)

        monkeypatch.setattr(owner, name, call)

    record(
        registering,
        "preview",
        lambda source, name, options: AddPreview(name, "folder", source, 1, 1, (), 1, 1, options),
    )
    record(registering, "register", lambda preview: Registered(preview.name, preview.name, "folder", preview.uri))
    record(
        running, "run", lambda corpora, sink: RunReport((StageLine("sample", "sample", "documents", new=28, failed=1),))
    )
    record(looking, "tables", lambda: [TableLine("silver/chunks", "sharded", 4321, 2)])
    record(looking, "status", lambda corpus, failed: StatusReport("lake", ()))
    record(searching, "search", lambda question, *_: SearchResponse(question, (HIT,)))
    return seen


def test_demo_walks_through_and_leaves(steps, capsys):
    assert cli.main(["demo", "--no-serve"]) == 0
    names = [name for name, _ in steps]
    assert names == ["preview", "register", "preview", "register", "run", "tables", "status", *["search"] * 3]
    assert steps[4][1][0] == ["sample", "cortex"]
    text = capsys.readouterr().out
    assert "4,321" in text
    assert all(question.text in text for question in demo.QUESTIONS)


def test_demo_as_json_is_one_object(steps, capsys):
    assert cli.main(["demo", "--no-serve", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"run", "tables", "status", "answers"}
    assert len(made["answers"]) == 3


def test_demo_ends_with_everything_up(steps, monkeypatch):
    def up(names, port, app_port, heard):
        return 130 if (names, port) == ({"app", "dagster", "worker"}, 3456) else 9

    monkeypatch.setattr("apps.living.up", up)
    assert cli.main(["demo", "--port", "3456"]) == 130


def test_demo_outside_a_clone_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    with pytest.raises(CommandError, match="no sample"):
        demo.register()

"""What the demo does, in plain calls: the same actions and reads that every command uses, on the default lake."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps import actions, reader
from apps.errors import CommandError
from apps.progress import ProgressSink
from apps.reports import Registered, RunReport, StatusReport, TableLine
from apps.search_reports import SearchFilters, SearchResponse

ROOT = Path(__file__).resolve().parents[1]
SAMPLE, REPOSITORY = "sample", "cortex"
HITS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the demo and the file in the sample that answers it."""

    text: str
    answered_by: str


QUESTIONS = (
    Question("why did the north gauge read too low in March?", "notes/north-gauge-reads-low.md"),
    Question("what was the highest still water level of 2025?", "reports/annual-tide-report-2025.pdf"),
    Question("how is a corrupted radio frame detected by its checksum?", "logger/ingest/CrcFrame.java"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """What is in the lake after the demo."""

    tables: tuple[TableLine, ...]
    status: StatusReport


def register() -> list[Registered]:
    """Register the sample and this repository; both stay where they are.

    Raises:
        CommandError: this is not a checkout, so there is no sample.
    """
    sample = ROOT / "data" / "sample"
    if not sample.is_dir():
        raise CommandError("there is no sample here", str(sample), "run the demo in a clone of the repository")
    sources = ((sample, SAMPLE), (ROOT, REPOSITORY))
    return [actions.add(actions.preview_add(str(folder), name)) for folder, name in sources]


def load(sources: Sequence[Registered], progress: ProgressSink) -> RunReport:
    """Run both corpora."""
    return actions.run([source.name for source in sources], progress)


def look_around() -> Made:
    """Tables with their rows, corpora with what failed in them."""
    return Made(tuple(reader.tables()), reader.status(failed=True))


def ask(question: Question) -> SearchResponse:
    """Answer one of the questions from the sample; this repository's README asks them, too, and would be found first."""
    return reader.search(question.text, HITS, SearchFilters((SAMPLE,)))

"""All reads that a person can ask for: plan, status, tables, search, models. Nothing here writes.

The command line and the app's pages call these functions and nothing below them. Engine code is imported inside
functions. Writes are in ``apps.actions``.
"""

import contextlib
import sys
from collections.abc import Sequence

from apps.doctor.report import DoctorReport
from apps.errors import USAGE, CommandError
from apps.reports import FileExplained, ModelLine, PlanReport, SearchFilters, SearchResponse, StatusReport, TableLine

MOST_HITS = 100


def plan(corpora: Sequence[str] | None = None) -> PlanReport:
    """What a run would do, stage by stage; parses and writes nothing."""
    from apps import looking

    return looking.plan(corpora)


def status(corpus: str | None = None, failed: bool = False) -> StatusReport:
    """How the corpora stand; with ``failed`` also what failed, grouped by reason.

    Raises:
        CommandError: no corpus has that name.
    """
    from apps import looking

    return looking.status(corpus, failed)


def explain(file: str, member: str | None = None, most: int = 10) -> FileExplained:
    """What was found in a file, which parser read it, its pages and its chunks.

    Args:
        file: ``corpus/path``, or a path on the disk.
        member: only documents whose member's path contains this.
        most: how many documents, and chunks of each, are shown.

    Raises:
        CommandError: nothing is known of such a file.
    """
    from apps import explaining

    return explaining.explain(file, member, most)


def tables() -> list[TableLine]:
    """Every table of the lake with its rows, in the order the data goes."""
    from apps import looking

    return looking.tables()


def search(question: str, k: int = 10, filters: SearchFilters | None = None) -> SearchResponse:
    """Answer a question with at most ``k`` ranked hits, each with a verified citation.

    Raises:
        CommandError: the question is empty or ``k`` is not between 1 and 100.
    """
    if not question.strip():
        raise CommandError("the question is empty", "", 'ask something: cortex search "high water in November"', USAGE)
    if not 1 <= k <= MOST_HITS:
        raise CommandError(f"{k} hits cannot be shown", "--limit", f"choose between 1 and {MOST_HITS}", USAGE)
    if "apps.searching" not in sys.modules:
        from apps.worker import client
        from resources.settings import load_settings

        with contextlib.suppress(client.NoWorker):  # then it is done here
            return client.search(load_settings().up, question, k, filters or SearchFilters())
        _load_search()
    from apps import searching

    return searching.search(question, k, filters or SearchFilters())


def _load_search() -> None:
    """Import what a search needs into a fresh process, without what it does not need."""
    from resources.memory import loading
    from resources.readahead import libraries_ahead

    libraries_ahead()
    with loading():
        from cortex_assets.lean import import_dataframely

        import_dataframely()
        from apps import searching  # noqa: F401


def models() -> list[ModelLine]:
    """The models that are configured, and whether their files are here."""
    from apps import looking

    return looking.models()


def doctor() -> DoctorReport:
    """What is wrong with machine, folders, models, leases, tables and what is up, each with a remedy."""
    from apps.doctor.examine import examine
    from resources.settings import load_settings

    return examine(load_settings())

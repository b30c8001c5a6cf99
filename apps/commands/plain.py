"""What a command does, without its options: for ``cli.main``, which does not always need the parser."""

from collections.abc import Sequence

from apps import actions
from apps.errors import FOUND, OK
from apps.terminal import console
from apps.terminal.meters import meter


def run(corpora: Sequence[str] | None, as_json: bool) -> int:
    """Bring some corpora up to date (None: all), show the report and give the exit code."""
    with meter() as progress:
        report = actions.run(corpora, progress)
    if as_json:
        console.write_json(report)
    else:
        from apps.terminal import tables

        console.out().print(tables.run_report(report))
    return OK if report.is_clean else FOUND

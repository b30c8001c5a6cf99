"""``cortex eval``: how well search finds what golden sets ask for. What it does is in ``apps.actions`` and ``apps.reader``."""

from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import FOUND
from apps.terminal import console, evaluations
from apps.terminal.meters import meter


def evaluate(
    name: Annotated[
        str | None, typer.Argument(metavar="[SET]", help="Name of a golden set; without one, all of them.")
    ] = None,
    k: Annotated[
        int,
        typer.Option("--limit", "-k", min=1, max=100, help="Look at so many hits; other than 10 it is not recorded."),
    ] = 10,
    halves: Annotated[
        bool, typer.Option("--halves", help="Show words alone and meaning alone beside the search that uses both.")
    ] = False,
    changes: Annotated[bool, typer.Option("--changes", help="List every question that changed rank.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Only show the evaluations there are; nothing is asked.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="ID", help="Compare the latest with this one of the history; nothing is asked."
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the present quality as the one to compare with from now on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how well search finds what it should.

    Asks the questions of the golden sets in data/golden, whose answers are known, and compares with the evaluation that was
    accepted last. Nothing is asked where nothing moved. Ends with 1 when a change of space, chunker or retrieval lost quality, or a
    set cannot be used.
    """
    if against is not None:
        report = reader.evaluations(name, against)
        console.show(report, as_json, lambda one: evaluations.report(one, halves, changes=True))
        return
    if history:
        report = reader.evaluations(name)
        console.show(report, as_json, evaluations.history)
        return
    with meter() as progress:
        report = actions.evaluate(name, k, accept, progress)
    console.show(report, as_json, lambda one: evaluations.report(one, halves, changes))
    if not report.is_well:
        raise typer.Exit(FOUND)

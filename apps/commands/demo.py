"""The command ``demo``: what it does is in ``apps.demo``, here is how it is shown."""

from typing import Annotated

import typer

from apps import actions
from apps import demo as house_tour
from apps.commands.living import APP_PORT, PARTS
from apps.commands.options import Json
from apps.reports import plain
from apps.search_reports import SearchResponse
from apps.terminal import console, hits, tables, up
from apps.terminal.meters import meter
from apps.terminal.units import duration


def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Start app, Dagster and worker afterwards, until Ctrl-C.")
    ] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's page, or the next free one.")] = 3000,
    as_json: Json = False,
) -> None:
    """Load the sample and this repository, and ask.

    Prints what was made, answers three questions, then starts what `cortex up` starts. The demo uses the lake that all
    commands use, so everything it made can be looked at with them afterwards.
    """
    sources = house_tour.register()
    console.notice("registered: " + ", ".join(f"{one.name} ({one.uri})" for one in sources))
    with meter() as progress:
        report = house_tour.load(sources, progress)
    made = house_tour.look_around()
    answers = [house_tour.ask(question) for question in house_tour.QUESTIONS]
    if as_json:
        console.write_json({"run": plain(report), **plain(made), "answers": plain(answers)})
        return
    _show(made, answers, report.seconds)
    if serve:
        raise typer.Exit(actions.up(PARTS, port, APP_PORT, up.Shown(as_json=False)))


def _show(made: house_tour.Made, answers: list[SearchResponse], seconds: float) -> None:
    out = console.out()
    out.print(tables.lake_tables(made.tables))
    out.print()
    out.print(tables.status_report(made.status))
    for answer in answers:
        out.print()
        out.print(console.safe(f"cortex search {answer.question!r} --corpus {house_tour.SAMPLE}", "bold"))
        out.print(hits.response(answer))
    out.print(
        console.safe(f"loaded in {duration(seconds)}; now yours: cortex search, cortex status --failed, cortex plan")
    )

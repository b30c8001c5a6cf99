"""The commands ``route``, ``lanes`` and ``metrics``: which model answers what, how all stands. What they do is in ``apps.reader``."""

import sys
from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import USAGE, CommandError
from apps.terminal import console
from apps.terminal import lanes as drawn


def route(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is asked; - reads it from the standard input.")],
    lane: Annotated[str, typer.Option(help="Ask for a lane by name.")] = "",
    task: Annotated[str, typer.Option(help="What is to be done, such as code, compliance, answer or read.")] = "",
    as_json: Json = False,
) -> None:
    """Show which lane of models serves a text, and why.

    Nothing is asked of any model.
    """
    asked = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text
    if not asked.strip():
        raise CommandError("there is nothing to route", "TEXT", 'say it, such as cortex route "fix this bug"', USAGE)
    console.show(reader.route(asked, lane, task), as_json, drawn.route_report)


def lanes(
    reset: Annotated[
        str | None,
        typer.Option("--reset", metavar="ENGINE", help="Try an engine that is left alone again, at once."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the lanes of models.

    Engines in the order in which they are asked, how they stand, and what they did in the last 24 hours.
    """
    if reset is not None:
        actions.reset_breaker(reset)
    console.show(reader.lanes(), as_json, drawn.lanes_report)


def metrics() -> None:
    """Show numbers for a monitor, in the text format of Prometheus.

    Calls of models, tokens and latency of today; engines and budgets now; rows of tables; runs of the last 24 hours.
    """
    sys.stdout.write(reader.metrics())

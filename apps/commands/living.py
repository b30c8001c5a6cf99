"""Commands of every day: up, down, doctor. What they do is in ``apps.living`` and ``apps.doctor``, here is how it is shown."""

from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import FOUND
from apps.terminal import console, diagnoses, up

PARTS = frozenset({"app", "dagster", "worker"})
PORT, APP_PORT = 3000, 8501


def start(
    dagster: Annotated[bool, typer.Option("--dagster/--no-dagster", help="Dagster's page, sensors, schedules.")] = True,
    app: Annotated[bool, typer.Option("--app/--no-app", help="The app in the browser.")] = True,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="The worker: watches, quick searches.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's page, or the next free one.")] = PORT,
    app_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the app, or the next free one.")] = APP_PORT,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Stay up after this command; `cortex down` ends it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start everything and keep it up: the app, Dagster, the worker.

    All listen on 127.0.0.1 only. A part that ends is started again; Ctrl-C stops all. Logs are in data/logs.
    """
    names = frozenset(n for n, wanted in (("dagster", dagster), ("app", app), ("worker", worker)) if wanted)
    shown = up.Shown(as_json, detach)
    if detach:
        state = actions.up_detached(names, port, app_port)
        shown(state)
        return
    raise typer.Exit(actions.up(names, port, app_port, shown))


def down(as_json: Json = False) -> None:
    """Stop what `cortex up` started."""
    state = actions.down()
    if as_json:
        console.write_json({"stopped": state is not None})
    elif state is None:
        console.notice("nothing is up")
    else:
        console.notice("stopped", "green")


def doctor(as_json: Json = False) -> None:
    """Look at machine, folders, models, leases, tables and what is up, and say what to do.

    Ends with 1 when something is bad.
    """
    report = reader.doctor()
    console.show(report, as_json, diagnoses.doctor_report)
    if not report.is_well:
        raise typer.Exit(FOUND)

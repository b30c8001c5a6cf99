"""The command ``migrate``: other embedding models for a corpus. What it does is in ``apps.actions``."""

from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import USAGE, CommandError
from apps.terminal import care, console


def migrate(
    corpus: Annotated[
        str | None, typer.Argument(metavar="[CORPUS]", help="Name of the corpus; without it, how all stand.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="MODEL", help="Embed it by this model, such as packaged or hf:org/name."),
    ] = None,
    code_model: Annotated[
        str | None,
        typer.Option(
            "--code-model", metavar="MODEL", help="Embed its code by this model; `none`: by the one for all else."
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Search it as before the last migration again; said twice, as after it.")
    ] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="End a migration before its switch.")] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Keep what served before no longer, which CORTEX_RETENTION does else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Embed a corpus by other models.

    The old index answers while runs make the new one. Once it is whole and the quality gate agrees, one write switches
    searches to it. The old one is kept up for a rollback. Without an option it shows how migrations stand.
    """
    for option, model in (("--to", to), ("--code-model", code_model)):
        if model is not None and not model.strip():
            raise CommandError("this names no model", option, "say one, such as packaged or hf:org/name", USAGE)
    asked = [bool(to or code_model), rollback, abandon, finish]
    if sum(asked) > 1 or (any(asked) and corpus is None):
        raise CommandError("this does one thing for one corpus", "cortex migrate", "see cortex migrate --help", USAGE)
    if corpus is None or not any(asked):
        report = reader.migrations(corpus)
    elif rollback:
        report = actions.roll_back(corpus)
    elif abandon:
        report = actions.abandon_migration(corpus)
    elif finish:
        report = actions.finish_migration(corpus)
    else:
        report = actions.migrate(corpus, to, code_model)
    console.show(report, as_json, care.migrations)

"""All commands of ``cortex`` with their options, as typer parses them; ``cli.main`` starts them.

A command is a function in ``apps.commands``; list it in ``_COMMANDS``, where a person who reads down the list needs it.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from apps.commands import change, demo, lanes, living, look, measure, migrating, query, safety, upkeep

_COMMANDS: tuple[Callable[..., Any], ...] = (
    living.down,
    living.doctor,
    change.add,
    look.plan,
    change.run,
    look.search,
    measure.evaluate,
    measure.feedback,
    look.status,
    look.explain,
    query.sql,
    lanes.route,
    lanes.lanes,
    lanes.metrics,
    upkeep.verify,
    change.confirm,
    change.retry,
    change.remove,
    upkeep.maintain,
    migrating.migrate,
    safety.reshard,
    safety.backup,
    safety.restore,
    safety.upgrade,
    demo.demo,
    upkeep.version,
)
_NAMES: Mapping[Callable[..., Any], str] = {measure.evaluate: "eval"}
"""Of commands that are called otherwise than their function."""

app = typer.Typer(
    name="cortex",
    help="Drop files in; get cited search out. The lake, the index and the sources provably agree.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 well, 1 something failed, was withheld or was found, 2 used wrongly, 130 Ctrl-C.",
)


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the whole trace of an error.")] = False) -> None:
    """Drop files in; get cited search out. The lake, the index and the sources provably agree."""


app.command("up")(living.start)
for _command in _COMMANDS:
    app.command(_NAMES.get(_command))(_command)
app.add_typer(upkeep.models, name="models")

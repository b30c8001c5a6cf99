"""The command line ``cortex``: puts the commands together, turns errors into three lines and an exit code.

A command is a function in ``apps.commands``; list it in ``_COMMANDS``. Exit codes: 0 all is well; 1 something failed,
was withheld or was found; 2 the command was used wrongly; 130 Ctrl-C. Nothing heavy is imported before it is needed.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from types import TracebackType
from typing import Annotated, Any

import typer

from apps.commands import change, demo, look, upkeep
from apps.errors import FOUND, INTERRUPTED, OK, CommandError, explain, is_expected
from apps.terminal import console
from resources.settings import quiet_math_threads

_COMMANDS: tuple[Callable[..., Any], ...] = (
    change.add,
    look.plan,
    change.run,
    look.search,
    look.status,
    upkeep.verify,
    change.confirm,
    change.retry,
    change.remove,
    upkeep.maintain,
    demo.demo,
    upkeep.version,
)

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


for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(upkeep.models, name="models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give back its exit code.

    Args:
        arguments: what follows ``cortex``; the process's own when None.
    """
    quiet_math_threads()
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = given[: given.index("--")] if "--" in given else given
    is_debug, as_json = "--debug" in words, "--json" in words
    _take_any_letter()
    console.forget_streams()
    if not is_debug:
        sys.excepthook = _without_trace
    try:
        return _invoke(["--debug", *(word for word in given if word != "--debug")] if is_debug else given)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if is_debug or not is_expected(error):
            raise
        console.show_error(explain(error), as_json)
        return error.exit_code if isinstance(error, CommandError) else FOUND


def _invoke(words: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=words, prog_name="cortex", standalone_mode=True)
    except SystemExit as end:
        result = end.code
    if result == INTERRUPTED:
        return _interrupted()
    return result if isinstance(result, int) else OK


def _interrupted() -> int:
    console.notice("stopped; what was committed is consistent, and the same command continues")
    return INTERRUPTED


def _without_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python calls for an error that nobody expected: the same three lines instead of a trace."""
    console.show_error(explain(error), as_json="--json" in sys.argv)


def _take_any_letter() -> None:
    """A terminal of another encoding shows a question mark instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="replace")

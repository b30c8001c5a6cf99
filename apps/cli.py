"""The command line ``cortex``: starts a command, turns errors into three lines and an exit code.

The commands are listed in ``command_line``. Exit codes: 0 all is well; 1 something failed,
was withheld or was found; 2 the command was used wrongly; 130 Ctrl-C. Nothing heavy is imported before it is needed.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from types import TracebackType
from typing import Final

from apps.errors import FOUND, INTERRUPTED, OK, CommandError, explain, is_expected
from apps.terminal import console
from resources.settings import quiet_math_threads

AT_ONCE: Final = (["run"], ["run", "--json"])
"""Command lines with nothing to parse, said by schedulers all day: importing the parser takes as long as looking for changes."""


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
        if given in AT_ONCE:
            return _run(as_json)
        return _invoke(["--debug", *(word for word in given if word != "--debug")] if is_debug else given)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if is_debug or not is_expected(error):
            raise
        console.show_error(explain(error), as_json)
        return error.exit_code if isinstance(error, CommandError) else FOUND


def _run(as_json: bool) -> int:
    """``cortex run`` over all corpora, as typer would start it."""
    from apps.commands.plain import run

    try:
        code = run(None, as_json)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    return code


def _invoke(words: list[str]) -> int:
    import typer

    from apps.command_line import app

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


if __name__ == "__main__":
    sys.exit(main())

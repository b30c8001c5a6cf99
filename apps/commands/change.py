"""Commands that change what is in the lake: add, run, confirm, retry, remove. What they do is in ``apps.actions``."""

import sys
from typing import Annotated

import typer

from apps import actions
from apps.commands import plain
from apps.commands.options import Corpora, Json, Yes
from apps.errors import FOUND, INTERRUPTED, USAGE, CommandError
from apps.reports import AddOptions, AddPreview
from apps.terminal import console, tables
from apps.terminal.units import counted


def add(
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="A folder, or the URL of a git repository.")],
    name: Annotated[str | None, typer.Option(help="Name of the corpus; by default the folder's.")] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Take only paths that match this glob; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out paths that match this glob; may be repeated.")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Keep a copy of the bytes, although the folder is outside the inbox.")
    ] = False,
    keep_last_good: Annotated[
        bool,
        typer.Option(
            "--keep-last-good", help="When an edit no longer parses, keep the rows from before, marked stale."
        ),
    ] = False,
    code_model: Annotated[
        str | None,
        typer.Option("--code-model", metavar="MODEL", help="Embed its code by this model; all else as by default."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Register a folder or a git repository as a corpus.

    Shows first what is in it and what is left out, and asks. Nothing is written below the folder,
    and nothing is read in before `cortex run`.
    """
    options = AddOptions(tuple(include or ()), tuple(exclude or ()), copy, keep_last_good, code_model)
    preview = actions.preview_add(source, name, options)
    if not as_json:
        console.out().print(tables.preview(preview))
    if not (yes or as_json or agrees("Register it?")):
        console.notice("nothing was registered")
        raise typer.Exit(FOUND)
    if as_json and not yes:
        console.write_json(preview)
        console.notice("nothing was registered: --json shows the listing, --json --yes registers")
        return
    _register(preview, as_json)


def _register(preview: AddPreview, as_json: bool) -> None:
    registered = actions.add(preview)
    if as_json:
        console.write_json(registered)
    else:
        done = "registered" if registered.is_new else "updated"
        who = "the worker reads it in now" if actions.is_watched() else "`cortex run` reads it in"
        console.notice(f"{registered.name} is {done}; {who}", "green")


def run(corpora: Corpora = None, as_json: Json = False) -> None:
    """Bring the lake and the index up to date.

    Only what changed is worked on. Ends with 1 when something failed in this run or deletes were withheld.
    A shard that another run holds is queued.
    """
    code = plain.run(corpora, as_json)
    if code:
        raise typer.Exit(code)


def confirm(
    scan: Annotated[
        str, typer.Argument(metavar="SCAN", help="Id of the scan, as `cortex run` and `cortex status` show it.")
    ],
    as_json: Json = False,
) -> None:
    """Accept deletes that were withheld.

    They were, because too many files of a corpus, or all of them, had vanished at once.
    """
    report = actions.confirm(scan)
    if as_json:
        console.write_json(report)
    else:
        console.notice(
            f"{report.corpus}: {counted(report.files, 'delete')} confirmed; `cortex run` applies them", "green"
        )


def retry(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[CORPUS|CORPUS/PATH]", help="What to take up again; without it, everything."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take up failed files again at the next run.

    Without it a failure waits for a change of the file or of its parser, or for its time.
    """
    report = actions.retry(target)
    if as_json:
        console.write_json(report)
    else:
        console.notice(f"failed keys that are due again: {report.keys}; `cortex run` takes up what is due")


def remove(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Name of the corpus.")],
    purge: Annotated[bool, typer.Option("--purge", help="Delete its rows and its points, too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop listing a corpus.

    It is paused, kept and still found; with --purge its rows go, too. The source itself stays as it is.
    """
    question = f"Delete all rows and points of {corpus}?" if purge else f"Stop listing {corpus}?"
    if not yes and not agrees(question):
        console.notice("nothing was changed")
        raise typer.Exit(FOUND)
    report = actions.remove(corpus, purge)
    if as_json:
        console.write_json(report)
    elif report.is_purged:
        console.notice(
            f"{corpus}: {counted(report.rows, 'row')} and {counted(report.points, 'point')} deleted", "green"
        )
    else:
        console.notice(f"{corpus} is paused; its rows are kept", "green")


def agrees(question: str) -> bool:
    """Ask on the terminal.

    Raises:
        CommandError: nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise CommandError("this has to be confirmed, and nobody can be asked here", "", "say --yes", USAGE)
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise typer.Exit(INTERRUPTED) from None

"""Commands about the lake as a whole: reshard, backup, restore, upgrade. What they do is in ``apps.actions``."""

from typing import Annotated

import typer

from apps import actions
from apps.commands.change import agrees
from apps.commands.options import Json, Yes
from apps.errors import FOUND
from apps.terminal import care, console
from apps.terminal.meters import meter


def reshard(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Name of the corpus.")],
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, help="How many, a power of two; by default what its files ask for.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for runs that are at work.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Change the number of shards of a corpus.

    Rows and points move as they are: nothing is parsed or embedded, and searches go on. Cut off at any point, the next
    run goes on with it.
    """
    console.show(actions.reshard(corpus, shards, wait), as_json, care.resharded)


def backup(
    destination: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A new or empty folder, or that of an earlier backup.")
    ],
    tables: Annotated[bool, typer.Option("--tables", help="All tables, not only those that people wrote.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The copied bytes of files.")] = False,
    inbox: Annotated[bool, typer.Option("--inbox", help="The files that lie in the inbox.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Tables, raw bytes and inbox.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read what an earlier backup wrote, and replace what is damaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy the lake into a folder, as it is at one moment; runs go on.

    What people wrote (human/, sources.yaml, golden sets) is always in it. Only what is not there yet is copied. Index and caches
    are made anew from the tables, without a model call. Ends with 1 when a file could not be read.
    """
    chosen = {"tables": tables or everything, "raw": raw or everything, "inbox": inbox or everything}
    with meter() as progress:
        report = actions.backup(
            destination, frozenset(part for part, is_in in chosen.items() if is_in), verify, progress
        )
    console.show(report, as_json, care.backed_up)
    if report.missing:
        raise typer.Exit(FOUND)


def restore(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder of a backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of the lake that is there.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a backup back.

    It is read and checked whole before anything is written. A lake that is there is replaced only with --replace, and
    stays until the other one is whole. Files in the inbox are added, never overwritten.
    """
    if replace and not yes and not agrees("Replace the lake that is there by the backup?"):
        console.notice("nothing was changed")
        raise typer.Exit(FOUND)
    with meter() as progress:
        report = actions.restore(source, replace, progress)
    console.show(report, as_json, care.restored)


def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a lake of an older Cortex to the format of this one.

    A snapshot is taken first, by links, in data/snapshots; `cortex restore` goes back to it. Cut off at any point, the
    same command goes on.
    """
    console.show(actions.upgrade(dry_run), as_json, care.upgraded)

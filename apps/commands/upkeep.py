"""Commands that keep the house in order: verify, maintain, models, version."""

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Corpora, Json
from apps.errors import FOUND
from apps.terminal import care, console, tables
from apps.terminal.meters import meter

DISTRIBUTION = "cortex-lakehouse"
ENGINES = ("dagster", "deltalake", "polars", "qdrant-edge-py", "torch")

models = typer.Typer(help="See and fetch models.", no_args_is_help=True)


def verify(
    corpora: Corpora = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make tables and indexes agree with their sources.")] = False,
    as_json: Json = False,
) -> None:
    """Compare tables and indexes with their sources.

    Every table with what it is made from, every index with Delta. Ends with 1 when something disagrees and was not
    repaired, or when a run has a shard, which is then not checked.
    """
    report = actions.verify(corpora, repair)
    console.show(report, as_json, tables.verify_report)
    if not report.is_sound or report.busy:
        raise typer.Exit(FOUND)


def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long in all for runs that are at work.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Compact, vacuum and sweep the lake.

    Vacuum spares what is younger than CORTEX_RETENTION; a sweep takes what nothing refers to; what ops/ says of the past
    goes after CORTEX_HISTORY. Runs get in between the steps. Ends with 1 when a step was left out because runs were at work.
    """
    report = actions.maintain(dry_run, wait)
    console.show(report, as_json, care.maintain_report)
    if report.busy:
        raise typer.Exit(FOUND)


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """Show the configured models and whether their files are here."""
    console.show(reader.models(), as_json, tables.models)


@models.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model, as its hub calls it.")],
    as_json: Json = False,
) -> None:
    """Download a model and record its digests. The only command that needs a network."""
    with meter() as progress:
        model = actions.pull_model(name, progress)
    console.show([model], as_json, tables.models)


def version(as_json: Json = False) -> None:
    """Print the versions of Cortex and its engines."""
    versions = {"cortex": installed_version(DISTRIBUTION)} | {name: installed_version(name) for name in ENGINES}
    if as_json:
        console.write_json(versions)
    else:
        console.out().print(tables.grid(("part", "version"), versions.items()))

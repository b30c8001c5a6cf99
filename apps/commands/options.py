"""Options and arguments that several commands share, declared once."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; everything else goes to stderr.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Corpora = Annotated[
    list[str] | None, typer.Argument(metavar="[CORPUS]...", help="Names of corpora; without any, all of them.")
]

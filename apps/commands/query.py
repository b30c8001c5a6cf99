"""The command ``cortex sql``: questions about the lake's tables. What it does is in ``apps.reader``."""

from typing import Annotated

import typer

from apps import reader
from apps.commands.options import Json
from apps.errors import USAGE, CommandError
from apps.terminal import console, tables


def sql(
    query: Annotated[
        str | None, typer.Argument(metavar="[QUERY]", help="One statement that reads, such as SELECT.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="How many rows, 1 to 100000.")] = 1000,
    list_tables: Annotated[bool, typer.Option("--tables", help="List the tables and their columns.")] = False,
    as_json: Json = False,
) -> None:
    """Ask the lake's tables in SQL; write nothing.

    SELECT, WITH, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN, as DuckDB understands them. Ends a query after ten seconds.
    """
    if list_tables:
        console.show(reader.sql_tables(), as_json, tables.sql_tables)
        return
    if not query:
        raise CommandError("there is no query", "", 'ask something: cortex sql "SELECT * FROM ops.runs"', USAGE)
    result = reader.sql(query, limit)
    console.show(result, as_json, tables.sql_result)
    if result.is_cut and not as_json:
        console.notice(
            f"cut at {len(result.rows)} rows or at long values; raise --limit, or narrow the query", "yellow"
        )

"""Write docs/cli.md and docs/tables.md from the code they describe: ``make docs``. A test compares them with what this makes.

Pages written by hand stand beside this file and are not touched.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_assets.tables import TableSpec

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
NOTE = "<!-- Written by `make docs`. Edit the code it describes instead. -->\n\n"


def cli_page() -> str:
    """Every command with its arguments and options, as ``--help`` shows them."""
    import typer
    from typer.cli import get_docs_for_click

    from apps.command_line import app

    command = typer.main.get_command(app)
    page = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="cortex"), name="cortex")
    return NOTE + page.rstrip() + "\n"


def tables_page() -> str:
    """Every table with its kind, key and columns, in the order the rooms stand in the house."""
    from cortex_assets.tables import TableSpec

    seen: dict[str, TableSpec] = {}
    for module in _schema_modules():
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, TableSpec):
                seen.setdefault(value.name, value)
    ledger = importlib.import_module("cortex_assets.ops.schema").ledger_table("<asset>")
    seen.setdefault(ledger.name, ledger)
    sections = "\n".join(_section(seen[name]) for name in sorted(seen, key=_order))
    return NOTE + "# Tables\n\nTypes are Polars'; every time is UTC.\n\n" + sections


def _schema_modules() -> Iterator[str]:
    for path in sorted((ROOT / "cortex_assets").glob("*/schema.py")):
        yield f"cortex_assets.{path.parent.name}.schema"


def _order(name: str) -> tuple[int, str]:
    layers = ("human", "bronze", "silver", "gold", "ops")
    layer = name.split("/")[0]
    return (layers.index(layer) if layer in layers else len(layers), name)


def _section(table: "TableSpec") -> str:
    facts = [f"*{table.kind.value}*, key {', '.join(f'`{column}`' for column in table.key)}"]
    if table.partition_by:
        facts.append(f"partitioned by {', '.join(f'`{column}`' for column in table.partition_by)}")
    if table.unhashed:
        facts.append(f"not in `row_hash`: {', '.join(f'`{column}`' for column in table.unhashed)}")
    rows = [
        f"| `{name}` | {column.dtype} | {'yes' if column.nullable else ''} | {(column.metadata or {}).get('doc', '')} |"
        for name, column in table.schema.columns().items()
    ]
    doc = (table.schema.__doc__ or "").strip().split("\n")[0]
    head = f"## {table.name}\n\n{doc}\n\n{'; '.join(facts)}.\n\n| column | type | null | meaning |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


PAGES = {"cli.md": cli_page, "tables.md": tables_page}


def main() -> None:
    """Write the pages."""
    sys.path.insert(0, str(ROOT))
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()

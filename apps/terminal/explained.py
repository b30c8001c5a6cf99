"""One file, from the disk to its chunks, on a terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from apps.reports import DocumentExplained, FileExplained
from apps.terminal.console import safe
from apps.terminal.tables import grid
from apps.terminal.units import whole

_STYLES = {"ok": "green", "new": "yellow", "partial": "yellow", "empty": "yellow", "ignored": "yellow"}


def file_report(report: FileExplained) -> RenderableType:
    """All that is known of a file."""
    parts: list[RenderableType] = [_head(f"{report.corpus}/{report.path}", report.status, report.reason)]
    parts.append(Padding(_facts(report.facts), (0, 0, 0, 2)))
    parts += [safe(wait, "yellow") for wait in report.waits]
    parts += [_document(document) for document in report.documents]
    more = report.document_count - len(report.documents)
    if more > 0:
        parts.append(Text(f"and {whole(more)} more documents: --limit, or --member to choose", style="dim"))
    return Group(*parts)


def _head(name: str, status: str, reason: str) -> Text:
    line = safe(name, "bold") + Text("  ") + safe(status, _STYLES.get(status, "red"))
    return line + Text(": ") + safe(reason) if reason else line


def _facts(facts: Mapping[str, str]) -> RenderableType:
    width = max(map(len, facts), default=0)
    return Group(*(Text(f"{name:<{width}}  ", style="dim") + safe(value) for name, value in facts.items()))


def _document(document: DocumentExplained) -> RenderableType:
    """One document with its first chunks."""
    name = document.inner or "document"
    parts: list[RenderableType] = [
        Text(),
        _head(f"{name} ({document.kind}, parser {document.parser})", document.status, document.reason),
        Padding(_facts(document.facts), (0, 0, 0, 2)),
    ]
    if document.chunks:
        rows = [
            (str(one.ordinal), one.place, one.kind, one.tokens, "yes" if one.has_vector else "no", one.begins)
            for one in document.chunks
        ]
        parts.append(
            Padding(grid(("chunk", "place", "kind", "tokens", "vector", "begins"), rows, ("tokens",)), (0, 0, 0, 2))
        )
    more = document.chunk_count - len(document.chunks)
    if more > 0:
        parts.append(Text(f"  and {whole(more)} more chunks", style="dim"))
    return Group(*parts)

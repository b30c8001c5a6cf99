"""An answer on a terminal: sentences of the sources with marks, documents side by side, and the citations below.

Only texts of files and what ``hits`` draws; sentences are shown as they stand, their line breaks apart.
"""

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from apps.search_reports import AnswerReport, Hit, SearchResponse
from apps.terminal import hits
from apps.terminal.console import harmless, safe

STYLES = {"supported": "green", "weak": "yellow"}
NEAREST = 3
"""Passages that are shown where nothing answers."""
SIDE_BY_SIDE_FROM = 90
"""Columns of a terminal that is wide enough for two documents beside each other."""


def response(report: SearchResponse) -> RenderableType:
    """A whole answer; where nothing supports one, the nearest passages."""
    answer = report.answer
    if answer is None:
        return hits.response(report)
    parts: list[RenderableType] = [safe(note, "yellow") for note in report.notes]
    if answer.quotes:
        parts += [_judged(answer), Text(), _said(answer), Text(), *map(_cited, answer.quotes)]
    else:
        nearest = report.hits[:NEAREST]
        parts.append(Text("no support: nothing in the corpora answers this", style="bold red"))
        parts += [Text("\nnearest passages:\n", style="dim")] * bool(nearest)
        parts += [hits.draw_hit(hit) for hit in nearest]
    if answer.left_out:
        parts.append(Text(f"{answer.left_out} left out: the stored text does not bear them out", style="yellow"))
    if report.milliseconds:
        parts.append(hits.took(report))
    return Group(*parts)


def _judged(answer: AnswerReport) -> Text:
    head = f"{answer.verdict}, {answer.percent} sure", f"bold {STYLES.get(answer.support, 'red')}"
    return Text.assemble(head, (f"  by {answer.basis}", "dim"))


def _said(answer: AnswerReport) -> RenderableType:
    if len(answer.documents) == 1:
        return Text(" ").join(map(_sentence, answer.quotes))
    return _SideBySide(answer)


class _SideBySide:
    """The evidence of several documents: beside each other where there is room, else one below the other."""

    def __init__(self, answer: AnswerReport) -> None:
        self._documents = answer.documents

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = 2 if console.is_terminal and options.max_width >= SIDE_BY_SIDE_FROM else 1
        cells = [Group(_head(quotes), *map(_sentence, quotes)) for quotes in self._documents]
        if columns == 1:
            for number, cell in enumerate(cells):
                yield Group(Text(), cell) if number else cell
            return
        table = Table.grid(padding=(0, 4, 1, 0), expand=True)
        for _ in range(columns):
            table.add_column(ratio=1)
        for first in range(0, len(cells), columns):
            table.add_row(*cells[first : first + columns])
        yield table


def _head(quotes: tuple[Hit, ...]) -> Text:
    hit = quotes[0]
    path = f"{hit.corpus}/{hit.path}" + (f"!{hit.inner}" if hit.inner else "")
    return safe(hit.title or path, "bold cyan")


def _sentence(quote: Hit) -> Text:
    """The sentences with what matched stressed, and their mark; line breaks of prose are spaces."""
    shown = harmless(quote.snippet)
    text = Text(shown.replace("\n", " ") if quote.is_flowing else shown, style="default")
    for start, end in quote.highlights:
        text.stylize("bold yellow", start, end)
    return text + Text(f" [{quote.rank}]", style="bold")


def _cited(quote: Hit) -> Text:
    mark, style = hits.CITATIONS.get(quote.citation, hits.CITATIONS["unverified"])
    cited = Text.assemble((f"[{quote.rank}] ", "bold"), safe(hits.place(quote), "bold cyan"))
    if quote.title:
        cited += Text("  ") + safe(quote.title)
    return cited + Text("  ") + Text(mark, style=style)

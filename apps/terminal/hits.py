"""Search results on a terminal: rank, score, place, title, citation, snippet with what matched."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from apps.search_reports import Hit, SearchResponse
from apps.terminal.console import harmless, safe

CITATIONS = {"exact": ("✓ exact", "green"), "fuzzy": ("≈ fuzzy", "yellow"), "unverified": ("? unverified", "red")}
MOST_LINES = 6
MOST_PLACES = 3


def place(hit: Hit) -> str:
    """Where a hit stands: ``notes/gauge.md:12-18``, a page, a slide, cells; ``a.zip!/b.md:3`` for a member."""
    path = f"{hit.corpus}/{hit.path}" + (f"!{hit.inner}" if hit.inner else "")
    if hit.start_page is not None:
        last = hit.end_page or hit.start_page
        return f"{path} page {hit.start_page}" if last == hit.start_page else f"{path} pages {hit.start_page}-{last}"
    if hit.place and not hit.place.startswith("§"):
        return f"{path} {hit.place}"
    if hit.end_line == hit.start_line:
        return f"{path}:{hit.start_line}"
    return f"{path}:{hit.start_line}-{hit.end_line}"


def snippet(hit: Hit) -> Text:
    """The snippet, at most six lines, with its highlights; control characters are made visible."""
    text = Text(harmless(hit.snippet), style="default")
    for start, end in hit.highlights:
        text.stylize("bold yellow", start, end)
    lines = text.split("\n", allow_blank=False)
    shown = Text("\n").join(lines[:MOST_LINES])
    return shown + Text(" …") if len(lines) > MOST_LINES else shown


def also_in(hit: Hit) -> Text:
    """Where else the same text stands: the first places, and how many more."""
    more = len(hit.also_in) - MOST_PLACES
    rest = f" and {more} more" if more > 0 else ""
    return safe(f"also in {', '.join(hit.also_in[:MOST_PLACES])}{rest}", "dim")


def draw_hit(hit: Hit) -> RenderableType:
    """One hit: a line that says where, then the snippet."""
    mark, style = CITATIONS.get(hit.citation, CITATIONS["unverified"])
    head = Text(f"{hit.rank:>2}  {hit.score:.4f}  ")
    head += safe(place(hit), "bold cyan")
    if hit.symbol:
        head += Text("  ") + safe(hit.symbol, "magenta")
    if hit.title:
        head += Text("  ") + safe(hit.title)
    head += Text("  ") + Text(mark, style=style)
    below: list[RenderableType] = [around(hit) if hit.around else snippet(hit)]
    below += [also_in(hit)] if hit.also_in else []
    below += [safe(line, "dim") for line in hit.reasons.told()] if hit.reasons else []
    padded = [Padding(one, (0, 0, int(one is below[-1]), 4), expand=False) for one in below]
    return Group(head, *padded)


def around(hit: Hit) -> Text:
    """The section that a hit stands in, with its lines."""
    if hit.around is None:
        return Text()
    told = f"lines {hit.around.start_line}-{hit.around.end_line}"
    title = f", {hit.around.title}" if hit.around.title else ""
    return safe(told + title, "dim") + Text("\n") + Text(harmless(hit.around.text), style="default")


def response(report: SearchResponse) -> RenderableType:
    """A whole answer."""
    parts: list[RenderableType] = [safe(note, "yellow") for note in report.notes]
    if not report.hits:
        parts.append(Text("nothing found; `cortex status` says what is indexed"))
    parts += [draw_hit(hit) for hit in report.hits]
    if report.milliseconds:
        parts.append(took(report))
    return Group(*parts)


def took(report: SearchResponse) -> Text:
    """What took how long, in one line."""
    return Text(", ".join(f"{name} {value:.0f} ms" for name, value in report.milliseconds.items()), style="dim")

"""HTML of the pages: every text that comes from a file, a path or a question is escaped here. Pure; knows no Streamlit.

Colours are laid over what is there, so that both themes carry them; a colour never says anything alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from apps.app_pages.wording import BUSY, count, tone
from apps.search_reports import AnswerReport, Hit
from apps.views import Lineage, LineageNode, SourceLine

STYLE = """
<style>
.cx-tone-good{--cx:22,163,74}.cx-tone-busy{--cx:14,165,233}.cx-tone-doubtful{--cx:217,119,6}
.cx-tone-bad{--cx:220,38,38}.cx-tone-calm{--cx:120,135,140}
.cx-badge{display:inline-block;padding:.05rem .5rem;border-radius:1rem;font-size:.78rem;line-height:1.45;white-space:nowrap;
  background:rgba(var(--cx),.16);border:1px solid rgba(var(--cx),.5);color:inherit}
.cx-badge::before{content:"";display:inline-block;width:.5rem;height:.5rem;border-radius:50%;margin-right:.4rem;
  background:rgb(var(--cx))}
.cx-scroll{overflow-x:auto;max-width:100%}
.cx-table{border-collapse:collapse;width:100%;font-size:.9rem}
.cx-table caption{text-align:left;font-size:.82rem;opacity:.75;padding-bottom:.3rem;caption-side:top}
.cx-table th{font-weight:600;text-align:left;font-size:.8rem;opacity:.75;white-space:nowrap}
.cx-table th,.cx-table td{padding:.38rem .9rem .38rem 0;border-bottom:1px solid rgba(128,140,145,.22);vertical-align:top}
.cx-table tr:last-child td{border-bottom:none}
.cx-table .cx-number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.cx-table .cx-number+:not(.cx-number){padding-left:.9rem}
.cx-table .cx-time{white-space:nowrap}
.cx-table td.cx-code{min-width:11rem}
.cx-table .cx-code{font-family:"Source Code Pro",monospace;font-size:.82rem;overflow-wrap:anywhere}
.cx-tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.8rem}
.cx-tile{border:1px solid rgba(128,140,145,.3);border-radius:.5rem;padding:.7rem .95rem;display:flex;flex-direction:column}
.cx-tile b{font-size:1.65rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.cx-quiet{opacity:.72;font-size:.88rem}
.cx-hit{padding:.1rem 0 .2rem}
.cx-hit-head{display:flex;flex-wrap:wrap;gap:.25rem .7rem;align-items:baseline}
.cx-hit-title{font-weight:600;font-size:1.05rem;overflow-wrap:anywhere}
.cx-hit-rank{opacity:.6;font-variant-numeric:tabular-nums}
.cx-hit-place{font-family:"Source Code Pro",monospace;font-size:.82rem;opacity:.85;overflow-wrap:anywhere}
.cx-hit-text{margin:.45rem 0 .2rem;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5;
  max-height:16rem;overflow-y:auto}
.cx-hit-code{font-family:"Source Code Pro",monospace;font-size:.84rem}
.cx-score{display:inline-flex;align-items:center;gap:.4rem;font-size:.82rem;opacity:.85;font-variant-numeric:tabular-nums}
.cx-score i{display:inline-block;width:4rem;height:.35rem;border-radius:1rem;background:rgba(128,140,145,.3);overflow:hidden}
.cx-score b{display:block;height:100%;border-radius:1rem;background:rgb(20,160,145)}
.cx-answer{margin:.35rem 0 .2rem;line-height:1.6;overflow-wrap:anywhere;white-space:pre-wrap}
.cx-answer sup{font-weight:600;opacity:.8}
.cx-cited{display:flex;flex-wrap:wrap;gap:.25rem .6rem;align-items:baseline;padding-top:.15rem}
mark.cx-mark{background:rgba(250,190,20,.38);color:inherit;border-radius:.2rem;padding:0 .08rem}
.cx-lines{font-family:"Source Code Pro",monospace;font-size:.84rem;line-height:1.5;border:1px solid rgba(128,140,145,.28);
  border-radius:.5rem;overflow:auto;max-height:62vh;padding:.4rem 0}
.cx-line{display:flex}
.cx-line-number{flex:none;width:4rem;padding-right:.8rem;text-align:right;opacity:.45;user-select:none;
  font-variant-numeric:tabular-nums}
.cx-line-text{white-space:pre-wrap;overflow-wrap:anywhere;padding-right:.8rem;min-width:0;flex:1}
.cx-chunk{background:rgba(20,160,145,.14)}
.cx-gap{padding:.1rem 0 .1rem 4rem;opacity:.5}
.cx-flow{display:flex;gap:1.9rem;margin:.6rem 0 .2rem}
.cx-node{flex:1 1 0;min-width:0;display:flex;flex-direction:column;position:relative;padding:.55rem .8rem;
  border:1px solid rgba(128,140,145,.35);border-radius:.5rem;background:rgba(128,140,145,.07)}
.cx-node-busy{border-color:rgb(14,165,233);box-shadow:0 0 0 1px rgb(14,165,233)}
.cx-node+.cx-node::before{content:"→";position:absolute;left:-1.5rem;top:50%;transform:translateY(-50%);opacity:.55}
.cx-node-count{font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
.cx-node-told{font-size:.8rem;min-height:1.3rem;opacity:.9}
@media (max-width:700px){.cx-flow{flex-direction:column;gap:1.4rem}
  .cx-node+.cx-node::before{content:"↓";left:1rem;top:-.75rem}
  .cx-node{flex-direction:row;gap:.8rem;align-items:baseline}.cx-node-told{min-height:0}}
@media (prefers-reduced-motion: no-preference){.cx-tone-busy.cx-badge::before{animation:cx-pulse 1.6s infinite}
  @keyframes cx-pulse{50%{opacity:.25}}}
</style>
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an HTML table: ``kind`` is ``text``, ``time``, ``number``, ``code`` or ``badge``."""

    title: str
    kind: str = "text"


def badge(text: str, tone_name: str | None = None) -> str:
    """A state in a coloured pill."""
    return f'<span class="cx-badge cx-tone-{tone_name or tone(text)}">{escape(text)}</span>'


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """A small table; a cell is any value, or (value, what it is said to be when pointed at)."""
    head = "".join(_head(column) for column in columns)
    body = "".join(
        "<tr>" + "".join(_cell(column, cell) for column, cell in zip(columns, row, strict=True)) + "</tr>"
        for row in rows
    )
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="cx-scroll"><table class="cx-table">{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(column: Column) -> str:
    kind = "cx-number" if column.kind == "number" else ""
    return f'<th scope="col" class="{kind}">{escape(column.title)}</th>'


def _class(column: Column) -> str:
    return {"number": "cx-number", "code": "cx-code", "time": "cx-time"}.get(column.kind, "")


def _cell(column: Column, cell: object) -> str:
    value, hint = cell if isinstance(cell, tuple) else (cell, "")
    if isinstance(value, int) and not isinstance(value, bool):
        shown = count(value) if value else "·"
    else:
        shown = "" if value is None else str(value)
    inner = badge(shown) if column.kind == "badge" and shown else escape(shown)
    title = f' title="{escape(str(hint))}"' if hint else ""
    return f'<td class="{_class(column)}"{title}>{inner}</td>'


def tiles(figures: Sequence[tuple[str, str, str, str]]) -> str:
    """Figures side by side: what it is, how many, a word to it, and what is said when pointed at."""
    boxes = "".join(
        f'<div class="cx-tile" title="{escape(hint)}"><span class="cx-quiet">{escape(name)}</span>'
        f'<b>{escape(figure)}</b><span class="cx-quiet">{escape(word)}</span></div>'
        for name, figure, word, hint in figures
    )
    return f'<div class="cx-tiles">{boxes}</div>'


def marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """A text with some spans marked."""
    pieces, done = [], 0
    for start, end in sorted(spans):
        begin = max(start, done)
        if begin >= end:
            continue
        pieces += [escape(text[done:begin]), f'<mark class="cx-mark">{escape(text[begin:end])}</mark>']
        done = end
    return "".join(pieces) + escape(text[done:])


def place_of(hit: Hit) -> str:
    """Where a hit is, as people say it: ``notes/plan.md:3-9``, ``report.pdf page 2``."""
    path = f"{hit.corpus}/{hit.path}" + (f"!{hit.inner}" if hit.inner else "")
    if hit.start_page is not None:
        last = f"-{hit.end_page}" if hit.end_page not in (None, hit.start_page) else ""
        return f"{path} page {hit.start_page}{last}"
    if hit.place and not hit.place.startswith("§"):
        return f"{path} {hit.place}"
    last = f"-{hit.end_line}" if hit.end_line != hit.start_line else ""
    return f"{path}:{hit.start_line}{last}"


def hit_card(hit: Hit) -> str:
    """One result: title, place, verdict, score, and the snippet with what matched marked."""
    text_class = "cx-hit-text cx-hit-code" if hit.kind in ("code", "data") or hit.symbol else "cx-hit-text"
    symbol = f'<span class="cx-hit-place">{escape(hit.symbol)}</span>' if hit.symbol else ""
    also = f'<div class="cx-quiet">also in {escape(", ".join(hit.also_in[:5]))}</div>' if hit.also_in else ""
    width = max(2, min(100, round(100 * hit.score)))
    return (
        f'<article class="cx-hit"><div class="cx-hit-head"><span class="cx-hit-rank">{hit.rank}</span>'
        f'<span class="cx-hit-title">{escape(hit.title)}</span>{symbol}{badge(hit.citation)}'
        f'<span class="cx-score" title="score, comparable within this answer only"><i><b style="width:{width}%"></b></i>'
        f"{hit.score:.3f}</span></div>"
        f'<div class="cx-hit-place">{escape(place_of(hit))}</div>'
        f'<div class="{text_class}">{marked(hit.snippet, hit.highlights)}</div>{also}{_reasons(hit)}</article>'
    )


def _reasons(hit: Hit) -> str:
    """Why it ranks there, where that was asked for: the parts of the score as bars, then what each word gave."""
    if hit.reasons is None:
        return ""
    parts = (("meaning", hit.reasons.by_meaning), ("words", hit.reasons.by_words))
    bars = "".join(
        f'<span class="cx-score">{name}<i><b style="width:{max(0, min(100, round(100 * part)))}%"></b></i>{part:.3f}</span>'
        for name, part in parts
    )
    lines = "".join(f'<div class="cx-quiet">{escape(line)}</div>' for line in hit.reasons.told())
    return f'<div class="cx-hit-head">{bars}</div>{lines}'


def answer_head(answer: AnswerReport) -> str:
    """Whether the sources answer, and where they do how sure that is and what it rests on."""
    width = round(100 * answer.confidence)
    sure = (
        f'<span class="cx-score" title="chance that the sentences hold the answer"><i><b style="width:{width}%"></b></i>'
        f'{escape(answer.percent)} sure</span><span class="cx-quiet">by {escape(answer.basis)}</span>'
    )
    return f'<div class="cx-hit-head">{badge(answer.verdict)}{sure if answer.quotes else ""}</div>'


def evidence(quotes: Sequence[Hit]) -> str:
    """What one document says: its sentences with marks, and where each stands."""
    said = "".join(_quoted(quote) for quote in quotes)
    cited = "".join(
        f'<div class="cx-cited"><b>[{quote.rank}]</b><span class="cx-hit-place">{escape(place_of(quote))}</span>'
        f"{badge(quote.citation)}</div>"
        for quote in quotes
    )
    title = quotes[0].title or quotes[0].path
    return f'<article class="cx-hit"><div class="cx-hit-title">{escape(title)}</div>{said}{cited}</article>'


def _quoted(quote: Hit) -> str:
    kind = "cx-answer" if quote.is_flowing else "cx-answer cx-hit-code"
    text = quote.snippet.replace("\n", " ") if quote.is_flowing else quote.snippet
    return f'<div class="{kind}">{marked(text, quote.highlights)} <sup>[{quote.rank}]</sup></div>'


def source_lines(lines: Sequence[SourceLine], is_cut_above: bool, is_cut_below: bool) -> str:
    """A text with line numbers; the chunk's part is shaded, what was cited is marked."""
    above = '<div class="cx-gap">…</div>' if is_cut_above else ""
    below = '<div class="cx-gap">…</div>' if is_cut_below else ""
    body = "".join(_line(line) for line in lines)
    return (
        f'<div class="cx-lines" role="region" aria-label="text of the document" tabindex="0">{above}{body}{below}</div>'
    )


def _line(line: SourceLine) -> str:
    pieces, done = [], 0
    for start, end, is_quote in sorted(line.spans):
        inner = escape(line.text[start:end])
        marks = f'<mark class="cx-mark">{inner}</mark>' if is_quote else inner
        pieces += [escape(line.text[done:start]), f'<span class="cx-chunk">{marks}</span>']
        done = end
    text = "".join(pieces) + escape(line.text[done:])
    return f'<div class="cx-line"><span class="cx-line-number">{line.number}</span><span class="cx-line-text">{text}</span></div>'


def lineage_picture(lineage: Lineage) -> str:
    """The stages of a corpus from files to the index, one box each, with what they hold and what is at work."""
    return (
        f'<div class="cx-flow" role="list" aria-label="{escape(lineage.corpus)}: from files to the index">'
        f"{''.join(map(_box, lineage.nodes))}</div>"
    )


def _box(node: LineageNode) -> str:
    is_busy = node.state == "running"
    told = badge("at work", BUSY) if is_busy else f"{count(node.not_ok)} not ok" if node.not_ok else ""
    kind = "cx-node cx-node-busy" if is_busy else "cx-node"
    return (
        f'<div role="listitem" class="{kind}"><span class="cx-quiet">{escape(node.stage)}</span>'
        f'<span class="cx-node-count">{count(node.count)}</span><span class="cx-node-told">{told}</span></div>'
    )

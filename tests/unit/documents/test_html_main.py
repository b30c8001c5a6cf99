"""The main content of HTML pages that were marked by hand: word F1 of what the parser gives against the marks.

See ``tests/data/html_main/README.md`` for how the pages were made and marked.
"""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cortex_assets.documents.parsers.html import html_document

PAGES = Path(__file__).parents[2] / "data" / "html_main"
DATA = Path(__file__).parents[3].parent / "shared" / "data"
LEAST_MEAN = 0.93
# Pages of the shared data, marked by the first and last words of each stretch of main content.
REAL = {
    "demo_corpus/html/wiki_duck.html": [("Common name for many species of bird", "identification of US waterfowl")],
    "demo_corpus/html/html_rich_table_cells.html": [("Rich Table Cells in HTML", "")],
    "gap/readtime/samples/html.html": [("Want to add a feature", "")],
}
_SKIPPED = ("script", "style", "title", "noscript", "template")
_WORD = re.compile(r"\w+")


class _Marked(HTMLParser):
    """Visible text, all of it and that between ``<!--gold-->`` and ``<!--/gold-->``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.everything: list[str] = []
        self.gold: list[str] = []
        self._is_gold = False
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in _SKIPPED

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in _SKIPPED

    def handle_comment(self, data: str) -> None:
        if data in ("gold", "/gold"):
            self._is_gold = data == "gold"

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.everything.append(data)
            if self._is_gold:
                self.gold.append(data)


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def f1(found: str, gold: str) -> float:
    """Harmonic mean of precision and recall over words, each as often as it stands there."""
    left, right = words(found), words(gold)
    common = sum((left & right).values())
    return 2 * common / max(1, sum(left.values()) + sum(right.values()))


def marked(html: str) -> tuple[str, str]:
    """All visible text of a page, and its marked text."""
    reader = _Marked()
    reader.feed(html)
    return " ".join(" ".join(reader.everything).split()), " ".join(reader.gold)


def stretches(everything: str, marks: list[tuple[str, str]]) -> str:
    """The text from each first to each last words, both included; without last words to the end."""
    found = []
    for first, last in marks:
        start = everything.index(first)
        end = everything.index(last, start) + len(last) if last else len(everything)
        found.append(everything[start:end])
    return " ".join(found)


def pages() -> dict[str, tuple[str, str]]:
    """Name to HTML and gold text."""
    made = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.html"))}
    found = {name: (html, marked(html)[1]) for name, html in made.items()}
    for name, marks in REAL.items():
        if (DATA / name).exists():
            html = (DATA / name).read_text(encoding="utf-8")
            found[name] = html, stretches(marked(html)[0], marks)
    return found


def test_mean_f1_over_hand_marked_pages() -> None:
    scores = {name: f1(html_document(html).text, gold) for name, (html, gold) in pages().items()}
    mean = sum(scores.values()) / len(scores)
    print("\n".join(f"{score:.3f} {name}" for name, score in scores.items()), f"\n{mean:.3f} mean")
    assert len([name for name in scores if name not in REAL]) >= 8
    assert mean >= LEAST_MEAN, scores


@pytest.mark.parametrize(("found", "gold", "score"), [("a b", "a b", 1.0), ("a b c d", "a b", 2 / 3), ("", "a", 0.0)])
def test_f1_counts_words(found: str, gold: str, score: float) -> None:
    assert f1(found, gold) == pytest.approx(score)

"""LaTeX, BibTeX, AsciiDoc, Org, MediaWiki, Textile and INI: verbatim, with headings, code and tables at their places."""

import io
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import media_type
from cortex_assets.tables import Status

SOURCES = {
    "paper.tex": r"""\documentclass{article}
\title{On \emph{Bridges} \& Rivers}
% \section{Not this}
\begin{document}
\part{First}
\chapter*{Intro~words}
\section[short]{A longer title with {braces}}
Text with \url{https://a.example/x} and 5\% of it. \input{other}
\begin{lstlisting}[language=Python, caption=x]
\section{not a heading}
print(1) % kept
\end{lstlisting}
\subsection{Tables}
\begin{tabular}{ll}
name & size \\ \hline
a & 1 \\
b & 2 \\
\end{tabular}
\subsubsection{Deep} \paragraph{Deeper} words
\begin{verbatim}
raw
\end{verbatim}
""",
    "refs.bib": """@comment{ignored, x}
@string{p = "Press"}
@Book{knuth84,
  author = {Donald Knuth},
  title = {The {\\TeX}book},
}
@article{ada, journal = "J", title = "On the engine"}
@misc{untitled, year = 1999}
""",
    "guide.adoc": """= The Guide
Ada

== First steps

Words and https://b.example/y[a link].

[source,python]
----
== no heading
print(1)
----

[options="header"]
|===
| a | b
| 1 | 2
|===

=== Deeper

....
literal
....

Old style
---------

////
== a comment
////
""",
    "notes.org": """#+TITLE: My notes
* TODO [#A] Write it down :work:home:
Words [[https://c.example/z][a link]].
** Sub heading
#+BEGIN_SRC python :results output
* no heading
print(1)
#+END_SRC
| a | b |
|---+---|
| 1 | 2 |
*bold text* is no heading
*** Third
""",
    "page.wiki": """Intro with [[Other page|a link]].
== Heading one ==
{| class="wikitable"
! a !! b
|-
| 1 || 2
|}
=== Deeper ===
<syntaxhighlight lang="python">
== no heading ==
</syntaxhighlight>
== Last ==
""",
    "page.textile": """h1. Title here

Words with "a link":https://d.example/w here.

|_. a |_. b |
| 1 | 2 |

h2(class). Code

bc. print(1)
print(2)

h3. After
""",
    "set.ini": "; c\nx = 1\n[one]\na = 2\n [two.sub] ; note\nb = 3\n",
}
HEADINGS = {
    "paper.tex": "1 First, 2 Intro words, 3 A longer title with braces, 4 Tables, 5 Deep, 6 Deeper",
    "refs.bib": "1 knuth84: The TeXbook, 1 ada: On the engine, 1 untitled",
    "guide.adoc": "1 The Guide, 2 First steps, 3 Deeper, 2 Old style",
    "notes.org": "1 Write it down, 2 Sub heading, 3 Third",
    "page.wiki": "2 Heading one, 3 Deeper, 2 Last",
    "page.textile": "1 Title here, 2 Code, 3 After",
    "set.ini": "1 one, 1 two.sub",
}
TITLES = {
    "paper.tex": "On Bridges & Rivers",
    "guide.adoc": "The Guide",
    "notes.org": "My notes",
    "page.wiki": "Heading one",
}
BLOCKS = {
    "paper.tex": [("code", "python"), ("table", None), ("code", None)],
    "refs.bib": [],
    "guide.adoc": [("code", "python"), ("table", None), ("code", None), ("code", None)],
    "notes.org": [("code", "python"), ("table", None)],
    "page.wiki": [("table", None), ("code", "python")],
    "page.textile": [("table", None), ("code", None)],
    "set.ini": [],
}


def parsed(text: str, name: str) -> ParsedDocument:
    raw = text.encode()
    media = media_type(raw, b"", name, len(raw))
    assert media != "text/plain"
    (document,) = parser_for(media).parser(ParseInput(io.BytesIO(raw), len(raw), name, media))
    assert isinstance(document, ParsedDocument)
    return document


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name", SOURCES)
def test_structure(name: str, newline: str) -> None:
    text = SOURCES[name].replace("\n", newline)
    document = parsed(text, name)
    assert (document.text, document.status) == (text, Status.OK)
    assert ", ".join(f"{h.level} {h.title}" for h in document.structure.headings) == HEADINGS[name]
    assert [(block.kind, block.language) for block in document.structure.blocks] == BLOCKS[name]
    assert document.title == TITLES.get(name, document.title)
    for heading in document.structure.headings:
        assert heading.start == 0 or text[heading.start - 1] == "\n"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("paper.tex", "\\begin{tabular}{ll}\nname & size \\\\ \\hline\n"),
        ("guide.adoc", '[options="header"]\n|===\n| a | b\n'),
        ("notes.org", "| a | b |\n|---+---|\n"),
        ("page.wiki", '{| class="wikitable"\n! a !! b\n'),
        ("page.textile", "|_. a |_. b |\n"),
    ],
)
def test_tables_have_their_head(name: str, head: str) -> None:
    document = parsed(SOURCES[name], name)
    table = next(block for block in document.structure.blocks if block.kind == "table")
    assert document.text[table.start : table.head_end] == head
    assert "2" in document.text[table.head_end : table.end]


def test_links_are_noted() -> None:
    for name, link in {"paper.tex": "https://a.example/x", "guide.adoc": "https://b.example/y", "page.wiki": "Other page",
                       "notes.org": "https://c.example/z", "page.textile": "https://d.example/w"}.items():  # fmt: skip
        assert link in parsed(SOURCES[name], name).structure.links


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("set.ini", "refs.bib")])
def test_a_block_that_never_closes_ends_with_the_file(name: str) -> None:
    opener = {"paper.tex": "\\begin{verbatim}\n", "guide.adoc": "----\n", "notes.org": "#+begin_src\n", "page.wiki": "<pre>\n",
              "page.textile": "bc.. "}[name]  # fmt: skip
    text = f"words\n\n{opener}code\nmore\n"
    (block,) = parsed(text, name).structure.blocks
    assert text[block.start : block.end].rstrip().endswith("more")


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(SOURCES)), low=st.integers(0, 600), high=st.integers(0, 600), noise=st.text(max_size=20)
)
def test_any_damage_keeps_the_text_and_sound_places(name: str, low: int, high: int, noise: str) -> None:
    source = SOURCES[name]
    text = (source[:low] + noise + source[high:]).encode("utf-8", "replace").decode()
    raw = text.encode()
    media = media_type(source.encode(), b"", name, len(source))
    (document,) = parser_for(media).parser(ParseInput(io.BytesIO(raw), len(raw), name, media))
    assert isinstance(document, ParsedDocument)
    if document.status is Status.UNSUPPORTED:
        return
    assert document.text == text.removeprefix("\ufeff")
    for left, right in pairwise(document.structure.blocks):
        assert left.end <= right.start
    for block in document.structure.blocks:
        assert block.start < block.end <= len(text)
        assert block.head_end is None or block.start < block.head_end <= block.end
    for heading in document.structure.headings:
        assert 1 <= heading.level <= 6 and heading.title


@pytest.mark.parametrize("line", ["\\begin{verbatim}\n", "\\section{a\n", "[a]\n", "{|\n", "<pre>\n", "|===\n", "| a |\n", "bc. x\n",
                                  "@a{b,\n", "* \n", "= a\n", "----\n", "a" * 50, "\\begin{tabular}\n", "{", "\\"])  # fmt: skip
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_repetition_costs_no_more_than_its_length(name: str, line: str) -> None:
    text = line * (200_000 // len(line))
    started = time.perf_counter()
    parsed(text, name)
    assert time.perf_counter() - started < 3


def test_a_binary_file_is_unsupported(parse: Any) -> None:
    for media in ("text/x-tex", "text/x-org", "text/x-ini"):
        assert parse(bytes(range(256)) * 8, media)[0].status is Status.UNSUPPORTED

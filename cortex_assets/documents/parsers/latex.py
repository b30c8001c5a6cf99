r"""LaTeX and BibTeX. The text is the decoded file, verbatim: commands and comments are kept, nothing is expanded.

Headings are the sectioning commands, blocks the environments that hold code or tables. ``\input`` is not followed: the
files it names are documents of their own.
"""

import re
from collections.abc import Iterator

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.spans import blocks_of, headings_of, line_end, line_start, links_of, outside
from cortex_assets.documents.verbatim import Analysis, verbatim

_LEVELS = {
    "part": 1,
    "chapter": 2,
    "section": 3,
    "subsection": 4,
    "subsubsection": 5,
    "paragraph": 6,
    "subparagraph": 6,
}
_BRACES = r"\{((?:[^{}\\]|\\.|\{(?:[^{}\\]|\\.|\{(?:[^{}\\]|\\.)*\})*\})*)\}"
_BEFORE = r"^(?:[^%\\\n]|\\.)*?"
_SECTION = re.compile(rf"\\({'|'.join(_LEVELS)})\*?[ \t]*(?:\[[^\]\n]*\])?[ \t]*{_BRACES}")
_COMMENT = re.compile(r"(?:[^%\\\n]|\\.)*%")
_TITLE = re.compile(rf"{_BEFORE}\\title[ \t]*(?:\[[^\]\n]*\])?[ \t]*{_BRACES}", re.MULTILINE)
_CODE = ("verbatim", "Verbatim", "lstlisting", "minted", "alltt", "comment", "filecontents")
_TABLES = ("tabular", "tabularx", "tabulary", "longtable", "tabu", "array", "supertabular")
_BEGIN = re.compile(rf"{_BEFORE}\\begin[ \t]*\{{((?:{'|'.join(_CODE + _TABLES)})\*?)\}}", re.MULTILINE)
_LANGUAGE = re.compile(r"(?:\[[^\]]*?\blanguage=\{?(?:\[[^\]]*\])?([\w+#]+)|(?:\[[^\]]*\])?\{([\w+#-]+)\})")
_HEAD_RULE = re.compile(r"\\\\(?:\[[^\]]*\])?[ \t]*(?:\n[ \t]*)?\\(?:hline|midrule|endhead|toprule)\b[^\n]*\n")
_LINK = re.compile(r"\\(?:url|href)\{([^{}\s]{1,2000})\}")
_COMMAND = re.compile(r"\\(?:LaTeX|TeX|BibTeX)\b|\\([A-Za-z]+)\*?|\\(.)|[{}]|~", re.DOTALL)
_FIRST_LINE_COMMENT = re.compile(r"(?<!\\)%[^\n]*\n[ \t]*")
_ENTRY = re.compile(r"^[ \t]*@[ \t]*(\w+)[ \t]*[{(][ \t]*([^,\s{}()=\"]{1,200})[ \t]*,", re.MULTILINE)
_FIELD = re.compile(rf"\btitle[ \t]*=[ \t]*(?:{_BRACES}|\"([^\"]{{0,1000}})\")", re.IGNORECASE)
_NO_ENTRIES = frozenset({"comment", "string", "preamble"})


def parse_latex(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse LaTeX: sectioning commands are headings, verbatim and listing environments code, tabular ones tables."""
    return verbatim(source, "text", lambda text, is_whole: latex_analysis(text))


def parse_bibtex(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse BibTeX: each entry is a heading, its key and its title."""
    return verbatim(source, "text", lambda text, is_whole: bibtex_analysis(text))


def latex_analysis(text: str) -> Analysis:
    """Structure of one part of a LaTeX file."""
    blocks = blocks_of(text, _BEGIN, lambda match: _environment(text, match))
    headings = headings_of(text, _SECTION, blocks, _heading)
    stated = next((match for match in _TITLE.finditer(text) if outside(blocks, match.start())), None)
    title = plain(stated[1]) if stated else ""
    return Analysis(
        title or (headings[0].title if headings else ""),
        Structure(tuple(headings), (), tuple(blocks), links_of(text, _LINK)),
    )


def _heading(match: re.Match[str]) -> tuple[int, str]:
    """Level and title of a sectioning command; no title where it is in a comment."""
    is_comment = _COMMENT.match(match.string, line_start(match.string, match.start()), match.start()) is not None
    return _LEVELS[match[1]], "" if is_comment else plain(match[2])


def bibtex_analysis(text: str) -> Analysis:
    """Structure of one part of a BibTeX file."""
    entries = [entry for entry in _ENTRY.finditer(text) if entry[1].lower() not in _NO_ENTRIES]
    headings: list[Heading] = []
    for number, entry in enumerate(entries):
        limit = entries[number + 1].start() if number + 1 < len(entries) else len(text)
        field = _FIELD.search(text, entry.end(), limit)
        title = plain(field[1] or field[2] or "") if field else ""
        headings.append(
            Heading(1, f"{entry[2]}: {title}"[:300] if title else entry[2], line_start(text, entry.start()))
        )
    return Analysis(structure=Structure(tuple(headings)))


def plain(words: str) -> str:
    r"""A title without commands and braces: ``\textbf{A} \& B`` is ``A & B``."""

    def read(match: re.Match[str]) -> str:
        if match[0] == "~":
            return " "
        if match[2]:
            return " " if match[2] in "\\ ,;" else "" if match[2] in "'`^\"=.-/!@" else match[2]
        return match[0][1:] if match[1] is None and match[0].startswith("\\") else ""

    return " ".join(_COMMAND.sub(read, _FIRST_LINE_COMMENT.sub("", words)).split())


def _environment(text: str, begin: re.Match[str]) -> Block | None:
    """The block of an environment, to its end or, where that is missing, to the end of the part."""
    name = begin[1]
    start = line_start(text, begin.end() - 1)
    end = _closing(text, name, begin.end())
    if name.rstrip("*") in _TABLES:
        rule = _HEAD_RULE.search(text, begin.end(), end)
        return Block("table", start, end, head_end=rule.end() if rule and rule.end() < end else None)
    language = _LANGUAGE.match(text, begin.end()) if name.startswith(("lstlisting", "minted")) else None
    named = (language[1] or language[2]).lower() if language else None
    return Block("code", start, end, language=named)


def _closing(text: str, name: str, position: int) -> int:
    r"""Offset after ``\end{name}`` and its line; tables may nest, code does not."""
    depth, is_table = 1, name.rstrip("*") in _TABLES
    for mark in re.compile(rf"\\(begin|end)[ \t]*\{{{re.escape(name)}\}}").finditer(text, position):
        if mark[1] == "end":
            depth -= 1
        elif is_table:
            depth += 1
        if depth == 0:
            return line_end(text, mark.end())
    return len(text)

"""Languages whose definitions can be told by their lines: those for which no maintained grammar comes as a wheel.

Each definition begins in the first column with words of its own and ends where its language says, at the latest before
the next one; what is inside it is not looked at. Add a language here; what has a grammar belongs to ``languages``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outline:
    """How a language is told by its lines.

    Attributes:
        begins: a definition's first line, with a group ``name``; another group that matched is its kind.
        comment: what a comment line begins with; those directly above a definition belong to it.
        ends: matches the rest of a definition from the end of its first match; None: up to the next definition.
    """

    begins: re.Pattern[str]
    comment: str
    ends: re.Pattern[str] | None = None


def _begins(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | flags)


_BRACED = re.compile(r"[^{}\n]*+(?:\n[ \t]*+)?\{(?:[^{}\n]*+\}[^\n]*|(?s:.*?)^[})][^\n]*|(?s:.*))|[^\n]*", re.MULTILINE)
_NAMED_END = re.compile(r"(?s:.*?)^[ \t]*end(?:function|macro)\b[^\n]*", re.MULTILINE | re.IGNORECASE)
_RECIPE = re.compile(r"[^\n]*(?:\n(?:\t[^\n]*|[ \t]*(?=\n\t)))*")
_ERLANG_END = re.compile(r"(?s:.*?)\.[ \t]*(?:%[^\n]*)?$", re.MULTILINE)

OUTLINES = {
    "cmake": Outline(
        _begins(r"^(?:(?P<function>function)|(?P<macro>macro))[ \t]*\([ \t]*(?P<name>[\w.-]+)", re.IGNORECASE),
        "#",
        _NAMED_END,
    ),
    "dockerfile": Outline(
        _begins(r"^(?P<stage>FROM)[ \t]+(?:--\S+[ \t]+)*(?:\S+[ \t]+AS[ \t]+(?=\S))?(?P<name>\S+)", re.IGNORECASE), "#"
    ),
    "erlang": Outline(
        _begins(r"^(?:-(?P<type>record|type|opaque)\(?[ \t]*(?P<name>\w+)|(?P<function>(?=[a-z]))(?P<name2>\w+)\()"),
        "%",
        _ERLANG_END,
    ),
    "graphql": Outline(
        _begins(
            r"^(?:extend[ \t]+)?(?:(?P<type>type|input|union|scalar)|(?P<interface>interface)|(?P<enum>enum)"
            r"|(?P<function>query|mutation|subscription|fragment|directive))[ \t]+(?P<name>@?\w+)"
        ),
        "#",
        _BRACED,
    ),
    "makefile": Outline(
        _begins(r"^(?P<target>(?=[^\s#=:.]))(?P<name>[^\s:=#][^:=#\n]*+)::?(?!=)"),
        "#",
        _RECIPE,
    ),
    "perl": Outline(
        _begins(r"^(?:(?P<function>sub)[ \t]+(?P<name>\w+)|(?P<namespace>package)[ \t]+(?P<name2>[\w:]+))"),
        "#",
        _BRACED,
    ),
    "proto": Outline(
        _begins(r"^(?:extend[ \t]+)?(?:(?P<struct>message)|(?P<interface>service)|(?P<enum>enum))[ \t]+(?P<name>\w+)"),
        "//",
        _BRACED,
    ),
    "r": Outline(_begins(r"^(?P<function>(?=\S))(?P<name>[\w.]+)[ \t]*(?:<-|=)[ \t]*function\b"), "#", _BRACED),
}


def definitions(text: str, language: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield kind, name, start and end (characters) of each definition of a language in ``OUTLINES``, in order."""
    outline = OUTLINES[language]
    found = list(outline.begins.finditer(text))
    floor = 0
    for number, match in enumerate(found):
        if match.start() < floor:
            continue
        limit = found[number + 1].start() if number + 1 < len(found) else len(text)
        start = _with_comments(text, match.start(), floor, outline.comment)
        end = limit
        if outline.ends is not None and (rest := outline.ends.match(text, match.end(), limit)):
            end = rest.end()
        end = start + len(text[start : max(end, match.end())].rstrip())
        floor = end
        groups = match.groupdict()
        kind = next(name for name, value in groups.items() if value is not None and name not in ("name", "name2"))
        yield kind, next(filter(None, (groups["name"], groups.get("name2")))).strip(), start, end


def _with_comments(text: str, start: int, floor: int, comment: str) -> int:
    """Where the comment lines directly above ``start`` begin, not before ``floor``."""
    while start > floor:
        above = text.rfind("\n", 0, start - 1) + 1
        if above < floor or not text[above:start].startswith(comment):
            break
        start = above
    return start

"""Symbols of a source text: what is defined where, with character offsets.

A symbol covers its decorators, attributes and the comments directly above it. Grammars are in ``languages``, queries in
``queries``, languages without a grammar in ``lines``; calls and imports belong to the rooms that need them. Broken source
gives the symbols that can be told.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cortex_assets.syntax.guard import Guard
from cortex_assets.syntax.languages import ERROR_STEPS, canonical, grammar, parse
from cortex_assets.syntax.lines import OUTLINES, definitions

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MATCH_LIMIT = 4096
"""Most matches of a query that may be open at once; nested source above it loses inner symbols, not minutes."""
_CONSTANT_NAME = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
_OWNERS = frozenset({"class", "struct", "interface", "enum", "impl"})
_FUNCTION_VALUES = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
_NO_KINDS = frozenset({"wrapper", "lead", "name", "owner", "until"})
_NAME_FIELDS = ("name", "declarator", "property")
_RANK = {"struct": 0, "interface": 0, "class": 1}


@dataclass(frozen=True, slots=True)
class Symbol:
    """One definition.

    Attributes:
        name: its own name, such as ``sign``.
        qualified_name: with the names around it, such as ``Signer.sign``.
        kind: class, struct, interface, enum, impl, namespace, function, method, macro, type, constant or test; in files
            that configure: block, rule, table, view, index, trigger, target or stage.
        start_char: first character, leading comments and decorators included.
        end_char: after the last character.
        start_line: line of ``start_char``, from 1.
        end_line: line of the last character, from 1.
        parent: index of the enclosing symbol in the list, or ``None``.
    """

    name: str
    qualified_name: str
    kind: str
    start_char: int
    end_char: int
    start_line: int
    end_line: int
    parent: int | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A captured symbol, in bytes."""

    kind: str
    name: str
    owner: str | None
    start: int
    end: int
    row: int


def symbols(source: bytes | str, language: str | None) -> list[Symbol]:
    """Return the symbols of ``source``, sorted by start, outer before inner.

    Args:
        source: text, or its UTF-8 bytes. Offsets are characters of the text either way.
        language: name or alias of a language; an unknown one gives ``[]``, and so does a source above ``MAX_BYTES``.
    """
    known = canonical(language)
    if known in OUTLINES:
        return _outlined(source if isinstance(source, str) else source.decode("utf-8", "replace"), known)
    raw = source.encode("utf-8", "replace") if isinstance(source, str) else source
    if known is None or not raw.strip() or len(raw) > MAX_BYTES:
        return []
    tree = parse(raw, known, Guard(ERROR_STEPS))
    if tree is None:
        return []
    from tree_sitter import QueryCursor

    cursor = QueryCursor(grammar(known)[1], match_limit=MATCH_LIMIT)
    matches = [captures for _, captures in cursor.matches(tree.root_node)]
    found = _found(matches, raw)
    line_starts = [0, *(match.end() for match in re.finditer(rb"\n", raw))]
    found = _widened(found, matches, raw, line_starts)
    return _nested(found, _CharOffsets(raw), line_starts)


def _outlined(source: str, language: str) -> list[Symbol]:
    """Symbols of a language that is told by its lines; none is inside another."""
    found: list[Symbol] = []
    row, counted = 1, 0
    for kind, name, start, end in definitions(source, language):
        row += source.count("\n", counted, start)
        counted = start
        found.append(Symbol(name, name, kind, start, end, row, row + source.count("\n", start, end), None))
    return found


def _found(matches: "Sequence[Mapping[str, list[Node]]]", raw: bytes) -> list[_Found]:
    """The captured definitions that have a name, sorted by start, outer first; one per span."""
    best: dict[tuple[int, int], _Found] = {}
    for captures in matches:
        for kind, nodes in captures.items():
            if kind in _NO_KINDS or kind.startswith("_"):
                continue
            for node in nodes:
                entry = _definition(node, kind, captures, raw)
                if entry is None:
                    continue
                span = (entry.start, entry.end)
                if span not in best or _RANK.get(entry.kind, 2) < _RANK.get(best[span].kind, 2):
                    best[span] = entry
    return sorted(best.values(), key=lambda entry: (entry.start, -entry.end))


def _definition(node: "Node", kind: str, captures: "Mapping[str, list[Node]]", raw: bytes) -> _Found | None:
    """Name and kind of one captured node; ``None`` where it has no name, or is no constant by its name."""
    owner = _text(captures["owner"][0], raw) if "owner" in captures else None
    named = node
    if node.type == "lexical_declaration":
        named = next((child for child in node.named_children if child.type == "variable_declarator"), node)
        value = named.child_by_field_name("value")
        if value is not None and value.type in _FUNCTION_VALUES:
            kind = "function"
    if "name" in captures:
        name = ".".join(filter(None, (_text(part, raw).strip('"') for part in captures["name"])))
    elif kind == "impl" and node.type == "impl_item":
        name = _text(node.child_by_field_name("type"), raw).split("<")[0].strip()
    elif node.type == "assignment":
        name = _text(node.child_by_field_name("left"), raw)
        if not _CONSTANT_NAME.match(name):
            return None
    else:
        name = _declared_name(next(filter(None, map(named.child_by_field_name, _NAME_FIELDS)), None), raw)
    if node.type == "method_declaration" and (receiver := node.child_by_field_name("receiver")) is not None:
        words = re.findall(r"\w+", _text(receiver, raw).split("[")[0])
        owner = words[-1] if words else None
    if not name:
        return None
    if kind == "function" and "::" in name:
        owner, _, name = name.rpartition("::")
        kind = "method"
    last = captures["until"][0].end_byte if "until" in captures else node.end_byte
    end = node.start_byte + len(raw[node.start_byte : last].rstrip())
    return _Found(kind, name, owner, node.start_byte, end, node.start_point[0])


def _declared_name(node: "Node | None", raw: bytes) -> str:
    """The identifier inside C's nested declarators (pointers, functions, arrays), or the text of a plain name."""
    for _ in range(MAX_DEPTH):
        inner = node.child_by_field_name("declarator") if node is not None else None
        if inner is None:
            break
        node = inner
    return _text(node, raw)


def _text(node: "Node | None", raw: bytes) -> str:
    """A node's text on one line, at most 200 characters."""
    if node is None:
        return ""
    return " ".join(
        raw[node.start_byte : min(node.end_byte, node.start_byte + 800)].decode("utf-8", "replace").split()
    )[:200]


def _widened(
    found: list[_Found], matches: "Sequence[Mapping[str, list[Node]]]", raw: bytes, line_starts: list[int]
) -> list[_Found]:
    """Move each symbol's start to its wrapper (same end), then up over the comments and attributes directly above."""
    wrappers: dict[int, list[tuple[int, int]]] = {}
    for node in _captured(matches, "wrapper"):
        wrappers.setdefault(node.end_byte, []).append((node.start_byte, node.start_point[0]))
    leads: dict[int, tuple[int, int]] = {}
    for node in _captured(matches, "lead"):
        row = node.start_point[0]
        line_end = raw.find(b"\n", node.end_byte - 1)
        after = raw[node.end_byte : line_end if line_end >= 0 else len(raw)]
        if not raw[line_starts[row] : node.start_byte].strip() and not after.strip():
            last = node.end_point[0] - (1 if node.end_point[1] == 0 and node.end_point[0] > row else 0)
            leads[last] = (node.start_byte, row)
    widened: list[_Found] = []
    outer_start: dict[int, int] = {}
    for entry in found:
        start, row = entry.start, entry.row
        floor = outer_start.get(entry.end, -1)
        around = [place for place in wrappers.get(entry.end, ()) if floor < place[0] < start]
        if around:
            start, row = max(around)
        outer_start[entry.end] = entry.start
        if not raw[line_starts[row] : start].strip():
            while (lead := leads.get(row - 1)) is not None and lead[1] < row:
                start, row = lead
        widened.append(replace(entry, start=start, row=row))
    return sorted(widened, key=lambda entry: (entry.start, -entry.end))


def _captured(matches: "Sequence[Mapping[str, list[Node]]]", name: str) -> "Iterator[Node]":
    """All nodes of one capture."""
    return (node for captures in matches if name in captures for node in captures[name])


def _nested(found: list[_Found], offsets: "_CharOffsets", line_starts: list[int]) -> list[Symbol]:
    """Symbols with parents and qualified names."""
    result: list[Symbol] = []
    open_at: list[tuple[int, int]] = []
    for entry in found:
        while open_at and open_at[-1][0] < entry.end:
            open_at.pop()
        parent = open_at[-1][1] if open_at else None
        around = result[parent] if parent is not None else None
        prefix = around.qualified_name if around else ""
        if entry.owner:
            prefix = ".".join(filter(None, (prefix, entry.owner.replace("::", "."))))
        kind = "method" if entry.kind == "function" and around and around.kind in _OWNERS else entry.kind
        result.append(
            Symbol(
                entry.name,
                f"{prefix}.{entry.name}" if prefix else entry.name,
                kind,
                offsets.char(entry.start),
                offsets.char(entry.end),
                entry.row + 1,
                bisect_right(line_starts, max(entry.start, entry.end - 1)),
                parent,
            )
        )
        if len(open_at) < MAX_DEPTH:
            open_at.append((entry.end, len(result) - 1))
    return result


class _CharOffsets:
    """Byte offset to character offset; every 4096 bytes are counted once, at construction."""

    _STEP = 4096

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._before: list[int] = []
        if not raw.isascii():
            total = 0
            for start in range(0, len(raw), self._STEP):
                self._before.append(total)
                total += _characters(raw[start : start + self._STEP])

    def char(self, offset: int) -> int:
        """Number of characters before the byte ``offset``, which is at a character's first byte."""
        if not self._before:
            return offset
        block = min(offset // self._STEP, len(self._before) - 1)
        return self._before[block] + _characters(self._raw[block * self._STEP : offset])


_CONTINUATION = bytes(range(0x80, 0xC0))


def _characters(raw: bytes) -> int:
    """Number of UTF-8 characters that begin in ``raw``."""
    return len(raw.translate(None, _CONTINUATION))

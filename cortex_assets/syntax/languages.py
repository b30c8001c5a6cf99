"""Programming languages that can be parsed: their tree-sitter grammars, loaded on first use.

Add a language here (its wheel) and in ``queries`` (what its symbols are); one without a maintained wheel in ``lines``.
What is made of the captures is in ``symbols``. The wheels are the grammars' own, one each: the one package that has them
all fetches them while it runs, which a machine without a network cannot.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from cortex_assets.syntax import queries
from cortex_assets.syntax.guard import WILD_BYTES, Guard, is_another_language
from cortex_assets.syntax.lines import OUTLINES

if TYPE_CHECKING:
    from tree_sitter import Language, Query, Tree

ERROR_STEPS = 1000
"""A parse in recovery from errors is given up after so many progress reports of the parser (one or two seconds)."""
WIDE_ERROR = 5000
"""A root that is an error with more children than this is no source of its language; a query over it is quadratic."""
SMALL_BYTES = 4096
"""A tame grammar takes less than half a second for the worst text of this size, so nothing watches over it."""
READ_BYTES = 512
"""The binding asks for a piece of the source for each byte of a name that a query compares."""
_COMMENT_WALL = re.compile(rb"(?:^[ \t]*#[^\n]*\n){3000}", re.MULTILINE)
"""Python's grammar reads a run of comment lines again from each of its lines: 3,000 take a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Where a grammar comes from and what its symbols are.

    Attributes:
        module: the wheel's module.
        function: the function in it that returns the grammar.
        query: tree-sitter query; its captures are explained in ``queries``.
    """

    module: str
    function: str
    query: str


GRAMMARS = {
    "python": Grammar("tree_sitter_python", "language", queries.PYTHON),
    "javascript": Grammar("tree_sitter_javascript", "language", queries.JAVASCRIPT + queries.FIELDS),
    "typescript": Grammar("tree_sitter_typescript", "language_typescript", queries.TYPESCRIPT),
    "tsx": Grammar("tree_sitter_typescript", "language_tsx", queries.TYPESCRIPT),
    "go": Grammar("tree_sitter_go", "language", queries.GO),
    "rust": Grammar("tree_sitter_rust", "language", queries.RUST),
    "java": Grammar("tree_sitter_java", "language", queries.JAVA),
    "c": Grammar("tree_sitter_c", "language", queries.C),
    "cpp": Grammar("tree_sitter_cpp", "language", queries.CPP),
    "csharp": Grammar("tree_sitter_c_sharp", "language", queries.CSHARP),
    "ruby": Grammar("tree_sitter_ruby", "language", queries.RUBY),
    "php": Grammar("tree_sitter_php", "language_php", queries.PHP),
    "bash": Grammar("tree_sitter_bash", "language", queries.BASH),
    "kotlin": Grammar("tree_sitter_kotlin", "language", queries.KOTLIN),
    "swift": Grammar("tree_sitter_swift", "language", queries.SWIFT),
    "scala": Grammar("tree_sitter_scala", "language", queries.SCALA),
    "lua": Grammar("tree_sitter_lua", "language", queries.LUA),
    "sql": Grammar("tree_sitter_sql", "language", queries.SQL),
    "haskell": Grammar("tree_sitter_haskell", "language", queries.HASKELL),
    "css": Grammar("tree_sitter_css", "language", queries.CSS),
    "hcl": Grammar("tree_sitter_hcl", "language", queries.HCL),
    "julia": Grammar("tree_sitter_julia", "language", queries.JULIA),
    "zig": Grammar("tree_sitter_zig", "language", queries.ZIG),
    "elixir": Grammar("tree_sitter_elixir", "language", queries.ELIXIR),
    "ocaml": Grammar("tree_sitter_ocaml", "language_ocaml", queries.OCAML),
    "powershell": Grammar("tree_sitter_powershell", "language", queries.POWERSHELL),
    "dart": Grammar("tree_sitter_dart", "language", queries.DART),
}

_TAME = frozenset({"python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "hcl", "sql"})
_WILD = frozenset(GRAMMARS) - _TAME
"""Grammars that were seen to need time or memory out of proportion for text that is not of their language."""

_ALIASES = {
    "c#": "csharp",
    "c++": "cpp",
    "cc": "cpp",
    "cs": "csharp",
    "cxx": "cpp",
    "docker": "dockerfile",
    "golang": "go",
    "js": "javascript",
    "jsx": "javascript",
    "kt": "kotlin",
    "make": "makefile",
    "ps1": "powershell",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "shell": "bash",
    "terraform": "hcl",
    "ts": "typescript",
}


def canonical(language: str | None) -> str | None:
    """The name of a language as ``GRAMMARS`` or ``OUTLINES`` has it (``"py"`` is ``"python"``); ``None`` for another."""
    if language is None:
        return None
    name = language.strip().lower()
    name = _ALIASES.get(name, name)
    return name if name in GRAMMARS or name in OUTLINES else None


@cache
def grammar(language: str) -> "tuple[Language, Query]":
    """The loaded grammar and compiled query of a language in ``GRAMMARS``.

    Raises:
        ModuleNotFoundError: the grammar's wheel is not installed.
        KeyError: the language is not in ``GRAMMARS``.
    """
    from tree_sitter import Language, Query

    entry = GRAMMARS[language]
    loaded = Language(getattr(import_module(entry.module), entry.function)())
    return loaded, Query(loaded, entry.query)


def parse(source: bytes, language: str, guard: Guard) -> "Tree | None":
    """Parse UTF-8 ``source``; errors in it give error nodes. ``None`` where it is too broken to be worth the time."""
    from tree_sitter import Parser

    if language == "python" and _COMMENT_WALL.search(source):
        return None
    parser = Parser(grammar(language)[0])
    if language in _WILD and (len(source) > WILD_BYTES or is_another_language(parser, source)):
        return None
    if language in _TAME and len(source) <= SMALL_BYTES:
        return _if_source(parser.parse(source))
    try:
        tree = parser.parse(
            lambda offset, _point: source[offset : offset + READ_BYTES],
            encoding="utf8",
            progress_callback=lambda _offset, has_error: guard.is_over(has_error),
        )
    except ValueError:  # tree-sitter's "Parsing failed": given up
        return None
    return _if_source(tree)


def _if_source(tree: "Tree") -> "Tree | None":
    root = tree.root_node
    return None if root.type == "ERROR" and root.child_count > WIDE_ERROR else tree

"""Programming languages that can be parsed: their tree-sitter grammars and the queries that find their symbols.

Add a language here and nowhere else: its wheel, and a query whose captures are symbol kinds, ``wrapper`` (a node around
a symbol, such as decorators or ``export``) and ``lead`` (comments and attributes, which belong to the symbol below
them). What is made of the captures is in ``symbols``. Grammars are imported on first use.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Query, Tree

ERROR_STEPS = 1000
"""A parse in recovery from errors is given up after so many progress reports of the parser (one or two seconds)."""
WIDE_ERROR = 5000
"""A root that is an error with more children than this is no source of its language; a query over it is quadratic."""
_COMMENT_WALL = re.compile(rb"(?:^[ \t]*#[^\n]*\n){3000}", re.MULTILINE)
"""Python's grammar reads a run of comment lines again from each of its lines: 3,000 take a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Where a grammar comes from and what its symbols are.

    Attributes:
        module: the wheel's module.
        function: the function in it that returns the grammar.
        query: tree-sitter query; see the module's docstring.
    """

    module: str
    function: str
    query: str


_PYTHON = """
(function_definition) @function
(class_definition) @class
(module (expression_statement (assignment left: (identifier)) @constant))
(decorated_definition) @wrapper
(comment) @lead
"""

_JAVASCRIPT = """
(function_declaration) @function
(generator_function_declaration) @function
(class_declaration) @class
(method_definition) @method
(program (lexical_declaration) @constant)
(program (export_statement (lexical_declaration) @constant))
(export_statement) @wrapper
(comment) @lead
"""

_FIELDS = "(field_definition value: (arrow_function)) @method"

_TYPESCRIPT = (
    _JAVASCRIPT
    + """
(abstract_class_declaration) @class
(interface_declaration) @interface
(type_alias_declaration) @type
(enum_declaration) @enum
(internal_module) @namespace
(function_signature) @function
(public_field_definition value: (arrow_function)) @method
(decorator) @lead
"""
)

_GO = """
(function_declaration) @function
(method_declaration) @method
(source_file (type_declaration (type_spec type: (struct_type)) @struct))
(source_file (type_declaration (type_spec type: (interface_type)) @interface))
(source_file (type_declaration (type_spec) @type))
(source_file (type_declaration) @wrapper)
(source_file (const_declaration (const_spec) @constant))
(source_file (const_declaration) @wrapper)
(comment) @lead
"""

_RUST = """
(function_item) @function
(function_signature_item) @function
(struct_item) @struct
(union_item) @struct
(enum_item) @enum
(trait_item) @interface
(impl_item) @impl
(mod_item) @namespace
(macro_definition) @macro
(source_file [(const_item) (static_item)] @constant)
(source_file (type_item) @type)
[(line_comment) (block_comment) (attribute_item)] @lead
"""

_JAVA = """
(class_declaration) @class
(record_declaration) @class
(interface_declaration) @interface
(annotation_type_declaration) @interface
(enum_declaration) @enum
(method_declaration) @method
(constructor_declaration) @method
[(line_comment) (block_comment)] @lead
"""

_C = """
(function_definition) @function
(struct_specifier body: (_)) @struct
(union_specifier body: (_)) @struct
(enum_specifier body: (_)) @enum
(type_definition) @type
(translation_unit [(preproc_def) (preproc_function_def)] @macro)
(comment) @lead
"""

_CPP = (
    _C
    + """
(class_specifier body: (_)) @class
(namespace_definition) @namespace
(template_declaration) @wrapper
"""
)

GRAMMARS = {
    "python": Grammar("tree_sitter_python", "language", _PYTHON),
    "javascript": Grammar("tree_sitter_javascript", "language", _JAVASCRIPT + _FIELDS),
    "typescript": Grammar("tree_sitter_typescript", "language_typescript", _TYPESCRIPT),
    "tsx": Grammar("tree_sitter_typescript", "language_tsx", _TYPESCRIPT),
    "go": Grammar("tree_sitter_go", "language", _GO),
    "rust": Grammar("tree_sitter_rust", "language", _RUST),
    "java": Grammar("tree_sitter_java", "language", _JAVA),
    "c": Grammar("tree_sitter_c", "language", _C),
    "cpp": Grammar("tree_sitter_cpp", "language", _CPP),
}

_ALIASES = {
    "c++": "cpp",
    "cc": "cpp",
    "cxx": "cpp",
    "golang": "go",
    "js": "javascript",
    "jsx": "javascript",
    "py": "python",
    "python3": "python",
    "rs": "rust",
    "ts": "typescript",
}


def canonical(language: str | None) -> str | None:
    """The name of a language as ``GRAMMARS`` has it (``"py"`` is ``"python"``), or ``None`` for an unknown one."""
    if language is None:
        return None
    name = language.strip().lower()
    name = _ALIASES.get(name, name)
    return name if name in GRAMMARS else None


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


def parse(source: bytes, language: str) -> "Tree | None":
    """Parse UTF-8 ``source``; errors in it give error nodes. ``None`` where it is too broken to be worth the time."""
    from tree_sitter import Parser

    if language == "python" and _COMMENT_WALL.search(source):
        return None
    loaded, _ = grammar(language)
    steps = ERROR_STEPS

    def is_over(_offset: int, has_error: bool) -> bool:
        nonlocal steps
        steps -= has_error
        return steps <= 0

    try:
        tree = Parser(loaded).parse(
            lambda offset, _point: source[offset : offset + 65_536], encoding="utf8", progress_callback=is_over
        )
    except ValueError:  # tree-sitter's "Parsing failed": given up
        return None
    root = tree.root_node
    return None if root.type == "ERROR" and root.child_count > WIDE_ERROR else tree

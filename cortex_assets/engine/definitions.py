"""What counts of each function and class of a module's text, and whether the code that runs is what that text says.

Both follow from the text alone, so they are kept by its hash: of a changed project only the changed files are parsed again.
``engine.fingerprint`` puts them together to versions.
"""

import ast
import builtins
import contextlib
import hashlib
import json
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_BUILTINS = frozenset(dir(builtins))
_DEFS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, slots=True)
class Definition:
    """What counts of one function or class.

    Attributes:
        canonical: hash of its AST, comments, docstrings and the names of locals apart.
        names: names that it uses, each with the attributes read off it.
        imports: (module, name, bound name) of the imports inside it.
    """

    canonical: str
    names: Sequence[tuple[str, tuple[str, ...]]]
    imports: Sequence[tuple[str, str, str]]


class Source:
    """A module's text, read once.

    Args:
        text: the whole file.
        path: where it is, for messages.
        known: what an earlier process worked out for this very text; what is worked out now is added to it.

    Attributes:
        learned: whether anything was added.
    """

    def __init__(self, text: str, path: str, known: dict[str, Any]) -> None:
        self._text = text
        self._path = path
        self._known = known
        self.learned = "codes" not in known
        self._tree: ast.Module | None = None
        self._nodes: Mapping[str, ast.AST] = {}
        if self.learned:
            known["codes"] = sorted(_codes(compile(self._parsed(), path, "exec", dont_inherit=True)))
            known["definitions"] = {}
        self._codes = frozenset(known["codes"])

    def definition(self, qualname: str) -> Definition | None:
        """What counts of a function or class; None where the text has none of that name."""
        known = self._known["definitions"].get(qualname)
        if known is None:
            self._parsed()
            node = self._nodes.get(qualname)
            if node is None:
                return None
            known = self._known["definitions"][qualname] = _described(node)
            self.learned = True
        canonical, names, imports = known
        return Definition(
            canonical, [(name, tuple(rest)) for name, rest in names], [(m, n, bound) for m, n, bound in imports]
        )

    def runs(self, function: types.FunctionType) -> bool:
        """Whether a running function is one that this text compiles to."""
        return _code_hash(function.__code__) in self._codes

    def _parsed(self) -> ast.Module:
        if self._tree is None:
            self._tree = ast.parse(self._text, self._path)
            nodes: dict[str, ast.AST] = {}
            _index(self._tree, "", nodes)
            self._nodes = nodes
        return self._tree


class Sources:
    """The sources of modules, and what is known of them.

    Args:
        path: where to keep it between processes; nowhere with None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._read: dict[str, Source] = {}
        self._known: dict[str, dict[str, Any]] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                stored = json.loads(path.read_bytes())
                if stored["reader"] == _reader():
                    self._known = dict(stored["modules"])

    def of(self, module: str) -> Source:
        """The text of a module, frozen at first use in this process."""
        source = self._read.get(module)
        if source is None:
            path = file_of(module)
            raw = Path(path).read_bytes()
            text_hash = hashlib.blake2b(raw, digest_size=16).hexdigest()
            known = self._known.get(module, {})
            if known.get("text") != text_hash:
                known = self._known[module] = {"text": text_hash}
            source = self._read[module] = Source(raw.decode("utf-8"), path, known)
        return source

    def forget(self, module: str) -> None:
        """Read a module's text again at its next use."""
        self._read.pop(module, None)

    def save(self) -> None:
        """Keep what is known, where something was worked out."""
        if self._path is None or not any(source.learned for source in self._read.values()):
            return
        keep(self._path, {"reader": _reader(), "modules": self._known})
        for source in self._read.values():
            source.learned = False


def keep(path: Path, value: Mapping[str, Any]) -> None:
    """Put a value in a file as JSON, all or nothing; where that cannot be (a full disk) it is worked out again next time."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


@cache
def _reader() -> str:
    """Hash of what reads the texts: this module and the language."""
    return hashlib.blake2b(Path(__file__).read_bytes() + sys.version.encode(), digest_size=16).hexdigest()


def file_of(module: str) -> str:
    """The file that an imported module came from."""
    return getattr(sys.modules[module], "__file__", "") or ""


def _index(node: ast.AST, prefix: str, nodes: dict[str, ast.AST]) -> None:
    """Definitions below ``node`` by the qualified name that Python gives them; of two the later one."""
    for field_name in _BODIES:
        for child in getattr(node, field_name, ()):
            if isinstance(child, _DEFS):
                nodes[prefix + child.name] = child
                inside = "." if isinstance(child, ast.ClassDef) else ".<locals>."
                _index(child, prefix + child.name + inside, nodes)
            else:
                _index(child, prefix, nodes)


# -- code objects ------------------------------------------------------------------------------------------------------


def _codes(code: types.CodeType) -> Iterator[str]:
    """Hashes of the code objects inside one."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield _code_hash(constant)
            yield from _codes(constant)


def _code_hash(code: types.CodeType) -> str:
    """Hash of what a code object does: its name, instructions, names and constants."""
    digest = hashlib.blake2b(code.co_code, digest_size=8)
    digest.update(
        repr((code.co_name, code.co_names, [_constant(c) for c in code.co_consts])).encode("utf-8", "replace")
    )
    return digest.hexdigest()


def _constant(value: object) -> str:
    if isinstance(value, types.CodeType):
        return _code_hash(value)
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(_constant(item) for item in value))}}}"
    if isinstance(value, tuple):
        return f"({','.join(_constant(item) for item in value)})"
    return repr(value)


# -- canonical form ----------------------------------------------------------------------------------------------------


def _described(node: ast.AST) -> tuple[str, list[tuple[str, tuple[str, ...]]], list[tuple[str, str, str]]]:
    """The fields of a ``Definition``."""
    inside = list(ast.walk(node))
    text = _text(node, _locals(node, inside)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest(), _names(inside), _imports(inside)


def _text(value: object, renamed: Mapping[str, str]) -> str:
    """A node, a list of nodes or a plain value as text, positions apart."""
    if isinstance(value, list):
        return f"[{','.join([_text(item, renamed) for item in value])}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, ast.Name):
        return f"Name({renamed.get(value.id, value.id)})"
    if isinstance(value, ast.Constant):
        return f"Constant({value.value!r})"
    fields = [getattr(value, name, None) for name in value._fields if name != "type_comment"]
    if isinstance(value, _DEFS) and ast.get_docstring(value, clean=False) is not None:
        fields[value._fields.index("body")] = value.body[1:] or [ast.Pass()]
    return f"{type(value).__name__}({','.join([_text(field_value, renamed) for field_value in fields])})"


def _locals(node: ast.AST, inside: Sequence[ast.AST]) -> dict[str, str]:
    """New names of what a function assigns, so that a local's name does not count; parameters keep theirs (callers name them)."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {}
    kept = {n.arg for n in inside if isinstance(n, ast.arg)}
    kept |= {n for d in inside if isinstance(d, (ast.Global, ast.Nonlocal)) for n in d.names}
    renamed: dict[str, str] = {}
    for inner in inside:
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store) and inner.id not in kept:
            renamed.setdefault(inner.id, f"local{len(renamed)}")
    return renamed


def _names(inside: Sequence[ast.AST]) -> list[tuple[str, tuple[str, ...]]]:
    """Names that a definition uses, each with the attributes read off it (``module.function`` gives both)."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    for inner in inside:
        if isinstance(inner, ast.Name) and inner.id not in _BUILTINS:
            found.add((inner.id, ()))
        elif isinstance(inner, ast.Attribute):
            path: list[str] = []
            head: ast.expr = inner
            while isinstance(head, ast.Attribute):
                path.append(head.attr)
                head = head.value
            if isinstance(head, ast.Name):
                found.add((head.id, tuple(reversed(path))))
    return sorted(found)


def _imports(inside: Sequence[ast.AST]) -> list[tuple[str, str, str]]:
    return [
        (inner.module, alias.name, alias.asname or alias.name)
        for inner in inside
        if isinstance(inner, ast.ImportFrom) and inner.module and not inner.level
        for alias in inner.names
    ]

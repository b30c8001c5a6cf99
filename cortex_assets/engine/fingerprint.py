"""Producer versions: what a derivation's code, packages, assets and settings are, as one short hash (ARCHITECTURE 4).

The version of a function is the AST of its source *as imported* (comments, docstrings and the names of locals apart),
together with every project function, class and constant that it reaches by name. Source is read once, at first use, and
held against the code that runs: a file edited after its import raises ``SourceMoved`` instead of giving the new text's
version to the old code. Nothing here decides what to recompute; see ``engine.plan``.
"""

import ast
import builtins
import contextlib
import dataclasses
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex_assets.engine.stamp import code_stamp

PROJECT = ("cortex_assets", "inference", "resources", "sensors", "apps")
_BUILTINS = frozenset(dir(builtins))
_PLAIN = (str, bytes, int, float, bool, type(None), re.Pattern, tuple, frozenset)
_frozen_modules: dict[str, "_Source"] = {}
_frozen_definitions: dict[str, tuple[object, "_Definition"]] = {}
_frozen_versions: dict[int, tuple[object, str]] = {}


class SourceMoved(RuntimeError):
    """A module's file was edited after it was imported: its running code has no source to name. Restart to take the edit."""


@dataclass(frozen=True)
class Producer:
    """What makes rows.

    Attributes:
        functions: the entry functions; whatever project code they reach by name counts too.
        packages: names of distributions whose version counts.
        assets: files (prompts, queries, YAML) whose bytes count.
        settings: plain values (limits, model digests) that count.
    """

    functions: tuple[Callable[..., Any], ...]
    packages: tuple[str, ...] = ()
    assets: tuple[Path, ...] = ()
    settings: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    def version(self, project: Sequence[str] = PROJECT) -> str:
        """Sixteen hex digits; equal exactly when nothing that counts changed."""
        digest = hashlib.blake2b(digest_size=8)
        for function in self.functions:
            digest.update(function_version(function, project).encode())
        for package in sorted(self.packages):
            digest.update(f"{package}={importlib.metadata.version(package)}".encode())
        for asset in sorted(self.assets):
            digest.update(hashlib.blake2b(asset.read_bytes()).digest())
        for name in sorted(self.settings):
            digest.update(f"{name}={self.settings[name]!r}".encode())
        return digest.hexdigest()


def function_version(function: Callable[..., Any], project: Sequence[str] = PROJECT) -> str:
    """Hash of a function and of the project code that it reaches by name; frozen at first use in this process."""
    known = _frozen_versions.get(id(function))
    if known is not None and known[0] is function:
        return known[1]
    label = f"{function.__module__}:{function.__qualname__}"
    is_lasting = _memo is not None and tuple(project) == PROJECT and _is_as_imported(function)
    if is_lasting and _memo is not None and (remembered := _memo.get(label)):
        _frozen_versions[id(function)] = (function, remembered)
        return remembered
    seen: dict[str, str] = {}
    _collect(inspect.unwrap(function), tuple(project), seen)
    version = hashlib.blake2b("\n".join(f"{k} {seen[k]}" for k in sorted(seen)).encode(), digest_size=16).hexdigest()
    _frozen_versions[id(function)] = (function, version)
    if is_lasting and _memo is not None:
        _memo.put(label, version)
    return version


class Memo:
    """Function versions of one state of the code, kept in a file: computing them takes as long as a small edit."""

    def __init__(self, path: Path) -> None:
        """Read what is remembered for the code as it is now; of other code, or of code edited just now, nothing is."""
        self._path = path
        self._stamp = code_stamp()
        self._versions: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(path.read_bytes())
            if stored["code"] == self._stamp.digest and self._stamp.is_what_runs:
                self._versions = stored["versions"]

    def get(self, label: str) -> str | None:
        """The version of a function, by module and name."""
        return self._versions.get(label)

    def put(self, label: str, version: str) -> None:
        """Remember a version, where this process runs the code that is there."""
        if not self._stamp.is_what_runs:
            return
        self._versions[label] = version
        text = json.dumps({"code": self._stamp.digest, "versions": self._versions}, sort_keys=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._path)


_memo: Memo | None = None


def remember_in(path: Path | None) -> None:
    """Keep function versions in a file from now on; None forgets it."""
    global _memo
    _memo = None if path is None else Memo(path)


def _is_as_imported(function: Callable[..., Any]) -> bool:
    """Whether a function is the one that its module has by that name: not a local one, not put in its place."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _collect(target: Any, project: tuple[str, ...], seen: dict[str, str]) -> None:
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if module is None or name is None or module.split(".")[0] not in project:
        return
    label = f"{module}:{name}"
    if label in seen:
        return
    seen[label] = ""
    definition = _definition(target, module, name)
    seen[label] = definition.canonical
    namespace = vars(sys.modules[module]) | _late_imports(definition, project)
    for used, attributes in definition.names:
        _follow(used, attributes, namespace, label, project, seen)


def _follow(
    used: str,
    attributes: tuple[str, ...],
    namespace: Mapping[str, Any],
    label: str,
    project: tuple[str, ...],
    seen: dict[str, str],
) -> None:
    """Resolve a name that a definition uses, and collect what it stands for."""
    value = namespace.get(used, _Missing)
    if value is _Missing:
        return
    for attribute in attributes:
        if not isinstance(value, types.ModuleType):
            break
        value = getattr(value, attribute, _Missing)
    if isinstance(value, (types.FunctionType, type)) or "__wrapped__" in getattr(value, "__dict__", {}):
        _collect(inspect.unwrap(value), project, seen)
    elif value is not _Missing and not isinstance(value, types.ModuleType):
        seen[f"{label}.{'.'.join((used, *attributes))}="] = _constant(value, project, seen)


class _Missing:
    pass


def _instance(value: Any, project: tuple[str, ...], seen: dict[str, str]) -> str:
    """A module-level object of a project class: its class, and what plain values it holds (not what it remembers)."""
    _collect(type(value), project, seen)
    held = {k: v for k, v in getattr(value, "__dict__", {}).items() if isinstance(v, _PLAIN)}
    items = tuple(value) if isinstance(value, tuple) else ()
    return type(value).__qualname__ + _constant(held, project, seen) + _constant(items, project, seen)


def _constant(value: Any, project: tuple[str, ...], seen: dict[str, str]) -> str:
    """Canonical text of a module-level value that code uses; project functions inside containers are followed."""
    if isinstance(value, re.Pattern):
        return f"re:{value.pattern!r}:{value.flags}"
    if isinstance(value, (str, bytes, int, float, bool, type(None), complex)):
        return repr(value)
    if type(value).__module__.split(".")[0] in project and not dataclasses.is_dataclass(type(value)):
        return _instance(value, project, seen)
    if isinstance(value, (frozenset, set)):
        return "{" + ",".join(sorted(_constant(v, project, seen) for v in value)) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ",".join(_constant(v, project, seen) for v in value) + "]"
    if isinstance(value, dict):
        parts = (f"{_constant(k, project, seen)}:{_constant(v, project, seen)}" for k, v in value.items())
        return "{" + ",".join(sorted(parts)) + "}"
    if isinstance(value, (types.FunctionType, type)):
        _collect(inspect.unwrap(value), project, seen)
        return f"{value.__module__}.{value.__qualname__}"
    if dataclasses.is_dataclass(type(value)):
        _collect(type(value), project, seen)
        return type(value).__qualname__ + _constant(
            {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, project, seen
        )
    return f"{type(value).__module__}.{type(value).__qualname__}"


# -- source as imported ------------------------------------------------------------------------------------------------

_DEFS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, slots=True)
class _Source:
    """A module's text at first use: its compiled code, and its definitions by qualified name."""

    code: types.CodeType
    nodes: Mapping[str, ast.AST]


@dataclass(frozen=True, slots=True)
class _Definition:
    """What counts of one function or class, worked out once."""

    canonical: str
    names: Sequence[tuple[str, tuple[str, ...]]]
    imports: Sequence[tuple[str, str, str]]
    """(module, name, bound name) of the imports inside it."""


def _definition(target: Any, module: str, qualname: str) -> _Definition:
    label = f"{module}:{qualname}"
    known = _frozen_definitions.get(label)
    if known is not None and known[0] is target:
        return known[1]
    source = _frozen_source(module)
    node = source.nodes.get(qualname)
    if node is None:
        raise SourceMoved(f"{label} is not in its file any more; restart to take the edit")
    for function in _functions(target):
        if not _runs(function, source.code):
            raise SourceMoved(f"{label} was edited after it was imported; restart to take the edit")
    definition = _Definition(_canonical(node), _names(node), _imports(node))
    _frozen_definitions[label] = target, definition
    return definition


def _functions(target: Any) -> Iterable[types.FunctionType]:
    if isinstance(target, types.FunctionType):
        yield target
    elif isinstance(target, type):
        for value in vars(target).values():
            inner = (
                inspect.unwrap(getattr(value, "__func__", value))
                if callable(getattr(value, "__func__", value))
                else None
            )
            if isinstance(inner, types.FunctionType) and inner.__code__.co_filename == _file_of(target.__module__):
                yield inner


def _file_of(module: str) -> str:
    return getattr(sys.modules[module], "__file__", "") or ""


def _frozen_source(module: str) -> _Source:
    frozen = _frozen_modules.get(module)
    if frozen is None:
        path = Path(_file_of(module))
        text = path.read_text(encoding="utf-8")
        nodes: dict[str, ast.AST] = {}
        _index(ast.parse(text), "", nodes)
        frozen = _Source(compile(text, str(path), "exec", dont_inherit=True), nodes)
        _frozen_modules[module] = frozen
    return frozen


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


def _runs(function: types.FunctionType, code: types.CodeType) -> bool:
    """Whether the running function is one that the frozen source compiles to."""
    wanted = function.__code__
    stack = [code]
    while stack:
        here = stack.pop()
        for constant in here.co_consts:
            if isinstance(constant, types.CodeType):
                if constant.co_name == wanted.co_name and _same_code(constant, wanted):
                    return True
                stack.append(constant)
    return False


def _same_code(a: types.CodeType, b: types.CodeType) -> bool:
    if a.co_code != b.co_code or a.co_names != b.co_names or len(a.co_consts) != len(b.co_consts):
        return False
    for x, y in zip(a.co_consts, b.co_consts, strict=True):
        if isinstance(x, types.CodeType) and isinstance(y, types.CodeType):
            if not _same_code(x, y):
                return False
        elif type(x) is not type(y) or x != y:
            return False
    return True


# -- canonical form ----------------------------------------------------------------------------------------------------


def _canonical(node: ast.AST) -> str:
    """Hash of a definition's AST without comments and docstrings, locals numbered in order of appearance."""
    return hashlib.blake2b(_text(node, _locals(node)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


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


def _locals(node: ast.AST) -> dict[str, str]:
    """New names of what a function assigns, so that a local's name does not count; parameters keep theirs (callers name them)."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {}
    inside = list(ast.walk(node))
    kept = {n.arg for n in inside if isinstance(n, ast.arg)}
    kept |= {n for d in inside if isinstance(d, (ast.Global, ast.Nonlocal)) for n in d.names}
    renamed: dict[str, str] = {}
    for inner in inside:
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store) and inner.id not in kept:
            renamed.setdefault(inner.id, f"local{len(renamed)}")
    return renamed


def _names(node: ast.AST) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Names that a definition uses, each with the attributes read off it (``module.function`` gives both)."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    for inner in ast.walk(node):
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


def _imports(node: ast.AST) -> Sequence[tuple[str, str, str]]:
    return [
        (inner.module, alias.name, alias.asname or alias.name)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom) and inner.module and not inner.level
        for alias in inner.names
    ]


def _late_imports(definition: _Definition, project: tuple[str, ...]) -> dict[str, Any]:
    """What imports inside a definition bind, for project modules (third-party ones are named by ``packages``)."""
    bound: dict[str, Any] = {}
    for module, name, bound_name in definition.imports:
        if module.split(".")[0] in project:
            value = getattr(importlib.import_module(module), name, None)
            bound[bound_name] = value or importlib.import_module(f"{module}.{name}")
    return bound

"""Producer versions: what a derivation's code, packages, assets and settings are, as one short hash (ARCHITECTURE 4).

The version of a function is the AST of its source *as imported* (comments, docstrings and the names of locals apart),
together with every project function, class and constant that it reaches by name. Source is read once, at first use, and
held against the code that runs: a file edited after its import raises ``SourceMoved`` instead of giving the new text's
version to the old code. Nothing here decides what to recompute; see ``engine.plan``.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cortex_assets.engine.definitions import Definition, Sources, file_of, keep
from cortex_assets.engine.stamp import code_stamp

PROJECT = ("cortex_assets", "inference", "resources", "sensors", "apps")
_PLAIN = (str, bytes, int, float, bool, type(None), re.Pattern, tuple, frozenset)
_sources = Sources()
_frozen_definitions: dict[str, tuple[object, Definition]] = {}
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
        version = self._version(project, importlib.metadata.version)
        _keep()
        return version

    def _version(self, project: Sequence[str], installed: Callable[[str], str]) -> str:
        digest = hashlib.blake2b(digest_size=8)
        for function in self.functions:
            digest.update(function_version(function, project).encode())
        for package in sorted(self.packages):
            digest.update(f"{package}={installed(package)}".encode())
        for asset in sorted(self.assets):
            digest.update(hashlib.blake2b(asset.read_bytes()).digest())
        for name in sorted(self.settings):
            digest.update(f"{name}={self.settings[name]!r}".encode())
        return digest.hexdigest()


def versions_of(producers: Mapping[str, Producer]) -> dict[str, str]:
    """The versions of some producers, by the names that they have there."""
    installed = cache(importlib.metadata.version)
    versions = {name: producer._version(PROJECT, installed) for name, producer in producers.items()}
    _keep()
    return versions


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
        self._learned = False
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            stored = json.loads(path.read_bytes())
            if stored["code"] == self._stamp.digest and self._stamp.is_what_runs:
                self._versions = dict(stored["versions"])

    def get(self, label: str) -> str | None:
        """The version of a function, by module and name."""
        return self._versions.get(label)

    def put(self, label: str, version: str) -> None:
        """Remember a version, where this process runs the code that is there."""
        if self._stamp.is_what_runs:
            self._versions[label] = version
            self._learned = True

    def save(self) -> None:
        """Write the file, where something was put."""
        if not self._learned:
            return
        keep(self._path, {"code": self._stamp.digest, "versions": self._versions})
        self._learned = False


_memo: Memo | None = None


def remember_in(folder: Path | None) -> None:
    """Keep function versions, and what is known of each module's text, in files of a folder from now on; None: nowhere.

    The versions are those of one state of all code; what is known of a text holds for as long as that text is there.
    """
    global _memo, _sources
    _memo = None if folder is None else Memo(folder / "producers.json")
    _sources = Sources(None if folder is None else folder / "definitions.json")


def _keep() -> None:
    if _memo is not None:
        _memo.save()
    _sources.save()


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


def _definition(target: Any, module: str, qualname: str) -> Definition:
    label = f"{module}:{qualname}"
    known = _frozen_definitions.get(label)
    if known is not None and known[0] is target:
        return known[1]
    source = _sources.of(module)
    definition = source.definition(qualname)
    if definition is None:
        raise SourceMoved(f"{label} is not in its file any more; restart to take the edit")
    for function in _functions(target):
        if not source.runs(function):
            raise SourceMoved(f"{label} was edited after it was imported; restart to take the edit")
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
            if isinstance(inner, types.FunctionType) and inner.__code__.co_filename == file_of(target.__module__):
                yield inner


def _late_imports(definition: Definition, project: tuple[str, ...]) -> dict[str, Any]:
    """What imports inside a definition bind, for project modules (third-party ones are named by ``packages``)."""
    bound: dict[str, Any] = {}
    for module, name, bound_name in definition.imports:
        if module.split(".")[0] in project:
            value = getattr(importlib.import_module(module), name, None)
            bound[bound_name] = value or importlib.import_module(f"{module}.{name}")
    return bound

"""A YAML text as values that know their line, so that whatever is wrong in it is told with the line and the remedy.

What the values mean is ``configuration``'s.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference.errors import ConfigInvalid

_DEEPEST: Final = 20
_MOST_BYTES: Final = 1_000_000
_MOST_VALUES: Final = 100_000
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Place:
    """One value of the file.

    Attributes:
        value: a dict of names to places, a list of places, or a plain value.
        file: as it is called in messages.
        line: from 1; 0 where it does not come from a file.
        path: such as ``lanes.coder.deadline``.
    """

    value: Any
    file: str
    line: int
    path: str

    def wrong(self, problem: str) -> ConfigInvalid:
        """The error that names this place."""
        where = f"{self.file} line {self.line}" if self.line else self.file
        return ConfigInvalid(f"{where}: {f'`{self.path}` ' if self.path else ''}{problem}")

    def mapping(self, allowed: Sequence[str]) -> dict[str, "Place"]:
        """Its entries; empty where nothing stands.

        Raises:
            ConfigInvalid: it is no mapping, or has an entry that is not known.
        """
        entries = self.entries()
        for name, entry in entries.items():
            if name not in allowed:
                raise entry.wrong(f"is not known; there are {', '.join(allowed)}")
        return entries

    def entries(self) -> dict[str, "Place"]:
        """The same with any names."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("must be a mapping, with `name: value` on lines of their own below")
        return self.value

    def items(self) -> list["Place"]:
        """Of a list; a single value is a list of one."""
        return self.value if isinstance(self.value, list) else [self]

    def text(self, most: int = 2000) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip() or len(self.value) > most:
            raise self.wrong("must be a text")
        if any(not one.isprintable() for one in self.value):
            raise self.wrong("must be a text on one line")
        return self.value.strip()

    def one_of(self, allowed: Sequence[str]) -> str:
        """One of some words."""
        if self.value not in allowed:
            raise self.wrong(f"is {self._shown()}, which is none of {', '.join(allowed)}")
        return str(self.value)

    def number(self, least: float, most: float = 1e9) -> float:
        """A number within bounds; of a variable of the environment, one that is written as text."""
        value = self.value
        if isinstance(value, int) and abs(value) > 10**300:
            value = math.inf
        if self.line == 0 and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            raise self.wrong(f"is {self._shown()}, and must be a number")
        if not least <= value <= most:
            raise self.wrong(f"is {value:g}, and must be from {least:g} to {most:g}")
        return float(value)

    def whole(self, least: int, most: int = 10**9) -> int:
        """A whole number within bounds."""
        value = self.number(least, most)
        if value != int(value):
            raise self.wrong(f"is {value:g}, and must be a whole number")
        return int(value)

    def flag(self) -> bool:
        """``true`` or ``false``."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"is {self._shown()}, and must be true or false")
        return self.value

    def _shown(self) -> str:
        return repr(self.value)[:_SHOWN] if not isinstance(self.value, (dict, list)) else "more than one value"


def read_places(text: str, file: str) -> Place:
    """The whole of a YAML text.

    Raises:
        ConfigInvalid: it is not YAML, too large, or names a thing twice.
    """
    import yaml

    if len(text) > _MOST_BYTES:
        raise ConfigInvalid(f"{file}: is larger than {_MOST_BYTES:,} bytes; is it the right file?")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None and _size(node, {}) > _MOST_VALUES:
            raise ConfigInvalid(f"{file}: holds more than {_MOST_VALUES:,} values, counting what `*` repeats")
        return Place(None, file, 1, "") if node is None else _place(loader, node, file, "", 0)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigInvalid(f"{file}{where}: not YAML ({problem}); compare with docs/configuration.md") from None
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: Any, known: dict[int, int]) -> int:
    """Values below a node, those that an alias repeats counted again; a node within itself counts once."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1
    below = node.value if isinstance(node.value, list) else []
    parts = [part for one in below for part in (one if isinstance(one, tuple) else (one,))]
    known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _place(loader: Any, node: Any, file: str, path: str, depth: int) -> Place:
    import yaml

    line = node.start_mark.line + 1
    here = Place(None, file, line, path)
    if depth > _DEEPEST:
        raise here.wrong("is nested too deeply")
    if isinstance(node, yaml.MappingNode):
        return Place(dict(_entries(loader, node, here, depth)), file, line, path)
    if isinstance(node, yaml.SequenceNode):
        items = [_place(loader, one, file, f"{path}[{at}]", depth + 1) for at, one in enumerate(node.value, 1)]
        return Place(items, file, line, path)
    try:
        return Place(loader.construct_object(node), file, line, path)
    except (ValueError, LookupError, AttributeError):  # a date that is none, a tag on what it does not fit
        raise here.wrong("is a value that cannot be") from None


def _entries(loader: Any, node: Any, here: Place, depth: int) -> Iterator[tuple[str, Place]]:
    seen: set[str] = set()
    for key_node, value_node in node.value:
        name = str(getattr(key_node, "value", "?")) if not isinstance(getattr(key_node, "value", None), list) else "?"
        path = f"{here.path}.{name}" if here.path else name
        entry = _place(loader, value_node, here.file, path, depth + 1)
        line = key_node.start_mark.line + 1
        if name in seen:
            raise Place(None, here.file, line, path).wrong("stands there twice; keep one")
        seen.add(name)
        yield name, Place(entry.value, here.file, line, path)

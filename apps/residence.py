"""One house that stays open in a process that lives long (the app, the worker), for reading.

Opening a house is cheap, but what it keeps is not: handles of tables, generations of the index, a loaded embedder. A process
that calls ``stay_open`` answers every read from the same ones; they follow what others commit. A command that ends after
one question opens its own. Writers always do (``running.opened``): a run keeps state that two must not share.
"""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from cortex_assets.house import House
from cortex_assets.tables import TableSpec
from resources.settings import Settings, load_settings

MOST_KEPT = 256
_Value = TypeVar("_Value")
_lock = threading.Lock()
_is_staying = False
_house: tuple[Settings, House] | None = None
_values: dict[Hashable, Any] = {}


def stay_open() -> None:
    """From now on this process reads through one house; it is closed when the settings change or ``leave`` is called."""
    global _is_staying
    with _lock:
        _is_staying = True


def leave() -> None:
    """Close the house that stayed open, and forget what was computed."""
    global _is_staying, _house
    with _lock:
        _is_staying = False
        _values.clear()
        if _house is not None:
            _house[1].close()
            _house = None


@contextmanager
def looked_in() -> Iterator[House]:
    """The house that stays open, or one that is open for this read only."""
    settings = load_settings()
    if _is_staying:
        yield _resident(settings)
        return
    with House.open(settings) as house:
        yield house


def _resident(settings: Settings) -> House:
    global _house
    with _lock:
        if _house is None or _house[0] != settings:
            if _house is not None:
                _house[1].close()
                _values.clear()
            _house = settings, House(settings)
        return _house[1]


def remembered(house: House, what: Hashable, tables: Sequence[TableSpec], make: Callable[[], _Value]) -> _Value:
    """What ``make`` gave, now or earlier, while none of the tables moved.

    Args:
        house: whose tables.
        what: names the value, with everything but the tables that it depends on.
        tables: what it is computed from; a commit to one of them makes it anew.
        make: computes it.
    """
    key = (house.lake.root, what, tuple(house.lake.stamp(table) for table in tables))
    with _lock:
        if key in _values:
            return cast(_Value, _values[key])
    value = make()
    with _lock:
        while len(_values) >= MOST_KEPT:
            _values.pop(next(iter(_values)))
        _values[key] = value
    return value

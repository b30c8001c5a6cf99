"""Parses one file in child processes as often as it takes: what ends a child is left out, the rest is read.

A parser says with a ``Mark`` what it begins on. Where the child then dies, hangs or runs out of memory, the file is
parsed again without that unit. Pages of one document that failed are read once more, each in a fresh process. What the
units are is the parsers'; what a failure means for a table is the derivation's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cortex_assets.documents.model import UNIT_SEPARATOR, Mark, ParsedDocument, ParseOptions, page_unit
from cortex_assets.tables import short_reason

MOST_RESTARTS = 16
"""A file with more deadly units than this is given up at that unit."""
MOST_PAGES_APART = 64
FRUITLESS_PAGES = 4
"""After so many pages that cannot be read apart either, the others are not tried: each costs a process."""
HELD_CHARS = 64 * 1024 * 1024
"""Documents are held back for a second look at their pages while their texts are together below this."""
_RAISED = frozenset({"Failed", "Unreadable"})


class Call(Protocol):
    """A call in a child process: iterate over what it gives, then ask how it ended."""

    def __iter__(self) -> Iterator[Any]: ...

    @property
    def outcome(self) -> Any:
        """Ends with ``reason`` (empty where all went well) and ``is_permanent``."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a file could not be parsed to its end, or only without some units.

    Attributes:
        reason: one line.
        is_transient: time or memory ran out, or bytes could not be read: worth another try.
        is_raised: the parser raised; the process lived on.
        is_whole: nothing more could be read. False: only units were left out, each with a row or a page that says so.
    """

    reason: str
    is_transient: bool
    is_raised: bool = False
    is_whole: bool = True


class Recovery:
    """One file; iterate over ``documents()``, then read ``ending``.

    Args:
        parse: starts a parse with the given options.
        read_page: reads the text of one page in a fresh process; None for formats without pages.
        options: those of the first attempt.
    """

    def __init__(
        self,
        parse: Callable[[ParseOptions], Call],
        read_page: Callable[[int, ParseOptions], Call] | None,
        options: ParseOptions,
    ) -> None:
        self._parse, self._read_page, self._options = parse, read_page, options
        self._avoid = dict(options.avoid)
        self._transient = ""
        self.ending: Ending | None = None

    def documents(self) -> Iterator[ParsedDocument]:
        """Every document of the file, each once."""
        if self._read_page is None:
            yield from self._all()
            return
        held: list[ParsedDocument] = []
        chars = 0
        source = self._all()
        for document in source:
            held.append(document)
            chars += len(document.text)
            if chars > HELD_CHARS:
                yield from held
                yield from source
                return
        failed = sorted(
            {page for document in held if not document.inner.startswith("/") for page in document.failed_pages}
        )
        given = self._pages_apart(failed, self._read_page)
        if not given:
            yield from held
            return
        self._avoid = {unit: why for unit, why in self._avoid.items() if unit not in given}
        self._options = replace(self._options, given={**self._options.given, **given})
        self.ending = None
        yield from self._all()

    def _all(self) -> Iterator[ParsedDocument]:
        """The documents, over as many attempts as there are deadly units."""
        passed = 0
        for _ in range(MOST_RESTARTS + 1):
            unit: str | None = None
            count = 0
            call = self._parse(replace(self._options, avoid=dict(self._avoid)))
            for item in call:
                if isinstance(item, Mark):
                    unit = item.unit
                    continue
                count += 1
                if count > passed:
                    passed = count
                    yield item
            outcome = call.outcome
            if not outcome.reason:
                if self._transient:
                    self.ending = Ending(self._transient, True, is_whole=False)
                return
            is_raised = type(outcome).__name__ in _RAISED
            if is_raised or unit is None or unit in self._avoid or len(self._avoid) >= MOST_RESTARTS:
                self.ending = Ending(outcome.reason, not outcome.is_permanent, is_raised)
                return
            self._avoid[unit] = short_reason(outcome.reason)
            if not outcome.is_permanent:
                self._transient = short_reason(f"{unit.replace(UNIT_SEPARATOR, ' ')}: {outcome.reason}")

    def _pages_apart(self, failed: list[int], read_page: Callable[[int, ParseOptions], Call]) -> dict[str, str]:
        """Texts of failed pages that a fresh process can read, by unit."""
        given: dict[str, str] = {}
        for index, number in enumerate(failed[:MOST_PAGES_APART]):
            call = read_page(number, self._options)
            texts = [text for text in call if isinstance(text, str)]
            if not call.outcome.reason and texts:
                given[page_unit(number)] = texts[0]
            elif index + 1 >= FRUITLESS_PAGES and not given:
                break
        return given

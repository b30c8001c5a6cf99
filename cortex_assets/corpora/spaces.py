"""Which embedding spaces a corpus is in: those that are searched, those of a migration under way, those kept to go back to (pure).

A layout says which chunks are searched in which space: all in one, or code in the space of a model of its own and the rest
in the main one. A migration goes from the layout that serves to the next one; afterwards the one before is kept for a
rollback. What makes, compares and switches them is ``cortex_assets.moving``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

CODE = "code"
KINDS = frozenset({"prose", "table", CODE, "data"})
"""Kinds of chunks."""


@dataclass(frozen=True, slots=True)
class Live:
    """A space, and the configuration of the engine that makes its vectors."""

    embed: str
    space_id: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The space of most chunks, and that of code where code has one of its own."""

    main: Live
    code: Live | None = None

    @property
    def lives(self) -> tuple[Live, ...]:
        """Its spaces, the main one first."""
        return (self.main,) if self.code is None else (self.main, self.code)

    @property
    def selections(self) -> dict[str, frozenset[str]]:
        """Space id to the kinds of chunks that are searched there: every chunk in exactly one."""
        if self.code is None:
            return {self.main.space_id: KINDS}
        return {self.main.space_id: KINDS - {CODE}, self.code.space_id: frozenset({CODE})}

    def step(self, other: "Layout") -> tuple[str, str]:
        """The first two spaces that differ, in this layout and in another: what a migration from one to the other is about."""
        if self.main.space_id != other.main.space_id:
            return self.main.space_id, other.main.space_id
        return (self.code or self.main).space_id, (other.code or other.main).space_id


@dataclass(frozen=True, slots=True)
class Spaces:
    """What a corpus' row says of spaces beside the main one that serves.

    Attributes:
        code: the space of code that serves, where code has one.
        next: the layout of a migration under way.
        previous: the layout that served before the last migration, kept for a rollback.
        since: when ``next`` was begun, or ``previous`` left.
        is_back: ``next`` is where the corpus came from: a person wants it back, so no gate is asked.
        cut: configuration of the engine whose tokenizer and limit chunks are cut by; empty: that of the main space. It stays
            through migrations, so that chunks, their ids and what cites them do.
    """

    code: Live | None = None
    next: Layout | None = None
    previous: Layout | None = None
    since: datetime | None = None
    cut: str = ""
    is_back: bool = False

    def begun(self, layout: Layout, now: datetime) -> "Spaces":
        """A migration to a layout begins; what was kept from the last one is kept no longer."""
        return replace(self, next=layout, previous=None, since=now, is_back=False)

    def ended(self) -> "Spaces":
        """Neither a migration nor anything to go back to."""
        return replace(self, next=None, previous=None, since=None, is_back=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values; empty where there is only the main space."""
        values = {
            "code": _live_out(self.code),
            "next": _layout_out(self.next),
            "previous": _layout_out(self.previous),
            "since": self.since.isoformat() if self.since else None,
            "cut": self.cut,
            "is_back": self.is_back,
        }
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Spaces":
        """Inverse of ``to_json``."""
        since = values.get("since")
        return cls(
            _live_in(values.get("code")),
            _layout_in(values.get("next")),
            _layout_in(values.get("previous")),
            datetime.fromisoformat(since) if since else None,
            values.get("cut", ""),
            values.get("is_back", False),
        )


ONE_SPACE = Spaces()


def _live_out(live: Live | None) -> list[str] | None:
    return None if live is None else [live.embed, live.space_id]


def _live_in(values: Any) -> Live | None:
    return Live(*values) if values else None


def _layout_out(layout: Layout | None) -> list[list[str]] | None:
    return None if layout is None else [[live.embed, live.space_id] for live in layout.lives]


def _layout_in(values: Any) -> Layout | None:
    return Layout(*(Live(*live) for live in values)) if values else None

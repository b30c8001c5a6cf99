"""What migrations of embedding spaces give back; beside ``apps.reports``, which says how reports are made."""

from dataclasses import dataclass
from datetime import datetime

UNDER_WAY, KEPT = "under way", "kept"


@dataclass(frozen=True, slots=True)
class MigrationLine:
    """How the migration of one corpus stands.

    Attributes:
        corpus: its name.
        state: ``under way``, or ``kept``: it is done, and what served before is kept for a rollback.
        serving: the spaces that are searched, the main one first.
        other: the spaces that it goes to, or that are kept.
        since: when it was begun, or done; None where a model became another one by itself.
        texts: that are to have a vector in ``other``; 0 where it is done.
        vectors: of them, those that are made.
        waits_for: what the switch still waits for; empty where it is done.
        note: what the gate said, or until when the spaces before are kept.
    """

    corpus: str
    state: str
    serving: tuple[str, ...]
    other: tuple[str, ...]
    since: datetime | None
    texts: int
    vectors: int
    waits_for: tuple[str, ...]
    note: str

    @property
    def share(self) -> str:
        """Vectors that are made of those that are to be."""
        return f"{self.vectors / self.texts:.0%}" if self.texts else "0%"

    @property
    def text(self) -> str:
        """One line for people."""
        serving, other = _named(self.serving), _named(self.other)
        if self.state == KEPT:
            return f"searched in {serving}; {other} is kept for a rollback {self.note}"
        return f"on its way from {serving} to {other}: {self.share}; waits for {', '.join(self.waits_for)}"


def _named(spaces: tuple[str, ...]) -> str:
    """The spaces of a layout in words."""
    return " and ".join((spaces[0], *(f"{code} for code" for code in spaces[1:])))


@dataclass(frozen=True, slots=True)
class MigrationsReport:
    """All migrations that are under way, or kept from."""

    lines: tuple[MigrationLine, ...]

"""What a search may be narrowed to. Backends translate ``conditions()``; nothing here knows Qdrant.

Add a field to ``Filter`` and a line to ``conditions`` when the payload gets a new column worth filtering by, and name
the column in ``KEYWORD_FIELDS``: a server indexes it, the embedded index numbers its combinations (``payloads``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import pathspec

KEYWORD_FIELDS = ("corpus_id", "document_id", "kind", "language", "path")
DATETIME_FIELDS = ("modified_at",)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The payload field holds one of ``values``."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The payload field (ISO 8601 text) is at or after ``after`` and before ``before``; None leaves a side open."""

    key: str
    after: str | None
    before: str | None


Condition: TypeAlias = AnyOf | Between


@dataclass(frozen=True, slots=True)
class Filter:
    """All given fields must hold; within a field any value will do. An empty tuple means: not asked.

    Attributes:
        corpora: corpus ids.
        kinds: kinds of document, such as ``markdown``.
        languages: programming languages.
        path_globs: as in a .gitignore file and case-sensitive: ``docs/**/*.md``, ``*.py`` (at any depth), ``docs/``
            (all below), ``!docs/old/**`` (a later pattern takes away again).
        modified_after: at or after; must know its time zone.
        modified_before: before; must know its time zone.
        document_ids: ids of documents.
    """

    corpora: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    path_globs: tuple[str, ...] = ()
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    document_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would match nothing or everything by accident."""
        if any(not glob.strip().strip("!/") for glob in self.path_globs):
            raise ValueError(f"path glob {self.path_globs!r} holds an empty pattern; write '**' for every path")
        for moment in (self.modified_after, self.modified_before):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"filter date {moment} has no time zone; pass an aware datetime")

    def conditions(self) -> tuple[Condition, ...]:
        """Everything but the path globs, which need the paths there are (``matching_paths``)."""
        fields = {
            "corpus_id": self.corpora,
            "kind": self.kinds,
            "language": self.languages,
            "document_id": self.document_ids,
        }
        found: list[Condition] = [AnyOf(key, values) for key, values in fields.items() if values]
        if self.modified_after is not None or self.modified_before is not None:
            found.append(Between("modified_at", _iso(self.modified_after), _iso(self.modified_before)))
        return tuple(found)


def matching_paths(globs: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The paths that the globs select, in the order given; see ``Filter.path_globs`` for their meaning."""
    lines = [f"\\{glob}" if glob.startswith("#") else glob for glob in globs]
    if lines and all(line.startswith("!") for line in lines):
        lines.insert(0, "**")
    spec = pathspec.GitIgnoreSpec.from_lines(lines)
    return [path for path in paths if spec.match_file(path)]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

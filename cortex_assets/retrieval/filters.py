"""How people write what a search is limited to: ``kind:markdown path:docs/** after:2026-01-31``.

The store applies it, and says what a glob means; its own filter has the same fields. Ranking does not belong here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_KEYS = {
    "corpus": "corpora",
    "kind": "kinds",
    "language": "languages",
    "lang": "languages",
    "path": "path_globs",
    "document": "document_ids",
    "after": "modified_after",
    "before": "modified_before",
}


class FilterError(ValueError):
    """A filter that cannot be understood; the message names the part and the remedy."""


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a search is limited to; values of a field are alternatives, fields are all required, empty keeps everything.

    Attributes:
        corpora: corpora as they were written: names or ids.
        kinds: of documents, such as ``markdown``.
        languages: of text or code, lower case.
        path_globs: over the display path.
        modified_after: inclusive, UTC.
        modified_before: exclusive, UTC.
        document_ids: ids of documents.
    """

    corpora: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    path_globs: tuple[str, ...] = ()
    modified_after: datetime | None = None
    modified_before: datetime | None = None

    document_ids: tuple[str, ...] = ()


def parse_date(text: str, name: str) -> datetime:
    """An ISO date or date and time as UTC; without a zone it is UTC, a bare date its first moment.

    Raises:
        FilterError: when it is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise FilterError(f"{name}: {text!r} is not a date; write it like 2026-01-31 or 2026-01-31T18:00") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_filters(expressions: Sequence[str]) -> SearchFilter:
    """Filters as written on a command line: ``key:value`` or ``key=value``, values with commas, keys repeatable.

    Keys are corpus, kind, language (or lang), path, after, before. Corpora come back as they were written: names or
    ids.

    Raises:
        FilterError: for an unknown key, an empty value or glob, a bad date or an empty span of time.
    """
    lists: dict[str, list[str]] = {name: [] for name in ("corpora", "kinds", "languages", "path_globs", "document_ids")}
    dates: dict[str, datetime] = {}
    for expression in expressions:
        key, value = _key_and_value(expression)
        field = _KEYS[key]
        if field in lists:
            lists[field] += [part.strip() for part in value.split(",") if part.strip()]
        elif field in dates:
            raise FilterError(f"{key} is given twice; give it once")
        else:
            dates[field] = parse_date(value, key)
    empty = next((glob for glob in lists["path_globs"] if not glob.strip("!/ ")), None)
    if empty is not None:
        raise FilterError(f"path glob {empty!r} is empty; write it like docs/** or *.md")
    after, before = dates.get("modified_after"), dates.get("modified_before")
    if after is not None and before is not None and after >= before:
        raise FilterError(
            f"after {after:%Y-%m-%d} is not earlier than before {before:%Y-%m-%d}: nothing can match; swap them"
        )
    lists["languages"] = [language.lower() for language in lists["languages"]]
    unique = {name: tuple(dict.fromkeys(values)) for name, values in lists.items()}
    return SearchFilter(**unique, modified_after=after, modified_before=before)


def _key_and_value(expression: str) -> tuple[str, str]:
    match = re.match(r"\s*(\w+)\s*[:=]\s*(.*\S)\s*$", expression, re.DOTALL)
    if match is None:
        raise FilterError(f"filter {expression!r} is not key:value; write it like kind:markdown or path:docs/**")
    key = match[1].lower()
    if key not in _KEYS:
        raise FilterError(f"filter {key!r} is unknown; there are {', '.join(sorted(set(_KEYS) - {'lang'}))}")
    return key, match[2]

"""When a question asks for a time: "last week", "since 2026-03-01", "the latest". What changed then is lifted, nothing is left out.

Only when it was changed is known of a passage, so a year alone ("in 2010") is a word like others, and so is a number that may
count or name something else ("listens on 8080", "after 2000 requests"). The present moment is an argument. Filters that leave
out are ``filters``'.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cortex_assets.retrieval.filters import FilterError, parse_date

LIFT = 0.25
"""Share of the score that time has where a question asks for one."""

_LATEST = re.compile(r"\b(?:latest|newest|most recent(?:ly)?|recent(?:ly)?|last changed|up to date)\b", re.IGNORECASE)
_RELATIVE = re.compile(
    r"\b(?:(?P<day>today|yesterday)|(?P<which>this|last|past) (?:(?P<count>\d{1,3}) )?(?P<unit>day|week|month|year)s?)\b",
    re.IGNORECASE,
)
_DATED = re.compile(
    r"\b(?P<side>since|after|before|until|on|changed in|modified in|written in|from) (?P<date>\d{4}(?:-\d{2}(?:-\d{2})?)?)\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"[:.,]\d|\s*(?:%|[kmg]?b\b|[mnu]?s\b)|\s+(?!(?:is|was|has|does|this|as|us)\b)[a-z]+s\b", re.IGNORECASE
)
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_OPEN = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class AskedTime:
    """The time that a question asks for.

    Attributes:
        words: those of the question that say so.
        start: inclusive, UTC.
        end: exclusive.
        is_latest: the later the better, within the period.
    """

    words: str
    start: datetime
    end: datetime
    is_latest: bool = False


def asked_time(question: str, now: datetime | None) -> AskedTime | None:
    """The time that a question asks for; None for none, or where a relative one has no ``now`` to go by."""
    for dated in _DATED.finditer(question):
        if _is_date(dated, question, now) and (found := _of_date(dated)) is not None:
            return found
    relative = _RELATIVE.search(question)
    if relative is not None and now is not None:
        return _relative_to(now, relative)
    latest = _LATEST.search(question)
    return AskedTime(latest[0], *_OPEN, is_latest=True) if latest is not None else None


def _is_date(dated: re.Match[str], question: str, now: datetime | None) -> bool:
    """Whether four digits are a year: one that files can be of, behind no ``on``, and before nothing that it counts."""
    if "-" in dated["date"]:
        return True
    last = now.year + 1 if now is not None else _LAST_YEAR
    counts = _COUNTED.match(question, dated.end()) is not None
    return dated["side"].lower() != "on" and _FIRST_YEAR <= int(dated["date"]) <= last and not counts


def fits(asked: AskedTime, changed: Mapping[str, object]) -> dict[str, float]:
    """How well each candidate fits, 0..1.

    Args:
        asked: see ``asked_time``.
        changed: chunk id to when its document was changed: a datetime, ISO 8601 text, or None.
    """
    times = {key: moment for key, value in changed.items() if (moment := _moment(value)) is not None}
    if not asked.is_latest:
        return {key: float(asked.start <= moment < asked.end) for key, moment in times.items()}
    order = sorted(set(times.values()))
    last = max(len(order) - 1, 1)
    place = {moment: number / last for number, moment in enumerate(order)} if len(order) > 1 else {}
    return {key: place.get(moment, 0.0) for key, moment in times.items()}


def _of_date(found: re.Match[str]) -> AskedTime | None:
    text, side = found["date"], found["side"].lower()
    try:
        start = parse_date(text + "-01" * (2 - text.count("-")), "date")
        end = _after(start, text.count("-"))
    except (FilterError, ValueError, OverflowError):
        return None
    if side == "since":
        end = _OPEN[1]
    elif side == "after":
        start, end = end, _OPEN[1]
    elif side in ("before", "until"):
        start, end = _OPEN[0], start if side == "before" else end
    return AskedTime(found[0], start, end)


def _after(start: datetime, dashes: int) -> datetime:
    """The end of the year, month or day that begins at ``start``."""
    if dashes == 0:
        return start.replace(year=start.year + 1)
    if dashes == 1:
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=1)


def _relative_to(now: datetime, found: re.Match[str]) -> AskedTime:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = today + timedelta(days=1)
    if found["day"]:
        is_today = found["day"].lower() == "today"
        return AskedTime(found[0], *((today, tomorrow) if is_today else (today - timedelta(days=1), today)))
    days = _DAYS[found["unit"].lower()] * int(found["count"] or 1)
    return AskedTime(found[0], tomorrow - timedelta(days=days), tomorrow)


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

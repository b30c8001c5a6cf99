"""Calendars (iCalendar, RFC 5545; vCalendar 1.0): events, tasks and journal entries as readable entries under headings.

Times are as written, with the name of their time zone; nothing is converted or repeated. ``icalendar`` raises for a
whole file where one line is broken, so lines are read by ``content_lines``.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from cortex_assets.documents.content_lines import ContentLine, content_lines
from cortex_assets.documents.decode import NotTextError, text_parts
from cortex_assets.documents.entry_text import Entry, Outcome, decoded_texts, entry_documents
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.tables import Status

MAX_LINES = 20_000
"""Properties of one entry beyond this many are left out."""
MAX_DEPTH = 50
_KINDS = {"VEVENT": "event", "VTODO": "task", "VJOURNAL": "journal entry"}
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?")
_DURATION = re.compile(r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS = ("weeks", "days", "h", "min", "s")
_DAYS = dict(
    zip(
        ("MO", "TU", "WE", "TH", "FR", "SA", "SU"),
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
_EVERY = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year", "HOURLY": "hour"}
_ORDINALS = {
    "1": "first",
    "2": "second",
    "3": "third",
    "4": "fourth",
    "5": "fifth",
    "-1": "last",
    "-2": "second to last",
}
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_RULE_KEYS = frozenset({"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "COUNT", "UNTIL", "WKST"})
_PEOPLE = {"ORGANIZER": "Organizer", "ATTENDEE": "Attendees", "CONTACT": "Contact"}
_PLAIN = {
    "LOCATION": "Where",
    "STATUS": "Status",
    "CATEGORIES": "Categories",
    "PRIORITY": "Priority",
    "PERCENT-COMPLETE": "Percent done",
    "URL": "Link",
    "ATTACH": "Attachment",
}


def parse_calendar(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a calendar file."""
    try:
        encoding, texts = decoded_texts(text_parts(source.stream, source.size))
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))
        return
    reader = _Reader(texts)
    yield from entry_documents(reader.entries(), "calendar", encoding, reader.outcome)


class _Reader:
    """Reads components one after the other; asked for the outcome at the end."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines = content_lines(texts)
        self._name = ""
        self._is_calendar = False
        self._stray = 0
        self._has_text = False
        self._open = ""

    def entries(self) -> Iterator[Entry]:
        """The calendar's name, where it has one before its entries, then the entries."""
        stack: list[str] = []
        lines: list[ContentLine] = []
        for line in self._lines:
            self._has_text = True
            component = line.value.strip().upper()
            if line.name == "BEGIN":
                if component in _KINDS:
                    if lines:
                        yield self._entry(lines)
                        self._stray += 1
                    lines, stack = [line], [component]
                elif len(stack) < MAX_DEPTH:
                    stack.append(component)
                self._is_calendar = self._is_calendar or component == "VCALENDAR"
            elif line.name == "END":
                while component in stack and stack.pop() != component:
                    pass
                if component in _KINDS and lines:
                    yield self._entry(lines)
                    lines = []
            elif not line.is_known:
                self._stray += 1
            elif lines and stack[-1:] == [lines[0].value.strip().upper()]:
                if len(lines) < MAX_LINES:
                    lines.append(line)
            elif line.name in ("X-WR-CALNAME", "NAME") and not lines and not self._name:
                self._name = line.text.strip()
                yield Entry(1, self._name, "", "")
        self._open = _KINDS[lines[0].value.strip().upper()] if lines else ""
        if lines:
            yield self._entry(lines)

    def outcome(self) -> Outcome:
        """What became of the file."""
        problem = f"the file ends within its last {self._open} (cut off): export it again" if self._open else None
        doubt = f"{self._stray} lines are no calendar lines and were passed over" if self._stray else None
        if self._is_calendar:
            nothing = (Status.EMPTY, "the calendar has no entries")
        elif self._has_text:
            nothing = (Status.FAILED, "no calendar in it (no BEGIN:VCALENDAR or BEGIN:VEVENT): export it again as .ics")
        else:
            nothing = (Status.EMPTY, "the file has no text")
        return Outcome(self._name, problem, doubt, nothing)

    def _entry(self, lines: list[ContentLine]) -> Entry:
        """One component as an entry."""
        kind = _KINDS[lines[0].value.strip().upper()]
        first: dict[str, ContentLine] = {}
        for line in lines[1:]:
            first.setdefault(line.name, line)
        summary = " ".join(first["SUMMARY"].text.split()) if "SUMMARY" in first else ""
        title = summary or f"({kind} without a title)"
        rows = [*_times(first), *_repeats(lines), *_plain(lines), *_people(lines)]
        body = "\n".join(rows)
        for name in ("DESCRIPTION", "COMMENT"):
            if name in first and first[name].text.strip():
                body += ("\n\n" if body else "") + first[name].text.strip()
        start = first.get("DTSTART") or first.get("DUE")
        label = f"{_moment(start.value.strip(), '')} {title}" if start else title
        links = tuple(line.value for line in lines if line.name in ("URL", "ATTACH") and "://" in line.value[:20])
        return Entry(2 if self._name else 1, title, label, body, links)


def _times(first: dict[str, ContentLine]) -> Iterator[str]:
    """When: from, to, or how long."""
    start, end = first.get("DTSTART"), first.get("DTEND")
    if start is not None:
        text, until = _time(start), _end(end) if end is not None else ""
        if until and until != text:
            zone = start.parameters.get("TZID", "")
            if zone and until.endswith(f" {zone}"):
                text = text.removesuffix(f" {zone}")
            day, _, clock = until.partition(" ")
            text += f" – {clock if clock and text.startswith(day + ' ') else until}"
        elif "DURATION" in first and end is None:
            text += f", for {_duration(first['DURATION'].value)}"
        yield f"When: {text}"
    for name, label in (("DUE", "Due"), ("COMPLETED", "Completed")):
        if name in first:
            yield f"{label}: {_time(first[name])}"


def _time(line: ContentLine) -> str:
    """A date or time as written, readable, with its zone; what is none stays as it is."""
    return _moment(line.value.strip(), line.parameters.get("TZID", ""))


def _moment(value: str, zone: str) -> str:
    match = _TIME.fullmatch(value)
    if match is None:
        return value
    year, month, day, hour, minute, second, utc = match.groups()
    text = f"{year}-{month}-{day}"
    if hour is not None:
        text += f" {hour}:{minute}" + (f":{second}" if second not in (None, "00") else "")
    mark = "UTC" if utc else zone if hour is not None else ""
    return f"{text} {mark}".strip()


def _end(line: ContentLine) -> str:
    """An end; the one of whole days is the day after, so the last day is given."""
    match = _TIME.fullmatch(line.value.strip())
    if match is None or match[4] is not None:
        return _time(line)
    try:
        return str(date(int(match[1]), int(match[2]), int(match[3])) - timedelta(days=1))
    except (ValueError, OverflowError):
        return _time(line)


def _duration(value: str) -> str:
    """A duration in words; what is none stays as it is."""
    match = _DURATION.fullmatch(value.strip())
    if match is None or not any(match.groups()[1:]):
        return value.strip()
    return match[1] + " ".join(
        f"{amount} {unit}" for amount, unit in zip(match.groups()[1:], _UNITS, strict=True) if amount
    )


def _repeats(lines: list[ContentLine]) -> Iterator[str]:
    """Rules in words, and exceptions."""
    for line in lines:
        if line.name == "RRULE":
            yield f"Repeats: {rule_in_words(line.value)}"
    for name, label in (("RDATE", "Also"), ("EXDATE", "Except")):
        dates = [
            _moment(value.strip(), line.parameters.get("TZID", ""))
            for line in lines
            if line.name == name
            for value in line.value.split(",")
        ]
        if dates:
            yield f"{label}: {', '.join(dates[:200])}" + (f" and {len(dates) - 200} more" if len(dates) > 200 else "")


def rule_in_words(rule: str) -> str:
    """A recurrence rule in words; one with parts that have no words here stays as it is."""
    parts = dict(part.upper().split("=", 1) for part in rule.strip().split(";") if "=" in part)
    every = _EVERY.get(parts.get("FREQ", ""))
    days = [_day(day) for day in parts.get("BYDAY", "").split(",") if day]
    months = [_MONTHS[int(m) - 1] if m.isdigit() and 0 < int(m) < 13 else "" for m in _listed(parts, "BYMONTH")]
    if every is None or not set(parts) <= _RULE_KEYS or "" in days or "" in months:
        return rule.strip()
    interval = parts.get("INTERVAL", "1")
    words = f"every {every}" if interval == "1" else f"every {interval} {every}s"
    if days:
        words += f" on {', '.join(days)}"
    if month_days := _listed(parts, "BYMONTHDAY"):
        words += f" on day {', '.join(month_days)}"
    if months:
        words += f" in {', '.join(months)}"
    if "COUNT" in parts:
        words += f", {parts['COUNT']} times"
    if "UNTIL" in parts:
        words += f", until {_moment(parts['UNTIL'], '')}"
    return words


def _listed(parts: dict[str, str], key: str) -> list[str]:
    return [value for value in parts.get(key, "").split(",") if value]


def _day(value: str) -> str:
    """``MO`` or ``-1FR`` in words; empty for what is neither."""
    day, number = _DAYS.get(value[-2:], ""), value[:-2].lstrip("+")
    if not number or not day:
        return day
    return f"the {_ORDINALS[number]} {day}" if number in _ORDINALS else ""


def _plain(lines: list[ContentLine]) -> Iterator[str]:
    """Properties that are shown as they are."""
    for line in lines:
        label = _PLAIN.get(line.name)
        text = " ".join(line.text.split())
        if label and text and not (line.name == "ATTACH" and "://" not in text[:20]):
            yield f"{label}: {text}"


def _people(lines: list[ContentLine]) -> Iterator[str]:
    """Who: names, addresses and answers."""
    for name, label in _PEOPLE.items():
        people = [_person(line) for line in lines if line.name == name]
        if people:
            yield f"{label}: {', '.join(people)}"


def _person(line: ContentLine) -> str:
    text = line.text.strip()
    address = text[7:] if text.lower().startswith("mailto:") else text
    name = line.parameters.get("CN", "")
    answer = line.parameters.get("PARTSTAT", "").lower().replace("-", " ")
    who = f"{name} <{address}>" if name and name != address else address
    return f"{who} ({answer})" if answer and line.name == "ATTENDEE" else who

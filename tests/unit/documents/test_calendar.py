"""Calendars: entries as people read them, and what is broken kept or said."""

import io

import pytest

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.calendar import parse_calendar, rule_in_words
from cortex_assets.tables import Status


def parsed(raw: str | bytes) -> list[ParsedDocument]:
    data = raw.replace("\n", "\r\n").encode() if isinstance(raw, str) else raw
    return list(parse_calendar(ParseInput(io.BytesIO(data), len(data), "a.ics", "text/calendar")))


def only(raw: str | bytes) -> ParsedDocument:
    documents = parsed(raw)
    assert len(documents) == 1
    assert (documents[0].reason is None) == (documents[0].status is Status.OK)
    return documents[0]


def calendar(*lines: str) -> str:
    return "\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""])


def event(*lines: str) -> str:
    return "\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])


PLANNING = event(
    "DTSTART;TZID=Europe/Berlin:20260302T090000",
    "DTEND;TZID=Europe/Berlin:20260302T103000",
    "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20261231T000000Z",
    "EXDATE;TZID=Europe/Berlin:20260316T090000",
    "SUMMARY:Planning\\, wee",
    " kly",
    "LOCATION:Room 5\\; second floor",
    'ORGANIZER;CN="Müller, Jana":mailto:jana@example.org',
    "ATTENDEE;CN=Bob;PARTSTAT=ACCEPTED:mailto:bob@example.org",
    "ATTENDEE;PARTSTAT=NEEDS-ACTION:MAILTO:c@example.org",
    "DESCRIPTION:First line\\nSecond line",
    "BEGIN:VALARM",
    "DESCRIPTION:alarm text",
    "END:VALARM",
    "URL:https://example.org/e",
)


def test_an_event_is_readable() -> None:
    document = only(
        calendar("X-WR-CALNAME:Team", PLANNING, event("SUMMARY:Holiday", "DTSTART:20260501", "DTEND:20260504"))
    )
    assert document.text == (
        "# Team\n\n## Planning, weekly\nWhen: 2026-03-02 09:00 – 10:30 Europe/Berlin\n"
        "Repeats: every 2 weeks on Monday, Wednesday, until 2026-12-31 00:00 UTC\nExcept: 2026-03-16 09:00 Europe/Berlin\n"
        "Where: Room 5; second floor\nLink: https://example.org/e\nOrganizer: Müller, Jana <jana@example.org>\n"
        "Attendees: Bob <bob@example.org> (accepted), c@example.org (needs action)\n\nFirst line\nSecond line\n\n"
        "## Holiday\nWhen: 2026-05-01 – 2026-05-03"
    )
    assert (document.kind, document.title, document.doubt) == ("calendar", "Team", None)
    assert [(h.level, h.title) for h in document.structure.headings] == [
        (1, "Team"),
        (2, "Planning, weekly"),
        (2, "Holiday"),
    ]
    places = [(p.label, document.text[p.start : p.end].split("\n")[0]) for p in document.structure.places]
    assert places == [
        ("2026-03-02 09:00 Planning, weekly", "## Planning, weekly"),
        ("2026-05-01 Holiday", "## Holiday"),
    ]
    assert document.structure.links == ("https://example.org/e",)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=WEEKLY;COUNT=10;BYDAY=TU;WKST=MO", "every week on Tuesday, 10 times"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "every month on the last Friday"),
        ("FREQ=MONTHLY;BYDAY=+2MO", "every month on the second Monday"),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=14", "every year on day 14 in March"),
        ("FREQ=YEARLY;BYWEEKNO=20", "FREQ=YEARLY;BYWEEKNO=20"),
        ("FREQ=MONTHLY;BYDAY=99FR", "FREQ=MONTHLY;BYDAY=99FR"),
        ("FREQ=YEARLY;BYMONTH=13", "FREQ=YEARLY;BYMONTH=13"),
        ("garbage", "garbage"),
    ],
)
def test_rules_have_words_or_stay(rule: str, words: str) -> None:
    assert rule_in_words(rule) == words


def test_tasks_durations_and_odd_times_stay() -> None:
    task = "BEGIN:VTODO\nSUMMARY:Tax\nDUE;VALUE=DATE:20260531\nSTATUS:NEEDS-ACTION\nEND:VTODO"
    odd = event("DTSTART:next Monday", "DURATION:P1DT2H30M", "SUMMARY:Odd")
    utc = event("DTSTART:20260302T090030Z", "DURATION:nonsense")
    text = only(calendar(task, odd, utc)).text
    assert text == (
        "# Tax\nDue: 2026-05-31\nStatus: NEEDS-ACTION\n\n# Odd\nWhen: next Monday, for 1 days 2 h 30 min\n\n"
        "# (event without a title)\nWhen: 2026-03-02 09:00:30 UTC, for nonsense"
    )


def test_broken_lines_lose_nothing_else() -> None:
    raw = calendar(
        event("SUMMARY:One", "DESCRIPTION:start", "went on without a fold", ";;;"), "stray", event("SUMMARY:Two")
    )
    document = only(raw)
    assert document.status is Status.OK
    assert document.text == "# One\nstart\nwent on without a fold\n;;;\n\n# Two"
    lost_end = only(calendar("BEGIN:VEVENT", "SUMMARY:One", event("SUMMARY:Two"), event("SUMMARY:Three")))
    assert [h.title for h in lost_end.structure.headings] == ["One", "Two", "Three"]
    assert lost_end.doubt is not None


def test_a_file_cut_off_is_partial() -> None:
    document = only(calendar(PLANNING, event("SUMMARY:Two")).split("END:VEVENT")[0])
    assert document.status is Status.PARTIAL and "cut off" in (document.reason or "")
    assert document.text.startswith("# Planning, weekly")


def test_what_is_no_calendar_says_so() -> None:
    assert only("<html>log in</html>").status is Status.FAILED
    assert only(calendar()).status is Status.EMPTY
    assert only("").status is Status.EMPTY
    assert only(bytes(range(256)) * 8).status is Status.UNSUPPORTED


def test_other_encodings_and_old_calendars() -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        assert only(calendar(event("SUMMARY:Größe")).encode(encoding)).text == "# Größe"
    old = "BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\nSUMMARY;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Gr=C3=B6=\n=C3=9Fe\nEND:VEVENT"
    assert only(old).text == "# Größe"


def test_many_events_come_in_parts_cut_between_events() -> None:
    one = event("SUMMARY:Meeting", "DESCRIPTION:" + "words " * 2000)
    documents = parsed(calendar(*[one] * 500))
    assert [d.inner for d in documents] == ["part-0001", "part-0002"]
    assert sum(len(d.structure.headings) for d in documents) == 500
    assert all(d.text.startswith("# Meeting") for d in documents)


def test_hostile_calendars_end_in_time() -> None:
    nested = "BEGIN:X\n" * 30_000 + "END:Y\n" * 30_000
    assert only(calendar(nested)).status is Status.EMPTY
    endless = only(calendar(event("SUMMARY:One", "DESCRIPTION:start", *["garbage line here"] * 100_000)))
    assert endless.text.startswith("# One\nstart\ngarbage line here") and len(endless.text) < 1_200_000

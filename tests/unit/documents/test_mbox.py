"""Mailboxes: where messages begin, what they are called, and that one bad message costs only itself."""

import io
import tracemalloc
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents import mail_text
from cortex_assets.documents.model import Limits, Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers import mbox
from cortex_assets.documents.parsers.mbox import parse_mbox, raw_messages
from cortex_assets.tables import Status

SEPARATOR = b"From ann@example.org Thu Jan  1 10:00:00 2026\n"


def message(number: int, body: bytes = b"words", more: bytes = b"") -> bytes:
    head = b"From: Ann <ann@example.org>\nSubject: Topic %d\nMessage-ID: <%d@example.org>\n" % (number, number)
    return SEPARATOR + head + more + b"\n" + body + b"\n\n"


def items(raw: bytes, options: ParseOptions | None = None) -> "list[ParsedDocument | Mark]":
    return list(parse_mbox(ParseInput(io.BytesIO(raw), len(raw), "a.mbox", "m", options or ParseOptions())))


def parsed(raw: bytes, options: ParseOptions | None = None) -> list[ParsedDocument]:
    return [item for item in items(raw, options) if isinstance(item, ParsedDocument)]


def test_messages_come_in_order_under_their_ids() -> None:
    raw = message(1) + message(2) + message(3)
    for box in (raw, raw.replace(b"\n", b"\r\n")):
        documents = parsed(box)
        assert [d.inner for d in documents] == ["/1@example.org", "/2@example.org", "/3@example.org"]
        assert documents[1].text == "Subject: Topic 2\nFrom: Ann <ann@example.org>\n\nwords"
        assert documents[1].structure.places[0].label == "message <2@example.org>"
    assert [item.unit for item in items(raw) if isinstance(item, Mark)] == [d.inner for d in parsed(raw)]


def test_messages_without_an_id_or_with_a_repeated_one_are_numbered() -> None:
    anonymous = SEPARATOR + b"From: a@b.c\nSubject: x\n\nwords\n\n"
    odd = message(9).replace(b"<9@example.org>", b"<a/../b#part-1\x07 c>")
    documents = parsed(message(1) + anonymous + message(1) + odd)
    assert [d.inner for d in documents] == [
        "/1@example.org",
        "/message-000002",
        "/message-000003",
        "/a_.._b_part-1__c",
    ]
    assert documents[1].structure.places[0].label == "message 2"


def test_from_lines_within_a_body_do_not_part_messages() -> None:
    body = b"From there we went on.\n\nFrom what I know: nothing\n>From home\n>>From afar\n\nFrom now on\nNote: this"
    documents = parsed(message(1, body) + message(2))
    assert len(documents) == 2
    assert documents[0].text.endswith(
        "From there we went on.\n\nFrom what I know: nothing\nFrom home\n>From afar\n\nFrom now on\nNote: this"
    )


def test_broken_separators_part_messages_all_the_same() -> None:
    second = message(2).replace(SEPARATOR, b"From ann\n")
    third = message(3).replace(SEPARATOR, b"From - Thu Jan 1 10:00:00 2026\n>From old\n")
    raw = message(1).rstrip(b"\n") + b"\n" + second + third
    assert [d.inner for d in parsed(raw)] == ["/1@example.org", "/2@example.org", "/3@example.org"]


def test_text_before_the_first_separator_is_not_lost() -> None:
    documents = parsed(message(1).replace(SEPARATOR, b"") + message(2))
    assert [d.inner for d in documents] == ["/1@example.org", "/2@example.org"]
    documents = parsed(b"lost words\n" + message(2))
    assert [(d.inner, d.status) for d in documents] == [
        ("/message-000001", Status.PARTIAL),
        ("/2@example.org", Status.OK),
    ]


def test_a_truncated_last_message_is_partial() -> None:
    more = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n'
    cut = message(2, b"--b\nContent-Type: text/plain\n\nsome wor", more).rstrip(b"\n")
    documents = parsed(message(1) + cut)
    assert [d.status for d in documents] == [Status.OK, Status.PARTIAL]
    assert "cut off" in (documents[1].reason or "") and documents[1].text.endswith("some wor")


def test_nothing_in_it_is_empty() -> None:
    assert [d.status for d in parsed(b"")] == [Status.EMPTY]
    assert [d.status for d in parsed(b"\n\n")] == [Status.EMPTY]


def test_threads_are_told_by_what_is_answered_and_else_by_subject() -> None:
    changed = (
        message(2).replace(b"Topic 2", b"Re: Other words").replace(b"\n\nwords", b"\nIn-Reply-To: <1@example.org>\n\nw")
    )
    grand = message(3).replace(b"\n\nwords", b"\nReferences: <0@x> <2@example.org>\n\nw")
    alone = message(4).replace(b"Topic 4", b"Fwd: RE[2]: Topic 1")
    headings = [d.structure.headings[0].title for d in parsed(message(1) + changed + grand + alone)]
    assert headings == ["Topic 1", "Topic 1", "Topic 1", "Topic 1"]
    assert mail_text.base_subject("Return of the mail") == "Return of the mail"


def test_members_are_counted_by_message() -> None:
    """Ten years of mail have more attachments than any archive may have members."""
    more = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n'
    named = b'--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="%d.txt"\n\nfile\n'

    def attachments(messages: int, each: int, most: int = 100) -> list[str]:
        body = b"".join(named % number for number in range(each)) + b"--b--"
        box = b"".join(message(number, body, more) for number in range(messages))
        found = parsed(box, ParseOptions(limits=Limits(members=3, all_members=most)))
        return [d.status.value for d in found if d.inner.endswith(".txt")]

    assert attachments(4, 3) == ["ok"] * 12
    assert attachments(2, 4) == ["ok", "ok", "ok", "too_large"] * 2
    assert attachments(3, 2, most=5) == ["ok"] * 5 + ["too_large"]


def test_attachments_are_below_their_message() -> None:
    more = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n'
    parts = b"--b\nContent-Type: text/plain\n\nsee\n--b\nContent-Type: text/csv; name=a.csv\n\na,b\n1,2\n--b--"
    documents = parsed(message(1, parts, more) + message(2))
    assert [d.inner for d in documents] == ["/1@example.org", "/1@example.org/a.csv", "/2@example.org"]


def test_a_deadly_message_costs_only_itself() -> None:
    raw = message(1) + message(2) + message(3)
    documents = parsed(raw, ParseOptions(avoid={"/2@example.org": "it died"}))
    assert [(d.inner, d.status.value, d.reason) for d in documents] == [
        ("/1@example.org", "ok", None),
        ("/2@example.org", "quarantined", "it died"),
        ("/3@example.org", "ok", None),
    ]


def test_a_message_that_raises_costs_only_itself(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    real = mbox.read_message

    def breaks(raw: bytes, head: object) -> object:
        if b"<2@" in raw:
            raise ValueError("secret words")
        return real(raw, head)  # type: ignore[arg-type]

    monkeypatch.setattr(mbox, "read_message", breaks)
    documents = parsed(message(1) + message(2) + message(3))
    assert [d.status for d in documents] == [Status.OK, Status.FAILED, Status.OK]
    assert "message 2 is damaged" in (documents[1].reason or "") and "secret" not in (documents[1].reason or "")


class Endless(io.RawIOBase):
    """A mailbox that is made as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def test_memory_does_not_grow_with_the_mailbox() -> None:
    body = b"words and more words\n" * 5000

    def peak(count: int) -> int:
        tracemalloc.start()
        stream = Endless(message(number, body) for number in range(count))
        assert sum(1 for _ in raw_messages(stream)) == count  # type: ignore[arg-type]
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(200) < peak(30) * 1.3 + 1_000_000


def test_a_huge_message_is_cut_and_says_so(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(mbox, "MAX_MESSAGE", 1_000_000)
    raw = message(1, b"line of words\n" * 500_000) + message(2)
    documents = parsed(raw)
    assert [(d.inner, d.status) for d in documents] == [
        ("/1@example.org", Status.PARTIAL),
        ("/2@example.org", Status.OK),
    ]
    assert "save its attachments" in (documents[0].reason or "")
    assert len(documents[0].text) < 1_100_000


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"words\n", b"From here\n", b">From x\n", b"\n", b"Note: y\n", b"\r\n"]), max_size=8),
    st.integers(1, 60),
)
def test_block_borders_change_nothing(lines: list[bytes], block: int) -> None:
    raw = b"".join(message(number, b"".join(lines)) for number in range(3))
    whole = [m.content for m in raw_messages(io.BytesIO(raw))]
    old = mbox.BLOCK, mbox._AHEAD
    try:
        mbox.BLOCK, mbox._AHEAD = block, 300
        assert [m.content for m in raw_messages(io.BytesIO(raw))] == whole
    finally:
        mbox.BLOCK, mbox._AHEAD = old
    assert len(whole) == 3

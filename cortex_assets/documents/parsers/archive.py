"""What all archives share: which members are opened, which are left out, and what is said of the archive itself.

A format (``zip_archive``, ``tar_archive``, ...) lists its members as ``Entry``; ``archive_documents`` reads them. Rules:

- What folders leave out is left out here too, and so are links and devices: nothing is followed. Each reason gets one
  ``ignored`` row, under the first such member, which counts the others.
- A member that cannot be read is a row of its own, and costs only itself.
- The archive has a row (inner ``""``) only where there is something to say of it: it is empty, damaged, cut off,
  locked, or not read to its end. Otherwise its members stand for it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cortex_assets.documents.members import Members, inner_path
from cortex_assets.documents.model import NO_BYTES, Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.media.noise import noise_directory, noise_file
from cortex_assets.tables import Status, short_reason

MAX_LISTED = 200_000
"""Members looked at, those included that are left out."""
_HEARTBEAT = 500
NOT_FOLLOWED = "links are not followed"


class MemberError(ValueError):
    """One member cannot be read; the message is its reason."""

    def __init__(self, reason: str, status: Status = Status.FAILED) -> None:
        super().__init__(reason)
        self.status = status


class ArchiveError(ValueError):
    """The archive cannot be read from here on; the message is its reason."""

    def __init__(self, reason: str, status: Status = Status.FAILED) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Entry:
    """A member that is no directory.

    Attributes:
        name: its path, as the archive says.
        read: gives all bytes, or why they are too many; raises ``MemberError``.
        size: unpacked bytes, as the archive says.
        packed: packed bytes, where members are packed one by one.
        left_out: why it is not opened, for links and devices.
    """

    name: str
    read: Callable[[Members], bytes | str]
    size: int = 0
    packed: int | None = None
    left_out: str = ""


@dataclass(slots=True)
class _Tally:
    """What was seen of an archive."""

    listed: int = 0
    read: int = 0
    left_out: dict[str, tuple[str, int]] = field(default_factory=dict)

    def leave_out(self, reason: str, name: str) -> None:
        first, count = self.left_out.get(reason, (name, 0))
        self.left_out[reason] = (first, count + 1)

    def rows(self) -> Iterator[ParsedDocument]:
        """One row for each reason."""
        for reason, (first, count) in self.left_out.items():
            more = f"; {count:,} members in all" if count > 1 else ""
            text = short_reason(f"left out: {reason}{more}; unpack the archive to have them")
            yield ParsedDocument("", "none", inner=inner_path(first), status=Status.IGNORED, reason=text)


def archive_documents(source: ParseInput, entries: Iterable[Entry]) -> Iterator[Parsed]:
    """Read the members of an archive.

    Args:
        source: the archive.
        entries: its members in order; may raise ``ArchiveError`` where it cannot go on.
    """
    if source.size == 0:
        yield archive_row(NO_BYTES, Status.EMPTY)
        return
    members, tally = Members(source), _Tally()
    problem: ArchiveError | None = None
    try:
        for entry in entries:
            tally.listed += 1
            refusal = members.refusal(0)
            if refusal is None and tally.listed > MAX_LISTED:
                refusal = f"more than {MAX_LISTED:,} members: the rest is not opened; unpack it and drop the folder"
            if refusal is not None:
                raise ArchiveError(refusal, Status.TOO_LARGE)
            reason, first = (entry.left_out, entry.name) if entry.left_out else noise_rule(entry.name)
            if reason:
                tally.leave_out(reason, first)
                if tally.listed % _HEARTBEAT == 0:
                    yield Mark(inner_path(entry.name))
                continue
            tally.read += 1
            yield from _member(source, members, entry)
    except ArchiveError as error:
        problem = error
    yield from tally.rows()
    if problem is not None:
        yield archive_row(str(problem), Status.PARTIAL if tally.read else problem.status)
    elif not tally.read:
        what = "no files but those that are left out" if tally.left_out else "no files"
        yield archive_row(f"the archive holds {what}", Status.EMPTY)


def archive_row(reason: str, status: Status = Status.FAILED) -> ParsedDocument:
    """The row of an archive itself."""
    return ParsedDocument("", "none", status=status, reason=short_reason(reason))


def _member(source: ParseInput, members: Members, entry: Entry) -> Iterator[Parsed]:
    """Unpack and parse one member."""
    inner = inner_path(entry.name)
    if inner in source.options.avoid:
        yield from members.parse(entry.name, b"")
        return
    yield Mark(inner)
    refusal = members.refusal(entry.size, entry.packed)
    if refusal is not None:
        yield members.refused(entry.name, refusal)
        return
    try:
        content = entry.read(members)
    except MemberError as error:
        yield members.refused(entry.name, str(error), error.status)
        return
    if isinstance(content, str):
        yield members.refused(entry.name, content)
        return
    yield from members.parse(entry.name, content)


def noise_rule(name: str) -> tuple[str, str]:
    """The rule that leaves a member out, and the path that it names; ("", "") for none."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    raw = [part.encode("utf-8", "replace") for part in parts]
    for position, part in enumerate(raw[:-1]):
        rule = noise_directory(part, is_packed=True)
        if rule is not None:
            return rule, "/".join(parts[: position + 1])
    rule = noise_file(raw[-1]) if raw else None
    return (rule, name) if rule is not None else ("", "")

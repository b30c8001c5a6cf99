"""Members of a container (archive, mail, document with attachments): each parsed as the file it is, within limits.

A container's parser gives names and bytes to ``Members``; what comes back are documents whose ``inner`` is the member's
path, and a row with a reason for each member that is not read. Opening a container's format does not belong here.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import BinaryIO

from cortex_assets.documents.errors import in_words, raised
from cortex_assets.documents.model import UNIT_SEPARATOR, Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.registry import PARSE_ERRORS, parser_for
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status, short_reason

MAX_NAME = 400
_MEGABYTE = 1024 * 1024


class Members:
    """The members of one container; counts what they cost, together with those of the containers around and inside.

    Args:
        source: the container.
    """

    def __init__(self, source: ParseInput) -> None:
        self._source = source
        self._limits = source.options.limits
        self._spent = source.spent
        self._before = source.spent.members

    def begin(self) -> None:
        """A part of the container that is a file of its own begins, such as a mail of a mailbox: its members count anew."""
        self._spent.members = self._before

    def count(self) -> None:
        """One member more is opened, or told of."""
        self._spent.members += 1
        self._spent.all_members += 1

    def refusal(self, size: int, packed: int | None = None) -> str | None:
        """Why a member that says it unpacks to ``size`` bytes is not opened (from ``packed`` bytes); None where it may be.

        Ask before unpacking: the answer counts nothing. Sizes that a format states may lie, so unpack through ``bounded``.
        """
        limits, spent = self._limits, self._spent
        if self._source.options.depth >= limits.depth:
            return f"more than {limits.depth} containers deep: not opened; unpack it once and drop the result"
        if spent.members >= limits.members:
            return (
                f"more than {limits.members} members in one file or message: not opened; unpack it and drop the folder"
            )
        if spent.all_members >= limits.all_members:
            return f"more than {limits.all_members} members in one mailbox: not opened; export it in parts"
        if size > limits.member_bytes:
            return f"unpacks to {_megabytes(size)}, the limit is {_megabytes(limits.member_bytes)}: not opened"
        if spent.bytes + size > limits.total_bytes:
            return f"the file unpacks to more than {_megabytes(limits.total_bytes)} in all: the rest is not opened"
        if packed is not None and size > _MEGABYTE and size > limits.ratio * max(1, packed):
            return f"unpacks to more than {limits.ratio} times its size, as a bomb does: not opened"
        return None

    def bounded(self, stream: BinaryIO, packed: int | None = None) -> bytes | str:
        """All bytes of an unpacking stream, or why they are too many; at most one block beyond a limit is unpacked."""
        parts: list[bytes] = []
        size = 0
        while block := stream.read(_MEGABYTE):
            parts.append(block)
            size += len(block)
            refusal = self.refusal(size, packed)
            if refusal is not None:
                return refusal
        return b"".join(parts)

    def refused(self, name: str, reason: str, status: Status = Status.TOO_LARGE) -> ParsedDocument:
        """The row of a member that is not opened."""
        self.count()
        return ParsedDocument("", "none", inner=inner_path(name), status=status, reason=short_reason(reason))

    def parse(self, name: str, content: bytes, media: str | None = None) -> Iterator[Parsed]:
        """Parse a member.

        Args:
            name: its path in the container, as the container says; cleaned here.
            content: its bytes.
            media: its media type where the container is surer than content and name are; found otherwise.
        """
        inner = inner_path(name)
        refusal = self.refusal(len(content))
        if refusal is not None:
            yield self.refused(name, refusal)
            return
        self.count()
        self._spent.bytes += len(content)
        options = self._source.options
        if inner in options.avoid:
            yield ParsedDocument("", "none", inner=inner, status=Status.QUARANTINED, reason=options.avoid[inner])
            return
        yield Mark(inner)
        if media is None:
            media = media_type(content[:HEAD_BYTES], content[-TAIL_BYTES:], name, len(content))
        source = ParseInput(io.BytesIO(content), len(content), name, media, options.below(inner), self._spent)
        yield from _below(inner, source)


def _below(inner: str, source: ParseInput) -> Iterator[Parsed]:
    """What the parser of a member gives, under the member's name; an error is a row."""
    count = 0
    try:
        for item in parser_for(source.media_type).parser(source):
            if isinstance(item, Mark):
                yield Mark(inner + UNIT_SEPARATOR + item.unit)
                continue
            count += 1
            yield replace(item, inner=joined_inner(inner, item.inner))
    except PARSE_ERRORS as error:
        reason = raised(in_words(error, 100))
        yield ParsedDocument("", "none", inner=inner, status=Status.FAILED, reason=reason)
        return
    if not count:
        reason = "the parser found no document in the member"
        yield ParsedDocument("", "none", inner=inner, status=Status.EMPTY, reason=reason)


def inner_path(name: str) -> str:
    """A member's name as an inner path: a slash, then its parts; nothing in it points out of the container.

    Drive letters, backslashes, ``.`` and ``..`` go; control characters become ``?``; an overlong name keeps its end.
    """
    plain = "".join(char if char.isprintable() else "?" for char in name.replace("\\", "/"))
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    if parts and len(parts[0]) == 2 and parts[0].endswith(":"):
        parts = parts[1:]
    joined = "/".join(parts) or "unnamed"
    return "/" + joined[-MAX_NAME:].lstrip("/")


def joined_inner(member: str, inner: str) -> str:
    """The inner path of a document of a member: a member of its own goes below, a part of it behind ``#``."""
    if not inner:
        return member
    return member + inner if inner.startswith("/") else f"{member}#{inner}"


def member_of(inner: str) -> str:
    """The member that an inner path names, without its part; empty for a document that is no member's."""
    return inner.partition("#part-")[0] if inner.startswith("/") else ""


def member_title(inner: str) -> str:
    """A title for a member that has none of its own: its file name without suffix."""
    return PurePosixPath(member_of(inner)).stem


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:,.0f} MB" if size >= _MEGABYTE else f"{size:,} bytes"

"""Ask the resident worker, where one is up. Light: a search through it imports neither Polars nor a model.

Who asks falls back on doing the work itself when nobody answers, so nothing here raises for an absent worker. A card counts
while its worker lives: after that any user's process may listen on that port, and would be told what people look for.
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apps.errors import FOUND, CommandError
from apps.search_reports import AnswerReport, Around, Hit, Reasons, SearchFilters, SearchResponse, Wishes, WordReason

HOST = "127.0.0.1"
PROTOCOL = 3
"""Raised when a question or an answer changes its form: a worker of another release is left alone."""
MOST_ANSWER = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Address:
    """Where the worker listens, and what proves that one may ask."""

    port: int
    token: str
    pid: int


class NoWorker(Exception):
    """Nobody answers; whoever asked does the work itself."""


def card(up: Path) -> Path:
    """The file in which a worker says where it is, readable for its owner alone."""
    return up / "worker.json"


def find(up: Path) -> Address:
    """The worker of a data folder.

    Raises:
        NoWorker: none lives, or it is of another release.
    """
    if not _is_alive(up):
        raise NoWorker("no worker is up")
    try:
        values = json.loads(card(up).read_text(encoding="ascii"))
        if values["protocol"] != PROTOCOL:
            raise NoWorker("the worker is of another release")
        return Address(int(values["port"]), str(values["token"]), int(values["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise NoWorker("no worker is up") from None


@contextlib.contextmanager
def alive(up: Path) -> Iterator[None]:
    """Say that the worker of a data folder lives; the kernel takes that back however this process ends."""
    up.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_lock(up), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _is_alive(up: Path) -> bool:
    try:
        descriptor = os.open(_lock(up), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(up: Path) -> Path:
    return up / "worker.lock"


def ask(up: Path, question: str, body: Mapping[str, Any] | None = None, seconds: float = 30.0) -> Any:
    """Put a question and give back the answer's JSON.

    Args:
        up: folder with the worker's card.
        question: such as ``search``.
        body: what belongs to it.
        seconds: how long to wait for each piece of the answer.

    Raises:
        NoWorker: nobody answers.
        CommandError: the worker cannot do what was asked, and says why.
    """
    worker = find(up)
    content = json.dumps(body or {}).encode("ascii")
    head = (
        f"POST /{question} HTTP/1.0\r\nHost: {HOST}:{worker.port}\r\nAuthorization: Bearer {worker.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    try:
        with socket.create_connection((HOST, worker.port), timeout=seconds) as connection:
            connection.sendall(head.encode("ascii") + content)
            answer = _received(connection)
    except OSError as error:
        raise NoWorker(str(error)) from None
    return _judged(answer)


def _received(connection: socket.socket) -> bytes:
    parts, size = [], 0
    while part := connection.recv(2**16):
        parts.append(part)
        size += len(part)
        if size > MOST_ANSWER:
            raise NoWorker("the answer does not end")
    return b"".join(parts)


def _judged(answer: bytes) -> Any:
    head, _, content = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    try:
        values = json.loads(content)
    except ValueError:
        raise NoWorker("the answer is not whole") from None
    if status == [b"200"]:
        return values
    if status == [b"422"]:
        raise CommandError(
            values["what"], values.get("where", ""), values.get("remedy", ""), values.get("exit_code", FOUND)
        )
    raise NoWorker(f"the worker answers {b''.join(status).decode('ascii', 'replace')}")


def search(up: Path, question: str, k: int, filters: SearchFilters, wishes: Wishes = Wishes()) -> SearchResponse:
    """See ``apps.reader.search``.

    Raises:
        NoWorker: nobody answers.
        CommandError: the question cannot be answered.
    """
    plain = asdict(filters) | {
        "after": filters.after.isoformat() if filters.after else None,
        "before": filters.before.isoformat() if filters.before else None,
    }
    body = {"question": question, "k": k, "filters": plain, "wishes": asdict(wishes)}
    return response(ask(up, "search", body))


def response(values: Mapping[str, Any]) -> SearchResponse:
    """A search response from plain JSON values."""
    answer = values["answer"]
    if answer is not None:
        answer = AnswerReport(**{**answer, "quotes": _hits(answer["quotes"])})
    return SearchResponse(
        values["question"], _hits(values["hits"]), dict(values["milliseconds"]), tuple(values["notes"]), answer
    )


def _hits(values: Sequence[Mapping[str, Any]]) -> tuple[Hit, ...]:
    return tuple(Hit(**{**hit, **_nested(hit)}) for hit in values)


def _nested(hit: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a hit that are no plain ones."""
    reasons, around = hit["reasons"], hit["around"]
    if reasons is not None:
        words = tuple(WordReason(**{**word, "fields": tuple(word["fields"])}) for word in reasons["words"])
        reasons = Reasons(**{**reasons, "words": words})
    return {
        "highlights": tuple((a, b) for a, b in hit["highlights"]),
        "also_in": tuple(hit["also_in"]),
        "reasons": reasons,
        "around": None if around is None else Around(**around),
    }


def write_card(up: Path, address: Address) -> None:
    """Say where the worker is; whole or not at all, and for nobody else's eyes."""
    up.mkdir(parents=True, exist_ok=True)
    fresh = up / f"worker.json.{os.getpid()}"
    with open(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="ascii"
    ) as file:
        json.dump(asdict(address) | {"protocol": PROTOCOL}, file)
    fresh.replace(card(up))


def remove_card(up: Path, pid: int) -> None:
    """Take the card away, unless another worker has written its own."""
    try:
        if find(up).pid == pid:
            card(up).unlink(missing_ok=True)
    except NoWorker:
        return

"""Answers that were given, to be given again: by model, request and prompt. Only valid ones; deleting the file costs time, nothing else.

It holds texts that were made of somebody's documents: ``forget`` takes those of a shard out.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inference.errors import LedgerUnavailable
from inference.generation.shared_file import SharedFile
from inference.protocols import Schema
from inference.requests import GenerateRequest, Reply, Usage, is_encodable

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS completions (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, is_estimated INTEGER NOT NULL, is_paid INTEGER NOT NULL, shard TEXT NOT NULL,
    used_at REAL NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS oldest ON completions (used_at);
CREATE INDEX IF NOT EXISTS shards ON completions (shard);
"""
_MOST_BYTES: Final = 2**30
_LOOK_EVERY: Final = 256
_TOUCH_SECONDS: Final = 3600.0
_log = logging.getLogger("cortex.inference")


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was there.

    Attributes:
        reply: as it came.
        is_paid: it cost something.
    """

    reply: Reply
    is_paid: bool


def cache_key(digest: str, request: GenerateRequest, schema: Schema | None) -> str:
    """Under what an answer is kept: everything that it depends on."""
    parts = {
        "digest": digest,
        "messages": [(message.role, message.content) for message in request.conversation()],
        "limits": (request.max_tokens, request.temperature, request.top_p, request.stop, request.seed),
        "schema": schema,
        "prompt": request.prompt,
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class CompletionCache:
    """The answers of this machine. Thread-safe; processes share the file. It never fails a call: what cannot be read is not there.

    Args:
        path: of the SQLite file.
        most_bytes: of texts; those that were not used for longest go.
        clock: unix seconds.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.time) -> None:
        self._file = SharedFile(path, _SCHEMA, _VERSION)
        self._most, self._clock = most_bytes, clock
        self._puts = 0

    def get(self, key: str) -> Kept | None:
        """The answer under a key; None where there is none."""
        try:
            rows = self._file.read("SELECT * FROM completions WHERE key = ?", (key,))
            if rows and self._clock() - rows[0]["used_at"] > _TOUCH_SECONDS:
                with self._file.transaction() as connection:
                    connection.execute("UPDATE completions SET used_at = ? WHERE key = ?", (self._clock(), key))
        except LedgerUnavailable as error:
            _log.warning("cache of completions: %s", error)
            return None
        if not rows:
            return None
        row = rows[0]
        usage = Usage(row["prompt_tokens"], row["completion_tokens"], bool(row["is_estimated"]))
        return Kept(Reply(row["text"], row["finish"], usage), bool(row["is_paid"]))

    def put(self, key: str, reply: Reply, usage: Usage, shard: str, *, is_paid: bool) -> None:
        """Keep a valid answer."""
        size = len(reply.text.encode("utf-8", "surrogatepass")) + len(key)
        if size > self._most // 4 or not is_encodable(reply.text):
            return
        values = (
            key, reply.text, reply.finish, usage.prompt_tokens, usage.completion_tokens, int(usage.is_estimated),
            int(is_paid), shard, self._clock(), size,
        )  # fmt: skip
        try:
            with self._file.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                if self._puts % _LOOK_EVERY == 0:
                    connection.execute(_EVICT, (self._most,))
        except LedgerUnavailable as error:
            _log.warning("cache of completions: %s", error)
        self._puts += 1

    def forget(self, shard: str | None = None) -> None:
        """Take out what was made of a shard's documents, or everything; what is deleted is overwritten.

        Raises:
            LedgerUnavailable: it cannot be taken out.
        """
        if not self._file.path.exists():
            return
        with self._file.transaction() as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM completions WHERE ? IS NULL OR shard = ?", (shard, shard))
        self._file.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; it is opened again when used."""
        self._file.close()


_EVICT: Final = """
DELETE FROM completions WHERE key IN (
    SELECT key FROM (SELECT key, sum(size) OVER (ORDER BY used_at DESC, key) AS newer FROM completions) WHERE newer > ?)
"""

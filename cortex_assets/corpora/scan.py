"""What a listing means beside what is known: unchanged, to take, deferred, vanished or only moved.

Pure: mappings in, values out; the clock comes in as ``now_ns``. Stats are plain tuples (size, mtime_ns, ctime_ns,
    inode), so that
100,000 of them are compared quickly. Whether vanished files may be deleted is decided in ``corpora.guard``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

StatTuple = tuple[int, int, int, int]
CachedTuple = tuple[int, int, int, int, str | None, str, int]
"""(size, mtime_ns, ctime_ns, inode, content hash, media type, hashed_at_ns)"""
STILL_NS = 2 * 10**9
TOO_LARGE = "too_large"
"""``Status.TOO_LARGE``, spelled out so that a no-op scan imports neither dataframely nor Polars."""


class KnownFile(NamedTuple):
    """A file as ``bronze/files`` has it."""

    file_id: str
    shard: str
    size: int
    content_hash: str | None
    media_type: str
    store: str
    status: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What decides beside stats.

    Attributes:
        max_bytes: larger files are not read.
        still_ns: how long a file must have stood still, in nanoseconds.
        store: ``raw`` or ``reference``: where parsers are to read this corpus's files.
    """

    max_bytes: int
    still_ns: int = STILL_NS
    store: str = "raw"


@dataclass(slots=True)
class Classified:
    """What is to be done with each listed path.

    Attributes:
        unchanged: how many files need nothing.
        to_take: paths to read, newest first (then by path).
        trusted: of ``to_take``, those whose content hash and media type the cache knows for the stat they have.
        new: how many of ``to_take`` and ``deferred`` are not known yet.
        changed: how many of ``to_take`` and ``deferred`` are known and may have changed.
        deferred: paths that have not stood still yet.
        ready_at_ns: when the last of them will have, 0 without any.
        vanished: known paths that are not listed, sorted.
    """

    unchanged: int = 0
    to_take: list[bytes] = field(default_factory=list)
    trusted: set[bytes] = field(default_factory=set)
    new: int = 0
    changed: int = 0
    deferred: list[bytes] = field(default_factory=list)
    ready_at_ns: int = 0
    vanished: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Moves:
    """Which vanished paths only moved.

    Attributes:
        pairs: vanished path to the new path of this scan that has its content.
        elsewhere: further vanished paths whose content lives on at a path known before (a move seen half done: another
            shard's run has taken the new path already).
    """

    pairs: dict[bytes, bytes]
    elsewhere: frozenset[bytes]

    @property
    def paths(self) -> frozenset[bytes]:
        """Every vanished path that the guard does not count."""
        return self.elsewhere | self.pairs.keys()


def changed_at_ns(stat: StatTuple | CachedTuple, now_ns: int) -> int:
    """When a file last changed: its mtime, or its ctime where the mtime lies in the future and tells nothing."""
    return stat[2] if stat[1] > now_ns else stat[1]


def is_trusted(stat: StatTuple, cached: CachedTuple | None) -> bool:
    """Whether the cached hash holds: the stat is equal, and the file had stood still for 2 s when it was hashed."""
    return cached is not None and cached[:4] == stat and changed_at_ns(cached, cached[6]) <= cached[6] - STILL_NS


def classify(
    current: Mapping[bytes, StatTuple],
    known: Mapping[bytes, KnownFile],
    cached: Mapping[bytes, CachedTuple],
    limits: Limits,
    now_ns: int,
    is_retake: bool = False,
) -> Classified:
    """Compare a listing with what is known.

    Args:
        current: the listing's entries.
        known: what ``bronze/files`` has of the corpus.
        cached: what the state cache has of it; may be empty or partial.
        limits: limits of the corpus.
        now_ns: time of the scan.
        is_retake: take every file again, with the cached hashes (media types are found in another way now).
    """
    result = Classified()
    for path, stat in current.items():
        old, memo = known.get(path), cached.get(path)
        trusted = is_trusted(stat, memo)
        if old is not None and not is_retake and _is_unchanged(stat, old, memo if trusted else None, limits):
            result.unchanged += 1
            continue
        if old is None:
            result.new += 1
        else:
            result.changed += 1
        if not trusted and now_ns - changed_at_ns(stat, now_ns) < limits.still_ns:
            result.deferred.append(path)
            result.ready_at_ns = max(result.ready_at_ns, changed_at_ns(stat, now_ns) + limits.still_ns)
            continue
        if trusted and memo is not None and memo[4] is not None:
            result.trusted.add(path)
        result.to_take.append(path)
    result.to_take.sort(key=lambda path: (-current[path][1], path))
    result.deferred.sort()
    result.vanished = sorted(known.keys() - current.keys())
    return result


def _is_unchanged(stat: StatTuple, old: KnownFile, memo: CachedTuple | None, limits: Limits) -> bool:
    is_large = stat[0] > limits.max_bytes
    if is_large or old.status == TOO_LARGE:
        return is_large and old.status == TOO_LARGE and old.size == stat[0] and memo is not None
    return (
        memo is not None
        and memo[4] == old.content_hash
        and old.size == stat[0]
        and (old.content_hash is None or old.store == limits.store)
    )


def move_candidates(
    current: Mapping[bytes, StatTuple],
    known: Mapping[bytes, KnownFile],
    vanished: Iterable[bytes],
    to_take: Iterable[bytes],
) -> list[bytes]:
    """New paths that a vanished file may have moved to (equal in size, not yet known), in the order of ``to_take``."""
    sizes = {known[path].size for path in vanished if known[path].content_hash is not None}
    return [path for path in to_take if path not in known and current[path][0] in sizes] if sizes else []


def match_moves(
    vanished: Iterable[bytes],
    known: Mapping[bytes, KnownFile],
    arrived: Mapping[bytes, str],
    listed: Mapping[bytes, StatTuple],
) -> Moves:
    """Pair vanished paths with the paths that have their content now.

    Each path consumes one vanished path, so that one copy left does not excuse the loss of a hundred. New paths of this
    scan come first, then paths known before. Empty files are never paired with paths known before.

    Args:
        vanished: known paths that are not listed.
        known: what ``bronze/files`` has.
        arrived: content hash of each new path of this scan.
        listed: the listing's entries.
    """
    gone = sorted(path for path in vanished if known[path].content_hash is not None)
    new_paths: defaultdict[str, list[bytes]] = defaultdict(list)
    for path in sorted(arrived, reverse=True):
        new_paths[arrived[path]].append(path)
    pairs: dict[bytes, bytes] = {}
    unpaired: list[bytes] = []
    for path in gone:
        places = new_paths[str(known[path].content_hash)]
        if places:
            pairs[path] = places.pop()
        else:
            unpaired.append(path)
    wanted = {known[path].content_hash for path in unpaired if known[path].size > 0}
    living = Counter(
        file.content_hash for path, file in known.items() if file.content_hash in wanted and path in listed
    )
    elsewhere = set()
    for path in unpaired:
        content_hash = known[path].content_hash
        if content_hash in wanted and living[content_hash] > 0:
            living[content_hash] -= 1
            elsewhere.add(path)
    return Moves(pairs, frozenset(elsewhere))

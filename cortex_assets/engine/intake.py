"""From a corpus's folder to rows of ``bronze/files``: list it, decide about what vanished, take what is new.

Two phases. ``list_corpus`` looks at the folder and compares: it reads no file and writes nothing, so ``cortex plan``
may use it. ``Intake.decide`` and ``Intake.take`` read files. The order of a run, inside the shard's lease:

    if is_settled(corpus, state, token): nothing to do
    intake = list_corpus(corpus, known, state, now)
    intake.decide(history, confirm)
    batch = intake.take(store, media_types, limit)  # merge batch.rows, delete batch.deleted; again while
    batch.remaining append intake.scan_row(seconds) to ops/scans, then intake.settle(token)

Here: the disk side of a scan. Not here: its rules (``corpora.scan``, ``corpora.guard``, ``corpora.ignore``), and the
    tables.
Importing this module brings in neither Polars nor Dagster.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cortex_assets.corpora import guard, scan
from cortex_assets.corpora.ignore import corpus_scope
from cortex_assets.engine.corpus import Batch, Corpus, Disagreement, ListedCounts, MediaTypes, ShardCounts
from cortex_assets.engine.reading import Outcome, Reader, Reading
from resources.listing import Listing, RootState, paused_collection, walk
from resources.raw_store import RawStore
from resources.state import CachedFile, State

if TYPE_CHECKING:
    import polars as pl

STAGE = "intake"


def was_settled(corpus: Corpus, state: State, token: str) -> bool:
    """Whether ``Intake.settle(token)`` was the last word on a corpus of these settings."""
    return state.complete(corpus.corpus_id, STAGE) == {"token": token, "corpus": corpus.fingerprint}


def is_settled(corpus: Corpus, state: State, token: str) -> bool:
    """Whether nothing changed since ``Intake.settle(token)``: the whole no-op decision, by stats alone.

    Args:
        corpus: the corpus.
        state: the cache.
        token: what the caller's rows were when it settled, such as the version of ``bronze/files`` and of the media
            types' producer.
    """
    return looked(corpus, state, token)[0]


def looked(corpus: Corpus, state: State, token: str) -> tuple[bool, Listing | None]:
    """``is_settled``, and the listing that told, where the folder was looked at: ``list_corpus`` need not look again."""
    if not was_settled(corpus, state, token):
        return False, None
    if state.racy_count(corpus.corpus_id, scan.STILL_NS):
        return False, None
    with paused_collection():
        listing = _walk(corpus, state)
        is_whole = listing.root_state == RootState.PRESENT and not listing.unreadable
        return is_whole and listing.entries == state.stats(corpus.corpus_id), listing


def list_corpus(
    corpus: Corpus,
    known: Mapping[bytes, scan.KnownFile],
    state: State,
    now: datetime,
    is_retake: bool = False,
    listing: Listing | None = None,
) -> "Intake":
    """Phase 1: list the folder and compare; reads no file and writes nothing.

    Args:
        corpus: the corpus.
        known: all its rows of ``bronze/files`` (``corpora.take.known_files``), of every shard.
        state: the cache.
        now: time of the scan (aware).
        is_retake: take every file again by its cached hash, because media types are found in another way now.
        listing: what ``looked`` saw since ``now``.
    """
    with paused_collection():
        return Intake(corpus, known, state, now, is_retake, listing)


class Intake:
    """One scan of a corpus.

    Attributes:
        listing: what the walk saw.
        classified: what is to be done with it.
        moves: which vanished files only moved; after ``decide``.
        decision: the guard's; after ``decide``.
    """

    def __init__(
        self,
        corpus: Corpus,
        known: Mapping[bytes, scan.KnownFile],
        state: State,
        now: datetime,
        is_retake: bool,
        listing: Listing | None = None,
    ) -> None:
        """See ``list_corpus``."""
        self.corpus = corpus
        self.known = known
        self.now = now
        self.listing: Listing = _walk(corpus, state) if listing is None else listing
        self._cached = state.files(corpus.corpus_id)
        self._now_ns = _nanoseconds(now)
        limits = scan.Limits(corpus.max_bytes, corpus.still_ns, corpus.store)
        self.classified = scan.classify(self.listing.entries, known, self._cached, limits, self._now_ns, is_retake)
        self.moves = scan.Moves({}, frozenset())
        self.decision: guard.Decision | None = None
        self._state = state
        self._reader = Reader(corpus, self.listing.entries, known, self._cached, self.classified.trusted, is_retake)
        self._arrivals: dict[bytes, bytes] = {}
        self._queues: dict[str | None, list[bytes]] = {}
        self._done: set[bytes] = set()
        self._deleted: set[bytes] = set()
        self._added = self._changed = 0

    @property
    def counts(self) -> ListedCounts:
        """The numbers that ``cortex plan`` prints."""
        entries, found = self.listing.entries, self.classified
        return ListedCounts(
            listed=len(entries),
            unchanged=found.unchanged,
            new=found.new,
            changed=found.changed,
            vanished=len(found.vanished),
            deferred=len(found.deferred),
            ignored=sum(self.listing.ignored.values()),
            unreadable=len(self.listing.unreadable),
            bytes_to_read=sum(entries[path][0] for path in found.to_take if path not in found.trusted),
        )

    def shard_counts(self, shard: str, kept: Collection[bytes] = frozenset()) -> ShardCounts:
        """The numbers of one shard; deletes are what vanished but for ``kept``: withheld and protected paths (``foresee``)."""
        to_take = [path for path in self.classified.to_take if self._is_in(shard, path)]
        new = sum(path not in self.known for path in to_take)
        here = sum(known.shard == shard for known in self.known.values())
        vanished = [path for path in self.classified.vanished if self._is_in(shard, path)]
        deleted = sum(path not in kept for path in vanished)
        return ShardCounts(new, len(to_take) - new, deleted, here - (len(to_take) - new) - len(vanished))

    def token(self, shard: str, kept: Collection[bytes]) -> str:
        """What is to be taken and deleted in a shard, as a hash; empty where nothing is. ``kept`` is as in ``shard_counts``."""
        from cortex_assets.identity import value_hash

        to_take = [(path, *self.listing.entries[path]) for path in self.classified.to_take if self._is_in(shard, path)]
        gone = [path for path in self.classified.vanished if path not in kept and self._is_in(shard, path)]
        return f"files {value_hash((tuple(sorted(to_take)), tuple(sorted(gone))))}" if to_take or gone else ""

    def being_written(self, shard: str) -> int:
        """How many files of a shard have not stood still yet; a run leaves them for the next."""
        return sum(self._is_in(shard, path) for path in self.classified.deferred)

    def perhaps_touched(self, shard: str) -> int:
        """How many files of a shard count as changed and may hold what they held: of the same size, only read by the run."""
        entries, known = self.listing.entries, self.known
        again = (path for path in self.classified.to_take if path in known and entries[path][0] == known[path].size)
        return sum(self._is_in(shard, path) for path in again)

    def disagreement(self, shard: str) -> Disagreement:
        """Where a shard's rows differ from the folder. Reads every file that has a row, and writes nothing.

        Vanished files below a folder that cannot be read are no disagreement; what the guard would say is not asked.
        """
        known, entries = self.known, self.listing.entries
        gone = [path for path in self.classified.vanished if not guard.is_under(path, self.listing.unreadable)]
        here = [path for path in sorted(known.keys() & entries.keys()) if self._is_in(shard, path)]
        return Disagreement(
            missing=tuple(path for path in self.classified.to_take if path not in known and self._is_in(shard, path)),
            stale=tuple(path for path in here if self._is_stale(path)),
            extra=tuple(path for path in gone if self._is_in(shard, path)),
        )

    def _is_stale(self, path: bytes) -> bool:
        """Whether a file's bytes, which are read, are not those of its row. One that is being written is not judged yet."""
        if self.listing.entries[path][0] > self.corpus.max_bytes or path in self.classified.deferred:
            return False
        content_hash = self._reader.hashed(path).content_hash
        return content_hash is not None and content_hash != self.known[path].content_hash

    @property
    def scan_id(self) -> str:
        """Id of this scan: a function of the corpus and its time."""
        from cortex_assets.identity import content_id

        return content_id("scan", self.corpus.corpus_id, self.now.isoformat())

    def decide(
        self, history: Sequence[guard.PastScan] = (), confirm: str | None = None, is_late: Callable[[], bool] = bool
    ) -> guard.Decision:
        """Find the moves (this hashes new files that are as large as a vanished one) and ask the guard.

        Args:
            history: earlier scans of the corpus: at least those of the last 24 hours and the last that withheld.
            confirm: id of the scan whose withheld deletes a person accepts.
            is_late: true when time is up: the guard then decides without the moves that were not looked for, and what
                was hashed is remembered for the next slice.
        """
        missing = self.classified.vanished
        hidden = {path for path in missing if guard.is_under(path, self.listing.unreadable)}
        vanished = [path for path in missing if path not in hidden]
        for path in scan.move_candidates(self.listing.entries, self.known, vanished, self.classified.to_take):
            if is_late():
                break
            self._reader.hashes[path] = self._reader.hashed(path)
        arrived = {
            path: read.content_hash for path, read in self._reader.hashes.items() if read.content_hash is not None
        }
        self._state.remember(self.corpus.corpus_id, {path: self._memo(path, arrived[path], "") for path in arrived})
        self.moves = scan.match_moves(vanished, self.known, arrived, self.listing.entries)
        self._arrivals = {new: old for old, new in self.moves.pairs.items()}
        self.decision = guard.decide(self._question(self.moves.paths, history, confirm))
        if self.listing.device >= 0 and not self.decision.withheld:
            self._state.set_meta(_device_name(self.corpus), str(self.listing.device))
        return self.decision

    def foresee(self, history: Sequence[guard.PastScan] = ()) -> tuple[guard.Decision, bool]:
        """What ``decide`` would say, by sizes alone: a new file as large as a vanished one is taken for it. Reads no file.

        Returns:
            The decision, and whether it is certain: the same whatever these files hold.
        """
        missing, entries = self.classified.vanished, self.listing.entries
        vanished = [path for path in missing if not guard.is_under(path, self.listing.unreadable)]
        arrived = scan.move_candidates(entries, self.known, vanished, self.classified.to_take)
        free = Counter(entries[path][0] for path in arrived)
        moved: set[bytes] = set()
        for path in vanished:
            size = self.known[path].size
            if self.known[path].content_hash is not None and free[size] > 0:
                free[size] -= 1
                moved.add(path)
        elsewhere = scan.match_moves(
            [path for path in vanished if path not in moved], self.known, {}, entries
        ).elsewhere
        likely = guard.decide(self._question(moved | elsewhere, history, None))
        strict = guard.decide(self._question(elsewhere, history, None))
        return likely, likely.withheld == strict.withheld

    def _question(
        self, moved: Collection[bytes], history: Sequence[guard.PastScan], confirm: str | None
    ) -> guard.Question:
        missing = self.classified.vanished
        return guard.Question(
            vanished=[path for path in missing if path not in moved],
            known_count=len(self.known),
            listed_count=len(self.listing.entries),
            root=self.listing.root_state.value,
            root_path=str(self.corpus.root),
            unreadable=self.listing.unreadable,
            scan_id=self.scan_id if missing else "",
            now=self.now,
            history=history,
            confirm=confirm,
        )

    def take(
        self,
        store: RawStore,
        media_types: MediaTypes,
        limit: int,
        shard: str | None = None,
        is_late: Callable[[], bool] = bool,
        weight: int | None = None,
    ) -> Batch:
        """Phase 2, once per slice: the deletes (in the first slice), then at most ``limit`` files, newest first.

        The old path of a move is deleted in the slice that takes its new path.

        Args:
            store: where the bytes go; flushed before this returns, and rid of what it copied where this raises.
            media_types: asked about files whose content is new.
            limit: most files to take.
            shard: take and delete files of this shard only, or None for all.
            is_late: true when the slice's time is up; at least one file is taken.
            weight: bytes to read; the file that goes beyond is left for the next slice unless it is the first.

        Raises:
            RuntimeError: ``decide`` was not called.
            StoreWriteError: the store cannot be written.
        """
        from cortex_assets.corpora.take import file_rows

        self._state.clear_complete(self.corpus.corpus_id, STAGE)
        deleted = self._plain_deletes(shard)
        queue = self._queue(shard)
        readings: dict[bytes, Reading] = {}
        left = math.inf if weight is None else weight
        with store:
            while queue and len(readings) < limit and not (readings and is_late()):
                left -= 0 if queue[-1] in self.classified.trusted else self.listing.entries[queue[-1]][0]
                if readings and left < 0:
                    break
                path = queue.pop()
                readings[path] = self._reader.taken(path, store)
        facts, touched = self._reader.facts(readings, store, media_types)
        memos = {fact.raw_path: self._memo(fact.raw_path, fact.content_hash, fact.media_type) for fact in facts}
        memos |= {
            path: self._memo(path, self.known[path].content_hash, self.known[path].media_type) for path in touched
        }
        self._done |= memos.keys()
        deleted |= {
            self._arrivals[path]
            for path in memos
            if path in self._arrivals and self._is_in(shard, self._arrivals[path])
        }
        deleted -= self._deleted
        self._deleted |= deleted
        lasting = {
            path: memo
            for path, memo in memos.items()
            if path not in readings or readings[path].outcome != Outcome.IO_ERROR
        }
        self._state.remember(self.corpus.corpus_id, lasting, deleted)
        self._changed += sum(fact.raw_path in self.known for fact in facts)
        self._added += sum(fact.raw_path not in self.known and fact.raw_path not in self._arrivals for fact in facts)
        return Batch(
            rows=file_rows(self.corpus.corpus_id, self.corpus.name, self.corpus.shard_count, facts),
            deleted=tuple(self.known[path].file_id for path in sorted(deleted)),
            touched=len(touched),
            not_ready=len(readings) - len(memos),
            bytes_read=sum(reading.size for reading in readings.values()),
            remaining=len(queue),
        )

    def settle(self, token: str) -> bool:
        """Note that the caller's rows agree with the folder, where they do: then ``is_settled(token)`` is true.

        Call it after the last batch is committed. Returns false, and notes nothing, while files wait, are deferred,
        unreadable or withheld, or the cache has no stat for one.
        """
        gone = set(self.classified.vanished)
        is_whole = (
            not (gone - self._deleted or self.classified.deferred or self._reader.unreadable or self.listing.unreadable)
            and self.listing.root_state in (RootState.PRESENT, RootState.OTHER_DEVICE)
            and len(self._done) == len(self.classified.to_take)
        )
        if is_whole:
            extra = self._state.stats(self.corpus.corpus_id).keys() - self.listing.entries.keys()
            self._state.remember(self.corpus.corpus_id, {}, extra)
            record = {"token": token, "corpus": self.corpus.fingerprint}
            self._state.set_complete(self.corpus.corpus_id, STAGE, record)
        return is_whole

    def scan_row(self, seconds: float) -> "pl.DataFrame":
        """The row of ``ops/scans`` of this scan, as far as it was taken; ``deleted`` counts what the guard counts."""
        from cortex_assets.corpora.take import scan_row

        decision = self.decision or guard.Decision(frozenset(), frozenset(), frozenset())
        return scan_row(
            scan_id=self.scan_id,
            corpus_id=self.corpus.corpus_id,
            started_at=self.now,
            seconds=seconds,
            listed=len(self.listing.entries),
            added=self._added,
            changed=self._changed,
            moved=len(self._deleted & self.moves.paths),
            deleted=len(self._deleted & decision.allowed),
            ignored=sum(self.listing.ignored.values()),
            unreadable=sorted([*self.listing.unreadable, *self._reader.unreadable]),
            withheld=len(decision.withheld),
            withheld_reason=decision.reason,
            is_confirmed=decision.is_confirmed,
        )

    def _memo(self, path: bytes, content_hash: str | None, media_type: str) -> CachedFile:
        return CachedFile(*self.listing.entries[path], content_hash, media_type, self._now_ns)

    def _queue(self, shard: str | None) -> list[bytes]:
        """What waits, the next one last."""
        if shard not in self._queues:
            self._queues[shard] = [path for path in reversed(self.classified.to_take) if self._is_in(shard, path)]
        return self._queues[shard]

    def _plain_deletes(self, shard: str | None) -> set[bytes]:
        """Vanished paths of the shard that wait for no new path: allowed, or moved to where it is not this shard's."""
        if self.decision is None:
            raise RuntimeError("Intake.take was called before Intake.decide; ask the guard first")
        away = {old for old, new in self.moves.pairs.items() if not self._is_in(shard, new)}
        return {path for path in self.decision.allowed | self.moves.elsewhere | away if self._is_in(shard, path)}

    def _is_in(self, shard: str | None, path: bytes) -> bool:
        if shard is None:
            return True
        from cortex_assets.identity import file_id
        from cortex_assets.partitions import shard_of

        return shard_of(self.corpus.name, file_id(self.corpus.corpus_id, path), self.corpus.shard_count) == shard


def _walk(corpus: Corpus, state: State) -> Listing:
    scope = corpus_scope(corpus.include, corpus.exclude, corpus.corpora_below)
    device = state.meta(_device_name(corpus))
    return walk(corpus.root, scope, int(device) if device is not None else None, corpus.is_flat)


def _device_name(corpus: Corpus) -> str:
    return f"device:{corpus.corpus_id}"


def _nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the epoch, exact to the microsecond."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 10**9 + moment.microsecond * 1000

"""Leases among machines: objects in the lake's own store, created and replaced under conditions.

**A lease** is the object ``_locks/<name>.json``. It is taken by creating it, or by replacing one that is free or dead, and
each of these is a put that fails where the object is not the one that was looked at: of any number that try, one wins. Its
holder replaces it every quarter of a term, so that its tag moves, and on release replaces it by a free one. No lease
object is ever deleted, because a delete has no condition: a holder that was late would delete its successor's.

**Dead** is a lease that the store has not seen renewed for longer than its term. The store's clock says both, when it was
renewed and what time it is (``Bucket.now``), so no two machines' clocks are ever compared. A lease of this machine, this
life of its kernel and this folder of lock files is dead at once, whatever its age: whoever looks holds the lock file that
its holder would hold.

**Fenced.** Its holder counts its own seconds, sleep of the machine included, from before the last renewal that went through
was sent. After half a term it must renew before it writes again (``check_shared``, before every commit), and where the
object is another's by then, it has lost the lease and writes no more. The other half of the term is for the commit that
is on its way. One that takes still longer meets the successor's commits: every commit carries the names of its leases as
application transactions, and Delta refuses one that would jump over another of the same name. What slips in even so, before
the successor's first commit to that table, verification finds and mends.

**Shared and exclusive.** Holders of the lake's shared lease are objects ``_locks/_lake.shared/<nonce>.json``. Either side
first announces itself and then looks for the other, and withdraws where it finds it. Suppose that both went on: the shared
one looked before the exclusive one had announced itself, which therefore looked after that and, as reads and listings of
the store are consistent, found the shared one announced. A contradiction; so at most one side goes on, and where both
withdraw, both say that they are busy. A dead one of the other side is not passed by but replaced by a free one, under
the condition that it is what was looked at; if it revives, that fails, or its own renewal does.
"""

import json
import logging
import os
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any

from cortex_assets.engine.lease import LAKE, Holder, Lease, LeaseBusy, LeaseLost, encoded
from cortex_assets.engine.lease import holders as local_holders
from resources.bucket import LOCKS, Found, LeasePlace, ObjectStoreError
from resources.machine import boot_id

log = logging.getLogger(__name__)

RENEWALS = 4
"""In a term."""
TRIES = 4
ASIDE_SECONDS = 0.25
"""Maintenance that finds runs at work withdraws at once: a run that meets just that tries again after so long."""
RESOLUTION = 1.0
"""Of the times that an object store tells, in seconds."""
_FREE = json.dumps({"nonce": ""}).encode()
_held: list["SharedLease"] = []
_mutex = threading.Lock()


class SharedLease(Lease):
    """A lease that this process holds among those of its machine, and this machine among all."""

    def __init__(self, place: LeasePlace, name: str, is_shared: bool = False) -> None:
        """Take the lease.

        Raises:
            LeaseBusy: it is held in a way that excludes this one.
            ObjectStoreError: the store cannot be asked.
        """
        super().__init__(place.folder, name, is_shared)
        self.place = place
        self._nonce, self._beats, self._tag = secrets.token_hex(8), 0, ""
        self._good_at = _clock()
        self._lost_to: str | None = None
        self._renewing = threading.Lock()
        self._over = threading.Event()
        self._life = _life(place)
        self._key = _key(name)
        if is_shared:
            self._key = f"{_shared_prefix(name)}{self._nonce}.json"
        try:
            self._announce()
            self._look_for_others()
        except BaseException:
            super().release()
            raise
        with _mutex:
            _held.append(self)
        self._thread = threading.Thread(target=self._keep, name=f"lease {name}", daemon=True)
        self._thread.start()

    # -- taking --------------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Make the object this one's."""
        bucket = self.place.bucket
        for _ in range(TRIES):
            self._good_at, content = _clock(), self._content()
            there = bucket.read(self._key)
            if there is None:
                tag = bucket.create(self._key, content)
            elif _is_free(there) or self._is_dead(there):
                tag = bucket.replace(self._key, content, there.tag)
            else:
                raise LeaseBusy(self.name, _holder(there))
            if tag is None:  # another one was faster; or the answer to our own put was lost, and it was sent again
                tag = self._ours()
            if tag is not None:
                self._tag = tag
                return
        there = bucket.read(self._key)
        raise LeaseBusy(self.name, None if there is None else _holder(there))

    def _look_for_others(self) -> None:
        """After the announcement: whoever excludes it was there before, or sees it."""
        if self.name != LAKE:
            return
        for left in reversed(range(TRIES if self.is_shared else 1)):
            other = self._other()
            if other is None:
                return
            if not left:
                self._withdraw()
                raise LeaseBusy(LAKE, _holder(other))
            time.sleep(ASIDE_SECONDS)

    def _other(self) -> Found | None:
        """One that excludes this one, and lives."""
        bucket = self.place.bucket
        keys = [_key(LAKE)] if self.is_shared else [one.key for one in bucket.list(_shared_prefix(LAKE))]
        for key in keys:
            there = bucket.read(key)
            if there is None or _is_free(there):
                continue
            if not (self._is_dead(there) and bucket.replace(key, _FREE, there.tag)):
                return there
            log.info("%s gave no sign of life for longer than its term: %s", key, _holder(there))
            if not self.is_shared:
                bucket.delete(key)  # free, and its name is nobody else's
        return None

    def _is_dead(self, there: Found) -> bool:
        told = _told(there)
        if told.get("machine") == self.place.machine and told.get("life") == self._life:
            return True
        age = (self.place.bucket.now() - there.modified_at).total_seconds()
        return age >= float(told.get("term", self.place.term)) + RESOLUTION

    def _ours(self) -> str | None:
        """The object's tag, if it is ours."""
        there = self.place.bucket.read(self._key)
        return there.tag if there is not None and _told(there).get("nonce") == self._nonce else None

    def _content(self) -> bytes:
        """Another one each time: the tag of equal contents is equal."""
        self._beats += 1
        holder = {
            "name": self.name,
            "pid": os.getpid(),
            "host": self.place.machine,
            "started_at": self._started_at,
            "heartbeat_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        own = {"nonce": self._nonce, "beat": self._beats, "term": self.place.term}
        return json.dumps(holder | own | {"machine": self.place.machine, "life": self._life}).encode()

    # -- keeping -------------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._over.wait(self.place.term / RENEWALS):
            try:
                if not self._renew():
                    return
            except ObjectStoreError as error:
                log.warning("the lease of %s could not be renewed: %s", self.name, error)

    def _renew(self) -> bool:
        """Replace the object by a younger one; whether it is still ours."""
        with self._renewing:
            if self._lost_to is not None:
                return False
            begun = _clock()
            tag = self.place.bucket.replace(self._key, self._content(), self._tag) or self._ours()
            if tag is None:
                there = self.place.bucket.read(self._key)
                self._lost_to = "nobody" if there is None or _is_free(there) else str(_holder(there))
                return False
            self._tag, self._good_at = tag, begun
            return True

    def check(self) -> None:
        """Refuse to go on where the lease may be another's by now.

        Raises:
            LeaseLost: it is, or the store could not be asked for too long.
        """
        if self._is_fresh():
            return
        try:
            self._renew()
        except ObjectStoreError as error:
            raise LeaseLost(
                f"{self._what()} could not be renewed in time, so nothing more is written: {error}"
            ) from None
        if not self._is_fresh():
            raise LeaseLost(
                f"{self._what()} was not renewed in time and is held by {self._lost_to} now, so nothing more is written; "
                "what was committed is consistent, the next run continues"
            )

    def _is_fresh(self) -> bool:
        return self._lost_to is None and _clock() - self._good_at < self.place.term / 2

    def _what(self) -> str:
        return "the lease of the lake" if self.name == LAKE else f"the lease of shard {self.name}"

    # -- giving back ---------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Give it back; a second call, or one in a forked child, does nothing. One that is not ours any more stays as it is."""
        if not self._is_mine():
            return
        self._over.set()
        with _mutex:
            _held.remove(self)
        try:
            self._withdraw()
        except ObjectStoreError as error:
            log.warning("the lease of %s runs out by itself, for it could not be given back: %s", self.name, error)
        finally:
            super().release()

    def _withdraw(self) -> None:
        with self._renewing:
            if self._lost_to is None:
                is_freed = self.place.bucket.replace(self._key, _FREE, self._tag) is not None
                if is_freed and self.is_shared:
                    self.place.bucket.delete(self._key)
                self._lost_to = "nobody"


def check_shared(place: LeasePlace) -> None:
    """``SharedLease.check`` of every lease that this process holds in a place."""
    for lease in _mine(place):
        lease.check()


def held_names(place: LeasePlace) -> tuple[str, ...]:
    """The exclusive leases that this process holds in a place, sorted."""
    return tuple(sorted({lease.name for lease in _mine(place) if not lease.is_shared}))


def _mine(place: LeasePlace) -> list[SharedLease]:
    with _mutex:
        return [lease for lease in _held if lease.place == place and lease._is_mine()]


def shared_holders(place: LeasePlace) -> list[Holder]:
    """Who holds an exclusive lease at this moment, by name: of this machine by its lock files, of others by the store."""
    found = {holder.name: holder for holder in local_holders(place.folder)}
    bucket = place.bucket
    listed = [one for one in bucket.list(f"{LOCKS}/") if one.key.endswith(".json") and one.key.count("/") == 1]
    listed = [one for one in listed if one.size != len(_FREE)]
    if not listed:
        return list(found.values())
    now = bucket.now()
    for one in listed:
        there = bucket.read(one.key)
        if there is None or _is_free(there):
            continue
        told = _told(there)
        age = (now - there.modified_at).total_seconds()
        if told.get("machine") != place.machine and age < float(told.get("term", place.term)) + RESOLUTION:
            holder = _holder(there)
            found[holder.name] = holder
    return [found[name] for name in sorted(found)]


def _life(place: LeasePlace) -> str:
    """In what the lock files of a place mean something: one kernel from its start to its end, and this folder, not a copy of it."""
    folder = place.folder.stat()
    return f"{boot_id()} {folder.st_dev} {folder.st_ino}"


def _key(name: str) -> str:
    return f"{LOCKS}/{encoded(name)}.json"


def _shared_prefix(name: str) -> str:
    return f"{LOCKS}/{encoded(name)}.shared/"


def _told(there: Found) -> dict[str, Any]:
    try:
        told = json.loads(there.content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _is_free(there: Found) -> bool:
    return _told(there).get("nonce") == ""


def _holder(there: Found) -> Holder:
    told = _told(there)
    texts = (str(told.get(name, "unknown")) for name in ("host", "started_at", "heartbeat_at"))
    return Holder(str(told.get("name", "unknown")), int(told.get("pid", 0)), *texts)


def _clock() -> float:
    """Seconds that pass on this machine, also while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

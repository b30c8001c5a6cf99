"""The mass-delete guard: which vanished files may be deleted, and which are held back until a person confirms.

Pure. It is asked once per corpus and scan, about files that vanished and did not move; adds and edits never pass
through it.

Withheld: everything, when the root is missing, unreadable, on another device, or empty while files were known; and
    everything, when
more than 15 % *and* more than 20 files vanished within 24 hours. That sum runs over the scans of the last 24 hours
since the last one that a person confirmed, so twenty deletes an hour add up. The share is of every file that was known
at some time in that window (those known now and those deleted in it). Files under an unreadable prefix are protected:
neither deleted nor counted.

A confirmation lets through as many deletes as the confirmed scan withheld: if more have vanished since, a person is
asked again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
MOST_FILES = 20
MOST_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class PastScan:
    """A row of ``ops/scans``, as far as the guard reads it."""

    scan_id: str
    started_at: datetime
    deleted: int
    withheld: int
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What the guard is asked.

    Attributes:
        vanished: paths that were known and are not listed, without those that moved.
        known_count: files known before this scan.
        listed_count: files listed now.
        root: ``present``, ``missing``, ``unreadable`` or ``other_device`` (``resources.listing.RootState``).
        root_path: for the message.
        unreadable: prefixes that could not be read; a directory ends in ``/``, empty = the root.
        scan_id: this scan.
        now: its time (UTC).
        history: earlier scans of this corpus, in any order: at least those of the last 24 hours, the last that withheld,
            and every confirmed one (without which a confirmation would seem unused and let through once more).
        confirm: id of the scan whose withheld deletes a person accepts now, or None.
    """

    vanished: Collection[bytes]
    known_count: int
    listed_count: int
    root: str
    root_path: str
    unreadable: Collection[bytes]
    scan_id: str
    now: datetime
    history: Sequence[PastScan] = ()
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard decided: three disjoint sets of the vanished paths.

    Attributes:
        allowed: may be deleted.
        withheld: held back until confirmed.
        protected: lie under an unreadable prefix: kept.
        reason: why something is withheld, with counts and the remedy; None where nothing is.
        is_confirmed: a confirmation was needed and let the deletes through.
    """

    allowed: frozenset[bytes]
    withheld: frozenset[bytes]
    protected: frozenset[bytes]
    reason: str | None = None
    is_confirmed: bool = False


def decide(question: Question) -> Decision:
    """Decide about the vanished files of one scan."""
    protected = frozenset(path for path in question.vanished if is_under(path, question.unreadable))
    open_paths = frozenset(question.vanished) - protected
    if not open_paths:
        return Decision(frozenset(), frozenset(), protected)
    objection = _objection(question, len(open_paths))
    if objection is None:
        return Decision(open_paths, frozenset(), protected)
    accepted = _accepted(question)
    if accepted is not None and len(open_paths) <= accepted[1]:
        return Decision(open_paths, frozenset(), protected, is_confirmed=True)
    if accepted is not None:
        objection += f"; the confirmed scan {accepted[0].scan_id} still allows {accepted[1]}, more have vanished since"
    remedy = f"if they are meant, run `cortex confirm {question.scan_id}`"
    reason = f"{objection}. {len(open_paths)} deletes are withheld; {remedy}"
    return Decision(frozenset(), open_paths, protected, reason)


def is_under(path: bytes, prefixes: Collection[bytes]) -> bool:
    """Whether ``path`` is one of the prefixes or lies in one that ends in ``/`` (or in the root, the empty prefix)."""
    return any(
        path == prefix or ((prefix == b"" or prefix.endswith(b"/")) and path.startswith(prefix)) for prefix in prefixes
    )


def _objection(question: Question, vanished: int) -> str | None:
    """Why ``vanished`` deletes are not simply followed, or None."""
    states = {
        "missing": "is missing",
        "unreadable": "cannot be read",
        "other_device": "is on another device than before",
    }
    if question.root in states:
        return f"{question.root_path} {states[question.root]}, {question.known_count} files are known"
    if question.listed_count == 0:
        return f"{question.root_path} is empty, {question.known_count} files are known"
    earlier = sum(scan.deleted for scan in _window(question))
    total, base = vanished + earlier, question.known_count + earlier
    if total > MOST_FILES and total > MOST_SHARE * base:
        return f"{total} of {base} files ({total / base:.0%}) of {question.root_path} vanished within 24 hours"
    return None


def _window(question: Question) -> list[PastScan]:
    """The scans of the last 24 hours that came after the last confirmed one."""
    recent = [scan for scan in question.history if scan.started_at > question.now - WINDOW]
    confirmed = [scan.started_at for scan in recent if scan.is_confirmed]
    return [scan for scan in recent if not confirmed or scan.started_at > max(confirmed)]


def _accepted(question: Question) -> tuple[PastScan, int] | None:
    """The scan whose withheld deletes a person accepted, and how many of them no later scan has used up.

    The shards of a corpus are scanned one after the other: each uses up its own part of one confirmation.
    """
    spent = 0
    for scan in sorted(question.history, key=lambda scan: (scan.started_at, scan.scan_id), reverse=True):
        if scan.is_confirmed and not scan.withheld:
            spent += scan.deleted
        elif scan.withheld and (scan.is_confirmed or scan.scan_id == question.confirm):
            return (scan, scan.withheld - spent) if scan.withheld > spent else None
    return None

"""What a listing means: still files, racy stats, moves."""

from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.corpora import scan
from cortex_assets.corpora.scan import CachedTuple, KnownFile, Limits, StatTuple, classify, match_moves
from cortex_assets.tables import Status

SECOND = 10**9
NOW = 1_000 * SECOND


def stat(size: int = 5, mtime: int = 100, ctime: int | None = None, inode: int = 1) -> StatTuple:
    return (size, mtime * SECOND, (mtime if ctime is None else ctime) * SECOND, inode)


def memo(of: StatTuple, content_hash: str | None = "h", hashed_at: int = 200) -> CachedTuple:
    return (*of, content_hash, "text/plain", hashed_at * SECOND)


def known(content_hash: str | None = "h", size: int = 5, status: str = "ok", store: str = "raw") -> KnownFile:
    return KnownFile("id", "notes", size, content_hash, "text/plain", store, status)


def found(current: StatTuple, old: KnownFile | None, cached: CachedTuple | None, **more: object) -> str:
    result = classify(
        {b"a": current},
        {} if old is None else {b"a": old},
        {} if cached is None else {b"a": cached},
        Limits(1_000),
        NOW,
        **more,
    )
    if result.unchanged:
        return "unchanged"
    return "deferred" if result.deferred else ("trusted" if result.trusted else "take")


def test_one_file_in_every_state() -> None:
    assert found(stat(), known(), memo(stat())) == "unchanged"
    assert found(stat(), None, None) == "take"
    assert found(stat(), known(), None) == "take"
    assert found(stat(), known(), memo(stat(inode=2))) == "take"
    assert found(stat(), known(), memo(stat(ctime=101))) == "take"
    assert found(stat(), None, memo(stat())) == "trusted"
    assert found(stat(), known("other"), memo(stat())) == "trusted"
    assert found(stat(), known(store="reference"), memo(stat())) == "trusted"
    assert found(stat(), known(), memo(stat()), is_retake=True) == "trusted"


def test_a_file_must_have_stood_still() -> None:
    assert found(stat(mtime=999), None, None) == "deferred"
    assert found(stat(mtime=998), None, None) == "take"
    assert found(stat(mtime=5_000, ctime=100), None, None) == "take"
    assert found(stat(mtime=5_000, ctime=999), None, None) == "deferred"
    result = classify({b"a": stat(mtime=999)}, {}, {}, Limits(10), NOW)
    assert result.ready_at_ns == 1_001 * SECOND


def test_a_file_hashed_while_young_is_hashed_again() -> None:
    young = stat(mtime=199)
    assert found(young, known(), memo(young, hashed_at=200)) == "take"
    assert found(young, known(), memo(young, hashed_at=201)) == "unchanged"


def test_large_and_unread_files_rest_until_they_change() -> None:
    large = stat(size=2_000)
    assert found(large, None, None) == "take"
    assert found(large, known(None, 2_000, "too_large"), memo(large, None)) == "unchanged"
    assert found(stat(), known(None, 5, "too_large"), memo(stat(), None)) == "take"
    assert found(stat(), known(None, 5, "failed"), memo(stat(), None)) == "unchanged"
    assert Status.TOO_LARGE.value == scan.TOO_LARGE


def test_the_newest_come_first() -> None:
    result = classify({b"b": stat(mtime=5), b"a": stat(mtime=5), b"c": stat(mtime=9)}, {}, {}, Limits(10), NOW)
    assert result.to_take == [b"c", b"a", b"b"]


def test_each_new_path_consumes_one_vanished_path() -> None:
    old = {f"old{n}".encode(): known("same") for n in range(5)}
    moves = match_moves(old, old, {b"new": "same"}, {b"new": stat()})
    assert (len(moves.pairs), len(moves.elsewhere)) == (1, 0)


def test_content_that_lives_on_elsewhere_is_no_loss_except_when_empty() -> None:
    files = {b"gone1": known("h"), b"gone2": known("h"), b"kept": known("h"), b"e": known("0", 0), b"e2": known("0", 0)}
    moves = match_moves([b"gone1", b"gone2", b"e"], files, {}, {b"kept": stat(), b"e2": stat()})
    assert (moves.pairs, moves.elsewhere) == ({}, {b"gone1"})


def test_unread_files_never_move() -> None:
    files = {b"gone": known(None, status="failed")}
    assert not match_moves([b"gone"], files, {b"new": "h"}, {b"new": stat()}).paths


@given(
    st.dictionaries(st.binary(min_size=1, max_size=3), st.sampled_from("abc"), max_size=12),
    st.dictionaries(st.binary(min_size=4, max_size=5), st.sampled_from("abc"), max_size=12),
)
def test_moves_pair_equal_content_once(gone: dict[bytes, str], new: dict[bytes, str]) -> None:
    files = {path: known(content) for path, content in gone.items()}
    moves = match_moves(gone, files, new, {path: stat() for path in new})
    assert len(set(moves.pairs.values())) == len(moves.pairs)
    assert all(gone[old] == new[to] for old, to in moves.pairs.items())
    for letter in "abc":
        wanted = min(list(gone.values()).count(letter), list(new.values()).count(letter))
        assert sum(gone[old] == letter for old in moves.pairs) == wanted

"""The walk: real folders with awkward things in them."""

import os
import socket
import time
from pathlib import Path

import pytest

from cortex_assets.corpora.ignore import corpus_scope
from resources import listing
from resources.listing import OutsideRootError, RootState, left_out, open_inside, walk


def names(root: Path) -> set[bytes]:
    return set(walk(root, corpus_scope()).entries)


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    wanted = {b"plain.md", b"caf\xe9.txt", b"two\nlines.md", b"sub/\xff\xfe", b"sub/deep/a b.md"}
    for name in wanted:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(b"x")
    assert names(tmp_path) == wanted


def test_stat_is_what_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"12345")
    os.utime(tmp_path / "a.md", ns=(1_000, 1_700_000_000_123_456_789))
    seen = walk(tmp_path, corpus_scope()).entries[b"a.md"]
    real = (tmp_path / "a.md").stat()
    assert seen == (5, 1_700_000_000_123_456_789, real.st_ctime_ns, real.st_ino)


def test_links_stay_inside_and_never_loop(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("outside")
    (root / "real.md").write_text("inside")
    (root / "inside.md").symlink_to("real.md")
    (root / "outside.md").symlink_to("../secret.txt")
    (root / "broken.md").symlink_to("nothing")
    (root / "self").symlink_to("self")
    (root / "sub" / "up").symlink_to("..")
    seen = walk(root, corpus_scope())
    assert set(seen.entries) == {b"real.md", b"inside.md"}
    assert seen.ignored == {
        "symbolic link out of the corpus": 1,
        "symbolic link that leads nowhere": 2,
        "symbolic link to a directory": 1,
    }


def test_special_files_are_counted_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        seen = walk(tmp_path, corpus_scope())
    assert not seen.entries
    assert seen.ignored == {"special file (fifo, socket or device)": 2}


def test_root_states(tmp_path: Path) -> None:
    assert walk(tmp_path / "none", corpus_scope()).root_state == RootState.MISSING
    (tmp_path / "file").write_text("")
    assert walk(tmp_path / "file", corpus_scope()).root_state == RootState.UNREADABLE
    assert walk(tmp_path, corpus_scope()).root_state == RootState.PRESENT
    assert walk(tmp_path, corpus_scope(), known_device=-5).root_state == RootState.OTHER_DEVICE


def test_an_unreadable_directory_is_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "a.md").write_text("")
    (tmp_path / "open.md").write_text("")
    real = os.scandir

    def refusing(path: bytes) -> object:
        if path.rstrip(b"/").endswith(b"shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(listing.os, "scandir", refusing)
    seen = walk(tmp_path, corpus_scope())
    assert set(seen.entries) == {b"open.md"}
    assert seen.unreadable == {b"shut/": "Permission denied"}


def test_a_directory_that_vanishes_meanwhile_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "b.md").write_text("")
    real = os.scandir

    def vanishing(path: bytes) -> object:
        if path.rstrip(b"/").endswith(b"gone"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path)

    monkeypatch.setattr(listing.os, "scandir", vanishing)
    seen = walk(tmp_path, corpus_scope())
    assert (set(seen.entries), seen.unreadable) == ({b"b.md"}, {})


def test_a_flat_walk_lists_loose_files_only(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("")
    (tmp_path / "loose.md").write_text("")
    assert set(walk(tmp_path, corpus_scope(), is_flat=True).entries) == {b"loose.md"}


def test_rule_files_prune_during_the_walk(tmp_path: Path) -> None:
    for path in ("drafts/a.md", "drafts/keep/b.md", "src/x.log", "src/keep.log", "src/y.md", "node_modules/m/i.js"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / ".gitignore").write_text("drafts/\n*.log\n")
    (tmp_path / "src" / ".cortexignore").write_text("!keep.log\n")
    seen = walk(tmp_path, corpus_scope())
    assert set(seen.entries) == {b".gitignore", b"src/.cortexignore", b"src/keep.log", b"src/y.md"}
    assert seen.ignored == {".gitignore: drafts/": 1, ".gitignore: *.log": 1, "built-in rule: node_modules/": 1}


def test_why_a_file_is_left_out_agrees_with_the_walk(tmp_path: Path) -> None:
    for name in ("a.md", "drafts/b.md", "drafts/keep.md", "node_modules/c.js", "x.tmp", "sub/deep/d.md", "other/e.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("drafts/*\n!drafts/keep.md\n")
    (tmp_path / "sub" / ".cortexignore").write_text("deep/\n")
    scope = corpus_scope(exclude=["other/"])
    listed = set(walk(tmp_path, scope).entries)
    everything = {os.fsencode(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert {path for path in everything if left_out(tmp_path, path, scope) is None} == listed
    assert left_out(tmp_path, b"sub/deep/d.md", scope) == "sub/deep/ is left out: .cortexignore: deep/"
    assert left_out(tmp_path, b"node_modules/c.js", scope) == "node_modules/ is left out: built-in rule: node_modules/"
    assert left_out(tmp_path, b"sub", scope) == "it is a folder"


def test_opening_refuses_what_now_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.md").write_text("secret")
    (root / "sub" / "a.md").write_text("mine")
    real_root = os.fsencode(root.resolve())
    os.close(open_inside(real_root, b"sub/a.md"))
    (root / "sub" / "a.md").unlink()
    (root / "sub").rmdir()
    (root / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(OutsideRootError):
        open_inside(real_root, b"sub/a.md")
    os.mkfifo(root / "pipe")
    with pytest.raises(OutsideRootError):
        open_inside(real_root, b"pipe")


@pytest.mark.slow
def test_a_hundred_thousand_files_are_listed_quickly(tmp_path: Path) -> None:
    for folder in range(500):
        base = tmp_path / f"d{folder}"
        base.mkdir()
        for number in range(200):
            (base / f"n{number}.md").touch()
    began = time.process_time()
    seen = walk(tmp_path, corpus_scope())
    spent = time.process_time() - began
    assert len(seen.entries) == 100_000
    assert spent < 2.0, f"{spent:.2f} s of CPU"

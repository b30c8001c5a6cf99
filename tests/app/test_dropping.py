"""Dropped files: written whole, under ordinary names, inside of the inbox, and never over another file without a word."""

import errno
import io
import os

import pytest

from apps import actions, reader
from apps.errors import CommandError


def drop(corpus, *files, replace=False):
    report = actions.drop_files(corpus, [(name, io.BytesIO(content)) for name, content in files], replace)
    return {file.name: file.state for file in report.files}


def test_files_are_written_and_a_run_takes_them(empty):
    assert drop("notes", ("a.md", b"# A\n\nnorth gauge"), ("deep/er/b.md", b"# B")) == {
        "a.md": "written",
        "deep/er/b.md": "written",
    }
    folder = empty / "inbox" / "notes"
    assert (folder / "deep" / "er" / "b.md").read_bytes() == b"# B"
    assert list((empty / "inbox" / ".incoming").iterdir()) == []
    actions.run()
    assert [corpus.name for corpus in reader.status().corpora] == ["notes"]
    assert {file.path for file in reader.files("notes").files} == {"a.md", "deep/er/b.md"}


def test_loose_files_lie_in_the_inbox(empty):
    assert drop("inbox", ("a.md", b"# A")) == {"a.md": "written"}
    assert (empty / "inbox" / "a.md").read_bytes() == b"# A"


@pytest.mark.parametrize(
    "name",
    ["../a.md", "/etc/passwd", "a/../../b.md", "..\\b.md", ".hidden", "a/.git/config", "", " ", "a//b", "nul\0", "x\ny",
     "left\u202eright.md", "a" * 300, "half\ud800", "/".join("abcdefghijklmnopqrst")],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_hides_is_refused(empty, name):
    report = actions.drop_files("notes", [(name, io.BytesIO(b"x"))])
    assert [file.state for file in report.files] == ["refused"]
    assert "no leading dot" in report.files[0].reason or "parts" in report.files[0].reason
    assert sorted(path.name for path in (empty / "inbox").iterdir()) == [".incoming"]


def test_a_path_that_nothing_could_open_again_is_refused(empty):
    name = "/".join(["d" * 255] * 15 + ["x" * 255])
    report = actions.drop_files("notes", [(name, io.BytesIO(b"x")), ("a.md", io.BytesIO(b"x"))])
    assert [file.state for file in report.files] == ["refused", "written"]
    assert "path is too long" in report.files[0].reason


@pytest.mark.parametrize("corpus", ["../out", "a/b", ".hidden", "..", ""])
def test_a_corpus_name_that_is_no_folder_name_is_refused(empty, corpus):
    with pytest.raises(CommandError, match="the name of the corpus"):
        drop(corpus, ("a.md", b"x"))


def test_nothing_is_overwritten_without_a_word(empty):
    drop("notes", ("a.md", b"one"))
    place = empty / "inbox" / "notes" / "a.md"
    assert drop("notes", ("a.md", b"one")) == {"a.md": "same"}
    assert drop("notes", ("a.md", b"two")) == {"a.md": "refused"}
    assert place.read_bytes() == b"one"
    assert drop("notes", ("a.md", b"two"), replace=True) == {"a.md": "replaced"}
    assert place.read_bytes() == b"two"


def test_a_file_system_without_links_takes_files_too(empty, monkeypatch):
    def refuse(*words, **more):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert drop("notes", ("a.md", b"one")) == {"a.md": "written"}
    assert drop("notes", ("a.md", b"two")) == {"a.md": "refused"}
    assert (empty / "inbox" / "notes" / "a.md").read_bytes() == b"one"
    assert list((empty / "inbox" / ".incoming").iterdir()) == []


def test_what_a_drop_left_that_was_cut_off_is_removed_by_the_next(empty):
    incoming = empty / "inbox" / ".incoming"
    incoming.mkdir(parents=True)
    (incoming / "0ff-lock").touch()
    (incoming / "0ff-0").write_bytes(b"half of a fi")
    assert reader.plan().is_empty, "what is on its way is no source"
    drop("notes", ("a.md", b"x"))
    assert list(incoming.iterdir()) == []


def test_links_are_not_followed(empty, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.md").write_bytes(b"kept")
    notes = empty / "inbox" / "notes"
    notes.mkdir(parents=True)
    (notes / "way").symlink_to(outside)
    (notes / "kept.md").symlink_to(outside / "kept.md")
    assert drop("notes", ("way/a.md", b"x"), ("kept.md", b"x"), replace=True) == {
        "way/a.md": "refused",
        "kept.md": "refused",
    }
    assert os.listdir(outside) == ["kept.md"]
    assert (outside / "kept.md").read_bytes() == b"kept"


def test_a_corpus_that_lies_elsewhere_is_not_written_to(empty, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (empty / "inbox" / "notes").mkdir(parents=True)
    actions.add(actions.preview_add(str(folder)))
    actions.run()
    assert {one.name: one.takes_files for one in reader.status().corpora} == {"elsewhere": False, "notes": True}
    with pytest.raises(CommandError, match="lies outside of the inbox"):
        drop("elsewhere", ("a.md", b"x"))
    assert os.listdir(folder) == []


def test_a_corpus_under_another_name_than_its_folder_is_found(empty):
    (empty / "inbox" / "My Notes").mkdir(parents=True)
    (empty / "inbox" / "My Notes" / "a.md").write_bytes(b"# A")
    actions.run()
    assert [corpus.name for corpus in reader.status().corpora] == ["my-notes"]
    assert drop("my-notes", ("b.md", b"# B")) == {"b.md": "written"}
    assert (empty / "inbox" / "My Notes" / "b.md").exists()

"""Ignore rules against git itself, and the built-in ones."""

import os
import subprocess
from pathlib import Path

import pytest

from cortex_assets.corpora.ignore import corpus_scope
from resources.listing import walk

TREE = (
    "a.md a.log keep.log docs/a.md docs/b.log docs/_site/x.md docs/deep/_site/y.md src/out.txt src/out/z.txt "
    "src/tmp1/a.txt src/[x].md src/x.md notes/todo.txt notes/done.txt notes/sub/todo.txt sp\0ace.md foo/bar/baz.txt "
    "foo/baz.txt q/foo/baz.txt caps/A.LOG wild/abc.dat wild/abd.dat neg/a.txt neg/b.txt neg/keep/c.txt"
)
RULES = {
    ".gitignore": "*.log\n!keep.log\n_site/\n/src/out\nsrc/tmp?/\n# comment\n\\[x\\].md\n"
    "foo/**/baz.txt\nneg/*\n!neg/keep\n",
    "notes/.gitignore": "/todo.txt\n",
    "docs/.gitignore": "!b.log\n",
    "wild/.gitignore": "ab[!d].dat\n  \n!\n",
}


def grow(root: Path) -> None:
    for name in [*TREE.split(" "), *RULES]:
        path = root / name.replace("\0", " ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RULES.get(name, "x"))


def test_the_same_files_as_git(tmp_path: Path) -> None:
    grow(tmp_path)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    told = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=tmp_path, check=True, capture_output=True
    ).stdout
    assert set(walk(tmp_path, corpus_scope()).entries) == set(told.split(b"\0")) - {b""}


def test_cortexignore_wins_and_takes_built_in_rules_back(tmp_path: Path) -> None:
    for name in ("build/a.md", "a.log", "b.txt", "c.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / ".cortexignore").write_text("!build/\n!a.log\n!c.pyc\nb.txt\n.*ignore\n")
    assert set(walk(tmp_path, corpus_scope()).entries) == {b"build/a.md", b"a.log", b"c.pyc"}


@pytest.mark.parametrize(
    "name", ["~$report.docx", ".DS_Store", "a.pyc", "film.part", "x.crdownload", ".a.md.swp", ".~lock.b.odt#", "a.md~"]
)
def test_noise_is_ignored_with_a_reason(name: str) -> None:
    raw = name.encode()
    assert str(corpus_scope().ignored_file(b"sub/" + raw, raw)).startswith("built-in rule")


@pytest.mark.parametrize("name", ["a.md", "node_modules.md", "build", "notes.zip", ".env.example", "~notes.md"])
def test_ordinary_files_are_not(name: str) -> None:
    assert corpus_scope().ignored_file(name.encode(), name.encode()) is None


def test_globs_narrow_a_corpus(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "drafts/c.md", "sub/d.md", "inner/e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    seen = walk(tmp_path, corpus_scope(include=["*.md"], exclude=["drafts/"], corpora_below=[b"inner"]))
    assert set(seen.entries) == {b"a.md", b"sub/d.md"}
    assert seen.ignored == {"matches no include glob": 1, "exclude: drafts/": 1, "a corpus of its own": 1}


def test_large_binaries_are_ignored_and_large_texts_are_not(tmp_path: Path) -> None:
    for name in ("film.mp4", "table.csv", "export.zip"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 50_000_001)
    seen = walk(tmp_path, corpus_scope())
    assert set(seen.entries) == {b"table.csv", b"export.zip"}
    assert seen.ignored == {"binary above 50 MB": 1}


def test_a_rule_file_with_bad_bytes_and_lines_still_counts(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / "b.md").touch()
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf*.log\r\n\xff\xfe\n!\n//\n[\n")
    assert set(walk(tmp_path, corpus_scope()).entries) == {b".gitignore", b"b.md"}

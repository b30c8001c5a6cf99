"""Sources: names, the YAML file and its errors, corpora inside corpora."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.corpora import sources
from cortex_assets.corpora.registry import Registered, from_row
from cortex_assets.corpora.sources import (
    EXAMPLE,
    SourcesError,
    address_problem,
    check_places,
    folder_corpora,
    inbox_sources,
    nested_below,
    parse_sources,
    slug,
)

FILE = Path("/home/ada/cortex/data/sources.yaml")
HOME = Path("/home/ada")


def parse(text: str) -> tuple[sources.Source, ...]:
    return parse_sources(text, FILE, HOME)


def test_the_example_and_its_commented_entries_are_valid() -> None:
    assert parse(EXAMPLE) == ()
    commented = "\n".join(line[2:] for line in EXAMPLE.splitlines() if line.startswith("# ") and "Corpora" not in line)
    handbook, website = parse(commented)
    assert (handbook.name, handbook.uri, handbook.raw) == ("handbook", "/home/ada/work/handbook", "reference")
    assert (handbook.include, handbook.max_bytes, handbook.embed) == (("*.md", "*.pdf"), 200_000_000, "packaged")
    assert (handbook.secrets, handbook.personal_data, handbook.allow) == ("mask", "keep", ("^ghp_test",))
    assert (website.kind, website.raw, website.branch) == ("git", "copy", "main")


def test_a_corpus_registered_before_a_setting_was_known_has_its_default() -> None:
    source = sources.Source("a", "folder", "/a", include=("*.md",), allow=("x",), secrets="keep")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    row = Registered("c", source, "declared", "hash", "s", 1, 0, True, moment).to_row()
    assert from_row(row).source == source
    settings = {k: v for k, v in json.loads(row["settings"]).items() if k not in ("secrets", "personal_data", "allow")}
    old = from_row(row | {"settings": json.dumps(settings)})
    assert old.source == replace(source, secrets="mask", personal_data="keep", allow=())


def test_paths_are_meant_from_the_file() -> None:
    (one,) = parse("corpora: [{name: a, path: ../../notes}]")
    assert one.uri == "/home/ada/notes"
    (two,) = parse("corpora: [{name: a, git: ../../code}]")
    assert (two.kind, two.uri) == ("folder", "/home/ada/code")


@pytest.mark.parametrize("url", ["https://h/x.git", "ssh://git@h/x.git", "git@h:team/x.git", "file:///srv/x.git"])
def test_git_urls(url: str) -> None:
    assert parse(f"corpora: [{{name: a, git: '{url}'}}]")[0].uri == url


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{name: a, path: x, colour: red}", "`colour` is no field"),
        ("{name: Team Notes, path: x}", "`name` must be lower-case"),
        ("{name: inbox, path: x}", "`name` must be"),
        ("{path: x}", "`name` must be"),
        ("{name: a}", "`path` or `git` must be there"),
        ("{name: a, path: x, git: 'https://h/x'}", "only one of them"),
        ("{name: a, git: 'ext::sh -c id'}", "`git` must be a URL"),
        ("{name: a, git: 'ext::id'}", "`git` may begin with"),
        ("{name: a, git: 'http://h/x'}", "`git` may begin with"),
        ("{name: a, git: '--upload-pack=id'}", "`git` must be a URL"),
        ("{name: a, git: 'https://h/x', branch: '--force'}", "`branch` must be"),
        ("{name: a, path: x, branch: main}", "`branch` goes with"),
        ("{name: a, path: '~bob/x'}", "`path` may begin with ~/"),
        ("{name: a, path: x, include: '*.md'}", "`include` must be a list"),
        ("{name: a, path: x, raw: maybe}", "`raw` must be copy or reference"),
        ("{name: a, path: x, keep_last_good: 'yes'}", "`keep_last_good` must be true or false"),
        ("{name: a, path: x, max_bytes: lots}", "`max_bytes` must be a size"),
        ("{name: a, path: x, embed: [1]}", "`embed` must be"),
        ("{name: a, path: x, secrets: hide}", "`secrets` must be mask or keep"),
        ("{name: a, path: x, personal_data: yes}", "`personal_data` must be keep or mask"),
        ("{name: a, path: x, allow: abc}", "`allow` must be a list"),
        ("{name: a, path: x, allow: ['(']}", "`allow` must be a list"),
        ("{name: a, path: x, allow: ['.*']}", "`allow` must be a list"),
        ("just text", "must have the form"),
    ],
)
def test_errors_name_file_entry_field_and_remedy(entry: str, told: str) -> None:
    with pytest.raises(SourcesError) as caught:
        parse(f"corpora:\n  - {{name: fine, path: /fine}}\n  - {entry}\n")
    assert str(FILE) in str(caught.value)
    assert "entry 2" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("corpora: [", "line 1"),
        ("sources: []", "`corpora`"),
        ("- a", "`corpora`"),
        ("corpora: {a: b}", "list of entries"),
        ("corpora: [{name: a, path: x}, {name: a, path: y}]", "used twice"),
        ("corpora: [{name: a, path: x}, {name: b, path: ./y/../x}]", "declared twice"),
        ("corpora: 2026-13-45", "not YAML"),
        ("[" * 5_000, "not YAML"),
        ("a: !!python/object/apply:os.system ['id']", "not YAML"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, told: str) -> None:
    with pytest.raises(SourcesError, match=told):
        parse(text)


def test_folders_get_legal_names() -> None:
    names = folder_corpora([b"notes", b"Notes", "Café Été".encode(), b"\xff\xfe", b"inbox", b".hidden"], {})
    assert names[b"notes"] == "notes"
    assert names[b"Notes"].startswith("notes-")
    assert names["Café Été".encode()] == "cafe-ete"
    assert names[b"inbox"].startswith("inbox-")
    assert b".hidden" not in names


def test_a_later_folder_never_takes_a_registered_name_over() -> None:
    first = folder_corpora([b"My Notes"], {})
    assert first == {b"My Notes": "my-notes"}
    later = folder_corpora([b"My Notes", b"my-notes"], first)
    assert later[b"My Notes"] == "my-notes"
    assert later[b"my-notes"].startswith("my-notes-")
    assert folder_corpora([b"team"], {}, taken=["team"])[b"team"].startswith("team-")


@given(
    st.lists(st.binary(min_size=1, max_size=90).filter(lambda name: not name.startswith(b".")), unique=True, max_size=8)
)
def test_names_are_legal_distinct_and_stable(names: list[bytes]) -> None:
    result = folder_corpora(names, {})
    assert len(set(result.values())) == len(names)
    assert all(sources._NAME.fullmatch(name) for name in result.values())
    assert result == folder_corpora(reversed(names), {})
    assert all(slug(name) == slug(name) for name in names)


def test_the_inbox() -> None:
    loose, notes = inbox_sources(Path("/d/inbox"), [b"Notes"], {"/d/inbox/Notes": "old-name"})
    assert (loose.name, loose.is_flat, loose.raw) == ("inbox", True, "copy")
    assert (notes.name, notes.uri, notes.raw) == ("old-name", "/d/inbox/Notes", "copy")


def test_a_corpus_inside_another_is_left_out_of_it() -> None:
    outer, inner, other = parse(
        "corpora: [{name: outer, path: /home/ada}, {name: inner, path: /home/ada/a/b}, {name: other, path: /home/adam}]"
    )
    below = nested_below([outer, inner, other], Path("/home/ada/cortex/data"))
    assert below == {"outer": (b"a/b", b"cortex/data"), "inner": (), "other": ()}


def test_cortex_own_data_is_no_corpus() -> None:
    with pytest.raises(SourcesError, match="lies in Cortex's own data"):
        check_places(parse("corpora: [{name: a, path: lake}]"), FILE.parent, FILE)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:s3cret@h/x.git",
        "https://s3cret@h/x.git",
        "https://ada:p/s3cret@h/x.git",
        "ssh://ada:s3cret@h/x.git",
        "https://h/x.git?private_token=s3cret",
    ],
)
def test_an_address_with_a_secret_is_refused_without_quoting_it(url: str) -> None:
    problem = address_problem(url)
    assert "credential helper" in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("url", ["https://h:8443/x@1.git", "ssh://git@h:22/x.git", "file:///srv/a@b/x.git"])
def test_an_address_without_one_is_not(url: str) -> None:
    assert address_problem(url) == ""

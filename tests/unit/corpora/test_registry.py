"""The registry among machines that share a lake: what another one registered stays as it is."""

from datetime import UTC, datetime

from cortex_assets.corpora.registry import ADDED, INBOX, Registered, from_row, sync
from cortex_assets.corpora.sources import Source

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTES = Source("notes", "folder", "/data/inbox/notes")


def resolve(lane: str | None) -> tuple[str, str]:
    return "hash", "space"


def seen_on(machine: str | None, corpora: list[Registered]) -> list[Registered]:
    """The rows as another machine reads them."""
    return [from_row(corpus.to_row(), machine) for corpus in corpora]


def test_what_is_gone_is_paused_by_its_own_machine_only() -> None:
    made = sync([], [(INBOX, NOTES)], resolve, NOW, "desk")
    assert [(c.name, c.machine, c.is_active) for c in made] == [("notes", "desk", True)]
    there = seen_on("laptop", made)
    assert [(c.is_listed, c.is_here, c.is_active) for c in there] == [(True, False, False)]
    assert sync(there, [], resolve, NOW, "laptop") == there
    (paused,) = sync(seen_on("desk", made), [], resolve, NOW, "desk")
    assert not paused.is_listed
    (again,) = sync(seen_on("desk", [paused]), [(INBOX, NOTES)], resolve, NOW, "desk")
    assert again == seen_on("desk", made)[0]


def test_a_folder_of_the_same_name_and_place_on_another_machine_is_another_corpus() -> None:
    corpora: list[Registered] = []
    for machine in ("desk", "laptop", "third"):
        corpora = sync(seen_on(machine, corpora), [(INBOX, NOTES)], resolve, NOW, machine)
    assert [corpus.machine for corpus in corpora].count("desk") == 1
    assert len({corpus.name for corpus in corpora}) == len({corpus.corpus_id for corpus in corpora}) == 3
    renamed = Source("papers", "folder", NOTES.uri)
    after = sync(seen_on("laptop", corpora), [(INBOX, renamed)], resolve, NOW, "laptop")
    assert {c.name for c in after if c.machine != "laptop"} == {c.name for c in corpora if c.machine != "laptop"}
    assert [c.name for c in after if c.machine == "laptop"] == ["papers"]


def test_what_was_registered_without_machines_belongs_to_whoever_finds_it() -> None:
    alone = sync([], [(INBOX, NOTES), (ADDED, Source("code", "git", "https://example.org/code"))], resolve, NOW)
    assert {corpus.machine for corpus in alone} == {None}
    assert all(corpus.is_active for corpus in seen_on("laptop", alone))
    stays = sync(seen_on("laptop", alone), [], resolve, NOW, "laptop")
    assert stays == seen_on("laptop", alone), "it is not this machine's to pause"
    claimed = sync(seen_on("desk", stays), [(INBOX, NOTES)], resolve, NOW, "desk")
    assert {corpus.name: corpus.machine for corpus in claimed} == {"notes": "desk", "code": None}


def test_alone_everything_is_here() -> None:
    (made,) = sync([], [(INBOX, NOTES)], resolve, NOW, "desk")
    (alone,) = seen_on(None, [made])
    assert alone.is_here
    (paused,) = sync([alone], [], resolve, NOW)
    assert not paused.is_listed

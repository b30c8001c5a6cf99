"""Corpora side by side: equal texts, purge, loose files, declared folders, folders inside folders, other names."""

import polars as pl
import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.reports import AddOptions
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPORA, DUPLICATES, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from tests.dagster.lake import NO_WORK, Lake, note, notes, paragraph, stage_counts

RARE = "# Rare\n\nThe zanzibar chronometer stopped at dawn.\n"


def of_corpus(lake: Lake, name: str) -> set[str]:
    """Paths of a corpus's files."""
    (corpus_id,) = lake.table(CORPORA).filter(pl.col("name") == name)["corpus_id"]
    return set(lake.table(FILES).filter(pl.col("corpus_id") == corpus_id)["path"])


def declare(lake: Lake, **folders: str) -> None:
    """Write sources.yaml: names and folders below the lake's root."""
    entries = "".join(f"  - name: {name}\n    path: {lake.root / folder}\n" for name, folder in folders.items())
    lake.settings.sources_file.write_text(f"corpora:\n{entries}" if entries else "corpora: []\n")


def test_two_corpora_with_equal_text_share_one_vector_and_part_cleanly(lake: Lake) -> None:
    lake.drop("notes/one.md", RARE)
    lake.drop(lake.root / "elsewhere" / "other.md", RARE)
    lake.drop(lake.root / "elsewhere" / "own.md", note(3))
    lake.add(lake.root / "elsewhere", "other")
    _, work = lake.run_counted()
    chunks = lake.table(CHUNKS).filter(pl.col("text").str.contains("zanzibar"))
    assert chunks.height == 2
    assert chunks["embed_hash"].n_unique() == 1
    assert lake.table(EMBEDDINGS).height == work["embedded"] == lake.table(CHUNKS)["embed_hash"].n_unique()
    assert {"notes/one.md", "other/other.md"} <= lake.cited("zanzibar chronometer")
    assert lake.found("zanzibar chronometer", corpora=("notes",)) == ["one.md"]
    assert lake.found("zanzibar chronometer", corpora=("other",))[0] == "other.md"
    with pytest.raises(CommandError, match="no corpus has that name"):
        lake.found("zanzibar chronometer", corpora=("note",))
    assert lake.table(DUPLICATES)["paths"].to_list() == [["one.md", "other.md"]]
    before = lake.image()

    removed = actions.remove("other", purge=True)

    assert removed.is_purged
    assert removed.points == len(before.points["other"])
    after = lake.image()
    assert after.points == {"notes": before.points["notes"]}
    for table in (FILES, DOCUMENTS, CHUNKS):
        assert set(lake.table(table)["shard"]) == {"notes"}, table.name
    assert lake.cited("zanzibar chronometer") == {"notes/one.md"}
    _, work = lake.run_counted()
    assert work == NO_WORK
    assert lake.table(DUPLICATES).height == 0
    lake.assert_sound()
    assert (lake.root / "elsewhere" / "other.md").read_text() == RARE, "a source is never touched"


def test_a_purged_corpus_can_be_added_again(lake: Lake) -> None:
    lake.drop(lake.root / "elsewhere" / "other.md", RARE)
    lake.add(lake.root / "elsewhere", "other")
    lake.run()
    before = lake.image()
    actions.remove("other", purge=True)
    assert lake.table(CHUNKS).height == 0
    lake.add(lake.root / "elsewhere", "other")
    _, work = lake.run_counted()
    assert work["parsed"] == 1
    assert lake.image().points == before.points
    lake.assert_sound()


def test_a_removed_corpus_is_paused_kept_and_no_longer_run(lake: Lake) -> None:
    lake.drop(lake.root / "elsewhere" / "other.md", RARE)
    lake.add(lake.root / "elsewhere", "other")
    lake.run()
    actions.remove("other")
    lake.drop(lake.root / "elsewhere" / "more.md", note(1))
    report, work = lake.run_counted()
    assert report.stages == ()
    assert work == NO_WORK
    assert lake.found("zanzibar chronometer") == ["other.md"]
    (line,) = reader.status().corpora
    assert not line.is_listed


def test_an_inbox_corpus_cannot_be_removed_while_its_folder_is_there(lake: Lake) -> None:
    lake.drop("notes/one.md", RARE)
    lake.run()
    with pytest.raises(CommandError, match="register itself again"):
        actions.remove("notes")


def test_loose_files_of_the_inbox_are_a_corpus_and_folders_are_not_in_it(lake: Lake) -> None:
    lake.drop("loose.md", RARE)
    lake.drop("notes/one.md", note(1))
    lake.run()
    assert of_corpus(lake, "inbox") == {"loose.md"}
    assert of_corpus(lake, "notes") == {"one.md"}
    assert lake.search("zanzibar chronometer").hits[0].corpus == "inbox"
    lake.move("loose.md", "notes/loose.md")
    lake.drop("other.md", note(5))
    _, work = lake.run_counted()
    assert of_corpus(lake, "inbox") == {"other.md"}
    assert of_corpus(lake, "notes") == {"one.md", "loose.md"}
    assert work["parsed"] == 2
    assert not any("zanzibar" in text for text in lake.counts.embedded)


def test_a_declared_folder_is_listed_read_in_place_and_paused_when_undeclared(lake: Lake) -> None:
    lake.drop(lake.root / "handbook" / "rare.md", RARE)
    declare(lake, handbook="handbook")
    lake.run()
    assert of_corpus(lake, "handbook") == {"rare.md"}
    assert lake.table(FILES)["store"].to_list() == ["reference"]
    assert not any(path.is_file() for path in lake.settings.raw.rglob("*") if path.name not in (".lock",))
    declare(lake)
    lake.delete(lake.root / "handbook" / "rare.md")
    report = lake.run()
    assert report.stages == ()
    assert lake.found("zanzibar chronometer") == ["rare.md"]
    declare(lake, handbook="handbook")
    (withheld,) = lake.run().withheld
    assert withheld.files == 1


def test_globs_and_rule_files_of_a_declared_folder(lake: Lake) -> None:
    for name in ("keep.md", "drafts/draft.md", "note.txt", "secret/key.md"):
        lake.drop(lake.root / "handbook" / name, note(len(name)))
    lake.drop(lake.root / "handbook" / ".cortexignore", "secret/\n")
    lake.settings.sources_file.write_text(
        f"corpora:\n  - name: handbook\n    path: {lake.root / 'handbook'}\n"
        '    include: ["*.md"]\n    exclude: ["drafts/"]\n'
    )
    lake.run()
    assert of_corpus(lake, "handbook") == {"keep.md"}
    lake.settings.sources_file.write_text(
        f"corpora:\n  - name: handbook\n    path: {lake.root / 'handbook'}\n    exclude: ['*.md']\n"
    )
    lake.run()
    assert "note.txt" in of_corpus(lake, "handbook")
    assert "keep.md" not in of_corpus(lake, "handbook")
    assert "keep.md" not in lake.found("Note 7", 50)
    lake.assert_sound()


def test_a_corpus_inside_another_is_excluded_from_it(lake: Lake) -> None:
    lake.drop(lake.root / "outer" / "top.md", note(1))
    lake.drop(lake.root / "outer" / "inner" / "deep.md", RARE)
    lake.add(lake.root / "outer", "outer")
    lake.run()
    assert of_corpus(lake, "outer") == {"top.md", "inner/deep.md"}
    lake.add(lake.root / "outer" / "inner", "inner")
    _, work = lake.run_counted()
    assert work["embedded"] == 0
    assert of_corpus(lake, "outer") == {"top.md"}
    assert of_corpus(lake, "inner") == {"deep.md"}
    assert lake.cited("zanzibar chronometer") & {"outer/inner/deep.md", "inner/deep.md"} == {"inner/deep.md"}
    actions.remove("inner", purge=True)
    _, work = lake.run_counted()
    assert of_corpus(lake, "outer") == {"top.md", "inner/deep.md"}
    assert work["embedded"] == 0
    lake.assert_sound()


def test_a_folder_around_the_data_folder_leaves_it_out(lake: Lake) -> None:
    lake.drop(lake.root / "top.md", note(1))
    lake.drop("notes/one.md", RARE)
    lake.add(lake.root, "around")
    lake.run()
    assert of_corpus(lake, "around") == {"top.md"}


def test_a_renamed_declaration_keeps_its_corpus(lake: Lake) -> None:
    lake.drop(lake.root / "handbook" / "rare.md", RARE)
    declare(lake, handbook="handbook")
    lake.run()
    before = lake.image()
    (corpus_id,) = lake.table(CORPORA)["corpus_id"]
    declare(lake, manual="handbook")
    _, work = lake.run_counted()
    assert work == NO_WORK
    assert lake.table(CORPORA)["corpus_id"].to_list() == [corpus_id]
    after = lake.image()
    assert after.rows["bronze/files"] == before.rows["bronze/files"]
    assert after.points == before.points


def test_a_declared_folder_that_moved_keeps_its_corpus(lake: Lake) -> None:
    lake.drop(lake.root / "handbook" / "rare.md", RARE)
    declare(lake, handbook="handbook")
    lake.run()
    before = lake.image()
    lake.move(lake.root / "handbook", lake.root / "moved")
    declare(lake, handbook="moved")
    _, work = lake.run_counted()
    assert (work["parsed"], work["embedded"]) == (0, 0)
    assert lake.image().content[1] == before.points
    assert lake.found("zanzibar chronometer") == ["rare.md"]
    lake.assert_sound()


def test_names_that_change_hands_mix_no_corpora(lake: Lake) -> None:
    """The folder called alpha is called beta now, and another folder is called alpha."""
    for name, text in notes("one", 5).items():
        lake.drop(lake.root / name, text)
    lake.drop(lake.root / "two" / "rare.md", RARE)
    declare(lake, alpha="one")
    lake.run()
    (old_id,) = lake.table(CORPORA)["corpus_id"]
    before = lake.image()
    declare(lake, alpha="two", beta="one")
    report, work = lake.run_counted()
    assert report.withheld == ()
    assert work["parsed"] == 1
    corpora = lake.table(CORPORA)
    places = dict(corpora.select("uri", "corpus_id").iter_rows())
    assert places[str(lake.root / "one")] == old_id
    assert len(set(corpora["name"])) == len(set(corpora["corpus_id"])) == 2
    after = lake.image()
    assert after.rows["bronze/files"].items() > before.rows["bronze/files"].items()
    assert lake.found("zanzibar chronometer")[0] == "rare.md"
    lake.assert_sound()


def test_a_declaration_does_not_take_over_a_folder_that_a_person_added(lake: Lake) -> None:
    for name, text in notes("one", 3).items():
        lake.drop(lake.root / name, text)
    lake.drop(lake.root / "two" / "rare.md", RARE)
    lake.add(lake.root / "one", "alpha")
    lake.run()
    before = lake.image()
    declare(lake, alpha="two")
    lake.run()
    assert lake.image().rows["bronze/files"].items() > before.rows["bronze/files"].items()
    assert set(lake.table(CORPORA)["uri"]) == {str(lake.root / "one"), str(lake.root / "two")}


def test_an_inbox_folder_with_an_odd_name_and_its_rename(lake: Lake) -> None:
    lake.drop("My Notes (2024)/rare.md", RARE)
    lake.run()
    (name,) = lake.table(CORPORA)["name"]
    assert lake.found("zanzibar chronometer", corpora=(name,)) == ["rare.md"]
    lake.move("My Notes (2024)", "my-notes")
    report, work = lake.run_counted()
    assert work["embedded"] == 0
    assert stage_counts(report, "files")[0] == 1
    assert len({corpus.name for corpus in reader.status().corpora}) == len(reader.status().corpora)


def test_copied_bytes_survive_a_vanished_source(lake: Lake) -> None:
    lake.drop(lake.root / "stick" / "rare.md", RARE)
    lake.add(lake.root / "stick", "stick", AddOptions(copies_raw=True))
    lake.run()
    assert lake.table(FILES)["store"].to_list() == ["raw"]
    lake.delete(lake.root / "stick")
    assert lake.run().withheld[0].files == 1
    with lake.house() as house:
        assert house.raw.path_of(lake.table(FILES)["content_hash"][0]).read_text() == RARE


def test_a_new_note_of_one_corpus_touches_no_row_of_another(lake: Lake) -> None:
    lake.drop_all(notes("a", 2) | notes("b", 2, start=10))
    lake.run()
    before = lake.image()
    lake.drop("a/new.md", f"# New\n\n{paragraph(444)}\n")
    _, work = lake.run_counted()
    after = lake.image()
    assert lake.counts.published == ["a"]
    assert work["parsed"] == 1
    assert after.points["b"] == before.points["b"]
    assert after.generations["b"] == before.generations["b"]

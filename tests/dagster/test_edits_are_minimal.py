"""F3: an edit costs what it touches through the whole chain; a rename, a move or another corpus costs no embedding."""

import random

import polars as pl
import pytest

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from tests.dagster.lake import Lake, note, notes, paragraph, stage_counts

PARAGRAPHS = 100


def document(paragraphs: list[str]) -> str:
    return "\n\n".join(paragraphs) + "\n"


def ids(lake: Lake) -> set[str]:
    return set(lake.table(CHUNKS)["chunk_id"])


def test_one_paragraph_of_a_hundred_changes_at_most_three_chunks(lake: Lake) -> None:
    paragraphs = [paragraph(number, 6) for number in range(PARAGRAPHS)]
    lake.drop("notes/long.md", document(paragraphs))
    lake.drop_all(notes("notes", 2))
    lake.run()
    assert len(ids(lake)) >= 100
    places = [0, random.Random(7).randrange(2, PARAGRAPHS - 1), PARAGRAPHS - 1]
    edits = [(place, kind) for place in places for kind in ("insert", "change", "delete")]
    for number, (place, kind) in enumerate(edits):
        edited = list(paragraphs)
        if kind == "insert":
            edited.insert(place, paragraph(5_000 + number, 6))
        elif kind == "change":
            edited[place] = edited[place].replace(" at noon.", " at midnight.", 1)
        else:
            del edited[place]
        before, points = ids(lake), set(lake.points()["notes"])
        lake.drop("notes/long.md", document(edited))
        report, work = lake.run_counted()
        after = ids(lake)
        where = f"{kind} at {place}"
        # From one edit to the next two paragraphs differ: the one put back and the one edited now.
        most = 3 if number == 0 else 6
        assert len(after - before) <= most, where
        assert len(before - after) <= most, where
        assert work["parsed"] == 1, where
        assert work["embedded"] <= len(after - before), where
        assert len(set(lake.points()["notes"]) ^ points) == len(after ^ before), where
        index = next(line for line in report.stages if line.stage == "index")
        assert index.new == len(after - before), where
        assert index.deleted == len(before - after), where


@pytest.mark.parametrize(("kind", "place"), [("insert", 50), ("change", 99), ("delete", 0)])
def test_one_edit_counted_from_a_clean_run(lake: Lake, kind: str, place: int) -> None:
    paragraphs = [paragraph(number, 6) for number in range(PARAGRAPHS)]
    lake.drop("notes/long.txt", document(paragraphs))
    lake.run()
    before = ids(lake)
    if kind == "insert":
        paragraphs.insert(place, paragraph(5_000, 6))
    elif kind == "change":
        paragraphs[place] = paragraphs[place].replace(" at noon.", " at midnight.", 1)
    else:
        del paragraphs[place]
    lake.drop("notes/long.txt", document(paragraphs))
    _, work = lake.run_counted()
    after = ids(lake)
    assert len(after ^ before) > 0
    assert len(after - before) <= 3
    assert len(before - after) <= 3
    assert work["embedded"] <= len(after - before)
    assert lake.table(CHUNKS)["ordinal"].sort().to_list() == list(range(len(after)))
    lake.assert_sound()


def test_a_repeated_paragraph_is_embedded_once(lake: Lake) -> None:
    lake.drop("notes/a.txt", document([paragraph(1, 9)] * 4))
    _, work = lake.run_counted()
    assert work["embedded"] == 1
    assert lake.table(CHUNKS).height == 4


@pytest.fixture
def moved(lake: Lake) -> Lake:
    """A lake with a folder of notes and one note that a search finds by rare words."""
    lake.drop_all(notes("notes/old", 5))
    lake.drop("notes/old/rare.md", "# Rare\n\nThe zanzibar chronometer stopped at dawn.\n")
    lake.drop("other/here.md", note(99))
    lake.run()
    return lake


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("notes/old/rare.md", "notes/old/renamed.md", "old/renamed.md"),
        ("notes/old/rare.md", "notes/new/rare.md", "new/rare.md"),
        ("notes/old", "notes/new", "new/rare.md"),
        ("notes/old/rare.md", "other/rare.md", "rare.md"),
    ],
    ids=["rename", "move", "directory rename", "to another corpus and shard"],
)
def test_a_move_embeds_nothing_and_is_found_under_its_new_path(moved: Lake, old: str, new: str, path: str) -> None:
    before = moved.image()
    assert moved.found("zanzibar chronometer")[0] == "old/rare.md"
    moved.move(old, new)
    report, work = moved.run_counted()
    assert work["embedded"] == 0
    assert not report.withheld
    hits = moved.search("zanzibar chronometer").hits
    assert hits[0].path == path
    assert hits[0].corpus == new.split("/")[0]
    assert hits[0].citation == "exact"
    assert "old/rare.md" not in [hit.path for hit in hits]
    after = moved.image()
    assert len(after.rows["silver/embeddings"]) == len(before.rows["silver/embeddings"])
    assert len(after.rows["bronze/files"]) == len(before.rows["bronze/files"])
    assert len(after.rows["silver/chunks"]) == len(before.rows["silver/chunks"])
    moved.assert_sound()


def test_a_renamed_file_is_not_read_again_in_vain(moved: Lake) -> None:
    moved.move("notes/old/rare.md", "notes/old/renamed.md")
    moved.run_counted()
    assert moved.counts.read == [b"old/renamed.md"]


def test_a_copy_embeds_nothing(moved: Lake) -> None:
    moved.drop("notes/copy.md", moved.path("notes/old/rare.md").read_text())
    _, work = moved.run_counted()
    assert work["embedded"] == 0
    assert {"notes/copy.md", "notes/old/rare.md"} <= moved.cited("zanzibar chronometer")


def test_only_the_time_of_a_file_changed_moves_no_row(moved: Lake) -> None:
    before = moved.image()
    moved.drop("notes/old/rare.md", moved.path("notes/old/rare.md").read_text())
    report, work = moved.run_counted()
    assert work == {"parsed": 0, "chunked": 0, "embedded": 0, "published": 0}
    assert stage_counts(report, "documents") == (0, 0, 0)
    assert moved.image().content == before.content
    assert moved.table(FILES).filter(pl.col("path") == "old/rare.md").height == 1

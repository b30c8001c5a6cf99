"""Search as of a time: the same ranking as the index gives, what was deleted since is found, what is not kept is named."""

from datetime import UTC, datetime, timedelta

import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.search_reports import SearchFilters

QUESTIONS = (
    "what was the highest still water level of 2025?",
    "CrcFrame",
    "mussels in the inlet",
    '"north gauge"',
    "Pegel",
)


def now():
    return datetime.now(UTC)


def ids(response):
    return [hit.chunk_id for hit in response.hits]


@pytest.mark.parametrize("question", QUESTIONS)
def test_now_is_ranked_as_the_index_ranks_it(sample, question):
    live, scanned = reader.search(question), reader.search(question, as_of=now())
    assert len(live.hits) == len(scanned.hits) > 0
    assert [hit.score for hit in scanned.hits] == pytest.approx([hit.score for hit in live.hits], abs=0.01)
    assert ids(scanned)[:3] == ids(live)[:3]
    assert {hit.citation for hit in scanned.hits} == {"exact"}
    assert "scanned without an index" in scanned.notes[0]


@pytest.mark.parametrize(
    "filters",
    [
        SearchFilters(kinds=("code",)),
        SearchFilters(paths=("notes/**", "!notes/north*")),
        SearchFilters(languages=("java",)),
        SearchFilters(corpora=("sample",), paths=("*.md",)),
    ],
)
def test_filters_keep_the_same(sample, filters):
    live, scanned = reader.search("gauge frame", 50, filters), reader.search("gauge frame", 50, filters, now())
    assert set(ids(live)) == set(ids(scanned))


def test_what_is_gone_is_found_as_it_was(empty):
    note = empty / "inbox" / "notes" / "a.md"
    note.parent.mkdir(parents=True)
    note.write_text("# Plan\n\nThe old lighthouse was painted red.\n", encoding="utf-8")
    (note.parent / "b.md").write_text("# Other\n\nNothing about it.\n", encoding="utf-8")
    actions.run()
    before = now()
    note.write_text("# Plan\n\nThe new tower is of steel.\n", encoding="utf-8")
    actions.run()
    assert "painted red" not in "".join(hit.snippet for hit in reader.search("old lighthouse painted red").hits)
    response = reader.search("old lighthouse painted red", as_of=before)
    best = response.hits[0]
    assert "painted red" in best.snippet
    assert best.citation == "exact"
    shown = reader.source(best.corpus, best.document_id, best.chunk_id, best.start_char, best.end_char, as_of=before)
    assert any("painted red" in line.text for line in shown.lines)
    with pytest.raises(CommandError, match="not there any more"):
        reader.source(best.corpus, best.document_id, best.chunk_id)


def test_a_time_that_is_not_kept_is_named(sample):
    long_ago = now() - timedelta(days=30)
    with pytest.raises(CommandError, match=f"{long_ago:%Y-%m-%d}") as told:
        reader.search("gauge", as_of=long_ago)
    assert "CORTEX_RETENTION" in told.value.remedy


def test_a_time_before_anything_was_published_is_named(sample):
    with pytest.raises(CommandError, match="nothing was published by then") as told:
        reader.search("gauge", as_of=now() - timedelta(days=1))
    assert "the first state is of" in told.value.remedy

"""Filters as people write them."""

from datetime import UTC, datetime

import pytest

from cortex_assets.retrieval.filters import FilterError, SearchFilter, parse_filters


def test_every_key() -> None:
    written = [
        "kind:markdown,pdf",
        "lang=Python",
        "path:docs/**",
        "corpus:notes",
        "path:*.md",
        "after:2026-01-31",
        "kind:pdf",
    ]
    assert parse_filters([*written, "before:2026-02-01T12:30+02:00", "document:d1"]) == SearchFilter(
        corpora=("notes",),
        kinds=("markdown", "pdf"),
        languages=("python",),
        path_globs=("docs/**", "*.md"),
        modified_after=datetime(2026, 1, 31, tzinfo=UTC),
        modified_before=datetime(2026, 2, 1, 10, 30, tzinfo=UTC),
        document_ids=("d1",),
    )
    assert parse_filters([]) == SearchFilter()


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (["after:yesterday"], "2026-01-31"),
        (["after:2026-13-01"], "'2026-13-01' is not a date"),
        (["after:2026-02-01", "before:2026-01-01"], "swap"),
        (["after:2026-02-01", "after:2026-02-02"], "twice"),
        (["colour:red"], "'colour' is unknown; there are after, before, corpus"),
        (["kind:"], "not key:value"),
        (["just words"], "not key:value"),
        (["path:/"], "is empty"),
    ],
)
def test_errors_name_the_part_and_the_remedy(written: list[str], part: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filters(written)
    assert part in str(error.value)

"""Layouts of embedding spaces and the rows that hold them."""

from dataclasses import replace
from datetime import UTC, datetime

from cortex_assets.corpora.registry import ADDED, Registered, from_row, sync
from cortex_assets.corpora.sources import Source
from cortex_assets.corpora.spaces import CODE, KINDS, ONE_SPACE, Layout, Live, Spaces

NOW = datetime(2026, 3, 4, tzinfo=UTC)
MAIN, OTHER, OF_CODE = Live("packaged", "minilm-1"), Live("hash", "hash-1"), Live("hf:a/b", "b-1")


def registered(code: str | None = None) -> Registered:
    def resolve(lane: str | None) -> tuple[str, str]:
        return (OF_CODE.embed, OF_CODE.space_id) if lane == "hf:a/b" else (MAIN.embed, MAIN.space_id)

    (corpus,) = sync([], [(ADDED, Source("notes", "folder", "/notes", code=code))], resolve, NOW)
    return corpus


def test_every_chunk_is_searched_in_one_space() -> None:
    for layout in (Layout(MAIN), Layout(MAIN, OF_CODE)):
        kinds = [kind for some in layout.selections.values() for kind in some]
        assert sorted(kinds) == sorted(KINDS)
    assert Layout(MAIN, OF_CODE).selections == {MAIN.space_id: KINDS - {CODE}, OF_CODE.space_id: {CODE}}


def test_what_a_migration_is_about() -> None:
    assert Layout(MAIN).step(Layout(OTHER)) == (MAIN.space_id, OTHER.space_id)
    assert Layout(MAIN).step(Layout(MAIN, OF_CODE)) == (MAIN.space_id, OF_CODE.space_id)
    assert Layout(MAIN, OF_CODE).step(Layout(MAIN)) == (OF_CODE.space_id, MAIN.space_id)


def test_a_row_keeps_its_spaces() -> None:
    corpus = registered()
    assert corpus.spaces == ONE_SPACE and "spaces" not in corpus.to_row()["settings"], "as older versions wrote it"
    assert "code" not in corpus.to_row()["settings"]
    spaces = Spaces(OF_CODE, Layout(OTHER, OF_CODE), Layout(MAIN), NOW, "hash", True)
    several = replace(corpus, spaces=spaces)
    assert from_row(several.to_row()) == several
    assert several.every_space == [MAIN.space_id, OF_CODE.space_id, OTHER.space_id]
    begun = replace(corpus, spaces=ONE_SPACE.begun(Layout(OTHER), NOW))
    assert from_row(begun.to_row()).layouts == (Layout(MAIN), Layout(OTHER))
    assert begun.spaces.ended() == ONE_SPACE


def test_a_declared_model_for_code_is_resolved_once() -> None:
    corpus = registered("hf:a/b")
    assert corpus.layout == Layout(MAIN, OF_CODE) and corpus.source.code == "hf:a/b"
    assert from_row(corpus.to_row()) == corpus
    assert registered("packaged").layout == Layout(MAIN), "the same space is none of its own"

"""Words that occur nowhere, as they may have been meant."""

from collections.abc import Sequence

import pytest

from cortex_assets.retrieval.sparse import query_terms
from cortex_assets.retrieval.spelling import Correction, corrected
from cortex_assets.retrieval.words import asked_ids

KNOWN = {"kubernetes": 9, "cluster": 5, "rotate": 2, "rare": 1, "clutter": 3}


def look_up(terms: Sequence[int]) -> tuple[list[int], int]:
    counts = {term: count for word, count in KNOWN.items() for term in asked_ids(word)}
    return [counts.get(term, 0) for term in terms], 100


def spelled(question: str) -> tuple[Correction, ...]:
    ids, _ = query_terms(question)
    return corrected(question, dict(zip(ids.tolist(), look_up(ids.tolist())[0], strict=True)), look_up)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kubernates", "kubernetes"),
        ("kuberentes", "kubernetes"),
        ("kubernetess", "kubernetes"),
        ("klubernetes", "kubernetes"),
    ],
)
def test_one_step(wrong: str, right: str) -> None:
    assert [one.asked for one in spelled(f"how to use {wrong}?")] == [wrong]
    assert asked_ids(spelled(wrong)[0].used) == asked_ids(right)


def test_of_several_the_commonest() -> None:
    assert asked_ids(spelled("clutser")[0].used) == asked_ids("cluster")


@pytest.mark.parametrize(
    "question",
    ["kubernetes", "rara", "kub", "K8S_CLUSTRE", "clustreName", "a/clustre", "xylophone", "ünicode", "2clustre", ""],
)
def test_what_is_left_as_it_is(question: str) -> None:
    assert spelled(question) == ()

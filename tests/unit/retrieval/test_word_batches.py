"""Terms computed on arrays are the terms of the units, one by one."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_assets.retrieval.stem import stem
from cortex_assets.retrieval.word_batches import stored_batch
from cortex_assets.retrieval.words import stored_ids, term_id

PIECES = [
    *"aAbzZsSeEyY019_. -/@:+#\t\n,()'",
    *["ing", "ed", "ies", "sses", "xes", "ly", "us", "v1.2", "v", "V1.", "::", "++", "c#", "HTTPServer", "getUser"],
    *["é", "—", "…", "’", "東京", "ส", "\u0301", "ﬁ", "\ud800", "½", "\x1f", "\x00", "\x7f", "İ", "·", "​"],
]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.text(max_size=40))


def batch(texts: list[str]) -> list[Counter[int]]:
    owners, ids = stored_batch(texts)
    found = [Counter[int]() for _ in texts]
    for owner, one in zip(owners.tolist(), ids.tolist(), strict=True):
        found[owner][one] += 1
    return found


@settings(max_examples=1_000, deadline=None)
@given(st.lists(TEXTS, max_size=6))
@example(["src/a.b/c++ v1.2.3-x", "", "x/v2.0#", "a::b c:::d e.-f"])
@example(["v1_2.3 v12 v1.a V3.4 av1.2 v1.2/v3.4"])
def test_equals_one_by_one(texts: list[str]) -> None:
    assert batch(texts) == [Counter(stored_ids(text)) for text in texts]


WORDS = st.builds(
    "".join,
    st.tuples(
        st.text(alphabet="abcdehlstxyz", min_size=0, max_size=6),
        st.sampled_from(["", "ing", "ed", "ies", "es", "s", "ly", "sses", "ches", "e", "y", "us", "is", "ss", "lly"]),
        st.sampled_from(["", "s", "ly", "ed", "e"]),
    ),
)


@settings(max_examples=2_000, deadline=None)
@given(WORDS)
@example("families")
@example("flies")
@example("dies")
@example("ties")
@example("axes")
@example("lyies")
def test_stems_equal_one_by_one(word: str) -> None:
    assert batch([word]) == [Counter([term_id(stem(word))] if word else [])]


def test_many_texts_in_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{number} path/to/file{number}.py caf\u00e9{number}" for number in range(50)]
    whole = batch(texts)
    monkeypatch.setattr("cortex_assets.retrieval.word_batches._PART", 100)
    assert batch(texts) == whole == [Counter(stored_ids(text)) for text in texts]


def test_nothing_has_no_terms() -> None:
    assert batch([]) == []
    assert batch(["", " ", "."]) == [Counter(), Counter(), Counter()]

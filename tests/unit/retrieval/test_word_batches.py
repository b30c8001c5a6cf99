"""Terms of many texts at once are the terms of the units, one by one."""

from collections import Counter
from itertools import pairwise

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
    offsets, ids = stored_batch(texts)
    assert len(offsets) == len(texts) + 1
    return [Counter(ids[start:end].tolist()) for start, end in pairwise(offsets.tolist())]


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


def test_more_terms_than_bytes_find_room() -> None:
    texts = [f"v{number}.2/aB1" for number in range(50)]
    found = batch(texts)
    assert found == [Counter(stored_ids(text)) for text in texts]
    assert sum(map(Counter.total, found)) > sum(map(len, texts))


def test_nothing_has_no_terms() -> None:
    assert batch([]) == []
    assert batch(["", " ", "."]) == [Counter(), Counter(), Counter()]

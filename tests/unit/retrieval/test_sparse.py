"""Sparse vectors: BM25 from parts that do not know each other."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.sparse import (
    AVERAGE_LENGTH,
    K1,
    QUERY_TERMS,
    B,
    Fields,
    encode_point,
    encode_points,
    idf,
    query_terms,
    query_vector,
)
from cortex_assets.retrieval.words import term_id


def test_weight_is_the_saturated_frequency_with_a_fixed_length() -> None:
    ids, weights = encode_point("zebra zebra lion")
    found = dict(zip(ids.tolist(), weights.tolist(), strict=True))
    norm = K1 * (1 - B + B * 3 / AVERAGE_LENGTH)
    assert found[term_id("zebra")] == pytest.approx(2 * (K1 + 1) / (2 + norm))
    assert found[term_id("lion")] == pytest.approx((K1 + 1) / (1 + norm))


def test_fields_are_found_and_do_not_lengthen_the_body() -> None:
    ids, weights = encode_point("body", "Heading", "Title", "Signer.sign", "notes/plan_2026.md")
    found = dict(zip(ids.tolist(), weights.tolist(), strict=True))
    for term in ("head", "titl", "signer.sign", "sign", "plan_2026.md", "plan_2026", "notes/plan_2026.md", "md"):
        assert term_id(term) in found, term
    alone = dict(zip(*(array.tolist() for array in encode_point("body")), strict=True))
    assert found[term_id("bodi")] == alone[term_id("bodi")]


@given(st.lists(st.text(alphabet="ab c_.京", max_size=12), max_size=6))
def test_a_batch_is_its_points_one_by_one(texts: list[str]) -> None:
    batch = encode_points([Fields(text, title="t") for text in texts])
    assert len(batch) == len(texts)
    for index, text in enumerate(texts):
        ids, weights = batch.vector(index)
        alone_ids, alone_weights = encode_point(text, title="t")
        assert ids.tolist() == alone_ids.tolist()
        assert weights.tolist() == alone_weights.tolist()
        assert (np.diff(ids.astype(np.int64)) > 0).all()


def test_empty_text_and_empty_batch() -> None:
    assert len(encode_points([])) == 0
    assert encode_point("...")[0].size == 0


def test_idf_and_query_vector() -> None:
    assert idf([3], 10)[0] == pytest.approx(math.log(1 + 7.5 / 3.5))
    assert (idf([0, 5, 10, 12], 10) > 0).all()
    ids, counts = query_terms("lion lion zebra gnu")
    frequencies = [0 if one == term_id("gnu") else 2 for one in ids.tolist()]
    asked, weights = query_vector(ids, counts, frequencies, 10)
    found = dict(zip(asked.tolist(), weights.tolist(), strict=True))
    assert found[term_id("lion")] == pytest.approx(2 * found[term_id("zebra")])
    assert term_id("gnu") not in found


def test_a_long_query_keeps_its_rarest_terms() -> None:
    ids, counts = query_terms(" ".join(f"w{n}x" for n in range(300)))
    frequencies = np.arange(1, len(ids) + 1)
    asked, weights = query_vector(ids, counts, frequencies, 10_000)
    assert len(asked) == QUERY_TERMS
    assert weights.min() >= idf([QUERY_TERMS], 10_000)[0] - 1e-6


def test_five_thousand_chunks_take_under_two_seconds_of_cpu() -> None:
    texts = [Fields(" ".join(f"word{(n * k) % 5000}" for k in range(120))) for n in range(1, 5001)]
    begun = time.process_time()
    encode_points(texts)
    assert time.process_time() - begun < 2

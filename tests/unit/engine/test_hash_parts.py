"""Parts of a column of digests: each row in exactly one, as many as the rows ask for."""

import polars as pl
import pytest

from cortex_assets.engine.hash_parts import ROWS_AT_ONCE, hash_parts
from cortex_assets.identity import text_hash


@pytest.mark.parametrize(
    ("rows", "parts"), [(0, 1), (ROWS_AT_ONCE, 1), (ROWS_AT_ONCE + 1, 2), (9 * ROWS_AT_ONCE, 16), (10**12, 16)]
)
def test_every_digest_is_in_exactly_one_part(rows: int, parts: int) -> None:
    digests = pl.DataFrame({"embed_hash": [text_hash(str(number)) for number in range(2_000)]})
    conditions = hash_parts("embed_hash", rows)
    found = [digests.filter(condition) for condition in conditions]
    assert len(found) == parts
    assert pl.concat(found).sort("embed_hash").equals(digests.sort("embed_hash"))
    assert min(frame.height for frame in found) > 2_000 / parts / 2

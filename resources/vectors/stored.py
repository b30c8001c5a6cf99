"""What a segment holds of a point, as a frame, and what both kinds of segment compute from it. Nothing here knows Qdrant.

A stored frame has ``chunk_id``, ``row_hash``, ``vector`` (List(Float32), null for a point found by words only), ``terms``,
``weights``, the payload fields that filters know (moments as ISO 8601 text) and everything else of the payload as JSON
text in ``BODY``: building twenty fields a point costs more than its vector. Vectors are kept in half precision, which
halves what a search reads and moves a cosine by less than 1e-4; the exact ones are in the lake.
"""

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import DATETIME_FIELDS, KEYWORD_FIELDS, AnyOf, Condition
from resources.vectors.protocol import POINT_COLUMNS, Payload

BODY = "_body"
SIDECAR = "points.arrow"
FILTER_FIELDS = (*KEYWORD_FIELDS, *DATETIME_FIELDS)
POINTS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "chunk_id": pl.String,
    "row_hash": pl.Int64,
}
STORED_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **POINTS_SCHEMA,
    "terms": pl.List(pl.UInt32),
    "vector": pl.List(pl.Float32),
    "weights": pl.List(pl.Float32),
    **dict.fromkeys((*FILTER_FIELDS, BODY), pl.String),
}
_ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"

Terms = npt.NDArray[np.uint32]
Counts = tuple[Terms, Terms]


def plain_payload(upserts: pl.DataFrame) -> pl.DataFrame:
    """Columns in point order, Datetime payload columns as ISO 8601 text in UTC."""
    payload = [name for name in upserts.columns if name not in POINT_COLUMNS]
    moments = [name for name in payload if isinstance(upserts.schema[name], pl.Datetime)]
    as_text = [pl.col(name).dt.convert_time_zone("UTC").dt.strftime(_ISO) for name in moments]
    return upserts.select(*POINT_COLUMNS, *payload).with_columns(as_text)


def stored(upserts: pl.DataFrame) -> pl.DataFrame:
    """An upsert frame (``protocol``) as a stored frame; payload columns that it lacks are null."""
    plain = plain_payload(upserts)
    others = [name for name in plain.columns if name not in {*POINT_COLUMNS, *FILTER_FIELDS}]
    body = pl.struct(others).struct.json_encode() if others else pl.lit("{}")
    return shaped(plain.select(pl.exclude(others), body.alias(BODY)))


def shaped(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns and types of ``STORED_SCHEMA``; missing ones are null."""
    have = set(frame.columns)
    columns = {name: pl.col(name) if name in have else pl.lit(None) for name in STORED_SCHEMA}
    return frame.select(column.cast(STORED_SCHEMA[name]).alias(name) for name, column in columns.items())


def unfolded(payload: Mapping[str, Any]) -> Payload:
    """A stored point's payload for callers."""
    plain = dict(payload)
    body: Payload = json.loads(plain.pop(BODY, None) or "{}")
    return plain | body


def matching(conditions: Sequence[Condition]) -> pl.Expr:
    """Whether all ``conditions`` hold, over columns of ``FILTER_FIELDS``; a null matches nothing."""
    return reduce(and_, map(_expression, conditions)).fill_null(False)


def _expression(condition: Condition) -> pl.Expr:
    if isinstance(condition, AnyOf):
        return pl.col(condition.key).is_in(list(condition.values))
    column = pl.col(condition.key)
    bounds = [column >= condition.after if condition.after is not None else None]
    bounds.append(column < condition.before if condition.before is not None else None)
    return reduce(and_, [bound for bound in bounds if bound is not None])


def look_up(known: Terms, counts: Terms, terms: Terms) -> npt.NDArray[np.int64]:
    """``counts`` of ``terms`` in the sorted ``known``, 0 where unknown."""
    if known.size == 0:
        return np.zeros(terms.size, dtype=np.int64)
    places = np.minimum(np.searchsorted(known, terms), known.size - 1)
    return np.where(known[places] == terms, counts[places], 0).astype(np.int64)

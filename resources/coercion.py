"""The one dtype coercion between frames and Delta: declared columns in declared order, types that Delta and Polars both read.

delta-rs refuses or panics on Categorical, Enum, Float16, Duration, Time and Null, turns unsigned integers signed, and raises
the protocol for naive datetimes; ``scan_delta`` cannot read Array. Tables therefore declare only the types in ``ALLOWED``.
"""

from collections.abc import Mapping

import polars as pl

ALLOWED = (pl.String, pl.Binary, pl.Boolean, pl.Int32, pl.Int64, pl.Float32, pl.Float64)


class SchemaMismatch(ValueError):
    """A frame cannot become a row set of the table: names the column and both types."""


def empty_frame(dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A frame of no rows with the declared columns."""
    return pl.DataFrame(schema=dict(dtypes))


def is_storable(dtype: pl.DataType) -> bool:
    """Whether Delta keeps this type as it is and Polars reads it back."""
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        return isinstance(inner, pl.DataType) and is_storable(inner)
    if isinstance(dtype, pl.Struct):
        return all(isinstance(field.dtype, pl.DataType) and is_storable(field.dtype) for field in dtype.fields)
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone == "UTC" and dtype.time_unit == "us"
    return isinstance(dtype, ALLOWED)


def coerce(frame: pl.DataFrame, dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return ``frame`` with exactly the declared columns, order and types.

    Raises:
        SchemaMismatch: a column is missing, unknown, not storable, or its values do not fit the declared type.
    """
    missing = [name for name in dtypes if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in dtypes]
    if missing or unknown:
        raise SchemaMismatch(f"columns missing: {missing or 'none'}, not declared: {unknown or 'none'}")
    for name, dtype in dtypes.items():
        if not is_storable(dtype):
            raise SchemaMismatch(
                f"column {name} is declared {dtype}, which Delta does not keep; see resources.coercion"
            )
        given = frame.schema[name]
        if isinstance(given, pl.Datetime) and given.time_zone is None:
            raise SchemaMismatch(f"column {name} has times without a zone; make them UTC")
    try:
        return frame.select(pl.col(name).cast(dtype, strict=True) for name, dtype in dtypes.items())
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(f"values do not fit the declared types: {str(error)[:160]}") from error

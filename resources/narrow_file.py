"""Narrow columns of a local Delta table in one file of the cache, for the next process: six hundred small files take 20 times as long.

Only a cache. A data file never changes under its name; one that is not there any more, or whose size or time is not
what it was, is read from the table. What cannot be read counts as absent. Whoever must see the table's own files
(``cortex verify``) does not ask here. Ids, hashes and counts belong here, no texts and no paths.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

FORM: Final = 1
"""Another number wherever the same file would be read in another way."""
_FILES: Final = "cortex.files"


class Stat(NamedTuple):
    """How a data file stands; ``number`` is what the rows name it by."""

    number: int
    size: int
    mtime_ns: int


def place(folder: Path, table: str, dtypes: Mapping[str, pl.DataType]) -> Path:
    """The file of some columns of a table: another one for other columns or types."""
    shape = blake2b(f"{FORM} {pl.__version__} {list(dtypes.items())!r}".encode(), digest_size=6).hexdigest()
    return folder / f"{table.replace('/', '.')}-{shape}.parquet"


def load(path: Path) -> tuple[pl.DataFrame, dict[str, Stat]]:
    """Rows with the number of their file, and the data files that still are what was read; empty where there is nothing."""
    try:
        noted = json.loads(pl.read_parquet_metadata(path)[_FILES])
        files = {name: Stat(*values) for name, values in noted.items()}
        rows = pl.read_parquet(path)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return pl.DataFrame(), {}
    return rows, {name: stat for name, stat in files.items() if stat_of(name, stat.number) == stat}


def save(path: Path, rows: pl.DataFrame, files: Mapping[str, Stat]) -> None:
    """Replace the file, durably, so that it is whole or absent; another form of the same table's goes.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with open(fresh, "wb") as stream:
            rows.write_parquet(
                stream, compression="zstd", compression_level=1, metadata={_FILES: json.dumps(dict(files))}
            )
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    for other in path.parent.glob(f"{path.name.rpartition('-')[0]}-*.parquet"):
        if other != path:
            other.unlink(missing_ok=True)


def stat_of(file: str, number: int) -> Stat | None:
    """How a local data file stands now, None where it is gone."""
    with contextlib.suppress(OSError):
        seen = os.stat(file)  # noqa: PTH116 - hundreds of files
        return Stat(number, seen.st_size, seen.st_mtime_ns)
    return None

"""Some columns of small local Delta tables, in memory while their files stay: a run compares the same keys and hashes many times.

A data file of a Delta table never changes, so what was read of it stays right; after a commit only the files that it
added are read. Wide columns (texts, vectors) do not belong here, and tables above ``KEPT_ROWS`` are not kept, so that
memory does not grow with the lake. Which columns they are is the caller's to say. For the next process they may be
kept in a folder (``narrow_file``).
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from resources import narrow_file
from resources.narrow_file import Stat

log = logging.getLogger(__name__)

KEPT_ROWS = 200_000
"""A row of keys and hashes takes 200 bytes in memory, one of files a little more."""
MOST_UNSAVED = 64
"""Data files that are read one by one before what is known is written into the folder again: 10 ms, for a write of 5 MB."""
MOST_GONE = 0.5
"""Share of the files in the folder that may have left the table: they are read and dropped."""
_MOST_CHUNKS = 32
_FILE = "_file"


@dataclass(slots=True)
class _Kept:
    """What is known of one table: its rows, and the number by which they name their file.

    Attributes:
        saved: the files whose rows the folder has.
        place: the file in the folder; None where the table is not kept there.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: dict[str, int] = field(default_factory=dict)
    saved: frozenset[str] = frozenset()
    place: Path | None = None
    rows: pl.DataFrame | None = None
    next_number: int = 0


class NarrowColumns:
    """The columns of any number of tables, for any number of threads."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._lock = threading.Lock()
        self._known: dict[tuple[str, tuple[str, ...]], _Kept] = {}
        self._folder: Path | None = None

    def keep_in(self, folder: Path) -> None:
        """Read what an earlier process saved in a folder from now on; ``save`` writes there."""
        self._folder = folder

    def save(self) -> None:
        """Write what is known into the folder, where many data files are not there yet; a full disk is no error."""
        with self._lock:
            known = [kept for kept in self._known.values() if kept.place is not None]
        for kept in known:
            with kept.lock:
                self._save(kept)

    @staticmethod
    def _save(kept: _Kept) -> None:
        fresh, gone = kept.numbers.keys() - kept.saved, kept.saved - kept.numbers.keys()
        if kept.place is None or kept.rows is None:
            return
        if len(fresh) <= MOST_UNSAVED and len(gone) <= len(kept.saved) * MOST_GONE:
            return
        files = {file: narrow_file.stat_of(file, number) for file, number in kept.numbers.items()}
        there: dict[str, Stat] = {file: stat for file, stat in files.items() if stat is not None}
        try:
            narrow_file.save(kept.place, kept.rows, there)
        except OSError as error:
            log.info("%s is not kept: %s", kept.place.name, error)
        else:
            kept.saved = frozenset(there)

    def rows(
        self,
        name: str,
        dtypes: Mapping[str, pl.DataType],
        partition_by: Sequence[str],
        handle: Any,
        is_lasting: bool = False,
    ) -> pl.DataFrame:
        """All rows of a table at the version of a handle.

        Args:
            name: the table's.
            dtypes: of the columns wanted.
            partition_by: the table's partition columns, which are texts.
            handle: a ``deltalake.DeltaTable`` that nobody moves to another version.
            is_lasting: whether the columns may be kept in the folder.

        Returns:
            The columns of ``dtypes``, in that order.
        """
        with self._lock:
            kept = self._known.setdefault((name, tuple(dtypes)), _Kept())
        with kept.lock:
            if is_lasting and self._folder is not None and kept.rows is None:
                _load(kept, narrow_file.place(self._folder, name, dtypes), dtypes)
            files = handle.file_uris()
            present = set(files)
            fresh = [file for file in files if file not in kept.numbers]
            gone = [number for file, number in kept.numbers.items() if file not in present]
            parts = [kept.rows if kept.rows is not None else _empty(dtypes)]
            if gone:
                parts = [parts[0].filter(~pl.col(_FILE).is_in(gone))]
            if fresh:
                numbers = dict(zip(fresh, range(kept.next_number, kept.next_number + len(fresh)), strict=True))
                parts.append(_read(numbers, dtypes, partition_by))
                kept.next_number += len(fresh)
                kept.numbers |= numbers
            kept.numbers = {file: number for file, number in kept.numbers.items() if file in present}
            rows = pl.concat(parts)
            kept.rows = rows.rechunk() if rows.n_chunks() > _MOST_CHUNKS else rows
            return kept.rows.drop(_FILE)

    def forget(self, name: str) -> None:
        """Keep nothing of a table any more."""
        with self._lock:
            for key in [key for key in self._known if key[0] == name]:
                del self._known[key]


def _load(kept: _Kept, place: Path, dtypes: Mapping[str, pl.DataType]) -> None:
    """Begin with what an earlier process saved."""
    kept.place = place
    rows, files = narrow_file.load(place)
    if files and rows.schema == _empty(dtypes).schema:
        kept.saved = frozenset(files)
        numbers = {file: stat.number for file, stat in files.items()}
        kept.rows = rows.filter(pl.col(_FILE).is_in(list(numbers.values())))
        kept.numbers, kept.next_number = numbers, max(numbers.values()) + 1


def _empty(dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(schema={**dtypes, _FILE: pl.UInt32()})


def _read(numbers: Mapping[str, int], dtypes: Mapping[str, pl.DataType], partition_by: Sequence[str]) -> pl.DataFrame:
    """The rows of some files, with each file's number."""
    scan = pl.scan_parquet(
        list(numbers),
        schema={name: dtype for name, dtype in dtypes.items() if name not in partition_by},
        hive_partitioning=bool(partition_by),
        hive_schema=dict.fromkeys(partition_by, pl.String) if partition_by else None,
        missing_columns="insert",
        extra_columns="ignore",
        include_file_paths=_FILE,
    )
    number = pl.col(_FILE).replace_strict(list(numbers), list(numbers.values()), return_dtype=pl.UInt32)
    return scan.select(*(pl.col(column).cast(dtype) for column, dtype in dtypes.items()), number).collect()

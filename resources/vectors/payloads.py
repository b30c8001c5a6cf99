"""Payloads of a large segment's points, beside its qdrant-edge shard: a search reads them here, Qdrant holds what it filters by.

    fields.arrow     one row for each *group*: a combination of the filter fields that occurs, the row number is its name
    payloads.jsonl   what else a point shows, one JSON object a line, in the order of writing
    points.arrow     (with other columns) each point's ``group`` and the place of its line: ``start``, ``length`` in bytes

Making Qdrant's points of twenty payload fields costs more than their vectors, and so does reading them back; most points
share their filter fields with their neighbours of the same document. A filter is evaluated over the groups, and a search
then asks Qdrant for some groups, by number.
"""

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import Condition
from resources.vectors.generation import unreadable
from resources.vectors.protocol import Payload
from resources.vectors.segment import SegmentVanishedError, read_columns
from resources.vectors.stored import BODY, FILTER_FIELDS, SIDECAR, matching

FIELDS, LINES = "fields.arrow", "payloads.jsonl"
PLACE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "group": pl.UInt32,
    "start": pl.UInt64,
    "length": pl.UInt32,
}
_REMEMBERED_GROUPS = 2_000
_FIELDS_SCHEMA = dict.fromkeys(FILTER_FIELDS, pl.String)


class PayloadWriter:
    """Writes payloads as points come in; ``finish`` it."""

    def __init__(self, folder: Path) -> None:
        """Begin the files in ``folder``, which exists."""
        self._folder = folder
        self._groups: dict[tuple[str | None, ...], int] = {}
        self._end = 0
        (folder / LINES).touch()

    def add(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Write the payloads of a stored frame; returns their places (``PLACE_SCHEMA``), row by row."""
        numbers = [self._groups.setdefault(row, len(self._groups)) for row in frame.select(FILTER_FIELDS).iter_rows()]
        bodies = frame[BODY].fill_null("{}")
        with open(self._folder / LINES, "ab") as lines:
            lines.writelines(f"{body}\n".encode() for body in bodies)
        lengths = bodies.str.len_bytes()
        starts = self._end + lengths.cum_sum().cast(pl.UInt64) - lengths + pl.int_range(frame.height, eager=True)
        self._end += int(lengths.sum()) + frame.height
        return pl.DataFrame({"group": numbers, "start": starts, "length": lengths}, schema=PLACE_SCHEMA)

    def finish(self) -> None:
        """Write what is left; making it durable is the caller's."""
        fields = pl.DataFrame(list(self._groups), schema=_FIELDS_SCHEMA, orient="row")
        fields.write_ipc(self._folder / FIELDS, compression="zstd")


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the payloads are: of points sorted by id, in arrays, for a search asks many segments for a few points each."""

    ids: npt.NDArray[np.bytes_]
    row_hash: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]

    def rows(self, ids: Iterable[str]) -> list[int]:
        """Row of each point among ``ids`` that is listed, ascending."""
        wanted = np.array(sorted({chunk for chunk in ids if chunk.isascii()}), dtype=np.bytes_)
        if not (wanted.size and self.ids.size):
            return []
        rows = np.minimum(np.searchsorted(self.ids, wanted), self.ids.size - 1)
        found: list[int] = rows[self.ids[rows] == wanted].tolist()
        return found


class Payloads:
    """Reads what ``PayloadWriter`` wrote. Files are opened when they are needed; safe to use from several threads.

    Raises:
        SegmentVanishedError: the files are gone.
        DamagedIndexError: they are there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Remember the folder."""
        self._folder = folder
        self._lock = threading.Lock()
        self._fields: pl.DataFrame | None = None
        self._places: _Places | None = None
        self._shown: dict[int, dict[str, str | None]] = {}

    def close(self) -> None:
        """Release what is remembered."""
        with self._lock:
            self._places = self._fields = None
            self._shown = {}

    def fields(self) -> pl.DataFrame:
        """``FILTER_FIELDS`` of each group."""
        with self._lock:
            if self._fields is None:
                self._fields = read_columns(self._folder, FIELDS, FILTER_FIELDS)
            return self._fields

    def groups(self, conditions: Sequence[Condition]) -> list[int]:
        """Numbers of the groups for which all ``conditions`` hold."""
        return self.fields().select(pl.arg_where(matching(conditions))).to_series().to_list()

    @property
    def size(self) -> int:
        """Number of points listed."""
        return self._opened().ids.size

    def rows(self, ids: Iterable[str]) -> list[int]:
        """Row of each point among ``ids`` that is listed, ascending."""
        return self._opened().rows(ids)

    def ids(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Ids of the points in some rows."""
        return [chunk.decode() for chunk in self._opened().ids[rows].tolist()]

    def listed(self, ids: Sequence[str]) -> list[bool]:
        """For each of ``ids``, whether it is listed."""
        known = self._opened().ids
        if not (known.size and ids):
            return [False] * len(ids)
        wanted = np.array(ids, dtype=np.bytes_)
        found: list[bool] = (known[np.minimum(np.searchsorted(known, wanted), known.size - 1)] == wanted).tolist()
        return found

    def mask(self, groups: Sequence[int]) -> npt.NDArray[np.bool_]:
        """For each row, whether its point is in one of ``groups``."""
        chosen = np.zeros(self.fields().height, np.bool_)
        chosen[list(groups)] = True
        mask: npt.NDArray[np.bool_] = chosen[self._opened().group]
        return mask

    def stored(self, ids: Iterable[str]) -> pl.DataFrame:
        """``chunk_id``, ``FILTER_FIELDS`` and ``BODY`` of the points among ``ids`` that are listed, in the order of rows."""
        places = self._opened()
        rows = places.rows(ids)
        fields = self.fields()[places.group[rows].tolist()]
        chunks = pl.Series("chunk_id", [chunk.decode() for chunk in places.ids[rows].tolist()], pl.String)
        bodies = pl.Series(BODY, self._bodies(rows), pl.String)
        return pl.DataFrame([chunks, *fields.get_columns(), bodies])

    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """Payloads of the points among ``ids`` that are listed."""
        places = self._opened()
        rows = places.rows(ids)
        if not rows:
            return {}
        columns = [column[rows].tolist() for column in (places.ids, places.row_hash, places.group)]
        fields = self._fields_of(columns[2])
        lines = b",".join(self._lines(rows))
        try:
            bodies: list[Payload] = json.loads(f"[{lines.decode()}]")  # one call costs less than one a line
            return {
                chunk.decode(): {"row_hash": row_hash, **fields[group], **body}
                for chunk, row_hash, group, body in zip(*columns, bodies, strict=True)
            }
        except ValueError as error:
            raise unreadable(self._folder / LINES, error) from error

    def _opened(self) -> _Places:
        with self._lock:
            if self._places is None:
                points = read_columns(self._folder, SIDECAR, ("chunk_id", "row_hash", *PLACE_SCHEMA))
                numbers = [points[name].cast(pl.Int64).to_numpy() for name in ("row_hash", *PLACE_SCHEMA)]
                self._places = _Places(np.array(points["chunk_id"].to_list(), dtype=np.bytes_), *numbers)
            return self._places

    def _fields_of(self, groups: Sequence[int]) -> dict[int, dict[str, str | None]]:
        """Fields by group, of these groups at least; those asked for are remembered, for most of many never are."""
        missing = sorted(set(groups) - self._shown.keys())
        if missing:
            if len(self._shown) > _REMEMBERED_GROUPS:
                self._shown = {}
                missing = sorted(set(groups))
            self._shown = self._shown | dict(zip(missing, self.fields()[missing].to_dicts(), strict=True))
        return self._shown

    def _bodies(self, rows: list[int]) -> list[str]:
        try:
            return [line.decode() for line in self._lines(rows)]
        except ValueError as error:
            raise unreadable(self._folder / LINES, error) from error

    def _lines(self, rows: list[int]) -> list[bytes]:
        """The lines of some rows, as they lie in the file."""
        places = self._opened()
        starts, lengths = places.start[rows].tolist(), places.length[rows].tolist()
        read = os.pread
        try:
            with open(self._folder / LINES, "rb", buffering=0) as file:
                handle = file.fileno()
                lines = [read(handle, length, start) for length, start in zip(lengths, starts, strict=True)]
        except FileNotFoundError as error:
            raise SegmentVanishedError(str(self._folder)) from error
        if list(map(len, lines)) != lengths:
            end = next(s + n for s, n, line in zip(starts, lengths, lines, strict=True) if len(line) != n)
            raise unreadable(self._folder / LINES, ValueError(f"it ends before byte {end}"))
        return lines

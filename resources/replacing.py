"""What replacing the rows of some keys comes to: which rows are new, which changed, which leave. Pure.

Comparing first is what keeps a large key cheap: of a mailbox with one new message, one row is appended, where a MERGE of
all of its rows would read them beside the table's. How a change is written is ``lakehouse``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between the rows that keys have and those that they are to have.

    Attributes:
        fresh: rows that are new or differ.
        inserted: how many of them are new.
        leaving: ids, of those to go, that are there.
        keys: input keys of the rows that differ or leave.
        is_whole: whether every row of the keys is in the new ones or leaves.
        is_repeated: an id is there twice; counts tell nothing then, and everything is to be written.
    """

    fresh: pl.DataFrame
    inserted: int
    leaving: Sequence[str]
    keys: Sequence[str]
    is_whole: bool
    is_repeated: bool

    @property
    def updated(self) -> int:
        """How many rows differ from those there."""
        return self.fresh.height - self.inserted

    @property
    def is_nothing(self) -> bool:
        """Nothing differs."""
        return not self.is_repeated and not self.fresh.height and not self.leaving

    @property
    def is_addition(self) -> bool:
        """Nothing that is there changes or goes."""
        return not self.is_repeated and not self.updated and not self.leaving


def change(known: pl.DataFrame, rows: pl.DataFrame, gone: Sequence[str], id_column: str) -> Change:
    """Compare rows by id and hash.

    Args:
        known: ``id_column``, ``input_key`` and ``row_hash`` of the rows that the keys have.
        rows: those that they are to have, as far as one batch tells.
        gone: ids that they do not have any more.
        id_column: names the id.
    """
    if known.get_column(id_column).n_unique() != known.height:
        keys = [*known["input_key"], *rows["input_key"]]
        return Change(rows, 0, list(dict.fromkeys(gone)), sorted(set(keys)), is_whole=False, is_repeated=True)
    fresh = rows.join(known, on=[id_column, "row_hash"], how="anti", maintain_order="left")
    others = known.join(rows, on=id_column, how="anti")
    leaving = others.filter(pl.col(id_column).is_in(list(gone)))
    updated = fresh.join(known, on=id_column, how="semi").height
    return Change(
        fresh,
        fresh.height - updated,
        leaving.get_column(id_column).to_list(),
        sorted({*fresh["input_key"], *leaving["input_key"]}),
        is_whole=others.height == leaving.height,
        is_repeated=False,
    )

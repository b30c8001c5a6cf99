"""A lake that many scenarios start from: made once a module, put back before each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dagster.contents import contents
from tests.dagster.folders import copy_folder
from tests.dagster.lake import Lake, count_calls
from tests.dagster.sources import Source, write_source


class SavedLake(Lake):
    """A lake whose data folder can be kept and put back, at the same place: corpora know the path of their folder."""

    wanted: dict[str, Any]
    """What it held when it was saved."""

    def save(self) -> None:
        """Keep everything as it is now."""
        self.wanted = contents(with_vectors=True)
        copy_folder(self.settings.data_dir, self.root / "saved")

    def put_back(self) -> None:
        """Everything as it was saved."""
        copy_folder(self.root / "saved", self.settings.data_dir)
        self.counts.reset()

    def assert_as_saved(self) -> None:
        """The lake holds what it held when it was saved, down to the vectors in the points."""
        now = contents(with_vectors=True)
        assert [name for name in self.wanted if now[name] != self.wanted[name]] == []


@contextmanager
def saved_lake(folder: Path, *sources: Source) -> Iterator[SavedLake]:
    """A saved lake after one run over each source in turn. Its environment holds until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        lake = SavedLake(folder, patch.setenv)
        count_calls(lake, patch)
        for source in sources:
            write_source(lake.inbox, source)
            lake.run()
        lake.save()
        yield lake

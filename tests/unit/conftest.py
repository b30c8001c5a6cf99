"""Fixtures of the unit tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.lakehouse import Lakehouse


@pytest.fixture
def lake(tmp_path: Path) -> Lakehouse:
    """An empty lake that may be maintained."""
    lock = threading.Lock()

    @contextmanager
    def exclusive() -> Iterator[None]:
        with lock:
            yield

    return Lakehouse(tmp_path / "lake", maintenance_lock=exclusive)

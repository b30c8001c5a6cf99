"""The worker's dirty list: whole or old, believed while it is young and its process lives."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex_assets.engine.dirty import FRESH_SECONDS, dirty_file, fresh_dirty, read_dirty, write_dirty


def test_what_is_written_is_read_and_believed(tmp_path: Path) -> None:
    file = dirty_file(tmp_path / "cache")
    assert fresh_dirty(file, time.time()) == (None, "no worker runs")
    made = write_dirty(file, {"notes": "", "größe.00": "files 12"})
    assert read_dirty(file) == made
    assert (made.pid, made.shards["größe.00"]) == (os.getpid(), "files 12")
    assert fresh_dirty(file, time.time()) == (made, "")
    assert [path.name for path in file.parent.iterdir()] == ["dirty.json"]


@pytest.mark.parametrize(
    ("seconds", "is_fresh"), [(FRESH_SECONDS - 1, True), (FRESH_SECONDS + 1, False), (-200, False)]
)
def test_an_old_list_is_not_believed(tmp_path: Path, seconds: float, is_fresh: bool) -> None:
    write_dirty(tmp_path / "dirty.json", {}, at=1_000.0)
    found, why = fresh_dirty(tmp_path / "dirty.json", 1_000.0 + seconds)
    assert (found is not None) == is_fresh == (why == "")


def test_the_list_of_a_worker_that_ended_is_not_believed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait()
    write_dirty(tmp_path / "dirty.json", {"notes": "files 1"}, pid=ended.pid)
    found, why = fresh_dirty(tmp_path / "dirty.json", time.time())
    assert found is None
    assert "has ended" in why


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "at": "x", "shards": {}}', '{"shards": 3}'])
def test_a_list_of_another_form_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "dirty.json").write_text(text)
    assert read_dirty(tmp_path / "dirty.json") is None


def test_importing_it_brings_in_neither_polars_nor_dagster() -> None:
    code = "import sys, cortex_assets.engine.dirty; print({'polars', 'dagster'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"

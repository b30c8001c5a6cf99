"""Ctrl-C in the middle of any stage: leases are released, nothing is half done, and the next run ends as a clean one."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from cortex_assets.chunks.derive import ChunksCompute
from cortex_assets.documents.derive import DocumentsCompute
from cortex_assets.engine import reading
from cortex_assets.engine.ledger import AssetLedger
from inference.engines.hash_embedder import HashEmbedder
from resources.lakehouse import Lakehouse
from resources.vectors.edge import EdgeStore
from tests.dagster.lake import Image, Lake, note, notes

RARE = "# Rare\n\nThe zanzibar chronometer stopped at dawn.\n"
PLACES: dict[str, tuple[Any, str, int]] = {
    "reading files": (reading, "read_file", 4),
    "parsing": (DocumentsCompute, "_parsed", 4),
    "chunking": (ChunksCompute, "__call__", 1),
    "embedding": (HashEmbedder, "embed_batch", 1),
    "before publishing": (EdgeStore, "publish", 1),
    "second append": (Lakehouse, "append", 2),
    "replacing rows": (Lakehouse, "replace_keys", 1),
    "deleting rows": (Lakehouse, "delete_where", 2),
    "writing a ledger": (AssetLedger, "record", 2),
}
COMMITS = (Lakehouse, EdgeStore)


def first_state(lake: Lake) -> None:
    lake.drop_all(notes("notes", 6))


def second_state(lake: Lake) -> None:
    """Edits, adds, a delete and a rename at once."""
    lake.drop("notes/note-000.md", note(0, 2))
    lake.drop("notes/note-001.md", RARE)
    lake.drop_all(notes("notes", 3, start=30))
    lake.delete("notes/note-002.md")
    lake.move("notes/note-003.md", "notes/renamed.md")


def interrupt(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int, is_after: bool) -> list[str]:
    """Press Ctrl-C before or after the given call of a function; what it returns holds one entry once pressed."""
    real: Callable[..., Any] = getattr(owner, name)
    calls: list[str] = []
    pressed: list[str] = []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) != call:
            return real(*args, **kwargs)
        if is_after:
            real(*args, **kwargs)
        pressed.append(name)
        raise KeyboardInterrupt

    patch.setattr(owner, name, wrapped)
    return pressed


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What a lake holds that took the second state in one run."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(tmp_path_factory.mktemp("clean") / "lake", patch.setenv)
        first_state(lake)
        second_state(lake)
        lake.run()
        return lake.image()


@pytest.mark.parametrize(
    ("place", "is_after"),
    [*((place, False) for place in PLACES), *((place, True) for place in PLACES if PLACES[place][0] in COMMITS)],
)
def test_ctrl_c_in_the_middle_of(clean: Image, lake: Lake, place: str, is_after: bool) -> None:
    first_state(lake)
    lake.run()
    second_state(lake)
    owner, name, call = PLACES[place]
    with pytest.MonkeyPatch.context() as patch:
        pressed = interrupt(patch, owner, name, call, is_after)
        with pytest.raises(KeyboardInterrupt):
            lake.run()
        assert pressed == [name]
    lake.search("harbour lantern")
    report = lake.run()
    assert report.busy == (), "the lease was released"
    lake.assert_sound()
    after = lake.image()
    for table in ("bronze/files", "bronze/documents", "silver/chunks"):
        assert after.rows[table] == clean.rows[table], table
    assert after.points == clean.points


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="needs signals")
def test_ctrl_c_on_the_command_line_says_so_and_leaves_a_lake_that_goes_on(lake: Lake) -> None:
    first_state(lake)
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
from cortex_assets.engine.embed import EmbedStage
real = EmbedStage._embed
def press(*args, **kwargs):
    done = real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGINT)
    return done
EmbedStage._embed = press
from apps.cli import main
sys.exit(main(["run"]))
"""
    process: subprocess.Popen[str] = lake.start(code)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    report = lake.run()
    assert report.busy == ()
    lake.assert_sound()
    assert lake.found("Note 3", 20)

"""Fixtures of the app's tests: lakes that real runs made, and pages over them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from apps import residence

PROJECT = Path(__file__).parents[2]
RUN = "import sys; from apps.cli import main; sys.exit(main())"
ENVIRONMENT = {"CORTEX_EMBED": "hash", "CORTEX_STILL_SECONDS": "0", "CORTEX_MIN_FREE": "1MB"}


def cortex(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a fresh process over a data folder."""
    environment = os.environ | ENVIRONMENT | {"CORTEX_DATA": str(data), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample corpus, brought up to date once; tests only read it."""
    data = tmp_path_factory.mktemp("sample") / "data"
    shutil.copytree(PROJECT / "data" / "sample", data / "inbox" / "sample")
    done = cortex(data, "run")
    assert "index" in done.stdout, done.stderr
    return data


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Path]]:
    """Point this process at a data folder; what stayed open is closed afterwards."""

    def point(data: Path) -> Path:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CORTEX_DATA", str(data))
        return data

    yield point
    residence.leave()


@pytest.fixture
def sample(sample_data: Path, over: Callable[[Path], Path]) -> Path:
    """The sample's data folder, which this process works on; not to be changed."""
    return over(sample_data)


@pytest.fixture
def empty(tmp_path: Path, over: Callable[[Path], Path]) -> Path:
    """An empty data folder, which this process works on."""
    return over(tmp_path / "data")


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """Draws a page, with what its address says."""

    def draw(name: str, **address: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT / "apps" / "streamlit_app.py"), default_timeout=60)
        for key, value in address.items():
            app.query_params[key] = value
        app.run()
        if name != "overview":
            app.switch_page(f"app_pages/{name}.py").run()
        assert not app.exception, [one.value for one in app.exception]
        return app

    return draw


def words(app: AppTest) -> str:
    """Everything that a page says in texts, captions, tables and boxes."""
    kinds = ("title", "subheader", "text", "caption", "markdown", "info", "warning", "success", "error", "html")
    said = [str(one.value) for kind in kinds for one in app.get(kind) if hasattr(one, "value")]
    said += [one.proto.body for one in app.get("html") if hasattr(one, "proto")]
    return "\n".join(said)

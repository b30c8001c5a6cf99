"""The app's server: loopback only, silent, watching nothing; its options are ones that Streamlit knows."""

import tomllib
from pathlib import Path

import pytest

from apps import app_server

PROJECT = Path(__file__).parents[3]


def options():
    words = app_server.streamlit_arguments(8501)
    assert words[0] == "run"
    assert Path(words[1]) == PROJECT / "apps" / "streamlit_app.py"
    assert Path(words[1]).is_file()
    return [word.removeprefix("--").split("=", 1) for word in words[2:]]


def test_the_server_listens_on_loopback_only_and_sends_nothing():
    said = dict(options())
    assert said["server.address"] == "127.0.0.1"
    assert said["browser.gatherUsageStats"] == "false"
    assert said["server.fileWatcherType"] == "none"
    assert said["server.enableXsrfProtection"] == "true"
    assert said["server.headless"] == "true"
    assert said["server.port"] == "8501"
    assert [value for name, value in options() if name == "server.allowedHosts"] == ["127.0.0.1", "localhost"]


def test_the_supervisor_starts_this_module():
    words = app_server.command(8600)
    assert words[1:] == ["-m", "apps.app_server", "--port", "8600"]


def test_every_option_is_one_that_streamlit_knows():
    from streamlit import config

    themes = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    said = [name for name, _ in options()] + [f"{name}.{option}" for name, option in _leaves(themes)]
    assert len(said) > 25
    for name in said:
        config.get_option(name)  # raises for one that it does not know
    with pytest.raises(RuntimeError):
        config.get_option("server.nonsense")


def _leaves(section, prefix=""):
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}.{name}".lstrip("."))
        else:
            yield prefix, name

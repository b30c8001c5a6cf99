"""Settings: defaults, derived paths, and errors that name variable, value and allowed form."""

from datetime import timedelta
from pathlib import Path

import pytest

from resources.settings import DiskFullError, SettingsError, child_environment, free_space_guard, load_settings


def test_defaults(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert settings.data_dir == tmp_path / "data"
    assert settings.dagster_home == tmp_path / "data" / ".dagster"
    assert settings.retention == timedelta(days=7)
    assert (settings.slice_files, settings.slice_seconds, settings.still_seconds) == (500, 300.0, 2.0)
    assert (settings.embed, settings.qdrant_url, settings.max_file_bytes) == ("packaged", None, 2 * 2**30)
    assert settings.lake == tmp_path / "data" / "lake"
    assert settings.sources_file == tmp_path / "data" / "sources.yaml"
    assert settings.golden == tmp_path / "data" / "golden"
    assert settings.eval_tolerance == 0.01


def test_values_are_read(tmp_path: Path) -> None:
    env = {
        "CORTEX_DATA": "elsewhere",
        "DAGSTER_HOME": "/dagster",
        "CORTEX_RETENTION": "36h",
        "CORTEX_QDRANT_URL": "http://127.0.0.1:6333/",
        "CORTEX_MIN_FREE": "1%,500MB",
        "CORTEX_MAX_FILE": "1.5GiB",
        "CORTEX_EMBED": "hash",
        "CORTEX_STILL_SECONDS": "0",
    }
    settings = load_settings(tmp_path, env)
    assert settings.inbox == tmp_path / "elsewhere" / "inbox"
    assert settings.dagster_home == Path("/dagster")
    assert settings.retention == timedelta(hours=36)
    assert settings.qdrant_url == "http://127.0.0.1:6333"
    assert (settings.min_free_fraction, settings.min_free_bytes) == (0.01, 500_000_000)
    assert settings.max_file_bytes == 1_610_612_736
    assert (settings.embed, settings.still_seconds) == ("hash", 0.0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CORTEX_RETENTION", "a week"),
        ("CORTEX_SWEEP_AGE", "soon"),
        ("CORTEX_DATA", "a%41b"),
        ("CORTEX_DATA", "notes#1"),
        ("CORTEX_SLICE_FILES", "0"),
        ("CORTEX_SLICE_SECONDS", "-1"),
        ("CORTEX_STILL_SECONDS", "nan"),
        ("CORTEX_MAX_FILE", "2 elephants"),
        ("CORTEX_MIN_FREE", "120%"),
        ("CORTEX_QDRANT_URL", "qdrant"),
        ("CORTEX_EMBED", "../weights"),
        ("CORTEX_WORKERS", "two"),
        ("CORTEX_EVAL_TOLERANCE", "1.5"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, {variable: value})
    assert variable in str(caught.value)
    assert value in str(caught.value)
    assert "use " in str(caught.value)


def test_free_space(tmp_path: Path) -> None:
    roomy = load_settings(tmp_path, {"CORTEX_MIN_FREE": "0%,1B"})
    free_space_guard(tmp_path / "not" / "there", roomy)
    with pytest.raises(DiskFullError, match="cortex maintain"):
        free_space_guard(tmp_path, roomy, needed=10**18)
    with pytest.raises(DiskFullError, match="CORTEX_MIN_FREE"):
        free_space_guard(tmp_path, load_settings(tmp_path, {"CORTEX_MIN_FREE": "99.99%"}))


def test_a_child_does_not_inherit_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    environment = child_environment(LC_ALL="C")
    assert "GIT_DIR" not in environment
    assert (environment["GIT_SSH_COMMAND"], environment["LC_ALL"]) == ("ssh -i key", "C")

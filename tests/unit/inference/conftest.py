"""Shared by the tests of inference: places in a temporary folder and the packaged model's files."""

from pathlib import Path

import pytest

from inference.models import ModelPlaces


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> ModelPlaces:
    folder: Path = tmp_path_factory.mktemp("inference")
    return ModelPlaces(folder / "models", folder / "cache")

"""The unit and the compose file start what there is, and open nothing to others."""

import configparser
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"


def commands() -> set[str]:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    return set(re.findall(r"^## `cortex ([a-z]+)`$", page, re.MULTILINE))


def test_the_unit_starts_and_stops_by_commands_that_exist() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "cortex.service").read_text(encoding="utf-8"))
    service = unit["Service"]
    for name in ("ExecStart", "ExecStop"):
        program, command = service[name].split(" ")
        assert program.endswith("/.venv/bin/cortex")
        assert command in commands()
    assert unit["Install"]["WantedBy"] == "default.target"


def test_the_compose_file_publishes_no_port() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        assert "ports" not in service
        assert service["network_mode"] == "host"
    build = compose["services"]["cortex"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    recipe = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert 'CMD ["cortex", "up"]' in recipe
    assert "RUN make setup" in recipe
    assert compose["services"]["qdrant"]["environment"]["QDRANT__SERVICE__HOST"] == "127.0.0.1"

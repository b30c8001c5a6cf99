"""What README and docs say exists: commands, options, targets, variables, files; generated pages are current."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer

from apps.command_line import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.name not in ("cli.md", "tables.md")]
CODE = re.compile(r"```(?:console|bash|sh|text)\n(.*?)```|`([^`\n]+)`", re.S)
COMMAND = typer.main.get_command(app)


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spoken(page, program):
    """Lines of code in a page that start with a program."""
    lines = [line for found in CODE.findall(page.read_text()) for part in found for line in part.splitlines()]
    words = [line.strip().removeprefix("$ ").split("#")[0].split() for line in lines]
    return [line for line in words if len(line) > 1 and line[0] == program]


@pytest.mark.parametrize("name", ["cli.md", "tables.md"])
def test_generated_page_is_current(name):
    made = generator().PAGES[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_make_target_named_exists_and_says_what_it_does():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert {
        "help",
        "setup",
        "demo",
        "up-dagster",
        "test",
        "test-fast",
        "check",
        "fix",
        "bench",
        "clean",
        "lock",
    } <= targets
    named = {
        word for page in PAGES for line in spoken(page, "make") for word in line[1:] if re.fullmatch(r"[a-z-]+", word)
    }
    assert {"demo", "test"} <= named
    assert named <= targets


def test_every_command_and_option_named_exists():
    seen = 0
    for page in WRITTEN:
        for line in spoken(page, "cortex"):
            words = [word for word in line[1:] if word != "--debug"]
            command = COMMAND
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            assert command is not COMMAND or words in ([], ["--help"]), f"{page.name}: {' '.join(line)}"
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options
            assert not unknown, f"{page.name}: {' '.join(line)}"
            seen += 1
    assert seen > 10


def test_every_command_is_in_the_readme():
    named = {line[1] for line in spoken(ROOT / "README.md", "cortex")}
    assert set(COMMAND.commands) <= named


def test_every_variable_is_documented_and_no_other():
    declared = set(re.findall(r"CORTEX_[A-Z_]+|DAGSTER_HOME", (ROOT / "resources" / "settings.py").read_text()))
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `(CORTEX_[A-Z_]+|DAGSTER_HOME)`", page, re.M)) == declared
    for other in PAGES:
        assert set(re.findall(r"CORTEX_[A-Z_]+", other.read_text())) <= declared, other.name


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_ci_runs_what_the_readme_says():
    last = (ROOT / ".ci" / "run").read_text().rstrip().splitlines()[-1]
    assert last == "make check test"
    assert last in (ROOT / "README.md").read_text()


def test_decisions_are_dated():
    records = list((ROOT / "docs" / "decisions").glob("*.md"))
    assert len(records) >= 4
    assert all(re.match(r"\d{4}-\d\d-\d\d-[a-z0-9-]+\.md", record.name) for record in records)


def test_the_lock_pins_what_the_project_needs():
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = dict(
        line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)], prereleases=True), line
    assert "://" not in (ROOT / "requirements.lock").read_text()

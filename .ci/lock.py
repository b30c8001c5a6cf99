"""Write requirements.lock: every distribution that pyproject.toml needs (with the ``dev`` extra), as installed here.

Run it with the interpreter of an environment whose tests pass: ``make lock``. It reads installed metadata only, so it
needs no network, and it writes neither hashes nor hosts: whichever build of torch is installed, its release is pinned.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("dev",)
HEADER = """\
# What `make` installs, pinned. Written by `make lock`; edit pyproject.toml instead.
# torch is pinned by release: TORCH_INDEX chooses its CPU, ROCm or CUDA build (README).
"""


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Name to pinned release of all that ``wanted`` needs, itself included, markers judged for this interpreter."""
    pins: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = list(wanted)
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            sys.exit(f"lock: {requirement.name} is not installed here; install pyproject's dependencies first")
        if found.version not in requirement.specifier and Version(found.version).public not in requirement.specifier:
            sys.exit(f"lock: {requirement} is wanted, {found.version} is installed; install or change the pin first")
        pins[name] = Version(found.version).public
        todo += needed(found.requires or [], requirement.extras)
    return pins


def needed(lines: list[str], extras: set[str]) -> list[Requirement]:
    """Those requirement lines whose markers hold for this interpreter and for one of ``extras`` (or none)."""
    parsed = [Requirement(line) for line in lines]
    return [
        one
        for one in parsed
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def main() -> None:
    """Write the file and say how many distributions it pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    for extra in EXTRAS:
        wanted += [Requirement(line) for line in project["optional-dependencies"][extra]]
    pins = closure(wanted)
    body = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    (ROOT / "requirements.lock").write_text(HEADER + body)
    print(f"requirements.lock: {len(pins)} distributions")


if __name__ == "__main__":
    main()

"""Producer versions: what moves them and what does not (F6)."""

import importlib
import json
import subprocess
import sys
import textwrap

import pytest

from cortex_assets.engine import fingerprint
from cortex_assets.engine.definitions import Sources
from cortex_assets.engine.fingerprint import Producer, SourceMoved, function_version

BASE = """
import re
from fpkg_{n}.other import helper

LIMIT = 10
WORDS = re.compile("a+")

class Shape:
    '''Doc.'''
    size = 3

    def area(self, x):
        return x * self.size

def inner(x):
    return x + LIMIT

def entry(x):
    # a comment
    total = inner(x)
    for item in WORDS.findall("aa"):
        total += len(item)
    return helper(total) + Shape().area(x)

def unrelated(x):
    return x
"""
OTHER = "def helper(x):\n    return x * 2\n"
_count = 0


@pytest.fixture
def version(tmp_path, monkeypatch):
    """Gives the version of ``entry`` in a fresh package of the given sources."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(base=BASE, other=OTHER):
        global _count
        _count += 1
        name = f"fpkg_{_count}"
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "other.py").write_text(other)
        (package / "base.py").write_text(textwrap.dedent(base.replace("{n}", str(_count))))
        importlib.invalidate_caches()
        module = importlib.import_module(f"{name}.base")
        seen: dict[str, str] = {}
        fingerprint._collect(module.entry, (name,), seen)
        return sorted((k.replace(name, "pkg"), v.replace(name, "pkg")) for k, v in seen.items())

    yield make
    for name in [m for m in sys.modules if m.startswith("fpkg_")]:
        del sys.modules[name]
        fingerprint._sources.forget(name)


def test_same_source_same_version(version):
    assert version() == version()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ("'''Doc.'''", "'''Other doc.'''"),
        ("total", "amount"),
        ("return x\n", "return x + 1\n"),
    ],
    ids=["comment", "docstring", "local name", "unreached function"],
)
def test_what_does_not_count(version, old, new):
    assert version() == version(BASE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 10", "LIMIT = 11"),
        ('"a+"', '"b+"'),
        ("x + LIMIT", "x - LIMIT"),
        ("size = 3", "size = 4"),
        ("x * self", "x + self"),
    ],
    ids=["constant", "regex", "called function", "class attribute", "method"],
)
def test_what_counts(version, old, new):
    assert version() != version(BASE.replace(old, new))


def test_a_function_of_another_module_counts(version):
    assert version() != version(other=OTHER.replace("* 2", "* 3"))


def test_a_method_of_the_same_name_does_not_stand_for_a_function(version):
    shadowed = BASE + "\nclass Other:\n    def inner(self, x):\n        return x\n"
    assert version(shadowed) != version(shadowed.replace("x + LIMIT", "x - LIMIT"))
    assert version(shadowed) == version(shadowed.replace("        return x\n", "        return -x\n"))


TABLE = """
class Table(dict):
    def __init__(self, factor):
        self.factor = factor

    def __missing__(self, key):
        self[key] = double(key)
        return self[key]

def double(x):
    return x + x

TABLE = Table(3)
TABLE["seen"] = 1

def entry(x):
    return TABLE[x]
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("x + x", "x * 3", True),
        ("self[key] = double", "self[key] = -double", True),
        ("Table(3)", "Table(4)", True),
        ('TABLE["seen"] = 1', 'TABLE["other"] = 2', False),
    ],
    ids=["what its method calls", "its method", "its value", "what it remembers"],
)
def test_an_object_of_a_project_class_counts_by_its_class(version, old, new, counts):
    assert (version(TABLE) != version(TABLE.replace(old, new))) is counts


def test_a_late_import_counts(version):
    late = BASE.replace("from fpkg_{n}.other import helper\n", "").replace(
        "    # a comment\n", "    from fpkg_{n}.other import helper\n"
    )
    assert version(late) != version(late, other=OTHER.replace("* 2", "* 3"))


def test_a_file_edited_after_its_import_is_refused(version, tmp_path):
    (tmp_path / "moved.py").write_text("def entry(x):\n    return x + 1\n")
    importlib.invalidate_caches()
    module = importlib.import_module("moved")
    (tmp_path / "moved.py").write_text("def entry(x):\n    return x + 2\n")
    try:
        with pytest.raises(SourceMoved, match="restart"):
            function_version(module.entry, ("moved",))
    finally:
        sys.modules.pop("moved")
        fingerprint._sources.forget("moved")


def test_settings_assets_and_packages_count(tmp_path):
    asset = tmp_path / "prompt.md"
    asset.write_text("one")
    base = Producer((), ("polars",), (asset,), {"limit": 1}).version()
    assert Producer((), ("polars",), (asset,), {"limit": 2}).version() != base
    assert Producer((), ("polars", "numpy"), (asset,), {"limit": 1}).version() != base
    asset.write_text("two")
    assert Producer((), ("polars",), (asset,), {"limit": 1}).version() != base


def test_every_version_of_the_house_is_the_same_in_another_process():
    code = textwrap.dedent(
        """
        from cortex_assets.chunks.derive import chunks_derivation
        from cortex_assets.taking import media_version
        from cortex_assets.documents.derive import documents_derivation
        from cortex_assets.engine.wanted import encoder_version
        for derivation in (documents_derivation(), chunks_derivation("tokenizer", 256)):
            print(sorted(derivation.versions().items()))
        print(encoder_version(), media_version())
        """
    )
    told = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(told) == 1
    assert "text" in told.pop()


HOUSE = """
import sys
from pathlib import Path
from cortex_assets.engine import definitions, fingerprint
parsed = []
described = definitions._described
definitions._described = lambda node: parsed.append(node.name) or described(node)
fingerprint.remember_in(Path(sys.argv[1]))
from cortex_assets.documents.derive import documents_derivation
versions = sorted(documents_derivation().versions().items())
print(len(parsed), versions)
"""


def _house_versions(folder):
    """How many definitions were read from text, and the versions; those of the same state of all code are not asked for."""
    (folder / "producers.json").unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", HOUSE, folder], check=True, capture_output=True, text=True)
    number, _, versions = done.stdout.partition(" ")
    return int(number), versions


def test_what_is_known_of_a_text_is_kept_for_the_next_process(tmp_path):
    first, versions = _house_versions(tmp_path)
    assert first > 300
    assert _house_versions(tmp_path) == (0, versions)
    known = json.loads((tmp_path / "definitions.json").read_text())
    known["modules"]["cortex_assets.documents.parsers.text"]["text"] = "of another text"
    (tmp_path / "definitions.json").write_text(json.dumps(known))
    again, same = _house_versions(tmp_path)
    assert 0 < again < 30
    assert same == versions


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"reader": 1}', b"\xff", b'{"modules": {}}'])
def test_a_broken_file_of_what_is_known_is_made_anew(tmp_path, broken):
    path = tmp_path / "definitions.json"
    path.write_bytes(broken)
    sources = Sources(path)
    assert sources.of("cortex_assets.engine.stamp").definition("code_stamp") is not None
    sources.save()
    assert json.loads(path.read_text())["modules"].keys() == {"cortex_assets.engine.stamp"}


def test_what_is_known_is_not_kept_where_it_cannot_be_written(tmp_path):
    sources = Sources(tmp_path / "gone" / "definitions.json")
    assert sources.of("cortex_assets.engine.stamp").definition("code_stamp") is not None
    sources.save()
    assert list(tmp_path.iterdir()) == []

"""The contracts of the house: patterns find a module's place, and each kind of breach is found."""

import tomllib
from pathlib import Path

import pytest
from grimp import ImportGraph

from tests.layers import Doors, House, fit, layer_of

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
CONTRACTS = {one["type"]: one for one in PROJECT["tool"]["importlinter"]["contracts"]}
LAYERS = CONTRACTS["house"]["layers"]


def graph_of(*imports):
    graph = ImportGraph()
    for importer, imported in imports:
        for module in (importer, imported):
            graph.add_module(module, is_squashed=module in {"dagster", "deltalake", "torch"})
        graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="import")
    return graph


def breaches(kind, options, *imports):
    contract = kind("under test", {}, {key: options[key] for key in options if key not in ("name", "type")})
    return contract.check(graph_of(*imports), verbose=False).metadata["breaches"]


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("apps.commands.look", "apps.**"),
        ("cortex_assets.definitions", "cortex_assets.definitions"),
        ("cortex_assets.corpora.assets", "assets"),
        ("cortex_assets.engine.assets", "engine"),
        ("cortex_assets.documents.parsers.pdf", "cortex_assets.*.**"),
        ("cortex_assets.syntax.trees", "syntax"),
        ("cortex_assets.documents.schema", "schema"),
        ("cortex_assets.tables", "cortex_assets.tables"),
        ("resources.lakehouse", "resources"),
        ("inference.engines.torch", "inference"),
    ],
)
def test_place_of_a_module(module, layer):
    assert layer in LAYERS[layer_of(module, LAYERS)]


def test_a_more_literal_pattern_wins():
    assert fit("a.b.c", "a.*.c") > fit("a.b.c", "a.**")
    assert fit("a.b.c", "a.b.**") > fit("a.b.c", "a.*.c")
    assert fit("a.b", "a.*.c") is None
    assert fit("a", "a.**") == (2, 0)


@pytest.mark.parametrize(
    ("importer", "imported", "is_breach"),
    [
        ("apps.reader", "cortex_assets.engine.plan", False),
        ("cortex_assets.engine.plan", "apps.reader", True),
        ("resources.lakehouse", "cortex_assets.tables", True),
        ("inference.lanes", "resources.settings", True),
        ("cortex_assets.chunks.cut", "cortex_assets.engine.plan", True),
        ("cortex_assets.chunks.cut", "cortex_assets.chunks.words", False),
        ("cortex_assets.chunks.cut", "cortex_assets.documents.decode", True),
        ("cortex_assets.chunks.cut", "cortex_assets.documents.model", False),
        ("cortex_assets.syntax.trees", "cortex_assets.documents.decode", True),
        ("somewhere.new", "resources.settings", True),
    ],
)
def test_house(importer, imported, is_breach):
    assert bool(breaches(House, CONTRACTS["house"], (importer, imported))) == is_breach


@pytest.mark.parametrize(
    ("importer", "package", "is_breach"),
    [
        ("cortex_assets.engine.assets", "dagster", False),
        ("cortex_assets.documents.decode", "dagster", True),
        ("cortex_assets.index.points", "deltalake", True),
        ("resources.lakehouse", "deltalake", False),
        ("cortex_assets.embeddings.embed", "torch", True),
        ("inference.engines.bert", "torch", False),
    ],
)
def test_doors(importer, package, is_breach):
    found = breaches(Doors, CONTRACTS["doors"], (importer, package))
    assert bool(found) == is_breach
    assert not found or found[0][3] == 3

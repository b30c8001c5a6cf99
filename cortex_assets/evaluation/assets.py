"""The evaluations asset, as Dagster shows it."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from cortex_assets.engine.assets import stage_spec
from cortex_assets.evaluation.schema import EVALUATIONS

NAME = "evaluations"
SPEC = stage_spec(
    NAME,
    EVALUATIONS,
    description="How well search finds what golden sets ask for; evaluated anew where set, space, chunker, search or points moved.",
    deps=["index"],
    group="gold",
    kinds={"delta", "numpy"},
)


def evaluation_assets(refresh: Callable[[], dict[str, Any]]) -> dg.AssetsDefinition:
    """The asset; ``refresh`` evaluates what moved and returns what the materialization shows."""

    @dg.multi_asset(name="evaluate_sets", specs=[SPEC])
    def evaluate() -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(asset_key=NAME, metadata=refresh())

    return evaluate

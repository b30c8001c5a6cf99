"""The calls of models as an asset, as Dagster shows it."""

from collections.abc import Callable, Iterator

import dagster as dg

from cortex_assets.calls.derive import Drained, metadata_of
from cortex_assets.calls.schema import MODEL_CALLS
from cortex_assets.engine.assets import stage_spec

NAME = "model_calls"
SPEC = stage_spec(
    NAME,
    MODEL_CALLS,
    description="Every call of a model: lane, engine, tokens, latency, outcome, cost. Drained from the ledger that processes share.",
    group="ops",
    kinds={"delta", "sqlite"},
)


def calls_assets(refresh: Callable[[], Drained]) -> dg.AssetsDefinition:
    """The asset; ``refresh`` drains the ledger and says what came."""

    @dg.multi_asset(name="drain_calls", specs=[SPEC])
    def drain_calls() -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(asset_key=NAME, metadata=metadata_of(refresh()))

    return drain_calls

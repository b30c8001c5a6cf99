"""What assets take as Dagster resources: the lanes by name. The only module here that knows Dagster."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from inference.errors import InferenceError
from inference.requests import Cancellation, Completion, GenerateRequest, Origin
from resources.inference import open_lanes
from resources.settings import settings_of

if TYPE_CHECKING:
    from inference.generation.building import Lanes


def lane_pool(lane: str) -> str:
    """The pool of an asset that asks a lane.

    How many of them may run at a time is set in Dagster (``dagster instance concurrency set lane_coder 2``); how many calls
    an engine takes at a time is the lane's own to keep.
    """
    return f"lane_{lane}"


class InferenceResource(dg.ConfigurableResource[Any]):
    """The lanes of a data folder, opened when first asked and closed when the step ends.

    Assets give it the id of their run, so that budgets of runs hold and ``metadata`` can say what they spent.
    """

    data: str

    _lanes: Any = PrivateAttr(default=None)

    @property
    def lanes(self) -> "Lanes":
        """All of them.

        Raises:
            ConfigInvalid: ``inference.yaml`` is wrong.
        """
        if self._lanes is None:
            self._lanes = open_lanes(settings_of(Path(self.data)))
        found: Lanes = self._lanes
        return found

    @property
    def has_generator(self) -> bool:
        """Whether any lane generates; where none does, use the method that needs none."""
        return self.lanes.has_generator

    def generate(
        self, request: GenerateRequest, lane: str = "", task: str = "", cancellation: Cancellation | None = None
    ) -> Completion:
        """One answer of a lane, the one that the request belongs to where none is named.

        Raises:
            InferenceError: as for ``GenerateLane.generate``.
        """
        return self.lanes.generate(request, lane=lane, task=task, cancellation=cancellation)

    def generate_batch(
        self,
        requests: Sequence[GenerateRequest],
        lane: str = "",
        task: str = "",
        cancellation: Cancellation | None = None,
    ) -> list[Completion | InferenceError]:
        """An outcome for each request, in their order: what was answered may be committed whatever became of the others."""
        return self.lanes.generate_batch(requests, lane=lane, task=task, cancellation=cancellation)

    def origin(self, context: dg.AssetExecutionContext, caller: str, shard: str = "") -> Origin:
        """Who asks, for requests of an asset: its run's id is that of the budget and of the trace."""
        return Origin(caller, context.run.run_id, shard, context.run.run_id.replace("-", "")[:32])

    def metadata(self, context: dg.AssetExecutionContext) -> dict[str, Any]:
        """What this run's calls came to so far, for its materializations."""
        spent = self.lanes.spent_by(context.run.run_id)
        return {"model_calls": spent.calls, "model_tokens": spent.tokens, "model_cost": round(spent.cost, 6)}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close what was opened."""
        if self._lanes is not None:
            self._lanes.close()
            self._lanes = None

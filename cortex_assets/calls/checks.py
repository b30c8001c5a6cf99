"""The check of the lanes: every lane has an engine that is there."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from cortex_assets.calls.assets import NAME
from inference.generation.health import Health

ANSWER = "lanes_answer"
_DESCRIPTION = "Every lane of models has an engine that is there; servers list their models, nobody is asked to write."


def lanes_check(look: Callable[[], tuple[Sequence[str], Sequence[Health]]]) -> dg.AssetChecksDefinition:
    """The check; ``look`` gives the lanes that are down, and how each engine stands."""
    spec = dg.AssetCheckSpec(ANSWER, asset=NAME, description=_DESCRIPTION)

    @dg.multi_asset_check(name=ANSWER, specs=[spec])
    def check() -> Iterator[dg.AssetCheckResult]:
        down, engines = look()
        yield answered(down, engines)

    return check


def answered(down: Sequence[str], engines: Sequence[Health]) -> dg.AssetCheckResult:
    """A warning where lanes are down: rooms use their deterministic methods meanwhile."""
    rows = "".join(
        f"| {one.engine} | {', '.join(one.lanes)} | {'yes' if one.is_well else 'no'} | {_cell(one.detail)} |\n"
        for one in engines
    )
    table = f"| engine | lanes | there | seen |\n|---|---|---|---|\n{rows}" if engines else "no engine is configured"
    return dg.AssetCheckResult(
        asset_key=NAME,
        check_name=ANSWER,
        passed=not down,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"no engine answers in {', '.join(down)}" if down else None,
        metadata={"engines": dg.MetadataValue.md(table)},
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]

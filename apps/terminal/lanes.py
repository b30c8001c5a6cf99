"""Reports about lanes as tables."""

from rich.console import Group, RenderableType
from rich.text import Text

from apps.lane_reports import ANSWERS, EngineLine, LaneLine, LanesReport, RouteReport
from apps.terminal.console import safe
from apps.terminal.tables import grid
from apps.terminal.units import duration, whole


def route_report(report: RouteReport) -> RenderableType:
    """Where a text goes, and why."""
    lines: list[RenderableType] = [safe(f"{report.lane}", "bold green" if report.engines else "bold yellow")]
    lines += [safe(f"  because {reason}" if not at else f"  {reason}") for at, reason in enumerate(report.reasons)]
    engines = ", then ".join(report.engines)
    asked = f"asked: {engines}" if engines else "no generator is configured: rooms use methods that need none"
    lines.append(safe(f"  about {whole(report.tokens)} tokens; {asked}"))
    return Group(*lines)


def lanes_report(report: LanesReport) -> RenderableType:
    """Lanes with their engines and their last day."""
    if not report.has_generator:
        where = "declares no engine that generates" if report.is_declared else "is not there"
        return Group(
            safe(f"{report.file} {where}, so no lane generates; everything works without.", "yellow"),
            Text("docs/configuration.md shows how to name a server or a local model."),
        )
    numbers = ("calls", "failed", "cached", "tokens", "cost", "p50", "p95")
    rows = [_row(lane) for lane in report.lanes]
    lines: list[RenderableType] = [grid(("lane", "engines", *numbers), rows, numbers)]
    seen: set[str] = set()
    for engine in (engine for lane in report.lanes for engine in lane.engines):
        if engine.state != ANSWERS and engine.name not in seen:
            seen.add(engine.name)
            lines.append(_trouble(engine))
    lines += [
        safe(
            f"{lane.name}: budget of {scope} {budget}{f', spent {lane.spent_today:,.4g} today' if scope == 'a day' else ''}"
        )
        for lane in report.lanes
        for scope, budget in (("a day", lane.day_budget), ("a run", lane.run_budget))
        if budget
    ]
    return Group(*lines)


def _row(lane: LaneLine) -> tuple[object, ...]:
    engines = ", ".join(
        f"{one.name} ({one.tier})" + (f" [{one.in_flight}]" if one.in_flight else "") for one in lane.engines
    )
    served = engines or (f"by {lane.served_by}" if lane.served_by else "none")
    return (
        lane.name,
        served,
        whole(lane.calls),
        whole(lane.failed),
        whole(lane.cached),
        whole(lane.tokens),
        f"{lane.cost:,.4g}",
        _short(lane.p50),
        _short(lane.p95),
    )


def _trouble(engine: EngineLine) -> Text:
    left = f" for {engine.seconds_left:.0f} s" if engine.seconds_left else ""
    return safe(f"{engine.name} is {engine.state}{left}: {engine.why}", "yellow")


def _short(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{1_000 * seconds:.0f} ms" if seconds < 1 else duration(seconds)

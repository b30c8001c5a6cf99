"""How ``cortex doctor`` shows what it found: what is well in a word, what is not with its remedy."""

from rich.console import Group, RenderableType
from rich.text import Text

from apps.doctor.report import BAD, GOOD, DoctorReport
from apps.terminal.console import safe
from apps.terminal.tables import grid
from apps.terminal.units import duration

_STYLES = {GOOD: "green", BAD: "bold red"}


def doctor_report(report: DoctorReport) -> RenderableType:
    """A line for each thing, remedies below it."""
    rows: list[tuple[object, ...]] = []
    for one in report.diagnoses:
        rows.append((one.area, one.name, Text(one.state, style=_STYLES.get(one.state, "yellow")), one.detail))
        if one.remedy and one.state != GOOD:
            rows.append(("", "", Text("->"), one.remedy))
    bad = sum(one.state == BAD for one in report.diagnoses)
    words = "nothing is bad" if report.is_well else f"{bad} things are bad"
    end = safe(f"{words} ({duration(report.seconds)})", "green" if report.is_well else "red")
    return Group(grid(("area", "what", "state", "seen"), rows), end)

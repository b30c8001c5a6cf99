"""Reports as tables: one function a report. Search results are in ``hits``."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from apps.alert_reports import AlertLine
from apps.reports import (
    AddPreview,
    CorpusStatus,
    FailureGroup,
    ModelLine,
    PlanReport,
    RunReport,
    StatusReport,
    TableLine,
    VerifyReport,
    Withheld,
)
from apps.sql_reports import SqlResult, SqlTableLine
from apps.terminal.console import safe
from apps.terminal.units import counted, duration, moment, size, whole


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[str] = ()) -> Table:
    """A plain table; ``numbers`` names the columns that stand at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        right = name in numbers
        table.add_column(safe(name), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(value if isinstance(value, Text) else safe(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(value) if value else "."
    return str(value)


def preview(report: AddPreview) -> RenderableType:
    """What ``cortex add`` found."""
    lines: list[RenderableType] = [
        safe(f"{report.name} ({report.kind}): {report.uri}", "bold"),
        safe(f"{counted(report.files, 'file')}, {size(report.bytes)}"),
        safe(f"about {duration(report.seconds)} to read in and {size(report.disk_bytes)} on disk (estimates)"),
    ]
    if report.ignored:
        rows = [(one.reason, one.files, size(one.bytes)) for one in report.ignored]
        lines += [Text("left out:"), grid(("reason", "files", "bytes"), rows, ("files", "bytes"))]
    if report.is_registered:
        lines.append(Text("this source is registered already; going on changes its settings only", style="yellow"))
    return Group(*lines)


def run_report(report: RunReport) -> RenderableType:
    """What a run did."""
    names = ("new", "changed", "deleted", "unchanged", "failed", "quarantined", "remaining", "tokens")
    rows = [
        (line.shard, line.stage, *(getattr(line, name) for name in names), duration(line.seconds))
        for line in report.stages
    ]
    parts: list[RenderableType] = [grid(("shard", "stage", *names, "time"), rows, (*names, "time"))] if rows else []
    parts += [safe(f"{shard}: already running, queued", "yellow") for shard in report.busy]
    parts += [withheld_line(one) for one in report.withheld]
    parts += [safe(note, "yellow") for note in report.notes]
    parts += [safe(error, "red") for error in report.errors]
    if report.failed:
        parts.append(Text(f"{whole(report.failed)} failed: `cortex status --failed` says why", style="red"))
    parts.append(Text(f"done in {duration(report.seconds)}"))
    return Group(*parts)


def withheld_line(one: Withheld) -> Text:
    """What the guard holds back, and the way on, which the reason may say already."""
    way = "" if one.scan_id in one.reason else f"; meant? cortex confirm {one.scan_id}"
    return safe(f"{one.corpus}: {counted(one.files, 'delete')} withheld ({one.reason}){way}", "yellow")


def plan_report(report: PlanReport) -> RenderableType:
    """What a run would do, where there is something to do; estimates carry ``~`` and their basis."""
    names = ("new", "stale", "orphaned", "unchanged")
    rows = []
    for line in (one for one in report.lines if one.new or one.stale or one.orphaned):
        mark = "" if line.is_exact else "~"
        rows.append((line.shard, line.stage, *(f"{mark}{whole(getattr(line, name))}" for name in names), line.basis))
    parts: list[RenderableType] = [grid(("shard", "stage", *names, "basis"), rows, names)] if rows else []
    parts += [withheld_line(one) for one in report.withheld]
    parts.append(Text("nothing to do" if report.is_empty else "`cortex run` does this; nothing was written"))
    return Group(*parts)


def status_report(report: StatusReport) -> RenderableType:
    """How the corpora stand."""
    if not report.corpora:
        return safe(f"no corpus yet in {report.lake}: put files into data/inbox/<name>/, or cortex add <folder>")
    parts: list[RenderableType] = [safe(report.lake, "bold"), _corpora(report.corpora)]
    parts += [withheld_line(one.withheld) for one in report.corpora if one.withheld]
    parts += [safe(f"{one.name}: {one.migration}", "yellow") for one in report.corpora if one.migration]
    if report.failures:
        parts += [Text(), failures(report.failures)]
    parts += [alert_line(alert) for alert in report.alerts]
    return Group(*parts)


def alert_line(alert: AlertLine) -> Text:
    """One alert: what it is, whose, what to do."""
    since = f" since {moment(alert.since)}" if alert.since else ""
    style = "bold red" if alert.severity == "error" else "yellow"
    return safe(
        f"{alert.severity}: {alert.name}{f' of {alert.corpus}' if alert.corpus else ''}{since}: ", style
    ) + safe(alert.detail)


def _corpora(corpora: Sequence[CorpusStatus]) -> Table:
    numbers = ("files", "not ok", "documents", "chunks", "vectors", "points")
    columns = ("corpus", "kind", *numbers, "scanned (UTC)", "run (UTC)", "state")
    is_shared = any(one.machine for one in corpora)
    rows = [
        (
            one.name,
            one.kind,
            one.file_count,
            one.not_ok,
            one.documents,
            one.chunks,
            one.vectors,
            one.points,
            moment(one.last_scan),
            moment(one.last_run),
            one.freshness if one.is_listed else "paused",
            *([one.machine + (" (this one)" if one.is_here else "")] if is_shared else []),
        )
        for one in corpora
    ]
    return grid((*columns, "machine") if is_shared else columns, rows, numbers)


def failures(groups: Sequence[FailureGroup]) -> RenderableType:
    """What failed, by reason."""
    rows = [(one.corpus, one.status, one.rows, one.reason, "\n".join(one.examples)) for one in groups]
    return grid(("corpus", "status", "rows", "reason", "such as"), rows, ("rows",))


def verify_report(report: VerifyReport) -> RenderableType:
    """Where tables and indexes disagree with their sources."""
    busy = [Text(f"not checked: {one}", style="yellow") for one in report.busy]
    if not report.findings:
        shards = f"{counted(report.checked, 'shard')} checked, in {duration(report.seconds)}"
        sound = f"sound: tables and indexes agree with their sources ({shards})"
        return Group(Text(sound, style="green"), *busy) if busy else Text(sound, style="green")
    names = ("missing", "extra", "stale", "orphans")
    rows = [
        (
            one.table,
            one.shard,
            *(getattr(one, name) for name in names),
            one.detail,
            "repaired" if one.is_repaired else "open",
        )
        for one in report.findings
    ]
    parts: list[RenderableType] = [grid(("table", "shard", *names, "detail", "state"), rows, names)]
    if not report.is_sound:
        parts.append(Text("`cortex verify --repair` makes them agree", style="yellow"))
    return Group(*parts, *busy)


def models(lines: Sequence[ModelLine]) -> RenderableType:
    """The models there are."""
    rows = [
        (one.name, one.purpose, one.source, "here" if one.is_present else "not here", size(one.bytes), one.digest[:12])
        for one in lines
    ]
    return grid(("model", "purpose", "source", "state", "bytes", "digest"), rows, ("bytes",))


def lake_tables(lines: Sequence[TableLine]) -> RenderableType:
    """The tables of the lake with their rows."""
    rows = [(one.name, one.kind, one.rows, str(one.version)) for one in lines]
    return grid(("table", "kind", "rows", "version"), rows, ("rows", "version"))


def sql_result(result: SqlResult) -> RenderableType:
    """The rows of a query."""
    if not result.columns:
        return Text("no rows")
    numbers = [name for name, kind in zip(result.columns, result.types, strict=True) if _is_number(kind)]
    rows = [[_sql_cell(value) for value in row] for row in result.rows]
    return Group(
        grid(result.columns, rows, numbers),
        Text(f"{counted(len(rows), 'row')} in {duration(result.seconds)}", style="dim"),
    )


def _is_number(kind: str) -> bool:
    return kind.startswith("DECIMAL") or kind in {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "FLOAT",
        "DOUBLE",
    }


def _sql_cell(value: object) -> str:
    if value is None:
        return "·"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def sql_tables(lines: Sequence[SqlTableLine]) -> RenderableType:
    """The tables that SQL can read."""
    rows = [(one.name, ", ".join(name for name, _ in one.columns)) for one in lines]
    return grid(("table", "columns"), rows)

"""Reports about the care of the lake as tables."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from apps.care_reports import BackedUp, Resharded, Restored, SavedTable, Upgraded
from apps.migration_reports import KEPT, MigrationLine, MigrationsReport
from apps.reports import MaintainReport
from apps.terminal.console import safe
from apps.terminal.tables import grid
from apps.terminal.units import counted, duration, size, whole

_SHOWN = 10


def maintain_report(report: MaintainReport) -> RenderableType:
    """What maintenance saved, or would."""
    numbers = ("files before", "after", "rows gone", "freed", "time")
    rows = [
        (one.name, one.files_before, one.files_after, one.rows, size(one.bytes_freed), duration(one.seconds))
        for one in report.tables
    ]
    lines: list[RenderableType] = [grid(("table", *numbers), rows, numbers)]
    if report.busy:
        lines.append(Text("left out, because runs are at work; say --wait, or try again later:", style="yellow"))
        lines += [safe(f"  {one}") for one in report.busy]
    freed = sum(one.bytes_freed for one in report.tables)
    if report.is_dry_run:
        lines.append(Text(f"nothing was done: {size(freed)} would go, and later the files that compacting replaces"))
    else:
        said = f"{size(freed)} freed" if freed >= 0 else f"{size(-freed)} more on disk until what was replaced may go"
        held = duration(report.longest_hold)
        lines.append(Text(f"{said} in {duration(report.seconds)}; runs had to wait for {held} at most"))
    return Group(*lines)


def backed_up(report: BackedUp) -> RenderableType:
    """What is in a backup, and what of it was copied."""
    lines: list[RenderableType] = [_saved(report.tables)]
    lines.append(
        Text(
            f"{whole(report.files)} files, {size(report.bytes)}; copied: {whole(report.copied_files)}, "
            f"{size(report.copied_bytes)}, in {duration(report.seconds)}"
        )
    )
    lines.append(safe(f"{', '.join(report.parts)} as of {report.made_at} in {report.folder}", "green"))
    lines += _paths("could not be read", report.missing)
    return Group(*lines)


def restored(report: Restored) -> RenderableType:
    """What was put back."""
    lines: list[RenderableType] = [_saved(report.tables)]
    verb = "replaced by" if report.is_replaced else "made from"
    lines.append(
        safe(
            f"the lake is {verb} the backup of {report.made_at}, in {duration(report.seconds)}; `cortex run` makes the "
            "index anew. Start again what was running: worker, app",
            "green",
        )
    )
    lines.append(Text(f"stored bytes and files added: {whole(report.added)}"))
    lines += _paths("other than in the backup, and kept", report.kept)
    return Group(*lines)


def resharded(report: Resharded) -> RenderableType:
    """What moved."""
    if report.before == report.after and not report.rows:
        return safe(f"{report.corpus} has {counted(report.after, 'shard')} already")
    lines: list[RenderableType] = [
        safe(
            f"{report.corpus}: {report.before} -> {counted(report.after, 'shard')}; {whole(report.rows)} rows moved, "
            f"{whole(report.points)} points copied, in {duration(report.seconds)}",
            "green",
        )
    ]
    return Group(*lines, *(safe(note, "yellow") for note in report.notes))


def migrations(report: MigrationsReport) -> RenderableType:
    """How migrations stand."""
    if not report.lines:
        return Text("no migration is under way, and nothing is kept of one")
    return Group(*(migration_line(line) for line in report.lines))


def migration_line(line: MigrationLine) -> Text:
    """How one stands, and what ends it."""
    way = "--rollback, --finish" if line.state == KEPT else "cortex run goes on; --abandon ends it"
    return safe(f"{line.corpus}: {line.text} ({way})", "green" if line.state == KEPT else "yellow")


def upgraded(report: Upgraded) -> RenderableType:
    """What an upgrade did, and the way back."""
    if not report.steps:
        return Text(f"the lake is of format {report.after}, which is the newest here: nothing to do")
    verb = "would be done" if report.is_dry_run else "done"
    lines: list[RenderableType] = [Text(f"from format {report.before} to {report.after}; {verb}:")]
    lines += [safe(f"  {step}") for step in report.steps]
    if report.snapshot is not None:
        lines.append(safe(f"the way back: cortex restore {report.snapshot} --replace", "green"))
    return Group(*lines)


def _saved(tables: Sequence[SavedTable]) -> RenderableType:
    numbers = ("version", "rows", "files", "size")
    rows = [(one.name, whole(one.version), one.rows, one.files, size(one.bytes)) for one in tables]
    return grid(("table", *numbers), rows, numbers)


def _paths(what: str, paths: Sequence[str]) -> list[RenderableType]:
    if not paths:
        return []
    more = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return [Text(f"{what}:", style="yellow"), *(safe(f"  {path}") for path in [*paths[:_SHOWN], *more])]

"""All writes that a person can ask for: register, run, confirm, retry, remove, repair, maintain, back up, restore, pull a model.

The command line and the app's pages call these functions and nothing below them. Engine code is imported inside
functions, so that ``cortex --help`` stays quick. Reads are in ``apps.reader``. The caller asks "are you sure?".
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from apps.care_reports import BackedUp, Resharded, Restored, Upgraded
from apps.errors import USAGE, CommandError
from apps.evaluation_reports import Click, Decided, EvaluationReport, Noted
from apps.migration_reports import MigrationsReport
from apps.progress import ProgressSink, silent
from apps.reports import (
    AddOptions,
    AddPreview,
    Confirmed,
    MaintainReport,
    ModelLine,
    Registered,
    Removed,
    Retried,
    RunReport,
    RunRequested,
    VerifyReport,
)
from apps.views import DropReport, Resumed

if TYPE_CHECKING:
    from apps.supervisor.state import UpState

ENGINE = "cortex_assets.house"
"""Where it is imported already, a run takes its usual way: it costs little then, and sees the code that is in memory."""


def is_address(path_or_url: str) -> bool:
    """Whether a place is the address of a repository, not a folder."""
    return "://" in path_or_url or path_or_url.startswith("git@")


def preview_add(path_or_url: str, name: str | None = None, options: AddOptions | None = None) -> AddPreview:
    """List a folder or a git repository and say what a registration would take in. Writes nothing.

    Args:
        path_or_url: a folder, or a git URL.
        name: what the corpus is called; by default the last part of the path.
        options: globs and how bytes are kept.

    Raises:
        CommandError: there is no such folder, or it is a file.
    """
    from apps import registering

    return registering.preview(checked_source(path_or_url), name, options or AddOptions())


def add(preview: AddPreview) -> Registered:
    """Register what a preview showed; registering the same source again changes its settings only."""
    from apps import registering

    return registering.register(preview)


def is_watched() -> bool:
    """Whether a worker is up, which takes up what is registered or changes by itself."""
    from apps.worker import client
    from resources.settings import load_settings

    try:
        client.find(load_settings().up)
    except client.NoWorker:
        return False
    return True


def run(corpora: Sequence[str] | None = None, progress: ProgressSink = silent) -> RunReport:
    """Bring the lake up to date with the sources of some corpora (None = all listed ones), all the way to the index.

    Ctrl-C is safe at any point: leases are released, and the next run continues.
    """
    if ENGINE not in sys.modules:
        from apps import resting
        from resources.settings import load_settings

        settings = load_settings()
        if not corpora:
            with resting.looked(settings) as nothing_to_do:
                if nothing_to_do is not None:
                    return nothing_to_do
                resting.load_engine(settings)
                from apps import running

                return running.run(None, progress)
        resting.load_engine(settings)
    from apps import running

    return running.run(corpora, progress)


def confirm(scan_id: str) -> Confirmed:
    """Accept the deletes that the guard withheld at a scan; the next run applies them.

    Raises:
        CommandError: no such scan, or nothing is withheld there.
    """
    from apps import running

    return running.confirm(scan_id)


def retry(target: str | None = None) -> Retried:
    """Make failed and quarantined keys due again: of a corpus, of one ``corpus/path``, or of everything (None)."""
    from apps import running

    return running.retry(target)


def remove(corpus: str, purge: bool = False) -> Removed:
    """Stop listing a corpus; with ``purge`` delete its rows and points, too. Its source is never touched."""
    from apps import registering

    return registering.remove(corpus, purge)


def resume(corpus: str) -> Resumed:
    """List a paused corpus again; the next run takes up what changed meanwhile.

    Raises:
        CommandError: no corpus has that name, or it comes back by itself (from the inbox or sources.yaml).
    """
    from apps import registering

    return registering.resume(corpus)


def drop_files(corpus: str, files: Sequence[tuple[str, BinaryIO]], replace: bool = False) -> DropReport:
    """Write files into the inbox, each whole or not at all; a run takes them from there.

    Args:
        corpus: a corpus of the inbox, the name of a new folder there, or ``inbox`` for loose files.
        files: (name, bytes), a name may have folders in it; one that cannot be used is refused and said so.
        replace: whether a file of that name may be replaced; otherwise it is refused and said so.

    Raises:
        CommandError: the corpus lies outside of the inbox, or its name cannot be a folder's.
    """
    from apps import dropping

    return dropping.drop_files(corpus, files, replace)


def maintain(is_dry_run: bool = False, wait_seconds: float = 0.0) -> MaintainReport:
    """Compact, vacuum and sweep, one short step after another, each under the lake lease.

    Args:
        is_dry_run: only say what would go.
        wait_seconds: how long to wait in all for runs that are at work; what is still busy then is left out and named.

    Raises:
        LeaseBusy: runs are at work, and not one step could be done.
    """
    from apps import caring

    return caring.maintain(is_dry_run, wait_seconds)


def evaluate(
    name: str | None = None, k: int = 10, is_accepted: bool = False, progress: ProgressSink = silent
) -> EvaluationReport:
    """Ask the questions of golden sets and record how well search finds their answers, where anything moved since the last time.

    Args:
        name: of a set; None = all.
        k: hits that are looked at; with other than 10 nothing is recorded or compared.
        is_accepted: take the result as the one that later ones are compared with.
        progress: told searches done.

    Raises:
        CommandError: there is no set, or none of that name; or other than 10 hits are to be accepted.
        LeaseBusy: another process evaluates.
    """
    from apps import evaluating

    return evaluating.evaluate(name, k, is_accepted, progress)


def request_evaluation() -> None:
    """Have all golden sets evaluated soon, by a process of its own, and come back at once; ``reader.live`` tells how far it is."""
    from apps import requesting

    requesting.request_evaluation()


def accept_evaluation(name: str) -> None:
    """Take the latest evaluation of a golden set as the one that later ones are compared with; asks nothing.

    Raises:
        GoldenError: it was never evaluated.
    """
    from apps import evaluating

    evaluating.accept(name)


def note_clicks(clicks: Sequence[Click]) -> Noted:
    """Write down what people said of results by clicks; candidates for golden sets come of it."""
    from apps import proposing

    return proposing.note_clicks(clicks)


def give_feedback(question: str, good: Sequence[str] = (), bad: Sequence[str] = ()) -> Noted:
    """Say which places answer a question, and which do not.

    Args:
        question: what was asked.
        good: places as a search prints them: ``corpus/path``, or ``corpus/path:line`` for the passage there.
        bad: see ``good``.

    Raises:
        CommandError: nothing is said, or a place is none.
    """
    from apps import proposing

    return proposing.give_feedback(question, good, bad)


def accept_candidates(chosen: Sequence[str] | None, wording: Mapping[str, str] | None = None) -> Decided:
    """Add candidates to ``golden/accepted.yaml``; the next evaluation asks them.

    Args:
        chosen: how their ids begin; None = all there are.
        wording: id to the question as it is to be asked instead.

    Raises:
        CommandError: one is no candidate any more, or a question is empty.
        GoldenError: the file cannot be added to.
        LeaseBusy: another process accepts.
    """
    from apps import proposing

    return proposing.accept_candidates(chosen, wording or {})


def refuse_candidates(chosen: Sequence[str]) -> Decided:
    """Have candidates not proposed again.

    Raises:
        CommandError: one is no candidate any more.
    """
    from apps import proposing

    return proposing.refuse_candidates(chosen)


def reshard(corpus: str, shards: int | None = None, wait_seconds: float = 0.0) -> Resharded:
    """Give a corpus another number of shards, without a parse or an embedding; searches go on.

    Args:
        corpus: its name.
        shards: how many, a power of two; None: as many as it would be given today.
        wait_seconds: how long to wait for runs that are at work.

    Raises:
        CommandError: no corpus has that name, it was never listed, or the number is not possible.
        LeaseBusy: runs are at work.
    """
    from apps import caring

    return caring.reshard(corpus, shards, wait_seconds)


def migrate(corpus: str, main: str | None = None, code: str | None = None) -> MigrationsReport:
    """Have a corpus embedded by other models; it is searched as before until all is there, and then as asked for.

    Args:
        corpus: its name.
        main: model of the main space; None: as it is.
        code: model of code, ``none`` for the main one; None: as it is.

    Raises:
        CommandError: it is embedded so already, a migration is under way, or the model cannot be used.
    """
    from apps import migrating

    return migrating.begin(corpus, main, code)


def roll_back(corpus: str) -> MigrationsReport:
    """Search a corpus as before its last migration again; nothing is embedded for it.

    Raises:
        CommandError: nothing is kept to go back to.
    """
    from apps import migrating

    return migrating.rollback(corpus)


def reset_breaker(engine: str) -> None:
    """Have an engine that is left alone tried again at once.

    Raises:
        CommandError: no lane has such an engine.
    """
    from apps import generating

    generating.reset_breaker(engine)


def abandon_migration(corpus: str) -> MigrationsReport:
    """End a migration before its switch.

    Raises:
        CommandError: none is under way.
    """
    from apps import migrating

    return migrating.abandon(corpus)


def finish_migration(corpus: str) -> MigrationsReport:
    """Keep what served before the last migration no longer.

    Raises:
        CommandError: nothing is kept.
    """
    from apps import migrating

    return migrating.finish(corpus)


def backup(
    destination: str,
    parts: frozenset[str] = frozenset(),
    is_checked: bool = False,
    progress: ProgressSink = silent,
) -> BackedUp:
    """Copy what people wrote, and whatever else is asked for, into a folder, as it is at one moment; runs go on.

    Args:
        destination: a new or empty folder, or that of an earlier backup, which is brought up to date.
        parts: of ``tables``, ``raw``, ``inbox``.
        is_checked: read again what an earlier backup wrote, and replace what is damaged.
        progress: told files done.

    Raises:
        CommandError: the folder lies in the data folder.
    """
    from apps import caring

    return caring.backup(destination, parts, is_checked, progress)


def restore(source: str, is_replacing: bool = False, progress: ProgressSink = silent) -> Restored:
    """Put a backup back; it is checked whole before anything is written. The next run makes the index anew.

    Args:
        source: folder of the backup.
        is_replacing: whether a lake that is there may be replaced.
        progress: told bytes done.
    """
    from apps import caring

    return caring.restore(source, is_replacing, progress)


def upgrade(is_dry_run: bool = False) -> Upgraded:
    """Migrate the lake to the format of this Cortex, after a snapshot; a lake of that format stays as it is."""
    from apps import caring

    return caring.upgrade(is_dry_run)


def verify(corpora: Sequence[str] | None = None, repair: bool = False) -> VerifyReport:
    """Compare every table with what it is made from and every index with Delta; with ``repair`` make them agree."""
    from apps import running

    return running.verify(corpora, repair)


def pull_model(name: str, progress: ProgressSink = silent) -> ModelLine:
    """Download a model from its hub and record its digests. The only command that needs a network."""
    from apps import registering

    return registering.pull_model(name, progress)


def up(names: frozenset[str], port: int, app_port: int, heard: "Callable[[UpState], None]") -> int:
    """Start parts (``worker``, ``app``, ``dagster``) and keep them up until Ctrl-C; the exit code.

    Where they are up already, say so to ``heard`` and end well.

    Args:
        names: which parts.
        port: of Dagster's page, or the next free one.
        app_port: of the app, or the next free one.
        heard: told whenever a part's state changed.

    Raises:
        CommandError: no part was named.
        DiskFullError: there is too little room to begin with.
    """
    from apps import living

    return living.up(names, port, app_port, heard)


def up_detached(names: frozenset[str], port: int, app_port: int) -> "UpState":
    """``up`` in a process of its own, once all parts are up.

    Raises:
        CommandError: they did not come up; names the logs.
    """
    from apps import living

    return living.up_detached(names, port, app_port)


def down() -> "UpState | None":
    """Stop what ``up`` started; what was up, or None where nothing was.

    Raises:
        CommandError: it does not end.
    """
    from apps import living

    return living.down()


def request_run(corpora: Sequence[str] | None = None) -> RunRequested:
    """Have corpora (None: all listed ones) brought up to date soon, and come back at once.

    The worker does it where one is up; otherwise a process of its own.

    Raises:
        CommandError: a name is of no listed corpus.
    """
    from apps import requesting

    return requesting.request_run(corpora)


def checked_source(path_or_url: str) -> str:
    """An absolute folder path, or the git URL as it is.

    Raises:
        CommandError: the path does not exist or is not a folder.
    """
    from pathlib import Path

    if is_address(path_or_url):
        return path_or_url
    folder = Path(path_or_url).expanduser()
    if not folder.exists():
        raise CommandError("there is no such folder", str(folder), "give a folder, or a git URL", USAGE)
    if not folder.is_dir():
        raise CommandError(
            "this is a file, and a corpus is a folder",
            str(folder),
            "copy the file into data/inbox/, or add its folder",
            USAGE,
        )
    return str(folder.resolve())

"""What ``apps.actions`` and ``apps.reader`` do about migrations of embedding spaces. Imported late."""

from collections.abc import Callable, Iterable

from apps.errors import USAGE, CommandError
from apps.migration_reports import KEPT, UNDER_WAY, MigrationLine, MigrationsReport
from apps.residence import looked_in
from apps.running import chosen, opened
from cortex_assets.corpora.registry import Registered
from cortex_assets.house import House
from cortex_assets.moving import Moving
from cortex_assets.parity import Standing
from cortex_assets.register import Registry
from cortex_assets.switching import MigrationError


def begin(name: str, main: str | None, code: str | None) -> MigrationsReport:
    """See ``apps.actions.migrate``."""
    return _changed(name, lambda moving, corpus: moving.begin(corpus, main, code))


def rollback(name: str) -> MigrationsReport:
    """See ``apps.actions.roll_back``."""
    return _changed(name, Moving.rollback)


def abandon(name: str) -> MigrationsReport:
    """See ``apps.actions.abandon_migration``."""
    return _changed(name, Moving.abandon)


def finish(name: str) -> MigrationsReport:
    """See ``apps.actions.finish_migration``."""
    return _changed(name, Moving.finish)


def _changed(name: str, change: Callable[[Moving, Registered], Registered]) -> MigrationsReport:
    with opened() as house:
        (corpus,) = chosen(house.sync_registry(), [name])
        try:
            change(house.moving, corpus)
        except MigrationError as error:
            what, _, remedy = str(error).partition("; ")
            raise CommandError(what, name, remedy, USAGE) from None
        return _report(house, house.register.now(), [name])


def migrations(name: str | None) -> MigrationsReport:
    """See ``apps.reader.migrations``."""
    with looked_in() as house:
        return _report(house, house.register.now(), [name] if name else None)


def _report(house: House, registry: Registry, names: list[str] | None) -> MigrationsReport:
    corpora = chosen(registry, names, is_anywhere=True) if names else registry.corpora
    return MigrationsReport(lines(house, corpora, registry))


def lines(house: House, corpora: Iterable[Registered], registry: Registry) -> tuple[MigrationLine, ...]:
    """How the migrations of some corpora stand; those without one are left out."""
    found = [house.moving.standing(corpus, registry) for corpus in corpora]
    return tuple(_line(house, standing) for standing in found if standing is not None)


def _line(house: House, standing: Standing) -> MigrationLine:
    corpus = standing.corpus
    other, since = standing.target or corpus.spaces.previous or corpus.layout, corpus.spaces.since
    note = "" if standing.verdict is None else standing.verdict.note
    if standing.target is None and since is not None:
        note = f"until {since + house.settings.retention:%Y-%m-%d %H:%M} UTC"
    texts = sum(share.texts for share in standing.shares)
    return MigrationLine(
        corpus.name,
        KEPT if standing.target is None else UNDER_WAY,
        tuple(live.space_id for live in corpus.layout.lives),
        tuple(live.space_id for live in other.lives),
        since,
        texts,
        texts - sum(share.lacking for share in standing.shares),
        standing.waits_for,
        note,
    )

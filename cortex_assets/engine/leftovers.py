"""Files below the data folder that nobody needs any more, found by looking: what killed processes left, what is of no corpus.

Nothing is removed here: ``engine.care`` does it, under the lake's lease, or only says what would go. Whoever still may
need a file is asked first (its process, its lock, its corpus); where nobody can be asked it must be older than ``Settings.sweep_age``.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from cortex_assets.engine.formats import PENDING
from resources.crew import abandoned
from resources.file_lock import is_locked
from resources.settings import Settings
from resources.vectors.generation import CURRENT, folder_name

SPOOL_AGE = timedelta(days=7)


PLACES = (
    "cache",
    "cache/columns",
    "cache/crew",
    "cache/dagster-events",
    "cache/git",
    "cache/live",
    "index",
    "locks",
    "restoring",
    "snapshots",
)
"""Where is looked: folders below the data folder."""


def leftovers(
    place: str,
    settings: Settings,
    corpus_ids: Collection[str],
    tables: Collection[str],
    spaces: Mapping[str, Sequence[str]],
    dropped_spaces: Collection[str],
    now: float,
) -> tuple[Path, ...]:
    """Files, and folders that go whole, of one place.

    Args:
        place: of ``PLACES``.
        settings: where everything is.
        corpus_ids: of all registered corpora.
        tables: names of all tables.
        spaces: embedding space to the shards of corpora in it.
        dropped_spaces: spaces that nothing has been published in for as long as old versions stay.
        now: seconds since the epoch.
    """
    folder, old = settings.data_dir / place, now - settings.sweep_age.total_seconds()
    shards = {shard for those in spaces.values() for shard in those}
    look: dict[str, Callable[[], Iterable[Path]]] = {
        "cache": lambda: (path for path in _entries(folder) if _is_unfinished(path) and _is_before(path, old)),
        "cache/columns": lambda: _columns(folder, tables, old),
        "cache/crew": lambda: abandoned(folder),
        "cache/dagster-events": lambda: _spool(settings, old, now - SPOOL_AGE.total_seconds()),
        "cache/git": lambda: (p for p in _entries(folder) if p.name not in corpus_ids and _is_before(p, old)),
        "cache/live": lambda: _live(folder, shards, old),
        "index": lambda: _index(folder, spaces, dropped_spaces, old),
        "locks": lambda: _locks(folder, shards, old),
        "restoring": lambda: _restoring(settings),
        "snapshots": lambda: _snapshots(settings, now - max(settings.retention, settings.sweep_age).total_seconds()),
    }
    return tuple(sorted(look[place]()))


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_before(path: Path, moment: float) -> bool:
    """Whether a path was last touched before a moment; one that is gone was not."""
    try:
        return path.lstat().st_mtime < moment
    except FileNotFoundError:
        return False


def _is_unfinished(path: Path) -> bool:
    """A file that was to take the place of another one: ``<name>.json.<pid>``, ``<name>.tmp`` or ``.new``."""
    return path.is_file() and (path.suffix in {".tmp", ".new"} or (".json." in path.name and path.suffix[1:].isdigit()))


def _live(folder: Path, shards: Collection[str], old: float) -> list[Path]:
    """What runs of shards told that are of no corpus any more, and unfinished files."""
    files = _entries(folder)
    gone = [path for path in files if path.suffix == ".json" and unquote(path.stem) not in shards]
    return gone + [path for path in files if path.suffix != ".json" and _is_before(path, old)]


def _columns(folder: Path, tables: Collection[str], old: float) -> list[Path]:
    known = {name.replace("/", ".") for name in tables}
    files = _entries(folder)
    gone = [path for path in files if path.suffix == ".parquet" and path.name.rpartition("-")[0] not in known]
    return gone + [path for path in files if path.suffix == ".new" and _is_before(path, old)]


def _spool(settings: Settings, old: float, very_old: float) -> list[Path]:
    """Events for a Dagster that is not there, or that nobody has told it for a week."""
    is_there = (settings.dagster_home / "dagster.yaml").is_file()
    files = _entries(settings.cache / "dagster-events")
    untold = [path for path in files if path.suffix == ".json" and _is_before(path, very_old if is_there else old)]
    return untold + [path for path in files if path.suffix == ".new" and _is_before(path, old)]


def _index(
    folder: Path, spaces: Mapping[str, Sequence[str]], dropped_spaces: Collection[str], old: float
) -> Iterator[Path]:
    """Indexes of spaces that nothing uses any more, and of shards that no corpus has."""
    known = {folder_name(space): {folder_name(shard) for shard in shards} for space, shards in spaces.items()}
    dropped = {folder_name(space) for space in dropped_spaces} - known.keys()
    for space in _entries(folder):
        if space.name in dropped:
            yield space
        elif space.name in known:
            for shard in _entries(space):
                if shard.name not in known[space.name] and shard.is_dir() and _is_before(_newest(shard), old):
                    yield shard


def _newest(shard: Path) -> Path:
    current = shard / CURRENT
    return current if current.exists() else shard


def _locks(folder: Path, shards: Collection[str], old: float) -> list[Path]:
    """Lock files of shards that are of no corpus any more, and that nobody holds."""
    names = {path: unquote(path.stem) for path in _entries(folder) if path.suffix == ".lock"}
    unknown = [
        path
        for path, name in names.items()
        if name not in shards and not name.startswith(("_", "aggregate.", "global."))
    ]
    return [path for path in unknown if _is_before(path, old) and not is_locked(path)]


def _restoring(settings: Settings) -> list[Path]:
    """What a restore left that was cut off before it announced anything; only looked for under the lake's lease."""
    folder = settings.data_dir / "restoring"
    return [folder] if folder.is_dir() and not (folder / "swaps.json").is_file() else []


def _snapshots(settings: Settings, oldest: float) -> list[Path]:
    """Ways back from upgrades that are done and as old as old versions may be."""
    folder = settings.data_dir / "snapshots"
    if (folder / PENDING).is_file():
        return []
    return [path for path in _entries(folder) if _is_before(path, oldest)]

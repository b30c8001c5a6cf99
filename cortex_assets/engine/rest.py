"""Whether anything moved since a run that left nothing to do: the no-op decision by looking at files alone.

``observed`` says how everything stands that a run depends on and that can be seen without opening a table: code and
installed packages, settings, sources, the inbox, versions of tables, generations of the index, downloaded models. Where it
equals what was observed after such a run, and every corpus' folder is as it was then, the next run has nothing to do.
What a run does is ``engine.chain``'s. Importing this module brings in neither Polars nor Dagster.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cortex_assets.engine.corpus import Corpus
from cortex_assets.engine.intake import is_settled
from cortex_assets.engine.stamp import code_stamp
from resources.settings import Settings
from resources.state import State

LOG = "_delta_log"


def observed(settings: Settings) -> dict[str, Any]:
    """How everything stands that a run depends on, in plain JSON values; contents of corpora apart."""
    return {"code": code_stamp().digest} | standing(settings)


def standing(settings: Settings) -> dict[str, Any]:
    """``observed`` without the code: for processes whose code is in memory already."""
    sources = settings.sources_file
    return {
        "settings": repr(settings),
        "sources": hashlib.sha256(sources.read_bytes()).hexdigest() if sources.is_file() else None,
        "inbox": sorted([os.fsdecode(name), is_folder] for name, is_folder in _entries(settings.inbox)),
        "tables": dict(_tables(settings.lake)),
        "index": _stats(settings.index.glob("*/*/current.json")),
        "models": _stats(path for path in settings.models.rglob("*") if path.is_file()),
    }


def is_unchanged(corpora: Sequence[Corpus], tokens: Sequence[str], state: State) -> bool:
    """Whether the folders of all corpora are as they were when their rows were last complete."""
    return all(is_settled(corpus, state, token) for corpus, token in zip(corpora, tokens, strict=True))


def corpus_to_json(corpus: Corpus) -> dict[str, Any]:
    """A corpus as plain JSON values."""
    values = asdict(corpus) | {"root": str(corpus.root)}
    return values | {"corpora_below": [os.fsdecode(path) for path in corpus.corpora_below]}


def corpus_from_json(values: dict[str, Any]) -> Corpus:
    """Inverse of ``corpus_to_json``."""
    changed = {
        "root": Path(values["root"]),
        "include": tuple(values["include"]),
        "exclude": tuple(values["exclude"]),
        "corpora_below": tuple(os.fsencode(path) for path in values["corpora_below"]),
    }
    return Corpus(**(values | changed))


def _entries(folder: Path) -> Iterator[tuple[bytes, bool]]:
    if folder.is_dir():
        with os.scandir(os.fsencode(folder)) as entries:
            yield from ((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)


def _tables(lake: Path) -> Iterator[tuple[str, list[int]]]:
    """Table folder to the version, size and time of its latest commit."""
    for folder, folders, _ in os.walk(lake):
        if LOG not in folders:
            continue
        folders.clear()
        commits = [path for path in Path(folder, LOG).iterdir() if path.suffix == ".json" and path.stem.isdigit()]
        if commits:
            latest = max(commits)
            seen = latest.stat()
            yield os.path.relpath(folder, lake), [int(latest.stem), seen.st_size, seen.st_mtime_ns]


def _stats(paths: Iterator[Path]) -> dict[str, list[int]]:
    stats = {str(path): path.stat() for path in paths}
    return {name: [seen.st_ino, seen.st_size, seen.st_mtime_ns] for name, seen in sorted(stats.items())}

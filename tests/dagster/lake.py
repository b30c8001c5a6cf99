"""A real lake in a temporary folder, and what scenarios ask of it. Nothing is mocked: wrappers only count.

Scenarios drop files into the inbox, call the same functions as the command line, and compare tables, points and versions.
Add a method here when two scenarios ask the same question of a lake; what only one asks stays in its test.
"""

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps import actions, reader
from apps.reports import AddOptions, PlanLine, PlanReport, RunReport
from apps.search_reports import SearchFilters, SearchResponse
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.report import ShardReport
from cortex_assets.house import House
from cortex_assets.register import Registry
from cortex_assets.tables import Kind, TableSpec
from resources.settings import Settings, load_settings

PROJECT = Path(__file__).parents[2]
SHARED_DATA = PROJECT.parent / "shared" / "data"
HOUR = 3600.0
STAGES = ("files", "documents", "chunks", "embeddings", "index")


@dataclass
class Counts:
    """What the wrapped functions did since the last ``reset``: real calls, in order.

    Attributes:
        read: raw paths of files whose bytes were read (to be taken or only hashed).
        parsed: display paths of files that a parser was given.
        chunked: ids of documents that the chunker was given.
        embedded: texts that the embedder was given by a run (not by a search).
        published: shards whose index was published.
    """

    read: list[bytes] = field(default_factory=list)
    parsed: list[str] = field(default_factory=list)
    chunked: list[str] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was counted."""
        for name in vars(self):
            getattr(self, name).clear()

    @property
    def work(self) -> dict[str, int]:
        """Number of parses, chunked documents, embedded texts and publishes."""
        return {name: len(getattr(self, name)) for name in ("parsed", "chunked", "embedded", "published")}


NO_WORK = {"parsed": 0, "chunked": 0, "embedded": 0, "published": 0}


@dataclass(frozen=True)
class Image:
    """Everything a lake holds, comparable: row hashes by table and id, points by shard, Delta versions and generations.

    Vectors are compared by the ids they stand under, never by their bits.
    """

    rows: Mapping[str, Mapping[Any, int]]
    points: Mapping[str, Mapping[str, int]]
    versions: Mapping[str, int]
    generations: Mapping[str, int]

    @property
    def content(self) -> tuple[Mapping[str, Mapping[Any, int]], Mapping[str, Mapping[str, int]]]:
        """Rows and points, without versions: what two lakes of the same input share."""
        return self.rows, self.points


class Lake:
    """A lake below ``root``; its data folder, its inbox and the functions that work on it."""

    def __init__(self, root: Path, environment: Callable[[str, str], None]) -> None:
        """Point the environment at a new data folder.

        Args:
            root: an empty folder.
            environment: sets a variable for this process (``monkeypatch.setenv``).
        """
        self.root = root
        self.counts = Counts()
        self._is_searching = False
        self._clock = time.time() - 2 * HOUR
        self._set = environment
        self._started: list[subprocess.Popen[str]] = []
        self.environment: dict[str, str] = {}
        self.set("CORTEX_DATA", str(root / "data"))
        self.set("DAGSTER_HOME", str(root / "data" / ".dagster"))
        self.set("CORTEX_EMBED", "hash")
        self.set("CORTEX_STILL_SECONDS", "0")
        self.set("CORTEX_MIN_FREE", "0")
        self.settings.inbox.mkdir(parents=True)

    # -- settings and processes ------------------------------------------------------------------------------------

    def set(self, variable: str, value: str) -> None:
        """Set an environment variable for this process and for children."""
        self.environment[variable] = value
        self._set(variable, value)

    @property
    def settings(self) -> Settings:
        """What the environment says now."""
        return load_settings(self.root)

    @property
    def inbox(self) -> Path:
        """Where corpora of the inbox lie."""
        return self.settings.inbox

    def start(self, code: str, project: Path = PROJECT, **variables: str) -> "subprocess.Popen[str]":
        """A fresh Python process in this lake that runs ``code`` (kill it, or ``communicate``).

        Args:
            code: Python statements.
            project: the tree whose packages it imports; a copy where a scenario edits source.
            variables: further environment variables.
        """
        environment = os.environ | self.environment | {"PYTHONPATH": str(project)} | variables
        command = [sys.executable, "-c", code]
        process = subprocess.Popen(
            command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End the processes that a failed scenario left behind, so that they cannot disturb the next one."""
        for process in self._started:
            with process:  # closes its pipes and waits
                process.kill()

    def fresh(self, code: str, project: Path = PROJECT, **variables: str) -> str:
        """Run ``code`` in a fresh process to its end; its standard output."""
        process = self.start(code, project, **variables)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out

    def cli(self, *arguments: str, project: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
        """The command line in a fresh process."""
        environment = os.environ | self.environment | {"PYTHONPATH": str(project)}
        code = "import sys; from apps.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    # -- the source ------------------------------------------------------------------------------------------------

    def path(self, name: str | bytes | Path) -> Path:
        """A path below the inbox; absolute paths are as they are."""
        return self.inbox / (os.fsdecode(name) if isinstance(name, bytes) else name)

    def drop(self, name: str | bytes | Path, content: str | bytes, age: float | None = None) -> Path:
        """Write a file below the inbox (``corpus/path``), last modified some time ago and after every earlier drop.

        Args:
            name: path below the inbox, or an absolute one.
            content: its text or bytes.
            age: seconds since its last modification; by default long enough to be trusted.
        """
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        self._clock += 1.0
        when = self._clock if age is None else time.time() - age
        os.utime(path, (when, when))
        return path

    def drop_all(self, files: Mapping[str, str | bytes]) -> None:
        """Write several files."""
        for name, content in files.items():
            self.drop(name, content)

    def delete(self, *names: str | bytes | Path) -> None:
        """Remove files or folders below the inbox."""
        for name in names:
            path = self.path(name)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def move(self, old: str | bytes | Path, new: str | bytes | Path) -> Path:
        """Rename a file or folder below the inbox; what it holds keeps its times."""
        target = self.path(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        return self.path(old).rename(target)

    # -- what people do --------------------------------------------------------------------------------------------

    def add(self, folder: Path, name: str | None = None, options: AddOptions | None = None) -> None:
        """Register a folder as ``cortex add`` does."""
        actions.add(actions.preview_add(str(folder), name, options))

    def run(self, *corpora: str) -> RunReport:
        """``cortex run``."""
        return actions.run(corpora or None)

    def run_counted(self, *corpora: str) -> tuple[RunReport, dict[str, int]]:
        """``cortex run``, and what it made the real functions do."""
        self.counts.reset()
        report = self.run(*corpora)
        return report, self.counts.work

    def plan(self, *corpora: str) -> PlanReport:
        """``cortex plan``."""
        return reader.plan(corpora or None)

    def planned(self, stage: str, *corpora: str) -> PlanLine:
        """The plan's only line of a stage (one shard)."""
        (line,) = [line for line in self.plan(*corpora).lines if line.stage == stage]
        return line

    def run_stages(self, shard: str, *stages: str) -> ShardReport:
        """Run some stages of one shard only."""
        with self.house() as house:
            registry = house.sync_registry()
            corpus = registry.of_shard(shard)
            assert corpus is not None, shard
            prepared = house.prepare(corpus, registry)
            registry = Registry(tuple(prepared if c.corpus_id == prepared.corpus_id else c for c in registry.corpora))
            return house.run_shard(shard, only=frozenset(stages), registry=registry)

    def search(self, question: str, k: int = 10, **filters: Any) -> SearchResponse:
        """``cortex search``; its embedding of the question is not counted."""
        self._is_searching = True
        try:
            return reader.search(question, k, SearchFilters(**filters))
        finally:
            self._is_searching = False

    def found(self, question: str, k: int = 10, **filters: Any) -> list[str]:
        """Paths that a search cites, best first, each once."""
        return list(dict.fromkeys(hit.path for hit in self.search(question, k, **filters).hits))

    def cited(self, question: str, k: int = 10, **filters: Any) -> frozenset[str]:
        """``corpus/path`` of every place that a search cites, those of collapsed equal texts too."""
        places: set[str] = set()
        for hit in self.search(question, k, **filters).hits:
            places.add(f"{hit.corpus}/{hit.path}")
            places |= {place.rpartition(":")[0] for place in hit.also_in}
        return frozenset(places)

    # -- what it holds ---------------------------------------------------------------------------------------------

    @contextmanager
    def house(self) -> Iterator[House]:
        """An open house over this lake."""
        with House.open(self.settings) as house:
            yield house

    def table(self, table: TableSpec) -> pl.DataFrame:
        """All rows of a table, sorted by its key."""
        with self.house() as house:
            return house.lake.scan(table).collect().sort(table.key)

    def ledger(self, asset: str) -> pl.DataFrame:
        """The latest living ledger rows of an asset, of every shard."""
        from cortex_assets.engine.ledger import AssetLedger

        with self.house() as house:
            shards = [shard for corpus in house.register.corpora() for shard in corpus.shards]
            return pl.concat([AssetLedger(house.lake, asset).rows(shard) for shard in shards]).sort("input_key")

    def points(self) -> dict[str, dict[str, int]]:
        """Row hash of every real point by shard and chunk id; a point without its vector is left out."""
        with self.house() as house:
            found: dict[str, dict[str, int]] = {}
            for space_id in {corpus.space_id for corpus in house.register.corpora()}:
                for shard in house.store.shards(space_id):
                    frame = house.store.real_points(space_id, shard)
                    assert frame.get_column("chunk_id").is_unique().all(), f"shard {shard} holds a point twice"
                    assert frame.get_column("has_vector").all(), f"shard {shard} has a point without its vector"
                    found[shard] = dict(frame.select("chunk_id", "row_hash").iter_rows())
            return found

    def image(self) -> Image:
        """Everything the lake holds outside ops/, and the versions of every table."""
        rows: dict[str, dict[Any, int]] = {}
        versions: dict[str, int] = {}
        generations: dict[str, int] = {}
        with self.house() as house:
            for table in TABLES:
                versions[table.name] = house.lake.version(table)
                if table.kind != Kind.OPS and versions[table.name] >= 0:
                    rows[table.name] = _row_hashes(house.lake.scan(table).collect(), table)
            for corpus in house.register.corpora():
                for shard in corpus.shards:
                    generation = house.store.generation(corpus.space_id, shard)
                    generations[shard] = -1 if generation is None else generation.number
        return Image(rows, self.points(), versions, generations)

    def findings(self) -> list[str]:
        """What ``cortex verify`` finds wrong, in words."""
        report = actions.verify()
        return [finding.detail for finding in report.findings] + [f"busy {one}" for one in report.busy]

    def assert_sound(self) -> None:
        """Every table and index agrees with what it is made from."""
        findings = self.findings()
        assert not findings, findings


def _row_hashes(frame: pl.DataFrame, table: TableSpec) -> dict[Any, int]:
    """Row hash by key; tables without one are hashed whole, vectors only by their key."""
    from cortex_assets.identity import with_row_hash

    if "row_hash" not in frame.columns:
        frame = with_row_hash(frame.drop("vector", "registered_at", strict=False))
    keyed = [tuple(row[:-1]) if len(row) > 2 else row[0] for row in frame.select(*table.key, "row_hash").iter_rows()]
    hashes = dict(zip(keyed, frame.get_column("row_hash").to_list(), strict=True))
    assert len(hashes) == frame.height or table.name == "silver/embeddings", f"{table.name} holds a key twice"
    return hashes


def outside_ops(versions: Mapping[str, int]) -> dict[str, int]:
    """Versions of the tables that a no-op must not touch."""
    return {name: version for name, version in versions.items() if not name.startswith("ops/")}


def stage_counts(report: RunReport, stage: str) -> tuple[int, int, int]:
    """(new, changed, deleted) of a stage over all shards of a run."""
    lines = [line for line in report.stages if line.stage == stage]
    return sum(s.new for s in lines), sum(s.changed for s in lines), sum(s.deleted for s in lines)


def count_calls(lake: Lake, patch: pytest.MonkeyPatch) -> None:
    """Wrap the real functions of reading, parsing, chunking, embedding and publishing so that ``lake.counts`` sees them."""
    from cortex_assets.chunks.derive import ChunksCompute
    from cortex_assets.documents.derive import DocumentsCompute
    from cortex_assets.engine import reading
    from inference.engines.hash_embedder import HashEmbedder
    from resources.vectors.edge import EdgeStore

    counts = lake.counts

    def wrap(owner: Any, name: str, note: Callable[..., None]) -> None:
        real = getattr(owner, name)

        @functools.wraps(real)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            note(*args, **kwargs)
            return real(*args, **kwargs)

        patch.setattr(owner, name, wrapped)

    def embedded(_: Any, texts: Sequence[str], *rest: Any) -> None:
        if not lake._is_searching:
            counts.embedded.extend(texts)

    def published(_: Any, space_id: str, dimensions: int, shard: str, *rest: Any, **named: Any) -> None:
        counts.published.append(shard)

    wrap(reading, "read_file", lambda root, path, *rest: counts.read.append(path))
    wrap(DocumentsCompute, "_parsed", lambda self, row, *rest: counts.parsed.append(row["path"]))
    wrap(ChunksCompute, "__call__", lambda self, rows: counts.chunked.extend(rows.get_column("document_id")))
    wrap(HashEmbedder, "embed_batch", embedded)
    wrap(EdgeStore, "publish", published)


def make_unreadable(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the listing of a folder fail as for a user who may not read it (the user of a test may read everything)."""
    real, closed = os.scandir, os.fsencode(folder).rstrip(b"/")

    def scandir(path: Any = ".") -> Any:
        if os.fsencode(path).rstrip(b"/") == closed:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    patch.setattr(os, "scandir", scandir)


# -- texts -------------------------------------------------------------------------------------------------------------

_WORDS = """harbour lantern granite orchard compass glacier saddle copper meadow violin anchor ember
walnut ferry marble thistle beacon canyon drizzle falcon hammock iceberg juniper kettle"""
_SUBJECTS = tuple(_WORDS.split())
_DOINGS = "crosses follows guards measures repairs describes remembers counts paints lifts hides weighs"
_VERBS = tuple(_DOINGS.split())


def sentence(number: int) -> str:
    """A sentence that no other number has, of about a dozen words."""
    a, b = _SUBJECTS[number % len(_SUBJECTS)], _SUBJECTS[(number // len(_SUBJECTS) + 7) % len(_SUBJECTS)]
    verb = _VERBS[number % len(_VERBS)]
    return f"Entry {number} says that the {a} {verb} the old {b} near mark {number * 37 % 1009} at noon."


def paragraph(number: int, sentences: int = 4) -> str:
    """A paragraph of its own; a hundred words with six sentences."""
    return " ".join(sentence(number * 100 + k) for k in range(sentences))


def note(number: int, paragraphs: int = 1) -> str:
    """A Markdown note with a title of its own."""
    body = "\n\n".join(paragraph(number * 1000 + k) for k in range(paragraphs))
    return f"# Note {number}\n\n{body}\n"


def notes(corpus: str, count: int, start: int = 0) -> dict[str, str]:
    """``count`` notes as ``corpus/note-<number>.md``."""
    return {f"{corpus}/note-{number:03d}.md": note(number) for number in range(start, start + count)}

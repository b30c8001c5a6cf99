"""The recipes of docs/sql.md on a real lake with several runs: every figure against one that is found in another way."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.reports import RunReport, to_json
from apps.sql_reports import SqlResult
from cortex_assets.checking import quick_check
from cortex_assets.chunks.derive import ChunksCompute
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPORA, FILES, SCANS
from cortex_assets.documents.model import NO_BYTES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.care import TABLES
from cortex_assets.ops.schema import CHECKS, RUNS, SNAPSHOTS
from inference.engines.hash_embedder import HashEmbedder
from inference.errors import OutOfMemory
from tests.dagster.lake import PROJECT, Lake, note, notes

PAGE = (PROJECT / "docs" / "sql.md").read_text(encoding="utf-8")
RECIPES = {
    re.match(r"-- recipe: (\w+)\n", block)[1]: block  # type: ignore[index]
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.S)
}
TODAY = datetime.now(UTC).date()
BROKEN_PDF = b"%PDF-1.7\nthis is no PDF any more\n"
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
Rows = list[dict[str, Any]]


@dataclass
class Story:
    """A lake after seven runs, and what the runs reported."""

    lake: Lake
    reports: list[RunReport]

    @property
    def corpora(self) -> dict[str, str]:
        return dict(self.lake.table(CORPORA).select("corpus_id", "name").iter_rows())

    def lines(self, *stages: str) -> list[Any]:
        """What the finished runs said of some stages, where they had something to say."""
        found = [line for report in self.reports for line in report.stages if not stages or line.stage in stages]
        return [s for s in found if s.new or s.changed or s.deleted or s.failed or s.quarantined or s.remaining]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Import, edit, delete, a file that fails, an engine that fails for now and comes back, a run that is cut off."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(tmp_path_factory.mktemp("sql") / "lake", patch.setenv)
        lake.drop_all(notes("notes", 6))
        lake.drop("notes/copy.md", note(1))
        lake.drop("papers/empty.txt", "")
        lake.drop("papers/broken.pdf", BROKEN_PDF)
        lake.drop("papers/unknown.bin", bytes(range(256)) * 40)
        lake.drop("papers/long.md", note(50, paragraphs=12))
        lake.drop("papers/key.md", f"# Access\n\nThe token is {KEY} for the harbour.\n")
        reports = [lake.run()]
        lake.drop("notes/note-002.md", note(2) + "\n\nAn added paragraph about ferries and lanterns.\n")
        reports.append(lake.run())
        lake.delete("notes/note-003.md", "papers/long.md")
        lake.drop("papers/second.pdf", BROKEN_PDF + b"%%EOF")
        reports.append(lake.run())
        with patch.context() as failing:
            real = HashEmbedder.embed_batch

            def embed_batch(self: HashEmbedder, texts: Sequence[str], *rest: Any) -> Any:
                if any("quixotic" in text for text in texts):
                    raise OutOfMemory("no memory for this one")
                return real(self, texts, *rest)

            failing.setattr(HashEmbedder, "embed_batch", embed_batch)
            lake.drop("notes/hard.md", "# Hard\n\nA quixotic barometer fell into the sea.\n")
            lake.drop("notes/harder.md", "# Harder\n\nA second quixotic barometer rose from the sea.\n")
            reports.append(lake.run())
        assert actions.retry("notes/hard.md").keys >= 1
        reports.append(lake.run())
        with patch.context() as cut:

            def interrupted(*_: Any) -> Any:
                raise KeyboardInterrupt

            cut.setattr(ChunksCompute, "__call__", interrupted)
            lake.drop("notes/late.md", "# Late\n\nThis one came when the light went out.\n")
            with pytest.raises(KeyboardInterrupt):
                lake.run()
        reports.append(lake.run())
        with lake.house() as house:
            for shard in ("notes", "papers"):
                quick_check(house, shard)
        yield Story(lake, reports)
        lake.stop()


def asked(recipe: str) -> Rows:
    """A recipe's rows."""
    result = reader.sql(RECIPES[recipe])
    assert not result.is_cut and json.loads(to_json(result))["columns"] == list(result.columns)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def per_corpus_and_stage(lines: Sequence[Any], figure: Callable[[Any], float]) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for line in lines:
        sums[line.corpus, line.stage] += figure(line)
    return dict(sums)


def held(story: Story, table: Any) -> Counter[str]:
    """Rows of a table by corpus name."""
    return Counter(story.corpora[one] for one in story.lake.table(table)["corpus_id"])


# -- growth ------------------------------------------------------------------------------------------------------------


def rows_per_day(rows: Rows, story: Story) -> None:
    totals = {(row["corpus"], row["stage"]): row["total"] for row in rows}
    for stage, table in (("files", FILES), ("documents", DOCUMENTS), ("chunks", CHUNKS)):
        for corpus, count in held(story, table).items():
            # The interrupted run's own rows are in the tables; what it wrote is in no row of ops/runs.
            cut_off = 1 if corpus == "notes" and stage in ("files", "documents") else 0
            assert totals[corpus, stage] == count - cut_off, (corpus, stage)
    assert {row["day"] for row in rows} == {TODAY}
    assert all(row["added"] - row["removed"] == row["total"] for row in rows)
    removed = {(row["corpus"], row["stage"]): row["removed"] for row in rows}
    assert removed["notes", "files"] == removed["papers", "files"] == 1 and removed["papers", "chunks"] > 1


def size_of_corpora(rows: Rows, story: Story) -> None:
    files, chunks = story.lake.table(FILES), story.lake.table(CHUNKS)
    for row in rows:
        mine = pl.col("corpus_id") == {name: key for key, name in story.corpora.items()}[row["corpus"]]
        assert row["files"] == files.filter(mine).height and row["bytes"] == files.filter(mine)["size"].sum()
        assert row["documents"] == story.lake.table(DOCUMENTS).filter(mine).height
        tokens = chunks.filter(mine)["token_count"]
        assert (row["chunks"], row["tokens"]) == (tokens.len(), tokens.sum())
        assert row["tokens_per_chunk"] == pytest.approx(tokens.mean(), abs=0.051)
    assert [row["corpus"] for row in rows] == sorted(held(story, FILES), key=lambda c: -_bytes(story, c))


def _bytes(story: Story, corpus: str) -> int:
    return sum(path.stat().st_size for path in (story.lake.inbox / corpus).iterdir())


def by_media_type(rows: Rows, story: Story) -> None:
    files = list(story.lake.inbox.glob("*/*"))
    assert sum(row["files"] for row in rows) == len(files)
    assert sum(row["bytes"] for row in rows) == sum(path.stat().st_size for path in files)
    (pdf,) = [row for row in rows if "pdf" in row["media_type"]]
    assert (pdf["files"], pdf["bytes"], pdf["characters"]) == (2, 2 * len(BROKEN_PDF) + 5, 0)
    assert sum(row["characters"] for row in rows) == story.lake.table(DOCUMENTS)["char_count"].sum()


# -- completion --------------------------------------------------------------------------------------------------------


def completion(rows: Rows, story: Story) -> None:
    told = {line.name: line.files for line in reader.status().corpora}
    assert {row["corpus"] for row in rows} == set(told)
    for row in rows:
        files = told[row["corpus"]]
        assert row["files"] == sum(files.values()) and row["ok"] == files.get("ok", 0)
        assert (row["partial"], row["failed"]) == (files.get("partial", 0), files.get("failed", 0))
        assert row["others"] == row["files"] - row["ok"] - row["partial"] - row["failed"]
        assert row["ok_share"] == pytest.approx(row["ok"] / row["files"], abs=1e-4)
    papers = next(row for row in rows if row["corpus"] == "papers")
    assert (papers["files"], papers["failed"]) == (5, 2)


def completion_per_day(rows: Rows, story: Story) -> None:
    lines = story.lines("documents")
    parsed = per_corpus_and_stage(lines, lambda line: line.new + line.changed)
    failed = per_corpus_and_stage(lines, lambda line: line.failed)
    assert {(row["corpus"], "documents"): row["parsed"] for row in rows} == parsed
    assert {(row["corpus"], "documents"): row["failed"] for row in rows} == failed
    for row in rows:
        assert row["ok_share"] == pytest.approx(1 - row["failed"] / row["parsed"], abs=1e-4)
    assert failed["papers", "documents"] == 2


def endings(rows: Rows, story: Story) -> None:
    by_run: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in story.lake.table(RUNS).iter_rows(named=True):
        by_run[row["run_id"], row["shard"]].add(row["status"])
    ranks = ("interrupted", "failed", "partial", "ok")
    worst = Counter(next(rank for rank in ranks if rank in statuses) for statuses in by_run.values())
    assert {row["ending"]: row["runs"] for row in rows} == worst and worst["interrupted"] == 1
    assert {row["started_by"] for row in rows} == {"command"}


# -- errors ------------------------------------------------------------------------------------------------------------


def failures_by_reason(rows: Rows, story: Story) -> None:
    bad = [
        row
        for row in story.lake.table(DOCUMENTS).iter_rows(named=True)
        if row["status"] != "ok" and row["reason"] != NO_BYTES
    ]
    groups = Counter((row["status"], row["parser"], row["reason"]) for row in bad)
    assert {(row["status"], row["parser"], row["reason"]): row["files"] for row in rows} == groups
    pdf = next(row for row in rows if row["parser"].startswith("pdf "))
    assert (pdf["status"], pdf["files"], pdf["such_as"]) == ("failed", 2, "broken.pdf")


def failing_since(rows: Rows, story: Story) -> None:
    ledger = story.lake.ledger("documents").filter(pl.col("status") != "ok")
    paths = dict(story.lake.table(FILES).select("file_id", "path").iter_rows())
    assert {row["path"] for row in rows} == {paths[key] for key in ledger["input_key"]} == {"broken.pdf", "second.pdf"}
    first, second = rows
    starts = sorted(set(story.lake.table(RUNS).filter(pl.col("shard") == "papers")["started_at"]))
    assert first["path"] == "broken.pdf" and starts[0] <= first["since"] < starts[1] <= second["since"]
    assert all((row["corpus"], row["attempts"], row["status"]) == ("papers", 1, "failed") for row in rows)


def retries(rows: Rows, story: Story) -> None:
    """Two texts failed for now; one was tried again by hand and came through, then the other's turn has not come."""
    ledger = story.lake.ledger("embeddings")
    waiting = ledger.filter(pl.col("status") == "transient").height
    (row,) = rows
    assert (row["asset"], row["failed_once"], row["given_up"]) == ("embeddings", 2, 0)
    assert row["tried_again"] == row["came_through"] == 2 - waiting
    assert row["retry_rate"] == pytest.approx((2 - waiting) / 2)


def broken_runs(rows: Rows, story: Story) -> None:
    (row,) = rows
    assert (row["corpus"], row["shard"], row["stage"], row["status"]) == ("notes", "notes", "*", "interrupted")
    assert "chunks" in row["reason"]
    others = story.lake.table(RUNS).filter(pl.col("stage") != "*")["started_at"]
    assert others.min() < row["started_at"] < others.max()


def failing_checks(rows: Rows, story: Story) -> None:
    latest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in story.lake.table(CHECKS).sort("checked_at").iter_rows(named=True):
        latest[row["shard"], row["asset"], row["check"]] = row
    failing = {key: row["finding_count"] for key, row in latest.items() if not row["is_passed"]}
    assert {(row["shard"], row["asset"], row["check"]): row["finding_count"] for row in rows} == failing and failing


def secrets(rows: Rows, story: Story) -> None:
    (row,) = rows
    assert (row["corpus"], row["found"], row["all_masked"]) == ("papers", 1, True)
    (finding,) = story.lake.table(DOCUMENTS).filter(pl.col("path") == "key.md")["findings"].to_list()[0]
    assert row["rule"] == finding["rule"]
    assert any(row["rule"] in note for note in story.reports[0].notes)


# -- cost --------------------------------------------------------------------------------------------------------------


def cost_per_day(rows: Rows, story: Story) -> None:
    lines = [line for line in story.lines() if line.corpus != ""]
    tokens = per_corpus_and_stage(lines, lambda line: line.tokens)
    seconds = per_corpus_and_stage(lines, lambda line: line.seconds)
    runs = Counter((line.corpus, line.stage) for line in lines)
    told = {(row["corpus"], row["stage"]): row for row in rows}
    assert {key: row["tokens"] for key, row in told.items()} == tokens
    for key, row in told.items():
        assert row["seconds"] == pytest.approx(seconds[key], abs=0.01) and row["runs"] == runs[key]
    parsed = per_corpus_and_stage(story.lines("documents"), lambda line: line.new + line.changed)
    assert {key: told[key]["calls"] for key in parsed} == parsed, "a file is parsed once"
    assert sum(row["tokens"] for row in rows) > 0


def slowest_runs(rows: Rows, story: Story) -> None:
    seconds: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in story.lake.table(RUNS).iter_rows(named=True):
        seconds[row["run_id"], row["shard"]][row["stage"]] = row["seconds"]
    assert len(rows) == min(20, len(seconds))
    assert [row["seconds"] for row in rows] == sorted((row["seconds"] for row in rows), reverse=True)
    for row in rows:
        mine = seconds[row["run_id"], row["shard"]]
        assert row["seconds"] == pytest.approx(sum(mine.values()), abs=2e-3)
        assert mine[row["longest_stage"]] == max(mine.values())
        assert row["its_share"] == pytest.approx(max(mine.values()) / sum(mine.values()), abs=1e-3)


def embedding_speed(rows: Rows, story: Story) -> None:
    lines = [line for line in story.lines("embeddings") if line.tokens]
    assert sorted((row["shard"], row["tokens"], row["vectors"]) for row in rows) == sorted(
        (line.shard, line.tokens, line.new) for line in lines
    )
    assert sum(row["vectors"] for row in rows) == story.lake.table(EMBEDDINGS).height
    assert all(row["batches"] >= 1 for row in rows)
    for row in rows:
        if row["seconds"]:
            assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"], rel=1e-3)


def shared_vectors(rows: Rows, story: Story) -> None:
    chunks = story.lake.table(CHUNKS)
    for row in rows:
        mine = [c for c in chunks.iter_rows(named=True) if story.corpora[c["corpus_id"]] == row["corpus"]]
        tokens = {c["embed_hash"]: c["token_count"] for c in mine}
        assert (row["passages"], row["texts"]) == (len(mine), len(tokens))
        assert row["tokens_saved"] == sum(c["token_count"] for c in mine) - sum(tokens.values())
    assert next(row for row in rows if row["corpus"] == "notes")["tokens_saved"] > 0


# -- freshness, duplicates, snapshots ----------------------------------------------------------------------------------


def freshness(rows: Rows, story: Story) -> None:
    told = {line.name: line for line in reader.status().corpora}
    files = story.lake.table(FILES)
    for row in rows:
        mine = pl.col("corpus_id") == {name: key for key, name in story.corpora.items()}[row["corpus"]]
        assert row["last_published"] == told[row["corpus"]].last_run
        assert row["newest_file"] == files.filter(mine)["modified_at"].max()
        newest = max(path.stat().st_mtime for path in (story.lake.inbox / row["corpus"]).iterdir())
        assert row["newest_file"].timestamp() == pytest.approx(newest, abs=1e-3)
        assert row["last_scan"] == story.lake.table(SCANS).filter(mine)["started_at"].max()
        assert row["last_run"] == story.lake.table(RUNS).filter(mine)["started_at"].max()
        assert row["withheld"] == 0
    assert [row["corpus"] for row in rows] == ["papers", "notes"], "notes was published last"


def scans(rows: Rows, story: Story) -> None:
    told = Counter[str]()
    for row in rows:
        told.update({(row["corpus"], name): row[name] for name in ("added", "changed", "deleted")})
    assert told["notes", "added"] == 10 and told["papers", "added"] == 6
    assert (told["notes", "changed"], told["papers", "changed"]) == (1, 0)
    assert told["notes", "deleted"] == told["papers", "deleted"] == 1
    assert [row["started_at"] for row in rows] == sorted((row["started_at"] for row in rows), reverse=True)


def duplicate_files(rows: Rows, story: Story) -> None:
    (row,) = rows
    size = (story.lake.inbox / "notes" / "copy.md").stat().st_size
    assert (row["copies"], row["size"], row["saved"], row["corpora"]) == (2, size, size, 1)
    assert row["paths"] == ["copy.md", "note-001.md"]


def repeated_passages(rows: Rows, story: Story) -> None:
    documents: dict[str, set[str]] = defaultdict(set)
    passages = Counter[str]()
    for chunk in story.lake.table(CHUNKS).iter_rows(named=True):
        documents[chunk["embed_hash"]].add(chunk["document_id"])
        passages[chunk["embed_hash"]] += 1
    repeated = {key for key, found in documents.items() if len(found) > 1}
    assert sorted((row["documents"], row["passages"]) for row in rows) == sorted(
        (len(documents[key]), passages[key]) for key in repeated
    )
    assert rows and all(note(1).find(row["begins"][:40]) >= 0 for row in rows)


def published(rows: Rows, story: Story) -> None:
    held: dict[str, tuple[int, int]] = {}
    with story.lake.house() as house:
        for corpus in house.register.corpora():
            for shard in corpus.shards:
                generation = house.store.generation(corpus.space_id, shard)
                assert generation is not None
                held[shard] = generation.number, house.store.real_points(corpus.space_id, shard).height
        latest = house.lake.version(CHUNKS)
    assert {row["shard"]: (row["generation"], row["points"]) for row in rows} == held
    assert max(row["chunks_version"] for row in rows) <= latest


def generations(rows: Rows, story: Story) -> None:
    by_shard: dict[str, list[int]] = defaultdict(list)
    for row in story.lake.table(SNAPSHOTS).sort("shard", "generation").iter_rows(named=True):
        by_shard[row["shard"]].append(row["points"])
    for shard, points in by_shard.items():
        told = [row["change"] for row in rows if row["shard"] == shard]
        assert told == [now - before for before, now in zip([0, *points], points, strict=False)]
        assert sum(told) == points[-1]


COMPUTED: dict[str, Callable[[Rows, Story], None]] = {
    function.__name__: function
    for function in (
        rows_per_day,
        size_of_corpora,
        by_media_type,
        completion,
        completion_per_day,
        endings,
        failures_by_reason,
        failing_since,
        retries,
        broken_runs,
        failing_checks,
        secrets,
        cost_per_day,
        slowest_runs,
        embedding_speed,
        shared_vectors,
        freshness,
        scans,
        duplicate_files,
        repeated_passages,
        published,
        generations,
    )
}


def test_every_recipe_is_computed_here() -> None:
    assert list(RECIPES) == list(COMPUTED) and len(RECIPES) >= 14
    assert PAGE.count("```sql") == len(RECIPES)


@pytest.mark.parametrize("recipe", COMPUTED)
def test_recipe(recipe: str, story: Story) -> None:
    rows = asked(recipe)
    assert rows, "a recipe without rows shows nothing"
    COMPUTED[recipe](rows, story)


# -- the reader --------------------------------------------------------------------------------------------------------


def test_every_table_can_be_asked(story: Story) -> None:
    listed = {line.name: line for line in reader.sql_tables()}
    assert len(listed) == len(TABLES) and "ops.ledger_documents" in listed
    for table in TABLES:
        name = table.name.replace("/", ".", 1).replace("/", "_")
        result = reader.sql(f"SELECT count(*) FROM {name}")
        assert result.rows[0][0] == story.lake.table(table).height
        assert tuple(column for column, _ in listed[name].columns) == tuple(table.dtypes)
        described = reader.sql(f"DESCRIBE {name}").rows
        assert [row[0] for row in described] == list(table.dtypes)


def test_a_query_sees_one_version_of_each_table_and_reads_only(story: Story) -> None:
    before = _versions(story)
    result = reader.sql("SELECT count(*) FROM silver.chunks c JOIN bronze.documents d USING (document_id)")
    assert result.versions == {name: before[name.replace(".", "/")] for name in ("bronze.documents", "silver.chunks")}
    assert result.rows[0][0] == story.lake.table(CHUNKS).height and result.seconds > 0
    assert _versions(story) == before


def _versions(story: Story) -> dict[str, int]:
    with story.lake.house() as house:
        return {table.name: house.lake.version(table) for table in TABLES}


def test_wrong_queries_say_what_where_and_remedy(story: Story) -> None:
    for query, told in (
        ("SELECT * FROM ops.nothing", "nothing"),
        ("DELETE FROM ops.runs", "DELETE"),
        ("", "no statement"),
    ):
        with pytest.raises(CommandError, match=told) as caught:
            reader.sql(query)
        assert caught.value.where and caught.value.remedy
    with pytest.raises(CommandError, match="rows"):
        reader.sql("SELECT 1", limit=0)


def test_the_command(story: Story) -> None:
    shown = story.lake.cli("sql", "SELECT count(*) AS n, 'a\x1b[2J' AS harm FROM bronze.files", "--json")
    assert json.loads(shown.stdout)["rows"][0][0] == story.lake.table(FILES).height
    drawn = story.lake.cli("sql", "SELECT 'a\x1b[2J' AS harm FROM range(5)", "--limit", "2")
    assert drawn.returncode == 0 and "\x1b" not in drawn.stdout and "cut" in drawn.stderr
    assert "ops.ledger_documents" in story.lake.cli("sql", "--tables").stdout
    refused = story.lake.cli("sql", "COPY ops.runs TO 'x.csv'")
    assert refused.returncode == 2 and "COPY" in refused.stderr and not list(Path(story.lake.root).glob("x.csv"))
    assert story.lake.cli("sql").returncode == 2


def test_reports_have_no_engine() -> None:
    assert SqlResult(("a",), ("BIGINT",), ((1,),), False, 0.1).versions == {}

"""Golden sets over a real lake: metrics through the real search, history, the gate, gold that goes, and what Dagster shows."""

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import StringIO
from typing import Any

import dagster as dg
import polars as pl
import pytest
from rich.console import Console

from apps import actions, reader
from apps.errors import CommandError
from apps.evaluation_reports import MODES, EvaluationReport, SetEvaluated
from apps.terminal import evaluations
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.definitions import build_defs
from cortex_assets.engine import fingerprint
from cortex_assets.evaluation.checks import GOLD, HOLD
from cortex_assets.evaluation.golden import GoldenError
from cortex_assets.evaluation.schema import ACCEPTED_EVALUATIONS, EVALUATED_QUESTIONS, EVALUATIONS
from cortex_assets.measuring import searches
from cortex_assets.retrieval.routes import Form
from inference.errors import EngineUnavailable
from resources.vectors.edge import EdgeStore
from tests.dagster.lake import PROJECT, Lake, notes, outside_ops, sentence

QUESTIONS = 12


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Twelve notes, and a golden set that asks for a sentence of each by its own words."""
    lake.drop_all(notes("notes", QUESTIONS))
    lake.run()
    write_set(lake, "notes", [question(number) for number in range(QUESTIONS)])
    return lake


def question(number: int, **gold: Any) -> dict[str, Any]:
    """A question whose gold is a sentence of a note."""
    words = sentence(number * 100_000 + 1)
    place = {"path": f"note-{number:03d}.md", "from": words[:20], "to": words[-8:], "grade": 2} | gold
    return {"id": f"q{number:02d}", "question": words, "type": "even" if number % 2 == 0 else "odd", "gold": [place]}


def write_set(lake: Lake, name: str, questions: list[dict[str, Any]], **head: Any) -> None:
    folder = lake.settings.golden
    folder.mkdir(exist_ok=True)
    lines = [{"set": name, "version": 1, **head}, *questions]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def evaluated(lake: Lake, **options: Any) -> SetEvaluated:
    """The only set, evaluated."""
    (one,) = actions.evaluate(**options).sets
    return one


def value(found: SetEvaluated, metric: str, kind: str = "all", mode: str = "hybrid") -> float:
    (line,) = [m for m in found.metrics if (m.mode, m.question_type, m.metric) == (mode, kind, metric)]
    assert line.low <= line.value <= line.high
    return line.value


def worsen(monkeypatch: pytest.MonkeyPatch, drop: int = 5) -> None:
    """Make the search lose its first hits, and with it the version of the search another."""
    from cortex_assets import asking, measuring
    from cortex_assets.retrieval import search

    real = asking.find

    def find(house: Any, registry: Any, asked: str, k: int, *rest: Any) -> search.SearchResult:
        result = real(house, registry, asked, k + drop, *rest)
        return search.SearchResult(result.hits[drop:], result.timings, result.notes)

    monkeypatch.setattr(asking, "find", find)
    monkeypatch.setattr(measuring, "retrieval_version", lambda house: f"worse by {drop}")


# -- numbers and history ------------------------------------------------------------------------------------------------


def test_every_question_is_asked_in_every_mode_and_the_numbers_follow_from_the_ranks(filled: Lake) -> None:
    found = evaluated(filled)
    assert found.state == "baseline"
    assert found.is_new
    assert {line.mode for line in found.metrics} == set(MODES)
    assert {line.question_type for line in found.metrics} == {"all", "even", "odd"}
    assert value(found, "hit@1", mode="words") == 1.0, "the question is the sentence"
    rows = filled.table(EVALUATED_QUESTIONS)
    assert rows.height == QUESTIONS * len(MODES)
    for mode in MODES:
        first = rows.filter(pl.col("mode") == mode).get_column("first_rank").to_list()
        assert value(found, "mrr@10", mode=mode) == pytest.approx(
            sum(1 / r if r else 0 for r in first) / len(first), abs=1e-3
        )
        assert value(found, "recall@5", mode=mode) == pytest.approx(
            sum(0 < r <= 5 for r in first) / len(first), abs=1e-3
        )
        gains = [1 / math.log2(r + 1) if r else 0 for r in first]
        assert value(found, "ndcg@10", mode=mode) == pytest.approx(sum(gains) / len(gains), abs=1e-3)
        assert 0 < value(found, "latency_p50_ms", mode=mode) <= value(found, "latency_p95_ms", mode=mode)
    assert value(found, "span_recall@10", mode="words") == 1.0
    assert 0 < value(found, "span_precision@1", mode="words") < 1
    filled.drop("other/copy.md", (filled.inbox / "notes" / "note-000.md").read_text())
    filled.run()
    with filled.house() as house:
        spans = {c: (a, b) for c, a, b in filled.table(CHUNKS).select("chunk_id", "start_char", "end_char").iter_rows()}
        for search in searches(house, house.register.now()).values():
            answer = search(sentence(1))
            assert any(len(hit.spots) == 2 for hit in answer.hits), "a text stands in two files"
            spots = [spot for hit in answer.hits for spot in hit.spots]
            assert all(spans[spot.chunk_id] == (spot.start_char, spot.end_char) for spot in spots)
    ranked = {hit.path for hit in filled.search(sentence(1), k=10).hits}
    assert "note-000.md" in ranked, "the ranks are those of the search that people use"


def test_nothing_moved_asks_nothing_and_commits_nothing(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluated(filled)
    before = filled.image().versions
    from cortex_assets import asking

    monkeypatch.setattr(asking, "find", lambda *a: pytest.fail("nothing is asked"))
    again = evaluated(filled)
    assert not again.is_new
    assert again.metrics == first.metrics
    assert outside_ops(filled.image().versions) == outside_ops(before)
    write_set(filled, "notes", [question(n) for n in range(QUESTIONS)], description="other words", version=2)
    assert not evaluated(filled).is_new, "version and description do not count"


def test_content_that_moves_is_told_as_drift_with_the_ranks_that_changed(filled: Lake) -> None:
    evaluated(filled)
    filled.drop(
        "notes/copycat.md",
        "\n\n".join(sentence(100_000 * n + 1) + " " + sentence(100_000 * n + 1) for n in range(QUESTIONS)),
    )
    filled.run()
    found = evaluated(filled)
    assert (found.state, found.moved, found.is_new) == ("drift", ("content",), True)
    history = reader.evaluations("notes").sets[0].history
    assert [past.moved for past in history] == [(), ("content",)]
    assert [past.is_baseline for past in history] == [True, False]
    (other,) = reader.evaluations("notes", against=history[1].evaluation_id[:6]).sets
    assert (other.changes, other.moved) == ((), ()), "compared with itself"
    (other,) = reader.evaluations("notes", against=history[0].evaluation_id).sets
    assert other.changes == found.changes
    with pytest.raises(GoldenError, match=r"no evaluation has an id that begins with 'zz'"):
        reader.evaluations("notes", against="zz")
    with pytest.raises(GoldenError, match="no evaluation has an id that begins with ''"):
        reader.evaluations("notes", against="")
    assert len({past.evaluation_id for past in history}) == 2
    filled.delete("notes/copycat.md")
    filled.run()
    back = evaluated(filled)
    assert back.is_new, "the same content again is another point of the history"
    assert len(back.history) == 3
    assert back.history[0].metrics["mrr@10"] == back.history[2].metrics["mrr@10"]


def test_a_search_that_got_worse_is_a_regression_until_it_is_accepted(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = evaluated(filled)
    with monkeypatch.context() as patched:
        worsen(patched)
        report = actions.evaluate()
        (found,) = report.sets
        assert not report.is_well
        assert (found.state, found.moved, found.pairs) == ("regression", ("retrieval",), QUESTIONS)
        assert found.baseline_at == base.evaluated_at
        assert {one.metric for one in found.gated if one.has_fallen} >= {"mrr@10", "ndcg@10"}
        assert {one.question_id for one in found.changes if one.is_worse} >= {"q00", "q05"}
        assert evaluated(filled).state == "regression", "also when nothing is asked again"
        assert evaluated(filled, is_accepted=True).state == "baseline"
        assert evaluated(filled).state == "baseline"
        assert filled.table(ACCEPTED_EVALUATIONS).height == 1
    repaired = evaluated(filled)
    assert (repaired.state, repaired.moved) == ("held", ("retrieval",))
    assert all(not one.is_worse for one in repaired.changes)


CHANGED = {
    "retrieval": ("cortex_assets.retrieval.routes.DENSE_WEIGHT", dict.fromkeys(Form, 0.99)),
    "chunker": ("cortex_assets.chunks.context.CONTEXT_TOKENS", 0),
}


@pytest.mark.parametrize("what", CHANGED)
def test_changed_code_of_search_or_chunker_is_seen_by_the_gate(
    filled: Lake, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The versions are those of the code that is reached by name; the chunker's counts once a run has applied it."""
    evaluated(filled)
    place, other = CHANGED[what]
    monkeypatch.setattr(place, other)
    fingerprint._frozen_versions.clear()
    before = evaluated(filled)
    assert before.is_new == (what == "retrieval")
    filled.run()
    found = evaluated(filled)
    assert what in found.moved
    assert found.state in ("held", "regression")
    fingerprint._frozen_versions.clear()


def test_another_embedding_space_is_seen_by_the_gate(filled: Lake) -> None:
    evaluated(filled)
    with filled.house() as house:
        (corpus,) = house.register.corpora()
        house.register.change(corpus.corpus_id, lambda now: replace(now, space_id="another"))
    found = evaluated(filled)
    assert "space" in found.moved
    assert found.state == "regression", "nothing is published in that space"
    assert {change.after for change in found.changes} == {(0,)}


def test_a_corpus_that_moves_between_spaces_that_both_serve_is_seen_and_one_that_is_added_is_content(
    filled: Lake,
) -> None:
    filled.drop_all({"other/one.md": "A note of its own.", "third/two.md": "Another note of its own."})
    filled.run()
    _move(filled, "third")
    evaluated(filled)
    filled.drop("fourth/three.md", "A note that came later.")
    filled.run()
    _move(filled, "third")  # the run brought it back to the space of its model
    came = evaluated(filled)
    assert (came.state, came.moved, came.is_new) == ("drift", ("content",), True)
    _move(filled, "notes")
    found = evaluated(filled)
    assert found.moved[0] == "space"
    assert (found.state, found.baseline_at) == ("regression", came.evaluated_at), "nothing is published there"
    spaces = filled.table(EVALUATIONS).filter(pl.col("evaluation_id") == found.evaluation_id)["space_ids"][0].to_list()
    with filled.house() as house:
        assert spaces == sorted(f"{one.corpus_id} {one.space_id}" for one in house.register.corpora())
    assert not evaluated(filled).is_new


def test_an_evaluation_of_an_earlier_version_knows_spaces_alone_and_is_not_made_again(filled: Lake) -> None:
    evaluated(filled)
    rows = filled.table(EVALUATIONS)
    bare = rows.with_columns(pl.col("space_ids").list.eval(pl.element().str.split(" ").list.last()))
    with filled.house() as house:
        house.lake.overwrite(EVALUATIONS, bare, "true")
    assert not evaluated(filled).is_new
    _move(filled, "notes")
    assert "space" in evaluated(filled).moved


def _move(lake: Lake, name: str) -> None:
    """Let a corpus be searched in a space that holds nothing."""
    with lake.house() as house:
        corpus = house.register.now().by_name(name)
        house.register.change(corpus.corpus_id, lambda now: replace(now, space_id="another"))


def test_quantized_vectors_are_seen_by_the_gate_once_the_index_has_them(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting alone changes no answer; ``maintain`` brings the index over, and then it is another search."""
    monkeypatch.setattr("cortex_assets.house.EdgeStore", partial(EdgeStore, flat_points=1))
    evaluated(filled)
    filled.set("CORTEX_QUANTIZE", "binary")
    assert not evaluated(filled).is_new
    with filled.house() as house:
        (corpus,) = house.register.corpora()
        for shard in corpus.shards:
            house.store.compact(corpus.space_id, shard)
    found = evaluated(filled)
    assert found.is_new
    assert found.moved == ("retrieval",)
    assert found.state in ("held", "regression")


def test_nothing_is_recorded_of_searches_that_their_reranker_failed(filled: Lake) -> None:
    filled.set("CORTEX_RERANK", "rerank:model@http://127.0.0.1:9/v1")
    with pytest.raises(EngineUnavailable, match="nothing was evaluated: the reranker model is not available"):
        actions.evaluate()
    assert filled.table(EVALUATIONS).is_empty()


def test_the_tolerance_can_be_set(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(filled)
    worsen(monkeypatch)
    filled.set("CORTEX_EVAL_TOLERANCE", "1")
    assert evaluated(filled).state == "held"


def test_an_evaluation_that_was_cut_off_is_made_again_and_stands_once(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.lakehouse import Lakehouse

    real = Lakehouse.overwrite

    def overwrite(lake: Lakehouse, table: Any, *rest: Any) -> Any:
        if table.name == EVALUATIONS.name:
            raise OSError("cut off")
        return real(lake, table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Lakehouse, "overwrite", overwrite)
        with pytest.raises(OSError, match="cut off"):
            actions.evaluate()
    assert filled.table(EVALUATED_QUESTIONS).height == QUESTIONS * len(MODES)
    assert evaluated(filled).state == "baseline"
    rows = filled.table(EVALUATED_QUESTIONS)
    assert rows.height == QUESTIONS * len(MODES)
    assert rows.select("mode", "question_id").is_unique().all()


def test_more_hits_are_shown_and_not_recorded(filled: Lake) -> None:
    found = evaluated(filled, k=20)
    assert not found.is_recorded
    assert value(found, "recall@20", mode="words") == 1.0
    assert filled.table(EVALUATIONS).is_empty()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_fewer_hits_show_the_metrics_at_that_depth(filled: Lake, k: int) -> None:
    found = evaluated(filled, k=k)
    names = {line.metric for line in found.metrics}
    assert {f"{name}@{k}" for name in ("hit", "recall", "mrr", "map", "ndcg", "span_recall", "span_precision")} <= names
    assert max(int(name.partition("@")[2]) for name in names if "@" in name) == k
    assert not found.is_recorded
    usual = evaluated(filled)
    ranks = filled.table(EVALUATED_QUESTIONS).filter(pl.col("mode") == "meaning").get_column("first_rank")
    assert value(found, f"recall@{k}", mode="meaning") == pytest.approx(ranks.is_between(1, k).mean(), abs=1e-3)
    for shown, depth in ((found, k), (usual, 10)):
        drawn = StringIO()
        Console(file=drawn, width=200).print(evaluations.report(EvaluationReport((shown,), (), 0.0)))
        head = next(line for line in drawn.getvalue().splitlines() if "asked" in line)
        assert [int(number) for number in re.findall(r"@(\d+)", head)] == [1, depth, depth, depth, min(5, depth)]


def test_an_index_that_moves_meanwhile_is_evaluated_again_and_one_that_never_rests_is_told(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cortex_assets import asking

    real, moves = asking.find, [1]

    def find(*given: Any) -> Any:
        if moves and moves[0] > 0:
            moves[0] -= 1
            filled.drop("notes/moving.md", f"It moved {moves[0]} times from here.")
            filled.run()
        return real(*given)

    monkeypatch.setattr(asking, "find", find)
    found = evaluated(filled)
    rows = filled.table(EVALUATED_QUESTIONS)
    assert rows.get_column("evaluation_id").unique().to_list() == [found.evaluation_id]
    monkeypatch.setattr(asking, "find", real)
    assert not evaluated(filled).is_new, "what was recorded is of the index as it is now"
    filled.drop("notes/moving.md", "It moved for good.")
    filled.run()
    moves[0] = 1_000
    monkeypatch.setattr(asking, "find", find)
    report = actions.evaluate()
    assert "the index moved each of 3 times" in report.problems[0]
    assert filled.table(EVALUATED_QUESTIONS).height == rows.height


def test_a_backup_brings_golden_sets_history_and_what_was_accepted(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(filled)
    with monkeypatch.context() as patched:
        worsen(patched)
        accepted = evaluated(filled, is_accepted=True)
    folder = filled.root / "backup"
    actions.backup(str(folder), frozenset({"tables", "raw", "inbox"}))
    text = (filled.settings.golden / "notes.jsonl").read_text()
    shutil.rmtree(filled.settings.data_dir)
    assert not actions.restore(str(folder)).kept
    assert (filled.settings.golden / "notes.jsonl").read_text() == text
    (back,) = reader.evaluations().sets
    assert (back.state, back.evaluation_id) == ("baseline", accepted.evaluation_id)
    assert back.history == accepted.history


def test_the_example_of_the_documentation_works(lake: Lake) -> None:
    page = (PROJECT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    shutil.copytree(PROJECT / "data" / "sample", lake.inbox / "sample")
    lake.settings.golden.mkdir()
    (lake.settings.golden / "station.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    lake.run()
    found = evaluated(lake)
    assert (found.name, found.gone) == ("station", ())
    assert value(found, "hit@5", mode="words") == 1.0


# -- gold that goes, sets that are wrong --------------------------------------------------------------------------------


def test_questions_without_gold_are_skipped_and_those_with_some_are_asked_for_the_rest(filled: Lake) -> None:
    lost = question(3) | {"gold": [{"path": "gone.md"}]}
    partly = question(4)
    partly["gold"].append({"path": "note-004.md", "from": "words that never were"})
    write_set(filled, "notes", [question(1), lost, partly])
    found = evaluated(filled)
    assert {(one.question_id, one.is_skipped) for one in found.gone} == {("q03", True), ("q04", False)}
    assert "gone.md" in found.gone[0].reasons[0]
    (line,) = [m for m in found.metrics if (m.mode, m.question_type, m.metric) == ("words", "all", "recall@10")]
    assert (line.questions, line.skipped, line.value) == (2, 1, 1.0)
    filled.delete("notes/note-001.md")
    filled.run()
    later = evaluated(filled)
    assert {one.question_id for one in later.gone if one.is_skipped} == {"q01", "q03"}
    assert later.state == "drift"


def test_a_set_without_any_gold_left_is_told_and_records_nothing(filled: Lake) -> None:
    write_set(filled, "notes", [question(1) | {"gold": [{"path": "gone.md"}]}])
    report = actions.evaluate()
    assert report.sets[0].is_empty
    assert not report.is_well
    assert filled.table(EVALUATIONS).is_empty()
    assert filled.table(EVALUATED_QUESTIONS).is_empty()


def test_no_set_an_unknown_one_and_a_broken_one(filled: Lake) -> None:
    (filled.settings.golden / "broken.yaml").write_text("questions: [", encoding="utf-8")
    (filled.settings.golden / "latin.yaml").write_bytes(b"set: caf\xe9\n")
    write_set(filled, "other", [question(1)], corpora=["nowhere"])
    report = actions.evaluate()
    assert [one.name for one in report.sets] == ["notes"]
    assert [name in told for name, told in zip(("broken", "latin", "nowhere"), report.problems, strict=True)] == [
        True
    ] * 3
    assert not report.is_well
    with pytest.raises(CommandError) as unknown:
        actions.evaluate("missing")
    assert "notes" in unknown.value.remedy
    for fault in ("broken.yaml line 1: not YAML", "latin.yaml: not UTF-8"):
        assert fault in unknown.value.what and fault not in unknown.value.remedy
    for name in ("broken", "latin"):
        (filled.settings.golden / f"{name}.yaml").unlink()
    with pytest.raises(CommandError, match=r"^no golden set has that name$"):
        actions.evaluate("missing")
    for file in filled.settings.golden.iterdir():
        file.unlink()
    with pytest.raises(CommandError) as none:
        actions.evaluate()
    assert (none.value.exit_code, none.value.where) == (2, str(filled.settings.golden))
    assert "docs/evaluation.md" in none.value.remedy


def test_two_files_of_one_name_are_told(filled: Lake) -> None:
    text = (filled.settings.golden / "notes.jsonl").read_text()
    (filled.settings.golden / "zwilling.jsonl").write_text(text)
    report = actions.evaluate()
    assert len(report.sets) == 1
    assert "zwilling.jsonl" in report.problems[0]
    assert "notes.jsonl" in report.problems[0]


def test_a_set_of_one_corpus_searches_that_one(filled: Lake) -> None:
    filled.drop_all(notes("other", QUESTIONS))
    filled.run()
    write_set(filled, "notes", [question(n, corpus="other") for n in range(4)], corpora=["other"])
    found = evaluated(filled)
    assert value(found, "hit@1", mode="words") == 1.0
    write_set(filled, "notes", [question(n, corpus="notes") for n in range(4)], corpora=["other"])
    assert actions.evaluate().sets[0].is_empty


# -- the command line ---------------------------------------------------------------------------------------------------


def test_the_command_shows_numbers_changes_and_history(
    filled: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.cli import main

    assert main(["eval", "--halves"]) == 0
    out = capsys.readouterr()
    assert {"hybrid", "words", "meaning", "baseline:", "even", "odd"} <= set(out.out.split())
    assert "36 of 36 searches" in out.err
    worsen(monkeypatch)
    assert main(["eval", "notes"]) == 1
    told = capsys.readouterr().out
    assert "regression: " in told
    assert "12 questions changed rank" in told
    assert "cortex eval --accept" in told
    assert main(["eval", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["sets"][0]["state"] == "regression"
    assert len(shown["sets"][0]["changes"]) == QUESTIONS
    assert main(["eval", "--history"]) == 0
    history = capsys.readouterr().out
    assert "retrieval" in history
    assert history.count("baseline") == 1
    assert main(["eval", "--accept"]) == 0
    assert main(["eval", "nothing"]) == 2
    assert main(["eval", "--accept", "--history"]) == 2
    assert main(["eval", "notes", "--candidates"]) == 2


# -- Dagster ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster of its own, in memory, that tells nobody."""
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_job(lake: Lake, instance: dg.DagsterInstance) -> tuple[dg.ExecuteInProcessResult, dict[str, Any]]:
    job = build_defs(lake.settings).resolve_job_def("evaluate")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    return result, {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_the_job_materializes_the_evaluations_and_its_checks_pass(filled: Lake, instance: dg.DagsterInstance) -> None:
    result, checks = run_job(filled, instance)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    metadata = {name: one.value for name, one in event.materialization.metadata.items()}
    assert (metadata["sets"], metadata["evaluated"], metadata["notes state"]) == (1, 1, "baseline")
    assert 0 < metadata["notes mrr@10"] <= 1
    assert {name: one.passed for name, one in checks.items()} == {HOLD: True, GOLD: True}
    again, _ = run_job(filled, instance)
    (event,) = again.get_asset_materialization_events()
    assert event.materialization.metadata["evaluated"].value == 0


def test_the_gate_fails_the_run_and_lists_what_changed_rank(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job(filled, instance)
    with monkeypatch.context() as patched:
        worsen(patched)
        result, checks = run_job(filled, instance)
        assert not result.success
        assert not checks[HOLD].passed
        assert checks[HOLD].severity == dg.AssetCheckSeverity.ERROR
        assert checks[HOLD].blocking
        assert "retrieval changed" in checks[HOLD].description
        table = checks[HOLD].metadata["changed ranks"].value
        assert table.splitlines()[0] == "| set | id | question | before | after |"
        assert "| notes | q00 |" in table
        assert "mrr@10" in checks[HOLD].metadata["sets"].value
        assert checks[GOLD].passed
        evaluated(filled, is_accepted=True)
        result, checks = run_job(filled, instance)
        assert result.success
        assert checks[HOLD].passed


def test_gold_that_is_gone_fails_its_check_as_a_warning(filled: Lake, instance: dg.DagsterInstance) -> None:
    run_job(filled, instance)
    filled.delete("notes/note-002.md")
    filled.run()
    (filled.settings.golden / "broken.yaml").write_text("questions: [", encoding="utf-8")
    result, checks = run_job(filled, instance)
    assert result.success
    assert checks[HOLD].passed
    assert not checks[GOLD].passed
    assert checks[GOLD].severity == dg.AssetCheckSeverity.WARN
    assert checks[GOLD].metadata["skipped questions"].value == 1
    assert (
        "| notes | q02 | yes | note-002.md “Entry 200001 says th … at noon.”: no such document |"
        in checks[GOLD].metadata["gone"].value
    )
    assert "broken.yaml" in checks[GOLD].metadata["problems"].value[0]


def test_without_golden_sets_nothing_is_made_and_nothing_fails(lake: Lake, instance: dg.DagsterInstance) -> None:
    result, checks = run_job(lake, instance)
    assert result.success
    assert all(one.passed for one in checks.values())
    assert lake.table(EVALUATIONS).is_empty()


def test_reports_are_plain_values(filled: Lake) -> None:
    from apps.reports import to_json

    report = actions.evaluate()
    assert isinstance(report, EvaluationReport)
    assert json.loads(to_json(report))["sets"][0]["name"] == "notes"


# -- migrations of embedding spaces --------------------------------------------------------------------------------------


def test_golden_sets_refuse_a_model_that_answers_worse(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    actions.migrate("notes", "packaged")
    old = reader.migrations("notes").lines[0].serving
    with monkeypatch.context() as patch:
        from cortex_assets import asking

        real = asking.find

        def find(house: Any, registry: Any, asked: str, k: int, *rest: Any) -> Any:
            result = real(house, registry, asked, k + 5, *rest)
            is_new = registry.by_name("notes").space_id != old[0]
            return replace(result, hits=result.hits[5:]) if is_new else result

        patch.setattr(asking, "find", find)
        report = actions.run()
    assert any("stays in space" in note and "recall@10" in note and "worse: q" in note for note in report.notes)
    (line,) = reader.migrations("notes").lines
    assert line.serving == old and line.waits_for[0].startswith("the gate: golden set notes: recall@10 1.000 ->")
    assert filled.table(EVALUATIONS).is_empty(), "nothing is recorded"
    report = actions.run()
    assert any("is searched in space" in note and "golden set notes: recall@10" in note for note in report.notes)
    assert reader.migrations("notes").lines[0].other == old
    filled.assert_sound()


def test_a_golden_set_that_cannot_be_read_refuses_a_migration(filled: Lake) -> None:
    (filled.settings.golden / "broken.jsonl").write_text("{", encoding="utf-8")
    actions.migrate("notes", "packaged")
    report = actions.run()
    assert any("stays in space" in note and "broken.jsonl" in note for note in report.notes)


def test_a_golden_set_of_a_corpus_that_is_gone_refuses_a_migration_and_ends_no_run(filled: Lake) -> None:
    entries = (filled.settings.golden / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [line for line in entries if '"question"' in line]
    gone = "\n".join([json.dumps({"set": "gone", "corpora": ["notes", "left"]}), *questions])
    (filled.settings.golden / "gone.jsonl").write_text(gone, encoding="utf-8")
    actions.migrate("notes", "packaged")
    report = actions.run()
    assert any("stays in space" in note and "names left, which is not registered" in note for note in report.notes)


def test_a_loss_is_refused_where_the_set_of_spaces_stays_the_same(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other corpora are in both spaces already, the move shows in no recipe: what counts is what was lost."""
    from cortex_assets import asking, measuring

    real, subject_of = asking.find, measuring.subject_of
    actions.migrate("notes", "packaged")

    def find(house: Any, registry: Any, asked: str, k: int, *rest: Any) -> Any:
        result = real(house, registry, asked, k + 5, *rest)
        is_new = registry.by_name("notes").spaces.next is None or registry.by_name("notes").space_id.startswith("all-")
        return replace(result, hits=result.hits[5:]) if is_new else result

    def same(*given: Any) -> Any:
        found = subject_of(*given)
        return replace(found, recipe=replace(found.recipe, space_ids=("a", "b")))

    monkeypatch.setattr(asking, "find", find)
    monkeypatch.setattr(measuring, "subject_of", same)
    report = actions.run()
    assert any("stays in space" in note and "recall@10" in note for note in report.notes)

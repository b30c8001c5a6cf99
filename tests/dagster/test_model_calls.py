"""Calls of models: from the ledger of a machine into the lake, each once; answers are forgotten with their corpus."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from apps import actions, reader
from apps.doctor import lanes as lanes_doctor
from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from cortex_assets.calls import derive
from cortex_assets.calls.schema import MODEL_CALLS, OUTCOMES
from cortex_assets.definitions import _no_engine, build_defs
from cortex_assets.house import House
from inference.engines.scripted_server import Act, ScriptedServer, faults
from inference.errors import BudgetExhausted, InferenceError
from inference.generation import calls
from inference.requests import Origin, ask
from resources.wrappers import InferenceResource, lane_pool
from tests.dagster.lake import Lake


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def configure(lake: Lake, server: ScriptedServer, budget: str = "") -> None:
    lake.settings.inference_file.write_text(
        f"engines:\n  local:\n    model: openai:scripted@{server.url}\n    price: {{prompt: 1000, completion: 2000}}\n"
        f"lanes:\n  orchestrator: echo\n  coder:\n    engines: [local]\n{budget}"
    )


def generate(house: House, count: int, shard: str = "notes") -> int:
    done = 0
    for number in range(count):
        try:
            house.lanes.generate(ask(f"say {number}", origin=Origin("test", "run", shard, "t")), lane="coder")
            done += 1
        except InferenceError:
            pass
    return done


def test_every_call_is_in_the_lake_once(lake: Lake, server: ScriptedServer) -> None:
    server.script = faults(0.3, 3, (Act("status", status=500), Act("half"), Act("no_usage")))
    configure(lake, server)
    with lake.house() as house:
        generate(house, 20)
        generate(house, 5)  # from the cache
        done = house.drain_calls()
        again = house.drain_calls()
    assert done is not None and again is not None
    rows = lake.table(MODEL_CALLS)
    local = rows.filter((pl.col("engine") == "local") & ~pl.col("outcome").is_in(["cached", "unreachable"]))
    assert local.height == server.calls
    assert (done.calls, again.calls) == (rows.height, 0)
    exact = local.filter(~pl.col("is_estimated"))
    assert exact.get_column("prompt_tokens").sum() == server.prompt_tokens
    assert exact.get_column("completion_tokens").sum() == server.completion_tokens
    assert rows.filter(pl.col("outcome") == "cached").height == 5
    assert set(rows.get_column("shard")) == {"notes"}
    assert done.cost == pytest.approx(rows.get_column("cost").sum())


def test_a_drain_that_was_cut_off_repeats_nothing(
    lake: Lake, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(lake, server)
    with lake.house() as house:
        generate(house, 5)
        ledger = house.lanes.ledger
        with monkeypatch.context() as patch:
            patch.setattr("inference.generation.ledger.Ledger.drained", _killed)
            with pytest.raises(KeyboardInterrupt):
                house.drain_calls()
        assert lake.table(MODEL_CALLS).height == 5
        assert len(ledger.undrained(99)) == 5
        generate(house, 7)  # two more, five from the cache
        done = house.drain_calls()
    assert done is not None
    assert done.calls == 7
    assert lake.table(MODEL_CALLS).get_column("call_id").n_unique() == lake.table(MODEL_CALLS).height == 12


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_call_whose_process_was_killed_is_told_as_lost(lake: Lake, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("hang")
    configure(lake, server)
    child = lake.start(
        "from cortex_assets.house import House\n"
        "from resources.settings import load_settings\n"
        "from inference.requests import ask\n"
        "with House.open(load_settings()) as house:\n"
        "    print('asking', flush=True)\n"
        "    house.lanes.generate(ask('x'), lane='coder')\n"
    )
    assert child.stdout is not None
    assert "asking" in child.stdout.readline()
    while not server.calls:
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with lake.house() as house:
        house.drain_calls()
    [row] = lake.table(MODEL_CALLS).to_dicts()
    assert (row["outcome"], row["is_estimated"]) == ("lost", True)
    assert row["cost"] > 0  # what it may have cost is counted


def test_the_asset_drains_and_says_what_came(lake: Lake, server: ScriptedServer) -> None:
    configure(lake, server)
    defs = build_defs(lake.settings)
    [asset] = [
        one for one in defs.assets or [] if isinstance(one, dg.AssetsDefinition) and one.op.name == "drain_calls"
    ]
    assert dg.materialize([asset]).success  # no model was ever called
    with lake.house() as house:
        generate(house, 3)
    result = dg.materialize([asset])
    [event] = result.asset_materializations_for_node("drain_calls")
    assert event.metadata["dagster/row_count"].value == 3
    assert event.metadata["cost"].value > 0


def test_an_asset_asks_a_lane_and_shows_what_that_took(lake: Lake, server: ScriptedServer) -> None:
    configure(lake, server, "    budget: {run: {calls: 3}}\n")

    @dg.asset(pool=lane_pool("coder"))
    def said(context: dg.AssetExecutionContext, inference: InferenceResource) -> dg.MaterializeResult[None]:
        done = 0
        for number in range(5):
            try:
                origin = inference.origin(context, "test", "notes")
                inference.generate(ask(f"say {number}", origin=origin), lane="coder")
                done += 1
            except BudgetExhausted:
                break
        return dg.MaterializeResult(metadata={"done": done, **inference.metadata(context)})

    resources = build_defs(lake.settings).resources
    assert resources is not None
    shown = []
    for _ in range(2):
        result = dg.materialize([said], resources=dict(resources))
        [event] = result.asset_materializations_for_node("said")
        shown.append({name: value.value for name, value in event.metadata.items()})
    assert [(one["done"], one["model_calls"]) for one in shown] == [
        (3, 3),
        (5, 2),
    ]  # the second has three from the cache
    assert all(one["model_cost"] > 0 for one in shown)
    with lake.house() as house:
        house.drain_calls()
    assert lake.table(MODEL_CALLS).get_column("run_id").n_unique() == 2


def test_answers_go_with_their_corpus(lake: Lake, server: ScriptedServer) -> None:
    lake.drop("notes/a.md", "# A\n\nsome words")
    lake.run()
    configure(lake, server)
    with lake.house() as house:
        generate(house, 2, "notes")
        generate(house, 2, "other")
        before = server.calls
    actions.remove("notes", purge=True)
    files = lake.settings.completions.parent.glob("completions.sqlite*")
    assert not any(b"say 0" in file.read_bytes() for file in files)
    with lake.house() as house:
        generate(house, 2, "other")
    assert server.calls == before + 2  # the answers to the same questions were those of notes


def test_what_lanes_did_is_read_from_the_ledger(lake: Lake, server: ScriptedServer) -> None:
    configure(lake, server, "    budget: {day: {cost: 3, calls: 100}}\n")
    with lake.house() as house:
        generate(house, 3)
        generate(house, 1)
    report = reader.lanes()
    coder = next(line for line in report.lanes if line.name == "coder")
    assert (coder.calls, coder.cached, coder.failed, coder.day_budget) == (3, 1, 0, "3 cost, 100 calls")
    assert coder.p50 is not None
    assert coder.spent_today == coder.cost > 0
    assert reader.route("def f(x):\n    return x\n").lane == "coder"


def test_a_corpus_is_embedded_by_a_server_that_the_file_names(
    lake: Lake, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORTEX_EMBED", raising=False)
    lake.settings.inference_file.write_text(f"lanes: {{embed: 'openai:scripted@{server.url}#8'}}\n")
    lake.drop("notes/a.md", "# Apples\n\nApples are red or green.")
    lake.run()
    assert server.embedded
    with lake.house() as house:
        [corpus] = house.register.now().corpora
    assert corpus.embed == f"openai:scripted@{server.url}#8"
    before = len(server.embedded)
    assert lake.found("apples")
    assert len(server.embedded) == before + 1  # the question
    lake.assert_sound()
    with lake.house() as house:
        house.drain_calls()
    calls = lake.table(MODEL_CALLS)
    assert set(calls.get_column("lane")) == {"embed"}
    assert set(calls.get_column("outcome")) == {"ok"}
    assert calls.get_column("prompt_tokens").min() > 0  # type: ignore[operator]
    assert calls.get_column("is_estimated").all()  # this server reports none


def test_code_of_new_corpora_is_embedded_by_the_lane_of_code(
    lake: Lake, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORTEX_EMBED", raising=False)
    lake.settings.inference_file.write_text(f"lanes: {{embed: hash, code_embed: 'openai:scripted@{server.url}#8'}}\n")
    lake.drop("notes/a.md", "# Apples\n\nApples are red or green.")
    lake.drop("notes/a.py", "def ripe(apple):\n    return apple.colour == 'red'\n")
    lake.run()
    with lake.house() as house:
        [corpus] = house.register.now().corpora
    assert corpus.embed == "hash"
    assert len(corpus.every_space) == 2
    assert server.embedded
    assert all("Apples" not in text for text in server.embedded)
    lake.assert_sound()


def test_the_packaged_model_answers_through_a_lane(lake: Lake) -> None:
    pytest.importorskip("xllamacpp", reason="make llama installs it")
    lake.settings.inference_file.write_text('lanes: {coder: ["openai:m@http://127.0.0.1:9/v1", packaged]}')
    with lake.house() as house:
        schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}}, "required": ["name"]}
        found = house.lanes.generate(ask("Name a city as JSON.", schema=schema, max_tokens=64), lane="coder")
        house.drain_calls()
    assert isinstance(found.value["name"], str)
    assert (found.engine, found.usage.is_estimated) == ("packaged", False)
    outcomes = lake.table(MODEL_CALLS).sort("attempt").get_column("outcome").to_list()
    assert outcomes == ["unreachable", "unreachable", "ok"]


def test_the_doctor_asks_every_engine(lake: Lake, server: ScriptedServer) -> None:
    def looked() -> dict[str, Diagnosis]:
        return {one.name: one for one in lanes_doctor.examine(lake.settings)}

    assert looked()["generators"].state == GOOD
    lake.settings.inference_file.write_text(
        f"lanes: {{orchestrator: ['openai:up@{server.url}', 'openai:down@http://127.0.0.1:9/v1', 'gguf:/nowhere/x.gguf']}}"
    )
    found = looked()
    host = server.url.split("/")[2]
    assert found[f"engine up@{host}"].state == found[f"engine up@{host}, JSON"].state == GOOD
    assert found["engine down@127.0.0.1:9"].remedy == "start the server or correct the url"
    assert "/nowhere/x.gguf" in found["engine x.gguf"].detail
    assert "reranker" not in found
    lake.settings.inference_file.write_text(f"lanes: {{orchestrator: 'openai:up@{server.url}', rerank: late}}")
    assert looked()["reranker"].state == WARNING  # the lake of tests has an embedder that shows no tokens
    server.script = lambda number, body: Act("wrong_json") if "response_format" in body else Act()
    lines = looked()
    assert lines[f"engine up@{host}, JSON"].state == WARNING
    assert "guided" in lines[f"engine up@{host}, JSON"].remedy
    lake.settings.inference_file.write_text("lanes: {coder: [x]}")
    assert "line 1" in looked()["inference.yaml"].detail
    assert looked()["inference.yaml"].state == BAD


def test_the_health_of_lanes_is_a_check(lake: Lake, server: ScriptedServer) -> None:
    lake.settings.inference_file.write_text(
        f"lanes: {{orchestrator: 'openai:scripted@{server.url}', coder: 'openai:m@http://127.0.0.1:9/v1', fast_rag: echo}}"
    )
    job = build_defs(lake.settings).resolve_job_def("lanes_health")
    [found] = job.execute_in_process().get_asset_check_evaluations()
    assert not found.passed
    assert found.description == "no engine answers in coder"
    table = str(found.metadata["engines"].value)
    assert "answers, and lists scripted" in table
    assert "cannot be reached" in table
    assert server.calls == 0  # nobody was asked to write
    lake.settings.inference_file.write_text(f"lanes: {{coder: 'openai:other@{server.url}'}}")
    [found] = job.execute_in_process().get_asset_check_evaluations()
    assert found.passed
    assert "does not list other" in str(found.metadata["engines"].value)
    server.is_ready = False
    [found] = job.execute_in_process().get_asset_check_evaluations()
    assert not found.passed
    assert "answered 503" in str(found.metadata["engines"].value)


def test_the_health_schedule_skips_where_there_is_nothing_to_look_at(lake: Lake) -> None:
    assert _no_engine(lake.settings) == "no engine is configured"
    lake.settings.inference_file.write_text("lanes: {coder: [x]}")
    assert "line 1" in _no_engine(lake.settings)
    lake.settings.inference_file.write_text("lanes: {coder: echo}")
    assert _no_engine(lake.settings) == ""


def test_nothing_starts_with_a_wrong_configuration(lake: Lake) -> None:
    lake.settings.inference_file.write_text("lanes:\n  coder: [x]\n")
    answer = lake.cli("up", "--no-dagster", "--no-app")
    assert answer.returncode == 1
    assert "line 2" in answer.stderr
    assert not lake.settings.up.exists()


def test_a_lane_that_is_down_stops_nothing(lake: Lake) -> None:
    lake.settings.inference_file.write_text("lanes: {coder: 'openai:m@http://127.0.0.1:9/v1'}")
    lake.drop("notes/a.md", "# Apples\n\nApples are red or green.")
    try:
        assert lake.cli("up", "--no-dagster", "--no-app", "--detach").returncode == 0
        lake.run()
        assert lake.found("apples")
        [shown] = [line for line in reader.lanes().lanes if line.name == "coder"]
        assert shown.engines[0].name == "m@127.0.0.1:9"
    finally:
        lake.cli("down")


def test_outcomes_are_those_of_the_ledger() -> None:
    assert set(OUTCOMES) == set(calls.OUTCOMES) - {"open"}
    assert derive.summed(pl.DataFrame(schema=MODEL_CALLS.dtypes)).calls == 0


def test_nothing_is_made_where_no_model_is_called(lake: Lake) -> None:
    with lake.house() as house:
        assert house.drain_calls() is None
    assert not lake.settings.calls.parent.exists()
    assert not Path(lake.settings.completions).exists()

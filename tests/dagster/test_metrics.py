"""Numbers of a real lake and of real calls; a configuration that cannot be used leaves the others."""

import contextlib
from collections.abc import Iterator

import pytest

from apps import reader
from cortex_assets.documents.schema import DOCUMENTS
from inference.engines.scripted_server import Act, ScriptedServer
from inference.errors import InferenceError
from inference.requests import ask
from tests.dagster.lake import Lake
from tests.unit.apps.test_metrics import parsed


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda number, body: Act("status", status=401) if number == 2 else Act()) as running:
        yield running


def test_calls_runs_and_rows_are_counted(lake: Lake, server: ScriptedServer) -> None:
    lake.drop("notes/a.md", "# A\n\nsome words")
    lake.run()
    lake.settings.inference_file.write_text(
        f"engines:\n  local:\n    model: openai:scripted@{server.url}\n    price: {{prompt: 1000}}\n    api_key_env: KEY\n"
        "lanes:\n  coder:\n    engines: [local]\n    budget: {day: {cost: 9, calls: 99}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY", "sk-very-secret")
        with lake.house() as house:
            for number in range(3):
                with contextlib.suppress(InferenceError):
                    house.lanes.generate(ask(f"say {number}"), lane="coder")
            house.drain_calls()  # what is in the lake by now counts once
        said = reader.metrics()
    kinds, samples = parsed(said)
    assert "very-secret" not in said
    assert "401" not in said
    calls = {labels[2][1]: value for (name, labels), value in samples.items() if name == "cortex_model_calls_total"}
    assert (calls["ok"], sum(calls.values())) == (2, 3)
    assert samples["cortex_engine_breaker_state", (("engine", "local"),)] == 2
    assert samples["cortex_lane_budget_cap", (("lane", "coder"), ("scope", "day"), ("unit", "calls"))] == 99
    assert samples["cortex_lane_budget_spent", (("lane", "coder"), ("scope", "day"), ("unit", "calls"))] == 3
    assert samples["cortex_model_call_seconds_count", (("lane", "coder"),)] == 2
    assert samples["cortex_runs", (("status", "ok"),)] == 1
    assert samples["cortex_table_rows", (("table", DOCUMENTS.name),)] == 1
    assert kinds["cortex_model_call_seconds"] == "histogram"


def test_a_broken_configuration_leaves_what_is_counted(lake: Lake) -> None:
    lake.settings.inference_file.write_text("lanes: {coder: [nobody]}\n")
    _, samples = parsed(reader.metrics())
    assert samples["cortex_inference_configuration_valid", ()] == 0
    assert samples["cortex_runs", (("status", "ok"),)] == 0
    assert not lake.settings.calls.exists(), "asking for numbers makes no ledger"

"""The page of models: no generator, a file that cannot be used, a healthy lane, an engine that is left alone; no key anywhere."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from apps import reader
from apps.lane_reports import ANSWERS, LEFT_ALONE
from inference.engines.scripted_server import Act, ScriptedServer
from inference.errors import InferenceError
from inference.requests import ask
from resources.inference import open_lanes
from resources.settings import load_settings
from tests.app.conftest import words

KEY = "sk-sesame-open"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def configured(empty: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose lane ``coder`` has a server that wants a key, and whose others have an echo."""
    monkeypatch.setenv("BIG_KEY", KEY)
    empty.mkdir(parents=True, exist_ok=True)
    (empty / "inference.yaml").write_text(
        f"engines:\n  big:\n    model: openai:scripted@{server.url}\n    tier: large\n    api_key_env: BIG_KEY\n"
        "    price: {prompt: 1000, completion: 2000}\n"
        "lanes:\n  orchestrator: echo\n  coder:\n    engines: [big]\n    attempts: 1\n"
        "    budget: {run: 2.0, day: {cost: 10, calls: 100}}\n"
    )
    return empty


def generate(count: int, lane: str = "coder") -> None:
    lanes = open_lanes(load_settings())
    for number in range(count):
        try:
            lanes.lane(lane).generate(ask(f"say {lane} {number}"))
        except InferenceError:
            continue
    lanes.close()


def everything(app: AppTest) -> str:
    """All that was sent to the browser."""
    return "\n".join(str(getattr(one, "proto", one)) for one in app._tree)


Draw = Callable[..., AppTest]


def test_without_a_generator_it_says_that_all_works_and_how_to_name_one(empty: Path, page: Draw) -> None:
    app = page("models")
    assert "Everything works without one" in app.info[0].value
    codes = [one.value for one in app.code]
    assert str(empty / "inference.yaml") in codes
    assert any("openai:" in code and "packaged" in code for code in codes)
    app.text_area(key="route-text").set_value("def f(x):\n    return x\n").run()
    assert "coder" in words(app)
    assert "nobody is asked" in words(app)
    (empty / "inference.yaml").write_text("lanes: {}\n")
    assert "This file names no engine that generates" in words(page("models"))


def test_a_broken_file_is_told_with_its_line_and_the_remedy(empty: Path, page: Draw) -> None:
    empty.mkdir(parents=True, exist_ok=True)
    (empty / "inference.yaml").write_text("engines:\n  big:\n    modle: echo\nlanes:\n  coder: [big]\n")
    app = page("models")
    said = words(app)
    assert "This did not work" in said
    assert "inference.yaml" in said
    assert "line 3" in said
    assert "modle" in said
    assert any("openai:" in one.value for one in app.code)
    (empty / "inference.yaml").write_text("lanes: {coder: echo}\n")
    app.run()
    assert "This did not work" not in words(app)


def test_healthy_lanes_show_engines_calls_budgets_and_charts(
    configured: Path, server: ScriptedServer, page: Draw
) -> None:
    generate(4)
    generate(1)  # from the cache
    generate(2, "orchestrator")
    app = page("models")
    said = words(app)
    for told in (
        "coder",
        "large",
        "answers",
        "code: reading, explaining, writing it",
        "Budget of a run: 2 cost",
    ):
        assert told in said
    budgets = [one.proto.text for one in app.get("progress")]
    assert budgets[1] == "calls today: 4 of 100, 4 %"
    assert "super_reader, fast\\_rag, governance" in said.replace("super\\_", "super_")
    assert "served by orchestrator" in said
    assert len(app.get("vega_lite_chart")) == 2
    assert not [one for one in app.button if one.label == "Try it again now"]
    app.text_area(key="route-text").set_value("is this licence compatible with GPL?").run()
    (found,) = [reader.route("is this licence compatible with GPL?")]
    assert "governance" in (found.lane, found.wanted)
    for reason in found.reasons:
        assert reason in words(app)
    assert server.url in everything(app), "all is looked at"
    assert KEY not in everything(app)


def test_an_engine_that_is_left_alone_is_tried_again_by_a_click(
    configured: Path, server: ScriptedServer, page: Draw
) -> None:
    server.script = lambda number, body: Act("status", status=401, text=f"the key {KEY} is wrong")
    generate(2)
    assert states() == {"big": LEFT_ALONE, "echo": ANSWERS}
    app = page("models")
    said = words(app)
    assert "**big** is left alone for " in said
    assert "401" in said
    assert KEY not in everything(app)
    (button,) = [one for one in app.button if one.label == "Try it again now"]
    button.click().run()
    assert not app.exception
    assert "big is asked again, from the next call on." in words(app)
    assert states() == {"big": ANSWERS, "echo": ANSWERS}
    assert not [one for one in app.button if one.label == "Try it again now"]


def states() -> dict[str, str]:
    return {one.name: one.state for lane in reader.lanes().lanes for one in lane.engines}

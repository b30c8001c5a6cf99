"""``inference.yaml`` and ``CORTEX_LANE_*``: what is read, and that whatever is wrong is told with its line."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ConfigInvalid
from inference.generation.budget import Caps, Prices
from inference.generation.configuration import EXAMPLE, read_configuration
from inference.generation.spec import GENERATING, Configuration, EngineSpec

WHOLE = """\
engines:
  big:
    model: openai:qwen3:32b@http://127.0.0.1:8000/v1
    tier: large
    context: 32768
    concurrency: 8
    timeout: 120
    api_key_env: BIG_KEY
    price: {prompt: 0.5, completion: 1.5}
    guided: json_object
lanes:
  orchestrator: [big, packaged]
  coder:
    engines: [big, "openai:m@http://h:1/v1", {model: echo, context: 100}]
    deadline: 300
    attempts: 3
    calls_per_minute: 120
    caller_calls_per_minute: 60
    burst: 5
    budget: {run: 2.0, day: {cost: 10, tokens: 5000000}}
    cache: false
  embed: packaged
  code_embed: ["hf:org/code@256", hash]
  rerank: late
"""
KEYS = {"BIG_KEY": "sesame"}


def read(text: str = "", **variables: str) -> Configuration:
    return read_configuration(text, "inference.yaml", {f"CORTEX_LANE_{k}": v for k, v in variables.items()}, KEYS.get)


def test_everything_that_can_be_said() -> None:
    found = read(WHOLE)
    big = found.engines["big"]
    assert big == EngineSpec(
        "big",
        "openai:qwen3:32b@http://127.0.0.1:8000/v1",
        "sesame",
        "large",
        32768,
        8,
        120.0,
        Prices(0.5, 1.5),
        "json_object",
    )
    assert "sesame" not in repr(found)
    assert [one.name for one in found.lanes["orchestrator"].engines] == ["big", "packaged"]
    coder = found.lanes["coder"]
    assert [one.name for one in coder.engines] == ["big", "m@h:1", "coder-3"]
    assert (coder.deadline, coder.attempts, coder.calls_per_minute, coder.caller_calls_per_minute) == (300, 3, 120, 60)
    assert (coder.burst, coder.run, coder.day, coder.is_cached) == (5, Caps(cost=2.0), Caps(10.0, 5_000_000), False)
    assert found.embed[0].model == "packaged"
    assert [one.model for one in found.code_embed] == ["hf:org/code@256", "hash"]
    assert found.rerank == "late"


def test_a_lane_without_engines_is_served_by_the_default_one() -> None:
    found = read("lanes: {orchestrator: echo}")
    assert found.serving("coder").name == "orchestrator"
    assert found.serving("coder").engines[0].tier == "tiny"


def test_nothing_configured_is_no_generator() -> None:
    for text in ("", "lanes:", "lanes: {}", EXAMPLE, "# only a comment"):
        found = read(text)
        assert set(found.lanes) == set(GENERATING)
        assert found.engines == {}
        assert (found.embed, found.code_embed, found.rerank) == ((), (), None)


def test_the_example_is_right_without_its_comments() -> None:
    lines = [line.removeprefix("# ") for line in EXAMPLE.splitlines()[2:] if line != "lanes: {}"]
    found = read_configuration("\n".join(lines), "example", {}, lambda name: "k")
    assert found.lanes["coder"].day.calls == 5000
    assert found.lanes["orchestrator"].engines[1].model == "packaged"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lanes: [a", "line 1: not YAML"),
        ("lane: {}", r"line 1: `lane` is not known; there are engines, lanes"),
        ("lanes:\n  chat: echo", r"line 2: `lanes\.chat` is not known; there are orchestrator, coder"),
        (
            "lanes:\n  coder: big",
            r"line 2: `lanes\.coder` names the engine 'big', which is not under `engines`; there are: none",
        ),
        ("lanes:\n  coder:\n    deadline: 3", r"line 2: `lanes\.coder` has no `engines`; remedy: engines: \[name\]"),
        (
            "lanes:\n  coder:\n    engines: echo\n    deadline: soon",
            r"line 4: `lanes\.coder\.deadline` is 'soon', and must be a number",
        ),
        ("lanes:\n  coder:\n    engines: echo\n    attempts: 1.5", "line 4: .* must be a whole number"),
        ("lanes:\n  coder:\n    engines: echo\n    attempts: true", "line 4: .* must be a number"),
        ("lanes:\n  coder:\n    engines: echo\n    cache: 3", "line 4: .* must be true or false"),
        (
            "lanes:\n  coder:\n    engines: echo\n    budget: {run: -1}",
            "line 4: `lanes.coder.budget.run` is -1, and must be from 0",
        ),
        ("lanes:\n  coder: [echo, echo]", "line 2: .* lists echo twice"),
        ("lanes:\n  coder: echo\n  coder: echo", r"line 3: `lanes\.coder` stands there twice"),
        (
            "lanes:\n  coder: gpt:x",
            "line 2: .* must be openai:<model>@http.*, packaged, gguf:<path>, hf:org/name, vllm:org/name or echo",
        ),
        ("lanes:\n  coder: hf:name", "line 2: .* is 'hf:name', and must be .*hf:org/name"),
        ("lanes:\n  coder: vllm:../../x", "line 2: .* and must be .*vllm:org/name"),
        ("lanes:\n  coder: hf:org/name@256", "line 2: .* and must be"),
        ("lanes:\n  coder: openai:m@http://u:secret@h/v1", "line 2: .* is no address"),
        ("lanes:\n  rerank: bert", "line 2: `lanes.rerank` must be none, late"),
        ("lanes:\n  embed: {model: packaged}", "line 2: `lanes.embed` must be a text"),
        ("lanes:\n  embed: gpt", "line 2: `lanes.embed` model 'gpt' is none of packaged"),
        ("engines:\n  a:\n    tier: small", "line 2: `engines.a` has no `model`.*hf:org/name or vllm:org/name"),
        (
            "engines:\n  a:\n    model: echo\n    tier: huge",
            "line 4: `engines.a.tier` is 'huge', which is none of tiny, small, large",
        ),
        ("engines:\n  a:\n    model: echo\n    context: 3", "line 4: .* is 3, and must be from 64"),
        ("engines:\n  a:\n    model: echo\n    api_key: abc", "line 4: `engines.a.api_key` is not known"),
        ("engines:\n  a:\n    model: echo\n    api_key_env: sk-abc.def", "line 4: .* must be the name of a variable"),
        ("engines:\n  a:\n    model: echo\n    api_key_env: NOT_SET", "line 4: .* NOT_SET, which is not set"),
        ("engines:\n  a:\n    model: echo\n    device: gpu", "line 4: .* must be auto, cpu, cuda"),
        ("engines:\n  a b:\n    model: echo", "line 2: .* must be named with letters"),
        ("engines: 3", "line 1: `engines` must be a mapping"),
        ("a: " + "[" * 30 + "]" * 30, "nested too deeply"),
        ("lanes: {coder: 2026-13-45}", "line 1"),
        ("x" * 2_000_000, "larger than"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigInvalid, match=problem) as caught:
        read(text)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_environment_comes_first() -> None:
    made = read(
        "", CODER_MODEL="qwen", CODER_URL="http://h/v1", CODER_API_KEY="k", CODER_CONTEXT="4096", CODER_BUDGET_DAY="3"
    )
    [engine] = made.lanes["coder"].engines
    assert (engine.model, engine.api_key, engine.context, engine.name) == (
        "openai:qwen@http://h/v1",
        "k",
        4096,
        "coder-env",
    )
    assert made.lanes["coder"].day == Caps(cost=3.0)
    before = read(WHOLE, SUPER_READER_MODEL="echo", ORCHESTRATOR_MODEL="echo", ORCHESTRATOR_TIMEOUT="9")
    assert [one.name for one in before.lanes["orchestrator"].engines] == ["orchestrator-env", "big", "packaged"]
    changed = read(WHOLE, CODER_TIMEOUT="9", CODER_PRICE_PROMPT="7")
    assert [one.name for one in changed.lanes["coder"].engines] == ["coder-env", "m@h:1", "coder-3"]
    assert changed.lanes["coder"].engines[0].timeout == 9.0
    assert changed.lanes["coder"].engines[0].prices == Prices(7.0, 1.5)
    assert changed.lanes["orchestrator"].engines[0].timeout == 120.0
    assert read(WHOLE, CODER_TIMEOUT="") == read(WHOLE)


def test_models_that_were_pulled() -> None:
    found = read(
        "lanes:\n  coder: [hf:org/name-1.5B, {model: vllm:my_org/other, device: cuda:1, python: ~/vllm/bin/python}]"
    )
    first, second = found.lanes["coder"].engines
    assert (first.name, first.model, first.tier) == ("name-1.5B", "hf:org/name-1.5B", "small")
    assert (second.model, second.device, second.python) == ("vllm:my_org/other", "cuda:1", "~/vllm/bin/python")
    [one] = read(CODER_MODEL="hf:org/name").lanes["coder"].engines
    assert one.model == "hf:org/name"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("CHAT_MODEL", "echo", "CORTEX_LANE_CHAT_MODEL: names no lane"),
        ("CODER_MODLE", "echo", "CORTEX_LANE_CODER_MODLE: is not known; there are MODEL, URL"),
        ("CODER_TIMEOUT", "soon", "CORTEX_LANE_CODER_TIMEOUT: is 'soon', and must be a number"),
        ("CODER_TIMEOUT", "nan", "must be a number"),
        ("FAST_RAG_URL", "http://h/v1", "says how an engine is, and not which; remedy: set CORTEX_LANE_FAST_RAG_MODEL"),
        ("CODER_MODEL", "gpt-9", "CORTEX_LANE_CODER_MODEL: is 'gpt-9', and must be openai"),
    ],
)
def test_a_variable_that_cannot_be_is_named(variable: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigInvalid, match=problem):
        read(WHOLE.replace("fast_rag", "x"), **{variable: value})


NAMES = st.sampled_from(["engines", "lanes", "coder", "model", "budget", "run", "embed", "x"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_yaml_is_read_or_refused_by_name(value: object) -> None:
    try:
        read(yaml.safe_dump(value, allow_unicode=True))
    except ConfigInvalid as error:
        assert str(error).startswith("inference.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "lanes: {coder: {engines: [echo], cache: !!bool maybe}}",
        'lanes: {coder: {engines: [echo], deadline: !!int ""}}',
        "lanes: {coder: {engines: [echo], deadline: !!timestamp soon}}",
        f"lanes: {{coder: {{engines: [echo], deadline: {'1' * 400}}}}}",
        f"lanes: {{coder: {{engines: [echo], deadline: -{'1' * 400}}}}}",
        "lanes: {coder: echo}\n\x00",
        "a: &a [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]",
        "\n".join(["- &a0 [x]"] + [f"- &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 12)]),
    ],
)
def test_what_yaml_itself_stumbles_over_is_told_as_all_else(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"inference\.yaml"):
        read_configuration(text, "inference.yaml", {}, lambda name: None)


@pytest.mark.parametrize(
    "text",
    [
        'lanes: {coder: "openai:m@http://h:1/v1", orchestrator: "openai:m@http://h:1/v2"}',
        "engines: {coder-1: {model: echo}}\nlanes: {orchestrator: coder-1, coder: [{model: echo, context: 100}]}",
    ],
)
def test_two_engines_of_one_name_are_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="as another one is"):
        read_configuration(text, "inference.yaml", {}, lambda name: None)
    same = 'lanes: {coder: "openai:m@http://h:1/v1", orchestrator: "openai:m@http://h:1/v1"}'
    assert len(read_configuration(same, "inference.yaml", {}, lambda name: None).engines) == 1

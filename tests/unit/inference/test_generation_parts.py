"""Breaker, rate, budget, examples, thoughts and structured answers: pure functions."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from inference.engines.examples import example_of
from inference.engines.reasoning import Answer
from inference.engines.telling import is_strict
from inference.errors import (
    ContextExceeded,
    EngineCrashed,
    EngineRefused,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnreachable,
    InferenceError,
    QuotaExceeded,
    RateLimited,
    RequestInvalid,
)
from inference.generation.breaker import COOL_DOWN, FATAL_COOL_DOWN, LONGEST, THRESHOLD, Breaker, Effect, effect_of
from inference.generation.budget import Caps, Prices, Spent, exceeded
from inference.generation.rate import Rate, take
from inference.generation.structured import Unfit, asked_again, schema_of, value_of
from inference.generation.tokens import estimated_tokens
from inference.requests import GenerateRequest, Message, Origin, Reply, ask

EFFECTS: tuple[Effect, ...] = ("success", "failure", "fatal", "none")


def test_three_failures_in_a_row_open_and_a_success_forgets() -> None:
    breaker = Breaker()
    for effect in ("failure", "failure", "success", "failure", "failure"):
        breaker = breaker.after(effect, 10.0)  # type: ignore[arg-type]
        assert breaker.state == "closed"
    breaker = breaker.after("failure", 10.0, "it hung")
    assert (breaker.state, breaker.until, breaker.why) == ("open", 10.0 + COOL_DOWN, "it hung")
    assert not breaker.admits(0, 10.0 + COOL_DOWN - 0.1)


def test_one_probe_closes_or_opens_for_twice_as_long() -> None:
    opened = Breaker("open", 3, until=40.0, cool_down=30.0)
    assert opened.admits(0, 40.0)
    assert not opened.admits(1, 40.0)
    probing = opened.begun(40.0)
    assert not probing.admits(1, 41.0)
    assert probing.after("success", 41.0) == Breaker(since=41.0)
    again = probing.after("failure", 41.0)
    assert (again.state, again.until, again.cool_down) == ("open", 101.0, 60.0)


def test_a_wrong_key_opens_at_once_and_a_server_says_for_how_long() -> None:
    assert Breaker().after("fatal", 0.0).until == FATAL_COOL_DOWN
    assert Breaker().after("fatal", 0.0, pause=7.0).until == 7.0
    assert Breaker().after("fatal", 0.0, pause=1e9).until == LONGEST


def test_while_it_is_suspected_no_more_are_let_through_than_may_fail() -> None:
    assert Breaker().admits(1000, 0.0)
    assert Breaker(failures=1).admits(1, 0.0)
    assert not Breaker(failures=1).admits(2, 0.0)
    assert not Breaker(failures=2).admits(1, 0.0)


def test_a_clock_that_was_set_back_lengthens_nothing() -> None:
    breaker = Breaker("open", 3, until=1_000_000.0, cool_down=30.0)
    assert breaker.seconds_left(0.0) == 30.0


@given(st.lists(st.tuples(st.sampled_from(EFFECTS), st.floats(0, 200)), max_size=60))
def test_an_outage_is_met_by_few_calls(ends: list[tuple[Effect, float]]) -> None:
    """Whatever came before: in 60 s of failures that are asked one after another, at most 5 calls go through."""
    now, breaker = 0.0, Breaker()
    for effect, seconds in ends:
        now += seconds
        if breaker.admits(0, now):
            breaker = breaker.begun(now).after(effect, now)
    reached, end = 0, now + 60.0
    while now < end:
        if breaker.admits(0, now):
            reached += 1
            breaker = breaker.begun(now).after("failure", now)
        now += 0.25
    assert reached <= THRESHOLD + 2
    assert breaker.state == "open"
    assert breaker.cool_down <= LONGEST


@pytest.mark.parametrize(
    ("error", "effect"),
    [
        (None, "success"),
        (QuotaExceeded("x", 402), "fatal"),
        (RateLimited("x", 429, 5.0), "fatal"),
        (RateLimited("x"), "failure"),
        (EngineRefused("x", 500), "failure"),
        (EngineRefused("x", 404), "success"),
        (EngineUnreachable("x"), "failure"),
        (EngineCrashed("x"), "failure"),
        (EngineReplyInvalid("x"), "failure"),
        (EngineTimeout("x"), "failure"),
        (ContextExceeded("x"), "none"),
    ],
)
def test_what_an_end_says_of_an_engine(error: InferenceError | None, effect: Effect) -> None:
    assert effect_of(error) == effect


def test_a_caller_in_a_hurry_says_nothing_of_the_engine() -> None:
    assert effect_of(EngineTimeout("x"), is_patient=False) == "none"


@given(
    st.floats(1, 6000), st.integers(1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=300)
)  # no test of one value
def test_a_rate_is_kept_over_every_window(per_minute: float, burst: int, pauses: list[float]) -> None:
    rate, full_at, now = Rate(per_minute, burst), 0.0, 1000.0
    taken: list[float] = []
    for pause in pauses:
        now += pause
        full_at, wait = take(full_at, now, rate)
        if not wait:
            taken.append(now)
    for at, first in enumerate(taken):
        for upto in range(at, len(taken)):
            allowed = burst + (taken[upto] - first) * per_minute / 60 + 1e-6
            assert upto - at + 1 <= allowed + 1e-6 * (upto - at + 1)


def test_waiting_as_long_as_told_is_enough() -> None:
    rate = Rate(60, 2)
    full_at, now = 0.0, 50.0
    for _ in range(2):
        full_at, wait = take(full_at, now, rate)
        assert wait == 0.0
    full_at, wait = take(full_at, now, rate)
    assert wait == pytest.approx(1.0)
    assert take(full_at, now + wait, rate)[1] == 0.0
    assert take(1e12, now, rate)[1] <= 2.0  # the clock was set back


def test_prices_and_caps() -> None:
    assert Prices(2.0, 6.0).cost(1_000_000, 500_000) == 5.0
    assert Prices(2.0, 6.0, cached=0.5).cost(1_000_000, 0, 400_000) == pytest.approx(1.4)
    assert exceeded(Caps(), Spent(1e9, 10**9, 10**9)) == ""
    assert exceeded(Caps(cost=1.0, tokens=10), Spent(1.0, 10, 5)) == ""
    assert exceeded(Caps(tokens=10), Spent(0.0, 11)) == "11 tokens of 10"
    assert exceeded(Caps(calls=0), Spent(calls=1)) == "1 calls of 0"


@given(st.text(max_size=60).filter(str.strip), st.integers(0, 60), st.integers(0, 60))
def test_thoughts_are_told_from_answers_however_the_text_comes(answer: str, first: int, second: int) -> None:
    whole = f"<think>it may be {answer.replace('</think>', '')}</think>\n\n{answer}"
    low, high = sorted((first, second))
    heard = Answer()
    found = heard.feed(whole[:low]) + heard.feed(whole[low:high]) + heard.feed(whole[high:]) + heard.end()
    assert found == heard.text == answer.lstrip()
    assert heard.has_reasoning


@given(st.text(max_size=40).filter(lambda text: not text.lstrip().startswith("<think>")), st.integers(0, 40))
def test_without_thoughts_nothing_is_lost(text: str, cut: int) -> None:
    heard = Answer()
    assert heard.feed(text[:cut]) + heard.feed(text[cut:]) + heard.end() == text
    assert not heard.has_reasoning


SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 12, "maxLength": 15},
    {"type": "integer", "minimum": 3},
    {"type": "number", "exclusiveMinimum": 3, "maximum": 9},
    {"type": ["null", "string"]},
    {"enum": ["a", "b"]},
    {"const": {"x": 1}},
    {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 2, "$defs": {"one": {"type": "boolean"}}},
    {"anyOf": [{"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]}, {"type": "null"}]},
    {"allOf": [{"type": "object"}, {"properties": {"k": {"type": "integer"}}, "required": ["k"]}]},
    {"properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_example_is_what_its_schema_allows(schema: dict[str, Any]) -> None:
    jsonschema.validate(example_of(schema, "hello"), schema)


def test_a_schema_without_end_has_no_example() -> None:
    with pytest.raises(ValueError, match="without end"):
        example_of({"$ref": "#"})
    with pytest.raises(ValueError, match="is not in the schema"):
        example_of({"$ref": "#/$defs/none"})


class Person(BaseModel):
    name: str
    age: int

    @field_validator("age")
    @classmethod
    def grown(cls, age: int) -> int:
        if age < 18:
            raise ValueError("must be grown up")
        return age


NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def judged(text: str, schema: Any = NAMED, **reply: Any) -> Any:
    request = ask("who?", schema=schema)
    return value_of(Reply(text, **{"finish": "stop", **reply}), request, schema_of(request))


def test_answers_become_values() -> None:
    assert judged('{"name": "Ada"}') == {"name": "Ada"}
    assert judged('```json\n{"name": "Ada"}\n```') == {"name": "Ada"}
    assert judged('{"name": "Ada", "age": 36}', Person) == Person(name="Ada", age=36)
    assert judged("any words", None) is None
    assert judged("cut off", None, finish="length") is None


@pytest.mark.parametrize(
    ("text", "reply", "problem"),
    [
        ("", {}, "it is empty"),
        (" \n", {"has_reasoning": True}, "only reasoning"),
        ('{"name": "A"}', {"finish": "length"}, "cut off after 1024 tokens"),
        ('{"name": "A"', {}, "not JSON"),
        ('Sure! {"name": "A"}', {}, "not JSON"),
        ('{"name": NaN}', {}, "NaN is no JSON"),
        ("[" * 100_000, {}, "not JSON"),
        ('{"name": 7}', {}, r'name: it does not fit {"type": "string"}'),
        ("{}", {}, "'name' is a required property"),
    ],
)
def test_what_is_no_answer(text: str, reply: dict[str, Any], problem: str) -> None:
    with pytest.raises(Unfit, match=problem):
        judged(text, **reply)


def test_a_pydantic_model_checks_what_its_schema_cannot_say() -> None:
    with pytest.raises(Unfit, match="age: Value error, must be grown up"):
        judged('{"name": "Ada", "age": 3}', Person)


def test_a_schema_that_is_none_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(RequestInvalid, match="no JSON schema"):
        schema_of(ask("x", schema={"type": "thing"}))
    with pytest.raises(RequestInvalid, match="nothing is fetched"):
        schema_of(ask("x", schema={"$ref": "http://127.0.0.1:1/secret"}))


def test_asking_again_keeps_turns_alternating() -> None:
    request = ask("who?", schema=NAMED)
    again = asked_again(request, Reply("oops", "stop"), "it is not JSON")
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert "it is not JSON" in again.messages[-1].content
    empty = asked_again(request, Reply("", "length"), "it is empty")
    assert [message.role for message in empty.messages] == ["user"]
    assert empty.messages[0].content.startswith("who?\n\n")
    assert "more briefly" in empty.messages[0].content


def test_tokens_are_guessed_in_every_script() -> None:
    assert estimated_tokens("") == 0
    assert 8 <= estimated_tokens("The quick brown fox jumps over the lazy dog.") <= 14
    assert estimated_tokens("東京都は日本の首都です") >= 11


def test_a_request_is_a_value() -> None:
    assert ask("x") == GenerateRequest(messages=(Message("user", "x"),))
    assert json.dumps(NAMED)  # the schema is plain JSON


class _Unfinished(BaseModel):
    other: "_NotThere"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/missing"},
        {"$ref": "#nowhere"},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$dynamicRef": "http://elsewhere/x"},
        {"enum": [{1, 2}]},
        {"properties": {1: {}, "a": {}}},
        _Unfinished,
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused_before_anything_is_paid(schema: Any) -> None:
    with pytest.raises(RequestInvalid):
        schema_of(ask("x", schema=schema))


def test_a_schema_may_refer_to_itself_further_in() -> None:
    tree = {"type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#"}}}}
    assert schema_of(ask("x", schema=tree)) == tree


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array", "items": {"$ref": "#"}}, "[" * 400 + "]" * 400),
        ({"multipleOf": 0.1}, "1" + "0" * 400),
        ({"type": "number"}, "1e999"),
        ({"type": "object"}, '{"a": "\\ud83d"}'),
    ],
)
def test_answers_that_break_a_validator_or_a_table_are_no_answers(schema: Any, text: str) -> None:
    with pytest.raises(Unfit):
        value_of(Reply(text, "stop"), ask("x", schema=schema), schema)
    whole = json.dumps({"a": "\U0001f600"})
    assert value_of(Reply(whole, "stop"), ask("x", schema={}), {}) == {"a": "\U0001f600"}


def test_a_value_that_only_looks_like_a_schema_is_not_strict() -> None:
    assert not is_strict({"const": {"properties": 5}})
    assert not is_strict({"const": {"type": "object", "required": 5}})


def test_names_that_cannot_be_written_down_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="surrogate"):
        ask("x", origin=Origin(shard="notes\udc80"))


def test_a_pattern_and_an_answer_cannot_stop_the_process() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    with pytest.raises(Unfit, match="pattern"):
        value_of(Reply(json.dumps("a" * 60 + "!"), "stop"), ask("x", schema=schema), schema)
    assert value_of(Reply('"aaa"', "stop"), ask("x", schema=schema), schema) == "aaa"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"), [("b", "abc", "ac"), ("^(?!x)a", "ab", "xa"), (r"^\d{2}$", "12", "123")]
)
def test_patterns_mean_what_they_did(pattern: str, yes: str, no: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    assert value_of(Reply(json.dumps(yes), "stop"), ask("x", schema=schema), schema) == yes
    with pytest.raises(Unfit):
        value_of(Reply(json.dumps(no), "stop"), ask("x", schema=schema), schema)


def test_a_long_thought_in_many_pieces_takes_no_time() -> None:
    answer, begin = Answer(), time.monotonic()
    for piece in ("<thi", "nk>", *(["thinking words "] * 30_000), "</th", "ink>", "\n ", *(["word "] * 30_000)):
        answer.feed(piece)
    assert answer.text == "word " * 30_000
    assert time.monotonic() - begin < 2

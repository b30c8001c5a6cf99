"""The chat engine against a real local server that fails in every way it is told."""

import json
import threading
import time
from collections.abc import Iterator

import jsonschema
import pytest

from inference.engines.chat_server import ChatServer, _usage
from inference.engines.scripted_server import Act, ScriptedServer
from inference.errors import (
    Cancelled,
    ConfigInvalid,
    ContextExceeded,
    EngineRefused,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    EngineUnreachable,
    InferenceError,
    QuotaExceeded,
    RateLimited,
)
from inference.requests import Cancellation, Limits, Message, Reply, Usage, ask, limits

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 1}},
    "required": ["name", "age"],
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def engine(server: ScriptedServer, **more: str) -> ChatServer:
    return ChatServer("local", url=server.url, model="scripted", context=4096, **more)


def acts(server: ScriptedServer, *given: Act) -> None:
    server.script = lambda number, body: given[min(number, len(given) - 1)]


def test_an_answer_its_usage_and_what_was_sent(server: ScriptedServer) -> None:
    request = ask("hello there world", system="be short", max_tokens=9, temperature=0.5, stop=("###",), seed=7)
    reply = engine(server, api_key="sesame").generate(request, limits(5))
    assert reply == Reply("hello there world", "stop", Usage(5, 3))
    body = server.bodies[0]
    assert body["messages"] == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "hello there world"},
    ]
    assert (body["max_tokens"], body["temperature"], body["stop"], body["seed"]) == (9, 0.5, ["###"], 7)
    assert "response_format" not in body


def test_a_long_answer_is_cut_and_says_so(server: ScriptedServer) -> None:
    reply = engine(server).generate(ask("one two three four", max_tokens=2), limits(5))
    assert (reply.text, reply.finish) == ("one two ", "length")


def test_json_is_asked_for_by_schema(server: ScriptedServer) -> None:
    reply = engine(server).generate(ask("Ada"), limits(5), SCHEMA)
    jsonschema.validate(json.loads(reply.text), SCHEMA)
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_server_without_guided_json_teaches_it_step_by_step(server: ScriptedServer) -> None:
    no = Act("status", status=400, text='{"error": {"message": "response_format.type json_schema is not supported"}}')
    acts(server, no, no, Act())
    asked = engine(server)
    for _ in range(2):
        with pytest.raises(EngineRefused) as caught:
            asked.generate(ask("Ada"), limits(5), SCHEMA)
        assert caught.value.is_transient
    assert asked.generate(ask("Ada"), limits(5), SCHEMA).text == "Ada"
    assert [body.get("response_format", {}).get("type") for body in server.bodies] == [
        "json_schema",
        "json_object",
        None,
    ]


def test_who_cannot_be_held_to_a_schema_is_told_it(server: ScriptedServer) -> None:
    engine(server, guided="none").generate(ask("Ada", system="be short"), limits(5), SCHEMA)
    system = server.bodies[0]["messages"][0]["content"]
    assert system.startswith("be short\n\nAnswer with JSON alone")
    assert json.dumps(SCHEMA, sort_keys=True) in system


def test_strict_is_asked_for_where_the_schema_is(server: ScriptedServer) -> None:
    strict = {**SCHEMA, "additionalProperties": False}
    for schema in (SCHEMA, strict, {"type": "array", "items": strict}, {"type": "array", "items": SCHEMA}):
        engine(server).generate(ask("Ada"), limits(5), schema)
    asked = [body["response_format"]["json_schema"]["strict"] for body in server.bodies]
    assert asked == [False, True, True, False]


def test_a_fixed_way_of_guiding_is_kept(server: ScriptedServer) -> None:
    acts(server, Act("status", status=400, text="no response_format"))
    asked = engine(server, guided="json_object")
    for _ in range(2):
        with pytest.raises(EngineRefused) as caught:
            asked.generate(ask("Ada"), limits(5), SCHEMA)
        assert not caught.value.is_transient
    assert {body["response_format"]["type"] for body in server.bodies} == {"json_object"}


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (Act("status", status=500), EngineRefused, "answered 500"),
        (Act("status", status=429, headers={"Retry-After": "7"}), RateLimited, "fewer calls"),
        (Act("status", status=429, text='{"code": "insufficient_quota"}'), QuotaExceeded, "no quota"),
        (Act("status", status=402), QuotaExceeded, "no quota"),
        (Act("status", status=401), QuotaExceeded, "check the key"),
        (Act("status", status=400, text="maximum context length is 4096 tokens"), ContextExceeded, "longer context"),
        (Act("status", status=302, headers={"Location": "http://elsewhere/"}), EngineRefused, "answered 302"),
        (Act("half"), EngineUnavailable, "broke off"),
        (Act("not_json"), EngineReplyInvalid, "did not answer with a completion"),
        (Act("no_choices"), EngineReplyInvalid, "did not answer with a completion"),
    ],
)
def test_every_failure_has_its_error(server: ScriptedServer, act: Act, kind: type[Exception], message: str) -> None:
    acts(server, act, Act())
    asked = engine(server)
    with pytest.raises(kind, match=message) as caught:
        asked.generate(ask("hi"), limits(5))
    assert type(caught.value) is kind
    assert asked.generate(ask("hi"), limits(5)).text == "hi"  # the connection is not spoilt


def test_how_long_to_wait_is_read(server: ScriptedServer) -> None:
    acts(server, Act("status", status=429, headers={"retry-after": "7"}))
    with pytest.raises(RateLimited) as caught:
        engine(server).generate(ask("hi"), limits(5))
    assert caught.value.retry_after == 7.0


def test_a_key_is_never_shown(server: ScriptedServer) -> None:
    acts(server, Act("status", status=400, text="bad key sesame-open-1"))
    with pytest.raises(EngineRefused) as caught:
        engine(server, api_key="sesame-open-1").generate(ask("hi"), limits(5))
    assert "sesame" not in str(caught.value)
    assert "***" in str(caught.value)


def test_only_thoughts_are_no_answer(server: ScriptedServer) -> None:
    acts(server, Act("reasoning"), Act(text="<think>well, maybe</think>\n\nyes"), Act(text="<think>never ended"))
    replies = [engine(server).generate(ask("hi"), limits(5)) for _ in range(3)]
    assert [(reply.text, reply.has_reasoning) for reply in replies] == [("", True), ("yes", True), ("", True)]


def test_tokens_that_are_not_reported_are_not_made_up(server: ScriptedServer) -> None:
    acts(server, Act("no_usage"))
    assert engine(server).generate(ask("hi"), limits(5)).usage is None
    assert list(engine(server).stream(ask("hi"), limits(5)))[-1] == Reply("hi", "stop", None, pytest.approx(0, abs=1))


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_deadline_is_over_everything(server: ScriptedServer, kind: str) -> None:
    acts(server, Act(kind), Act())
    asked = engine(server)
    begin = time.monotonic()
    with pytest.raises(EngineTimeout, match=r"within 0\.3 s"):
        asked.generate(ask("hi"), limits(0.3))
    assert time.monotonic() - begin < 1.5
    assert asked.generate(ask("hi"), limits(5)).text == "hi"


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancelling_ends_a_call_at_once(server: ScriptedServer, kind: str) -> None:
    acts(server, Act(kind))
    cancellation = Cancellation()
    threading.Timer(0.1, cancellation.cancel).start()
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        engine(server).generate(ask("hi"), Limits(begin + 30, cancellation))
    assert time.monotonic() - begin < 2
    with pytest.raises(Cancelled):
        engine(server).generate(ask("hi"), Limits(begin + 30, cancellation))
    assert server.calls == 1


def test_nobody_listens() -> None:
    with ScriptedServer() as gone:
        url = gone.url
    with pytest.raises(EngineUnreachable, match=r"cannot be reached \(ConnectionRefusedError\); remedy: start"):
        ChatServer("local", url=url, model="m", context=10).generate(ask("hi"), limits(5))


@pytest.mark.parametrize("url", ["ftp://h/v1", "http://", "http://u:p@h/v1", "http://h:0/v1", "nonsense"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="is not an address"):
        ChatServer("local", url=url, model="m", context=10)


def test_a_stream_comes_in_pieces_and_ends_with_the_whole(server: ScriptedServer) -> None:
    *pieces, reply = engine(server).stream(ask("one two three"), limits(5))
    assert pieces == ["one ", "two ", "three"]
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish, reply.usage) == ("one two three", "stop", Usage(3, 3))
    assert reply.first_token is not None
    assert 0 < reply.first_token < 2


def test_a_stream_that_breaks_off_is_a_failure(server: ScriptedServer) -> None:
    acts(server, Act("half"))
    pieces = []
    with pytest.raises(EngineUnavailable, match="in the middle"):
        pieces.extend(engine(server).stream(ask("one two three"), limits(5)))
    assert pieces


def test_a_stream_without_its_thoughts(server: ScriptedServer) -> None:
    acts(server, Act(text="<think>a b c</think> yes it is"))
    *pieces, reply = engine(server).stream(ask("hi"), limits(5))
    assert "".join(map(str, pieces)) == "yes it is"
    assert isinstance(reply, Reply)
    assert reply.has_reasoning


def test_leaving_a_stream_ends_the_call_and_frees_the_connection(server: ScriptedServer) -> None:
    stream = engine(server).stream(ask("one two three"), limits(5))
    assert next(stream) == "one "
    stream.close()  # type: ignore[attr-defined]


def test_calls_within_a_stream_do_not_disturb_it(server: ScriptedServer) -> None:
    asked, told = engine(server), []
    for piece in asked.stream(ask("one two three"), limits(5)):
        told.append(piece)
        assert asked.generate(ask("inner"), limits(5)).text == "inner"
    assert "".join(map(str, told[:-1])) == "one two three"


def test_many_threads_share_an_engine(server: ScriptedServer) -> None:
    asked = engine(server)
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        answers[number] = asked.generate(ask(f"number {number}"), limits(10)).text

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"number {number}" for number in range(24)}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"messages": ()}, "last message"),
        ({"messages": (Message("assistant", "x"),)}, "last message"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"stop": ("",)}, "stop"),
    ],
)
def test_what_cannot_be_asked(given: dict[str, object], problem: str) -> None:
    from inference.requests import GenerateRequest

    with pytest.raises(InferenceError, match=problem):
        GenerateRequest(**{"messages": (Message("user", "x"),), **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("cached", [-5, 2**70, True, 1.5, "7"])
def test_cached_tokens_that_cannot_be_are_none(cached: object) -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": cached}}
    assert _usage(told) == Usage(5, 6, False, 0)

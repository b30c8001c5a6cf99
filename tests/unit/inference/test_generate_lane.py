"""A lane: fallback, breaker, retries, deadlines, structured answers, cache and budget, over real and scripted engines."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, field_validator

from inference.engines.chat_server import ChatServer
from inference.engines.scripted import ScriptedGenerator
from inference.engines.scripted_server import Act, ScriptedServer, faults
from inference.errors import (
    AnswerWithheld,
    BudgetExhausted,
    Cancelled,
    ContextExceeded,
    EngineCrashed,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    InferenceError,
    LaneDown,
    LedgerUnavailable,
    OutputInvalid,
    QuotaExceeded,
)
from inference.generation.batching import generate_batch, shared_prefix_order
from inference.generation.budget import Caps, Prices
from inference.generation.cache import CompletionCache
from inference.generation.lane import GenerateLane
from inference.generation.ledger import Ledger
from inference.generation.spec import EngineSpec, LaneSpec
from inference.protocols import Generator, Schema
from inference.requests import Cancellation, Completion, GenerateRequest, Limits, Origin, Reply, Usage, ask

NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
DOWN = EngineUnavailable("down", is_transient=True)


class House:
    """A ledger, a cache, and lanes over them."""

    def __init__(self, folder: Path) -> None:
        self.speed = 1.0
        self.start = time.time()
        self.ledger = Ledger(folder / "calls.sqlite", lambda: self.start + (time.time() - self.start) * self.speed)
        self.cache = CompletionCache(folder / "completions.sqlite")

    def lane(self, *engines: Generator, default: GenerateLane | None = None, **given: Any) -> GenerateLane:
        of_engine = {name: given.pop(name) for name in ("prices", "timeout", "concurrency") if name in given}
        specs = tuple(EngineSpec(engine.name, engine.name, **of_engine) for engine in engines)
        spec = LaneSpec(**{"name": "coder", "engines": specs, "deadline": 20.0, **given})
        return GenerateLane(spec, engines, self.ledger, self.cache, default, chance=lambda: 0.0)

    def outcomes(self) -> list[tuple[str, str]]:
        return [(row["engine"], row["outcome"]) for row in self.ledger.undrained(10_000)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.ledger.close()
    made.cache.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def scripted(name: str, *said: str | Reply | Exception) -> ScriptedGenerator:
    """An engine that says these, the last one for ever."""
    return ScriptedGenerator(name, lambda number, request: said[min(number, len(said) - 1)])


def test_an_answer_says_where_it_comes_from(house: House) -> None:
    lane = house.lane(scripted("a", "yes"), prices=Prices(10, 100))
    found = lane.generate(ask("is it so?", origin=Origin("room", "run", "notes", "ab")))
    assert (found.text, found.value, found.usage) == ("yes", None, Usage(3, 1))
    assert (found.lane, found.engine, found.is_cached) == ("coder", "a", False)
    assert found.cost == pytest.approx(130e-6)
    [row] = house.ledger.undrained(9)
    assert (row["outcome"], row["prompt_tokens"], row["completion_tokens"], row["cost"]) == ("ok", 3, 1, found.cost)


def test_it_retries_what_may_pass_then_falls_back(house: House) -> None:
    first, second = scripted("a", DOWN), scripted("b", "yes")
    found = house.lane(first, second).generate(ask("x"))
    assert (found.engine, first.calls) == ("b", 2)
    assert [(one.engine, one.outcome) for one in found.attempts] == [("a", "unavailable")] * 2 + [("b", "ok")]


def test_a_passing_failure_is_retried_on_the_same_engine(house: House) -> None:
    assert house.lane(scripted("a", DOWN, "yes"), scripted("b", "no")).generate(ask("x")).text == "yes"


@pytest.mark.parametrize("error", [EngineRefused("no such model", 404), QuotaExceeded("no money", 402)])
def test_what_asking_again_does_not_mend_is_not_asked_again(house: House, error: Exception) -> None:
    first = scripted("a", error)
    assert house.lane(first, scripted("b", "yes")).generate(ask("x")).engine == "b"
    assert first.calls == 1


def test_a_quota_error_opens_the_breaker_at_once(house: House) -> None:
    first = scripted("a", QuotaExceeded("no money", 402))
    lane = house.lane(first, scripted("b", "yes"))
    for number in range(20):
        assert lane.generate(ask(f"x {number}")).engine == "b"
    assert first.calls == 1
    assert house.ledger.breakers()["a"].state == "open"


def test_the_default_lane_is_the_last_resort(house: House) -> None:
    default = house.lane(scripted("z", "yes"), name="orchestrator")
    found = house.lane(scripted("a", DOWN), default=default).generate(ask("x"))
    assert (found.lane, found.engine) == ("orchestrator", "z")
    assert [one.engine for one in found.attempts] == ["a", "a", "z"]


def test_the_last_resort_does_not_ask_again_who_was_asked(house: House) -> None:
    first = scripted("a", DOWN)
    default = house.lane(first, scripted("z", "yes"), name="orchestrator")
    assert house.lane(first, default=default).generate(ask("x")).engine == "z"
    assert first.calls == 2


def test_a_content_filter_is_no_outage(house: House, server: ScriptedServer) -> None:
    lane = house.lane(scripted("a", AnswerWithheld("filtered")), scripted("b", "yes"), is_cached=False)
    for _ in range(5):
        assert lane.generate(ask("x")).engine == "b"
    assert house.outcomes()[0] == ("a", "withheld")
    assert "a" not in house.ledger.breakers()


def test_a_page_instead_of_a_reply_is_a_failure_of_the_engine_not_of_the_answer(
    house: House, server: ScriptedServer
) -> None:
    server.script = lambda number, body: Act("not_json")
    lane = house.lane(ChatServer("a", url=server.url, model="m", context=4096))
    with pytest.raises(LaneDown, match="garbled"):
        lane.generate(ask("who?", schema=NAMED))


def test_an_interrupted_call_is_counted(house: House) -> None:
    def interrupt(number: int, request: Any) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.lane(ScriptedGenerator("a", interrupt)).generate(ask("x"))
    [row] = house.ledger.undrained(9)
    assert (row["outcome"], row["is_estimated"]) == ("cancelled", 1)


def test_a_lane_with_one_engine_fails_fast_while_it_is_open(house: House) -> None:
    only = scripted("a", DOWN)
    lane = house.lane(only)
    for _ in range(5):
        with pytest.raises(LaneDown) as caught:
            lane.generate(ask("x"))
        assert caught.value.is_transient
    assert only.calls == 3
    assert 25 < caught.value.retry_after <= 30
    assert "left_alone" in str(caught.value)
    begin = time.monotonic()
    with pytest.raises(LaneDown):
        lane.generate(ask("x"))
    assert time.monotonic() - begin < 0.2


def test_a_lane_that_refuses_for_good_is_not_transient(house: House) -> None:
    with pytest.raises(LaneDown, match="no such model") as caught:
        house.lane(scripted("a", EngineRefused("no such model", 404))).generate(ask("x"))
    assert not caught.value.is_transient


def test_an_outage_of_a_minute_is_met_by_five_calls_and_every_request_is_answered(
    house: House, server: ScriptedServer
) -> None:
    """F19, ten times as fast: the ledger's clock runs so, the threads and the server are real. The real minute is in the bench."""
    house.speed = 10.0
    seconds = 6.0
    begin = time.monotonic()
    down = Act("status", status=503)
    server.script = lambda number, body: down if time.monotonic() - begin < seconds else Act()
    url = server.url
    lane = house.lane(ChatServer("a", url=url, model="m", context=4096), scripted("b", "fallback"), is_cached=False)
    engines: list[str] = []

    def work() -> None:
        while time.monotonic() - begin < seconds + 6.5:
            engines.append(lane.generate(ask("x")).engine)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reached = sum(1 for at in server.times if at - begin < seconds)
    assert 3 <= reached <= 5
    assert len(engines) > 100
    assert engines[-1] == "a"  # half-open after the cool-down, then closed
    assert house.ledger.breakers()["a"].state == "closed"


def test_a_hanging_engine_costs_its_timeout_not_the_deadline(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("hang")
    engine = ChatServer("a", url=server.url, model="m", context=4096)
    lane = house.lane(engine, scripted("b", "yes"), timeout=0.3, attempts=1)
    begin = time.monotonic()
    assert lane.generate(ask("x")).engine == "b"
    assert time.monotonic() - begin < 1.5
    [row, _] = house.ledger.undrained(9)
    assert (row["outcome"], row["is_estimated"]) == ("timeout", 1)
    assert row["prompt_tokens"] > 0  # it may well have been read


def test_the_deadline_is_over_everything(house: House) -> None:
    slow = ScriptedGenerator("a", delay=5)
    begin = time.monotonic()
    with pytest.raises((EngineTimeout, LaneDown)):
        house.lane(slow, deadline=0.3).generate(ask("x"))
    assert time.monotonic() - begin < 1


def test_a_lane_in_a_hurry_meets_a_hanging_server_with_few_calls(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("hang")
    engine = ChatServer("a", url=server.url, model="m", context=4096)
    lane = house.lane(engine, timeout=60.0, deadline=0.3, is_cached=False)
    for _ in range(8):
        with pytest.raises((EngineTimeout, LaneDown)):
            lane.generate(ask("x"))
    assert server.calls == 3
    assert house.ledger.breakers()["a"].state == "open"


def test_cancelling_ends_a_request_without_trying_others(house: House) -> None:
    cancellation, second = Cancellation(), scripted("b", "yes")
    threading.Timer(0.1, cancellation.cancel).start()
    with pytest.raises(Cancelled):
        house.lane(ScriptedGenerator("a", delay=30), second).generate(ask("x"), cancellation)
    assert second.calls == 0
    assert house.outcomes() == [("a", "cancelled")]
    assert house.ledger.breakers() == {}


def test_a_text_that_is_too_long_goes_to_one_that_reads_more(house: House) -> None:
    small, large = ScriptedGenerator("a", context=50), ScriptedGenerator("b", context=50_000)
    text = "many words " * 2000
    assert house.lane(small, large).generate(ask(text)).engine == "b"
    assert small.calls == 0
    with pytest.raises(ContextExceeded, match=r"a: about .* it reads 50; remedy"):
        house.lane(small).generate(ask(text))


# F20


INVALID = ["no json", "", '{"name": 7}', Reply('{"name": "A"}', "length"), Reply("", "stop", has_reasoning=True)]


@pytest.mark.parametrize("said", INVALID)
def test_one_repair_then_the_next_engine(house: House, said: str | Reply) -> None:
    first, second = scripted("a", said), scripted("b", '{"name": "Ada"}')
    found = house.lane(first, second).generate(ask("who?", schema=NAMED))
    assert (found.value, first.calls) == ({"name": "Ada"}, 2)
    assert house.outcomes() == [("a", "invalid"), ("a", "invalid"), ("b", "ok")]


def test_a_repair_is_told_what_was_wrong(house: House) -> None:
    seen = []

    def script(number: int, request: Any) -> str:
        seen.append(request.messages[-1].content)
        return '{"name": "Ada"}' if number else "Ada, of course"

    found = house.lane(ScriptedGenerator("a", script)).generate(ask("who?", schema=NAMED))
    assert found.value == {"name": "Ada"}
    assert "it is not JSON" in seen[1]
    assert [one.outcome for one in found.attempts] == ["invalid", "ok"]


@pytest.mark.parametrize("said", INVALID)
def test_failure_with_the_evidence_and_never_cached(house: House, said: str | Reply) -> None:
    first, second = scripted("a", said), scripted("b", said)
    lane = house.lane(first, second)
    for round_ in (1, 2):
        with pytest.raises(OutputInvalid) as caught:
            lane.generate(ask("who?", schema=NAMED))
        assert [one.outcome for one in caught.value.attempts] == ["invalid"] * 4
        assert not caught.value.is_transient
        assert first.calls == second.calls == 2 * round_
    assert house.ledger.breakers().get("a") is None  # it answers; what it says is another matter


def test_where_the_preferred_engine_is_away_a_bad_answer_of_another_settles_nothing(house: House) -> None:
    with pytest.raises(LaneDown) as caught:
        house.lane(scripted("a", DOWN), scripted("b", "no json")).generate(ask("who?", schema=NAMED))
    assert caught.value.is_transient


class Person(BaseModel):
    name: str


def test_a_pydantic_model_in_and_an_instance_out_cached_too(house: House) -> None:
    lane = house.lane(scripted("a", '{"name": "Ada"}'))
    for is_cached in (False, True):
        found = lane.generate(ask("who?", schema=Person))
        assert found.value == Person(name="Ada")
        assert found.is_cached is is_cached


# F21


def test_the_cache_gives_again_what_was_valid_and_costs_nothing(house: House) -> None:
    engine = scripted("a", "one", "two")
    lane = house.lane(engine, prices=Prices(1e6, 1e6))
    assert [lane.generate(ask("x")).text for _ in range(3)] == ["one"] * 3
    assert lane.generate(ask("x", seed=1)).text == "two"
    assert lane.generate(ask("x", is_fresh=True)).text == "two"
    assert engine.calls == 3
    rows = house.ledger.undrained(99)
    assert [row["outcome"] for row in rows] == ["ok", "cached", "cached", "ok", "ok"]
    assert [row["cost"] for row in rows] == [2.0, 0.0, 0.0, 2.0, 2.0]
    assert house.ledger.spent("coder").calls == 3


def test_an_answer_in_an_outage_is_kept_only_where_it_was_paid_for(house: House) -> None:
    first = scripted("a", DOWN, DOWN, "better")
    free = house.lane(first, scripted("b", "worse"))
    assert free.generate(ask("x")).text == "worse"
    house.ledger.reset("a")
    assert free.generate(ask("x")).text == "better"
    paid = house.lane(scripted("c", DOWN, DOWN, "better"), scripted("d", "worse"), prices=Prices(1, 1))
    assert [paid.generate(ask("x")).text for _ in range(2)] == ["worse", "worse"]


def test_at_the_cap_it_stops_and_resumes_without_repeating_paid_calls(house: House) -> None:
    engine = scripted("a", "yes")
    given: dict[str, Any] = {"prices": Prices(0, 1000)}
    capped = house.lane(engine, run=Caps(cost=0.01), **given)

    def run(lane: GenerateLane, run_id: str) -> int:
        done = 0
        for number in range(20):
            try:
                lane.generate(ask(f"document {number}", max_tokens=2, origin=Origin(run_id=run_id)))
            except BudgetExhausted as error:
                assert "raise the budget and run again" in str(error)
                return done
            done += 1
        return done

    done = run(capped, "monday")
    assert 8 <= done < 20
    assert house.ledger.spent("coder", "monday").cost <= 0.01
    assert run(capped, "monday") == done  # what was answered is there; nothing more is paid
    assert engine.calls == done
    assert run(house.lane(engine, run=Caps(cost=1.0), **given), "tuesday") == 20
    assert engine.calls == 20


def test_tokens_that_a_server_does_not_report_are_estimated_and_marked(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("no_usage")
    found = house.lane(ChatServer("a", url=server.url, model="m", context=4096)).generate(ask("one two three"))
    assert found.usage.is_estimated
    [row] = house.ledger.undrained(9)
    assert row["is_estimated"] == 1
    assert row["completion_tokens"] > 0


def test_a_rate_is_waited_for(house: House) -> None:
    lane = house.lane(scripted("a", "yes"), calls_per_minute=600.0, burst=1, is_cached=False)
    begin = time.monotonic()
    for number in range(4):
        lane.generate(ask(f"x {number}"))
    assert 0.25 < time.monotonic() - begin < 2
    late = house.lane(scripted("a", "yes"), name="slow", calls_per_minute=1.0, burst=1, deadline=2.0, is_cached=False)
    late.generate(ask("x"))
    with pytest.raises(EngineTimeout, match="may be asked 1 times a minute, and the deadline is earlier"):
        late.generate(ask("y"))


# streams


def test_a_stream_is_written_down_and_cached(house: House, server: ScriptedServer) -> None:
    lane = house.lane(ChatServer("a", url=server.url, model="m", context=4096))
    for _ in range(2):
        stream = lane.stream(ask("one two three"))
        assert "".join(stream) == "one two three"
        assert stream.completion is not None
        assert stream.completion.text == "one two three"
    assert server.calls == 1
    rows = house.ledger.undrained(9)
    assert [(row["outcome"], row["is_streamed"], row["completion_tokens"]) for row in rows] == [
        ("ok", 1, 3),
        ("cached", 0, 3),
    ]
    assert rows[0]["first_token"] > 0


def test_a_stream_falls_back_before_its_first_piece_and_fails_after(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("status", status=500) if number < 2 else Act("half")
    lane = house.lane(ChatServer("a", url=server.url, model="m", context=4096), scripted("b", "from b"))
    assert "".join(lane.stream(ask("one two three four"))) == "from b"
    pieces: list[str] = []
    stream = lane.stream(ask("one two three four", seed=1))
    with pytest.raises(EngineUnavailable, match="in the middle"):
        pieces.extend(stream)
    assert pieces
    assert house.outcomes()[-1] == ("a", "unavailable")
    assert house.ledger.undrained(9)[-1]["completion_tokens"] > 0


def test_a_stream_may_begin_anew(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("half")
    lane = house.lane(ChatServer("a", url=server.url, model="m", context=4096), scripted("b", "from b"))
    shown: list[str] = []
    for piece in (stream := lane.stream(ask("one two three four"), on_restart=shown.clear)):
        shown.append(piece)
    assert "".join(shown) == "from b"
    assert stream.completion is not None
    assert [one.outcome for one in stream.completion.attempts] == ["unavailable", "unavailable", "ok"]


def test_an_empty_stream_is_no_answer(house: House) -> None:
    assert list(house.lane(scripted("a", ""), scripted("b", "yes")).stream(ask("x"))) == ["yes"]
    with pytest.raises(OutputInvalid):
        list(house.lane(scripted("a", "")).stream(ask("x", seed=1)))


def test_a_stream_that_is_left_is_counted(house: House, server: ScriptedServer) -> None:
    stream = house.lane(ChatServer("a", url=server.url, model="m", context=4096)).stream(ask("one two three"))
    assert next(iter(stream)) == "one "
    stream.close()
    [row] = house.ledger.undrained(9)
    assert (row["outcome"], row["is_estimated"]) == ("cancelled", 1)
    assert house.ledger.in_flight() == {}


def test_a_streamed_answer_that_is_none_is_an_error(house: House) -> None:
    stream = house.lane(scripted("a", "no json")).stream(ask("who?", schema=NAMED))
    with pytest.raises(OutputInvalid):
        list(stream)
    assert house.outcomes() == [("a", "invalid")]


# batches


def test_a_batch_keeps_its_order_and_every_outcome(house: House) -> None:
    def script(number: int, request: Any) -> str:
        return "" if "bad" in request.messages[-1].content else request.messages[-1].content.upper()

    heard: list[int] = []
    lane = house.lane(ScriptedGenerator("a", script))
    requests = [ask(f"{'bad' if number % 5 == 2 else 'good'} {number}") for number in range(20)]
    found = generate_batch(lane, requests, progress=heard.append)  # type: ignore[arg-type]
    assert [isinstance(one, OutputInvalid) for one in found] == [number % 5 == 2 for number in range(20)]
    assert isinstance(found[3], Completion) and found[3].text == "GOOD 3"
    assert len(heard) == 16


def test_a_batch_stops_at_the_cap_and_goes_on_where_it_stopped(house: House) -> None:
    engine = scripted("a", "yes")
    requests = [ask(f"document {number}", max_tokens=2, origin=Origin(run_id="r")) for number in range(30)]
    capped = house.lane(engine, prices=Prices(0, 1000), run=Caps(cost=0.01), concurrency=2)
    first = generate_batch(capped, requests)
    done = sum(isinstance(one, Completion) for one in first)
    assert 8 <= done < 30
    assert all(isinstance(one, Completion | BudgetExhausted) for one in first)
    again = generate_batch(house.lane(engine, prices=Prices(0, 1000), concurrency=2), requests)
    assert all(isinstance(one, Completion) for one in again)
    assert engine.calls == 30


class Together(ScriptedGenerator):
    """An engine that answers many at once."""

    sizes: ClassVar[list[int]] = []

    def generate_batch(
        self, requests: Sequence[GenerateRequest], limits: Limits, schemas: Sequence[Schema | None]
    ) -> list[Reply | InferenceError]:
        self.sizes.append(len(requests))
        if any("crash" in request.messages[-1].content for request in requests):
            raise EngineCrashed("it crashed")
        found: list[Reply | InferenceError] = []
        for request, schema in zip(requests, schemas, strict=True):
            try:
                found.append(self.generate(request, limits, schema))
            except InferenceError as error:
                found.append(error)
        return found


def test_an_engine_that_takes_many_at_once_gets_many_at_once(house: House) -> None:
    def script(number: int, request: Any) -> str | Exception:
        text = request.messages[-1].content
        return DOWN if "down" in text else "" if "empty" in text else text.upper()

    engine = Together("a", script)
    engine.sizes.clear()
    lane = house.lane(engine, scripted("b", "from b"), concurrency=8)
    requests = [ask(f"{word} {number}") for number, word in enumerate(["good"] * 18 + ["down", "empty"])]
    found = generate_batch(lane, requests)
    assert sorted(engine.sizes) == [4, 8, 8]
    texts = [one.text for one in found if isinstance(one, Completion)]
    assert texts == [f"GOOD {number}" for number in range(18)] + ["from b", "from b"]
    assert sum(1 for engine_, outcome in house.outcomes() if (engine_, outcome) == ("a", "ok")) == 18
    assert house.ledger.in_flight() == {}
    engine.sizes.clear()
    assert [one.text for one in generate_batch(lane, requests[:18]) if isinstance(one, Completion)] == texts[:18]
    assert engine.sizes == []  # all of them were there


def test_a_batch_whose_engine_crashes_is_asked_one_by_one(house: House) -> None:
    engine = Together("a", lambda number, request: request.messages[-1].content)
    found = generate_batch(house.lane(engine, concurrency=2), [ask("crash"), ask("good")])
    assert [one.text for one in found if isinstance(one, Completion)] == ["crash", "good"]
    assert house.outcomes()[:2] == [("a", "crashed"), ("a", "crashed")]


def test_a_batch_at_once_keeps_within_its_cap(house: House) -> None:
    engine = Together("a", lambda number, request: "yes")
    lane = house.lane(engine, prices=Prices(0, 1000), run=Caps(cost=0.01), concurrency=16)
    requests = [ask(f"document {number}", max_tokens=2, origin=Origin(run_id="r")) for number in range(30)]
    found = generate_batch(lane, requests)
    done = sum(isinstance(one, Completion) for one in found)
    assert 4 <= done <= 10
    assert house.ledger.spent("coder", "r").cost <= 0.01
    assert all(isinstance(one, Completion | BudgetExhausted) for one in found)


def test_a_cancelled_batch_ends_soon(house: House) -> None:
    cancellation = Cancellation()
    threading.Timer(0.15, cancellation.cancel).start()
    begin = time.monotonic()
    found = generate_batch(
        house.lane(ScriptedGenerator("a", delay=0.1)), [ask(f"x {n}") for n in range(200)], cancellation
    )
    assert time.monotonic() - begin < 2
    assert isinstance(found[-1], Cancelled)


def test_requests_that_begin_alike_follow_each_other() -> None:
    requests = [ask(f"{letter} {number}", system=f"you are {letter}") for number in range(3) for letter in "ab"]
    order = shared_prefix_order(requests)
    assert [requests[at].system for at in order] == ["you are a"] * 3 + ["you are b"] * 3
    assert shared_prefix_order([]) == []


# soak


def test_faults_lose_nothing_and_the_ledger_agrees_with_the_server(house: House, server: ScriptedServer) -> None:
    """A small soak; 2,000 calls are in the bench."""
    acts = (
        Act("status", status=500), Act("status", status=429), Act("half"), Act("not_json"), Act("wrong_json"),
        Act("empty"), Act("reasoning"), Act("cut"), Act("no_usage"),
    )  # fmt: skip
    server.script = faults(0.2, 1, acts)
    lane = house.lane(
        ChatServer("a", url=server.url, model="m", context=4096), scripted("b", '{"name": "fallback"}'), is_cached=False
    )
    lost: list[InferenceError] = []

    def work(thread: int) -> None:
        for number in range(25):
            request = ask(f"who is {thread} {number}?", schema=NAMED)
            try:
                if number % 5 == 0:
                    shown: list[str] = []
                    stream = lane.stream(replace(request, schema=None), on_restart=shown.clear)
                    shown.extend(stream)
                    assert stream.completion is not None
                    assert "".join(shown) == stream.completion.text
                else:
                    assert lane.generate(request).value["name"]
            except InferenceError as error:
                lost.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [row for row in house.ledger.undrained(10_000) if row["engine"] == "a"]
    assert len([row for row in rows if row["outcome"] != "unreachable"]) == server.calls
    exact = [row for row in rows if not row["is_estimated"]]
    assert sum(row["prompt_tokens"] for row in exact) == server.prompt_tokens
    assert sum(row["completion_tokens"] for row in exact) == server.completion_tokens
    answered = len([row for row in house.ledger.undrained(10_000) if row["outcome"] == "ok"])
    assert lost == []
    assert answered == 150


def test_a_dead_server_that_asks_for_no_pause_is_left_alone_all_the_same(house: House, server: ScriptedServer) -> None:
    server.script = lambda number, body: Act("status", status=503, headers={"Retry-After": "0"})
    lane = house.lane(ChatServer("local", url=server.url, model="m", context=4096))
    for _ in range(5):
        with pytest.raises(LaneDown):
            lane.generate(ask("x"))
    assert server.calls == 3


class _Fragile(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _breaks(cls, name: str) -> str:
        raise KeyError(name)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_reply_that_the_callers_own_check_breaks_on_is_written_down(house: House, is_streamed: bool) -> None:
    lane = house.lane(scripted("a", '{"name": "x"}'))
    with pytest.raises(KeyError):
        if is_streamed:
            list(lane.stream(ask("x", schema=_Fragile)))
        else:
            lane.generate(ask("x", schema=_Fragile))
    assert house.ledger.in_flight() == {}
    assert house.outcomes() == [("a", "invalid")]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_answer_that_was_paid_for_is_kept_where_the_ledger_fails_after_it(
    house: House, is_streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = scripted("a", "yes")
    lane = house.lane(engine)

    def full(*given: object) -> None:
        raise LedgerUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(house.ledger, "finish", full)
        with pytest.raises(LedgerUnavailable):
            list(lane.stream(ask("x"))) if is_streamed else lane.generate(ask("x"))
    assert lane.generate(ask("x")).is_cached
    assert engine.calls == 1


def test_a_schema_is_part_of_what_a_call_may_spend(house: House) -> None:
    engine = scripted("a", '"x"')
    lane = house.lane(engine, day=Caps(tokens=1000))
    wide = {"type": "string", "description": "many words " * 400}
    with pytest.raises(BudgetExhausted):
        lane.generate(ask("x", schema=wide, max_tokens=10))
    assert engine.calls == 0


def test_the_deadline_is_over_waiting_for_the_ledger_too(house: House) -> None:
    lane = house.lane(scripted("a", "yes"), deadline=0.4)
    lane.generate(ask("x"))
    other = sqlite3.connect(house.ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begin = time.monotonic()
    with pytest.raises(EngineTimeout):
        lane.generate(ask("another"))
    assert time.monotonic() - begin < 3
    other.close()


@pytest.mark.parametrize(
    "act", [Act("status", status=500, text="you asked: my secret"), Act("status", status=500, text="a \"secret's")]
)
def test_what_a_server_says_is_not_in_the_ledger(house: House, server: ScriptedServer, act: Act) -> None:
    server.script = lambda number, body: act
    with pytest.raises(LaneDown):
        house.lane(ChatServer("local", url=server.url, model="m", context=4096)).generate(ask("my secret"))
    why = house.ledger.breakers()["local"].why
    assert "answered 500; remedy" in why
    assert "secret" not in why


def test_an_answer_that_is_none_is_not_in_the_error(house: House) -> None:
    lane = house.lane(scripted("a", '{"name": ["my secret"]}'))
    with pytest.raises(OutputInvalid, match="name: it does not fit") as caught:
        lane.generate(ask("x", schema=NAMED))
    assert "secret" not in str(caught.value)

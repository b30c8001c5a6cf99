"""What calls of models leave in logs and traces: who, where, how long, how it ended; never what was asked or answered."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from inference import tracing
from inference.engines.scripted import ScriptedGenerator
from inference.errors import EngineUnavailable
from inference.generation.lane import GenerateLane
from inference.generation.ledger import Ledger
from inference.generation.spec import EngineSpec, LaneSpec
from inference.requests import Origin, ask
from resources import logs

ORIGIN = Origin("room", "run-1", "notes", "ab" * 16)


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[GenerateLane]:
    def script(number: int, request: object) -> str | Exception:
        return EngineUnavailable("down", is_transient=True) if number == 0 else "the secret answer"

    ledger = Ledger(tmp_path / "calls.sqlite")
    spec = LaneSpec("coder", (EngineSpec("a", "a"),))
    yield GenerateLane(spec, [ScriptedGenerator("a", script)], ledger, chance=lambda: 0.0)
    ledger.close()


def test_spans_of_a_run_are_one_trace(lane: GenerateLane, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    lane.generate(ask("the secret question", origin=ORIGIN))
    failed, good = exporter.get_finished_spans()
    assert {one.context.trace_id for one in (failed, good) if one.context} == {int("ab" * 16, 16)}
    assert failed.attributes is not None and good.attributes is not None
    assert failed.attributes["error.type"] == "unavailable"
    assert not failed.status.is_ok
    assert (good.name, good.attributes["gen_ai.usage.output_tokens"], good.attributes["cortex.lane"]) == (
        "chat a",
        3,
        "coder",
    )
    assert good.start_time is not None and good.end_time is not None and good.start_time <= good.end_time
    assert "secret" not in failed.to_json() + good.to_json()


def test_nothing_is_traced_unless_asked(lane: GenerateLane, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    tracing.span("x", 0.0, 1.0, {})
    assert len(exporter.get_finished_spans()) == 1
    tracing.disable()
    tracing.span("x", 0.0, 1.0, {})
    assert lane.generate(ask("x", origin=ORIGIN)).text
    assert len(exporter.get_finished_spans()) == 1


def test_an_odd_trace_id_makes_a_trace_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    for odd in ("", "x" * 32, "0" * 32, "ab"):
        tracing.span("x", 1.0, 2.0, {}, odd)
    assert len({one.context.trace_id for one in exporter.get_finished_spans() if one.context}) == 4


def test_log_lines_are_json_with_who_and_where(lane: GenerateLane, capsys: pytest.CaptureFixture[str]) -> None:
    logger, stream = logging.getLogger("cortex"), io.StringIO()
    kept = [(logging.getLogger(name), logging.getLogger(name).level) for name in logs.OWN]
    try:
        logs.configure("text")
        assert not logger.handlers
        logs.configure("json")
        logs.configure("json")
        [handler] = logger.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        lane.generate(ask("the secret question", origin=ORIGIN))
        logger.warning("odd\nline %s", "x")
    finally:
        for one, level in kept:
            one.handlers.clear()
            one.setLevel(level)
            one.propagate = True
    failed, good, odd = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (failed["outcome"], good["outcome"], odd["message"]) == ("unavailable", "ok", "odd\nline x")
    assert (good["trace_id"], good["run_id"], good["shard"], good["lane"], good["engine"]) == (
        "ab" * 16,
        "run-1",
        "notes",
        "coder",
        "a",
    )
    assert good["completion_tokens"] == 3
    assert "secret" not in stream.getvalue()

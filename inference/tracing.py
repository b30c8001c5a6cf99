"""Spans around calls of models (OpenTelemetry), off unless ``enable`` was called. No prompt and no answer is in one.

Names and attributes are those of the semantic conventions for generative AI. Where spans go is the OpenTelemetry SDK's own
configuration (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like).
"""

import logging
import secrets
import string
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = "cortex"
_tracer: Any = None
_log = logging.getLogger("cortex.inference")


def enable() -> bool:
    """Begin to trace; says whether it does. A provider that the process set up already is kept, else one that exports by OTLP is made.

    Without the packages (extra ``trace``) a warning is logged and nothing is traced.
    """
    global _tracer
    if _tracer is not None:
        return True
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        if not isinstance(trace.get_tracer_provider(), TracerProvider):
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            provider = TracerProvider(resource=Resource.create({"service.name": _NAME}))
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            trace.set_tracer_provider(provider)
    except ImportError as error:
        _log.warning("nothing is traced: %s; remedy: pip install 'cortex-lakehouse[trace]'", error)
        return False
    _tracer = trace.get_tracer(_NAME)
    return True


def disable() -> None:
    """End it (tests)."""
    global _tracer
    _tracer = None


def span(
    name: str, begun: float, ended: float, attributes: Mapping[str, Any], trace_id: str = "", error: str = ""
) -> None:
    """A span that is over; nothing where tracing is off.

    Args:
        name: such as ``chat qwen3``.
        begun: unix seconds.
        ended: unix seconds.
        attributes: plain values.
        trace_id: 32 hexadecimal digits that group spans; anything else = a trace of its own.
        error: the outcome of a call that failed; empty = it did not.
    """
    if _tracer is None:
        return
    from opentelemetry import trace

    one = _tracer.start_span(
        name,
        context=_parent(trace_id),
        kind=trace.SpanKind.CLIENT,
        attributes=dict(attributes),
        start_time=int(begun * 1e9),
    )
    if error:
        one.set_attribute("error.type", error)
        one.set_status(trace.StatusCode.ERROR)
    one.end(int(ended * 1e9))


def _parent(trace_id: str) -> Any:
    """The context of a trace; None where the id is none."""
    from opentelemetry import trace

    if len(trace_id) != 32 or set(trace_id) - set(string.hexdigits) or not int(trace_id, 16):
        return None
    found = trace.SpanContext(
        int(trace_id, 16),
        secrets.randbits(64) | 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(found))

"""The table of calls of models: what was asked of which engine, how it ended, what it took. No prompt and no answer is in it."""

import dataframely as dy

from cortex_assets.tables import Kind, TableSpec

OUTCOMES = (
    "ok", "cached", "invalid", "garbled", "withheld", "timeout", "unreachable", "unavailable", "refused", "rate_limited",
    "quota", "too_long", "crashed", "cancelled", "failed", "lost",
)  # fmt: skip


class ModelCalls(dy.Schema):
    """One call of one engine: retries, streams, failures and answers from the cache each have a row. Append-only."""

    call_id = dy.String()
    request_id = dy.String(metadata={"doc": "the same for all calls of a request"})
    lane = dy.String()
    engine = dy.String(metadata={"doc": "as it is called in inference.yaml"})
    model = dy.String()
    digest = dy.String(metadata={"doc": "identity of the model"})
    caller = dy.String(metadata={"doc": "room or command that asked"})
    run_id = dy.String()
    shard = dy.String()
    trace_id = dy.String()
    machine = dy.String(metadata={"doc": "that it was made on; empty where only one writes the lake"})
    attempt = dy.Int64(min=1, metadata={"doc": "of its request, from 1"})
    is_streamed = dy.Bool()
    started_at = dy.Datetime(time_zone="UTC")
    outcome = dy.String(
        regex=f"^({'|'.join(OUTCOMES)})$",
        metadata={
            "doc": "invalid: an answer that is none; unreachable, cached: no engine saw it; lost: its process ended first"
        },
    )
    seconds = dy.Float64(min=0)
    first_token_seconds = dy.Float64(min=0, nullable=True, metadata={"doc": "null where that cannot be seen"})
    prompt_tokens = dy.Int64(min=0)
    completion_tokens = dy.Int64(min=0)
    cached_tokens = dy.Int64(min=0, metadata={"doc": "of the prompt, those that the engine had read before"})
    is_estimated = dy.Bool(metadata={"doc": "the engine reported no tokens, or the call broke off"})
    cost = dy.Float64(min=0, metadata={"doc": "by the configured prices; 0 of cached ones"})


MODEL_CALLS = TableSpec("ops/model_calls", Kind.OPS, ModelCalls, ("call_id",))

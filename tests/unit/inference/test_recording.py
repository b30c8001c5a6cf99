"""Calls of servers that embed and rerank are in the ledger, too: exactly as many as the server got."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.engines.scripted_server import ScriptedServer
from inference.errors import EngineRefused, EngineUnavailable
from inference.generation.ledger import Ledger
from inference.generation.recording import Recorder, Told
from inference.lanes import EngineConfig, load_embedder, parse_engine
from inference.models import ModelPlaces
from inference.reranking import reranker_of


@pytest.fixture
def here(tmp_path: Path, places: ModelPlaces) -> ModelPlaces:
    return dataclasses.replace(places, calls=tmp_path / "calls.sqlite")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def test_an_embedding_server_is_written_down_call_by_call(here: ModelPlaces, server: ScriptedServer) -> None:
    config = parse_engine(f"openai:scripted@{server.url}#8", "test")
    vectors = load_embedder(config, here, bulk=True).embed_batch([f"text {number}" for number in range(100)])
    assert vectors.shape == (100, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert here.calls is not None
    ledger = Ledger(here.calls)
    rows = ledger.undrained(9)
    assert [(row["lane"], row["outcome"], row["is_estimated"]) for row in rows] == [("embed", "ok", 1)] * 2
    assert sum(row["prompt_tokens"] for row in rows) == 200
    assert rows[0]["engine"] == f"scripted@{server.url.split('/')[2]}"
    ledger.close()


def test_a_server_that_is_away_is_written_down_as_often_as_it_was_tried(here: ModelPlaces) -> None:
    with ScriptedServer() as gone:
        url = gone.url
    reranker = reranker_of(f"rerank:m@{url}", here, EngineConfig())
    assert reranker is not None
    with pytest.raises(EngineUnavailable):
        reranker.score_batch("a question", ["a text"])
    assert here.calls is not None
    ledger = Ledger(here.calls)
    [row] = ledger.undrained(9)
    assert (row["lane"], row["outcome"], row["prompt_tokens"]) == ("rerank", "unreachable", 0)
    ledger.close()


def test_what_a_server_reports_is_exact(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "calls.sqlite")
    recorder = Recorder(ledger, lane="embed", engine="e", model="m", digest="d", patience=9)
    with recorder.call(50) as told:
        told.hear(b'{"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}')
    with pytest.raises(EngineRefused), recorder.call(50):
        raise EngineRefused("no", 500)
    with pytest.raises(KeyboardInterrupt), recorder.call(50):
        raise KeyboardInterrupt
    told_of = [(row["outcome"], row["prompt_tokens"], row["is_estimated"]) for row in ledger.undrained(9)]
    assert told_of == [("ok", 7, 0), ("refused", 0, 0), ("cancelled", 50, 1)]
    assert ledger.in_flight() == {}
    assert ledger.breakers() == {}
    ledger.close()


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        (b'{"usage": {"prompt_tokens": 12}, "data": [' + b"0.1, " * 5000 + b"0]}", 12),
        (b'{"data": [' + b"0.1, " * 5000 + b'0], "usage": {"total_tokens": 13}}', 13),
        (b"{}", 5),
        (b"", 5),
    ],
)
def test_reported_tokens_stand_at_either_end(reply: bytes, tokens: int) -> None:
    told = Told(5)
    told.hear(reply)
    assert (told.tokens, told.is_estimated) == (tokens, tokens == 5)

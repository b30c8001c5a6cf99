"""The lanes of models: is ``inference.yaml`` right, does each engine answer, does it write JSON under a schema.

Each engine is really asked, for one short answer, through a lane of its own: the ledger knows of it, and a breaker that is open
stays so. Local models run in child processes, so one that crashes takes nothing down.
"""

from collections.abc import Iterator

from apps.doctor.children import child_line
from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from inference.errors import ConfigInvalid, InferenceError, OutputInvalid
from inference.generation.building import Lanes
from inference.generation.lane import GenerateLane
from inference.generation.spec import EngineSpec, LaneSpec
from inference.requests import Origin, ask
from resources.inference import configured, open_lanes, rerank_model
from resources.settings import Settings

AREA = "lanes"
SECONDS = 60.0
_SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
_RERANK = """
from inference.lanes import parse_engine
from inference.models import ModelPlaces
from inference.reranking import reranker_of
from resources.inference import embed_models, rerank_model
from resources.settings import load_settings
s = load_settings()
places = ModelPlaces(s.models, s.cache, s.embed_key, s.calls)
judge = reranker_of(rerank_model(s), places, parse_engine(embed_models(s)[0], "embed lane"), s.rerank_key)
print(*(f"{score:.3g}" for score in judge.score_batch("Is it there?", ["It is there.", "Fish swim."])))
"""
_ORIGIN = Origin(caller="doctor")


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Look at every engine that is configured."""
    try:
        found = configured(settings)
    except ConfigInvalid as error:
        yield Diagnosis(AREA, "inference.yaml", BAD, str(error)[:500], "correct it: docs/configuration.md")
        return
    if (reranker := rerank_model(settings)) != "none":
        yield _reranker(settings, reranker)
    if not found.engines:
        yield Diagnosis(AREA, "generators", GOOD, "none is configured: everything works without")
        return
    lanes = open_lanes(settings)
    try:
        for spec in found.engines.values():
            yield from probe(lanes, spec)
    finally:
        lanes.close()


def _reranker(settings: Settings, model: str) -> Diagnosis:
    """Have it judge two texts, in a process of its own."""
    answer, error = child_line(_RERANK, settings.data_dir)
    if error:
        return Diagnosis(
            AREA, "reranker", WARNING, f"{model}: {error}"[:500], "searches go on without it; see the message"
        )
    return Diagnosis(AREA, "reranker", GOOD, f"{model}: judged two texts {answer}")


def probe(lanes: Lanes, spec: EngineSpec) -> Iterator[Diagnosis]:
    """Ask one engine for a word, and for JSON."""
    alone = LaneSpec("doctor", (spec,), deadline=SECONDS, attempts=1, is_cached=False)
    lane = GenerateLane(alone, [lanes.engine(spec)], lanes.ledger)
    name = f"engine {spec.name}"
    try:
        said = lane.generate(ask("Say ok.", max_tokens=8, origin=_ORIGIN))
    except InferenceError as error:
        tried = getattr(error, "attempts", ())
        what, _, remedy = (tried[-1].message if tried else str(error)).rpartition("remedy: ")
        detail = f"{spec.model}: {what.rstrip('; ') or remedy}"[:500]
        yield Diagnosis(AREA, name, WARNING, detail, remedy if what else "see the message; other engines stand in")
        return
    counted = "tokens are estimated" if said.usage.is_estimated else "tokens are reported"
    detail = f"{spec.model}: answers in {said.latency:.2g} s, reads {lanes.engine(spec).context:,} tokens, {counted}"
    yield Diagnosis(AREA, name, GOOD, detail)
    try:
        lane.generate(ask('Is 1 + 1 = 2? Answer {"ok": true}.', schema=_SCHEMA, max_tokens=64, origin=_ORIGIN))
    except OutputInvalid as error:
        remedy = "a server with guided JSON (guided: json_schema), or a larger model"
        yield Diagnosis(AREA, f"{name}, JSON", WARNING, f"{spec.model}: {error.attempts[-1].message}"[:500], remedy)
    except InferenceError as error:
        yield Diagnosis(AREA, f"{name}, JSON", WARNING, f"{spec.model}: {error}"[:500], "see the message")
    else:
        yield Diagnosis(AREA, f"{name}, JSON", GOOD, f"{spec.model}: writes what a schema asks for")

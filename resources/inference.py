"""The lanes of a data folder: ``inference.yaml``, the environment, the ledger of calls and the cache of answers, put together.

What a lane does is ``inference.generation``'s. Its modules are imported late: most commands ask no model.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from inference.errors import ConfigInvalid
from inference.models import ModelPlaces
from resources.settings import Settings, named_secret

if TYPE_CHECKING:
    from inference.generation.building import Lanes
    from inference.generation.spec import Configuration

_MOST_BYTES: Final = 1_000_000
_LANES: Final = {"embed": "embed", "code": "code_embed", "code_embed": "code_embed"}


def configured(settings: Settings, variables: Mapping[str, str] | None = None) -> "Configuration":
    """What ``inference.yaml`` and the environment say.

    Args:
        settings: of the data folder.
        variables: instead of the environment's ``CORTEX_LANE_*`` (tests).

    Raises:
        ConfigInvalid: the first thing that is wrong, with the line and the remedy.
    """
    from inference.generation.configuration import read_configuration

    file = settings.inference_file
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ConfigInvalid(f"{file}: is larger than {_MOST_BYTES:,} bytes; is it the right file?")
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if settings.inference is not None:
            raise ConfigInvalid(f"{file}: is not there; remedy: correct CORTEX_INFERENCE") from None
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file}: cannot be read ({type(error).__name__}); make it a UTF-8 file of yours") from None
    said = dict(settings.lane_variables) if variables is None else variables
    return read_configuration(text, str(file), said, named_secret)


def open_lanes(settings: Settings) -> "Lanes":
    """The lanes of a data folder that generate; close them at the end. Nothing is loaded and nobody is asked yet.

    Raises:
        ConfigInvalid: the configuration is wrong.
    """
    from inference.generation.building import Lanes
    from inference.generation.cache import CompletionCache
    from inference.generation.ledger import Ledger

    if settings.is_traced:
        from inference.tracing import enable

        enable()
    places = ModelPlaces(settings.models, settings.cache)
    return Lanes(configured(settings), Ledger(settings.calls), CompletionCache(settings.completions), places)


def embed_models(settings: Settings, lane: str = "embed") -> tuple[str, ...]:
    """Names of the models of an embed lane in the order of preference: what the environment says, else the file, else the default.

    Args:
        settings: of the data folder.
        lane: ``embed``, or ``code`` or ``code_embed``, which is the first where nothing is said of it.

    Raises:
        ConfigInvalid: the configuration is wrong.
    """
    if not settings.inference_file.exists() and not settings.lane_variables:
        return (settings.embed,)
    found = configured(settings)
    own = found.code_embed if _LANES[lane] == "code_embed" else ()
    if own:
        return tuple(engine.model for engine in own)
    if "CORTEX_EMBED" in settings.said or not found.embed:
        return (settings.embed,)
    return tuple(engine.model for engine in found.embed)


def rerank_model(settings: Settings) -> str:
    """What judges the first of a ranking once more: what the environment says, else the file, else ``none``.

    Raises:
        ConfigInvalid: the configuration is wrong.
    """
    if "CORTEX_RERANK" in settings.said or not (settings.inference_file.exists() or settings.lane_variables):
        return settings.rerank
    return configured(settings).rerank or settings.rerank

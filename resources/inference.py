"""The lanes of a data folder: ``inference.yaml``, the environment, the ledger of calls and the cache of answers, put together.

What a lane does is ``inference.generation``'s.
"""

from collections.abc import Mapping

from inference.errors import ConfigInvalid
from inference.generation.building import Lanes
from inference.generation.cache import CompletionCache
from inference.generation.configuration import read_configuration
from inference.generation.ledger import Ledger
from inference.generation.spec import Configuration
from inference.models import ModelPlaces
from resources.settings import Settings, named_secret

_MOST_BYTES = 1_000_000


def configured(settings: Settings, variables: Mapping[str, str] | None = None) -> Configuration:
    """What ``inference.yaml`` and the environment say.

    Args:
        settings: of the data folder.
        variables: instead of the environment's ``CORTEX_LANE_*`` (tests).

    Raises:
        ConfigInvalid: the first thing that is wrong, with the line and the remedy.
    """
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


def open_lanes(settings: Settings) -> Lanes:
    """The lanes of a data folder; close them at the end. Nothing is loaded and nobody is asked yet.

    Raises:
        ConfigInvalid: the configuration is wrong.
    """
    places = ModelPlaces(settings.models, settings.cache)
    return Lanes(configured(settings), Ledger(settings.calls), CompletionCache(settings.completions), places)

"""Text in pictures, read by RapidOCR (offline, models in its wheel) where the ``ocr`` extra is installed.

Runs in a child process only: decoding pictures and the engine are native code. Which pictures are worth it, and
rendering pages to pictures, do not belong here.
"""

import io
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

MAX_PIXELS = 60_000_000
"""Larger pictures are not decoded; at three bytes a pixel this is 180 MB."""
MISSING = "text in the picture is not read: install the ocr extra (pip install 'cortex-lakehouse[ocr]')"
_SIDE = 1600
"""At 2,000 the engine took more than the gigabyte that a child process has."""


@cache
def is_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("rapidocr") is not None


def ocr_image(image: bytes) -> str | None:
    """Text in a picture, a line each, from top to bottom; empty where there is none.

    Returns:
        None where nothing can be said: the extra is not installed, the picture is damaged or too large, or the engine
        failed.
    """
    if not is_available():
        return None
    picture = _decoded(image)
    if picture is None:
        return None
    try:
        found = _engine()(picture)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the engine wraps what its runtime raises; the picture's metadata are still read
        return None
    lines = [" ".join(str(line).split()) for line in (getattr(found, "txts", None) or ())]
    return "\n".join(line for line in lines if line)


def _decoded(image: bytes) -> Any:
    """The picture upright, in colour, no larger than the engine looks at; None where it cannot be decoded."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(image)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                picture.draft("RGB", (_SIDE, _SIDE))
                picture.thumbnail((_SIDE, _SIDE))
                upright = ImageOps.exif_transpose(picture)
                flat = Image.new("RGB", upright.size, "white")
                coloured = upright.convert("RGBA")
                flat.paste(coloured, mask=coloured)
                return flat
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError):
        return None


@cache
def _engine() -> Any:
    """The engine with its models loaded (1 s); one thread, so that the same picture gives the same text."""
    from rapidocr import RapidOCR

    options = "EngineConfig.onnxruntime"
    threads = {f"{options}.intra_op_num_threads": 1, f"{options}.inter_op_num_threads": 1}
    return RapidOCR(params={"Global.log_level": "critical", **threads})

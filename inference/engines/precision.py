"""What this machine's processors are good at, and which device and precision the torch encoder should use: by asking, then trying.

bf16 pays only where the processor multiplies it natively; elsewhere it is several times slower than float32. So flags
decide whether to try, and a short trial on the real weights decides whether to use it.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from inference.errors import EngineUnavailable
from inference.protocols import Floats, Ints

_NATIVE_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
_TRIAL_TEXTS: Final = 8
_TRIAL_TOKENS: Final = 126
LEAST_COSINE: Final = 0.999

Encode = Callable[[list[Ints]], Floats]


def choose_device(wanted: str = "auto") -> str:
    """``cuda`` (NVIDIA, or AMD through ROCm) when torch sees one, else ``cpu``; a name other than ``auto`` is checked.

    Raises:
        EngineUnavailable: the named device is not there.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise EngineUnavailable(
            f"device {wanted} is configured but torch {torch.__version__} sees none; "
            "install the CUDA or ROCm build of torch, or set device: cpu"
        )
    return wanted


def has_native_bf16(cpu_flags: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor says it multiplies bf16 (AMX, AVX512-BF16, or ARM's bf16)."""
    return not _NATIVE_FLAGS.isdisjoint(_flags(cpu_flags))


def _flags(cpu_flags: Path) -> set[str]:
    """What the processor says it can do; empty where the system does not tell."""
    try:
        text = cpu_flags.read_text("utf-8", errors="replace")
    except OSError:
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def is_worth_bf16(plain: Encode, short: Encode, vocabulary: int) -> bool:
    """Try both encoders on the same fixed ids: bf16 must agree (cosine >= .999) and be faster.

    Args:
        plain: embeds ids in float32.
        short: embeds ids in bf16.
        vocabulary: ids are below this number.
    """
    generator = np.random.default_rng(0)
    ids = [generator.integers(0, vocabulary, _TRIAL_TOKENS, dtype=np.int32) for _ in range(_TRIAL_TEXTS)]
    (exact, slow), (rounded, fast) = _timed(plain, ids), _timed(short, ids)
    cosines = np.sum(exact * rounded, axis=1)
    return bool(cosines.min() >= LEAST_COSINE) and fast < slow


def _timed(encode: Encode, ids: list[Ints]) -> tuple[Floats, float]:
    """Vectors and the better time of two runs, in seconds; the first also warms up."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        vectors = encode(ids)
        best = min(best, time.perf_counter() - start)
    return vectors, best

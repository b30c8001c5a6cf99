"""The machine: interpreter, processor, memory, compiled parts, graphics cards. Nothing heavy is imported into this process."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from apps.doctor import cards
from apps.doctor.children import child_line
from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from resources.inference import embed_models
from resources.settings import Settings

AREA = "machine"
ROOT = Path(__file__).resolve().parents[2]
FITTING = ((3, 11), (3, 14))
LEAST_MEMORY = 4 * 10**9
ENGINES = ("dagster", "deltalake", "polars", "pyarrow", "qdrant-edge-py", "streamlit", "torch", "duckdb")
COMPILED = (
    "inference/_wordpiece",
    "inference/_encoder",
    "cortex_assets/retrieval/_terms",
    "cortex_assets/chunks/_cut",
    "cortex_assets/documents/_keywords",
    "cortex_assets/documents/parsers/_pdf_read",
)
_PROBE = """
from inference.lanes import Lane, load_embedder, parse_engine, resolve
from inference.models import ModelPlaces
from resources.inference import embed_models
from resources.settings import load_settings
s = load_settings()
places = ModelPlaces(s.models, s.cache, s.embed_key, s.calls)
found = resolve(Lane("LANE", tuple(parse_engine(one, "LANE lane") for one in embed_models(s, "LANE"))), places)
engine = load_embedder(found.engines[0], places, bulk=BULK)
v = engine.embed_batch(["Is the engine there?"])
print(found.engines[0].model, v.shape[1], engine.precision)
"""


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Look at the machine."""
    yield _interpreter()
    yield _processor()
    yield _memory()
    yield _versions()
    yield _compiled()
    yield from cards.examine()
    yield probe_embedder(settings, bulk=False)
    yield probe_embedder(settings, bulk=True)
    if embed_models(settings, "code_embed") != embed_models(settings):
        yield probe_embedder(settings, bulk=True, lane="code_embed")


def _interpreter() -> Diagnosis:
    found = sys.version_info[:2]
    detail = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if FITTING[0] <= found < FITTING[1]:
        return Diagnosis(AREA, "interpreter", GOOD, detail)
    return Diagnosis(
        AREA, "interpreter", BAD, detail, "use Python 3.11, 3.12 or 3.13: make clean; make setup PYTHON=..."
    )


def _processor() -> Diagnosis:
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        words = set()
    found = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in words]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Diagnosis(AREA, "processor", GOOD, f"{cores} cores; {', '.join(found) or 'no vector units that count'}")


def _memory() -> Diagnosis:
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    if memory.available < LEAST_MEMORY / 2:
        return Diagnosis(AREA, "memory", WARNING, detail, "close something, or set CORTEX_WORKERS=1")
    return Diagnosis(AREA, "memory", GOOD, detail)


def _versions() -> Diagnosis:
    """Installed releases against the lock file."""
    pins = dict(
        line.split(";")[0].strip().split("==")
        for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    missing, other = [], []
    for name, pinned in pins.items():
        try:
            found = version(name.partition("[")[0])
        except PackageNotFoundError:
            missing.append(name)
            continue
        if found.partition("+")[0] != pinned:
            other.append(f"{name} {found} instead of {pinned}")
    shown = ", ".join(f"{name} {version(name)}" for name in ENGINES if name not in missing)
    if missing or other:
        return Diagnosis(
            AREA, "versions", BAD, "; ".join([*(f"{n} is missing" for n in missing), *other])[:500], "make setup"
        )
    return Diagnosis(AREA, "versions", GOOD, shown)


def _compiled() -> Diagnosis:
    lacking = [name for name in COMPILED if not list((ROOT / name).parent.glob(f"{Path(name).name}*.so"))]
    if lacking:
        return Diagnosis(
            AREA, "compiled parts", BAD, f"not built: {', '.join(lacking)}", "make setup (a C++ compiler is needed)"
        )
    return Diagnosis(AREA, "compiled parts", GOOD, f"{len(COMPILED)} built")


def probe_embedder(settings: Settings, bulk: bool, lane: str = "embed") -> Diagnosis:
    """Embed one sentence in a process of its own: an engine that crashes takes only that down."""
    name = "embedder for code" if lane != "embed" else "embedder for imports" if bulk else "embedder for questions"
    answer, error = child_line(_PROBE.replace("BULK", str(bulk)).replace("LANE", lane), settings.data_dir)
    if error:
        said = f"{', '.join(embed_models(settings, lane))}: {error}"[:500]
        return Diagnosis(AREA, name, BAD, said, "make setup, or another model: CORTEX_EMBED, inference.yaml")
    model, dimensions, precision = answer.rsplit(" ", 2)
    return Diagnosis(AREA, name, GOOD, f"{model}: {dimensions} dimensions, {precision}")

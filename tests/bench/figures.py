"""What a benchmark says: figures with their targets, and the machine they were measured on. Nothing here measures.

Times depend on the machine: each is shown with the load it met, and compared with the floor that ran in the same call.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        name: what it is.
        value: the number; None where it was not measured, and ``note`` says why.
        unit: s, MB, bytes per byte, x, ms, share.
        target: what it must reach; None where it is only told.
        is_most: the target is an upper bound (True) or a lower one.
        note: how it came about.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    is_most: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none or nothing was measured."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.is_most else self.value >= self.target

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        value = None if self.value is None else round(self.value, 4)
        bound = None if self.target is None else f"{'<=' if self.is_most else '>='} {self.target:g}"
        return {
            "name": self.name,
            "value": value,
            "unit": self.unit,
            "target": bound,
            "met": self.met,
            "note": self.note,
        }


@dataclass(slots=True)
class Part:
    """The outcome of one part: its figures, what else is worth keeping, and why it was skipped (empty = it ran)."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"figures": [figure.to_dict() for figure in self.figures]}


def machine() -> dict[str, Any]:
    """Cores, memory, CPU features that count here, load and versions; no names."""
    from importlib.metadata import version

    flags = _first_line("/proc/cpuinfo", "flags").split()
    memory = int(_first_line("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    packages = ("polars", "deltalake", "qdrant-edge-py", "dagster", "torch")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory),
        "features": [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags],
        "python": platform.python_version(),
        "load": load(),
        "packages": {name: version(name) for name in packages},
    }


def load() -> list[float]:
    """Load averages of 1, 5 and 15 minutes: above the number of cores, times say little."""
    return [round(value, 2) for value in os.getloadavg()]


def ratio(mine: float, other: Mapping[str, Any] | float) -> float:
    """How many times ``other``; both measured in the same call."""
    base = other if isinstance(other, (int, float)) else float(other["seconds"])
    return mine / base if base else float("inf")


def _first_line(path: str, start: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith(start):
            return line.partition(":")[2].strip()
    return ""

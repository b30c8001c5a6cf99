"""Numbers as Prometheus reads them: text exposition format 0.0.4. Pure; which numbers there are is ``metering``'s.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name.

    Attributes:
        name: of the metric; a counter's ends in ``_total``.
        kind: ``counter`` or ``gauge``.
        told: what it counts, in which unit and over which window.
        values: labels, always the same ones in the same order, to the number.
    """

    name: str
    kind: str
    told: str
    values: Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Observed:
    """What fell into the buckets of a histogram, for one set of labels.

    Attributes:
        within: for each bound, how many were no greater.
        count: how many there were.
        total: of all values.
    """

    within: tuple[int, ...]
    count: int
    total: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A distribution.

    Attributes:
        name: of the metric.
        told: as for a ``Family``.
        bounds: ascending, without infinity.
        values: labels to what was observed.
    """

    name: str
    told: str
    bounds: tuple[float, ...]
    values: Mapping[Labels, Observed] = field(default_factory=dict)


def text(families: Sequence[Family | Histogram]) -> str:
    """The whole answer; a family without a number is left out."""
    return "".join(line + "\n" for family in families if family.values for line in _lines(family))


def _lines(family: Family | Histogram) -> Iterator[str]:
    kind = "histogram" if isinstance(family, Histogram) else family.kind
    yield f"# HELP {family.name} {_escaped(family.told)}"
    yield f"# TYPE {family.name} {kind}"
    if isinstance(family, Family):
        for labels, value in family.values.items():
            yield f"{family.name}{_shown(labels)} {number(value)}"
        return
    for labels, seen in family.values.items():
        buckets = [*zip(family.bounds, seen.within, strict=True), (math.inf, seen.count)]
        for bound, within in buckets:
            yield f"{family.name}_bucket{_shown((*labels, ('le', number(bound))))} {within}"
        yield f"{family.name}_sum{_shown(labels)} {number(seen.total)}"
        yield f"{family.name}_count{_shown(labels)} {seen.count}"


def number(value: float) -> str:
    """A number as Go reads it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def _shown(labels: Labels) -> str:
    said = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)
    return f"{{{said}}}" if said else ""


def _escaped(told: str) -> str:
    return told.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')

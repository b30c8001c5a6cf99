"""Least-squares fit of tidal constituents, and the surge: what is left when the tide is taken away."""

from dataclasses import dataclass
from math import atan2, cos, hypot, radians, sin

SPEEDS = {"M2": 28.9841042, "S2": 30.0, "N2": 28.4397295, "K1": 15.0410686, "O1": 13.9430356}
"""Degrees an hour."""


@dataclass(frozen=True)
class Constituent:
    """One tide wave: amplitude in millimetres, phase in degrees."""

    name: str
    amplitude: float
    phase: float

    def height(self, hours: float) -> float:
        """Millimetres above mean level at a time in hours."""
        return self.amplitude * cos(radians(SPEEDS[self.name] * hours - self.phase))


def predict(mean: float, constituents: list[Constituent], hours: float) -> float:
    """Predicted level in millimetres above chart datum."""
    return mean + sum(wave.height(hours) for wave in constituents)


def surge(observed: float, mean: float, constituents: list[Constituent], hours: float) -> float:
    """Observed minus predicted: positive when wind and low pressure pile the water up."""
    return observed - predict(mean, constituents, hours)


def fit_one(name: str, samples: list[tuple[float, float]]) -> Constituent:
    """Amplitude and phase of one constituent from (hours, level) samples whose mean was removed."""
    cosines = sum(level * cos(radians(SPEEDS[name] * hours)) for hours, level in samples)
    sines = sum(level * sin(radians(SPEEDS[name] * hours)) for hours, level in samples)
    scale = 2.0 / len(samples)
    a, b = cosines * scale, sines * scale
    degrees = atan2(b, a) * 57.29577951308232
    return Constituent(name, hypot(a, b), degrees % 360.0)

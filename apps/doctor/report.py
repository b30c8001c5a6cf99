"""What ``cortex doctor`` finds: values only."""

from dataclasses import dataclass

GOOD, WARNING, BAD = "ok", "warning", "bad"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        area: ``machine``, ``data``, ``sources``, ``lake``, ``lanes``, ``models`` or ``up``.
        name: what was looked at.
        state: ``ok``, ``warning`` (it works, and could work better) or ``bad``.
        detail: what was seen.
        remedy: what to do; empty where all is well.
    """

    area: str
    name: str
    state: str
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Everything that was looked at."""

    diagnoses: tuple[Diagnosis, ...]
    seconds: float

    @property
    def is_well(self) -> bool:
        """Nothing is bad."""
        return all(diagnosis.state != BAD for diagnosis in self.diagnoses)

"""What ``apps.reader.alerts`` gives back: alerts as frozen values, for a page, ``cortex status`` and ``--json``."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AlertLine:
    """Something that a person must look at.

    Attributes:
        name: ``growth``, ``failures``, ``freshness``, ``disk``, ``soundness`` or ``webhooks``.
        corpus: whose it is; empty for the whole lake.
        severity: ``error`` or ``warning``.
        detail: what is wrong and what to do.
        since: when it was noticed (UTC); None where nobody has looked before.
    """

    name: str
    corpus: str
    severity: str
    detail: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertsReport:
    """Every alert that fires now, errors first."""

    alerts: tuple[AlertLine, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing fires."""
        return not self.alerts

"""Everything that ``cortex doctor`` looks at, in order. A look that fails is itself a finding, and the others go on."""

import time
from collections.abc import Callable, Iterator

from apps.doctor.report import BAD, Diagnosis, DoctorReport
from resources.settings import Settings


def examine(settings: Settings) -> DoctorReport:
    """Look at machine, data folder and lake; writes no row."""
    from apps.doctor import data, lake, lanes, machine, store

    begin = time.perf_counter()
    found: list[Diagnosis] = []
    looks: tuple[tuple[str, Callable[[Settings], Iterator[Diagnosis]]], ...] = (
        ("machine", machine.examine),
        ("data", data.examine),
        ("lake", store.examine),
        ("lake", lake.examine),
        (lanes.AREA, lanes.examine),
    )
    for area, look in looks:
        try:
            found.extend(look(settings))
        except Exception as error:  # noqa: BLE001 (whatever it is, that is what is wrong)
            detail = f"it cannot be looked at: {type(error).__name__}: {error}"
            found.append(Diagnosis(area, area, BAD, detail[:500], "cortex --debug doctor shows the trace"))
    return DoctorReport(tuple(found), time.perf_counter() - begin)

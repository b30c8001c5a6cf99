"""The object store that the lake is on: answers, lets us in, and keeps the promise that leases and commits rest on."""

from collections.abc import Iterator

from apps.doctor.report import BAD, GOOD, Diagnosis
from resources.bucket import NO_PROMISE, ObjectStoreError
from resources.settings import Settings

AREA = "lake"


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Look at the object store, if there is one; a small object is written below ``_locks/`` and removed."""
    bucket = settings.bucket
    if bucket is None:
        return
    try:
        bucket.check()
        broken = bucket.broken_promise()
    except ObjectStoreError as error:
        what, _, remedy = str(error).rpartition("; ")
        yield Diagnosis(AREA, "object store", BAD, what, remedy)
        return
    yield Diagnosis(AREA, "object store", GOOD, f"{bucket.url} answers; this machine is {settings.machine}")
    if broken:
        yield Diagnosis(AREA, "conditional put", BAD, broken, NO_PROMISE)
    else:
        yield Diagnosis(AREA, "conditional put", GOOD, "a second creation and an outdated replacement are refused")

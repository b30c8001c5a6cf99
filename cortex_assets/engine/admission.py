"""Whether the lake may be opened: asked by whoever opens it, so it costs three looks at the disk and imports next to nothing."""

from cortex_assets.engine import formats
from cortex_assets.engine.lease import lake_lease
from resources.bucket import NO_PROMISE, Bucket, ObjectStoreError
from resources.settings import Settings

NOTE = "object-store"
"""File of the cache that names the object store whose promises were tried."""


def admit(settings: Settings) -> None:
    """Finish a restore that was cut off after its point of no return, and refuse a lake of another format.

    Raises:
        LeaseBusy: a restore is at work.
        NewerLake, OlderLake: this Cortex would harm the lake.
        ObjectStoreError: the lake is on an object store that does not answer, or refuses us.
    """
    finish_restore(settings)
    if settings.bucket is not None:
        _admit_store(settings, settings.bucket)
    formats.check(settings)


def _admit_store(settings: Settings, bucket: Bucket) -> None:
    """Ask the store whether it answers, and once for a data folder whether it can be relied on."""
    bucket.check()
    note = settings.cache / NOTE
    if note.is_file() and note.read_text(encoding="utf-8") == bucket.url:
        return
    broken = bucket.broken_promise()
    if broken:
        raise ObjectStoreError(f"{bucket.url}: {broken}; {NO_PROMISE}")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(bucket.url, encoding="utf-8")


def finish_restore(settings: Settings) -> None:
    """Finish a restore that was cut off after its point of no return.

    Raises:
        LeaseBusy: a restore is at work.
    """
    if (settings.data_dir / "restoring" / "swaps.json").is_file():
        from cortex_assets.engine.restore import finish

        with lake_lease(settings.locks):
            finish(settings)

"""Whether the lake may be opened: asked by whoever opens it, so it costs three looks at the disk and imports next to nothing."""

from cortex_assets.engine import formats
from cortex_assets.engine.lease import lake_lease
from resources.settings import Settings


def admit(settings: Settings) -> None:
    """Finish a restore that was cut off after its point of no return, and refuse a lake of another format.

    Raises:
        LeaseBusy: a restore is at work.
        NewerLake, OlderLake: this Cortex would harm the lake.
    """
    finish_restore(settings)
    formats.check(settings)


def finish_restore(settings: Settings) -> None:
    """Finish a restore that was cut off after its point of no return.

    Raises:
        LeaseBusy: a restore is at work.
    """
    if (settings.data_dir / "restoring" / "swaps.json").is_file():
        from cortex_assets.engine.restore import finish

        with lake_lease(settings.locks):
            finish(settings)

"""Delivers webhook messages beside other work, for processes that stay: nobody waits for a receiver."""

import logging
import threading

from resources.settings import Settings
from resources.webhooks import deliver, is_empty

log = logging.getLogger(__name__)
NAME = "webhooks"


def deliver_aside(settings: Settings) -> threading.Thread | None:
    """Deliver what is due in a thread of its own, unless one is at it; None where nothing waits. Costs one listing."""
    if is_empty(settings.webhook_spool) or any(thread.name == NAME for thread in threading.enumerate()):
        return None
    thread = threading.Thread(target=_deliver, args=(settings,), name=NAME, daemon=True)
    thread.start()
    return thread


def _deliver(settings: Settings) -> None:
    try:
        done = deliver(settings.webhooks_file, settings.webhook_spool)
    except OSError as error:  # the disk is full, or the folder went: the next one tries again
        log.warning("webhook messages wait: %s", error.strerror)
        return
    for note in done.notes:
        log.warning("%s", note)

"""What ``apps.actions.request_run`` does: ask the worker, or start a process. Imported late; nothing heavy in here."""

import threading
from collections.abc import Sequence

from apps.reports import RunRequested
from apps.worker import client
from resources.settings import load_settings


def request_run(corpora: Sequence[str] | None) -> RunRequested:
    """See ``apps.actions.request_run``."""
    settings = load_settings()
    try:
        answer = client.ask(settings.up, "run", {"corpora": list(corpora or ())})
        return RunRequested(tuple(answer["corpora"]), "worker")
    except client.NoWorker:
        from apps.running import chosen, opened
        from apps.worker.launching import start_process

        with opened() as house:
            names = tuple(corpus.name for corpus in chosen(house.register.peek(), corpora))
        process = start_process(settings, names if corpora else ())
        threading.Thread(target=process.wait, name=f"run {process.pid}", daemon=True).start()  # leaves no zombie
        return RunRequested(names, "process")

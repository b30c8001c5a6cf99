"""What ``apps.actions.request_run`` and ``request_evaluation`` do: the worker is asked, or a process started. Imported late, light."""

import subprocess
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
        _outlived(start_process(settings, names if corpora else ()))
        return RunRequested(names, "process")


def request_evaluation() -> None:
    """See ``apps.actions.request_evaluation``."""
    from apps.worker.launching import start_command

    _outlived(start_command(load_settings(), ["eval"], "evaluations"))


def _outlived(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process aside, so that it leaves no zombie."""
    threading.Thread(target=process.wait, name=f"process {process.pid}", daemon=True).start()

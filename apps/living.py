"""What ``apps.actions`` does about ``cortex up`` and ``cortex down``. Imported late.

The supervisor itself is ``apps.supervisor``; what people see of it is drawn by the caller.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from apps.errors import FOUND, OK, CommandError
from apps.supervisor.logs import open_log, tail
from apps.supervisor.parts import ROOT, chosen_parts
from apps.supervisor.state import UP, AlreadyUp, UpState, file_of, is_held, is_supervisor, read_state
from apps.supervisor.supervise import Supervisor
from resources.inference import configured
from resources.settings import Settings, child_environment, free_space_guard, load_settings

PATIENCE = 120.0
STOP_SECONDS = 30.0
TOLD_SECONDS = 3.0
"""One that has just started says within this time what is up."""


def up(names: frozenset[str], port: int, app_port: int, heard: Callable[[UpState], None]) -> int:
    """See ``apps.actions.up``."""
    settings = load_settings()
    if not names:
        raise CommandError("nothing is to be started", "", "leave one of --no-dagster, --no-app, --no-worker out")
    if is_held(settings.up):
        return _tell_running(settings, heard)
    configured(settings)  # what is wrong in inference.yaml is told here, not by each part
    _prepare(settings, names)
    try:
        Supervisor(settings.up, settings.logs, chosen_parts(settings, names, port, app_port), heard).run()
    except AlreadyUp:
        return _tell_running(settings, heard)
    return OK


def _tell_running(settings: Settings, heard: Callable[[UpState], None]) -> int:
    """Another terminal's ``cortex up`` is at it: say what is up and end well."""
    state = read_state(settings.up)
    if state is not None:
        heard(state)
    return OK


def _prepare(settings: Settings, names: frozenset[str]) -> None:
    """What the parts need before they start at once: folders, room, a DAGSTER_HOME that was opened."""
    for folder in (settings.up, settings.logs, settings.inbox):
        folder.mkdir(parents=True, exist_ok=True)
    free_space_guard(settings.lake, settings)
    if "dagster" in names:
        from apps.dagster_ui import prepare_home

        prepare_home(settings.dagster_home)


def up_detached(names: frozenset[str], port: int, app_port: int) -> UpState:
    """See ``apps.actions.up_detached``."""
    settings = load_settings()
    known = read_state(settings.up)
    if known is not None:
        return known
    left_out = [f"--no-{name}" for name in ("dagster", "app", "worker") if name not in names]
    log, descriptor = open_log(settings.logs, "up")
    with open(descriptor, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.cli", "up", "--port", str(port), "--app-port", str(app_port), *left_out],
            cwd=ROOT,
            env=child_environment(CORTEX_DATA=str(settings.data_dir), DAGSTER_HOME=str(settings.dagster_home)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        state = read_state(settings.up)
        if state is not None and all(part.state == UP for part in state.parts):
            return state
        if process.poll() is not None:
            raise CommandError("it ended at once", str(log), "; ".join(tail(log)) or "see the log")
        time.sleep(0.2)
    raise CommandError(
        f"not everything was up within {PATIENCE:.0f} s", str(settings.logs), "see the logs; `cortex down` ends it"
    )


def down() -> UpState | None:
    """See ``apps.actions.down``."""
    settings = load_settings()
    until = time.monotonic() + TOLD_SECONDS
    while (state := read_state(settings.up)) is None and is_held(settings.up) and time.monotonic() < until:
        time.sleep(0.1)
    if state is None and not is_held(settings.up):
        return None
    if state is None or not is_supervisor(settings.up, state.pid):
        raise CommandError(
            "something is up, but not which process keeps it up",
            str(file_of(settings.up)),
            "end `cortex up` where it was started, by Ctrl-C",
            FOUND,
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while is_held(settings.up):
        if time.monotonic() > until:
            raise CommandError(
                f"it did not end within {STOP_SECONDS:.0f} s", f"process {state.pid}", "end that process", FOUND
            )
        time.sleep(0.1)
    return state

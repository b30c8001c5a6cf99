"""What ``apps.actions.request_run`` does: a run in a process of its own, which outlives whoever asked. Imported late."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.residence import looked_in
from apps.running import chosen
from apps.views import RunRequested
from cortex_assets.house import Registry
from resources.settings import child_environment, load_settings

_RUN = "import sys; from apps.cli import main; sys.exit(main())"


def request_run(corpora: Sequence[str] | None) -> RunRequested:
    """See ``apps.actions.request_run``."""
    names = tuple(corpora or ())
    with looked_in() as house:
        chosen(Registry(tuple(house.registered())), names)  # a name that nobody has is said here, not in a log
    settings = load_settings()
    log = settings.cache / "requested-run.log"
    with log.open("ab") as told:
        subprocess.Popen(
            [sys.executable, "-c", _RUN, "run", *(["--"] if names else []), *names],
            cwd=Path(__file__).resolve().parents[1],
            env=child_environment(CORTEX_DATA=str(settings.data_dir)),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    return RunRequested(names, "process")

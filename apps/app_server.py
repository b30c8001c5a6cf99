"""Serve the app on the loopback interface: ``python -m apps.app_server --port 8501``; the supervisor starts ``command``.

Streamlit's server has no authentication: it is never bound to another address here, takes requests that name this machine
only (another site's name that resolves to it is refused, and so are other pages: ``apps.own_pages``), sends no telemetry, and
watches no files, which would cost a process at rest. What pages read with is imported while the server starts, so that the
first page does not wait for it.
"""

import argparse
import sys
import threading
from importlib import import_module
from pathlib import Path

from apps.metrics_page import MetricsPage
from apps.own_pages import OwnPages

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "apps" / "streamlit_app.py"
UPLOAD_MEGABYTES = 256
"""A dropped file is in memory until it is written; larger ones are copied to data/inbox by other means."""
OPTIONS = (
    ("server.address", HOST),
    ("server.headless", "true"),
    ("server.allowedHosts", HOST),
    ("server.allowedHosts", "localhost"),
    ("server.enableXsrfProtection", "true"),
    ("server.enableCORS", "true"),
    ("server.maxUploadSize", str(UPLOAD_MEGABYTES)),
    ("server.fileWatcherType", "none"),
    ("server.runOnSave", "false"),
    ("server.showEmailPrompt", "false"),
    ("browser.gatherUsageStats", "false"),
    ("browser.serverAddress", HOST),
    ("client.toolbarMode", "minimal"),
    ("client.showErrorDetails", "none"),
    ("client.showErrorLinks", "false"),
    ("runner.magicEnabled", "false"),
)


def command(port: int) -> list[str]:
    """The command line of the app's server; start it in the project's folder, where its theme lies."""
    return [sys.executable, "-m", "apps.app_server", "--port", str(port)]


def streamlit_arguments(port: int) -> list[str]:
    """What ``streamlit`` is told."""
    return ["run", str(SCRIPT), *(f"--{name}={value}" for name, value in OPTIONS), f"--server.port={port}"]


def warm_up() -> None:
    """Import what pages read and draw with, and open the lake; what cannot be opened now is said by the page that asks."""
    from apps import reader
    from apps.errors import is_expected

    reader.stay_open()
    try:
        reader.status()
        reader.growth()
        reader.lineage()
        reader.choices()
    except Exception as error:
        if not is_expected(error):
            raise
    import_module("pandas")  # what Streamlit draws grids with
    import_module("pyarrow")


def shut_out_other_pages() -> None:
    """Put ``OwnPages`` around the server of this process, and ``MetricsPage`` within.

    Raises:
        AttributeError: this Streamlit builds its server in another way.
    """
    from starlette.middleware import Middleware
    from streamlit.web.server.starlette import starlette_app

    usual = starlette_app.create_streamlit_middleware

    def create_streamlit_middleware() -> list[Middleware]:
        return [Middleware(OwnPages), Middleware(MetricsPage), *usual()]

    starlette_app.create_streamlit_middleware = create_streamlit_middleware


def main() -> None:
    """Entry point of ``python -m apps.app_server``; ends with the server."""
    parser = argparse.ArgumentParser(prog="python -m apps.app_server", description="Serve the app on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8501)
    port = parser.parse_args().port
    threading.Thread(target=warm_up, name="warm up", daemon=True).start()
    from streamlit.web import cli

    shut_out_other_pages()
    cli.main(args=streamlit_arguments(port), prog_name="streamlit")


if __name__ == "__main__":
    main()

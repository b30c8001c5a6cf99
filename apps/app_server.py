"""How the Streamlit app is started: on the loopback interface, without telemetry, file watching or a browser of its own."""

import sys
from pathlib import Path

APP = Path(__file__).with_name("streamlit_app.py")
HOST = "127.0.0.1"


def command(port: int) -> list[str]:
    """The command line of the app's server."""
    options = {
        "server.address": HOST,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP),
        *(f"--{name}={value}" for name, value in options.items()),
    ]

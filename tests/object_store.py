"""An S3 server on loopback for tests: moto's, in a process of its own, for some calls of delta-rs keep Python's lock."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import Request, urlopen

from resources.bucket import Bucket

KEY, SECRET = "AKIATESTTESTTEST", "s3cret-of-the-tests"
_SERVE = """
import logging, sys
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Store:
    """A running server with the bucket ``lake``."""

    endpoint: str
    process: "subprocess.Popen[str]"

    def environment(self, url: str) -> dict[str, str]:
        """What points Cortex at a lake in it."""
        return {
            "CORTEX_LAKE": url,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, url: str) -> Bucket:
        """A place in it."""
        known = {name: value for name, value in self.environment(url).items() if name.startswith("AWS_")}
        return Bucket(url, tuple(sorted(known.items())))


@contextmanager
def serving(is_refusing: bool = False) -> Iterator[Store]:
    """A server until the end of the block; kill its process to make it unreachable.

    Args:
        is_refusing: whether it knows nobody's credentials, once the bucket is made.
    """
    environment = os.environ | ({"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if is_refusing else {})
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        try:
            assert process.stdout is not None
            store = Store(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
            with urlopen(Request(f"{store.endpoint}/lake", method="PUT"), timeout=10):
                yield store
        finally:
            process.kill()

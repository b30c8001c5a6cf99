"""The name of this machine among those that share a lake: made once for a data folder, and kept there.

The host's name is in front, for people; what makes it one of a kind is drawn by chance, for hosts are renamed and cloned.
"""

import os
import re
import socket
from pathlib import Path

FILE = "machine"


def machine_name(data_dir: Path) -> str:
    """The name in ``data_dir``; the first call makes it."""
    file = data_dir / FILE
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    import secrets

    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")[:30] or "machine"
    data_dir.mkdir(parents=True, exist_ok=True)
    fresh = data_dir / f"{FILE}.{os.getpid()}"
    fresh.write_text(f"{host}-{secrets.token_hex(4)}\n", encoding="ascii")
    try:
        os.link(fresh, file)  # unlike a rename, does not replace what another process has made meanwhile
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return file.read_text(encoding="ascii").strip()


def boot_id() -> str:
    """What the kernel calls its present life; processes of another one are over, or run on another machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""

"""Who is told what: the webhooks that ``data/webhooks.yaml`` declares, read and checked. Sending is in ``webhooks``.

A secret never stands in the file: an entry names a variable of the environment, or a file beside it. Errors name the file,
the entry and the field, and quote neither addresses (their paths are often secrets) nor secrets.
"""

import base64
import binascii
import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.settings import named_secret

EXAMPLE = """\
# Whom to tell what happens (docs/operations.md). Secrets stand elsewhere: make one with
#   python -c "import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())"
#
# webhooks:
#   - url: http://127.0.0.1:5678/webhook/cortex
#     events: [run_failed, alert]        # run_failed, run_finished, alert
#     secret_file: webhook.secret        # beside this file, readable for you alone; or secret_env: N8N_SECRET
webhooks: []
"""
RUN_FAILED, RUN_FINISHED, ALERT = "run_failed", "run_finished", "alert"
EVENTS = (RUN_FAILED, RUN_FINISHED, ALERT)
_KEYS = frozenset({"url", "events", "secret_env", "secret_file"})
_PREFIX = "whsec_"
_MAKE = "make one with: python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""


class WebhooksError(ValueError):
    """``webhooks.yaml`` cannot be used; names the file, the entry, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One receiver.

    Attributes:
        key: short id of the address, for the spool.
        label: how it is called in messages: its place in the file and its host, never its path.
        scheme: ``http`` or ``https``.
        host: as connected to.
        port: as connected to.
        target: path and query of the request.
        events: what it is told.
        secret: the bytes that sign.
    """

    key: str
    label: str
    scheme: str
    host: str
    port: int
    target: str
    events: frozenset[str]
    secret: bytes

    def __repr__(self) -> str:
        """Without address and secret."""
        return f"Hook({self.label})"


def load_hooks(file: Path) -> tuple[Hook, ...]:
    """The receivers that a file declares; none where there is no file.

    Raises:
        WebhooksError: the first thing that is wrong in it.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise WebhooksError(
            f"{file}: cannot be read ({type(error).__name__}); make it a UTF-8 file of yours."
        ) from None
    return parse_hooks(text, file)


def parse_hooks(text: str, file: Path) -> tuple[Hook, ...]:
    """Read the text of ``webhooks.yaml``; ``file`` is named in errors, and secret files are meant from its folder.

    Raises:
        WebhooksError: the first thing that is wrong in it.
    """
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise WebhooksError(f"{file}{where}: not YAML; compare with the example in docs/operations.md.") from None
    if content is None:
        return ()
    if not isinstance(content, dict) or set(content) - {"webhooks"}:
        raise WebhooksError(f"{file}: the only key on top is `webhooks`, a list of entries.")
    entries = content.get("webhooks") or []
    if not isinstance(entries, list):
        raise WebhooksError(f"{file}: `webhooks` must be a list of entries that begin with `- url:`.")
    hooks = tuple(_hook(file, number, entry) for number, entry in enumerate(entries, start=1))
    if len({hook.key for hook in hooks}) < len(hooks):
        raise WebhooksError(f"{file}: an address is declared twice; put its events into one entry.")
    return hooks


def is_readable_by_others(file: Path) -> bool:
    """Whether group or others may read a file."""
    try:
        return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _hook(file: Path, number: int, entry: Any) -> Hook:
    def fail(field: str, problem: str) -> WebhooksError:
        return WebhooksError(f"{file}: entry {number}: `{field}` {problem}.")

    if not isinstance(entry, dict):
        raise WebhooksError(f"{file}: entry {number} must have the form `- url: ...` with `events:` below.")
    unknown = sorted(str(key) for key in set(entry) - _KEYS)
    if unknown:
        raise fail(unknown[0][:40], f"is not known; there are {', '.join(sorted(_KEYS))}")
    events = entry.get("events")
    if not isinstance(events, list) or not events or set(map(str, events)) - set(EVENTS):
        raise fail("events", f"must be a list of some of {', '.join(EVENTS)}")
    url = entry.get("url")
    problem = _address_problem(url)
    if problem:
        raise fail("url", problem)
    parts = urlsplit(str(url))
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secret = _secret(file, entry, fail)
    key = hashlib.blake2b(str(url).encode(), digest_size=6).hexdigest()
    return Hook(key, f"{number} ({host})", parts.scheme, host, port, target, frozenset(map(str, events)), secret)


def _address_problem(url: Any) -> str:
    if not isinstance(url, str) or not re.fullmatch(r"[\x21-\x7e]+", url):
        return "must be an address such as https://example.org/webhook/cortex, without spaces"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return "is no address; write it as https://host:port/path"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must begin with http:// or https:// and name a host"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "must hold no user name, password or fragment; messages are signed instead"
    return ""


def _secret(file: Path, entry: dict[str, Any], fail: Any) -> bytes:
    variable, name = entry.get("secret_env"), entry.get("secret_file")
    if (variable is None) == (name is None):
        raise fail("secret_env", "or `secret_file` must be given, one of them: every message is signed")
    if variable is not None:
        field, text = "secret_env", named_secret(str(variable)) or ""
        if not text:
            raise fail(field, f"names the variable {str(variable)[:60]}, which is not set where this runs")
    else:
        field, place = "secret_file", file.parent / Path(str(name)).expanduser()
        try:
            text = place.read_text(encoding="ascii") if place.stat().st_size <= 4_096 else ""
        except (OSError, UnicodeDecodeError):
            raise fail(field, "names a file that cannot be read") from None
    encoded = text.strip().removeprefix(_PREFIX)
    try:
        secret = base64.b64decode(encoded, validate=True) if text.strip().startswith(_PREFIX) else b""
    except binascii.Error:
        secret = b""
    if not 24 <= len(secret) <= 64:
        raise fail(field, f"must lead to {_PREFIX} and 24 to 64 bytes in base64; {_MAKE}")
    return secret

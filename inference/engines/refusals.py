"""What a status that is no success means: whether to wait, to go to another engine, to ask for less, or to fetch a person."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from inference.errors import ContextExceeded, EngineRefused, InferenceError, QuotaExceeded, RateLimited

_QUOTED: Final = 200
_LONGEST_WAIT: Final = 3600.0
_NO_MONEY = re.compile(
    r"insufficient_quota|insufficient[ _]+(funds|credit|balance)|billing|credit balance|quota[ _]+exceeded", re.I
)
_TOO_LONG = re.compile(
    r"context[ _]?(length|size|window)|maximum context|too (long|large|many tokens)|exceeds? the (available|max)|prompt is longer",
    re.I,
)


def refusal(where: str, status: int, body: str, headers: Mapping[str, str]) -> InferenceError:
    """The error that a status is.

    Args:
        where: the server and the model, for people.
        status: of the reply, no success.
        body: the beginning of the reply, without any key.
        headers: of the reply, by names of any case.
    """
    said = f"{where} answered {status}: {body[:_QUOTED]!r}; remedy:"
    if status in (401, 403):
        return QuotaExceeded(f"{said} check the key", status)
    if status == 402 or (status == 429 and _NO_MONEY.search(body)):
        return QuotaExceeded(f"{said} the account has no quota left", status)
    if status == 429:
        return RateLimited(f"{said} fewer calls at a time", status, retry_after(headers) or None)
    if status in (400, 413, 422) and _TOO_LONG.search(body):
        return ContextExceeded(f"{said} a shorter request, or a model with a longer context")
    found = EngineRefused(f"{said} check the model's name and the server's log", status)
    # "after 0 s" is no time to wait: the failure counts as any other.
    found.retry_after = (retry_after(headers) or None) if status == 503 else None
    return found


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` (RFC 9110, 10.2.3) asks for, an hour at most; None where it says nothing readable."""
    value = next((text.strip() for name, text in headers.items() if name.lower() == "retry-after"), "")
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return min(float(value), _LONGEST_WAIT)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)

"""Numbers as people read them."""

from datetime import UTC, datetime

_BYTES = ("B", "kB", "MB", "GB", "TB")


def whole(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


def counted(number: int, word: str) -> str:
    """``1 file``, ``12,345 files``."""
    return f"{whole(number)} {word}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Bytes with a decimal unit: ``1.5 MB``, ``-3.2 kB``."""
    value = float(count)
    for unit in _BYTES[:-1]:
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {_BYTES[-1]}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``3 min``, ``2.5 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def moment(when: datetime | None) -> str:
    """A time in UTC to the minute, or ``never``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if when else "never"

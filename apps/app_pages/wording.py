"""Numbers, times and states as a page says them. Pure; knows no Streamlit."""

from datetime import UTC, datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
GOOD, BUSY, DOUBTFUL, BAD, CALM = "good", "busy", "doubtful", "bad", "calm"
TONES = {
    "ok": GOOD,
    "current": GOOD,
    "exact": GOOD,
    "supported": GOOD,
    "written": GOOD,
    "replaced": GOOD,
    "answers": GOOD,
    "running": BUSY,
    "probed": BUSY,
    "partial": DOUBTFUL,
    "behind": DOUBTFUL,
    "never run": DOUBTFUL,
    "silent": DOUBTFUL,
    "interrupted": DOUBTFUL,
    "withheld": DOUBTFUL,
    "unpublished": DOUBTFUL,
    "fuzzy": DOUBTFUL,
    "weak support": DOUBTFUL,
    "too_large": DOUBTFUL,
    "left alone": DOUBTFUL,
    "unusable": BAD,
    "failed": BAD,
    "fell": BAD,
    "quarantined": BAD,
    "unverified": BAD,
    "refused": BAD,
}


def tone(state: str) -> str:
    """How a state or status is to be felt about: ``good``, ``busy``, ``doubtful``, ``bad`` or ``calm``."""
    return TONES.get(state, CALM)


def lasting(seconds: float) -> str:
    """A span of time in one unit, such as ``3.2 s`` or ``4 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    for size, unit in _UNITS:
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} min"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long a moment is past, such as ``5 min ago``; ``never`` for None."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return "just now" if seconds < 5 else f"{lasting(seconds)} ago"


def at(moment: datetime | None) -> str:
    """A moment, to the second, in UTC as the command line says it."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def count(number: int) -> str:
    """A number with separators."""
    return f"{number:,}"


def brief(number: int) -> str:
    """A number in three digits or so, such as ``12.3k`` or ``4.1M``."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):.1f}{unit}"
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes in the unit that fits."""
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number} B"


def plural(number: int, word: str) -> str:
    """A count with its word: ``1 file``, ``12 files``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def plain(text: str) -> str:
    """A text in which Markdown finds no markup: for places that take nothing else."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+!|$~:" else letter for letter in " ".join(text.split()))

"""Numbers of a spreadsheet as people see them there: dates, times, percentages, decimals, currency.

Dates are written as ``2024-03-01`` whatever the format's order, because a reader of a snippet cannot know it. Colours,
conditions, fractions and locales do not belong here: such a number is written plainly.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

Show = Callable[[float], str]
"""A number to its text."""

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    14: "yyyy-mm-dd",
    15: "yyyy-mm-dd",
    16: "yyyy-mm-dd",
    17: "yyyy-mm",
    18: "h:mm",
    19: "h:mm:ss",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss",
    48: "0.0E+0",
    **dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}
"""Formats that files name by number only; those that depend on the country are written as dates or times."""
_LAST_DAY = 2_958_466
_QUOTED = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_DATE = re.compile(r"[ymdhse]|am/pm|a/p", re.IGNORECASE)
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_NUMBER = re.compile(r"([^#0?.,]*)([#0?,]+)?(?:\.([#0?]*))?(%?)([^#0?]*)")


def plain_number(value: float) -> str:
    """A number without a format: whole ones in full, others to twelve digits."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}"


def formatter(code: str, has_1904_dates: bool = False) -> Show:
    """What shows numbers by a format code, such as ``0.0%`` or ``yyyy-mm-dd``.

    Args:
        code: as the file has it; of its sections (positive; negative; ...) the first one counts.
        has_1904_dates: whether the workbook counts days from 1904.
    """
    section = code.split(";")[0]
    if section.strip().lower() in ("", "general", "@", "standard"):
        return plain_number
    bare = _QUOTED.sub("", section)
    if _ELAPSED.search(bare):
        return _elapsed(bare)
    if "E+" in bare.upper() or "E-" in bare.upper():
        digits = len(re.sub(r"[^0#]", "", bare.upper().partition("E")[0].partition(".")[2]))
        return lambda value: f"{value:.{min(digits, 15)}E}"
    if _DATE.search(bare):
        return _date(bare, has_1904_dates)
    return _decimal(_QUOTED.sub(lambda match: match[1] or match[2] or match[3] or "", section))


def _date(bare: str, has_1904_dates: bool) -> Show:
    """Dates and times to the parts that the format shows."""
    letters = bare.lower()
    has_date = any(char in letters for char in "yd") or ("m" in letters and "h" not in letters and "s" not in letters)
    has_time = "h" in letters or "s" in letters or "am/pm" in letters
    has_day, has_seconds = "d" in letters or "y" not in letters, "s" in letters
    base = datetime(1904, 1, 1) if has_1904_dates else datetime(1899, 12, 30)
    time_form = "%H:%M:%S" if has_seconds else "%H:%M"
    date_form = "%Y-%m-%d" if has_day else "%Y-%m" if "m" in letters else "%Y"
    form = " ".join([date_form] * has_date + [time_form] * has_time)

    def show(value: float) -> str:
        if not 0 <= value < _LAST_DAY:
            return plain_number(value)
        if not has_1904_dates and value < 60:
            value += 1  # the file format has a 29 February 1900
        return (base + timedelta(seconds=round(value * 86400))).strftime(form)

    return show


def _elapsed(bare: str) -> Show:
    """Times that may be longer than a day: ``[h]:mm:ss``."""
    has_seconds = "s" in bare.lower()

    def show(value: float) -> str:
        if not abs(value) < _LAST_DAY:
            return plain_number(value)
        seconds = round(abs(value) * 86400)
        text = f"{seconds // 3600}:{seconds // 60 % 60:02d}" + (f":{seconds % 60:02d}" if has_seconds else "")
        return f"-{text}" if value < 0 else text

    return show


def _decimal(section: str) -> Show:
    """Fixed decimals, thousands separators, percent signs, and what stands before and behind (currency)."""
    match = _NUMBER.fullmatch(section)
    if match is None or not (match[2] or match[3]):
        return plain_number
    before, whole, fraction, percent, behind = (group or "" for group in match.groups())
    scale = 100.0 if percent or "%" in behind else 1.0
    thousands = "," if "," in whole.rstrip(",") else ""
    scale /= 1000.0 ** (len(whole) - len(whole.rstrip(",")))
    least = sum(char == "0" for char in fraction)
    digits = min(len(fraction), 15)

    def show(value: float) -> str:
        text = f"{abs(value) * scale:{thousands}.{digits}f}"
        if least < digits:
            head, point, tail = text.partition(".")
            kept = tail[:least] + tail[least:].rstrip("0")
            text = head + (point if kept else "") + kept
        return f"{'-' if value < 0 else ''}{before.lstrip()}{text}{percent}{behind.rstrip()}"

    return show

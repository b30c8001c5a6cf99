"""The two streams of the command line: results on stdout, everything else on stderr; text from files made harmless.

Tables and hits are drawn in ``tables`` and ``hits``, progress in ``meters``.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from apps.errors import Explained
from apps.reports import to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_Report = TypeVar("_Report")
_KEPT = {"\n", "\t"}
_DIRECTIONS = {*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def harmless(text: str) -> str:
    """The text with every control character and every change of writing direction made visible, one character for one.

    A file's text could otherwise move the cursor, rename the window or write the clipboard of whoever reads a hit.
    Offsets into the text stay right.
    """
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    code = ord(letter)
    if letter in _KEPT:
        return letter
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0 or code in _DIRECTIONS or 0xD800 <= code < 0xE000:
        return "\ufffd"
    return letter


def safe(text: object, style: str = "") -> "Text":
    """Text from outside as a cell or a line: harmless, and never read as markup."""
    from rich.text import Text

    return Text(harmless(str(text)), style=style)


@cache
def _stream(is_error: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if is_error else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty(), width=None if stream.isatty() else 140)


def out() -> "Console":
    """Where results go."""
    return _stream(is_error=False)


def err() -> "Console":
    """Where everything else goes."""
    return _stream(is_error=True)


def forget_streams() -> None:
    """Look at ``sys.stdout`` and ``sys.stderr`` anew; ``main`` does so at each start."""
    _stream.cache_clear()


def show(report: _Report, as_json: bool, draw: "Callable[[_Report], RenderableType]") -> None:
    """Print a report on stdout: as JSON, or drawn."""
    if as_json:
        write_json(report)
    else:
        out().print(draw(report))


def write_json(report: Any) -> None:
    """Print a report, a list of reports or a dictionary as JSON on stdout."""
    sys.stdout.write(to_json(report) + "\n")


def notice(text: str, style: str = "") -> None:
    """A line on stderr for the person who waits."""
    if sys.stderr.isatty():
        err().print(safe(text, style))
    else:  # a log: nothing to colour or to wrap
        sys.stderr.write(harmless(text) + "\n")


def show_error(error: Explained, as_json: bool) -> None:
    """Say what, where and remedy on stderr, and with ``--json`` as an object on stdout."""
    from rich.text import Text

    if as_json:
        write_json({"error": error.to_dict()})
    console = err()
    console.print(Text("error: ", style="bold red") + safe(error.what))
    if error.where:
        console.print(Text("where: ", style="bold") + safe(error.where))
    if error.remedy:
        console.print(Text("remedy: ", style="bold") + safe(error.remedy))

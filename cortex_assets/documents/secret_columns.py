"""Finds secrets in tables by what their columns are called: ``password``, ``api_key``, ``token``.

CSV, and tables of bars as sheets, databases and Markdown have them. Where there is none, only the first line of a table is
read. What a column of a later part is called, whose header is in an earlier one, is not known here.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from cortex_assets.documents.model import Block, ParsedDocument
from cortex_assets.documents.secret_checks import entropy, is_password, is_placeholder, is_token
from cortex_assets.documents.secrets import Finding

COLUMN_RULE = "secret-column"
_HEAD_CHARS = 20_000
_NAME = re.compile(
    r"[\w .-]{0,40}?(?:(?P<password>password|passwd|passwort|passphrase|pwd)|"
    r"secret|token|(?:api|access|auth|private|secret)[-_ ]?key)s?",
    re.IGNORECASE,
)
_ANY_NAME = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_PROFILE = ["column", "type", "nulls", "min", "max", "values"]
"""The header of a database's table of columns; the last three tell of the values of the column that a row is about."""
_BAR = re.compile(r"(?<!\\)\|")
_VALUE = re.compile(r"[^,\s](?:[^,]|,(?! ))*")

_Cell = tuple[int, int]
"""Start and end in the text."""


def find_in_columns(document: ParsedDocument) -> list[Finding]:
    """The values below a name for secrets, sorted."""
    text = document.text
    found: list[Finding] = []
    for block in document.structure.blocks:
        if block.kind != "table" or not _ANY_NAME.search(text, block.start, min(block.end, block.start + _HEAD_CHARS)):
            continue
        rows = _bar_rows(text, block) if text.startswith("|", block.start) else _separated_rows(text, block)
        found += (Finding(COLUMN_RULE, start, end) for start, end in _secrets(text, rows))
    return found


def joined(findings: Sequence[Finding], more: Sequence[Finding]) -> list[Finding]:
    """Both, sorted; where two overlap they are one, named as in ``findings``."""
    result: list[Finding] = []
    for finding in sorted([*findings, *more], key=lambda f: f.start):
        last = result[-1] if result else None
        if last is None or finding.start >= last.end:
            result.append(finding)
            continue
        rule = finding.rule if last.rule == COLUMN_RULE else last.rule
        result[-1] = Finding(rule, last.start, max(last.end, finding.end))
    return result


def _secrets(text: str, rows: Iterator[list[_Cell]]) -> Iterator[_Cell]:
    """The cells of secret columns; of a profile, the values in the rows of such columns."""
    head = [_plain(text[start:end]) for start, end in next(rows, [])]
    if head == _PROFILE:
        for row in rows:
            name = _NAME.fullmatch(_plain(text[slice(*row[0])])) if row else None
            for start, end in row[3:] if name else ():
                for value in _VALUE.finditer(text, start, end):
                    if name and _is_secret(value[0].rstrip("…"), bool(name["password"])):
                        yield value.span()
        return
    names = {place: bool(name["password"]) for place, cell in enumerate(head) if (name := _NAME.fullmatch(cell))}
    for row in rows if names and len(head) > 1 else ():
        for place, is_of_password in names.items():
            if place < len(row) and _is_secret(text[slice(*row[place])], is_of_password):
                yield row[place]


def _plain(name: str) -> str:
    return name.strip("\"'`*_ ")


def _is_secret(value: str, is_of_password: bool) -> bool:
    plain = value.strip("`*")
    if not 5 <= len(plain) <= 200 or any(char.isspace() for char in plain) or is_placeholder(plain):
        return False
    if is_of_password:
        return is_password(plain) and entropy(plain) >= 2
    return len(plain) >= 10 and is_token(plain) and entropy(plain) >= 3


def _bar_rows(text: str, block: Block) -> Iterator[list[_Cell]]:
    """Rows of a table of bars, without that of dashes; a title of one cell above the header is none."""
    start = block.start
    is_first = True
    while start < block.end:
        end = text.find("\n", start, block.end)
        end = block.end if end < 0 else end
        bars = [bar.start() for bar in _BAR.finditer(text, start, end)]
        row = [_trimmed(text, left + 1, right) for left, right in pairwise(bars)]
        is_title = is_first and sum(left < right for left, right in row) < 2
        if row and not is_title and not all(set(text[left:right]) <= set("-: ") for left, right in row):
            is_first = False
            yield row
        start = end + 1


def _separated_rows(text: str, block: Block) -> Iterator[list[_Cell]]:
    """Rows of CSV, by the delimiter that is most frequent in the first line; quoted cells may have line ends."""
    line = text[block.start : block.start + _HEAD_CHARS].partition("\n")[0]
    mark = re.escape(max(",;\t|", key=line.count))
    cells = re.compile(rf'[ ]*(?:"(?P<quoted>(?:[^"]|"")*+)"[^{mark}\n]*|(?P<bare>[^{mark}\n]*))(?P<end>[{mark}\n]|\Z)')
    row: list[_Cell] = []
    place = block.start
    while place < block.end and (cell := cells.match(text, place, block.end)):
        which = "quoted" if cell["quoted"] is not None else "bare"
        row.append(_trimmed(text, *cell.span(which)))
        place = cell.end()
        if cell["end"] in ("\n", ""):
            yield row
            row = []


def _trimmed(text: str, start: int, end: int) -> _Cell:
    cell = text[start:end]
    left = len(cell) - len(cell.lstrip())
    return (start + left, start + len(cell.rstrip())) if cell.strip() else (start, start)

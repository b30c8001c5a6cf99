"""Data in text form: JSON, YAML, TOML, INI, CSV, TSV. The text is the decoded file, verbatim.

A file that is not valid keeps its text and becomes ``partial`` with the reason and its place. Validation is bounded:
above ``VALIDATED_CHARS`` it is not tried, because a tree of objects costs many times the text.
"""

import csv
import json
import re
import tomllib
from collections.abc import Callable, Iterator

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.verbatim import Analysis, verbatim

VALIDATED_CHARS = 4 * 1024 * 1024
MAX_HEADINGS = 2000
_SLOW_CHARS = 512 * 1024
_JSON_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"(\s*+:)?|\\?\Z)|[{}\[\]]', re.DOTALL)
_YAML_KEY = re.compile(
    r"^(?:([A-Za-z_$][\w .$/-]{0,99})|\"([^\"\n]{1,100})\"|'([^'\n]{1,100})')[ \t]*:(?=\s)", re.MULTILINE
)
_TOML_TABLE = re.compile(r"^[ \t]*+\[{1,2}+[ \t]*+([^\[\]\n]{1,200}+)\]{1,2}[ \t]*+(?:#[^\n]*)?\r?$", re.MULTILINE)
_INI_SECTION = re.compile(r"^[ \t]*+\[[ \t]*+([^\]\n]{1,200}+)\][ \t]*+(?:[#;][^\n]*)?\r?$", re.MULTILINE)
_DELIMITERS = {"text/tab-separated-values": "\t"}
_NUMBER = re.compile(r"\s*-?[\d.,]+(?:[eE][+-]?\d+)?%?\s*")


def parse_json(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse JSON: the keys of the top object are headings."""
    return _parse(source, json_problem, _json_headings)


def parse_yaml(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse YAML: keys in the first column are headings."""
    return _parse(source, yaml_problem, lambda text: _matched_headings(_YAML_KEY, text))


def parse_toml(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse TOML: tables are headings."""
    return _parse(source, toml_problem, lambda text: _matched_headings(_TOML_TABLE, text))


def parse_ini(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse INI and its kin (``.cfg``, ``.conf``, ``.properties``): sections are headings; no dialect is enforced."""
    return verbatim(
        source,
        "data",
        lambda text, is_whole: Analysis(structure=Structure(tuple(_matched_headings(_INI_SECTION, text)))),
    )


def parse_csv(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse CSV or TSV: one table block per part; the first part's header row is its head."""
    is_first = True

    def analyse(text: str, is_whole: bool) -> Analysis:
        nonlocal is_first
        head_end = _header_end(text, _DELIMITERS.get(source.media_type)) if is_first else None
        is_first = False
        return Analysis(structure=Structure(blocks=(Block("table", 0, len(text), head_end=head_end),)))

    return verbatim(source, "table", analyse)


def _parse(
    source: ParseInput, problem: Callable[[str], str | None], headings: Callable[[str], list[Heading]]
) -> Iterator[ParsedDocument]:
    """Common form: validate a whole file within the limit, and find headings where it is valid."""

    def analyse(text: str, is_whole: bool) -> Analysis:
        if not is_whole or len(text) > VALIDATED_CHARS:
            return Analysis()
        found = problem(text)
        return Analysis(problem=found, structure=Structure(tuple(headings(text)) if found is None else ()))

    return verbatim(source, "data", analyse)


def json_decoder() -> json.JSONDecoder:
    """A decoder that takes what RFC 8259 takes, and makes nothing of numbers."""
    return json.JSONDecoder(parse_int=_ignore_number, parse_float=_ignore_number, parse_constant=_refuse_constant)


def json_problem(text: str) -> str | None:
    """Why a text is not JSON, with line and column; None where it is (RFC 8259: no NaN, no trailing text)."""
    try:
        json_decoder().decode(text)
    except json.JSONDecodeError as error:
        return f"not valid JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}; the text is kept"
    except RecursionError:
        return "JSON is nested too deeply to be read as data; the text is kept"
    except ValueError as error:
        return f"not valid JSON: {error}; the text is kept"
    return None


def _ignore_number(digits: str) -> None:
    """Numbers are not needed, and Python refuses integers above 4,300 digits."""
    return


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def yaml_problem(text: str) -> str | None:
    """Why a text is not YAML, with line and column; None where it is, or where it is too large to try.

    Only events are read: nothing is constructed, so anchors cannot multiply.
    """
    import yaml

    if len(text) > _SLOW_CHARS:
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.parse(text, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        return f"not valid YAML: {error.problem or error.context}{place}; the text is kept"
    except yaml.reader.ReaderError as error:
        return f"not valid YAML: {error.reason} at position {error.position}; the text is kept"
    except RecursionError:
        return "YAML is nested too deeply to be read as data; the text is kept"
    return None


def toml_problem(text: str) -> str | None:
    """Why a text is not TOML, with its place; None where it is, or where it is too large to try."""
    if len(text) > _SLOW_CHARS:
        return None
    try:
        tomllib.loads(text)
    except RecursionError:
        return "TOML is nested too deeply to be read as data; the text is kept"
    except ValueError as error:
        return f"not valid TOML: {error}; the text is kept"
    return None


def _json_headings(text: str) -> list[Heading]:
    """Keys of the top object; none where it is no object."""
    if not text.lstrip().startswith("{"):
        return []
    headings: list[Heading] = []
    depth = 0
    for token in _JSON_TOKEN.finditer(text):
        if token[1] is None:
            depth += 1 if token[0] in "{[" else -1
        elif depth == 1 and token[2] and len(headings) < MAX_HEADINGS:
            headings.append(Heading(1, token[1][:100], token.start()))
    return headings


def _matched_headings(pattern: re.Pattern[str], text: str) -> list[Heading]:
    """A heading for each match; its title is the group that matched."""
    headings: list[Heading] = []
    for match in pattern.finditer(text):
        if len(headings) >= MAX_HEADINGS:
            break
        title = next((group for group in match.groups() if group), "").strip()
        if title:
            headings.append(Heading(1, title, match.start()))
    return headings


def _header_end(text: str, delimiter: str | None) -> int | None:
    """Offset after the first record where that is a header: at least two names and no numbers; else None."""
    if delimiter is None:
        first_line = text[: text.find("\n") + 1] or text
        delimiter = max(",;\t|", key=lambda mark: (first_line.count(mark), text.count(mark, 0, 4096)))
    lines = iter(text[:65536].splitlines(keepends=True))
    consumed: list[str] = []

    def taken() -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line

    try:
        record = next(csv.reader(taken(), delimiter=delimiter), [])
    except csv.Error:
        return None
    is_header = len(record) > 1 and not any(_NUMBER.fullmatch(cell) for cell in record) and any(record)
    return sum(map(len, consumed)) if is_header else None

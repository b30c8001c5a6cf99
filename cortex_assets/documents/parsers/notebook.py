"""Jupyter notebooks (nbformat 3 and 4): cells in order, Markdown as text, code fenced with its language, text outputs.

Each cell is a place (``cell 7``, counted from 1 over all cells). Outputs are bounded, images and HTML outputs left out,
for they are made again by running the code. A notebook that breaks off gives the cells before the break.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cortex_assets.documents.decode import PART_CHARS, NotTextError, decode
from cortex_assets.documents.model import NO_BYTES, Block, Heading, ParsedDocument, ParseInput, Place, Structure
from cortex_assets.documents.parsers.markdown import MarkdownScanner
from cortex_assets.tables import Status, short_reason

MAX_BYTES = 64 * 1024 * 1024
OUTPUT_CHARS = 2000
"""Most characters that are kept of the text outputs of one cell."""
_CELLS = re.compile(r'"cells"\s*:\s*\[\s*')
_COMMA = re.compile(r"\s*,\s*")
_LANGUAGE = re.compile(r'"language"\s*:\s*"([\w+#.-]{1,40})"')
_DATA_IMAGE = re.compile(r"(data:image/[\w.+-]+;base64,)[A-Za-z0-9+/=\s]{64,}")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TEXT_TYPES = ("text/plain", "text/markdown", "text/latex", "text")
_REMEDY = "restore it from a checkpoint or a backup"


@dataclass(frozen=True, slots=True)
class _Notebook:
    """What was read of a file: its cells, the language of its code, and what is wrong with it."""

    cells: list[Any]
    language: str | None
    title: str
    problem: str | None = None


@dataclass(slots=True)
class _Part:
    """Text of one document under construction."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0
    headings: list[Heading] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    links: dict[str, None] = field(default_factory=dict)

    def add(self, piece: str) -> int:
        """Append a piece below a blank line; where it starts."""
        gap = "\n\n" if self.size else ""
        self.pieces += [gap, piece]
        start = self.size + len(gap)
        self.size = start + len(piece)
        return start

    def code(self, body: str, language: str | None) -> None:
        """Append a fenced block."""
        fence = "```"
        while fence in body:
            fence += "`"
        start = self.add(f"{fence}{language or ''}\n{body}\n{fence}")
        self.blocks.append(Block("code", start, self.size, language=language))

    def markdown(self, text: str) -> None:
        """Append Markdown with its structure."""
        structure = MarkdownScanner().scan(text).structure
        start = self.add(text)
        self.headings += [Heading(h.level, h.title, h.start + start) for h in structure.headings]
        self.blocks += [
            Block(b.kind, b.start + start, b.end + start, b.head_end and b.head_end + start, b.language)
            for b in structure.blocks
            if b.kind != "front_matter"
        ]
        self.links |= dict.fromkeys(structure.links)


def parse_notebook(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a notebook; above 4 MiB characters it comes in parts that end between cells."""
    if source.size > MAX_BYTES:
        reason = f"a notebook of {source.size} bytes is above the limit of {MAX_BYTES}: clear its outputs and save it"
        yield ParsedDocument("", "notebook", status=Status.TOO_LARGE, reason=reason)
        return
    try:
        decoded = decode(source.stream.read())
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))
        return
    if not decoded.text.strip("\ufeff\0 \t\r\n\f\v"):
        reason = NO_BYTES if source.size == 0 else "the file has only white space"
        yield ParsedDocument("", "notebook", status=Status.EMPTY, reason=reason, encoding=decoded.encoding.name)
        return
    notebook = _read(decoded.text)
    parts = list(_parts(notebook))
    problem = short_reason("; ".join(filter(None, (notebook.problem, decoded.encoding.reason)))) or None
    if not any(part.size for part in parts):
        status = Status.FAILED if notebook.problem else Status.EMPTY
        reason = problem or "the notebook has no cell with text in it"
        yield ParsedDocument("", "notebook", status=status, reason=reason, encoding=decoded.encoding.name)
        return
    is_partial = notebook.problem is not None or decoded.encoding.is_partial
    title = notebook.title or _first_title(parts)
    for number, part in enumerate(parts, 1):
        yield ParsedDocument(
            "".join(part.pieces),
            "notebook",
            f"{title} (part {number})" if title and len(parts) > 1 else title,
            notebook.language,
            f"part-{number:04d}" if len(parts) > 1 else "",
            Structure(tuple(part.headings), (), tuple(part.blocks), tuple(part.links), tuple(part.places)),
            Status.PARTIAL if is_partial else Status.OK,
            problem,
            encoding=decoded.encoding.name,
            confidence=decoded.encoding.confidence,
        )


def _read(text: str) -> _Notebook:
    """The notebook of a JSON text; of a damaged one, the cells that can be read."""
    try:
        value = json.loads(text)
    except RecursionError:
        return _Notebook([], None, "", f"the notebook's JSON is nested too deeply to be read: {_REMEDY}")
    except ValueError as error:
        return _salvaged(text, error)
    if not isinstance(value, dict):
        return _Notebook([], None, "", f"the file is JSON but no notebook (no object at its top): {_REMEDY}")
    metadata = _object(value.get("metadata"))
    kernel, info = _object(metadata.get("kernelspec")), _object(metadata.get("language_info"))
    language = _word(info.get("name")) or _word(kernel.get("language"))
    title = _word(metadata.get("title")) or (_word(metadata.get("name")) if "worksheets" in value else "")
    cells = value.get("cells")
    if cells is None and isinstance(value.get("worksheets"), list):
        cells = [cell for sheet in value["worksheets"] for cell in _list(_object(sheet).get("cells"))]
        language = language or next((_word(_object(cell).get("language")) for cell in cells if _is_code(cell)), "")
    problem = None if isinstance(cells, list) else f"the file is JSON but has no cells, as a notebook has: {_REMEDY}"
    bad = sum(not isinstance(cell, dict) for cell in _list(cells))
    if bad:
        problem = f"{bad} of {len(_list(cells))} cells are no objects and were left out: {_REMEDY}"
    return _Notebook(_list(cells), language or None, title, problem)


def _salvaged(text: str, error: ValueError) -> _Notebook:
    """The whole cells of a text that is no JSON, up to the first that cannot be read."""
    line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    cells: list[Any] = []
    opening = _CELLS.search(text)
    decoder = json.JSONDecoder()
    position = opening.end() if opening is not None else -1
    while position >= 0:
        try:
            cell, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        cells.append(cell)
        comma = _COMMA.match(text, position)
        position = comma.end() if comma is not None else -1
    language = _LANGUAGE.search(text)
    read = f"the first {len(cells)} cells were read" if cells else "no cell could be read"
    problem = f"the notebook is damaged (no valid JSON{line}): {read}; {_REMEDY}"
    return _Notebook(cells, language[1] if language else None, "", problem)


def _parts(notebook: _Notebook) -> Iterator[_Part]:
    """The notebook's text; a new part begins before the cell that would make one larger than 4 MiB characters."""
    part = _Part()
    for number, cell in enumerate(notebook.cells, 1):
        if not isinstance(cell, dict):
            continue
        source = _text(cell.get("source", cell.get("input")))
        if part.size and part.size + len(source) + OUTPUT_CHARS > PART_CHARS:
            yield part
            part = _Part()
        before, start = part.size, part.size + (2 if part.size else 0)
        _add_cell(part, cell, source, notebook.language)
        if part.size > before:
            part.places.append(Place(f"cell {number}", start, part.size))
    yield part


def _add_cell(part: _Part, cell: dict[str, Any], source: str, language: str | None) -> None:
    """Append one cell: its source and, of code, its text outputs."""
    kind = cell.get("cell_type")
    body = _DATA_IMAGE.sub(r"\1", source).strip("\n").rstrip()
    if kind == "code":
        if body.strip():
            part.code(body, language or _word(cell.get("language")) or None)
        output = _output(_list(cell.get("outputs")))
        if output:
            part.code(output, "output")
    elif kind == "heading" and body.strip():
        level = cell.get("level")
        level = max(1, min(6, level)) if isinstance(level, int) else 1
        part.markdown(f"{'#' * level} {' '.join(body.split())}")
    elif body.strip():
        if kind == "markdown":
            part.markdown(body)
        else:
            part.add(body)


def _output(outputs: list[Any]) -> str:
    """Text of a cell's outputs, cut at ``OUTPUT_CHARS``; of an error its name and message."""
    texts: list[str] = []
    for output in outputs:
        if not isinstance(output, dict):
            continue
        if output.get("output_type") in ("error", "pyerr"):
            texts.append(f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}")
        elif output.get("output_type") == "stream":
            texts.append(_text(output.get("text")))
        else:
            data = _object(output.get("data")) or output
            texts.append(next((_text(data[name]) for name in _TEXT_TYPES if name in data), ""))
    joined = "\n".join(text.strip("\n") for text in texts if text.strip())
    plain = _CONTROL.sub("", _ANSI.sub("", joined[: 4 * OUTPUT_CHARS])).rstrip()
    if len(plain) <= OUTPUT_CHARS and len(joined) <= 4 * OUTPUT_CHARS:
        return plain
    return plain[:OUTPUT_CHARS].rstrip() + "\n[output cut]"


def _first_title(parts: list[_Part]) -> str:
    headings = [heading for part in parts for heading in part.headings]
    first = next((heading for heading in headings if heading.level == 1), None) or next(iter(headings), None)
    return first.title if first else ""


def _text(value: object) -> str:
    """A multiline string, as nbformat writes it: one string or a list of lines."""
    if isinstance(value, str):
        return value
    return "".join(line for line in value if isinstance(line, str)) if isinstance(value, list) else ""


def _word(value: object) -> str:
    """A short string on one line; empty for anything else."""
    return " ".join(value.split())[:200] if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_code(cell: object) -> bool:
    return isinstance(cell, dict) and cell.get("cell_type") == "code"

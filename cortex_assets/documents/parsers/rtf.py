r"""RTF: headings, paragraphs, lists, tables, notes, comments; ``\'xx`` by the code page of its font, ``\u`` as it says.

Own code: striprtf (0.0.35) loses headings, notes and surrogate pairs and searches for links with a pattern that takes
quadratic time. Deleted and hidden text is left out; pictures and embedded objects are not read.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.rtf_text import RtfText
from cortex_assets.documents.parsers.rtf_words import (
    CHARACTERS,
    CHARSETS,
    CODE_PAGES,
    IGNORED,
    KEPT,
    RUNNING,
    SYMBOLS,
    TABLES,
    WITHIN,
)
from cortex_assets.documents.parts import in_parts
from cortex_assets.tables import Status

MAX_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 10_000
_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\", re.DOTALL
)
_SKIP = re.compile(rb"\\bin(\d{1,9}) ?|\\.|[{}]", re.DOTALL)
_LINK = re.compile(r"HYPERLINK\s+(?:\\[a-z]\s+)*\"([^\"]{1,2000})\"")
_HEADING_NAME = re.compile(r"heading ([1-9])$")


def parse_rtf(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse an RTF file; text above 4 MiB characters comes in parts."""
    if source.size > MAX_BYTES:
        reason = f"RTF of {source.size:,} bytes is above the limit of {MAX_BYTES:,}: save it as .docx"
        yield ParsedDocument("", "word", status=Status.TOO_LARGE, reason=reason)
        return
    raw = source.stream.read()
    start = raw.find(b"{\\rtf", 0, 1024)
    if start < 0:
        reason = "damaged RTF: it does not begin with {\\rtf; open and save it again"
        yield ParsedDocument("", "word", status=Status.FAILED, reason=reason)
        return
    reader = _Reader(raw, start)
    problem = reader.read()
    text, structure = reader.text.out.text(), reader.text.out.structure()
    title = reader.text.title or (structure.headings[0].title if structure.headings else "")
    if text:
        status = Status.PARTIAL if problem else Status.OK
        yield from in_parts(ParsedDocument(text, "word", title, structure=structure, status=status, reason=problem))
        return
    reason = "the document has no text" + (" (only pictures)" if b"\\pict" in raw else "")
    status = Status.FAILED if problem else Status.EMPTY
    yield ParsedDocument("", "word", title, status=status, reason=problem or reason)


@dataclass(slots=True)
class _State:
    r"""What a group inherits, and gives back when it ends.

    Attributes:
        destination: what its text is for; empty for the document's text.
        codec: of its bytes.
        unicode_skip: how many characters stand in for a ``\u`` one.
        is_unseen: whether it is hidden or deleted.
        in_table, level, style, is_item: of its paragraph.
    """

    destination: str = ""
    codec: str = "cp1252"
    unicode_skip: int = 1
    is_unseen: bool = False
    in_table: bool = False
    level: int | None = None
    style: int = 0
    is_item: bool = False

    def inner(self) -> "_State":
        """The state of a group within."""
        return _State(
            self.destination,
            self.codec,
            self.unicode_skip,
            self.is_unseen,
            self.in_table,
            self.level,
            self.style,
            self.is_item,
        )


class _Reader:
    """One pass over the tokens of a file, into ``out``."""

    def __init__(self, raw: bytes, start: int) -> None:
        self.text = RtfText()
        self._raw, self._position = raw, start
        self._state = _State()
        self._stack: list[_State] = []
        self._bytes = bytearray()
        self._skip = 0
        self._is_ignorable = False
        self._high = 0
        self._sinks: dict[str, list[str]] = {}
        self._page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._levels: dict[int, int] = {}
        self._style = 0
        self._words: dict[str, Callable[[int | None], None]] = self._actions()

    def read(self) -> str | None:
        """Read to the end; returns what is wrong with the file, None where it is whole."""
        raw, length = self._raw, len(self._raw)
        problem: str | None = "the file is cut off: its last group does not end; restore it from a copy"
        while self._position < length:
            token = _TOKEN.match(raw, self._position)
            if token is None:
                break
            self._position = token.end()
            word, number, hexed, symbol, brace, text = token.groups()
            if text is not None:
                self._plain(text)
            elif word is not None:
                self._word(word.decode("ascii"), int(number) if number else None)
            elif hexed is not None:
                self._plain(bytes((int(hexed, 16),)))
            elif brace == b"{":
                if len(self._stack) >= MAX_DEPTH:
                    problem = f"groups are nested more than {MAX_DEPTH:,} deep: the rest is not read; save it again"
                    break
                self._flush()
                self._stack.append(self._state)
                self._state = self._state.inner()
                self._skip = 0
            elif brace == b"}":
                self._close()
                if not self._stack:
                    problem = None
                    break
            elif symbol is not None:
                self._symbol(symbol.decode("latin-1"))
        self._flush()
        self.text.finish(self._level())
        return problem

    def _plain(self, text: bytes) -> None:
        """Bytes in the code page; those that only stand in for a character before them are skipped."""
        self._is_ignorable = False
        if self._skip:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            text = text[skipped:]
        self._bytes += text

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._is_ignorable = True
        elif symbol in "\r\n":
            self._flush()
            self._paragraph()
        elif symbol in "{}\\":
            self._plain(symbol.encode())  # it may be the second byte of a character
        elif symbol in SYMBOLS:
            if self._skip:
                self._skip -= 1
            else:
                self._flush()
                self._add(SYMBOLS[symbol])

    def _word(self, word: str, number: int | None) -> None:
        """A control word: a destination, a character, or an action; others say how text looks."""
        was_ignorable, self._is_ignorable = self._is_ignorable, False
        if word == "u":
            self._unicode(number or 0)
            return
        if word == "bin":
            self._position += max(0, number or 0)
            return
        action = self._words.get(word)
        if action is not None:
            self._flush()
            action(number)
        elif word in CHARACTERS:
            if self._skip:
                self._skip -= 1
                return
            self._flush()
            self._add(CHARACTERS[word])
        elif word in KEPT or word in RUNNING or word in TABLES:
            self._flush()
            self._open(word)
        elif word in IGNORED or (was_ignorable and word not in WITHIN):
            self._flush()
            self._pass_over()
        elif word in WITHIN and was_ignorable and word == "ud":
            self._state.destination = ""

    def _unicode(self, number: int) -> None:
        """A character by its UTF-16 number; a pair of surrogates is one."""
        self._flush()
        code = number & 0xFFFF
        self._skip = self._state.unicode_skip
        if 0xD800 <= code < 0xDC00:
            self._high = code
            return
        if 0xDC00 <= code < 0xE000:
            if self._high:
                self._add(chr(0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00))
        else:
            self._add(chr(code))
        self._high = 0

    def _flush(self) -> None:
        """Decode the bytes so far."""
        if self._bytes:
            text = bytes(self._bytes).decode(self._state.codec, "replace")
            self._bytes.clear()
            self._add(text)

    def _add(self, text: str) -> None:
        state = self._state
        if state.is_unseen:
            return
        if not state.destination:
            self.text.words(text)
        elif state.destination in self._sinks:
            self._sinks[state.destination].append(text)

    def _open(self, word: str) -> None:
        """Begin a destination; its text is gathered until its group ends."""
        if self._state.destination != word:
            self._sinks[word] = []
        self._state.destination, self._state.in_table = word, False

    def _pass_over(self) -> None:
        """Move to the end of the group, over whatever is in it."""
        depth = 0
        position = self._position
        while match := _SKIP.search(self._raw, position):
            position = match.end()
            if match[1] is not None:
                position += int(match[1])
            elif match[0] == b"{":
                depth += 1
            elif match[0] == b"}":
                depth -= 1
                if depth < 0:
                    self._position = match.start()
                    return
        self._position = len(self._raw)

    def _close(self) -> None:
        """End a group: what it gathered goes where it belongs."""
        self._flush()
        self._skip = 0
        ended = self._state
        self._state = self._stack.pop() if self._stack else _State()
        if ended.destination == "stylesheet":
            self._end_style()
        if ended.destination and ended.destination != self._state.destination and ended.destination in self._sinks:
            self._gathered(ended.destination, " ".join("".join(self._sinks.pop(ended.destination)).split()))

    def _gathered(self, destination: str, text: str) -> None:
        """What a destination said goes where it belongs."""
        if destination == "fldinst":
            if match := _LINK.search(text):
                self.text.out.link(match[1])
            return
        if destination in ("listtext", "pntext"):
            self._state.is_item = True
        self.text.gathered(destination, text)

    def _end_style(self) -> None:
        """A style's name ends with its group: note whether it is a heading."""
        sink = self._sinks.get("stylesheet")
        if sink:
            name = "".join(sink).strip().rstrip(";").lower()
            sink.clear()
            if match := _HEADING_NAME.match(name):
                self._levels[self._style] = min(6, int(match[1]))
            elif name == "title":
                self._levels[self._style] = 0

    def _paragraph(self, number: int | None = None) -> None:
        """End the paragraph; within a note it is only a space."""
        state = self._state
        if state.destination:
            self._add(" ")
            return
        self.text.paragraph(self._level(), state.is_item, state.in_table)
        if not state.in_table:
            state.is_item = False

    def _level(self) -> int | None:
        """Heading level of the paragraph, 0 for the title."""
        state = self._state
        return state.level if state.level is not None else self._levels.get(state.style)

    def _cell(self, number: int | None) -> None:
        if not self._state.destination:
            self.text.cell()

    def _row(self, number: int | None) -> None:
        if not self._state.destination:
            self.text.row()

    def _actions(self) -> dict[str, Callable[[int | None], None]]:
        """What control words do that are more than looks."""
        return {
            "par": self._paragraph,
            "sect": self._paragraph,
            "page": self._paragraph,
            "line": lambda number: self._add("\n") if self._state.destination else self.text.words(" "),
            "cell": self._cell,
            "nestcell": lambda number: self.text.words(" "),
            "row": self._row,
            "pard": self._new_paragraph,
            "plain": self._plain_characters,
            "intbl": self._in_table,
            "v": self._unseen,
            "deleted": self._unseen,
            "s": self._set_style,
            "outlinelevel": self._set_level,
            "ls": self._list_item,
            "uc": self._unicode_skip,
            "ansicpg": lambda number: self._set_page(f"cp{number}" if number not in (None, 0, 65001) else "utf-8"),
            "f": self._set_font,
            "fcharset": lambda number: self._font_codec(CHARSETS.get(number or 0, self._page)),
            "cpg": lambda number: self._font_codec(f"cp{number}"),
            **{word: self._page_setter(codec) for word, codec in CODE_PAGES.items()},
        }

    def _page_setter(self, codec: str) -> Callable[[int | None], None]:
        return lambda number: self._set_page(codec)

    def _new_paragraph(self, number: int | None) -> None:
        state = self._state
        state.in_table, state.level, state.style, state.is_item = False, None, 0, False

    def _plain_characters(self, number: int | None) -> None:
        self._state.is_unseen, self._state.codec = False, self._page

    def _in_table(self, number: int | None) -> None:
        self._state.in_table = True

    def _list_item(self, number: int | None) -> None:
        self._state.is_item = True

    def _unseen(self, number: int | None) -> None:
        self._state.is_unseen = number != 0

    def _unicode_skip(self, number: int | None) -> None:
        self._state.unicode_skip = min(max(0, number if number is not None else 1), 16)

    def _set_page(self, codec: str) -> None:
        """The code page of the document."""
        if _is_codec(codec):
            self._page = codec
            self._state.codec = codec

    def _set_font(self, number: int | None) -> None:
        """In the table of fonts, the font that follows; in the text, whose code page its bytes are in."""
        if self._state.destination == "fonttbl":
            self._font = number or 0
        elif self._state.destination != "stylesheet":
            self._state.codec = self._fonts.get(number or 0, self._page)

    def _font_codec(self, codec: str) -> None:
        if self._state.destination == "fonttbl" and _is_codec(codec):
            self._fonts[self._font] = codec

    def _set_style(self, number: int | None) -> None:
        if self._state.destination == "stylesheet":
            self._style = number or 0
        else:
            self._state.style = number or 0

    def _set_level(self, number: int | None) -> None:
        level = number + 1 if number is not None and 0 <= number < 6 else None
        if self._state.destination != "stylesheet":
            self._state.level = level
        elif level is not None:
            self._levels.setdefault(self._style, level)


def _is_codec(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False

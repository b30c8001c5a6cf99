r"""Subtitles (SRT, WebVTT, SubStation Alpha, MicroDVD, SubViewer): what is said, with the time it is said at as place.

Numbers, time lines and markup are left out: verbatim, two thirds of what is embedded of a film would be digits, and no
line would read as a sentence. Cues follow each other line by line; half a minute or a pause makes a paragraph, and its
place is the time at which it begins. Which of the formats a file is in is told by its content.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cortex_assets.documents.decode import NotTextError, text_parts
from cortex_assets.documents.entry_text import Entry, Outcome, decoded_texts, entry_documents
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.verbatim import Analysis, verbatim
from cortex_assets.tables import Status

PARAGRAPH_S = 30
PAUSE_S = 5
MAX_LINE = 20_000
MAX_CUE_LINES = 500
_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*(?:-{{1,2}}>|,)\s*{_CLOCK}(?:\s.*)?")
_FRAMES = re.compile(r"\{(\d{1,9})\}\{(\d{0,9})\}(.*)")
_BLOCKS = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]{1,100})?\s+([^<>]{1,200})>")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>|</[^<>]{0,20}>|<\d[\d:.]{3,15}>")
_BRACES = re.compile(r"\{(?:\\[^{}]{0,1000}|[A-Za-z]:[^{}]{0,100})\}")
_DRAWING = re.compile(r"\{[^{}]{0,1000}\\p[1-9][^{}]{0,1000}\}")
_ASS_CLOCK = re.compile(rf"\s*{_CLOCK}\s*")
_USUAL_RATE = 25.0
_NO_TIMES = "no times were found in it, it is read as plain text: save it again as .srt or .vtt"


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown at one time: start and end in seconds, and its lines."""

    start: float
    end: float
    lines: tuple[str, ...]


def parse_subtitles(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a file of subtitles; one without any times is given as plain text, and says so."""
    try:
        encoding, texts = decoded_texts(text_parts(source.stream, source.size))
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))
        return
    reader = _Reader(_lines(texts))
    paragraphs = _paragraphs(reader.cues())
    first = next(paragraphs, None)
    if first is None and not reader.cue_count:
        source.stream.seek(0)
        yield from verbatim(source, "subtitles", lambda text, is_whole: Analysis(problem=_NO_TIMES))
        return

    def all_paragraphs() -> Iterator[Entry]:
        if first is not None:
            yield first
            yield from paragraphs

    yield from entry_documents(all_paragraphs(), "subtitles", encoding, reader.outcome)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Lines without their ends; an overlong one is cut."""
    rest = ""
    for text in texts:
        plain = text if "\n" in text else text.replace("\r", "\n")
        lines = (rest + plain).split("\n")
        rest = lines.pop()[:MAX_LINE]
        for line in lines:
            yield line.rstrip("\r")[:MAX_LINE]
    yield rest.rstrip("\r")


def _paragraphs(cues: Iterable[Cue]) -> Iterator[Entry]:
    """Cues joined to paragraphs; a line that repeats the one before (rolling captions) is left out."""
    start, end = 0.0, 0.0
    lines: list[str] = []
    last = ""
    for cue in cues:
        is_new = cue.start - start >= PARAGRAPH_S or cue.start - end >= PAUSE_S or cue.start < start
        if lines and is_new:
            yield Entry(0, "", clock(start), "\n".join(lines))
            lines = []
        if not lines:
            start = cue.start
        end = max(cue.end, cue.start)
        for line in cue.lines:
            if line != last:
                lines.append(line)
            last = line
    if lines:
        yield Entry(0, "", clock(start), "\n".join(lines))


def clock(seconds: float) -> str:
    """A time as people write it: ``00:01:30``."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + (float(f"0.{fraction}") if fraction else 0.0)


def _spoken(raw: str) -> str:
    """A line without markup, on which a voice is named before what it says."""
    text = raw
    if "<" in text:
        text = _TAG.sub("", _VOICE.sub(r"\1: ", text))
    if "{" in text:
        text = _BRACES.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    return " ".join(text.split())


class _Reader:
    """Reads cues in whichever format the lines are; asked for the outcome at the end."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.cue_count = 0
        self._bad_times: list[int] = []
        self._number = 0
        self._title = ""
        self._is_rate_guessed = False
        self._is_last_empty = False

    def cues(self) -> Iterator[Cue]:
        """All cues in the order of the file."""
        head: list[str] = []
        for line in self._lines:
            head.append(line.lstrip("\ufeff"))
            if len(head) >= 20 or "-->" in line:
                break

        def lines() -> Iterator[str]:
            for number, line in enumerate(chain(head, self._lines), 1):
                self._number = number
                yield line

        if any(line.startswith(("[Script Info]", "[Events]", "Dialogue:")) for line in head):
            found = self._scripted(lines())
        elif any(_FRAMES.match(line) for line in head):
            found = self._framed(lines())
        else:
            found = self._timed(lines(), is_vtt=bool(head) and head[0].startswith("WEBVTT"))
        for cue in found:
            self.cue_count += 1
            yield cue

    def outcome(self) -> Outcome:
        """What became of the file."""
        problem, doubts = None, []
        if self._bad_times:
            where = ", ".join(map(str, self._bad_times[:5]))
            more = f" and {len(self._bad_times) - 5} more" if len(self._bad_times) > 5 else ""
            problem = f"no time can be read in line {where}{more}: its text is under another time; correct it there"
        if self._is_rate_guessed:
            doubts.append(f"the file names no frame rate: times assume {_USUAL_RATE:g} frames a second")
        if self._is_last_empty:
            doubts.append("its last cue has no text: perhaps it is cut off")
        return Outcome(self._title, problem, "; ".join(doubts) or None, (Status.EMPTY, "its cues have no text"))

    def _timed(self, lines: Iterator[str], is_vtt: bool) -> Iterator[Cue]:
        """SRT, WebVTT, SubViewer: a time line, then text until the next one."""
        times: tuple[float, float] | None = None
        held: list[str] = []
        is_skipping = False
        if is_vtt:
            self._title = next(lines, "")[6:].strip(" \t-")
        for line in lines:
            is_blank = not line.strip()
            is_skipping = is_skipping and not is_blank
            if is_vtt and _BLOCKS.match(line) and (not held or not held[-1]):
                is_skipping = True
            match = _TIMES.fullmatch(line)
            if match is None and "-->" not in line:
                if not is_skipping and len(held) < MAX_CUE_LINES:
                    held.append(line.strip())
                continue
            is_skipping = False
            _drop_number(held, is_vtt)
            if times is not None or (any(held) and not is_vtt):
                yield _cue(times or (0.0, 0.0), held)
            held = []
            if match is None:
                self._bad_times.append(self._number)
                times = times or (0.0, 0.0)
            else:
                times = (_seconds(*match.groups()[:4]), _seconds(*match.groups()[4:]))
        if times is not None:
            self._is_last_empty = not any(held)
            yield _cue(times, held)

    def _scripted(self, lines: Iterator[str]) -> Iterator[Cue]:
        """SubStation Alpha: dialogue lines with the columns that a format line names."""
        columns = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"]
        is_events = False
        for line in lines:
            key, _, value = line.partition(":")
            if line.startswith("["):
                is_events = line.strip().lower() == "[events]"
            elif key == "Title" and not self._title:
                self._title = value.strip()
            elif key == "Format" and is_events:
                columns = [name.strip().lower() for name in value.split(",")]
            elif key == "Dialogue":
                fields = dict(zip(columns, value.split(",", len(columns) - 1), strict=False))
                start = _ASS_CLOCK.fullmatch(fields.get("start", ""))
                end = _ASS_CLOCK.fullmatch(fields.get("end", ""))
                text = fields.get("text", "")
                if start is None or end is None:
                    self._bad_times.append(self._number)
                    text = text or value
                if _DRAWING.search(text):
                    continue
                name = fields.get("name", "").strip()
                shown = [
                    part.strip()
                    for part in _BRACES.sub("", text).replace("\\h", " ").replace("\\n", "\\N").split("\\N")
                ]
                if name and shown:
                    shown[0] = f"{name}: {shown[0]}"
                begin = _seconds(*start.groups()) if start else 0.0
                yield _cue((begin, _seconds(*end.groups()) if end else begin), shown)

    def _framed(self, lines: Iterator[str]) -> Iterator[Cue]:
        """MicroDVD: frames in braces; the first line may be the frame rate."""
        rate = 0.0
        for line in lines:
            match = _FRAMES.match(line)
            if match is None:
                if line.strip():
                    self._bad_times.append(self._number)
                continue
            if not rate:
                stated = re.fullmatch(r"\s*(\d{2,3}(?:[.,]\d{1,5})?)\s*", match[3])
                rate = float(stated[1].replace(",", ".")) if stated else _USUAL_RATE
                self._is_rate_guessed = stated is None
                if stated is not None:
                    continue
            start = int(match[1]) / rate
            end = int(match[2]) / rate if match[2] else start
            yield _cue((start, end), match[3].split("|"))


def _cue(times: tuple[float, float], raw: list[str]) -> Cue:
    lines = [_spoken(part) for line in raw for part in line.split("[br]")]
    return Cue(times[0], times[1], tuple(line for line in lines if line))


def _drop_number(held: list[str], is_vtt: bool) -> None:
    """Take the number of the next cue off the lines before it; in WebVTT also a name, after a blank line."""
    if held and (held[-1].isdigit() or (is_vtt and (len(held) == 1 or not held[-2]))):
        held.pop()

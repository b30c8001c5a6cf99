"""Contacts (vCard 2.1, 3.0, 4.0): each card an entry under its name, its fields readable. Pictures and keys are left out."""

from collections.abc import Iterable, Iterator

from cortex_assets.documents.content_lines import ContentLine, content_lines
from cortex_assets.documents.decode import NotTextError, text_parts
from cortex_assets.documents.entry_text import Entry, Outcome, decoded_texts, entry_documents
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.tables import Status

MAX_LINES = 5000
"""Properties of one card beyond this many are left out."""
_LABELS = {
    "NICKNAME": "Nickname",
    "ORG": "Organization",
    "TITLE": "Title",
    "ROLE": "Role",
    "EMAIL": "Email",
    "TEL": "Phone",
    "ADR": "Address",
    "LABEL": "Address",
    "IMPP": "Messenger",
    "X-JABBER": "Messenger",
    "X-SKYPE": "Messenger",
    "URL": "Link",
    "BDAY": "Birthday",
    "ANNIVERSARY": "Anniversary",
    "RELATED": "Related",
    "MEMBER": "Member",
    "X-SOCIALPROFILE": "Profile",
    "X-ABRELATEDNAMES": "Related",
    "X-ABDATE": "Date",
    "CATEGORIES": "Categories",
    "LANG": "Language",
    "NOTE": "Note",
}
_SILENT_TYPES = frozenset({"INTERNET", "PREF", "VOICE", "QUOTED-PRINTABLE", "8BIT", "BASE64", "UTF-8", "X-INTERNET"})


def parse_contacts(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a file of contacts."""
    try:
        encoding, texts = decoded_texts(text_parts(source.stream, source.size))
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))
        return
    reader = _Reader(texts)
    yield from entry_documents(reader.entries(), "contacts", encoding, reader.outcome)


class _Reader:
    """Reads cards one after the other; asked for the outcome at the end."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines = content_lines(texts)
        self._stray = 0
        self._count = 0
        self._only_name = ""
        self._is_cut = False
        self._has_text = False

    def entries(self) -> Iterator[Entry]:
        """The cards; one that another begins within (an agent, a lost end) counts as ended there."""
        lines: list[ContentLine] | None = None
        for line in self._lines:
            self._has_text = True
            is_card = line.value.strip().upper() == "VCARD"
            if line.name == "BEGIN" and is_card:
                if lines:
                    yield self._entry(lines)
                lines = []
            elif line.name == "END" and is_card:
                if lines:
                    yield self._entry(lines)
                lines = None
            elif lines is None or not line.is_known:
                self._stray += 1
            elif len(lines) < MAX_LINES:
                lines.append(line)
        self._is_cut = lines is not None
        if lines:
            yield self._entry(lines)

    def outcome(self) -> Outcome:
        """What became of the file."""
        problem = "the file ends within its last card (cut off): export it again" if self._is_cut else None
        doubt = f"{self._stray} lines belong to no card and were passed over" if self._stray else None
        nothing = (Status.EMPTY, "the file has no text")
        if self._has_text:
            nothing = (Status.FAILED, "no contact in it (no BEGIN:VCARD): export it again as .vcf")
        return Outcome(self._only_name if self._count == 1 else "", problem, doubt, nothing)

    def _entry(self, lines: list[ContentLine]) -> Entry:
        """One card as an entry."""
        self._count += 1
        labels = {line.group: line.text.strip("_$!<>") for line in lines if line.group and line.name == "X-ABLABEL"}
        name = _name(lines)
        self._only_name = name
        rows = dict.fromkeys(row for line in lines if (row := _row(line, labels.get(line.group, ""))))
        links = tuple(line.text.strip() for line in lines if line.name == "URL" and "://" in line.value[:20])
        return Entry(1, name, name, "\n".join(rows), links)


def _name(lines: list[ContentLine]) -> str:
    """What to call a card: its full name, else what it has."""
    first: dict[str, ContentLine] = {}
    for line in lines:
        if line.value.strip(" ;"):
            first.setdefault(line.name, line)
    if "FN" in first and (full := " ".join(first["FN"].text.split())):
        return full
    if "N" in first:
        family, given, middle, prefix, suffix = [*first["N"].fields, "", "", "", "", ""][:5]
        return " ".join(part for part in (prefix, given, middle, family, suffix) if part)
    if "ORG" in first:
        return ", ".join(part for part in first["ORG"].fields if part)
    for name in ("NICKNAME", "EMAIL", "TEL"):
        if name in first:
            return first[name].text.strip()
    return "(contact without a name)"


def _row(line: ContentLine, group_label: str) -> str:
    """A field on a line of its own, with its kind (``home``, ``cell``); empty for what is not shown."""
    label = _LABELS.get(line.name)
    if label is None:
        return ""
    is_structured = line.name in ("ADR", "ORG")
    value = ", ".join(part for part in line.fields if part) if is_structured else line.text.strip()
    if line.name != "NOTE":
        value = " ".join(value.split())
    for scheme in ("mailto:", "tel:"):
        if value.lower().startswith(scheme):
            value = value[len(scheme) :]
    if not value:
        return ""
    kinds = [kind for kind in line.parameters.get("TYPE", "").split(",") if kind and kind.upper() not in _SILENT_TYPES]
    detail = group_label or ", ".join(dict.fromkeys(kind.lower() for kind in kinds))
    return f"{label} ({detail}): {value}" if detail else f"{label}: {value}"

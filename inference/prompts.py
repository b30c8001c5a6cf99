"""Prompts: text files beside the room that owns them, versioned by their content.

A file is Markdown: what stands above a line ``---`` is the system message, what stands below the user's; without that line all
is the user's. ``$name`` and ``${name}`` are filled in, ``$$`` is a dollar. The version goes into every request, and so into the
cache's key; the file is one of the ``assets`` of the producer that uses it, so a change of it makes rows stale, and nothing else does.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from inference.errors import ConfigInvalid, RequestInvalid
from inference.requests import GenerateRequest, Message

_RULE = re.compile(r"^---[ \t]*$", re.M)
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt.

    Attributes:
        name: of its file, without the ending.
        version: digest of its text.
        file: that it was read from, for the assets of a producer.
        system: the system message; may be empty.
        user: the user's message.
    """

    name: str
    version: str
    file: Path
    system: str
    user: str

    @property
    def fields(self) -> frozenset[str]:
        """What is to be filled in."""
        return frozenset(Template(self.system).get_identifiers()) | frozenset(Template(self.user).get_identifiers())

    def request(self, values: Mapping[str, str], **settings: Any) -> GenerateRequest:
        """The request with everything filled in; texts that are put in are taken as they are, dollars and all.

        Args:
            values: one for each field, and no others.
            settings: further ones of ``GenerateRequest``.

        Raises:
            RequestInvalid: a value is missing, or none is asked for by that name.
        """
        missing, unknown = sorted(self.fields - values.keys()), sorted(values.keys() - self.fields)
        if missing or unknown:
            said = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has no {', '.join(unknown)}"] * bool(unknown)
            raise RequestInvalid(f"prompt {self.name}: {' and '.join(said)}")
        system, user = (Template(text).substitute(values) for text in (self.system, self.user))
        return GenerateRequest(
            messages=(Message("user", user),), system=system, prompt=f"{self.name}@{self.version}", **settings
        )


def load_prompt(file: Path) -> Prompt:
    """Read a prompt.

    Raises:
        ConfigInvalid: it cannot be read, says nothing, or has a dollar that is none of the three.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"prompt {file}: cannot be read ({type(error).__name__})") from None
    parts = [part.strip() for part in _RULE.split(text, maxsplit=1)]
    system, user = parts if len(parts) > 1 else ("", parts[0])
    for part in (system, user):
        if not Template(part).is_valid():
            raise ConfigInvalid(f"prompt {file}: a dollar stands for itself as $$, else before a name")
    if not user:
        raise ConfigInvalid(f"prompt {file}: says nothing to the model")
    version = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return Prompt(file.stem, version, file, system, user)

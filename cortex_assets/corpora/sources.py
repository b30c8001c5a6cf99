"""Which corpora there are: folders of the inbox, loose inbox files, and what ``data/sources.yaml`` declares.

Pure: names and texts in, frozen values out. Reading the folder, the file and the environment is the caller's. What is
    registered
(and keeps its id through a rename) is a row of ``human/corpora``.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

INBOX = "inbox"
EXAMPLE = """\
# Corpora that live outside data/inbox. Every folder in data/inbox is a corpus by itself and needs no entry.
#
# corpora:
#   - name: handbook              # lower-case letters, digits, - and _
#     path: ~/work/handbook       # a folder, or a local git repository; relative to this file
#     include: ["*.md", "*.pdf"]  # globs as in .gitignore; all files when left out
#     exclude: ["drafts/"]        # a .cortexignore in the folder does the same
#     raw: reference              # reference (default): read in place; copy: keep the bytes in data/raw
#     keep_last_good: false       # true: an edit that no longer parses keeps the old text, marked stale
#     max_bytes: 200MB            # larger files are listed, not read
#     embed: packaged             # its embedding model, such as hf:org/name@256 (cut to 256); CORTEX_EMBED's when left out
#     code: hf:org/name           # lane or model of another embedder for code; by default the same one
#     secrets: mask               # mask (default): passwords and keys are hidden in all that is made of a file; keep
#     personal_data: keep         # keep (default); mask: e-mail addresses, phone, card and account numbers are hidden too
#     allow: ["^ghp_test"]        # no secrets: regular expressions of values, and ids of rules that are not asked
#   - name: website
#     git: https://example.org/team/website.git
#     branch: main
corpora: []
"""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_KEYS = frozenset(
    {"name", "path", "git", "branch", "include", "exclude", "raw", "keep_last_good", "max_bytes", "embed", "code"}
    | {"secrets", "personal_data", "allow"}
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SCP_LIKE = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:(?!/?/)[^\s]+")
_SCHEMES = frozenset({"https", "ssh", "file"})
_BRANCH = re.compile(r"(?!-)(?!.*\.\.)[A-Za-z0-9_./-]{1,200}")


OWN_FOLDERS = frozenset(
    {
        "inbox",
        "golden",
        "lake",
        "index",
        "raw",
        "cache",
        "calls",
        "locks",
        "models",
        "passwords",
        "restoring",
        "snapshots",
        "up",
        "logs",
    }
    | {".dagster"}
)
"""What Cortex keeps in its data folder; other folders there, such as the sample, may be corpora."""


class SourcesError(ValueError):
    """``sources.yaml`` cannot be used; names the file, the entry, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus as declared or found.

    Attributes:
        name: its name.
        kind: ``folder`` or ``git`` (a repository by URL; a local repository is a folder).
        uri: absolute folder path, or the URL.
        include: globs of which a file must match one; empty = all.
        exclude: globs that leave files out.
        raw: ``copy`` keeps the bytes, ``reference`` reads them in place.
        keep_last_good: keep the old rows of a file whose new version does not parse.
        max_bytes: size limit for this corpus, or None for the general one.
        embed: lane of the embedder, or None for the default.
        code: lane of the embedder of code, or None for the same one.
        branch: branch of a git URL, or None for its default branch.
        is_flat: only the files of the folder itself (the loose files of the inbox).
        secrets: ``mask`` or ``keep`` what is found of passwords and keys.
        personal_data: ``keep``, or ``mask`` addresses and numbers of people.
        allow: regular expressions of values that are no secrets, and ids of rules that are not asked.
    """

    name: str
    kind: str
    uri: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    raw: str = "reference"
    keep_last_good: bool = False
    max_bytes: int | None = None
    embed: str | None = None
    branch: str | None = None
    is_flat: bool = False
    secrets: str = "mask"
    personal_data: str = "keep"
    allow: tuple[str, ...] = ()
    code: str | None = None


def inbox_sources(
    inbox: Path, folder_names: Iterable[bytes], registered: Mapping[str, str], taken: Iterable[str] = ()
) -> list[Source]:
    """The corpora of the inbox: its loose files, then one per folder, by name.

    Args:
        inbox: absolute path of the inbox.
        folder_names: names of the folders in it, as bytes.
        registered: uri of a folder to the name it is registered under: those keep it.
        taken: further names that are in use (declared sources).
    """
    places = {name: str(inbox / os.fsdecode(name)) for name in folder_names}
    known = {name: registered[place] for name, place in places.items() if place in registered}
    corpora = sorted((corpus, name) for name, corpus in folder_corpora(places, known, taken).items())
    loose = Source(INBOX, "folder", str(inbox), raw="copy", is_flat=True)
    return [loose, *(Source(corpus, "folder", places[name], raw="copy") for corpus, name in corpora)]


def folder_corpora(
    folder_names: Iterable[bytes], registered: Mapping[bytes, str], taken: Iterable[str] = ()
) -> dict[bytes, str]:
    """Corpus names for inbox folders.

    A name that is legal stays; another becomes its slug, and where that is in use, the slug and a short hash of the
    name. Folders that are registered keep their name, so a folder that appears later never takes it over.

    Args:
        folder_names: names as bytes; those that begin with a dot are no corpora.
        registered: name of the folder to the corpus name it has.
        taken: corpus names in use elsewhere.
    """
    wanted = sorted({name for name in folder_names if not name.startswith(b".")})
    result = {name: registered[name] for name in wanted if name in registered}
    used = {INBOX, *taken, *registered.values()}
    for name in sorted(wanted, key=lambda item: (slug(item).encode() != item, item)):
        if name in result:
            continue
        corpus = slug(name)
        if corpus in used:
            corpus = f"{corpus[:56]}-{hashlib.blake2b(name, digest_size=3).hexdigest()}"
        result[name] = corpus
        used.add(corpus)
    return result


def slug(name: bytes) -> str:
    """A legal corpus name for any folder name: lower case, no accents, the rest as ``-``; a hash if nothing is left."""
    plain = unicodedata.normalize("NFKD", name.decode("utf-8", "replace"))
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter)).lower()
    result = re.sub(r"[^a-z0-9_]+", "-", kept) if not _NAME.fullmatch(kept) else kept
    result = result[:60].strip("-_")
    return result or f"folder-{hashlib.blake2b(name, digest_size=3).hexdigest()}"


def parse_sources(text: str, file: Path, home: Path) -> tuple[Source, ...]:
    """Read the text of ``sources.yaml``.

    Args:
        text: YAML.
        file: its absolute path: relative paths are meant from its folder; named in errors.
        home: what ``~`` stands for.

    Raises:
        SourcesError: the first thing that is wrong in it.
    """
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise SourcesError(
            f"{file}{where}: not YAML ({getattr(error, 'problem', None) or 'syntax'}); compare with the example in it."
        ) from error
    if content is None:
        return ()
    if not isinstance(content, dict) or set(content) - {"corpora"}:
        raise SourcesError(f"{file}: the only key on top is `corpora`, a list of entries.")
    entries = content.get("corpora") or []
    if not isinstance(entries, list):
        raise SourcesError(f"{file}: `corpora` must be a list of entries that begin with `- name:`.")
    sources: list[Source] = []
    for number, entry in enumerate(entries, start=1):
        source = _Entry(file, number, entry, home).source()
        if any(other.name == source.name for other in sources):
            raise SourcesError(
                f"{file}: entry {number} ({source.name}): `name` is used twice; give each corpus its own."
            )
        if any(other.uri == source.uri for other in sources):
            raise SourcesError(
                f"{file}: entry {number} ({source.name}): its place {source.uri} is declared twice; remove one entry."
            )
        sources.append(source)
    return tuple(sources)


def address_problem(url: str) -> str:
    """What is wrong with the URL of a repository, without quoting it; empty where nothing is."""
    if not url or url.startswith("-") or re.search(r"[\s\x00-\x1f]", url):
        return "must be a URL (https://, ssh://, file://, user@host:path) or a local path"
    scheme, _, rest = url.partition("://")
    if "::" in url or (scheme.lower() not in _SCHEMES if rest else not _SCP_LIKE.fullmatch(url)):
        return "may begin with https://, ssh:// or file:// only, or have the form user@host:path"
    if scheme.lower() != "file" and _has_secret(scheme.lower(), rest):
        return "must not hold a password or token; leave it out and let git's credential helper, or ssh, know it"
    return ""


def _has_secret(scheme: str, rest: str) -> bool:
    """Whether what follows ``://`` holds more than host, port, path and the user that ssh needs."""
    if "?" in rest or "#" in rest:
        return True
    place = rest.partition("/")[0]
    user, at, host = place.rpartition("@")
    if at:
        return scheme == "https" or ":" in user
    port = host.partition(":")[2]
    return "@" in rest and bool(port) and not port.isdigit()


def nested_below(sources: Iterable[Source], data_dir: Path) -> dict[str, tuple[bytes, ...]]:
    """Corpus name to the relative directories in it that it must not list: other corpora, and Cortex's own data.

    Args:
        sources: every corpus, with absolute folder paths.
        data_dir: absolute path of Cortex's data folder.
    """
    folders = [source for source in sources if source.kind == "folder"]
    result: dict[str, tuple[bytes, ...]] = {}
    for outer in folders:
        root = PurePath(outer.uri)
        inner = {PurePath(source.uri) for source in folders} | {PurePath(data_dir)}
        below = sorted(
            os.fsencode(path.relative_to(root)) for path in inner if path != root and path.is_relative_to(root)
        )
        result[outer.name] = tuple(below)
    return result


def check_places(sources: Iterable[Source], data_dir: Path, file: Path) -> None:
    """Refuse a folder that is, or lies in, what Cortex itself keeps in its data folder.

    Raises:
        SourcesError: names the entry.
    """
    for source in sources:
        path = PurePath(source.uri)
        if source.kind != "folder" or not path.is_relative_to(data_dir):
            continue
        below = path.relative_to(data_dir).parts
        if not below or below[0] in OWN_FOLDERS:
            raise SourcesError(
                f"{file}: {source.name}: `path` {path} lies in Cortex's own data; put the folder into "
                f"{data_dir / 'inbox'}, where it registers itself, or name a folder elsewhere."
            )


def _is_pattern(text: str) -> bool:
    """Whether a text is a regular expression that does not match everything."""
    try:
        return re.compile(text).search("") is None
    except re.error:
        return False


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry while it is read: knows where it stands, for errors."""

    file: Path
    number: int
    fields: Any
    home: Path

    def fail(self, field: str, problem: str) -> SourcesError:
        name = self.fields.get("name") if isinstance(self.fields, dict) else None
        label = f" ({str(name)[:60]})" if name else ""
        return SourcesError(f"{self.file}: entry {self.number}{label}: `{field}` {problem}.")

    def source(self) -> Source:
        if not isinstance(self.fields, dict):
            raise SourcesError(
                f"{self.file}: entry {self.number} must have the form `- name: ...` with `path:` or `git:` below."
            )
        for key in self.fields:
            if key not in _KEYS:
                raise self.fail(str(key)[:60], f"is no field of a corpus; there are {', '.join(sorted(_KEYS))}")
        name = self.fields.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == INBOX:
            raise self.fail("name", f"must be lower-case letters, digits, - and _ (not `{INBOX}`), such as team-notes")
        if ("path" in self.fields) == ("git" in self.fields):
            raise self.fail("path", "or `git` must be there, and only one of them")
        source = self.folder(name) if "path" in self.fields else self.repository(name)
        return replace(
            source,
            include=self.globs("include"),
            exclude=self.globs("exclude"),
            raw=self.choice("raw", ("copy", "reference"), source.raw),
            keep_last_good=self.flag("keep_last_good"),
            max_bytes=self.size("max_bytes"),
            embed=self.lane("embed"),
            code=self.lane("code"),
            secrets=self.choice("secrets", ("mask", "keep"), source.secrets),
            personal_data=self.choice("personal_data", ("keep", "mask"), source.personal_data),
            allow=self.patterns("allow"),
        )

    def folder(self, name: str) -> Source:
        if "branch" in self.fields:
            raise self.fail("branch", "goes with `git`; a local repository is listed as it is checked out")
        return Source(name, "folder", self.place("path", self.fields["path"]))

    def repository(self, name: str) -> Source:
        url = self.fields["git"]
        if not isinstance(url, str) or not url or url.startswith("-") or re.search(r"[\s\x00-\x1f]", url):
            raise self.fail("git", "must be a URL (https://, ssh://, file://, user@host:path) or a local path")
        if "://" not in url and "::" not in url and not _SCP_LIKE.fullmatch(url):
            if "branch" in self.fields:
                raise self.fail(
                    "branch", "needs a URL; write file:// before a local path to have a branch of it checked out"
                )
            return Source(name, "folder", self.place("git", url))
        problem = address_problem(url)
        if problem:
            raise self.fail("git", problem)
        branch = self.fields.get("branch")
        if branch is not None and (not isinstance(branch, str) or not _BRANCH.fullmatch(branch)):
            raise self.fail("branch", "must be the name of a branch, such as main")
        return Source(name, "git", url, raw="copy", branch=branch)

    def place(self, field: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or "\x00" in value:
            raise self.fail(field, "must be the path of a folder")
        if value == "~" or value.startswith("~/"):
            value = str(self.home / value[2:])
        elif value.startswith("~"):
            raise self.fail(field, "may begin with ~/ but not with another user's ~name")
        return os.path.normpath(self.file.parent / value)

    def globs(self, field: str) -> tuple[str, ...]:
        value = self.fields.get(field)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.fail(field, 'must be a list of globs, such as ["*.md", "docs/"]')
        return tuple(value)

    def patterns(self, field: str) -> tuple[str, ...]:
        value = self.fields.get(field)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and _is_pattern(item) for item in value):
            raise self.fail(field, 'must be a list of regular expressions that match something, such as ["^ghp_test"]')
        return tuple(value)

    def choice(self, field: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.fields.get(field, default)
        if value not in allowed:
            raise self.fail(field, f"must be {' or '.join(allowed)}")
        return str(value)

    def flag(self, field: str) -> bool:
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            raise self.fail(field, "must be true or false")
        return value

    def size(self, field: str) -> int | None:
        value = self.fields.get(field)
        if value is None:
            return None
        match = _SIZE.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match is None or float(match[1]) == 0:
            raise self.fail(field, "must be a size above 0, such as 200MB or a number of bytes")
        return int(float(match[1]) * _UNITS[match[2]])

    def lane(self, field: str) -> str | None:
        value = self.fields.get(field)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,100}", value):
            raise self.fail(field, "must be the name of an embed lane")
        return value

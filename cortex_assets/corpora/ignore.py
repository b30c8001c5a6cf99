"""What is ignored in a corpus, and why: built-in rules, rule files from the corpus root down, globs.

Pure: texts and paths in, reasons out. An ``IgnoreScope`` holds the rules of one directory; a walk asks it and enters
    the
directories below with ``enter`` (the protocol is ``resources.listing.Scope``). Built-in rules are ``media.noise``'s;
``!name`` in a ``.cortexignore`` takes any of them back.

Precedence, strongest first: the deepest rule file, ``.cortexignore`` before ``.gitignore`` in one directory, the
corpus's ``exclude`` globs, the built-in rules; ``include`` globs narrow what is left. As in git, nothing inside an
ignored directory can be taken back.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self

from pathspec import GitIgnoreSpec

from cortex_assets.media.noise import noise_directory, noise_file

RULE_FILES = frozenset({b".gitignore", b".cortexignore"})
LARGE_BYTES = 50 * 10**6

_LARGE_BINARIES = tuple(
    b".iso .img .dmg .vmdk .vdi .qcow2 .exe .msi .dll .so .dylib .a .lib .bin .dat .mp4 .m4v .mkv .avi .mov .webm "
    b".mp3 .wav .flac .m4a .ogg .gguf .safetensors .pt .pth .onnx .ckpt .h5 .npz .npy .tar .gz .tgz .bz2 .xz .zst .7z "
    b".rar .jar .deb .rpm .whl .apk .psd .tif .tiff .raw .cr2 .nef .sqlite .sqlite3 .db .pack".split()
)
_WILD = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The compiled lines of one rule file, with a cheap test of whether a line can match at all.

    The test counts on the walk: a file is only asked about when its directory was entered, so a line without ``/``
    needs to be compared with the last part of the path alone, and a line that ends in ``/`` never matches a file.
    """

    origin: str
    spec: GitIgnoreSpec
    names: frozenset[str]
    suffixes: tuple[str, ...]
    others: re.Pattern[str] | None

    def verdict(self, path: str, name: str, is_directory: bool) -> tuple[bool, str] | None:
        """``(is ignored, line)`` of the last line that matches ``path`` (relative to the rule file), or None."""
        if not (
            is_directory
            or name in self.names
            or (self.suffixes and name.endswith(self.suffixes))
            or (self.others is not None and self.others.match(path) is not None)
        ):
            return None
        result = self.spec.check_file(path + "/" if is_directory else path)
        if result.include is None or result.index is None:
            return None
        return result.include, str(self.spec.patterns[result.index].pattern)


def compile_rules(origin: str, lines: Iterable[str]) -> RuleSet | None:
    """Compile the lines of a rule file; invalid patterns are skipped as git does. None without any rule."""
    return _compile(origin, tuple(lines))


@lru_cache(maxsize=512)
def _compile(origin: str, lines: tuple[str, ...]) -> RuleSet | None:
    kept = [line for line in lines if _is_valid(line)]
    spec = GitIgnoreSpec.from_lines(kept)
    names: set[str] = set()
    suffixes: set[str] = set()
    others: list[str] = []
    for pattern in spec.patterns:
        if pattern.include is None:
            continue
        body = str(pattern.pattern).removeprefix("!").rstrip()
        if body.endswith("/"):
            continue
        if "/" not in body and not _WILD.search(body):
            names.add(body)
        elif body.startswith("*") and "/" not in body and not _WILD.search(body[1:]):
            suffixes.add(body[1:])
        else:
            regex = pattern.regex
            if regex is not None:
                others.append(regex.pattern.replace("(?P<ps_d>", "(?:"))
    if not any(pattern.include is not None for pattern in spec.patterns):
        return None
    combined = re.compile("|".join(f"(?:{other})" for other in others)) if others else None
    return RuleSet(origin, spec, frozenset(names), tuple(sorted(suffixes)), combined)


def _is_valid(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class IgnoreScope:
    """The rules that hold in one directory of a corpus.

    Attributes:
        rules: ``(length of the rule file's directory, rules)``, strongest first.
        included: globs of which a file must match one, or None.
        corpora_below: relative directories that are corpora of their own.
    """

    rules: tuple[tuple[int, RuleSet], ...] = ()
    included: RuleSet | None = None
    corpora_below: frozenset[bytes] = frozenset()
    rule_files: frozenset[bytes] = field(default=RULE_FILES)
    large_bytes: int = LARGE_BYTES

    def enter(self, directory: bytes, texts: Mapping[bytes, str]) -> Self:
        """The rules inside ``directory`` (relative, ending in ``/``), given the texts of the rule files in it."""
        added = []
        for name in (b".cortexignore", b".gitignore"):
            rules = compile_rules(name.decode(), texts[name].splitlines()) if name in texts else None
            if rules is not None:
                added.append((len(_text(directory)), rules))
        return replace(self, rules=(*added, *self.rules)) if added else self

    def ignored_directory(self, path: bytes, name: bytes) -> str | None:
        """Why the directory is not entered, or None."""
        if path in self.corpora_below:
            return "a corpus of its own"
        told = self._told(path, name, is_directory=True) if self.rules else None
        if told is not None:
            return told or None
        return noise_directory(name)

    def ignored_file(self, path: bytes, name: bytes) -> str | None:
        """Why the file is not listed, or None."""
        if self.rules:
            told = self._told(path, name, is_directory=False)
            if told:
                return told
            if told is None and (reason := noise_file(name)) is not None:
                return reason
        elif (reason := noise_file(name)) is not None:
            return reason
        if self.included is not None and not self.included.spec.match_file(_text(path)):
            return "matches no include glob"
        return None

    def ignored_large(self, name: bytes) -> str | None:
        """Why a file above ``large_bytes`` is not listed, or None."""
        return "binary above 50 MB" if name.lower().endswith(_LARGE_BINARIES) else None

    def _told(self, path: bytes, name: bytes, is_directory: bool) -> str | None:
        """The reason of the strongest rule that matches (empty: it takes the path back), None where none matches."""
        text, base = _text(path), _text(name)
        for start, rules in self.rules:
            verdict = rules.verdict(text[start:], base, is_directory)
            if verdict is not None:
                return f"{rules.origin}: {verdict[1]}" if verdict[0] else ""
        return None


def corpus_scope(
    include: Sequence[str] = (), exclude: Sequence[str] = (), corpora_below: Iterable[bytes] = ()
) -> IgnoreScope:
    """The rules at the root of a corpus.

    Args:
        include: globs in ``.gitignore`` form of which a file must match one; empty takes all.
        exclude: globs in ``.gitignore`` form that leave files and directories out.
        corpora_below: relative directories that belong to other corpora.
    """
    excluded = compile_rules("exclude", exclude)
    return IgnoreScope(
        rules=((0, excluded),) if excluded else (),
        included=compile_rules("include", include),
        corpora_below=frozenset(path.rstrip(b"/") for path in corpora_below),
    )


def _text(path: bytes) -> str:
    """A path as text for matching: a line break, which ``.`` in a pattern does not match, is replaced."""
    return os.fsdecode(path).replace("\n", "\ufffd")

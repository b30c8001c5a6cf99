"""Finds secrets in texts, and writes masks of the same length over them, so that every offset and line stays true.

One pass over all texts looks for the rules' keywords; a rule's pattern is tried only where one of its keywords stands.
What the rules are is ``secret_rules``; what of a document is searched, and what a corpus allows, is ``redact``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cortex_assets.documents.keywords import Keywords
from cortex_assets.documents.secret_checks import MASK, entropy, is_placeholder
from cortex_assets.documents.secret_rules import Rule

HEAD = 3
"""So many characters of a keyword tell which ones may stand at a place."""
PLACEHOLDER_CHARS = 200
"""Longer values, such as keys in blocks, hold any word by chance."""
AROUND = 300
"""Characters beside ``Rule.near`` in which a match is looked for."""
LINE = 200
"""Characters before a match in which its line begins, where a rule wants to know what stands there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a secret is in a text (characters), and by which rule; never what it is."""

    rule: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Index:
    """Rules by what they begin with.

    Attributes:
        keywords: of all rules.
        by_head: first characters of a keyword to it and the rules that begin at it.
        near: rules without a keyword by what is part of their matches.
        at_start: rules that know the rest of a secret at a text's start.
        rank: rule id to its place in the table; of two rules that find the same, the first names it.
    """

    keywords: Keywords
    by_head: dict[str, list[tuple[str, list[Rule]]]]
    near: dict[re.Pattern[str], list[Rule]]
    at_start: list[tuple[Rule, re.Pattern[str]]]
    rank: dict[str, int]


@lru_cache(maxsize=32)
def _index(rules: tuple[Rule, ...]) -> _Index:
    by_keyword: dict[str, list[Rule]] = {}
    for rule in rules:
        for keyword in rule.keywords:
            by_keyword.setdefault(keyword, []).append(rule)
    by_head: dict[str, list[tuple[str, list[Rule]]]] = {}
    for keyword, its_rules in by_keyword.items():
        by_head.setdefault(keyword[:HEAD], []).append((keyword, its_rules))
    near: dict[re.Pattern[str], list[Rule]] = {}
    for rule in rules:
        if rule.near is not None:
            near.setdefault(rule.near, []).append(rule)
    at_start = [(rule, rule.at_start) for rule in rules if rule.at_start is not None]
    return _Index(Keywords(sorted(by_keyword)), by_head, near, at_start, {rule.id: n for n, rule in enumerate(rules)})


def find_secrets(text: str, rules: tuple[Rule, ...]) -> list[Finding]:
    """``find_in_all`` for one text."""
    return find_in_all([text], rules)[0]


def find_in_all(
    texts: Sequence[str], rules: tuple[Rule, ...], allowed: Sequence[re.Pattern[str]] = ()
) -> list[list[Finding]]:
    """Find the secrets of many texts.

    Args:
        texts: many, or one.
        rules: the first of two that find the same place names it.
        allowed: a value in which one of these is found is no secret.

    Returns:
        For each text its findings, sorted, apart from each other.
    """
    index = _index(rules)
    return [_united(_found(text, index, allowed), index) for text in texts]


def masked(text: str, findings: Iterable[Finding]) -> str:
    """The text with a mask over each character of each finding but line ends."""
    parts: list[str] = []
    done = 0
    for finding in findings:
        parts += (text[done : finding.start], mask(text[finding.start : finding.end]))
        done = finding.end
    return "".join([*parts, text[done:]])


def mask(value: str) -> str:
    """What stands for a secret: as long as it, with its line ends."""
    return _HIDDEN.sub(MASK, value)


_HIDDEN = re.compile(r"[^\r\n]")


def _found(text: str, index: _Index, allowed: Sequence[re.Pattern[str]]) -> Iterator[Finding]:
    """Every finding, as the rules give them."""
    for place in index.keywords.places(text):
        for keyword, rules in index.by_head.get(text[place : place + HEAD].lower(), ()):
            if text[place : place + len(keyword)].lower() != keyword:
                continue
            for rule in rules:
                match = rule.pattern.match(text, place)
                if match is not None and _is_in_line(rule, match) and _is_secret(rule, match, allowed):
                    yield Finding(rule.id, *match.span("secret" if "secret" in match.re.groupindex else 0))
    for rule, rest in index.at_start:
        match = rest.match(text)
        if match is not None and _is_secret(rule, match, allowed):
            yield Finding(rule.id, *match.span("secret"))
    for near, rules in index.near.items():
        for start, end in _windows(text, near):
            for rule in rules:
                for match in rule.pattern.finditer(text, start, end):
                    if _is_secret(rule, match, allowed):
                        yield Finding(rule.id, *match.span())


def _windows(text: str, near: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Stretches of a text around what is part of every match, apart from each other."""
    start = end = -1
    for match in near.finditer(text):
        if end >= 0 and match.start() - AROUND <= end:
            end = match.end() + AROUND
            continue
        if end >= 0:
            yield start, end
        start, end = max(0, match.start() - AROUND), match.end() + AROUND
    if end >= 0:
        yield start, end


def _is_in_line(rule: Rule, match: re.Match[str]) -> bool:
    """Whether the line up to a match is what the rule wants there."""
    if rule.before is None:
        return True
    least = max(0, match.start() - LINE)
    start = match.string.rfind("\n", least, match.start()) + 1 or least
    if start and match.string[start - 1] != "\n":
        return False
    return rule.before.fullmatch(match.string, start, match.start()) is not None


def _is_secret(rule: Rule, match: re.Match[str], allowed: Sequence[re.Pattern[str]]) -> bool:
    value = match["secret"] if "secret" in match.re.groupindex else match[0]
    if not rule.is_personal and len(value) <= PLACEHOLDER_CHARS and is_placeholder(value):
        return False
    if rule.entropy and entropy(value) < rule.entropy:
        return False
    if rule.is_real is not None and not rule.is_real(value):
        return False
    return not any(pattern.search(value) for pattern in allowed)


def _united(findings: Iterable[Finding], index: _Index) -> list[Finding]:
    """Findings that overlap become one, named by the first of their rules."""
    result: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, index.rank[f.rule])):
        last = result[-1] if result else None
        if last is None or finding.start >= last.end:
            result.append(finding)
            continue
        rule = min(last.rule, finding.rule, key=lambda rule: index.rank[rule])
        result[-1] = Finding(rule, last.start, max(last.end, finding.end))
    return result

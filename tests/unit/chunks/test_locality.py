"""F3: one inserted, changed or deleted paragraph changes few chunks, wherever it is."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.model import Heading, Structure
from tests.unit.chunks.pieces import split

WORDS = ["river", "stone", "cloud", "engine", "table", "merge", "paper", "light"]
VOCABULARY = [f"{a}{b}" for a in WORDS for b in "abcdefgh"]


def paragraph(rng: random.Random, low: int, high: int) -> str:
    return " ".join(rng.choice(VOCABULARY) for _ in range(rng.randint(low, high))) + "."


def ids(paragraphs: list[str], tokenizer: Any) -> set[tuple[str, int]]:
    """What chunk ids are made of: texts and their occurrences."""
    text = "\n\n".join(paragraphs)
    place = 0
    headings = []
    for part in paragraphs:
        if part.startswith("# "):
            headings.append(Heading(1, part[2:], place))
        place += len(part) + 2
    seen: Counter[str] = Counter()
    result = set()
    for piece in split(text, Structure(tuple(headings)), "text", None, tokenizer, 256):
        body = text[piece.start_char : piece.end_char]
        result.add((body, seen[body]))
        seen[body] += 1
    return result


def edited(paragraphs: list[str], place: int, kind: str, new: str) -> list[str]:
    result = list(paragraphs)
    if kind == "insert":
        result.insert(place, new)
    elif kind == "change":
        result[place] = new
    elif kind == "append":
        result[place] += " " + new.split(" ", 1)[0]
    else:
        del result[place]
    return result


KINDS = ["insert", "change", "append", "delete"]
LONG = [paragraph(random.Random(n), 90, 180) for n in range(110)]
SHORT = [paragraph(random.Random(n), 4, 90) for n in range(300)]
HEADED = [f"# Title {n}" if n % 40 == 0 else text for n, text in enumerate(SHORT)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 109), st.sampled_from(KINDS), st.integers(0, 10_000))
def test_long_paragraphs(words: Any, place: int, kind: str, seed: int) -> None:
    old = ids(LONG, words)
    assert len(old) >= 100
    new = ids(edited(LONG, place, kind, paragraph(random.Random(seed), 90, 180)), words)
    assert max(len(old - new), len(new - old)) <= 3


def test_short_paragraphs_with_and_without_headings(words: Any) -> None:
    rng = random.Random(11)
    for document in (SHORT, HEADED):
        old = ids(document, words)
        assert len(old) >= 85
        touched = []
        for _ in range(60):
            new = ids(edited(document, rng.randrange(300), rng.choice(KINDS), paragraph(rng, 4, 90)), words)
            touched.append(max(len(old - new), len(new - old)))
        assert sum(touched) / len(touched) < 1.7
        assert sum(count > 3 for count in touched) <= 1
        assert max(touched) <= 4


def test_a_word_added_to_a_paragraph_mostly_changes_its_own_chunk_only(words: Any) -> None:
    old = ids(SHORT, words)
    changed = [len(old - ids(edited(SHORT, place, "append", "riverx y"), words)) for place in range(0, 300, 9)]
    assert sum(count == 1 for count in changed) / len(changed) > 0.7


def test_pieces_are_filled(words: Any) -> None:
    text = "\n\n".join(paragraph(random.Random(n), 4, 160) for n in range(400))
    counts = [piece.token_count for piece in split(text, Structure(), "text", None, words, 256)]
    assert sum(counts) / len(counts) >= 0.5 * 256

"""Words that made files are filled with: plain ones, long ones, and some that parsers trip over."""

import random

_PLAIN = (
    "river stone paper window garden market silver copper engine letter number answer question winter summer bridge "
    "station library harbour mountain signal pattern budget contract invoice release schedule meeting decision"
)
WORDS = tuple(_PLAIN.split())
ODD = (
    "naïve",
    "Straße",
    "日本語",
    "мир",
    "שלום",
    "👩‍👩‍👧",
    "e\u0301",
    "ﬁ",
    "a\u00adb",
    "\u202eabc",
    "1,234.50",
    "-",
    "x" * 60,
)


def word(pick: random.Random) -> str:
    """One plain word: an identifier."""
    return pick.choice(WORDS)


def phrase(pick: random.Random) -> str:
    """A few words, now and then an odd one."""
    words = [word(pick) for _ in range(pick.randint(2, 6))]
    if pick.random() < 0.2:
        words.append(pick.choice(ODD))
    return " ".join(words)


def paragraph(pick: random.Random) -> str:
    """A few sentences."""
    return " ".join(f"{phrase(pick).capitalize()}." for _ in range(pick.randint(2, 8)))


def table(pick: random.Random) -> list[list[str]]:
    """A header and rows of words and numbers."""
    width = pick.randint(2, 5)
    head = [f"{word(pick)}{column}" for column in range(width)]
    rows = [
        [phrase(pick), *(f"{pick.uniform(0, 1000):.2f}" for _ in range(width - 1))] for _ in range(pick.randint(1, 8))
    ]
    return [head, *rows]

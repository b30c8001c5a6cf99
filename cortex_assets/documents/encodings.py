"""Guessing an encoding by how plausible the decoded text is: UTF-16/32 without a mark, and the legacy 8-bit encodings.

Scores are 0..1 and deterministic. Add a legacy encoding here as one scorer. The order of trial is in ``decode``.
"""

import re
from collections import Counter

_SAMPLE = 256 * 1024
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_PLAUSIBLE = 0.6
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]")
_HALF_KANA = re.compile(r"[\uff61-\uff9f]")
_KANJI = re.compile(r"[\u4e00-\u9fff]")
_WIDE_PUNCTUATION = re.compile(r"[\u3000-\u3003\u3008-\u3011\u2018-\u201d\uff01-\uff5e]")
_FREQUENT_HAN = frozenset(
    "的一是不了在人有我他这這中大来來上国國个個到说說们們为為子和你地出道也时時年得就那要下以生会會自着去之过過家学學对對可里裡后後小么麼心多"
    "天而能好都然没沒日于於起还還发發成事只作当當想看文无無开開用主行方又如前所本见見经經头頭面公同三已老从從动動两兩长長知民样樣现現分将將外"
    "但些与與高意进進把法此实實理点點月明其种種全工情部正名定问問力机機给給等几最间間新什便位因重被电電"
)
_FREQUENT_HANGUL = frozenset(
    "이다는을의가에하고지은로를사도기시리어인자아한대해일나스정수있으서그들과전것제부보주장라만상안할까요습니"
)
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_ALPHABETS = (
    ("cp1251", "\u0401", "\u0491", "оеаинтсрвлкмдпуя"),
    ("koi8_r", "\u0401", "\u0491", "оеаинтсрвлкмдпуя"),
    ("iso8859_5", "\u0401", "\u0491", "оеаинтсрвлкмдпуя"),
    ("cp866", "\u0401", "\u0491", "оеаинтсрвлкмдпуя"),
    ("cp1253", "\u0386", "\u03ce", "αοιετσνηυρπκςμό"),
    ("cp1255", "\u05d0", "\u05ea", "יוהלאתרבמשנ"),
    ("cp1256", "\u0621", "\u064a", "اليمونترهبدع"),
)
"""Codec, first and last letter of its alphabet, and the letters that make up most of any text in it."""
_FEW = 24
"""Below so many characters above ASCII a guess may be right, but is not sure."""
_WESTERN = re.compile(r"[A-Za-z][À-ÖØ-öø-ÿŠšŽžŸŒœ]|[À-ÖØ-öø-ÿŠšŽžŸŒœ][A-Za-z]")
_WESTERN_LETTER = re.compile(r"[À-ÖØ-öø-ÿŠšŽžŸŒœ]")
_WESTERN_SIGN = re.compile(r"[\u2018-\u201e\u2013\u2014\u2026\u20ac\u2022\u2122\xa0-\xbf]")


_MOJIBAKE = re.compile(rb"(?<![A-Z])(?:[\xc2\xc3][\x80-\xbf]|\xe2[\x80-\x84][\x80-\xbf])")
"""A Western letter, sign or quote in UTF-8, which as cp1252 is two or three characters that stand together in no word."""
_WIDE_CODECS = re.compile(r"utf_?(?:16|32|7)")


def utf16_guess(data: bytes) -> tuple[str, float] | None:
    """UTF-16 or UTF-32 without a byte order mark: the codec's name and how plausible its text is; None for neither."""
    scored = [(_wide_score(data, name), name) for name in reversed(_WIDE)]
    score, name = max(scored, key=lambda pair: pair[0])
    return (name, score) if score > _PLAUSIBLE else None


def _wide_score(data: bytes, name: str) -> float:
    """How plausible ``data`` is as text in a wide encoding: common characters, of few blocks, no controls."""
    unit = 4 if "32" in name else 2
    if len(data) % unit or len(data) < unit:
        return 0.0
    try:
        text = data[:_SAMPLE].decode(name) if len(data) <= _SAMPLE else data[:_SAMPLE].decode(name, "ignore")
        if len(data) > _SAMPLE:
            data.decode(name)
    except UnicodeError:
        return 0.0
    counts = Counter(text)
    blocks: Counter[int] = Counter()
    common = 0
    for char, count in counts.items():
        code = ord(char)
        if char in "\n\r\t " or 0x20 < code < 0x7F:
            common += count
        elif char.isalnum() or 0x3000 <= code <= 0x303F or 0x2010 <= code <= 0x2026 or 0xFF00 <= code <= 0xFF5E:
            # A script has its letters together: CJK and Hangul as one block, any other by 128 code points.
            is_east_asian = 0x3040 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3
            blocks[0x4E if is_east_asian else code // 128 + 0x1000] += count
    total = len(text)
    top_two = sum(count for _, count in blocks.most_common(2))
    nul = counts.get("\0", 0)
    concentrated = top_two if len(blocks) <= 8 or top_two * 10 >= 9 * sum(blocks.values()) else 0
    # Swapped bytes turn ASCII into CJK-looking letters: real wide text has line ends or blanks, or is all one script.
    has_space = any(char in counts for char in "\n \u3000\u3002,.")
    score = (common + concentrated - 4 * nul) / max(1, total)
    return score if has_space or unit == 4 else score * 0.5


def legacy_guess(data: bytes) -> tuple[str, float]:
    """The most plausible legacy encoding of bytes that are not UTF-8, and its score; Latin-1 fits all, at 0.3."""
    sample = _line_sample(data)
    scores = [
        (_japanese_score(sample, "cp932"), "cp932"),
        (_japanese_score(sample, "euc_jp"), "euc_jp"),
        (_han_score(sample, "gb18030", 0xB0, 0xD7), "gb18030"),
        (_han_score(sample, "big5", 0xA4, 0xC6), "big5"),
        (_hangul_score(sample), "cp949"),
        (_cp1252_score(sample), "cp1252"),
        *((_alphabet_score(sample, *alphabet), alphabet[0]) for alphabet in _ALPHABETS),
    ]
    score, name = max(scores, key=lambda pair: pair[0])
    if score >= _PLAUSIBLE:
        return name, round(min(score, 1.0), 2)
    other = _second_opinion(sample)
    if other is not None:
        return other, 0.5
    return "latin-1", 0.3


def is_mojibake(data: bytes, name: str, confidence: float) -> bool:
    """Whether bytes that are not UTF-8 hold so much of it that the legacy encoding guessed for them would spoil that.

    Where the guess is a Western one, by letters; where none fits, by whole lines: other encodings have such pairs of
    bytes by chance, whole lines of them hardly ever.
    """
    if name == "cp1252" and confidence >= _PLAUSIBLE:
        return _MOJIBAKE.search(data) is not None
    if confidence >= _PLAUSIBLE:
        return False
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    return 5 * sum(1 for line in lines if _strict(line, "utf-8") is not None) >= len(lines)


def _line_sample(data: bytes) -> bytes:
    """The lines with bytes above ASCII, up to the sample size: nothing else tells encodings apart."""
    if len(data) <= _SAMPLE:
        return data
    lines = [line + b"\n" for line in data[: 64 * _SAMPLE].split(b"\n") if not line.isascii()]
    whole = b"".join(lines)[:_SAMPLE].rpartition(b"\n")[0]
    if whole:
        return whole
    first = re.search(rb"[\x80-\xff]", data)
    window = data[max(0, first.start() - _SAMPLE // 2) :][:_SAMPLE] if first is not None else data[:_SAMPLE]
    return window[: window.rfind(b" ") + 1] or window


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeError:
        return None


def _non_ascii(text: str) -> int:
    return sum(1 for char in text if char > "\x7f")


def _japanese_score(data: bytes, name: str) -> float:
    """Japanese: kana are frequent, half-width katakana (what Latin letters turn into) are not."""
    text = _strict(data, name)
    if text is None or not (high := _non_ascii(text)):
        return 0.0
    kana, half = len(_KANA.findall(text)), len(_HALF_KANA.findall(text))
    other = len(_KANJI.findall(text)) + len(_WIDE_PUNCTUATION.findall(text))
    if kana < 0.05 * high:
        return 0.5 * (other / high) if not half else 0.0
    return max(0.0, (kana + other - half) / high)


def _han_score(data: bytes, name: str, first: int, last: int) -> float:
    """Chinese: most characters are of the rows that the encoding puts first, by frequency of use; some are everywhere.

    Args:
        data: sample.
        name: codec.
        first: lead byte of the first such row.
        last: lead byte of the last.
    """
    text = _strict(data, name)
    if text is None or not (high := _non_ascii(text)):
        return 0.0
    usual = everywhere = 0
    for char, count in Counter(text).items():
        if char > "\x7f":
            raw = char.encode(name)
            if (len(raw) == 2 and first <= raw[0] <= last and raw[1] >= 0x40) or _WIDE_PUNCTUATION.match(char):
                usual += count
            everywhere += count if char in _FREQUENT_HAN else 0
    kana = len(_KANA.findall(text))
    score = max(0.0, (usual - 2 * kana) / high)
    return _sure(score if everywhere >= 0.08 * high else 0.6 * score, high)


def _hangul_score(data: bytes) -> float:
    """Korean: syllables and hardly any Chinese characters, a few syllables everywhere."""
    text = _strict(data, "cp949")
    if text is None or not (high := _non_ascii(text)):
        return 0.0
    syllables = _HANGUL.findall(text)
    everywhere = sum(1 for syllable in syllables if syllable in _FREQUENT_HANGUL)
    score = max(0.0, (len(syllables) + len(_WIDE_PUNCTUATION.findall(text)) - 2 * len(_KANJI.findall(text))) / high)
    return _sure(score if everywhere >= 0.2 * high else 0.5 * score, high)


def _alphabet_score(data: bytes, name: str, first: str, last: str, frequent: str) -> float:
    """An alphabet of its own: its letters stand together, the frequent ones are frequent, capitals begin words."""
    text = _strict(data, name)
    if text is None or not (high := _non_ascii(text)):
        return 0.0
    words = re.findall(rf"[{first}-{last}]+", text)
    letters = sum(map(len, words))
    together = sum(len(word) for word in words if len(word) > 1)
    often = sum(1 for word in words for char in word if char in frequent)
    odd_capitals = sum(1 for word in words for char in word[1:] if char.isupper())
    if not letters or often < 0.5 * letters or together < 0.8 * letters:
        return 0.0
    share = min(1.0, often / (0.7 * letters))
    return _sure(max(0.0, (letters - 2 * min(odd_capitals, letters - often)) / high) * share, high)


def _sure(score: float, characters: int) -> float:
    """A score, bounded below certainty where there are few characters to tell by."""
    return score if characters >= _FEW else min(score, 0.85)


def _cp1252_score(data: bytes) -> float:
    """Western: high bytes are letters beside ASCII letters, or quotes, dashes and signs."""
    text = _strict(data, "cp1252")
    if text is None or not (high := _non_ascii(text)):
        return 0.0
    beside = sum(1 for match in _WESTERN_LETTER.finditer(text) if _beside_ascii(text, match.start()))
    signs = len(_WESTERN_SIGN.findall(text))
    # Where Icelandic letters are many the text is rather Turkish: people need to be told.
    most = 0.85 if 5 * sum(map(text.count, "ðýþÐÝÞ")) > high else 0.95
    return min(most, (beside + 0.7 * signs) / high)


def _beside_ascii(text: str, at: int) -> bool:
    """Whether a letter stands beside an ASCII letter, or alone as a word, as French ``à`` does."""
    before, after = text[at - 1 : at] or " ", text[at + 1 : at + 2] or " "
    if before.isascii() and before.isalpha():
        return True
    if after.isascii() and after.isalpha():
        return True
    return before in " \n\t'(" and after in " \n\t,.)"


def _second_opinion(sample: bytes) -> str | None:
    """charset-normalizer's guess (Cyrillic, Hebrew, Korean and so on); None where it has none.

    Of wide encodings it is not believed, nor of those with two bytes a character where there are few: any bytes fit.
    """
    from charset_normalizer import from_bytes

    best = from_bytes(sample[:65536]).best()
    if best is None or _WIDE_CODECS.match(best.encoding) or (text := _strict(sample, best.encoding)) is None:
        return None
    return best.encoding if len(text) == len(sample) or _non_ascii(text) >= _FEW else None

"""What tells a secret, or a personal number, from what only looks like one: entropy, placeholders, check digits.

Pure functions of the value that a rule's pattern found. The rules are ``secret_rules``.
"""

import base64
import json
import math
import re
from collections import Counter

MASK = "\u2588"
"""Stands for each character of a secret: no word character, so nothing is indexed of it, and one token, not forty."""
_PLACEHOLDER = re.compile(
    r"example|changeme|change[-_ ]me|placeholder|redacted|replace|insert|dummy|sample|fake|your|xxxx|"
    r"\*\*|\.\.\.|\u2026|\$\{|\$\(|\{\{|%\(|<[a-z]|" + MASK,
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\w+|\$?\{[^}]*\}|%\w+%|%[sdv]|<[^>]*>|\[[^\]]*\]|@\w+@|:\w+")
_WORDS = frozenset(
    """password passwd passw0rd pass pw pwd secret token test testing none null nil true false undefined string default
    admin root user username required optional env value key foo bar baz foobar""".split()  # noqa: SIM905
)
_IDENTIFIER = re.compile(r"[0-9a-f]{1,31}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Short hashes and UUIDs: names of things far more often than keys to them."""
_WEB_TOKEN_FIELDS = frozenset({"alg", "typ", "enc", "kid"})


def entropy(value: str) -> float:
    """Bits per character by how often each character is there (Shannon)."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def is_placeholder(value: str) -> bool:
    """Whether a value stands for one that people are to fill in, or names where it is: ``changeme``, ``${VAR}``."""
    plain = value.strip("\"'`,;")
    if len(set(plain)) <= 2 or plain.lower() in _WORDS:
        return True
    if _PLACEHOLDER.search(plain) or _REFERENCE.fullmatch(plain):
        return True
    return plain.endswith("=") and _decoded(plain).strip().lower() in _WORDS


def _decoded(value: str) -> str:
    """The text that Base64 stands for; empty where it stands for none."""
    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except ValueError:
        return ""


def is_password(value: str) -> bool:
    """Whether the quoted value of something called a password is one: not a plain word, a sentence, or code."""
    return is_mixed(value) and not _is_code(value)


def is_token(value: str) -> bool:
    """Whether the value of something called a token or a key is random characters: no name, path, version or call."""
    if not is_mixed(value) or _is_code(value) or _IDENTIFIER.fullmatch(value):
        return False
    if re.search(r"[a-z]{2,}[-_.][a-z]{2,}", value) and entropy(value) < 4:
        return False
    runs = re.findall(r"[A-Za-z]+", value)
    digits = sum(char.isdigit() for char in value)
    return digits >= 2 and digits + 4 * len(runs) >= len(value) / 4


def is_mixed(value: str) -> bool:
    """Whether letters stand beside digits or signs."""
    return any(char.isalpha() for char in value) and not re.fullmatch(r"[A-Za-z]+(?:[-_. ][A-Za-z]+)*[.:!?]?", value)


def _is_code(value: str) -> bool:
    """Whether a value is an expression, a path or an address rather than characters of its own."""
    return bool(re.search(r"\w\(|\)$|->|::|://|[<>!~]=|^\.{0,2}/|\w\[|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$", value))


def is_key_block(value: str) -> bool:
    """Whether the inside of a PEM block is a key, not a hint at one."""
    runs = re.findall(r"[A-Za-z0-9+/=]{16,}", value.replace("\\n", "\n").replace("\\r", "\r"))
    key = "".join(runs)
    return len(key) >= 40 and 2 * len(key) > len("".join(value.split())) and entropy(key) > 3.5


def is_web_token(value: str) -> bool:
    """Whether the first part of a JSON Web Token is the header that it must be."""
    head = value.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(header, dict) and bool(_WEB_TOKEN_FIELDS & header.keys())


_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"(?:6011|64[4-9]\d|65\d\d|35[2-8]\d)\d{12}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
"""How long the numbers of each issuer are, and how they begin (ISO/IEC 7812)."""


def is_card_number(value: str) -> bool:
    """A number that an issuer may have given out, with Luhn's check digit."""
    plain = re.sub(r"\D", "", value)
    if not _CARD.fullmatch(plain) or len(set(plain)) == 1:
        return False
    digits = [int(char) for char in plain]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(value: str) -> bool:
    """ISO 13616: 15 to 34 characters, remainder 1 by 97."""
    plain = "".join(value.split()).upper()
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def is_phone_number(value: str) -> bool:
    """7 to 15 digits, written as a number that is called: with +, brackets, a leading 0, or in groups of 3, 3 and 4."""
    plain = value.partition("x")[0]
    digits = re.sub(r"\D", "", plain)
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3:
        return False
    if re.fullmatch(r"\d{1,4}([ ./-])\d{1,2}\1\d{1,4}|\d+\.\d+|\d{1,3}(?:\.\d{1,3}){3}", plain):
        return False
    if plain == digits:
        return 9 <= len(digits) <= 11 and digits[0] == "0" != digits[1]
    return plain[0] in "+(0" or bool(re.fullmatch(r"(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}", plain))


def is_social_security_number(value: str) -> bool:
    """A number of the form 123-45-6789 that may have been given out in the United States."""
    area, group, serial = value.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"

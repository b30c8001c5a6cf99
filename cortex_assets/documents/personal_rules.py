"""The rules by which personal data is found, where a corpus asks for it: one table, as ``secret_rules`` is for secrets.

What has a form or a check digit is found. Names and postal addresses have none, and are not looked for.
"""

import re

from cortex_assets.documents import secret_checks as checks
from cortex_assets.documents.secret_rules import Rule

_AT = re.compile("@")
_NUMBER = re.compile(r"\d[\d .()/-]{5,}\d")

PERSONAL: tuple[Rule, ...] = (
    Rule(
        "email-address",
        "an e-mail address",
        re.compile(
            r"(?<![\w.+-])[A-Za-z0-9_%+][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])"
        ),
        near=_AT,
        is_personal=True,
    ),
    Rule(
        "iban",
        "the number of a bank account",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        is_real=checks.is_iban,
        near=_NUMBER,
        is_personal=True,
    ),
    Rule(
        "card-number",
        "the number of a credit card",
        re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d{2,7}){2,4}(?![\w-])"),
        is_real=checks.is_card_number,
        near=_NUMBER,
        is_personal=True,
    ),
    Rule(
        "social-security-number",
        "a social security number of the United States",
        re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
        is_real=checks.is_social_security_number,
        near=_NUMBER,
        is_personal=True,
    ),
    Rule(
        "phone-number",
        "a telephone number",
        re.compile(
            r"(?<![\w.+(/-])(?:\+\d{1,3}[ .-]?)?(?:\(\+?\d{1,5}\)[ .-]?)?\d{1,12}(?:[ .-]\(?\d{1,8}\)?){0,6}(?:x\d{1,6})?(?![\w/-])"
        ),
        is_real=checks.is_phone_number,
        near=_NUMBER,
        is_personal=True,
    ),
)

"""The rules by which secrets are found: one table. Personal data has a table of its own, ``personal_rules``.

Which formats there are was learned from the public rule set of gitleaks (MIT) and the vendors' own pages; the patterns
are our own. To add one: a ``Rule`` with the literals that every match begins at; a value that it must find and one that
it must not find go into the test's table. How rules are run is ``documents.secrets``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from cortex_assets.documents import secret_checks as checks


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of secret looks like.

    Attributes:
        id: its name in tables and allow-lists.
        what: it, in words.
        pattern: matched where a keyword stands; the group ``secret``, or else all of it, is the secret.
        keywords: lower-case literals, at least three characters each, at which ``pattern`` begins.
        near: for a rule without keywords: what is part of every match, and quickly found.
        before: what the line must be up to the match; None where that does not matter.
        at_start: what a text begins with that is a secret's rest, because its first lines are in the part before.
        entropy: least bits per character of the secret.
        is_real: asked about the secret at last.
        is_personal: personal data, which is looked for only where a corpus asks.
    """

    id: str
    what: str
    pattern: re.Pattern[str]
    keywords: tuple[str, ...] = ()
    entropy: float = 0.0
    is_real: Callable[[str], bool] | None = None
    near: re.Pattern[str] | None = None
    before: re.Pattern[str] | None = None
    at_start: re.Pattern[str] | None = None
    is_personal: bool = False


_ALONE = r"(?<![A-Za-z0-9_])"
_END = r"(?![A-Za-z0-9_])"


def _token(name: str, what: str, pattern: str, *keywords: str, entropy: float = 3.0) -> Rule:
    """A token that says by its first characters whose it is."""
    return Rule(name, what, re.compile(_ALONE + pattern), keywords, entropy)


_VALUE = r"""(?:["'`\]]{0,2}[ \t]{0,8}(?::=|=>|=|:)[ \t]{0,8}|["'][ \t\r\n]{1,20}(?i:value)[ \t]{0,2}=[ \t]{0,2})"""
"""Between a name and its quoted value; in XML the name may be a value itself: ``key="pwd" value="..."``."""
_QUOTED = r"""(?P<quote>["'`])(?P<secret>(?:(?!(?P=quote))[^\s]){%d,200})(?P=quote)"""
_BARE = (
    r"""(?P<secret>(?:[^\s"'`,;<>(){}\[\]|&]|[,;|&](?![\w. "'-]{0,40}[=:]|[\s,;|&\\]|$)){%d,200}+)(?=[\s,;|&}\]]|$)"""
)
"""A value without quotes. A comma, ``;``, ``|`` or ``&`` ends it where another setting follows, and else belongs to it."""
_ELEMENT = r"""[ \t]{0,4}>[ \t]{0,4}(?P<secret>[^\s<>]{%d,200})[ \t]{0,4}</"""
_LINE = re.compile(
    r"[ \t]{0,40}(?:[-#*][ \t]{1,4}|(?:export|set|setx|ENV|ARG|-e|--env)[ \t]{1,4}|\$env:)?[A-Z0-9_]{0,80}"
)
"""What stands in a line of settings for the environment before the end of a name: nothing but its beginning."""
_CALL = r"(?:[^\n|;]|\\\r?\n){0,300}?[ \t]"
_KEY_NAMES = (
    r"(?i:(?:secret|token|api[-_]?key|access[-_]?key|auth[-_]?key|private[-_]?key|credential|_authtoken|_auth)s?"
    r"(?:[-_]?(?:key|token|secret|value|string|access|live|prod|test|dev|base64|\d{1,2})){0,3})"
)
_NAMED = (
    *("secret", "token", "api_key", "apikey", "api-key", "access_key", "accesskey", "auth_key", "authkey"),
    *("private_key", "credential", "_auth"),
)

SECRETS: tuple[Rule, ...] = (
    Rule(
        "private-key",
        "a private key in PEM, OpenSSH or PGP form",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?P<secret>(?:(?!-----)[\x00-\x7f]){20,40000}?(?=-----END )|(?:\s{0,8}[A-Za-z0-9+/=]{16,}){1,2000})"
        ),
        ("-----begin",),
        is_real=checks.is_key_block,
        at_start=re.compile(
            r"\s{0,8}(?P<secret>(?:[A-Za-z0-9+/=]{1,128}+\s{1,4}+){1,2000}+)-----END (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY"
        ),
    ),
    Rule(
        "putty-private-key",
        "the private lines of a PuTTY key",
        re.compile(r"Private-Lines: \d{1,3}\r?\n(?P<secret>(?:[A-Za-z0-9+/=]{1,80}\r?\n?){1,200})"),
        ("private-lines:",),
        is_real=checks.is_key_block,
    ),
    _token("age-key", "an age secret key", r"AGE-SECRET-KEY-1[A-Z0-9]{58}" + _END, "age-secret-key-"),
    _token(
        "aws-access-key",
        "an AWS access key id",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}" + _END,
        "akia",
        "asia",
        "abia",
        "acca",
    ),
    Rule(
        "aws-secret-key",
        "an AWS secret access key",
        re.compile(
            r"(?i:secret[-_]?(?:access[-_]?)?key)"
            + _VALUE
            + r"""["'`]?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"""
        ),
        ("secret_access_key", "secretaccesskey", "secret-access-key", "secret_key", "secretkey", "secret-key"),
        4.0,
    ),
    _token(
        "github-token",
        "a GitHub token",
        r"gh[pousr]_[A-Za-z0-9]{36,255}" + _END,
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
    ),
    _token("github-fine-grained-token", "a GitHub token", r"github_pat_[A-Za-z0-9_]{60,255}", "github_pat_"),
    _token(
        "gitlab-token",
        "a GitLab token",
        r"gl(?:pat|dt|rt|ptt|cbt|agent|ft|imt|oas|soat)-[A-Za-z0-9_=.-]{20,300}",
        *("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glagent-", "glft-", "glimt-", "gloas-", "glsoat-"),
    ),
    _token(
        "slack-token",
        "a Slack token",
        r"xox[abeoprs]-[A-Za-z0-9-]{20,250}",
        "xoxa-",
        "xoxb-",
        "xoxe-",
        "xoxo-",
        "xoxp-",
        "xoxr-",
        "xoxs-",
    ),
    _token("slack-app-token", "a Slack app token", r"xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{20,}", "xapp-"),
    Rule(
        "slack-webhook",
        "a Slack webhook",
        re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{30,100})"),
        ("hooks.slack.com",),
        3.0,
    ),
    Rule(
        "discord-webhook",
        "a Discord webhook",
        re.compile(r"discord(?:app)?\.com/api/webhooks/\d{17,20}/(?P<secret>[A-Za-z0-9_-]{60,70})"),
        ("discord.com/api", "discordapp.com/api"),
        3.5,
    ),
    _token(
        "stripe-key",
        "a Stripe key",
        r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,250}" + _END,
        *(f"{k}k_{m}_" for k in "sr" for m in ("live", "test", "prod")),
    ),
    _token("stripe-webhook-secret", "a Stripe webhook secret", r"whsec_[A-Za-z0-9+/=]{24,100}", "whsec_"),
    _token("anthropic-key", "an Anthropic key", r"sk-ant-[A-Za-z0-9_-]{20,200}", "sk-ant-"),
    _token(
        "openai-key",
        "an OpenAI key, or one of that form",
        r"sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{32,250}",
        "sk-",
        entropy=3.5,
    ),
    _token(
        "huggingface-token",
        "a Hugging Face token",
        r"(?:hf|api_org)_[A-Za-z0-9]{30,60}" + _END,
        "hf_",
        "api_org_",
        entropy=3.5,
    ),
    _token("groq-key", "a Groq key", r"gsk_[A-Za-z0-9]{48,60}" + _END, "gsk_"),
    _token("perplexity-key", "a Perplexity key", r"pplx-[A-Za-z0-9]{40,60}" + _END, "pplx-"),
    _token("replicate-token", "a Replicate token", r"r8_[A-Za-z0-9]{37}" + _END, "r8_"),
    _token("google-api-key", "a Google API key", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])", "aiza"),
    _token("google-oauth-secret", "a Google OAuth secret", r"GOCSPX-[A-Za-z0-9_-]{20,40}", "gocspx-"),
    _token(
        "google-oauth-token",
        "a Google OAuth token",
        r"(?:ya29\.|1//0)[A-Za-z0-9_-]{30,500}",
        "ya29.",
        "1//0",
        entropy=3.5,
    ),
    Rule(
        "azure-storage-key",
        "the key of an Azure storage account or queue",
        re.compile(r"(?i:AccountKey|SharedAccessKey|PrimaryKey)\s{0,3}=\s{0,3}(?P<secret>[A-Za-z0-9+/]{40,90}={0,2})"),
        ("accountkey", "sharedaccesskey", "primarykey"),
        4.0,
    ),
    Rule(
        "azure-signature",
        "the signature of an Azure shared access URL",
        re.compile(r"(?<=[?&;])sig=(?P<secret>[A-Za-z0-9%+/]{40,120}=?)"),
        ("sig=",),
        4.0,
    ),
    _token("npm-token", "an npm token", r"npm_[A-Za-z0-9]{36}" + _END, "npm_"),
    _token("pypi-token", "a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,400}", "pypi-age"),
    _token("rubygems-key", "a RubyGems key", r"rubygems_[a-f0-9]{48}" + _END, "rubygems_"),
    _token("docker-token", "a Docker Hub token", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,60}", "dckr_pat_", "dckr_oat_"),
    _token("sendgrid-key", "a SendGrid key", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}", "sg."),
    _token("mailgun-key", "a Mailgun key", r"key-[a-f0-9]{32}" + _END, "key-"),
    _token(
        "shopify-token",
        "a Shopify token",
        r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}" + _END,
        "shpat_",
        "shpca_",
        "shppa_",
        "shpss_",
    ),
    _token(
        "digitalocean-token", "a DigitalOcean token", r"do[opr]_v1_[a-f0-9]{64}" + _END, "doo_v1_", "dop_v1_", "dor_v1_"
    ),
    _token("databricks-token", "a Databricks token", r"dapi[a-f0-9]{32}(?:-\d)?" + _END, "dapi"),
    _token(
        "doppler-token",
        "a Doppler token",
        r"dp\.(?:pt|st|sa|ct)\.[A-Za-z0-9_.-]{40,60}",
        "dp.pt.",
        "dp.st.",
        "dp.sa.",
        "dp.ct.",
    ),
    _token("linear-key", "a Linear key", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}" + _END, "lin_api_", "lin_oauth_"),
    _token(
        "notion-token", "a Notion token", r"(?:ntn|secret)_[A-Za-z0-9]{43,50}" + _END, "ntn_", "secret_", entropy=3.5
    ),
    _token("grafana-token", "a Grafana token", r"gl(?:c|sa)_[A-Za-z0-9+/_=]{32,400}", "glc_", "glsa_"),
    _token(
        "vault-token", "a HashiCorp Vault token", r"hv[sbr]\.[A-Za-z0-9_-]{24,300}", "hvs.", "hvb.", "hvr.", entropy=3.5
    ),
    Rule(
        "terraform-token",
        "a Terraform Cloud token",
        re.compile(r"(?<=[A-Za-z0-9]{14})\.atlasv1\.(?P<secret>[A-Za-z0-9_=-]{60,70})"),
        (".atlasv1.",),
        3.5,
    ),
    _token("atlassian-token", "an Atlassian token", r"ATATT3[A-Za-z0-9_=-]{60,300}", "atatt3"),
    _token("postman-key", "a Postman key", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", "pmak-"),
    _token("new-relic-key", "a New Relic key", r"NRAK-[A-Z0-9]{27}" + _END, "nrak-"),
    _token(
        "square-token", "a Square token", r"sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,60}", "sq0atp-", "sq0csp-", "sq0idp-"
    ),
    _token(
        "supabase-token", "a Supabase token", r"sb(?:p|_secret)_[A-Za-z0-9_]{30,60}", "sbp_", "sb_secret_", entropy=3.5
    ),
    _token("sentry-token", "a Sentry token", r"sntry[su]_[A-Za-z0-9+/=_]{60,400}", "sntrys_", "sntryu_"),
    Rule(
        "json-web-token",
        "a signed JSON Web Token",
        re.compile(_ALONE + r"eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{16,4000}"),
        ("eyj",),
        3.5,
        checks.is_web_token,
    ),
    Rule(
        "url-password",
        "the password in a URL or a connection string",
        re.compile(r"""://[^\s:/@"'`<>]{0,100}:(?P<secret>[^\s/@"'`<>]{3,200})@[A-Za-z0-9\[_$-]"""),
        ("://",),
    ),
    Rule(
        "authorization-header",
        "the credentials of an HTTP request",
        re.compile(
            r"(?i:authorization)"
            + _VALUE
            + r"""["'`]?(?i:bearer|basic|token|bot)[ \t]{1,3}(?P<secret>[A-Za-z0-9._~+/=-]{16,2000})"""
        ),
        ("authorization",),
        3.2,
        checks.is_token,
    ),
    Rule(
        "netrc-password",
        "the password of a machine in a .netrc file",
        re.compile(
            r"(?:machine[ \t]+\S{1,200}|default)\s{1,10}login\s{1,10}\S{1,200}\s{1,10}password\s{1,10}(?P<secret>\S{3,200})"
        ),
        ("machine ", "default login"),
    ),
    Rule(
        "password",
        "what is assigned to something called a password",
        re.compile(
            r"(?i:password|passwd|passphrase|passwort|db[-_]?pass|smtp[-_]?pass|pwd)(?i:[-_]?(?:value|string|text))?"
            + _VALUE
            + _QUOTED % 6
        ),
        ("password", "passwd", "passphrase", "passwort", "db_pass", "dbpass", "smtp_pass", "pwd"),
        2.5,
        checks.is_password,
    ),
    Rule(
        "password-element",
        "the text of an XML element that is called a password",
        re.compile(r"(?i:password|passwd|passphrase|passwort|pwd)" + _ELEMENT % 6),
        ("password>", "passwd>", "passphrase>", "passwort>", "pwd>"),
        2.5,
        checks.is_password,
    ),
    Rule(
        "command-user",
        "user and password on the command line of curl or wget",
        re.compile(
            r"(?:curl|wget)(?=[ \t])"
            + _CALL
            + r"""(?:-u|--user|--proxy-user)[ \t=]{0,2}["']?[^\s:"'$<{]{1,100}:(?P<secret>[^\s"'`$<{(][^\s"'`]{3,199})"""
        ),
        ("curl ", "wget "),
        2.0,
        checks.is_password,
    ),
    Rule(
        "command-password",
        "a password on the command line of a database's client",
        re.compile(
            r"(?:(?:mysql|mariadb)(?:-?(?:dump|admin|import|show|check))?(?=[ \t])"
            + _CALL
            + r"-p|redis-cli(?=[ \t])"
            + _CALL
            + r"""-a[ \t]{1,4}|sshpass[ \t]{1,4}-p[ \t]{0,4})["']?(?P<secret>[^\s"'`$<{(][^\s"'`]{3,199})"""
        ),
        ("mysql", "mariadb", "redis-cli ", "sshpass "),
        2.0,
        checks.is_password,
    ),
    Rule(
        "password-setting",
        "a password in a file of settings for the environment",
        re.compile(r"_?(?i:password|passwd|passphrase|passwort|pwd|pass)=" + _BARE % 6),
        ("password=", "passwd=", "passphrase=", "passwort=", "pwd=", "_pass="),
        2.5,
        checks.is_password,
    ),
    Rule(
        "password-line",
        "a password in a line of a settings file",
        re.compile(
            r"_?(?i:password|passwd|passphrase|passwort|pwd|pass)[ \t]{0,4}[=:][ \t]{0,4}" + _BARE % 6,
        ),
        ("password", "passwd", "passphrase", "passwort", "pwd=", "_pass="),
        2.75,
        checks.is_token,
    ),
    Rule(
        "assigned-secret",
        "what is assigned to something called a secret, a token or a key",
        re.compile(_KEY_NAMES + _VALUE + _QUOTED % 16),
        _NAMED,
        3.5,
        checks.is_token,
    ),
    Rule(
        "secret-line",
        "a secret, a token or a key in a line of a settings file",
        re.compile(_KEY_NAMES + r"[ \t]{0,4}[=:][ \t]{0,4}" + _BARE % 20),
        _NAMED,
        3.6,
        checks.is_token,
    ),
    Rule(
        "environment-secret",
        "a secret, a token or a key in a line of settings for the environment",
        re.compile(
            r"(?:SECRET|TOKEN|API_?KEY|ACCESS_?KEY|AUTH_?KEY|PRIVATE_?KEY|CREDENTIAL)S?"
            r"(?:_(?:KEY|TOKEN|SECRET|VALUE|STRING|LIVE|PROD|TEST|DEV|\d{1,2})){0,3}"
            r"""=["']?(?P<secret>[^\s"'`]{8,200}+)["']?[ \t]{0,40}(?:#[^\n]{0,200})?\r?$""",
            re.MULTILINE,
        ),
        ("secret", "token", "api_key", "apikey", "access_key", "accesskey", "auth_key", "private_key", "credential"),
        2.75,
        checks.is_token,
        before=_LINE,
    ),
)

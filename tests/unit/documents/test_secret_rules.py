"""Rules: each finds what it is for and leaves alone what only looks like it. Keys are made here and belong to nobody."""

import base64
import hashlib
import json
import lzma
import random
import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cortex_assets.documents.personal_rules import PERSONAL
from cortex_assets.documents.secret_checks import MASK, entropy, is_card_number, is_iban, is_password, is_placeholder
from cortex_assets.documents.secret_rules import SECRETS
from cortex_assets.documents.secrets import Finding, find_in_all, find_secrets, masked

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def made(length: int, letters: str = LETTERS, seed: str = "") -> str:
    """Random characters, the same each time."""
    chosen = random.Random(f"{length}{letters}{seed}")
    return "".join(chosen.choice(letters) for _ in range(length))


def encoded(value: object) -> str:
    """Base64 for URLs, of JSON."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
HEX = "0123456789abcdef"
BODY = "\n".join(made(64, seed=str(n)) for n in range(20))
JWT = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded({'sub': '17', 'iat': 1516239022})}.{made(43)}"
PLANTED = {
    "private-key": BODY,
    "putty-private-key": BODY,
    "age-key": "AGE-SECRET-KEY-1" + made(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "aws-access-key": "AKIA" + made(16, UPPER),
    "aws-secret-key": made(40, LETTERS + "+/"),
    "github-token": "ghp_" + made(36),
    "github-fine-grained-token": f"github_pat_{made(22)}_{made(59)}",
    "gitlab-token": "glpat-" + made(20),
    "slack-token": f"xoxb-{made(12, '123456789')}-{made(12, '123456789', 'b')}-{made(24)}",
    "slack-app-token": f"xapp-1-A{made(10, UPPER)}-{made(13, '123456789')}-{made(64, HEX)}",
    "slack-webhook": f"T{made(8, UPPER)}/B{made(8, UPPER)}/{made(24)}",
    "discord-webhook": made(68),
    "stripe-key": "sk_live_" + made(24),
    "stripe-webhook-secret": "whsec_" + made(32),
    "anthropic-key": "sk-ant-api03-" + made(93),
    "openai-key": "sk-proj-" + made(48),
    "huggingface-token": "hf_" + made(34),
    "groq-key": "gsk_" + made(52),
    "perplexity-key": "pplx-" + made(48),
    "replicate-token": "r8_" + made(37),
    "google-api-key": "AIza" + made(35),
    "google-oauth-secret": "GOCSPX-" + made(28),
    "google-oauth-token": "ya29." + made(120),
    "azure-storage-key": made(86) + "==",
    "azure-signature": made(43) + "%3D",
    "npm-token": "npm_" + made(36),
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + made(120),
    "rubygems-key": "rubygems_" + made(48, HEX),
    "docker-token": "dckr_pat_" + made(27),
    "sendgrid-key": f"SG.{made(22)}.{made(43)}",
    "mailgun-key": "key-" + made(32, HEX),
    "shopify-token": "shpat_" + made(32, HEX),
    "digitalocean-token": "dop_v1_" + made(64, HEX),
    "databricks-token": "dapi" + made(32, HEX),
    "doppler-token": "dp.pt." + made(43),
    "linear-key": "lin_api_" + made(40),
    "notion-token": "ntn_" + made(46),
    "grafana-token": "glsa_" + made(41),
    "vault-token": "hvs." + made(90),
    "terraform-token": made(67),
    "atlassian-token": "ATATT3" + made(180),
    "postman-key": f"PMAK-{made(24, HEX)}-{made(34, HEX)}",
    "new-relic-key": "NRAK-" + made(27, UPPER),
    "square-token": "sq0atp-" + made(22),
    "supabase-token": "sbp_" + made(40, HEX),
    "sentry-token": "sntrys_" + made(120),
    "json-web-token": JWT,
    "url-password": "Zq8-vTr4",
    "authorization-header": made(40),
    "netrc-password": "Tr0ub4dor",
    "password": "correct-7-Horse",
    "password-element": "zQ7!kR2w",
    "command-user": "S3cret-Pw9",
    "command-password": "S3cretPw9x",
    "password-setting": "hunter2!",
    "password-line": "aZ3k!9Qm2x",
    "assigned-secret": made(32),
    "secret-line": made(44),
    "environment-secret": "envSecret99Zq",
}
AROUND = {
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "putty-private-key": "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 20\n{}\nPrivate-MAC: 0",
    "aws-secret-key": "aws_secret_access_key = {}",
    "slack-webhook": "https://hooks.slack.com/services/{}",
    "discord-webhook": "https://discord.com/api/webhooks/112233445566778899/{}",
    "azure-storage-key": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core",
    "azure-signature": "https://x.blob.core.windows.net/c/f?sv=2022-11-02&sig={}",
    "terraform-token": "aB3dE5gH7jK9mN.atlasv1.{}",
    "url-password": "postgres://ada:{}@db.example.net:5432/app",
    "authorization-header": 'curl -H "Authorization: Bearer {}" https://api.example.net',
    "netrc-password": "machine git.example.net login ada password {}",
    "password": 'db_password = "{}"',
    "password-element": "<server><password>{}</password></server>",
    "command-user": "curl -X POST -u ada:{} https://api.example.net/",
    "command-password": "mysql -h db -u root -p{} app",
    "password-setting": "DB_PASSWORD={}\n",
    "password-line": "password: {}\n",
    "assigned-secret": '{{"client_secret": "{}"}}',
    "secret-line": "export APP_SECRET_KEY={}\n",
    "environment-secret": "SECRET_KEY={}\n",
}


def spans(text: str, rules: tuple = SECRETS) -> dict[str, str]:
    return {finding.rule: text[finding.start : finding.end] for finding in find_secrets(text, rules)}


def test_every_rule_has_a_planted_value() -> None:
    assert [rule.id for rule in SECRETS] == list(PLANTED)
    assert all(len(keyword) >= 3 and keyword == keyword.lower() for rule in SECRETS for keyword in rule.keywords)


@pytest.mark.parametrize("rule", PLANTED)
@pytest.mark.parametrize("filling", ["", "Öffnung der Tür – \U0001f511 "], ids=["ascii", "wide"])
def test_a_planted_value_is_found_in_short_and_long_texts(rule: str, filling: str) -> None:
    value = PLANTED[rule]
    text = AROUND.get(rule, "the key is {} here").format(value)
    for before in (f"{filling}\n", f"{filling}lorem ipsum\n" * 60):
        found = spans(before + text + "\n")
        assert value.strip() in found.get(rule, ""), found
        hidden = masked(before + text, find_secrets(before + text, SECRETS))
        assert value not in hidden and len(hidden) == len(before + text)
        assert hidden.count("\n") == (before + text).count("\n")


@pytest.mark.parametrize("rule", PLANTED)
def test_a_masked_text_has_no_secret_any_more(rule: str) -> None:
    text = AROUND.get(rule, "the key is {} here").format(PLANTED[rule])
    hidden = masked(text, find_secrets(text, SECRETS))
    assert MASK in hidden
    assert find_secrets(hidden, SECRETS) == []


@pytest.mark.parametrize(
    "text",
    [
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        'password = "changeme"',
        'password = "${DB_PASSWORD}"',
        "DB_PASSWORD=$DB_PASSWORD",
        "password: {{ vault_password }}",
        'token = os.environ["API_TOKEN_1"]',
        "token: <your-token-here-0123456789>",
        'api_key = "xxxxxxxxxxxxxxxxxxxxxxxx"',
        'secret = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"',
        "postgres://user:password@localhost/db",
        "postgres://user:${PASS}@localhost/db",
        "https://example.net:8080/a@b",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "a block that begins with -----BEGIN PRIVATE KEY----- and holds your key, and then much more prose follows it",
        "task-1234567890abcdef1234567890abcdef1234",
        "The token is refreshed: ServiceAccountTokenVolumeProjection",
        "password: the one that you were given",
        "eyJhbGciOiJub25lIn0",
        "data:\n  password: c2VjcmV0Cg==\n",
        "secretName: my-app-credentials-v2-production",
        "tokenizer = load_tokenizer(config, self.places)",
        "def password(self, secret: str = DEFAULT_2) -> None:",
        "-----BEGIN CERTIFICATE-----\n" + BODY + "\n-----END CERTIFICATE-----",
        "tokens = ['tokenizers>=0.23.1,<0.24.0']",
        "DB_PASSWORD=/run/secrets/db-2",
        "curl -d password=$PASSWORD2",
        "curl -u user:pass https://api.example.net",
        'curl -u "$USER:$PASS9" https://api.example.net',
        "curl -u ada https://api.example.net/a:b9c8d7e6",
        "mysql -u root -p app2024",
        "mysql -P3306 -p$PASSWORD9",
        "sshpass -p $PASSWORD9 ssh host",
        "redis-cli -a <password-9> ping",
        "password=get_password(2)",
        '"user=user, password=password,\\n  db=database"',
        "mysql -u root [-p$PASSWORD9]",
        "{color:!0,password:!0,range:!0,search:!0}",
        "password: Optional[str] = None",
        "<password>${DB_PASSWORD9}</password>",
        "<code>password</code>: 6 to 20 characters",
        '<input name="password" value="{{ value9 }}">',
        '<add key="pwd" value="changeme"/>',
        "API_TOKEN=$API_TOKEN_9",
        "SECRET_KEY=insecure-dev-key-42",
        "SECRET_KEY=os.environ.get",
        "    token=SomeClass9Value22,",
        "the line SECRET_KEY=abcDef99Zq is not one of settings",
        "SECRET_NAME=appSecret99Zq",
        "checksum sha256: " + hashlib.sha256(b"x").hexdigest(),
    ],
)
def test_placeholders_and_look_alikes_are_no_findings(text: str) -> None:
    assert find_secrets(text, SECRETS) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DB_PASSWORD=abc;def9Kxx2\n", "abc;def9Kxx2"),
        ("password=Rock&Roll99xx", "Rock&Roll99xx"),
        ("password: Rock|Roll,99xx\n", "Rock|Roll,99xx"),
        ("Server=x;Password=hunter22;Database=app", "hunter22"),
        ("Server=x;Password=hunter22;Initial Catalog=app", "hunter22"),
        ("https://example.net/?password=abc123x&user=me", "abc123x"),
        ('password = "it\'s9xZq"', "it's9xZq"),
        ("SECRET_KEY=envSecret99Zq", "envSecret99Zq"),
        ("export API_TOKEN='k9Xz77Qw'  # mine\r\n", "k9Xz77Qw"),
        ("ENV GH_TOKEN=k9Xz77Qw\n", "k9Xz77Qw"),
        ('<add key="pwd" value="Zx9!kQ2w"/>', "Zx9!kQ2w"),
        ("<add key='db.password'\n     value='Zx9!kQ2w'/>", "Zx9!kQ2w"),
        ("<password>Zx9!kQ2w</password>", "Zx9!kQ2w"),
        ("curl -u ada:S3cretPw9 https://example.net", "S3cretPw9"),
        ("curl -X POST \\\n  --user 'ada:S3cretPw9' https://example.net", "S3cretPw9"),
        ("mysql -h db -pS3cretPw9 app", "S3cretPw9"),
        ("mysqldump -pS3cretPw9 app > a.sql", "S3cretPw9"),
        ("sshpass -p S3cretPw9 ssh host", "S3cretPw9"),
        ("redis-cli -h x -a S3cretPw9 ping", "S3cretPw9"),
    ],
)
def test_short_values_and_those_with_signs_are_masked_whole_and_nothing_else(text: str, value: str) -> None:
    assert list(spans(text).values()) == [value]


@given(st.text("abcdefXYZ0123456789;,&|!#%+-_.?^~", min_size=4, max_size=30).map(lambda middle: f"k7{middle}Zq9"))
def test_whatever_signs_a_password_has_none_of_it_is_left(value: str) -> None:
    assume(not is_placeholder(value) and is_password(value) and entropy(value) > 2.75)
    assume(not re.search(r"[,;|&]{2}", value))
    for text in (f"DB_PASSWORD={value}\n", f'<add key="pwd" value="{value}"/>', f"curl -u ada:{value} x\n"):
        hidden = masked(text, find_secrets(text, SECRETS))
        assert hidden == text.replace(value, MASK * len(value))


def test_the_rest_of_a_key_whose_first_lines_are_in_another_part_is_masked() -> None:
    rest = f"{BODY}\nshort==\n-----END RSA PRIVATE KEY-----\nand more\n"
    hidden = masked(rest, find_secrets(rest, SECRETS))
    assert not any(line in hidden for line in [*BODY.split(), "short=="])
    assert hidden.endswith("-----END RSA PRIVATE KEY-----\nand more\n")
    certificate = rest.replace("RSA PRIVATE KEY", "CERTIFICATE")
    assert find_secrets(certificate, SECRETS) == []


def test_keys_in_json_and_without_an_end_are_whole() -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"
    text = json.dumps({"type": "service_account", "private_key": key})
    hidden = masked(text, find_secrets(text, SECRETS))
    assert not any(line in hidden for line in BODY.split())
    assert json.loads(hidden)["type"] == "service_account"
    cut = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n"
    assert not any(line in masked(cut, find_secrets(cut, SECRETS)) for line in BODY.split())


def test_what_two_rules_find_is_one_finding_named_by_the_first() -> None:
    value = PLANTED["github-token"]
    text = f'token = "{value}"'
    assert find_secrets(text, SECRETS) == [Finding("github-token", 9, 9 + len(value))]


def test_many_texts_give_what_each_gives_alone() -> None:
    texts = [AROUND.get(rule, "{}").format(value) * 3 + "x" * n for n, (rule, value) in enumerate(PLANTED.items())]
    texts += [text + "é" * 500 for text in texts] + [""]
    assert find_in_all(texts, SECRETS) == [find_secrets(text, SECRETS) for text in texts]


def test_check_digits() -> None:
    assert is_card_number("4111 1111 1111 1111") and not is_card_number("4111 1111 1111 1112")
    assert is_iban("DE89 3704 0044 0532 0130 00") and not is_iban("DE88 3704 0044 0532 0130 00")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("write to ada.lovelace@mail.example.net today", "email-address"),
        ("call +49 30 901820 or come", "phone-number"),
        ("call (96) 627-277 or come", "phone-number"),
        ("to DE89 3704 0044 0532 0130 00 please", "iban"),
        ("card 4111-1111-1111-1111 ok", "card-number"),
        ("ssn 123-45-6789", "social-security-number"),
    ],
)
def test_personal_data_is_found_where_it_is_asked_for(text: str, rule: str) -> None:
    assert list(spans(text, PERSONAL)) == [rule]
    assert find_secrets(text, SECRETS) == []


@pytest.mark.parametrize("text", ["on 2026-11-28 at 12:30", "version 1.2.3.4 of 10 000 000", "pages 12-14, 1990-2020"])
def test_dates_and_counts_are_no_personal_data(text: str) -> None:
    assert find_secrets(text, PERSONAL) == []


@pytest.mark.skipif(not (SHARED / "pii").is_dir(), reason="the shared data folder is not there")
def test_recall_and_precision_on_generated_sentences() -> None:
    kinds = {"EMAIL_ADDRESS": "email-address", "PHONE_NUMBER": "phone-number", "IBAN_CODE": "iban"}
    kinds |= {"CREDIT_CARD": "card-number", "US_SSN": "social-security-number"}
    right, wanted, told = dict.fromkeys(kinds.values(), 0), dict.fromkeys(kinds.values(), 0), 0
    for sample in json.loads((SHARED / "pii" / "generated_small.json").read_text(encoding="utf-8")):
        found = find_secrets(sample["full_text"], PERSONAL)
        told += len(found)
        for span in sample["spans"]:
            rule = kinds.get(span["entity_type"])
            if rule is None:
                continue
            wanted[rule] += 1
            start, end = span["start_position"], span["end_position"]
            right[rule] += any(f.rule == rule and f.start < end and start < f.end for f in found)
    for rule, least in RECALL.items():
        assert right[rule] >= least * wanted[rule], (rule, right[rule], wanted[rule])
    assert sum(right.values()) >= 0.95 * told


RECALL = {"email-address": 1.0, "iban": 1.0, "card-number": 1.0, "social-security-number": 1.0, "phone-number": 0.8}


@pytest.mark.skipif(not (SHARED / "bench_text.tar.xz").is_file(), reason="the shared data folder is not there")
def test_nothing_is_found_in_prose_about_software() -> None:
    texts = []
    with lzma.open(SHARED / "bench_text.tar.xz") as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                texts.append(content.read().decode("utf-8", "replace"))
    assert len(texts) > 1_000
    assert [found for found in find_in_all(texts, SECRETS) if found] == []

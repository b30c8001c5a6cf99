"""Keys that are planted in a lake's sources, in every kind of file, and a look through everything that Cortex keeps.

The values are made here and open nothing.
"""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import polars as pl

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


def made(length: int, seed: str) -> str:
    """Random characters, the same each time."""
    chosen = random.Random(seed)
    return "".join(chosen.choice(LETTERS) for _ in range(length))


GITHUB = "ghp_" + made(36, "github")
AWS = "AKIA" + "QZ7XK2M4NP5R6T3W"
STRIPE = "sk_live_" + made(24, "stripe")
URL_PASSWORD = "Vq8-" + made(12, "url")
KEY_LINES = [made(64, f"line {n}") for n in range(12)]
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(KEY_LINES) + "\n-----END RSA PRIVATE KEY-----\n"
ASSIGNED = made(32, "assigned")
IN_HEADING, IN_LINK, IN_TITLE = "ghp_" + made(36, "heading"), "Wx9-" + made(12, "link"), "glpat-" + made(20, "title")
IN_REASON = "npm_" + made(36, "reason")
VALUES = [GITHUB, AWS, STRIPE, URL_PASSWORD, *KEY_LINES, ASSIGNED, IN_HEADING, IN_LINK, IN_TITLE]


def sources() -> dict[str, bytes]:
    """Path to bytes: the values in notes, code, settings, a page, a PDF, a DOCX and a mail."""
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Access", "ada@example.net"
    mail.set_content(f"The database is postgres://ada:{URL_PASSWORD}@db.example.net/app until Friday.\n")
    return {
        "notes/access.md": f"# Access to {IN_HEADING}\n\nUse {GITHUB} for now.\n\n{PEM}\nThen go on.\n".encode(),
        "notes/deploy.py": f'API_TOKEN = "{ASSIGNED}"\n\n\ndef deploy() -> None:\n    """Deploy."""\n'.encode(),
        "notes/service.json": json.dumps({"key": STRIPE, "private_key": PEM}, indent=1).encode(),
        "notes/.env": f"AWS_ACCESS_KEY_ID={AWS}\nMODE=production\n".encode(),
        "notes/page.html": (
            f"<html><head><title>Token {IN_TITLE}</title></head><body><h1>Page</h1><p>See "
            f"<a href='https://ada:{IN_LINK}@example.net/x'>the list</a> of all.</p></body></html>"
        ).encode(),
        "notes/scan.pdf": pdf(f"The key is {AWS} for the bucket."),
        "notes/letter.docx": docx(f"Please use {GITHUB} from today."),
        "notes/mail.txt": mail.as_bytes(),
        "notes/plain.md": b"# Plain\n\nNothing of value is written in this note about lanterns.\n",
    }


def pdf(line: str) -> bytes:
    """A PDF of one page with one line."""
    content = f"BT /F1 12 Tf 72 700 Td ({line}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def docx(line: str) -> bytes:
    """A DOCX with one paragraph, whose text runs are cut in the middle of the key."""
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    half = len(line) // 2
    runs = "".join(f'<w:r><w:t xml:space="preserve">{part}</w:t></w:r>' for part in (line[:half], line[half:]))
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml", f'<w:document xmlns:w="{name}"><w:body><w:p>{runs}</w:p></w:body></w:document>'
        )
    return package.getvalue()


def leaks(folder: Path, values: list[str], spared: tuple[str, ...] = ()) -> Iterator[str]:
    """Files below a folder in which a value stands, packed or not, in whatever case; those of ``spared`` are not looked at."""
    wanted = [value.lower() for value in values]
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or str(path.relative_to(folder)).startswith(spared):
            continue
        content = path.read_bytes().decode("utf-8", "replace").lower()
        if path.suffix == ".parquet":
            content += str(pl.read_parquet(path, hive_partitioning=False).rows()).lower()
        if path.suffix == ".arrow":
            content += str(pl.read_ipc(path).rows()).lower()
        for value in wanted:
            if value in content or value[8:-4] in content:
                yield f"{path.relative_to(folder)}: {value[:9]}"

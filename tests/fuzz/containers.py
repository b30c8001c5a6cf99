"""Makers of mail, tar archives and binary formats: PDF, PNG, SQLite, Parquet."""

import gzip
import io
import random
import sqlite3
import struct
import tarfile
import zlib
from collections.abc import Callable
from email.message import EmailMessage

from tests.fuzz.packages import docx
from tests.fuzz.words import paragraph, phrase, table, word


def mail(pick: random.Random) -> bytes:
    """A message with two bodies and two attachments."""
    message = EmailMessage()
    message["From"], message["To"] = f"{word(pick)}@example.org", f"{word(pick)}@example.org"
    message["Subject"], message["Date"] = phrase(pick), "Fri, 02 Jan 2026 09:00:00 +0000"
    message["Message-ID"] = f"<{pick.randint(0, 10**9)}@example.org>"
    message.set_content(paragraph(pick))
    if pick.random() < 0.5:
        message.add_alternative(f"<p>{paragraph(pick)}</p>", subtype="html")
    if pick.random() < 0.5:
        message.add_attachment(paragraph(pick).encode(), maintype="text", subtype="plain", filename="a.txt")
        message.add_attachment(docx(pick), maintype="application", subtype="octet-stream", filename="b.docx")
    for part in message.walk():
        if part.is_multipart():
            part.set_boundary(f"=={pick.randint(0, 10**12)}==")
    return message.as_bytes()


def mailbox(pick: random.Random) -> bytes:
    """Three messages in one file."""
    line = b"From a@example.org Fri Jan  2 09:00:00 2026\n"
    return b"".join(line + mail(pick).replace(b"\nFrom ", b"\n>From ") + b"\n" for _ in range(3))


def tar(pick: random.Random) -> bytes:
    """Two members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        for name in ("a.txt", f"{word(pick)}/b.md"):
            content = paragraph(pick).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return out.getvalue()


def packed_tar(pick: random.Random) -> bytes:
    """The same, packed."""
    return gzip.compress(tar(pick), mtime=0)


def packed(pick: random.Random) -> bytes:
    """One packed text."""
    return gzip.compress(paragraph(pick).encode(), mtime=0)


def pdf(pick: random.Random) -> bytes:
    """One to three pages of Helvetica, content streams packed, and an outline."""
    pages = pick.randint(1, 3)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(pages))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    for number in range(pages):
        lines = [phrase(pick), *(paragraph(pick)[:90] for _ in range(pick.randint(2, 20)))]
        shown = b"".join(
            b"("
            + line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
            + b")'\n"
            for line in lines
        )
        stream = zlib.compress(b"BT /F1 11 Tf 14 TL 60 780 Td\n" + shown + b"ET")
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R "
        objects.append((page + "/Resources << /Font << /F1 3 0 R >> >> >>").encode())
        objects.append(f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode() + stream + b"\nendstream")
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def png(pick: random.Random) -> bytes:
    """A small picture with a text chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    width = pick.randint(1, 20)
    rows = b"".join(b"\0" + pick.randbytes(3 * width) for _ in range(8))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, 8, 8, 2, 0, 0, 0))
        + chunk(b"tEXt", b"Description\0" + phrase(pick).encode("latin-1", "replace"))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def svg(pick: random.Random) -> bytes:
    """A drawing with text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg"><title>{phrase(pick)}</title><text x="1" y="9">{phrase(pick)}</text></svg>'
    ).encode()


def sqlite(pick: random.Random) -> bytes:
    """Two tables with rows."""
    connection = sqlite3.connect(":memory:")
    try:
        for number in (1, 2):
            connection.execute(f"CREATE TABLE {word(pick)}{number} (id INTEGER PRIMARY KEY, note TEXT, price REAL)")
            name = connection.execute("SELECT name FROM sqlite_master ORDER BY rowid DESC").fetchone()[0]
            rows = [(phrase(pick), pick.random()) for _ in range(9)]
            connection.executemany(f"INSERT INTO {name} (note, price) VALUES (?, ?)", rows)
        connection.commit()
        return bytes(connection.serialize())
    finally:
        connection.close()


def parquet(pick: random.Random) -> bytes:
    """A table of texts and numbers."""
    import polars as pl

    head, *rows = table(pick)
    out = io.BytesIO()
    pl.DataFrame(rows, schema=[f"{name}_{n}" for n, name in enumerate(head)], orient="row").write_parquet(out)
    return out.getvalue()


MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    ".eml": mail,
    ".mbox": mailbox,
    ".tar": tar,
    ".tar.gz": packed_tar,
    ".txt.gz": packed,
    ".pdf": pdf,
    ".png": png,
    ".svg": svg,
    ".sqlite": sqlite,
    ".parquet": parquet,
}

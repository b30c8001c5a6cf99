"""OLE containers: encrypted Office files (opened with the corpus's passwords), old .doc and .ppt, objects in a document.

What an old format says is not read here: its document says how to convert it. Workbooks (.xls) are ``sheets``'.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_SPIN = 2_000_000
"""Rounds of a password's hash; Office writes 100,000, and each password tried costs them twice."""
MAX_PASSWORDS = 50
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
_DAMAGED = "encrypted, and damaged: what is in it cannot be read; restore it from a copy"
_WORKBOOKS = frozenset({"workbook", "book"})
_CONVERT = "save it as .{0}, or convert it with LibreOffice (soffice --convert-to {0} FILE)"


def parse_ole(source: ParseInput) -> Iterator[Parsed]:
    """Parse an OLE container by what is in it; legacy Word and PowerPoint are ``unsupported``, with the remedy."""
    names = stream_names(source.stream)
    if not names:
        reason = "damaged OLE file (an old Office format, or an encrypted one): open and save it again"
        yield ParsedDocument("", "none", status=Status.FAILED, reason=reason)
    elif "encryptedpackage" in names:
        yield from _encrypted(source)
    elif "worddocument" in names:
        reason = f"old Word format (.doc): {_CONVERT.format('docx')}"
        yield ParsedDocument("", "word", status=Status.UNSUPPORTED, reason=reason)
    elif "powerpoint document" in names:
        reason = f"old PowerPoint format (.ppt): {_CONVERT.format('pptx')}"
        yield ParsedDocument("", "slides", status=Status.UNSUPPORTED, reason=reason)
    elif _WORKBOOKS & names:
        yield from parser_for("application/vnd.ms-excel").parser(source)
    elif "__properties_version1.0" in names:
        yield from parser_for("application/vnd.ms-outlook").parser(source)
    else:
        reason = "an OLE file that is no Office document: open it in its program and save it as text or PDF"
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=reason)


def stream_names(stream: BinaryIO) -> set[str] | None:
    """Names of the streams at the top of an OLE container, in lower case; None where it cannot be opened."""
    container = _opened(stream)
    if container is None:
        return None
    return {str(path[0]).lower() for path in container.listdir(streams=True, storages=False)}


def native_file(raw: bytes) -> tuple[str, bytes] | None:
    """The file that an OLE object wraps (its name, empty where it has none, and its bytes); None for no file."""
    container = _opened(io.BytesIO(raw))
    if container is None:
        return None
    names = {str(path[0]).lower(): path for path in container.listdir(streams=True, storages=False)}
    try:
        if "package" in names:
            return "", container.openstream(names["package"]).read()
        if "\x01ole10native" in names:
            return _unwrapped(container.openstream(names["\x01ole10native"]).read())
    except OSError:
        return None
    is_document = names.keys() & {"worddocument", "powerpoint document", *_WORKBOOKS}
    return ("", raw) if is_document else None


def _unwrapped(native: bytes) -> tuple[str, bytes] | None:
    """Name and bytes in an Ole10Native stream: size, flags, label, path, flags, temporary path, size, bytes."""
    parts = native[6:].split(b"\0", 2)
    if len(parts) < 3 or len(parts[2]) < 8:
        return None
    rest = parts[2][4:]
    skipped = int.from_bytes(rest[:4], "little")
    start = 4 + skipped
    size = int.from_bytes(rest[start : start + 4], "little")
    content = rest[start + 4 : start + 4 + size]
    return (parts[0].decode("cp1252", "replace"), content) if size and len(content) == size else None


def decrypted(stream: BinaryIO, passwords: tuple[str, ...]) -> bytes | str:
    """The bytes of an encrypted Office file under the first password that fits, or why there are none."""
    import msoffcrypto
    from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError

    remedy = "add its password to the corpus, or save a copy without one"
    if not passwords:
        return f"encrypted: a password is needed; {remedy}"
    for password in passwords[:MAX_PASSWORDS]:
        try:
            stream.seek(0)
            office: Any = msoffcrypto.OfficeFile(stream)
            if int(getattr(office, "info", {}).get("spinValue", 0)) > MAX_SPIN:
                return f"encrypted with {office.info['spinValue']:,} rounds, the limit is {MAX_SPIN:,}: {remedy}"
            office.load_key(password=password, verify_password=True)
        except InvalidKeyError:
            continue
        except (DecryptionError, FileFormatError) as error:
            return f"encrypted in a way that is not read ({in_words(error)}): save a copy without a password"
        except _DAMAGE:
            return _DAMAGED
        return _unlocked(office)
    return f"encrypted: none of the corpus's {len(passwords)} passwords opens it; {remedy}"


def _unlocked(office: Any) -> bytes | str:
    """What an Office file says under the password that fits."""
    from msoffcrypto.exceptions import DecryptionError, InvalidKeyError

    plain = io.BytesIO()
    try:
        office.decrypt(plain)
    except (DecryptionError, InvalidKeyError, *_DAMAGE):
        return _DAMAGED
    return plain.getvalue()


def _encrypted(source: ParseInput) -> Iterator[Parsed]:
    """Decrypt an Office Open XML file and parse what comes out."""
    limit = source.options.limits.member_bytes
    if source.size > limit:
        reason = f"encrypted and larger than {limit:,} bytes: save a copy without a password"
        yield ParsedDocument("", "none", status=Status.TOO_LARGE, reason=reason)
        return
    plain = decrypted(source.stream, source.options.passwords)
    if isinstance(plain, str):
        yield ParsedDocument("", "none", status=Status.FAILED, reason=plain)
        return
    found = media_type(plain[:HEAD_BYTES], plain[HEAD_BYTES:][-TAIL_BYTES:], source.path, len(plain))
    inner = replace(source, stream=io.BytesIO(plain), size=len(plain), media_type=found)
    yield from parser_for(found).parser(inner)


def _opened(stream: BinaryIO) -> Any:
    """An OLE container; None where it is damaged."""
    import olefile

    try:
        stream.seek(0)
        return olefile.OleFileIO(stream)
    except _DAMAGE:
        return None

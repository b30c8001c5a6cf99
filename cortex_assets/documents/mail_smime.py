"""S/MIME envelopes (CMS, RFC 5652): whether one is encrypted, and the content of one that is only signed.

Reads just enough of BER to get there; signatures are not verified.
"""

_ENVELOPED = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d0109100117"))
_SIGNED = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("06092a864886f70d010701")
_OCTETS, _OCTETS_IN_PIECES, _CONTENT = 0x04, 0x24, 0xA0


def is_enveloped(raw: bytes) -> bool:
    """Whether an envelope says that it is encrypted."""
    return any(mark in raw[:64] for mark in _ENVELOPED)


def signed_content(raw: bytes) -> bytes | None:
    """The message within a signed envelope; None where it is none or is damaged."""
    if _SIGNED not in raw[:64]:
        return None
    start = raw.find(_DATA)
    if start < 0:
        return None
    position = start + len(_DATA)
    tag, position, _ = _element(raw, position)
    if tag != _CONTENT:
        return None
    tag, position, end = _element(raw, position)
    if tag == _OCTETS:
        return raw[position:end]
    if tag != _OCTETS_IN_PIECES:
        return None
    pieces: list[bytes] = []
    while position < end:
        tag, inner, inner_end = _element(raw, position)
        if tag != _OCTETS:
            break
        pieces.append(raw[inner:inner_end])
        position = inner_end
    return b"".join(pieces) or None


def _element(raw: bytes, position: int) -> tuple[int, int, int]:
    """Tag, start and end of a BER element's content; one of indefinite length ends with the bytes. Tag -1 for none."""
    if position + 2 > len(raw):
        return -1, len(raw), len(raw)
    tag, length = raw[position], raw[position + 1]
    position += 2
    if length == 0x80:
        return tag, position, len(raw)
    if length > 0x80:
        count = length & 0x7F
        length = int.from_bytes(raw[position : position + min(count, 8)], "big")
        position += count
    return tag, position, min(len(raw), position + length)

"""What a file is when it is taken: its media type by its bytes, for ``engine.files``, which may not import media."""

import logging
import os
from collections.abc import Sequence

from cortex_assets.corpora.take import file_rows
from cortex_assets.engine.corpus import TakenFile
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from resources.listing import open_inside

log = logging.getLogger(__name__)


def media_types(files: Sequence[TakenFile]) -> list[str | None]:
    """Media types of taken files by their bytes; None for one that went or was swapped since it was hashed."""
    found: list[str | None] = []
    for file in files:
        try:
            head, tail = _ends(file)
        except OSError as error:
            log.info("%s waits for the next run: %s", file.display_path, error)
            found.append(None)
        else:
            found.append(media_type(head, tail, file.display_path, file.size))
    return found


def _ends(file: TakenFile) -> tuple[bytes, bytes]:
    """The first and the last bytes of a file."""
    path = os.fsencode(file.path)
    root = file.real_root
    opened = (
        os.open(path, os.O_RDONLY | os.O_CLOEXEC) if root is None else open_inside(root, os.path.relpath(path, root))
    )
    with open(opened, "rb") as stream:
        head = stream.read(HEAD_BYTES)
        tail = b""
        if file.size > HEAD_BYTES:
            stream.seek(max(HEAD_BYTES, file.size - TAIL_BYTES))
            tail = stream.read(TAIL_BYTES)
    return head, tail


def media_version() -> str:
    """Version of what finds media types and makes the rows of files."""
    return Producer((media_type, file_rows), ("magika",)).version()

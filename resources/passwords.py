"""Passwords that a person wrote down for encrypted files of one corpus; the only reader of those files.

What it gives stays in memory: never into a row, a reason, a log or a command line.
"""

from pathlib import Path

MOST = 1000
MOST_BYTES = 1024 * 1024


class PasswordsError(ValueError):
    """A password file cannot be used; names the file, the cause and the remedy, and quotes nothing of it."""


def read_passwords(folder: Path, corpus: str) -> tuple[str, ...]:
    """The passwords of ``<folder>/<corpus>.txt``: one a line, UTF-8, in order, each once; none where there is no file.

    Nothing is trimmed but the line end, and no line is a comment: a password may be anything but empty.

    Raises:
        PasswordsError: the file cannot be read, is too large or is not UTF-8.
    """
    file = folder / f"{corpus}.txt"
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PasswordsError(f"{file}: {error.strerror}; make it a readable text file or remove it") from error
    if len(raw) > MOST_BYTES:
        raise PasswordsError(f"{file}: larger than {MOST_BYTES} bytes; keep one password a line, at most {MOST}")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PasswordsError(f"{file}: not UTF-8; save it as UTF-8 text, one password a line") from None
    return tuple(dict.fromkeys(line for line in lines if line))[:MOST]

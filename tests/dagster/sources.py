"""Sources as values: path to bytes, written to a folder so that equal values give equal stats.

Here: small varied files of every kind, and the edits between two states of them.
"""

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from tests.dagster.lake import note, paragraph

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
LONG_AGO = 1_700_000_000

Source = Mapping[str, bytes]


def first_source() -> dict[str, bytes]:
    """Two corpora, every kind of file that Cortex parses, one content in both."""
    long_note = "# Survey\n\n" + "\n\n".join(f"## Part {n}\n\n{paragraph(n, 8)}" for n in range(10)) + "\n"
    return {
        "notes/survey.md": long_note.encode(),
        "notes/same.md": note(1).encode(),
        "notes/goes.md": note(2).encode(),
        "notes/moves.md": note(3).encode(),
        "notes/stays.txt": paragraph(40).encode(),
        "notes/guide.html": (SAMPLE / "reports" / "visitor-guide.html").read_bytes(),
        "notes/report.pdf": (SAMPLE / "reports" / "annual-tide-report-2025.pdf").read_bytes(),
        "notes/lightning.docx": (SAMPLE / "procedures" / "lightning-procedure.docx").read_bytes(),
        "code/ring.rs": (SAMPLE / "logger" / "server" / "ring_buffer.rs").read_bytes(),
        "code/plot.js": (SAMPLE / "logger" / "web" / "plot.js").read_bytes(),
        "code/config.toml": (SAMPLE / "logger" / "config.toml").read_bytes(),
        "code/same.md": note(1).encode(),
    }


def second_source() -> dict[str, bytes]:
    """``first_source`` after edits, a rename, deletes and new files; an edit leaves six of ten parts."""
    source = first_source()
    short_note = "# Survey\n\n" + "\n\n".join(f"## Part {n}\n\n{paragraph(n, 8)}" for n in range(6)) + "\n"
    source["notes/survey.md"] = short_note.encode()
    source["notes/guide.html"] = source["notes/guide.html"].replace(
        b"<body>", b"<body><p>Closed on Mondays in March.</p>"
    )
    source["notes/moved/away.md"] = source.pop("notes/moves.md")
    source["notes/comes.md"] = note(5).encode()
    source["notes/comes.json"] = b'{"station": "north", "depth": [1.5, 2.25]}\n'
    source["code/ring.rs"] = source["code/ring.rs"] + b"\nfn added() -> u32 {\n    42\n}\n"
    source["code/same.md"] = note(6).encode()
    del source["notes/goes.md"], source["code/plot.js"]
    return source


def third_source() -> dict[str, bytes]:
    """``second_source`` with one new file gone again, one edit taken back, one more edit and a delete taken back."""
    source, first = second_source(), first_source()
    del source["notes/comes.md"]
    source["notes/guide.html"] = first["notes/guide.html"]
    source["notes/survey.md"] += b"\n## Afterword\n\nOne more part.\n"
    source["code/plot.js"] = first["code/plot.js"]
    return source


def write_source(inbox: Path, source: Source) -> None:
    """Make ``inbox`` hold exactly ``source``; a content always gets the same time of modification."""
    for path in sorted(inbox.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(inbox)) not in source:
            path.unlink()
    for name, content in source.items():
        path = inbox / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        moment = LONG_AGO + zlib.crc32(content) % 10_000_000
        os.utime(path, (moment, moment))

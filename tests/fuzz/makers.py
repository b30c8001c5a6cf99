"""Small files of every format, from a seed: what fuzzing starts from where there is no real file, and what benchmarks read.

One function per format, ``(pick) -> bytes``; the same ``random.Random`` gives the same bytes. To add a format, write its
maker here (text), in ``packages`` (ZIP) or in ``containers`` (mail, archives, binary), and add it to ``MAKERS``.
"""

import csv
import io
import json
import random
import struct
from collections.abc import Callable

from tests.fuzz import containers, packages
from tests.fuzz.words import paragraph, phrase, table, word

Maker = Callable[[random.Random], bytes]


def text(pick: random.Random) -> bytes:
    """Paragraphs."""
    return "\n\n".join(paragraph(pick) for _ in range(pick.randint(1, 6))).encode()


def wide_text(pick: random.Random) -> bytes:
    """Paragraphs in an encoding other than UTF-8."""
    return text(pick).decode().encode(pick.choice(["utf-16", "utf-16-le", "utf-32", "cp1252", "cp932"]), "replace")


def markdown(pick: random.Random) -> bytes:
    """Front matter, headings, lists, a table, code and links."""
    rows = table(pick)
    lines = [f"---\ntitle: {phrase(pick)}\ntags: [{word(pick)}, {word(pick)}]\n---\n\n# {phrase(pick)}\n"]
    for level in range(2, pick.randint(3, 5)):
        lines.append(f"{'#' * level} {phrase(pick)}\n\n{paragraph(pick)}\n\n- {phrase(pick)}\n- [{word(pick)}](a.md)\n")
    lines.append("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
    lines.append(f"\n```python\nprint('{word(pick)}')\n```\n\n> {paragraph(pick)}\n")
    return "\n".join(lines).encode()


def python(pick: random.Random) -> bytes:
    """A module with functions and a class."""
    parts = [f'"""{phrase(pick)}."""\n\nimport os\n']
    for _ in range(pick.randint(1, 5)):
        name = word(pick)
        parts.append(f'\ndef {name}(value: int) -> int:\n    """{phrase(pick)}."""\n    return value * 2\n')
    parts.append(f"\nclass {word(pick).title()}:\n    def run(self) -> str:\n        return '{phrase(pick)}'\n")
    return "\n".join(parts).encode()


def source(comment: str, body: str) -> Maker:
    """A maker of source code: a comment and a line that stands ``body`` with names in it."""

    def made(pick: random.Random) -> bytes:
        lines = [f"{comment} {phrase(pick)}\n{body.format(name=word(pick), text=phrase(pick))}" for _ in range(4)]
        return "\n".join(lines).encode()

    return made


def json_data(pick: random.Random) -> bytes:
    """An object with nested values."""
    value = {word(pick): {"items": [phrase(pick), pick.random(), None], word(pick): pick.randint(0, 9)}, "text": "é\n"}
    return json.dumps(value, indent=pick.choice([None, 2]), ensure_ascii=pick.random() < 0.5).encode()


def json_lines(pick: random.Random) -> bytes:
    """One object a line."""
    rows = [{"id": number, "text": phrase(pick)} for number in range(pick.randint(2, 9))]
    return "\n".join(json.dumps(row) for row in rows).encode()


def csv_table(pick: random.Random) -> bytes:
    """A table with a header."""
    out = io.StringIO()
    csv.writer(out).writerows(table(pick))
    return out.getvalue().encode()


def tsv_table(pick: random.Random) -> bytes:
    """The same with tabs."""
    return "\n".join("\t".join(row) for row in table(pick)).encode()


def html(pick: random.Random) -> bytes:
    """A page with head, navigation, headings, a list, a table and a link."""
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in table(pick))
    return (
        f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{phrase(pick)}</title></head><body>"
        f"<nav><a href='/'>{word(pick)}</a></nav><main><h1>{phrase(pick)}</h1><p>{paragraph(pick)}</p>"
        f"<ul><li>{phrase(pick)}<li>{phrase(pick)}</ul><table>{rows}</table><pre>{phrase(pick)}</pre></main></html>"
    ).encode()


def xml(pick: random.Random) -> bytes:
    """A tree with attributes."""
    items = "".join(f"<item id='{n}'><name>{phrase(pick)}</name></item>" for n in range(3))
    return f"<?xml version='1.0' encoding='utf-8'?>\n<root>{items}</root>".encode()


def yaml(pick: random.Random) -> bytes:
    """Keys, a list, a block of text."""
    return (
        f"name: {word(pick)}\nitems:\n  - {phrase(pick)}\n  - {phrase(pick)}\ntext: |\n  {paragraph(pick)}\n".encode()
    )


def toml(pick: random.Random) -> bytes:
    """Two tables."""
    return f'name = "{phrase(pick)}"\n\n[one]\nvalue = 1\n\n[two.{word(pick)}]\ntext = "{phrase(pick)}"\n'.encode()


def ini(pick: random.Random) -> bytes:
    """Two sections."""
    return f"[one]\nname = {phrase(pick)}\n; {phrase(pick)}\n[two]\nvalue = 2\n".encode()


def notebook(pick: random.Random) -> bytes:
    """Markdown and code cells with outputs."""
    output = {"output_type": "stream", "name": "stdout", "text": [phrase(pick) + "\n"]}
    table_output = {
        "output_type": "execute_result",
        "data": {"text/plain": [phrase(pick)], "text/html": f"<b>{word(pick)}</b>", "image/png": "iVBORw0KGgo="},
        "metadata": {},
        "execution_count": 1,
    }
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": [f"# {phrase(pick)}\n", paragraph(pick)]},
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "source": f"print('{word(pick)}')",
            "outputs": [output, table_output],
        },
    ]
    metadata = {"kernelspec": {"language": "python", "name": "python3", "display_name": "Python 3"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}, indent=1).encode()


def latex(pick: random.Random) -> bytes:
    """An article."""
    return (
        f"\\documentclass{{article}}\n\\title{{{phrase(pick)}}}\n\\begin{{document}}\n\\section{{{phrase(pick)}}}\n"
        f"{paragraph(pick)}\n\\begin{{tabular}}{{ll}}a & b \\\\ c & d\\end{{tabular}}\n\\end{{document}}\n"
    ).encode()


def rst(pick: random.Random) -> bytes:
    """Headings and a code directive."""
    title = phrase(pick)
    return (
        f"{title}\n{'=' * len(title)}\n\n{paragraph(pick)}\n\n.. code-block:: python\n\n   x = 1\n\nEnd\n---\n".encode()
    )


def asciidoc(pick: random.Random) -> bytes:
    """Headings, a listing and a table."""
    return (
        f"= {phrase(pick)}\n:toc:\n\n== {phrase(pick)}\n\n{paragraph(pick)}\n\n----\ncode\n----\n\n|===\n|a |b\n|===\n"
    ).encode()


def org(pick: random.Random) -> bytes:
    """Headings, a table and a source block."""
    return (
        f"#+TITLE: {phrase(pick)}\n* TODO {phrase(pick)} :{word(pick)}:\n{paragraph(pick)}\n** {phrase(pick)}\n"
        f"| a | b |\n|---+---|\n| 1 | 2 |\n#+BEGIN_SRC python\nx = 1\n#+END_SRC\n"
    ).encode()


def subtitles(pick: random.Random) -> bytes:
    """SubRip cues."""
    cue = "{0}\n00:00:{0:02d},000 --> 00:00:{1:02d},500\n{2}\n"
    return "\n".join(cue.format(number, number + 1, phrase(pick)) for number in range(1, 6)).encode()


def web_subtitles(pick: random.Random) -> bytes:
    """WebVTT cues."""
    cue = "00:00:0{0}.000 --> 00:00:0{1}.000\n<v {2}>{3}\n"
    return ("WEBVTT\n\n" + "\n".join(cue.format(n, n + 1, word(pick), phrase(pick)) for n in range(1, 6))).encode()


def calendar(pick: random.Random) -> bytes:
    """Two events and a folded line."""
    event = (
        f"BEGIN:VEVENT\r\nUID:{pick.randint(0, 9999)}\r\nDTSTART:20260102T090000Z\r\nSUMMARY:{phrase(pick)}\r\n"
        f"DESCRIPTION:{paragraph(pick)[:60]}\r\n  folded\r\nEND:VEVENT\r\n"
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{event * 2}END:VCALENDAR\r\n".encode()


def contacts(pick: random.Random) -> bytes:
    """A card."""
    name = word(pick).title()
    card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:{name};A;;;\r\nFN:A {name}\r\nEMAIL:a@{word(pick)}.org\r\n"
    return f"{card}NOTE:{phrase(pick)}\r\nEND:VCARD\r\n".encode()


def rtf(pick: random.Random) -> bytes:
    """Paragraphs, a bold run, an escape and a table row; what is not ASCII is escaped by its UTF-16 units."""
    made = (
        f"{{\\rtf1\\ansi\\ansicpg1252{{\\fonttbl{{\\f0 Arial;}}}}{{\\info{{\\title {phrase(pick)}}}}}"
        f"\\pard {{\\b {phrase(pick)}}}\\par caf\\'e9 \\u8212? {paragraph(pick)}\\par"
        f"\\trowd\\cellx1000\\cellx2000 a\\cell b\\cell\\row}}"
    )
    units = struct.iter_unpack("<h", made.encode("utf-16-le"))
    return "".join(chr(unit) if 0 <= unit < 128 else f"\\u{unit}?" for (unit,) in units).encode("ascii")


MAKERS: dict[str, Maker] = {
    ".txt": text,
    ".log": text,
    ".wide.txt": wide_text,
    ".md": markdown,
    ".py": python,
    ".js": source("//", "export function {name}() {{ return '{text}' }}"),
    ".go": source("//", "package main\nfunc {name}() string {{ return `{text}` }}"),
    ".java": source("//", 'class {name} {{ String s = "{text}"; }}'),
    ".sql": source("--", "CREATE TABLE {name} (note TEXT DEFAULT '{text}');"),
    ".sh": source("#", "{name}() {{ echo '{text}'; }}"),
    ".json": json_data,
    ".jsonl": json_lines,
    ".csv": csv_table,
    ".tsv": tsv_table,
    ".html": html,
    ".xml": xml,
    ".yaml": yaml,
    ".toml": toml,
    ".ini": ini,
    ".ipynb": notebook,
    ".tex": latex,
    ".rst": rst,
    ".adoc": asciidoc,
    ".org": org,
    ".srt": subtitles,
    ".vtt": web_subtitles,
    ".ics": calendar,
    ".vcf": contacts,
    ".rtf": rtf,
    **packages.MAKERS,
    **containers.MAKERS,
}
"""Suffix to maker."""


def make(suffix: str, seed: object) -> bytes:
    """The file of a suffix and a seed."""
    return MAKERS[suffix](random.Random(f"{suffix}:{seed}"))

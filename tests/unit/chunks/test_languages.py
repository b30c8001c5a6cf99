"""Every language by a sample file of its own: its media type, its symbols, and chunks that leave no line out."""

import io
from pathlib import Path
from typing import Any

import pytest

from cortex_assets.chunks.split import Piece
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import media_type
from cortex_assets.syntax.languages import GRAMMARS
from cortex_assets.syntax.lines import OUTLINES
from cortex_assets.syntax.symbols import symbols
from tests.unit.chunks.pieces import split

SAMPLES = Path(__file__).parents[2] / "data" / "languages"
# File name to its language (or media type, for data) and its symbols (or the titles of its headings).
EXPECTED = {
    "sample.R": ("r", "function sign_text, function check"),
    "sample.c": ("c", "macro M, macro F, function foo, type T, struct s, enum e"),
    "sample.cmake": ("cmake", "function add_thing, macro twice"),
    "sample.cpp": ("cpp", "namespace n, class n.V, method n.V.V, method n.V.m, method n.V.z, function f"),
    "sample.cs": (
        "csharp",
        (
            "namespace Acme.Keys, class Acme.Keys.Signer, method Acme.Keys.Signer.Signer, "
            "method Acme.Keys.Signer.Sign, enum Acme.Keys.Signer.Mode, interface Acme.Keys.ISign, "
            "method Acme.Keys.ISign.Sign, struct Acme.Keys.P, class Acme.Keys.R, type Acme.Keys.Done"
        ),
    ),
    "sample.css": (
        "css",
        "rule h1, .title > a:hover, rule (max-width: 600px), rule (max-width: 600px)..title, rule spin, rule #id",
    ),
    "sample.dart": (
        "dart",
        (
            "class Signer, method Signer.Signer, method Signer.sign, method Signer.name, class Logs, "
            "method Logs.log, enum Mode, impl More, method More.empty, type Done, function top"
        ),
    ),
    "sample.dockerfile": ("dockerfile", "stage build, stage debian:12"),
    "sample.erl": ("erlang", "type user, function sign, function sign, function check"),
    "sample.ex": (
        "elixir",
        (
            "namespace Acme.Signer, function Acme.Signer.sign, function Acme.Signer.check, "
            "macro Acme.Signer.twice, interface CanSign, method CanSign.sign"
        ),
    ),
    "sample.go": (
        "go",
        "struct S, interface I, type X, constant A, constant B, method S.Run, method List.Len, function main",
    ),
    "sample.graphql": ("graphql", "type User, type NewUser, enum Mode, interface Node, type Date, function users"),
    "sample.hs": (
        "haskell",
        (
            "function sign, type Mode, type Key, type Name, interface CanSign, method CanSign.signWith, "
            "impl CanSign.Key, method CanSign.Key.signWith"
        ),
    ),
    "sample.ini": ("text/x-ini", "server; server.tls"),
    "sample.java": ("java", "class A, method A.A, method A.m, enum A.E, interface A.I, method A.I.q, class R"),
    "sample.jl": (
        "julia",
        (
            "namespace Acme, constant Acme.LIMIT, function Acme.sign, function Acme.check, struct Acme.P, "
            "type Acme.Base, macro Acme.twice"
        ),
    ),
    "sample.js": ("javascript", "constant K, function f, function gen, class A, method A.#p, method A.m"),
    "sample.json": ("application/json", "name; server; users"),
    "sample.kt": (
        "kotlin",
        (
            "class Signer, method Signer.sign, class Signer.companion, method Signer.companion.make, "
            "interface CanSign, method CanSign.sign, class Registry, class P, class Mode, type Key, "
            "function top, constant LIMIT"
        ),
    ),
    "sample.lua": ("lua", "function M.sign, function check, method M.load, function M.run"),
    "sample.mk": ("makefile", "target all, target %.o, target clean"),
    "sample.ml": (
        "ocaml",
        (
            "function sign, function fact, type mode, namespace Keys, function Keys.limit, function Keys.check, "
            "interface CAN_SIGN, method CAN_SIGN.sign, type Broken, class signer, method signer.sign"
        ),
    ),
    "sample.php": (
        "php",
        (
            "class Signer, constant Signer.LIMIT, method Signer.sign, interface CanSign, method CanSign.sign, "
            "class Logs, method Logs.log, enum Mode, function top"
        ),
    ),
    "sample.pl": ("perl", "namespace Acme::Signer, function sign, namespace Acme::Other"),
    "sample.proto": ("proto", "struct User, enum Mode, interface Signer"),
    "sample.ps1": (
        "powershell",
        "function Get-Signature, class Signer, method Signer.Signer, method Signer.Sign, enum Mode, function Pick",
    ),
    "sample.py": (
        "python",
        "constant MAX, class Signer, method Signer.sign, function Signer.sign.inner, method Signer.p, function top",
    ),
    "sample.rb": (
        "ruby",
        (
            "namespace Acme, constant Acme.LIMIT, class Acme.Signer, method Acme.Signer.sign, "
            "method Acme.Signer.make, function top"
        ),
    ),
    "sample.rs": (
        "rust",
        (
            "struct P, impl P, method P.fmt, impl P, method P.new, interface T, method T.a, namespace m, "
            "function m.z, constant C, macro mm, enum E"
        ),
    ),
    "sample.scala": (
        "scala",
        (
            "class Signer, method Signer.sign, class Signer, method Signer.make, interface CanSign, "
            "method CanSign.sign, class P, enum Mode"
        ),
    ),
    "sample.sh": ("bash", "constant LIMIT, function sign, function check"),
    "sample.sql": ("sql", "table users, view recent, index users_name, function add_one"),
    "sample.swift": (
        "swift",
        (
            "class Signer, method Signer.init, method Signer.sign, struct P, enum Mode, interface CanSign, "
            "method CanSign.sign, impl Signer, method Signer.check, function top"
        ),
    ),
    "sample.tf": (
        "hcl",
        (
            "block terraform, block variable.region, block resource.aws_instance.web, "
            "block resource.aws_instance.web.ebs_block_device, block locals"
        ),
    ),
    "sample.toml": ("application/toml", "server; server.tls; users"),
    "sample.ts": (
        "typescript",
        (
            "class A, method A.foo, method A.bar, function f, interface I, type T, enum E, namespace N, "
            "function N.q, function main"
        ),
    ),
    "sample.tsx": ("tsx", "function C"),
    "sample.yaml": ("application/yaml", "name; services; volumes"),
    "sample.zig": ("zig", "struct P, method P.norm, enum Mode, function main, test adds"),
}


def parsed(name: str) -> ParsedDocument:
    raw = (SAMPLES / name).read_bytes()
    media = media_type(raw, b"", name, len(raw))
    (document,) = parser_for(media).parser(ParseInput(io.BytesIO(raw), len(raw), name, media))
    assert isinstance(document, ParsedDocument)
    assert (document.language or media) == EXPECTED[name][0]
    return document


def pieces_of(document: ParsedDocument, tokenizer: Any, limit: int) -> list[Piece]:
    return split(document.text, document.structure, document.kind, document.language, tokenizer, limit)


def test_there_is_a_sample_of_every_language() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == set(EXPECTED)
    languages = {language for language, _ in EXPECTED.values()}
    assert set(GRAMMARS) | set(OUTLINES) <= languages
    assert len(languages) >= 35


@pytest.mark.parametrize("name", EXPECTED)
def test_symbols(name: str) -> None:
    document = parsed(name)
    if document.kind == "data":
        assert "; ".join(heading.title for heading in document.structure.headings) == EXPECTED[name][1]
        return
    found = symbols(document.text, document.language)
    assert ", ".join(f"{symbol.kind} {symbol.qualified_name}" for symbol in found) == EXPECTED[name][1]
    for symbol in found:
        text = document.text[symbol.start_char : symbol.end_char]
        assert text == text.strip()
        assert symbol.start_line == document.text.count("\n", 0, symbol.start_char) + 1
        assert symbol.end_line == document.text.count("\n", 0, symbol.end_char) + 1


@pytest.mark.parametrize("limit", [20, 40, 400])
@pytest.mark.parametrize("name", EXPECTED)
def test_chunks_cover_every_line_and_bear_symbols(name: str, limit: int, words: Any) -> None:
    document = parsed(name)
    pieces = pieces_of(document, words, limit)
    covered = {number for piece in pieces for number in range(piece.start_line, piece.end_line + 1)}
    lines = {number for number, line in enumerate(document.text.split("\n"), 1) if line.strip()}
    assert lines <= covered
    place = 0
    for piece in pieces:
        assert not document.text[place : piece.start_char].strip()
        place = piece.end_char
    assert not document.text[place:].strip()
    if document.kind == "code":
        assert any(piece.symbol for piece in pieces)


@pytest.mark.parametrize("name", [name for name, (language, _) in EXPECTED.items() if "/" not in language])
def test_a_long_file_is_cut_at_its_symbols(name: str, words: Any) -> None:
    """No chunk begins inside a definition that would have fitted a chunk of its own."""
    document = parsed(name)
    limit = 60
    pieces = pieces_of(document, words, limit)
    starts = {piece.start_char for piece in pieces}
    for symbol in symbols(document.text, document.language):
        body = document.text[symbol.start_char : symbol.end_char]
        if symbol.parent is None and len(words.encode(body).ids) < limit // 2:
            inside = {start for start in starts if symbol.start_char < start < symbol.end_char}
            assert not inside, (symbol.qualified_name, document.text[min(inside) :][:40])

"""Bytes beside the text: what is searched of them, in blocks, and what is not."""

from pathlib import Path

import pytest

from cortex_assets.documents import left_out
from cortex_assets.documents.left_out import LeftOut
from cortex_assets.documents.model import ParsedDocument
from cortex_assets.documents.redact import MASKING, Redaction, redacted

KEY = "ghp_a8Kd93jFqLmZx72PvT5wRyB6nCe4uHs1Go0i"
FOUND = {"f": [("github-token", KEY)]}


def looked(path: Path, content: bytes, redaction: Redaction = MASKING) -> dict[str, list[tuple[str, str]]]:
    """What is found in a file of these bytes."""
    path.write_bytes(content)
    looking = LeftOut(redaction)
    looking.look("f", path)
    found = looking.take()
    assert looking.take() == {}
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp1251"])
def test_text_is_searched_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    words = "\u0441\u043b\u043e\u0432\u0430 " if encoding == "cp1251" else "\u00e9t\u00e9, words and more "
    assert looked(tmp_path / "a", f"{words * 40}\n<!-- {KEY} -->\n".encode(encoding)) == FOUND


@pytest.mark.parametrize("content", [b"", b"\n", b"words"])
def test_nothing_is_found_in_nothing(tmp_path: Path, content: bytes) -> None:
    assert looked(tmp_path / "a", content) == {}


def test_what_is_packed_is_not_searched_and_rules_that_are_allowed_are_not_asked(tmp_path: Path) -> None:
    assert looked(tmp_path / "a", bytes(range(256)) * 8 + KEY.encode()) == {}
    assert looked(tmp_path / "a", KEY.encode(), Redaction(allow=("github-token",))) == {}


@pytest.mark.parametrize("offset", range(-45, 46, 9))
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_value_on_the_border_of_two_blocks_is_found(
    tmp_path: Path, offset: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_out, "_BLOCK", 100_000)
    place = left_out._HEAD + block * 100_000 + offset
    found = looked(tmp_path / "a", f"{'x ' * (place // 2)} {KEY} {'y ' * 100_000}".encode())
    assert ("github-token", KEY) in found["f"]


def test_only_what_is_not_in_the_text_is_said_to_be_in_the_bytes() -> None:
    known = [("github-token", KEY), ("npm-token", "npm_x"), ("npm-token", "npm_x")]
    (result,) = redacted([ParsedDocument(f"a {KEY}", "html")], MASKING, [known])
    assert [(row["rule"], row["place"]) for row in result.findings] == [
        ("github-token", "text"),
        ("npm-token", "bytes"),
    ]
    assert "npm_x" not in repr(result)

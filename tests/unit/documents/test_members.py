"""Members of containers: names, limits, errors that cost one member only."""

import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents.members import Members, inner_path, joined_inner, member_of, member_title
from cortex_assets.documents.model import Limits, Mark, ParsedDocument, ParseInput, ParseOptions


def container(**options: object) -> ParseInput:
    return ParseInput(io.BytesIO(), 0, "a.zip", "application/zip", ParseOptions(**options))  # type: ignore[arg-type]


def documents(source: ParseInput, *members: tuple[str, bytes]) -> list[ParsedDocument]:
    opened = Members(source)
    given = [item for name, content in members for item in opened.parse(name, content)]
    return [item for item in given if isinstance(item, ParsedDocument)]


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("docs/a.md", "/docs/a.md"),
        ("../../etc/passwd", "/etc/passwd"),
        ("/absolute/x", "/absolute/x"),
        ("C:\\Users\\me\\x.txt", "/Users/me/x.txt"),
        ("a/./b//c", "/a/b/c"),
        ("", "/unnamed"),
        ("..", "/unnamed"),
        ("bad\nname\x1b[31m", "/bad?name?[31m"),
    ],
)
def test_a_name_stays_inside(name: str, inner: str) -> None:
    assert inner_path(name) == inner


@given(st.text(max_size=600))
def test_any_name_becomes_one_printable_path(name: str) -> None:
    inner = inner_path(name)
    assert inner.startswith("/") and len(inner) <= 401 and inner.isprintable()
    assert not {"..", "."} & set(inner.split("/"))


def test_members_are_parsed_as_the_files_they_are() -> None:
    found = documents(
        container(), ("docs/a.md", b"# Head\n\nText"), ("b.py", b"def f(): pass\n"), ("c.bin", b"\x7fELF" + bytes(300))
    )
    assert [(d.inner, d.kind, d.status.value) for d in found] == [
        ("/docs/a.md", "markdown", "ok"),
        ("/b.py", "code", "ok"),
        ("/c.bin", "none", "unsupported"),
    ]
    assert found[0].structure.headings[0].title == "Head"


def test_a_mark_comes_before_each_member_and_an_avoided_one_is_a_row() -> None:
    source = container(avoid={"/b.md": "it hung"})
    given = [item for name in ("a.md", "b.md") for item in Members(source).parse(name, b"x")]
    assert given[0] == Mark("/a.md")
    assert isinstance(given[-1], ParsedDocument)
    assert (given[-1].status.value, given[-1].reason, given[-1].text) == ("quarantined", "it hung", "")
    assert Mark("/b.md") not in given


def test_an_error_of_a_parser_is_the_row_of_its_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(source: ParseInput) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("cortex_assets.documents.parsers.markdown.parse_markdown", breaks)
    found = documents(container(), ("a.md", b"x"), ("b.txt", b"fine"))
    assert [(d.inner, d.status.value) for d in found] == [("/a.md", "failed"), ("/b.txt", "ok")]


def test_limits_are_rows_of_their_own() -> None:
    few = documents(container(limits=Limits(members=2)), *((f"{n}.txt", b"x") for n in range(4)))
    assert [d.status.value for d in few] == ["ok", "ok", "too_large", "too_large"]
    small = documents(container(limits=Limits(member_bytes=10)), ("a.txt", b"x" * 11), ("b.txt", b"x" * 10))
    assert [d.status.value for d in small] == ["too_large", "ok"]
    total = documents(container(limits=Limits(total_bytes=25)), *((f"{n}.txt", b"x" * 10) for n in range(4)))
    assert [d.status.value for d in total] == ["ok", "ok", "too_large", "too_large"]
    assert all(d.reason and len(d.reason) <= 200 for d in few + small + total if d.status.value != "ok")


def test_unpacking_stops_at_the_limit() -> None:
    class Endless(io.RawIOBase):
        served = 0

        def read(self, size: int = -1) -> bytes:
            self.served += size
            return b"\0" * size

    endless = Endless()
    answer = Members(container(limits=Limits(member_bytes=5_000_000))).bounded(endless)  # type: ignore[arg-type]
    assert isinstance(answer, str) and "limit" in answer
    assert endless.served < 8_000_000
    ratio = Members(container()).bounded(io.BytesIO(b"\0" * 3_000_000), packed=1_000)
    assert isinstance(ratio, str) and "bomb" in ratio


@given(
    st.text(string.ascii_letters + "/.#", min_size=1, max_size=30),
    st.sampled_from(["", "part-0001", "/x/y.md", "/x#part-0002"]),
)
def test_inner_paths_are_taken_apart_again(name: str, inner: str) -> None:
    member = inner_path(name)
    joined = joined_inner(member, inner)
    if "#part-" not in name:
        assert member_of(joined) == (member + "/x" if inner == "/x#part-0002" else joined.partition("#part-")[0])
    assert not member_of("part-0001") and not member_of("")


def test_a_member_without_a_title_is_called_by_its_file_name() -> None:
    assert member_title("/docs/Plan B.md#part-0003") == "Plan B"
    assert member_title("part-0001") == ""

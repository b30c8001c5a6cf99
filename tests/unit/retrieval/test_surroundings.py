"""Sections around passages."""

from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.surroundings import Section, surroundings

TEXT = "intro\n\n# One\n\nalpha\n\n## Sub\n\nbeta gamma\n\n# Two\n\ndelta\n"
HEADINGS = [(level, TEXT.index(line), line.lstrip("# ")) for level, line in ((1, "# One"), (2, "## Sub"), (1, "# Two"))]


def around(words: str, most: int = 4_000) -> str:
    start = TEXT.index(words)
    section = surroundings(TEXT, HEADINGS, start, start + len(words), most)
    return TEXT[section.start : section.end]


def test_the_smallest_section() -> None:
    assert around("beta") == "## Sub\n\nbeta gamma\n\n"
    assert around("alpha") == "# One\n\nalpha\n\n## Sub\n\nbeta gamma\n\n"
    assert around("delta") == "# Two\n\ndelta\n"
    assert around("intro") == "intro\n\n"


def test_a_passage_over_a_heading_has_what_follows_it_too() -> None:
    assert around("gamma\n\n# Two\n\ndel").endswith("delta\n")


def test_a_long_section_is_cut_at_paragraphs() -> None:
    paragraphs = [f"paragraph {n} " + "x" * 80 for n in range(50)]
    text = "\n\n".join(paragraphs)
    start = text.index("paragraph 25")
    section = surroundings(text, [], start, start + 90, 500)
    shown = text[section.start : section.end]
    assert len(shown) <= 500
    assert shown.startswith("paragraph 2")
    assert shown.endswith("x")
    assert "paragraph 25" in shown


def test_without_text_or_headings() -> None:
    assert surroundings("", [], 5, 9) == Section(0, 0)
    assert surroundings("abc", [], 1, 2) == Section(0, 3)


@given(
    st.text(alphabet="ab\n# ", max_size=200),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 200)), max_size=5),
    st.integers(0, 220),
    st.integers(0, 60),
    st.integers(1, 100),
)
def test_it_holds_the_passage_and_no_more_than_asked(
    text: str, places: list[tuple[int, int]], start: int, length: int, most: int
) -> None:
    headings = [(level, at, "t") for level, at in sorted(places, key=lambda pair: pair[1]) if at <= len(text)]
    section = surroundings(text, headings, start, start + length, most)
    first, last = min(start, len(text)), min(start + length, len(text))
    assert 0 <= section.start <= first <= last <= section.end <= len(text)
    assert section.end - section.start <= max(most, last - first)

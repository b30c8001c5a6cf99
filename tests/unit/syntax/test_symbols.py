import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.parsers.code import LANGUAGES
from cortex_assets.media.types import SUFFIXES
from cortex_assets.syntax.languages import GRAMMARS, canonical
from cortex_assets.syntax.lines import OUTLINES
from cortex_assets.syntax.symbols import symbols

FILES = sorted((Path(__file__).parents[2] / "data" / "languages").iterdir())
SOURCES = {
    "python": '''# héllo
import os
MAX = 3
x = 4

# leads ü
@deco
@deco2(1)
class Signer(Base):
    """doc"""
    A = 1
    def sign(self):
        def inner(): pass
        return 1

    # c
    @property
    async def p(self): ...

def top(): pass
''',
    "typescript": """// c
export abstract class A<T> extends B {
  @dec() foo(): number { return 1 }
  bar = () => 1
}
export const f = (x: number) => x, g = 3;
export interface I { a: string }
type T = string; enum E { A }
namespace N { export function q() {} }
export default function main() {}
""",
    "javascript": """const K = 1;
const f = function() {};
export async function* gen() {}
class A { #p() {} static m() {} }
""",
    "go": """package main
// Doc for S
type S struct { a int }
type (
 I interface { M() }
 X int
)
const (
 A = 1
 B = 2
)
// Run it
func (s *S) Run() error { return nil }
func (s List[T]) Len() int { return 1 }
func main() {}
""",
    "rust": """//! mod
/// doc
#[derive(Debug)]
pub struct P { x: i32 }
impl fmt::Display for P {
  /// d
  fn fmt(&self) {} }
impl<T> P<T> { pub fn new() -> Self { P{} } }
trait T { fn a(&self); }
mod m { pub fn z() {} }
pub const C: i32 = 1;
macro_rules! mm { () => {} }
enum E { A }
""",
    "java": """package a;
/** doc */
@Ann
public class A {
  int f;
  A() {}
  @Override public int m() { return 1; }
  enum E { X }
  interface I { void q(); }
}
record R(int a) {}
""",
    "c": """#define M 1
#define F(x) x
/* doc */
static int *foo(int a) { return 0; }
typedef struct { int a; } T;
struct s { int b; };
enum e { A };
""",
    "cpp": """namespace n {
template <class T>
class V : public B { public: V() {} int m() const { return 1; } ~V(); };
// d
int V::z(int a) { return 1; }
}
template<typename T> T f(T a) { return a; }
""",
    "tsx": """export function C(): X { return <div>a</div> }
""",
}

EXPECTED = {
    "python": "constant MAX, class Signer, method Signer.sign, function Signer.sign.inner, method Signer.p, "
    "function top",
    "typescript": "class A, method A.foo, method A.bar, function f, interface I, type T, enum E, namespace N, "
    "function N.q, function main",
    "javascript": "constant K, function f, function gen, class A, method A.#p, method A.m",
    "go": "struct S, interface I, type X, constant A, constant B, method S.Run, method List.Len, function main",
    "rust": "struct P, impl P, method P.fmt, impl P, method P.new, interface T, method T.a, namespace m, function m.z, "
    "constant C, macro mm, enum E",
    "java": "class A, method A.A, method A.m, enum A.E, interface A.I, method A.I.q, class R",
    "c": "macro M, macro F, function foo, type T, struct s, enum e",
    "cpp": "namespace n, class n.V, method n.V.V, method n.V.m, method n.V.z, function f",
    "tsx": "function C",
}


def test_examples_are_of_known_languages() -> None:
    """The other languages have a sample file each (``chunks/test_languages.py``)."""
    assert set(SOURCES) == set(EXPECTED) <= set(GRAMMARS)


@pytest.mark.parametrize("language", sorted(SOURCES))
def test_symbols_of_a_language(language: str) -> None:
    source = SOURCES[language]
    found = symbols(source, language)
    assert ", ".join(f"{s.kind} {s.qualified_name}" for s in found) == EXPECTED[language]
    for symbol in found:
        text = source[symbol.start_char : symbol.end_char]
        assert symbol.name.split("::")[-1].lstrip("#~") in text
        assert text == text.strip()
        assert symbol.start_line == source.count("\n", 0, symbol.start_char) + 1
        assert symbol.end_line == source.count("\n", 0, symbol.end_char) + 1
        if symbol.parent is not None:
            parent = found[symbol.parent]
            assert parent.start_char <= symbol.start_char < symbol.end_char <= parent.end_char


def test_decorators_and_comments_above_belong_to_the_symbol() -> None:
    source = SOURCES["python"]
    named = {s.qualified_name: source[s.start_char : s.end_char] for s in symbols(source, "python")}
    assert named["Signer"].startswith("# leads ü\n@deco\n@deco2(1)\nclass Signer")
    assert named["Signer.p"].startswith("# c\n    @property\n    async def p")
    assert named["Signer.sign"].startswith("def sign")
    rust = SOURCES["rust"]
    assert rust[symbols(rust, "rust")[0].start_char :].startswith("//! mod\n/// doc\n#[derive(Debug)]\npub struct P")


def test_offsets_are_characters() -> None:
    source = (
        "x = '漢字 👩 é'\n\n\ndef größe():\n    return '👩'\n\ndef b(): pass\n" + "# ü\n" * 1500 + "def c(): pass\n"
    )
    assert [source[s.start_char : s.end_char].split("(")[0] for s in symbols(source, "python")][:2] == [
        "def größe",
        "def b",
    ]
    assert symbols(source, "python")[-1].end_char == len(source) - 1
    assert symbols(source.encode(), "python") == symbols(source, "python")


@pytest.mark.parametrize("name", [None, "", "brainfuck", "markdown"])
def test_unknown_languages_have_no_symbols(name: str | None) -> None:
    assert symbols("def f(): pass", name) == []


def test_aliases() -> None:
    assert canonical("Py") == "python"
    assert canonical("C++") == "cpp"
    assert canonical("golang") == "go"


def test_broken_source_gives_what_can_be_told() -> None:
    source = "class A:\n    def ok(self):\n        return 1\n\ndef broken(:\n    x = = 3\n\ndef fine():\n    pass\n"
    assert {"A", "A.ok"} <= {s.qualified_name for s in symbols(source, "python")}


@pytest.mark.parametrize(
    "source", ["(" * 60_000, "{" * 60_000, "if x:\n" * 10_000, "\x00" * 10_000, "'" * 10_001, "# note\n" * 30_000]
)
@pytest.mark.parametrize("language", ["python", "cpp"])
def test_hopeless_source_ends(source: str, language: str) -> None:
    assert all(0 <= symbol.start_char < symbol.end_char <= len(source) for symbol in symbols(source, language))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.text(max_size=60), st.integers(0, 400), st.integers(0, 400))
def test_any_damage_is_survived(language: str, noise: str, low: int, high: int) -> None:
    source = SOURCES[language]
    damaged = source[:low] + noise + source[high:]
    for symbol in symbols(damaged, language):
        assert 0 <= symbol.start_char < symbol.end_char <= len(damaged.encode("utf-8", "replace").decode())


@pytest.mark.parametrize("language", sorted({*GRAMMARS, *OUTLINES}))
@pytest.mark.parametrize("source", ["<a " * 30_000, "{" * 60_000, "some words, (in brackets). And more\n" * 500])
def test_text_of_another_language_ends_soon(source: str, language: str) -> None:
    started = time.thread_time()
    symbols(source, language)
    assert time.thread_time() - started < 10


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FILES), st.text(max_size=40), st.integers(0, 600), st.integers(0, 600))
def test_damaged_files_of_any_language_are_survived(path: Path, noise: str, low: int, high: int) -> None:
    source = path.read_text()
    damaged = source[:low] + noise + source[high:]
    language = LANGUAGES.get(SUFFIXES[path.suffix.lower()])
    for symbol in symbols(damaged, language):
        assert 0 <= symbol.start_char < symbol.end_char <= len(damaged.encode("utf-8", "replace").decode())

"""Which parser reads which media type: one table.

To add a format: write one module in ``parsers/`` and one ``Route`` in ``ROUTES``. Nothing else names formats.
Finding a file's media type is ``media.detect``'s; running isolated parsers in a child process is the derivation's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata

from cortex_assets.documents.model import ParsedDocument, ParseInput, Parser
from cortex_assets.documents.parsers.code import LANGUAGES
from cortex_assets.tables import Status

PARSE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a parser may raise because of the bytes it read: permanent. Memory and I/O errors pass on, as transient."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one family of media types is parsed.

    Attributes:
        name: what the family is called in tables and reports.
        function: dotted name of the parser, ``module:function``; imported when it is first used.
        media_types: what it reads.
        isolated: whether it runs in a child process, because its library may crash, hang or eat memory.
        packages: distributions whose version counts as the parser's version.
        page_function: dotted name of what reads the text of one page by itself; empty for formats without pages.
        is_container: whether its members are parsed by other routes, so that their versions count as its own.
    """

    name: str
    function: str
    media_types: tuple[str, ...]
    isolated: bool = False
    packages: tuple[str, ...] = ()
    page_function: str = ""
    is_container: bool = False

    @property
    def parser(self) -> Parser:
        """The parser itself."""
        module, _, function = self.function.partition(":")
        parser: Parser = getattr(import_module(module), function)
        return parser

    @property
    def label(self) -> str:
        """Name and package versions, such as ``pdf pypdfium2==5.15.2``: what the documents table records."""
        return " ".join([self.name, *(f"{package}=={metadata.version(package)}" for package in self.packages)])


_PARSERS = "cortex_assets.documents.parsers"

ROUTES = (
    Route("text", f"{_PARSERS}.text:parse_text", ("text/plain", "text/x-log", "text/x-diff")),
    Route("latex", f"{_PARSERS}.latex:parse_latex", ("text/x-tex",)),
    Route("bibtex", f"{_PARSERS}.latex:parse_bibtex", ("text/x-bibtex",)),
    Route("asciidoc", f"{_PARSERS}.markup:parse_asciidoc", ("text/asciidoc",)),
    Route("org", f"{_PARSERS}.markup:parse_org", ("text/x-org",)),
    Route("mediawiki", f"{_PARSERS}.markup:parse_mediawiki", ("text/x-mediawiki",)),
    Route("textile", f"{_PARSERS}.markup:parse_textile", ("text/x-textile",)),
    Route("rst", f"{_PARSERS}.text:parse_rst", ("text/x-rst",)),
    Route("markdown", f"{_PARSERS}.markdown:parse_markdown", ("text/markdown",)),
    Route("code", f"{_PARSERS}.code:parse_code", tuple(LANGUAGES), packages=()),
    Route("json", f"{_PARSERS}.data:parse_json", ("application/json",)),
    Route("jsonl", f"{_PARSERS}.data:parse_json_lines", ("application/jsonl",)),
    Route("yaml", f"{_PARSERS}.data:parse_yaml", ("application/yaml",), packages=("pyyaml",)),
    Route("toml", f"{_PARSERS}.data:parse_toml", ("application/toml",)),
    Route("ini", f"{_PARSERS}.data:parse_ini", ("text/x-ini",)),
    Route("notebook", f"{_PARSERS}.notebook:parse_notebook", ("application/x-ipynb+json",)),
    Route("xml", f"{_PARSERS}.data:parse_xml", ("application/xml",)),
    Route("csv", f"{_PARSERS}.data:parse_csv", ("text/csv", "text/tab-separated-values")),
    Route("html", f"{_PARSERS}.html:parse_html", ("text/html", "application/xhtml+xml"), True, ("selectolax",)),
    Route("pdf", f"{_PARSERS}.pdf:parse_pdf", ("application/pdf",), True, ("pypdfium2",)),
    Route(
        "docx",
        f"{_PARSERS}.docx:parse_docx",
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.ms-word.document.macroenabled.12",
        ),
        True,
    ),
)
UNSUPPORTED = Route("unsupported", "cortex_assets.documents.registry:parse_unsupported", ())


def parse_unsupported(source: ParseInput) -> Iterator[ParsedDocument]:
    """Give one document without text that says why."""
    if source.size == 0:
        yield ParsedDocument("", "none", status=Status.EMPTY, reason="the file has no bytes")
        return
    yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=f"no parser for {source.media_type}")


@cache
def _by_media_type() -> dict[str, Route]:
    return {media_type: route for route in ROUTES for media_type in route.media_types}


def parser_for(media_type: str) -> Route:
    """The route of a media type; ``UNSUPPORTED`` for one that no parser reads."""
    return _by_media_type().get(media_type, UNSUPPORTED)

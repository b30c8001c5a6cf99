"""Which parser reads which media type: one table.

To add a format: write one module in ``parsers/`` and one ``Route`` in ``ROUTES``. Nothing else names formats.
Finding a file's media type is ``media.detect``'s; running isolated parsers in a child process is the derivation's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec

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
_OCR = ("rapidocr",) if find_spec("rapidocr") is not None else ()

ROUTES = (
    Route(
        "text", f"{_PARSERS}.text:parse_text", ("text/plain", "text/x-log", "text/x-diff", "text/x-tex", "text/x-ini")
    ),
    Route("rst", f"{_PARSERS}.text:parse_rst", ("text/x-rst",)),
    Route("markdown", f"{_PARSERS}.markdown:parse_markdown", ("text/markdown",)),
    Route("code", f"{_PARSERS}.code:parse_code", tuple(LANGUAGES), packages=()),
    Route("json", f"{_PARSERS}.data:parse_json", ("application/json",)),
    Route("jsonl", f"{_PARSERS}.json_lines:parse_json_lines", ("application/jsonl",)),
    Route("yaml", f"{_PARSERS}.data:parse_yaml", ("application/yaml",), packages=("pyyaml",)),
    Route("toml", f"{_PARSERS}.data:parse_toml", ("application/toml",)),
    Route("xml", f"{_PARSERS}.xml_text:parse_xml", ("application/xml",)),
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
    Route("zip", f"{_PARSERS}.zip_archive:parse_zip", ("application/zip",), True, is_container=True),
    Route("tar", f"{_PARSERS}.tar_archive:parse_tar", ("application/x-tar",), True, is_container=True),
    Route(
        "packed",
        f"{_PARSERS}.tar_archive:parse_packed",
        ("application/gzip", "application/x-bzip2", "application/x-xz", "application/zstd"),
        True,
        ("backports.zstd",),
        is_container=True,
    ),
    Route(
        "7z", f"{_PARSERS}.seven_zip:parse_7z", ("application/x-7z-compressed",), True, ("py7zr",), is_container=True
    ),
    Route("sqlite", f"{_PARSERS}.sqlite:parse_sqlite", ("application/vnd.sqlite3",), True),
    Route("parquet", f"{_PARSERS}.columnar:parse_parquet", ("application/vnd.apache.parquet",), True, ("pyarrow",)),
    Route("arrow", f"{_PARSERS}.columnar:parse_arrow", ("application/vnd.apache.arrow.file",), True, ("pyarrow",)),
    Route(
        "image",
        f"{_PARSERS}.image:parse_image",
        (
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "image/tiff",
            "image/bmp",
            "image/heic",
            "image/avif",
        ),
        True,
        ("pillow", "pi-heif", *_OCR),
    ),
    Route("svg", f"{_PARSERS}.svg:parse_svg", ("image/svg+xml",), True),
)
UNSUPPORTED = Route("unsupported", "cortex_assets.documents.registry:parse_unsupported", ())

REMEDIES = {
    "application/vnd.rar": "unpack it (unrar, 7-Zip) and drop the folder",
    "application/vnd.duckdb": "export its tables (EXPORT DATABASE 'folder' (FORMAT parquet))",
}
"""What to do with files that no parser reads, where something can be done."""


def parse_unsupported(source: ParseInput) -> Iterator[ParsedDocument]:
    """Give one document without text that says why."""
    if source.size == 0:
        yield ParsedDocument("", "none", status=Status.EMPTY, reason="the file has no bytes")
        return
    remedy = REMEDIES.get(source.media_type)
    reason = f"no parser for {source.media_type}" + (f": {remedy}" if remedy else "")
    yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=reason)


@cache
def _by_media_type() -> dict[str, Route]:
    return {media_type: route for route in ROUTES for media_type in route.media_types}


def parser_for(media_type: str) -> Route:
    """The route of a media type; ``UNSUPPORTED`` for one that no parser reads."""
    return _by_media_type().get(media_type, UNSUPPORTED)

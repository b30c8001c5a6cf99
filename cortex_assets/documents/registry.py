"""Which parser reads which media type: one table.

To add a format: write one module in ``parsers/`` and one ``Route`` in ``ROUTES``. Nothing else names formats.
Finding a file's media type is ``media.detect``'s; running isolated parsers in a child process is the derivation's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec

from cortex_assets.documents.model import NO_BYTES, ParsedDocument, ParseInput, Parser
from cortex_assets.documents.parsers.code import LANGUAGES
from cortex_assets.media.types import ZEROS
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
        is_verbatim: whether the text of what was read is the whole file, so that its bytes hold nothing more.
    """

    name: str
    function: str
    media_types: tuple[str, ...]
    isolated: bool = False
    packages: tuple[str, ...] = ()
    page_function: str = ""
    is_container: bool = False
    is_verbatim: bool = False

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
_ODF = "application/vnd.oasis.opendocument"
_OCR = ("rapidocr",) if find_spec("rapidocr") is not None else ()
_MSG_PACKAGES = ("olefile", "selectolax")

ROUTES = (
    Route("text", f"{_PARSERS}.text:parse_text", ("text/plain", "text/x-log", "text/x-diff"), is_verbatim=True),
    Route("latex", f"{_PARSERS}.latex:parse_latex", ("text/x-tex",), is_verbatim=True),
    Route("bibtex", f"{_PARSERS}.latex:parse_bibtex", ("text/x-bibtex",), is_verbatim=True),
    Route("asciidoc", f"{_PARSERS}.markup:parse_asciidoc", ("text/asciidoc",), is_verbatim=True),
    Route("org", f"{_PARSERS}.markup:parse_org", ("text/x-org",), is_verbatim=True),
    Route("mediawiki", f"{_PARSERS}.markup:parse_mediawiki", ("text/x-mediawiki",), is_verbatim=True),
    Route("textile", f"{_PARSERS}.markup:parse_textile", ("text/x-textile",), is_verbatim=True),
    Route("rst", f"{_PARSERS}.text:parse_rst", ("text/x-rst",), is_verbatim=True),
    Route("markdown", f"{_PARSERS}.markdown:parse_markdown", ("text/markdown",), is_verbatim=True),
    Route("code", f"{_PARSERS}.code:parse_code", tuple(LANGUAGES), is_verbatim=True),
    Route("json", f"{_PARSERS}.data:parse_json", ("application/json",), is_verbatim=True),
    Route("jsonl", f"{_PARSERS}.json_lines:parse_json_lines", ("application/jsonl",), is_verbatim=True),
    Route("yaml", f"{_PARSERS}.data:parse_yaml", ("application/yaml",), packages=("pyyaml",), is_verbatim=True),
    Route("toml", f"{_PARSERS}.data:parse_toml", ("application/toml",), is_verbatim=True),
    Route("ini", f"{_PARSERS}.data:parse_ini", ("text/x-ini",), is_verbatim=True),
    Route("notebook", f"{_PARSERS}.notebook:parse_notebook", ("application/x-ipynb+json",)),
    Route("xml", f"{_PARSERS}.xml_text:parse_xml", ("application/xml",), is_verbatim=True),
    Route("csv", f"{_PARSERS}.data:parse_csv", ("text/csv", "text/tab-separated-values"), is_verbatim=True),
    Route("html", f"{_PARSERS}.html:parse_html", ("text/html", "application/xhtml+xml"), True, ("selectolax",)),
    Route(
        "pdf",
        f"{_PARSERS}.pdf:parse_pdf",
        ("application/pdf",),
        True,
        ("pypdfium2",),
        page_function=f"{_PARSERS}.pdf:read_page",
        is_container=True,
    ),
    Route(
        "docx",
        f"{_PARSERS}.docx:parse_docx",
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.ms-word.document.macroenabled.12",
        ),
        True,
        is_container=True,
    ),
    Route(
        "pptx",
        f"{_PARSERS}.slides:parse_pptx",
        (
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
        True,
        is_container=True,
    ),
    Route(
        "xlsx",
        f"{_PARSERS}.sheets:parse_xlsx",
        (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.ms-excel.sheet.macroenabled.12",
        ),
        True,
        is_container=True,
    ),
    Route("xls", f"{_PARSERS}.sheets_binary:parse_xls", ("application/vnd.ms-excel",), True, ("python-calamine",)),
    Route(
        "xlsb",
        f"{_PARSERS}.sheets_binary:parse_xlsb",
        ("application/vnd.ms-excel.sheet.binary.macroenabled.12",),
        True,
        ("python-calamine",),
    ),
    Route("ods", f"{_PARSERS}.sheets_ods:parse_ods", (f"{_ODF}.spreadsheet", f"{_ODF}.spreadsheet-template"), True),
    Route(
        "odt",
        f"{_PARSERS}.opendocument:parse_odt",
        (f"{_ODF}.text", f"{_ODF}.text-template", f"{_ODF}.text-master", f"{_ODF}.text-web"),
        True,
    ),
    Route("odp", f"{_PARSERS}.opendocument:parse_odp", (f"{_ODF}.presentation", f"{_ODF}.presentation-template"), True),
    Route("rtf", f"{_PARSERS}.rtf:parse_rtf", ("application/rtf",), True),
    Route("epub", f"{_PARSERS}.epub:parse_epub", ("application/epub+zip",), True, ("selectolax",)),
    Route(
        "ole",
        f"{_PARSERS}.ole:parse_ole",
        ("application/x-ole-storage", "application/msword", "application/vnd.ms-powerpoint"),
        True,
        ("msoffcrypto-tool", "olefile"),
        is_container=True,
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
    Route("mail", f"{_PARSERS}.mail:parse_mail", ("message/rfc822",), True, ("selectolax",), is_container=True),
    Route("mbox", f"{_PARSERS}.mbox:parse_mbox", ("application/mbox",), True, ("selectolax",), is_container=True),
    Route("msg", f"{_PARSERS}.msg:parse_msg", ("application/vnd.ms-outlook",), True, _MSG_PACKAGES, is_container=True),
    Route("calendar", f"{_PARSERS}.calendar:parse_calendar", ("text/calendar",)),
    Route("contacts", f"{_PARSERS}.contacts:parse_contacts", ("text/vcard",)),
    Route(
        "subtitles",
        f"{_PARSERS}.subtitles:parse_subtitles",
        ("application/x-subrip", "text/vtt", "text/x-ssa", "text/x-microdvd"),
    ),
)
UNSUPPORTED = Route("unsupported", "cortex_assets.documents.registry:parse_unsupported", ())

_BLOCK = 1024 * 1024
REMEDIES = {
    "application/vnd.rar": "unpack it (unrar, 7-Zip) and drop the folder",
    "application/vnd.duckdb": "export its tables (EXPORT DATABASE 'folder' (FORMAT parquet))",
}
"""What to do with files that no parser reads, where something can be done."""


def parse_unsupported(source: ParseInput) -> Iterator[ParsedDocument]:
    """Give one document without text that says why."""
    if source.size == 0:
        yield ParsedDocument("", "none", status=Status.EMPTY, reason=NO_BYTES)
        return
    if source.media_type == ZEROS and not any(
        block.strip(b"\0") for block in iter(lambda: source.stream.read(_BLOCK), b"")
    ):
        reason = f"all {source.size:,} bytes are zero, as a failed copy leaves them: restore the file from a copy"
        yield ParsedDocument("", "none", status=Status.EMPTY, reason=reason)
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

"""Source code: the decoded file, verbatim, with its language. Symbols are found by the chunks room, not here."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.verbatim import Analysis, verbatim

LANGUAGES = {
    "text/x-ada": "ada",
    "text/x-asm": "asm",
    "text/x-awk": "awk",
    "text/x-bat": "batch",
    "text/x-c": "c",
    "text/x-c++": "cpp",
    "text/x-clojure": "clojure",
    "text/x-cmake": "cmake",
    "text/x-coffeescript": "coffeescript",
    "text/x-common-lisp": "commonlisp",
    "text/x-crystal": "crystal",
    "text/x-csharp": "csharp",
    "text/x-cuda": "cuda",
    "text/x-cython": "cython",
    "text/x-d": "d",
    "text/x-dart": "dart",
    "text/x-dockerfile": "dockerfile",
    "text/x-elixir": "elixir",
    "text/x-elm": "elm",
    "text/x-emacs-lisp": "elisp",
    "text/x-erlang": "erlang",
    "text/x-fortran": "fortran",
    "text/x-fsharp": "fsharp",
    "text/x-glsl": "glsl",
    "text/x-go": "go",
    "text/x-graphql": "graphql",
    "text/x-groovy": "groovy",
    "text/x-haskell": "haskell",
    "text/x-hcl": "hcl",
    "text/x-java": "java",
    "text/javascript": "javascript",
    "text/x-jsx": "javascript",
    "text/x-julia": "julia",
    "text/x-kotlin": "kotlin",
    "text/x-lua": "lua",
    "text/x-makefile": "makefile",
    "text/x-matlab": "matlab",
    "text/x-nim": "nim",
    "text/x-nix": "nix",
    "text/x-objective-c": "objc",
    "text/x-ocaml": "ocaml",
    "text/x-pascal": "pascal",
    "text/x-perl": "perl",
    "text/x-php": "php",
    "text/x-powershell": "powershell",
    "text/x-prolog": "prolog",
    "text/x-protobuf": "proto",
    "text/x-python": "python",
    "text/x-r": "r",
    "text/x-racket": "racket",
    "text/x-ruby": "ruby",
    "text/x-rust": "rust",
    "text/x-scala": "scala",
    "text/x-scheme": "scheme",
    "text/x-shellscript": "bash",
    "text/x-solidity": "solidity",
    "text/x-sql": "sql",
    "text/x-starlark": "starlark",
    "text/x-svelte": "svelte",
    "text/x-swift": "swift",
    "text/x-tcl": "tcl",
    "text/x-thrift": "thrift",
    "text/x-tsx": "tsx",
    "text/x-typescript": "typescript",
    "text/x-vb": "vb",
    "text/x-verilog": "verilog",
    "text/x-vhdl": "vhdl",
    "text/x-vim": "vim",
    "text/x-vue": "vue",
    "text/x-wgsl": "wgsl",
    "text/x-zig": "zig",
    "text/css": "css",
    "text/x-scss": "scss",
    "text/x-less": "less",
}
"""Media type to language, by the name that tree-sitter grammars go by."""

_CPP_IN_HEADER = re.compile(r"^[ \t]*+(?:class|namespace|template\s*<|using\s|public:|private:)", re.MULTILINE)


def parse_code(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse source code; the language comes from the media type, and a ``.h`` that has classes is C++."""
    language = LANGUAGES.get(source.media_type)
    is_header = language == "c" and source.path.lower().endswith(".h")
    name = PurePosixPath(source.path).name

    def analyse(text: str, is_whole: bool) -> Analysis:
        is_cpp = is_header and _CPP_IN_HEADER.search(text[:65536]) is not None
        return Analysis(title=name, language="cpp" if is_cpp else language)

    return verbatim(source, "code", analyse)

"""Jupyter notebooks: cells in order with their places, outputs bounded, damaged files partial."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.model import ParsedDocument
from cortex_assets.documents.parsers import notebook as module
from cortex_assets.tables import Status

IPYNB = "application/x-ipynb+json"


def only(documents: list[Any]) -> ParsedDocument:
    assert len(documents) == 1
    document = documents[0]
    assert isinstance(document, ParsedDocument)
    assert document.status is Status.OK or document.reason
    for span in (*document.structure.blocks, *document.structure.places):
        assert 0 <= span.start < span.end <= len(document.text)
    for heading in document.structure.headings:
        assert heading.start == 0 or document.text[heading.start - 1] == "\n"
    return document


def cell(kind: str, source: str, **more: object) -> dict[str, object]:
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True), **more}


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return cell("code", source, execution_count=1, outputs=list(outputs))


NOTEBOOK = {
    "cells": [
        cell("markdown", "# Sales of 2025\n\nSee [the data](https://a.example/d.csv).\n\n| a | b |\n| - | - |\n| 1 | 2 |"),
        code("import polars as pl\nprint('hi')\n", {"output_type": "stream", "name": "stdout", "text": ["hi\n"]}),
        cell("markdown", ""),
        cell("markdown", "## Chart\n![p](data:image/png;base64," + "QUJD" * 100 + ")"),
        code(
            "plot()",
            {
                "output_type": "display_data",
                "data": {"image/png": "iVBOR" * 500, "text/plain": ["<Figure size 640x480>"], "text/html": "<b>x</b>"},
            },
        ),
        code("1/0", {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero",
                     "traceback": ["\x1b[0;31m---\x1b[0m"]}),
        cell("raw", "raw words"),
    ],
    "metadata": {"kernelspec": {"language": "python"}, "language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}  # fmt: skip


def test_cells_in_order_with_code_outputs_and_places(parse: Any) -> None:
    document = only(parse(json.dumps(NOTEBOOK), IPYNB, "a.ipynb"))
    text, structure = document.text, document.structure
    assert (document.kind, document.status, document.title, document.language) == (
        "notebook", Status.OK, "Sales of 2025", "python",
    )  # fmt: skip
    assert "```python\nimport polars as pl\nprint('hi')\n```\n\n```output\nhi\n```" in text
    assert "<Figure size 640x480>" in text and "ZeroDivisionError: division by zero" in text
    assert "iVBOR" not in text and "QUJDQUJD" not in text and "\x1b" not in text
    assert [(h.level, h.title, text[h.start : h.start + 3]) for h in structure.headings] == [
        (1, "Sales of 2025", "# S"), (2, "Chart", "## "),
    ]  # fmt: skip
    assert [block.kind for block in structure.blocks] == ["table", *["code"] * 6]
    table = structure.blocks[0]
    assert (
        text[table.start : table.end].startswith("| a | b |")
        and text[table.start : table.head_end].endswith("-- |\n") is False
    )
    assert structure.links[0] == "https://a.example/d.csv"
    assert [place.label for place in structure.places] == ["cell 1", "cell 2", "cell 4", "cell 5", "cell 6", "cell 7"]
    last = structure.places[-1]
    assert text[last.start : last.end] == "raw words"


def test_version_3_with_worksheets_and_heading_cells(parse: Any) -> None:
    old = {
        "metadata": {"name": "Old one"},
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["A  title"]},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "input": ["x = 1"],
                        "outputs": [
                            {"output_type": "pyout", "text": ["1"]},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v"},
                        ],
                    },
                ]
            }
        ],
    }
    document = only(parse(json.dumps(old), IPYNB))
    assert document.text == "## A title\n\n```python\nx = 1\n```\n\n```output\n1\nE: v\n```"
    assert document.title == "Old one"


def test_a_truncated_notebook_gives_the_cells_before_the_break(parse: Any) -> None:
    raw = json.dumps(NOTEBOOK, indent=1)
    document = only(parse(raw[: raw.index("1/0")], IPYNB))
    assert document.status is Status.PARTIAL
    assert "first 5 cells" in (document.reason or "") and "line" in (document.reason or "")
    assert "Chart" in document.text and len(document.reason or "") <= 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("{", Status.FAILED),
        ('{"cells": [{"cell_type"', Status.FAILED),
        ('{"cells": 5}', Status.FAILED),
        ("[1, 2]", Status.FAILED),
        ('{"a": 1}', Status.FAILED),
        ("[" * 200_000, Status.FAILED),
        ('{"cells":' + "[" * 200_000, Status.FAILED),
        ('{"cells": [], "metadata": {}, "nbformat": 4}', Status.EMPTY),
        ("", Status.EMPTY),
        (" \n", Status.EMPTY),
    ],
)
def test_what_is_no_notebook_says_so(parse: Any, raw: str, status: Status) -> None:
    document = only(parse(raw, IPYNB))
    assert document.status is status
    assert document.text == ""


def test_cells_that_are_no_objects_are_counted(parse: Any) -> None:
    document = only(parse(json.dumps({"cells": [1, None, cell("markdown", "words")], "nbformat": 4}), IPYNB))
    assert (document.status, document.text) == (Status.PARTIAL, "words")
    assert document.structure.places[0].label == "cell 3"


def test_long_outputs_are_cut_and_large_files_refused(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    long = {"cells": [code("x", {"output_type": "stream", "text": "word " * 100_000})], "nbformat": 4}
    document = only(parse(json.dumps(long), IPYNB))
    assert len(document.text) < module.OUTPUT_CHARS + 100 and "[output cut]" in document.text
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    assert only(parse(json.dumps(long), IPYNB)).status is Status.TOO_LARGE


def test_large_notebooks_come_in_parts_between_cells(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_CHARS", 4000)
    cells = [cell("markdown", f"# Cell {n}\n\n" + "words " * 100) for n in range(1, 21)]
    documents = parse(json.dumps({"cells": cells, "nbformat": 4}), IPYNB)
    assert len(documents) > 3
    assert [document.inner for document in documents[:2]] == ["part-0001", "part-0002"]
    assert [p.label for d in documents for p in d.structure.places] == [f"cell {n}" for n in range(1, 21)]
    assert documents[1].title == "Cell 1 (part 2)"


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
       | st.dictionaries(st.sampled_from(["cells", "cell_type", "source", "outputs", "data", "metadata", "text", "level", "input",
                                          "worksheets", "kernelspec", "output_type", "text/plain"]), inner, max_size=4)))  # fmt: skip
def test_any_json_is_a_row(value: object) -> None:
    import io

    from cortex_assets.documents.model import ParseInput

    raw = json.dumps(value).encode()
    document = only(list(module.parse_notebook(ParseInput(io.BytesIO(raw), len(raw), "a.ipynb", IPYNB))))
    assert bool(document.text.strip()) == (document.status.value in ("ok", "partial"))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 40))
def test_any_damage_is_a_row(at: int, noise: bytes, lost: int) -> None:
    import io

    from cortex_assets.documents.model import ParseInput

    whole = json.dumps(NOTEBOOK).encode()
    raw = whole[:at] + noise + whole[at + lost :]
    documents = list(module.parse_notebook(ParseInput(io.BytesIO(raw), len(raw), "a.ipynb", IPYNB)))
    assert documents
    for document in documents:
        only([document])

"""The straight lines that are drawn on a page of a PDF, as rules along the axes: thin shapes, frames and path segments.

They are found by ``pdf_read.cpp``; what they mean is ``pdf_tables``'s. Shapes with curves or slanted lines, filled areas
and what is inside form objects are left out.
"""

from typing import Any

from cortex_assets.documents.parsers.pdf_calls import page_reader
from cortex_assets.documents.parsers.pdf_tables import Rule


def rules_of(page: Any) -> tuple[list[Rule], list[Rule]]:
    """Level and upright rules of a loaded page; none for a page with more than 5,000 objects."""
    level, upright = page_reader().rules(page)
    return [Rule(*rule) for rule in level], [Rule(*rule) for rule in upright]

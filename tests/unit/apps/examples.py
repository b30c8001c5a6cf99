"""Values that several tests of the command line draw."""

from apps.search_reports import Hit

HIT = Hit(
    rank=1, score=0.8125, corpus="notes", path="gauges/north.md", title="North gauge", snippet="the north gauge reads low",
    highlights=((4, 15),), citation="exact", start_line=13, end_line=18, start_page=None, end_page=None, start_char=210,
    end_char=500, kind="prose", language=None, symbol=None, document_id="d", chunk_id="c",
)  # fmt: skip

"""What a search shows of a passage: its text, where it stands, a snippet, a citation, and where else the same stands.

Made from payloads alone. Which passages are shown, and in which order, is ``search``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.cite import Anchor, Citation
from cortex_assets.retrieval.explain import Signals
from cortex_assets.retrieval.fuse import Fused
from cortex_assets.retrieval.gather import Candidates
from cortex_assets.retrieval.highlight import Snippet, displayable, snippet

SNIPPET_WIDTH = 240


@dataclass(frozen=True, slots=True)
class Place:
    """Where else a hit's text stands, exactly or almost (``is_near``).

    ``label`` is its page, slide or cells where it has any, ``start_char`` its first character in the document.
    """

    chunk_id: str
    document_id: str
    corpus_id: str
    path: str
    start_line: int
    label: str = ""
    start_char: int = 0
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk of the answer.

    Attributes:
        chunk_id: the chunk.
        score: fused, 0..1, comparable within one result only.
        dense_score: cosine with the question; None when dense search did not find it.
        sparse_score: BM25; None when it is not among the sparse candidates and was not needed.
        corpus_id: its corpus.
        document_id: its document.
        path: display path, safe to print.
        inner: which member of the file, with a leading slash; empty for a whole file and for a part of one.
        place: what people call its place beyond lines and pages, such as ``slide 3``; None for nothing.
        title: the document's, safe to print.
        kind: the document's, such as ``markdown``.
        language: of text or code, where known.
        symbol: qualified name of the code symbol, where it is one.
        text: the chunk as stored (not safe to print; see ``snippet``).
        context: headings before it.
        snippet: the best window, safe to print, with spans to highlight.
        citation: the window's characters in the document.
        shard: where it is stored.
        space_id: the space it was found in.
        signals: why it ranks where it does.
        start_char: first character of the chunk in the document's text.
        end_char: one after its last.
        also_in: other chunks with exactly or almost this text, best first.
    """

    chunk_id: str
    score: float
    dense_score: float | None
    sparse_score: float | None
    corpus_id: str
    document_id: str
    path: str
    title: str
    kind: str
    language: str | None
    symbol: str | None
    text: str
    context: str
    snippet: Snippet
    citation: Citation
    shard: str
    space_id: str
    signals: Signals
    start_char: int
    end_char: int
    also_in: tuple[Place, ...] = ()
    inner: str = ""
    place: str | None = None


def hit_of(group: Sequence[Fused], found: Candidates, by_term: Mapping[int, float], signals: Signals) -> Hit:
    """The hit of candidates that say the same, best first.

    Args:
        group: the candidates.
        found: their points and scores.
        by_term: weights of the question's terms.
        signals: of the best.
    """
    best = group[0]
    point = found.points[best.chunk_id]
    payload = point.payload
    shown = snippet(str(payload["text"]), by_term, SNIPPET_WIDTH)
    dense = found.dense.get(best.chunk_id)
    return Hit(
        chunk_id=best.chunk_id,
        score=best.score,
        dense_score=None if dense is None else round(dense, DIGITS),
        sparse_score=None if best.sparse is None else round(best.sparse, DIGITS),
        corpus_id=str(payload["corpus_id"]),
        document_id=str(payload["document_id"]),
        path=_safe(payload["path"]),
        title=_safe(payload.get("title")),
        kind=str(payload["kind"]),
        language=payload.get("language"),
        symbol=payload.get("symbol"),
        text=str(payload["text"]),
        context=str(payload.get("context") or ""),
        snippet=shown,
        citation=_citation(payload, shown),
        shard=point.shard,
        space_id=found.spaces[best.chunk_id],
        signals=signals,
        start_char=int(payload["start_char"]),
        end_char=int(payload["start_char"]) + len(str(payload["text"])),
        also_in=tuple(
            _place(other, one.chunk_id, is_near=other["text"] != payload["text"])
            for one in group[1:]
            for other in (found.points[one.chunk_id].payload,)
        ),
        inner=_member(payload),
        place=_safe(payload.get("place")) or None,
    )


def _member(payload: Mapping[str, Any]) -> str:
    """The member that a point's document is, without the number of its part; empty for none."""
    inner = _safe(payload.get("inner"))
    return inner.partition("#part-")[0] if inner.startswith("/") else ""


def _safe(value: object) -> str:
    return displayable(str(value or ""))[0].replace("\n", " ")


def _place(payload: Mapping[str, Any], chunk_id: str, *, is_near: bool) -> Place:
    return Place(
        chunk_id,
        str(payload["document_id"]),
        str(payload["corpus_id"]),
        _safe(payload["path"]) + (f"!{_member(payload)}" if _member(payload) else ""),
        int(payload["start_line"]),
        _label(payload),
        int(payload["start_char"]),
        is_near,
    )


def _label(payload: Mapping[str, Any]) -> str:
    """What people call a place that lines do not say; empty where lines do."""
    if payload.get("start_page") is not None:
        return f"page {payload['start_page']}"
    place = _safe(payload.get("place"))
    return "" if place.startswith("§") else place


def _citation(payload: Mapping[str, Any], shown: Snippet) -> Citation:
    """The snippet's window as a citation: its characters and lines in the document, the chunk's pages."""
    anchor = Anchor(
        document_id=str(payload["document_id"]),
        path=_safe(payload["path"]),
        start_char=int(payload["start_char"]),
        start_line=int(payload["start_line"]),
        start_page=payload.get("start_page"),
        end_page=payload.get("end_page"),
    )
    return anchor.cite(str(payload["text"]), shown.start, shown.end)

"""What ``apps.reader.explain`` does with an open house: one file from the disk to its chunks. Nothing here writes."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from apps.errors import USAGE, CommandError
from apps.reports import ChunkExplained, DocumentExplained, FileExplained
from apps.residence import looked_in
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.ignore import corpus_scope
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.redact import IN_BYTES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.house import House
from cortex_assets.register import Registry
from resources.listing import left_out

BEGINNING = 80
_SHOWN = ("title", "kind", "language", "encoding", "page_count", "failed_pages", "quality_score", "quality_notes")


def explain(file: str, member: str | None, most: int) -> FileExplained:
    """See ``apps.reader.explain``."""
    with looked_in() as house:
        registry = house.register.peek()
        if not Path(file).exists():
            file, _, named = file.partition("!/")
            member = member or named or None
        corpus, path = _found(registry, file)
        mine = (pl.col("corpus_id") == corpus.corpus_id) & (pl.col("path") == path)
        rows = house.lake.scan(FILES, where=None).filter(mine).collect()
        if rows.is_empty():
            return _unknown(house, corpus, registry, path)
        row = rows.row(0, named=True)
        documents = _documents(house, row["file_id"], member)
        return FileExplained(
            corpus.name,
            path,
            *_standing(row, documents),
            _file_facts(row, house.raw.has(row["content_hash"] or "")),
            tuple(_waits(house, corpus, registry, row, documents)),
            documents.height,
            tuple(_explained(house, corpus, document, most) for document in documents.head(most).iter_rows(named=True)),
        )


def _found(registry: Registry, file: str) -> tuple[Registered, str]:
    """The corpus and the path in it.

    Raises:
        CommandError: the name is of no corpus, and no corpus has a file at that place of the disk.
    """
    name, _, path = file.partition("/")
    corpus = registry.by_name(name) if path else None
    if corpus is not None and not Path(file).exists():
        return corpus, path
    here = Path(os.path.abspath(file))
    roots = [
        (known, root)
        for known in registry.corpora
        if known.source.kind == "folder" and here.is_relative_to(root := Path(known.source.uri))
        and not (known.source.is_flat and here.parent != root)
    ]  # fmt: skip
    if roots:
        nearest, root = max(roots, key=lambda pair: len(pair[1].parts))
        return nearest, here.relative_to(root).as_posix()
    if corpus is not None:
        return corpus, path
    known_names = ", ".join(known.name for known in registry.corpora) or "none yet"
    raise CommandError(
        "no corpus has this file",
        file,
        f"say CORPUS/PATH or a path below a corpus; registered are: {known_names}",
        USAGE,
    )


def _unknown(house: House, corpus: Registered, registry: Registry, path: str) -> FileExplained:
    """A file without a row: why a scan does not take it, or that none has yet.

    Raises:
        CommandError: it is not on the disk either.
    """
    listed = house.workshop.corpus_to_list(corpus, registry)
    raw = os.fsencode(path)
    is_below = not path.startswith("/") and ".." not in path.split("/")
    if not is_below or not (listed.root / path).exists():
        raise CommandError(
            "there is no such file", f"{corpus.name}/{path}", "cortex search shows paths as they are", USAGE
        )
    scope = corpus_scope(listed.include, listed.exclude, listed.corpora_below)
    why = left_out(listed.root, raw, scope)
    if why is None:
        return FileExplained(corpus.name, path, "new", "no run has taken it yet: cortex run", {})
    return FileExplained(corpus.name, path, "ignored", why, {})


def _standing(row: Mapping[str, Any], documents: pl.DataFrame) -> tuple[str, str]:
    """Status and reason of a file: its own, or those of its first document that is not ok."""
    bad = documents.filter(pl.col("status") != "ok")
    if row["status"] != "ok" or bad.is_empty():
        return row["status"], row["reason"] or ""
    whole = bad.row(0, named=True)
    if not whole["inner"]:
        return whole["status"], whole["reason"] or ""
    return "partial", f"{bad.height} of {documents.height} documents in it are not ok, see below"


def _file_facts(row: Mapping[str, Any], is_stored: bool) -> dict[str, str]:
    where = "the raw store" if row["store"] == "raw" and is_stored else "its place"
    if row["store"] == "raw" and not is_stored:
        where += " (its bytes are not kept, because secrets were found in it)"
    facts = {
        "size": f"{row['size']:,} bytes",
        "changed": row["modified_at"].strftime("%Y-%m-%d %H:%M:%S UTC"),
        "media type": row["media_type"],
        "read from": where,
    }
    return facts | ({"SHA-256": row["content_hash"]} if row["content_hash"] else {})


def _documents(house: House, file_id: str, member: str | None) -> pl.DataFrame:
    """Rows of the file's documents without their texts, in order."""
    scan = house.lake.scan(DOCUMENTS).filter(pl.col("file_id") == file_id)
    if member:
        scan = scan.filter(pl.col("inner").str.contains(member, literal=True))
    return scan.drop("text").sort(pl.col("status") == "ok", "inner").collect()


def _explained(house: House, corpus: Registered, document: Mapping[str, Any], most: int) -> DocumentExplained:
    """One document with its first chunks."""
    chunks = (
        house.lake.scan(CHUNKS, keys={"shard": [document["shard"]], "input_key": [document["document_id"]]})
        .sort("ordinal")
        .collect()
    )
    shown = chunks.head(most)
    have: set[str] = set()
    for space_id, kinds in corpus.layout.selections.items():
        texts = shown.filter(pl.col("kind").is_in(list(kinds))).select("embed_hash").unique()
        vectors = house.lake.scan(EMBEDDINGS, where={"space_id": space_id}).select("embed_hash")
        have |= set(vectors.join(texts.lazy(), on="embed_hash", how="semi").collect()["embed_hash"])
    return DocumentExplained(
        document["inner"],
        document["kind"],
        document["parser"],
        document["status"],
        document["reason"] or "",
        _document_facts(document),
        chunks.height,
        tuple(_chunk(chunk, have) for chunk in shown.iter_rows(named=True)),
    )


def _document_facts(document: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        name.replace("_", " "): _told(document[name]) for name in _SHOWN if document.get(name) not in (None, "", [])
    }
    facts["characters"] = f"{document['char_count']:,}"
    structure = json.loads(document["structure"])
    counts = {name: len(structure.get(name, ())) for name in ("headings", "pages", "places", "blocks", "links")}
    facts["structure"] = (
        ", ".join(f"{count} {name if count > 1 else name[:-1]}" for name, count in counts.items() if count) or "none"
    )
    if findings := document.get("findings"):
        facts |= _secrets(findings)
    return facts


def _secrets(findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Rules and how often each found something, in what is stored and outside of it."""
    places: dict[str, Counter[str]] = {}
    for finding in findings:
        name = "found in the bytes only" if finding["place"] == IN_BYTES else "masked"
        places.setdefault(name, Counter())[finding["rule"]] += 1
    return {name: ", ".join(f"{n} {rule}" for rule, n in sorted(rules.items())) for name, rules in places.items()}


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _chunk(chunk: Mapping[str, Any], have: set[str]) -> ChunkExplained:
    lines = f"lines {chunk['start_line']}-{chunk['end_line']}"
    page = f"page {chunk['start_page']}" if chunk["start_page"] is not None else ""
    if page and chunk["end_page"] != chunk["start_page"]:
        page = f"pages {chunk['start_page']}-{chunk['end_page']}"
    return ChunkExplained(
        chunk["ordinal"],
        chunk.get("place") or page or lines,
        chunk["kind"],
        chunk["token_count"],
        chunk["embed_hash"] in have,
        " ".join(chunk["text"][: 2 * BEGINNING].split())[:BEGINNING],
    )


def _waits(
    house: House, corpus: Registered, registry: Registry, row: Mapping[str, Any], documents: pl.DataFrame
) -> list[str]:
    """What the ledgers say is still to come for the file or its documents."""
    keys = [row["file_id"], *documents.get_column("document_id").to_list()]
    said = []
    for stage in house.workshop.stages(corpus, registry).maps:
        ledger = stage.ledger.rows(row["shard"])
        bad = ledger.filter(pl.col("input_key").is_in(keys) & (pl.col("status") != "ok"))
        for failed in bad.iter_rows(named=True):
            at = failed["retry_at"]
            when = (
                f"tried again after {at:%Y-%m-%d %H:%M} UTC" if at else "waits for a change of the file or its parser"
            )
            name = f"{corpus.name}/{row['path']}"
            said.append(f"{stage.name}: attempt {failed['attempts']} failed; {when}, or now: cortex retry {name}")
    return said

"""Tables of the corpora room: what is registered, what was listed, which files there are."""

import dataframely as dy

from cortex_assets.tables import STATUSES, Kind, TableSpec, sharded


class Corpora(dy.Schema):
    """One registered corpus: a folder, a git repository, or the inbox."""

    corpus_id = dy.String(primary_key=True)
    name = dy.String(metadata={"doc": "what people call it; may be renamed"})
    kind = dy.String(regex="^(folder|git)$")
    uri = dy.String(metadata={"doc": "folder path or git URL"})
    settings = dy.String(metadata={"doc": "JSON: globs, limits, confirmed options, embedding spaces of migrations"})
    shard_count = dy.Int64(min=0, metadata={"doc": "0 until the first whole listing, then 1 or a power of two"})
    shard_epoch = dy.Int64(min=0)
    space_id = dy.String(metadata={"doc": "the main embedding space that is searched; further ones are in settings"})
    is_listed = dy.Bool(metadata={"doc": "false = paused: no longer declared or found, kept and shown"})
    registered_at = dy.Datetime(time_zone="UTC")
    machine = dy.String(
        nullable=True,
        metadata={"doc": "which of the machines that share the lake has the source; null where the lake is a folder"},
    )


class Files(dy.Schema):
    """One file of a corpus as last listed."""

    shard = dy.String()
    file_id = dy.String(primary_key=True)
    input_key = dy.String()
    corpus_id = dy.String()
    path = dy.String(metadata={"doc": "display path relative to the corpus root, POSIX separators"})
    raw_path = dy.Binary(nullable=True, metadata={"doc": "the path's bytes where they are not UTF-8"})
    size = dy.Int64(min=0)
    modified_at = dy.Datetime(time_zone="UTC")
    content_hash = dy.String(
        nullable=True, metadata={"doc": "SHA-256 of the bytes, hex; null where they were not read"}
    )
    media_type = dy.String()
    store = dy.String(regex="^(raw|reference)$", metadata={"doc": "where parsers read: raw store, or the path itself"})
    status = dy.String(regex=f"^({'|'.join(STATUSES)})$")
    reason = dy.String(nullable=True)
    row_hash = dy.Int64()


class Scans(dy.Schema):
    """One listing of a corpus: what it saw, what it withheld."""

    scan_id = dy.String(primary_key=True)
    corpus_id = dy.String()
    started_at = dy.Datetime(time_zone="UTC")
    seconds = dy.Float64(min=0)
    listed = dy.Int64(min=0)
    added = dy.Int64(min=0)
    changed = dy.Int64(min=0)
    moved = dy.Int64(min=0)
    deleted = dy.Int64(min=0)
    ignored = dy.Int64(min=0)
    unreadable = dy.List(dy.String(), metadata={"doc": "prefixes that could not be read; what lies under them is kept"})
    withheld = dy.Int64(min=0, metadata={"doc": "deletes held back by the guard until confirmed"})
    withheld_reason = dy.String(nullable=True)
    is_confirmed = dy.Bool(metadata={"doc": "a person accepted the withheld deletes"})


class Duplicates(dy.Schema):
    """One content that several files have, in whatever corpora."""

    shard = dy.String(metadata={"doc": "the aggregate's bucket"})
    content_hash = dy.String(primary_key=True)
    input_key = dy.String()
    copies = dy.Int64(min=2)
    size = dy.Int64(min=0, metadata={"doc": "bytes of one copy"})
    corpus_ids = dy.List(dy.String(), metadata={"doc": "the corpora it is in, sorted"})
    paths = dy.List(dy.String(), metadata={"doc": "the first twenty paths, sorted"})
    row_hash = dy.Int64()


class CorpusStatistics(dy.Schema):
    """One corpus in numbers."""

    corpus_id = dy.String(primary_key=True)
    files = dy.Int64(min=0)
    bytes = dy.Int64(min=0)
    documents = dy.Int64(min=0)
    documents_not_ok = dy.Int64(min=0, metadata={"doc": "documents of any status but ok"})
    characters = dy.Int64(min=0)
    chunks = dy.Int64(min=0)
    tokens = dy.Int64(min=0)
    distinct_texts = dy.Int64(min=0, metadata={"doc": "distinct embed hashes: the vectors that the corpus needs"})


DUPLICATES = sharded("silver/duplicates", Duplicates, "content_hash")
CORPUS_STATISTICS = TableSpec("gold/corpus_statistics", Kind.GLOBAL, CorpusStatistics, ("corpus_id",))
CORPORA = TableSpec("human/corpora", Kind.HUMAN, Corpora, ("corpus_id",))
FILES = sharded("bronze/files", Files, "file_id", unhashed=("modified_at",))
SCANS = TableSpec("ops/scans", Kind.OPS, Scans, ("scan_id",))

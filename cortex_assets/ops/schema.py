"""Tables that Cortex keeps about its own work: format, ledgers, snapshots, quarantine, what was found of secrets."""

import dataframely as dy

from cortex_assets.tables import Kind, TableSpec


class Ledger(dy.Schema):
    """What an asset last did for an input key. Append-only: of a key's rows the highest ``sequence`` counts."""

    shard = dy.String()
    input_key = dy.String()
    sequence = dy.Int64(min=0)
    is_deleted = dy.Bool(metadata={"doc": "a tombstone: the key was pruned"})
    input_hash = dy.Int64()
    route = dy.String(metadata={"doc": "the named producer the key was routed to, or empty"})
    producer_version = dy.String()
    row_count = dy.Int64(min=0)
    row_sum = dy.Int64(metadata={"doc": "wrapping sum of the output rows' row_hash"})
    status = dy.String(regex="^(ok|failed|transient|quarantined)$")
    reason = dy.String(nullable=True)
    attempts = dy.Int64(min=0)
    retry_at = dy.Datetime(time_zone="UTC", nullable=True)
    noted_at = dy.Datetime(
        time_zone="UTC",
        nullable=True,
        metadata={"doc": "when the key was derived; null for a tombstone and where an older version wrote the row"},
    )


class Snapshots(dy.Schema):
    """What one published generation of a shard was made from."""

    shard = dy.String()
    space_id = dy.String()
    generation = dy.Int64(min=0)
    published_at = dy.Datetime(time_zone="UTC")
    versions = dy.String(metadata={"doc": "JSON {table: Delta version}"})
    points = dy.Int64(min=0)


class QuarantinedRows(dy.Schema):
    """A row that a schema refused: which rule, not its values."""

    shard = dy.String()
    asset = dy.String()
    input_key = dy.String()
    row_id = dy.String()
    reason = dy.String()
    quarantined_at = dy.Datetime(time_zone="UTC")


class SecretCounts(dy.Schema):
    """How many secrets a run found in what it parsed of a shard, by rule; where they are is in ``bronze/documents.findings``."""

    shard = dy.String()
    corpus_id = dy.String()
    rule = dy.String()
    found = dy.Int64(min=1)
    is_masked = dy.Bool()
    found_at = dy.Datetime(time_zone="UTC", metadata={"doc": "when the run ended"})


class Runs(dy.Schema):
    """What a run did in one stage of a shard, or (stage ``*``) how a run ended that did not end by itself."""

    run_id = dy.String()
    shard = dy.String()
    corpus_id = dy.String()
    stage = dy.String(metadata={"doc": "files, documents, chunks, embeddings, index; * for the whole run"})
    trigger = dy.String(metadata={"doc": "command, worker or dagster"})
    started_at = dy.Datetime(time_zone="UTC", metadata={"doc": "of the run"})
    seconds = dy.Float64(min=0)
    status = dy.String(regex="^(ok|partial|failed|interrupted)$", metadata={"doc": "partial: keys of it failed"})
    reason = dy.String(nullable=True)
    new_count = dy.Int64(min=0)
    changed_count = dy.Int64(min=0)
    unchanged_count = dy.Int64(min=0)
    deleted_count = dy.Int64(min=0)
    failed_count = dy.Int64(min=0)
    quarantined_count = dy.Int64(min=0)
    remaining_count = dy.Int64(min=0)
    rows_written = dy.Int64(min=0, metadata={"doc": "rows or points that were added or changed"})
    token_count = dy.Int64(min=0)
    call_count = dy.Int64(
        min=0, metadata={"doc": "files parsed, documents chunked; of embeddings the batches given to the model"}
    )
    rows_added = dy.Int64(nullable=True, min=0, metadata={"doc": "null where an older version wrote the row"})
    rows_removed = dy.Int64(nullable=True, min=0, metadata={"doc": "null where an older version wrote the row"})


class Checks(dy.Schema):
    """One check of one asset of a shard: passed where nothing was found."""

    checked_at = dy.Datetime(time_zone="UTC")
    shard = dy.String()
    asset = dy.String()
    check = dy.String()
    scope = dy.String(
        regex="^(quick|deep)$", metadata={"doc": "quick: after a run; deep: cortex verify, which reads everything"}
    )
    is_passed = dy.Bool()
    finding_count = dy.Int64(min=0)
    detail = dy.String(nullable=True, metadata={"doc": "what was found, of at most three findings"})


class LakeFormats(dy.Schema):
    """A format that the lake has had; the highest is the one it has. A lake without a row is of format 1."""

    format_version = dy.Int64(min=2)
    reached_at = dy.Datetime(time_zone="UTC")
    snapshot = dy.String(
        nullable=True, metadata={"doc": "backup in data/snapshots of the lake before; null: it was made in this format"}
    )


def ledger_table(asset: str) -> TableSpec:
    """The ledger of one asset."""
    return TableSpec(f"ops/ledger/{asset}", Kind.OPS, Ledger, ("shard", "input_key", "sequence"), ("shard",))


LAKE = TableSpec("ops/lake", Kind.OPS, LakeFormats, ("format_version",))
SNAPSHOTS = TableSpec("ops/snapshots", Kind.OPS, Snapshots, ("shard", "space_id", "generation"))
RUNS = TableSpec("ops/runs", Kind.OPS, Runs, ("run_id", "shard", "stage"))
CHECKS = TableSpec("ops/checks", Kind.OPS, Checks, ("checked_at", "shard", "asset", "check"))
SECRET_COUNTS = TableSpec("ops/secret_counts", Kind.OPS, SecretCounts, ("shard", "rule", "found_at"))
QUARANTINED_ROWS = TableSpec("ops/quarantined_rows", Kind.OPS, QuarantinedRows, ("asset", "row_id"))

"""Repair of a shard (F5): take out what is damaged, let a run make it again, then set the points right.

The run in between is an ordinary one. What counts as damage is ``engine.damage``'s and ``engine.verify``'s.
"""

from collections.abc import Sequence
from datetime import datetime

from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.damage import bad_vectors, retake_bytes, take_out_altered
from cortex_assets.engine.verify import ShardStages, damaged_points
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore
from resources.state import State


def take_out(
    lake: Lakehouse, raw: RawStore, state: State, stages: ShardStages, shard: str, now: datetime, is_listed: bool
) -> list[str]:
    """Before the run: take bytes again, delete altered rows, bad vectors and an unreadable index, forget every shortcut.

    The caller holds the shard's lease. ``is_listed``: the run will look at the source, so that files can be taken again.

    Returns:
        Embed hashes of the vectors that were deleted: their points show the old ones and are to be written again.
    """
    corpus = stages.files.corpus
    retake_bytes(lake, raw, corpus, shard)
    wrong = sorted({text for index in stages.indexes for text in bad_vectors(lake, index.space, shard)})
    intake = stages.files.listing(now, shard)
    listed = [known.file_id for path, known in intake.known.items() if path in intake.listing.entries]
    take_out_altered(lake, shard, listed if is_listed else ())
    lake.delete_where(EMBEDDINGS, "embed_hash", wrong)
    for index in stages.indexes:
        index.drop_if_damaged(shard)
    state.forget_corpus(corpus.corpus_id)
    state.clear_complete(shard)
    state.clear_complete(corpus.corpus_id)
    return wrong


def rewrite_points(stages: ShardStages, shard: str, wrong: Sequence[str], now: datetime) -> None:
    """After the run: write the points that still are not what they should be, and those of vectors made anew."""
    for index in stages.indexes:
        again, extra, _ = damaged_points(index, shard)
        again = sorted({*again, *index.wanted.chunks_of(shard, wrong)})
        if again or extra:
            index.rewrite(shard, again, extra, now)

"""Shards: which shard a file of a corpus belongs to. The Dagster partitions definitions are made in ``definitions``."""

FILES_PER_SHARD = 20_000
FILES_SHARDS = "files_shards"
"""Name of the dynamic partitions definition of corpora of files."""


def shard_count(files: int) -> int:
    """Number of shards for a corpus of ``files`` files: the least power of two that keeps a shard below 20,000."""
    count = 1
    while files > count * FILES_PER_SHARD:
        count *= 2
    return count


def advised_shards(files: int) -> int:
    """Number of shards that a corpus of so many files would be given today: more than it has = it outgrew them (``cortex reshard``)."""
    return shard_count(files)


def shard_names(corpus_name: str, count: int) -> list[str]:
    """``["notes"]`` while small, ``["notes.00", "notes.01", ...]`` when large."""
    if count <= 1:
        return [corpus_name]
    return [f"{corpus_name}.{number:02d}" for number in range(count)]


def shard_of(corpus_name: str, file_id: str, count: int) -> str:
    """The shard of a file: by the leading bits of its id, so that it depends on nothing but the id and the count."""
    if count <= 1:
        return corpus_name
    return f"{corpus_name}.{int(file_id[:8], 16) % count:02d}"

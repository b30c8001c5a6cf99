"""Points for tests of vector stores: seeded, with ties, with and without vectors."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

DIMENSIONS = 16
START = datetime(2026, 1, 1, tzinfo=UTC)


def chunk(number: int) -> str:
    """A chunk id; ids do not sort as their numbers do."""
    return f"{(number * 2654435761) % 2**32:08x}{number:024x}"


def points(numbers: range | list[int], salt: int = 0, vocabulary: int = 60) -> pl.DataFrame:
    """One row per number; the same number and salt give the same row; every tenth repeats another's vector.

    Vectors are such as half precision holds, for that is what an index keeps: scores are then those of brute force.
    """
    rows = []
    for number in numbers:
        like = number - 7 if number % 10 == 9 else number
        rng = np.random.default_rng([like, salt])
        vector = rng.standard_normal(DIMENSIONS)
        folder, ending = ("docs", "md") if number % 2 else ("src", "py")
        terms = np.unique(rng.integers(0, vocabulary, 8))
        rows.append(
            {
                "chunk_id": chunk(number),
                "row_hash": (number + 1) * 7919 + salt * 2**40,
                "vector": None if number % 13 == 5 else (vector / np.linalg.norm(vector)).astype(np.float16).tolist(),
                "terms": terms.tolist(),
                "weights": np.round(rng.random(terms.size) + 0.1, 2).tolist(),
                "text": f"text {number} {salt}",
                "corpus_id": f"corpus{number % 3}",
                "document_id": f"{number // 4:032x}",
                "path": f"{folder}/d{number // 20}/f{number // 4}.{ending}",
                "kind": "markdown" if number % 2 else "code",
                "language": None if number % 2 else "python",
                "start_char": number * 10,
                "modified_at": START + timedelta(hours=number),
            }
        )
    schema = {"vector": pl.List(pl.Float32), "terms": pl.List(pl.UInt32), "weights": pl.List(pl.Float32)}
    return pl.DataFrame(rows, schema_overrides={**schema, "modified_at": pl.Datetime("us", "UTC")})


def nothing() -> pl.DataFrame:
    """An upsert frame without rows."""
    return points([0]).clear()


def query(seed: int = 0) -> list[float]:
    """A unit vector, such as half precision holds."""
    vector = np.random.default_rng([seed, 99]).standard_normal(DIMENSIONS)
    return [float(value) for value in (vector / np.linalg.norm(vector)).astype(np.float16)]


def expected_dense(frame: pl.DataFrame, vector: list[float], limit: int) -> list[tuple[str, float]]:
    """Brute force in float64: (chunk_id, rounded score), ranked."""
    known = frame.filter(pl.col("vector").is_not_null())
    scores = np.array(known["vector"].to_list()) @ np.array(vector)
    pairs = [(name, round(float(score), 4)) for name, score in zip(known["chunk_id"], scores, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:limit]


def expected_sparse(frame: pl.DataFrame, terms: dict[int, float], limit: int) -> list[tuple[str, float]]:
    """Brute force: (chunk_id, rounded score) of the points with a common term, ranked."""
    pairs = []
    for row in frame.iter_rows(named=True):
        common = [terms[t] * w for t, w in zip(row["terms"], row["weights"], strict=True) if t in terms]
        if common:
            pairs.append((row["chunk_id"], round(sum(common), 4)))
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:limit]

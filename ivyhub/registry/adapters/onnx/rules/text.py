"""Counts of n-grams of numbers; text itself is no array of any framework."""

from __future__ import annotations

import numpy as np

from .....engine import ops
from .....engine.dims import Dim
from .....errors import CaptureError
from .common import RULES, Array, cast, rank_of, shape_of


@RULES("TfIdfVectorizer")
def tf_idf_vectorizer(
    x: Array,
    *,
    max_gram_length: int,
    max_skip_count: int,
    min_gram_length: int,
    mode: str,
    ngram_counts: tuple[int, ...],
    ngram_indexes: tuple[int, ...],
    pool_int64s: tuple[int, ...] | None = None,
    pool_strings: tuple[str, ...] | None = None,
    weights: tuple[float, ...] | None = None,
) -> Array:
    """How often each n-gram of a pool is in each row, its items up to ``max_skip_count`` others apart.

    Source: the operator's definition in the standard.
    """
    if pool_int64s is None:
        raise CaptureError("TfIdfVectorizer of text is not read: no framework has arrays of it")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise CaptureError(f"expected TF, IDF or TFIDF as the mode of TfIdfVectorizer, received {mode!r}")
    length = shape_of(x)[-1] if rank_of(x) else 1
    if isinstance(length, Dim):
        raise CaptureError(f"TfIdfVectorizer expected rows of a known length, received {length}")
    series = x if rank_of(x) else ops.reshape(x, shape=(1,))
    width = max(ngram_indexes) + 1
    found: Array | None = None
    first = 0
    for size, (start, stop) in enumerate(zip(ngram_counts, (*ngram_counts[1:], len(pool_int64s)), strict=True), 1):
        grams = np.asarray(pool_int64s[start:stop], np.int64).reshape(-1, size)
        if len(np.unique(grams, axis=0)) < len(grams):
            raise CaptureError(f"the pool of TfIdfVectorizer has {size}-grams twice")
        places = np.zeros((len(grams), width), np.float32)
        places[np.arange(len(grams)), ngram_indexes[first : first + len(grams)]] = 1
        first += len(grams)
        if not len(grams) or not min_gram_length <= size <= max_gram_length:
            continue
        for apart in range(1, max_skip_count + 2 if size > 1 else 2):
            if length > apart * (size - 1):
                counted = ops.matmul(_counts(series, grams, apart), places)
                found = counted if found is None else ops.add(found, counted)
    if found is None:
        raise CaptureError("TfIdfVectorizer has no n-gram that a row could hold")
    if mode == "IDF":
        found = cast(ops.greater(found, 0.0), "float32")
    if mode == "TF" or weights is None:
        return found
    # The standard has a weight for each n-gram, its own evaluator one for each place: where these are one they agree.
    if tuple(ngram_indexes) != tuple(range(len(weights))):
        raise CaptureError("no rule reads TfIdfVectorizer with weights and n-grams that change their places")
    return ops.multiply(found, np.asarray(weights, np.float32))


def _counts(x: Array, grams: np.ndarray, apart: int) -> Array:
    """How many windows of each row are each of some n-grams: float32[..., grams]."""
    size = grams.shape[1]
    lead = ((None, None, None),) * (rank_of(x) - 1)
    hits: Array | None = None
    for at in range(size):
        window = ops.getitem(x, key=(*lead, (at * apart, (at + 1 - size) * apart or None, None), None))
        same = ops.equal(cast(window, "int64"), grams[:, at])
        hits = same if hits is None else ops.logical_and(hits, same)
    return ops.sum(cast(hits, "float32"), axis=-2)

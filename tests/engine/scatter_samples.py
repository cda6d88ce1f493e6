"""Samples of gathering, scattering and segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.oracles import jax_oracle, torch_oracle


def extremes(d: Draw) -> list[Sample]:
    values = d.apart(9, 3)  # no two numbers are equal: which of them has the gradient is no question
    return [
        ((values[:4], [np.array([2, 2, 0])], values[4:7]), {}),
        ((values[:6].reshape(3, 6), [np.array([0, 0, 2]), np.array([1, 1, -1])], values[6]), {}),
        ((d.apart(BATCH, 4, 3), [None, np.array([2, 2])], d.apart(BATCH, 2, 3) + 1 / 64), {}),
    ]


def bags(d: Draw) -> list[Sample]:
    indices = d.i(BATCH, 3, low=0, high=4)
    indices[0] = 1  # nothing but padding
    table, scales = d.apart(4, 6), d.f(BATCH, 3)
    starts = np.array([0, 3, 3, 4, 6])  # one bag has no members
    # None is there twice in a bag: which of them has the gradient of the largest is no question
    flat = np.concatenate([d.rng.permutation(4)[:size] for size in (3, 0, 1, 2, 3)])
    return [
        *(((indices, table), {"mode": mode}) for mode in ("sum", "mean")),
        *(((indices, table), {"mode": mode, "padding_idx": -3}) for mode in ("sum", "mean", "max")),
        ((np.stack([d.rng.permutation(4)[:3] for _ in range(BATCH)]), table), {"mode": "max"}),
        ((indices, table, scales), {"mode": "sum"}),
        ((indices, table, scales), {"mode": "sum", "padding_idx": 1}),
        *(((flat, table, None, starts), {"mode": mode}) for mode in ("sum", "mean", "max")),
        *(((flat, table, None, starts), {"mode": mode, "padding_idx": 2}) for mode in ("sum", "mean", "max")),
        ((flat, table, scales.flatten()[:9], starts.astype(np.int32)), {"mode": "sum"}),
        ((flat, table, scales.flatten()[:9], starts), {"mode": "sum", "padding_idx": 1}),
    ]


def segments(d: Draw, *, empty: bool = True) -> list[Sample]:
    ids = np.array([0, 2, 2, 0, 3 if empty else 1])
    count = 4 if empty else 3
    return [
        ((d.apart(BATCH) + 1 / 32, ids), {"num_segments": count}),
        ((d.apart(BATCH, 2, 3) + 1 / 32, ids.astype(np.int32)), {"num_segments": count}),
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    **dict.fromkeys(("at_max", "at_min"), extremes),
    "index_add": lambda d: [
        ((d.f(4, 3), np.array([2, 2, 0]), d.f(3, 3)), {"axis": 0}),
        ((d.f(BATCH, 4, 3), np.array([2, 2]), d.f(BATCH, 2, 3)), {"axis": 1}),
        ((d.f(4, 3), np.array([2, 1]), d.f(1, 3)), {"axis": 0}),
    ],
    "masked_fill": lambda d: [
        ((d.f(BATCH, 3), d.b(BATCH, 3)), {"value": 1.5}),
        ((d.f(BATCH, 3), d.b(3)), {"value": 0}),
    ],
    "scatter_reduce": lambda d: (
        [
            (
                (d.apart(BATCH, 4), d.i(BATCH, 6, low=0, high=4), d.apart(BATCH, 6) + 1 / 32),
                {"axis": 1, "reduction": word},
            )
            for word in ("sum", "mean", "prod", "max", "min")
        ]
        + [((d.f(4, 3), d.i(2, 3, low=0, high=4, dtype="int32"), d.f(2, 3)), {"axis": 0, "reduction": "prod"})]
    ),
    **dict.fromkeys(("segment_sum", "segment_mean", "segment_prod"), segments),
    **dict.fromkeys(("segment_max", "segment_min"), lambda d: segments(d, empty=False)),
    "embedding_bag": bags,
}


def _extreme(ufunc: np.ufunc) -> Callable[..., Any]:
    def compute(x: np.ndarray, indices: list[Any], values: np.ndarray) -> np.ndarray:
        x = x.copy()
        ufunc.at(x, tuple(slice(None) if each is None else each for each in indices), values)
        return x

    return compute


def _segment(name: str) -> Callable[..., Any]:
    def function() -> Callable[..., Any]:
        import jax

        return getattr(jax.ops, name)

    return jax_oracle(function)


def _mean(x: np.ndarray, ids: np.ndarray, *, num_segments: int) -> np.ndarray:
    return np.stack([x[ids == i].mean(0) if (ids == i).any() else np.zeros(x.shape[1:]) for i in range(num_segments)])


def _bag(*operands: np.ndarray, **options: Any) -> Any:
    named = ("per_sample_weights", "offsets")[: len(operands) - 2]
    return torch_oracle("nn.functional.embedding_bag", named=named)(*operands, **options)


_WORDS = {"sum": "sum", "mean": "mean", "prod": "prod", "max": "amax", "min": "amin"}

ORACLES: dict[str, Callable[..., Any]] = {
    "at_max": _extreme(np.maximum),
    "at_min": _extreme(np.minimum),
    "index_add": lambda x, indices, values, *, axis: torch_oracle("index_add")(
        x, axis, indices, np.broadcast_to(values, (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])).copy()
    ),
    "masked_fill": lambda x, mask, *, value: torch_oracle("masked_fill")(x, mask, value),
    "scatter_reduce": lambda x, indices, values, *, axis, reduction: torch_oracle("scatter_reduce")(
        x, axis, indices, values, _WORDS[reduction]
    ),
    **{name: _segment(name) for name in ("segment_sum", "segment_prod", "segment_max", "segment_min")},
    "segment_mean": _mean,
    "embedding_bag": _bag,
}
"""What an operation is compared with, in float64."""

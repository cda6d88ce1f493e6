"""Samples of factors by elimination and by reflections, and of the exponential of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample


def _exchanged(d: Draw, rows: int, columns: int) -> np.ndarray:
    """Matrices whose largest elements stand apart, in rows that elimination has to exchange."""
    return (d.f(BATCH, rows, columns, low=-0.4, high=0.4) + np.eye(rows, columns) * 3)[:, ::-1].copy()


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "lu": lambda d: [((_exchanged(d, 3, 3),), {}), ((_exchanged(d, 2, 4),), {})],
    "pivots_to_permutation": lambda d: [
        ((np.asarray([2, 1, 3], dtype) + d.i(BATCH, 1, low=0, high=1, dtype=dtype),), {"size": 4})
        for dtype in ("int32", "int64")
    ],
    "householder_product": lambda d: [((d.f(BATCH, 4, 3), d.f(BATCH, 2, low=0.1, high=1.0)), {})],
    "matrix_exp": lambda d: [((d.f(BATCH, 3, 3),), {})],
}


def _lu(x: np.ndarray) -> tuple[np.ndarray, ...]:
    import torch

    packed, pivots = torch.linalg.lu_factor(torch.from_numpy(x))
    p, _, _ = torch.lu_unpack(packed, pivots)
    return packed.numpy(), pivots.numpy() - 1, p.argmax(-2).int().numpy()


def _matrix_exp(x: np.ndarray) -> np.ndarray:
    import torch

    return torch.linalg.matrix_exp(torch.from_numpy(x)).numpy()


ORACLES: dict[str, Callable[..., Any]] = {"lu": _lu, "matrix_exp": _matrix_exp}

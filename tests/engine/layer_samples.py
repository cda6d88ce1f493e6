"""Samples of the operations that models have most of: convolution, pooling, normalisation, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample


def convolution(d: Draw) -> list[Sample]:
    def sample(x: tuple[int, ...], w: tuple[int, ...], bias: bool, pads: Any, **options: Any) -> Sample:
        n = len(x) - 2
        base = {"strides": (1,) * n, "dilation": (1,) * n, "padding": pads}
        return (d.f(*x), d.f(*w), d.f(w[0]) if bias else None), base | options

    none2, one2 = ((0, 0), (0, 0)), ((1, 1), (1, 1))
    return [
        sample((BATCH, 4, 9), (6, 4, 3), True, ((1, 1),), strides=(2,)),
        sample((BATCH, 4, 9), (6, 2, 3), False, ((2, 0),), groups=2),
        sample((BATCH, 3, 8, 7), (4, 3, 3, 2), True, one2, strides=(2, 1)),
        sample((BATCH, 3, 8, 7), (4, 3, 3, 3), False, none2, dilation=(2, 1)),
        sample((2, 4, 8, 7), (4, 1, 3, 3), True, ((0, 1), (1, 2)), strides=(2, 2), groups=4),
        sample((2, 2, 4, 6, 4), (3, 2, 2, 3, 2), True, ((0, 0), (1, 1), (0, 0))),
        sample((2, 2, 4, 6, 4), (3, 2, 2, 3, 2), True, ((0, 1), (1, 1), (0, 0))),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), True, none2, channel_axis=-1),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), False, none2, channel_axis=-1),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), False, one2, channel_axis=-1, dilation=(1, 2)),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), True, one2, channel_axis=-1, strides=(2, 2)),
        sample((BATCH, 9, 4), (6, 2, 3), False, ((1, 1),), channel_axis=-1, groups=2),
        sample((BATCH, 8, 7, 3), (3, 1, 3, 3), True, one2, channel_axis=-1, groups=3),
        sample((BATCH, 8, 7, 3), (3, 1, 3, 3), False, one2, channel_axis=-1, groups=3, strides=(2, 2)),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), True, one2, channel_axis=-1, strides=(2, 1), dilation=(1, 2)),
        sample((BATCH, 3, 8, 7), (4, 3, 3, 2), True, "SAME", strides=(2, 1)),
        sample((BATCH, 8, 7, 3), (4, 3, 3, 2), False, "SAME", channel_axis=-1, strides=(3, 1)),
        sample((BATCH, 3, 9), (4, 3, 4), True, "VALID"),
        *(
            sample((BATCH, 3, 8, 7), (4, 3, 3, 2), True, ((1, 1), (2, 0)), padding_mode=mode, strides=(2, 1))
            for mode in ("reflect", "edge", "wrap")
        ),
        ((d.f(BATCH, 3, 8, 7), d.f(4, 3, 3, 2)), {}),
    ]


def transposed_convolution(d: Draw) -> list[Sample]:
    def sample(x: tuple[int, ...], w: tuple[int, ...], out: int, bias: bool, pads: Any, **options: Any) -> Sample:
        n = len(x) - 2
        base = {"strides": (1,) * n, "dilation": (1,) * n, "padding": pads}
        return (d.f(*x), d.f(*w), d.f(out) if bias else None), base | options

    return [
        sample((BATCH, 4, 6), (4, 3, 3), 3, True, ((1, 0),), strides=(2,)),
        sample((BATCH, 4, 6, 4), (4, 3, 3, 2), 6, True, ((1, 1), (0, 0)), strides=(2, 1), groups=2),
        sample((BATCH, 4, 6, 4), (4, 3, 1, 2), 3, False, ((1, 1), (0, 0)), dilation=(1, 2)),
        sample((2, 2, 3, 3, 4), (2, 3, 2, 2, 2), 3, True, ((0, 0), (0, 0), (0, 0)), strides=(2, 1, 1)),
        sample((BATCH, 6, 4, 4), (4, 3, 3, 2), 3, True, ((1, 1), (0, 0)), strides=(2, 1), channel_axis=-1),
        sample((BATCH, 4, 6), (4, 3, 3), 3, False, ((1, 1),), strides=(3,), output_padding=(2,)),
        sample((BATCH, 4, 6), (4, 3, 3), 3, True, ((0, 1),), strides=(2,)),
        sample((BATCH, 4, 6, 4), (4, 3, 3, 2), 3, False, ((0, 2), (-1, 1)), strides=(2, 1)),
        sample((2, 2, 3, 3, 4), (2, 3, 2, 2, 2), 3, True, ((0, 1), (0, 0), (1, 0)), strides=(2, 1, 1)),
        sample((BATCH, 6, 4), (4, 3, 2), 3, True, ((0, -1),), strides=(2,), channel_axis=-1),
        sample((2, 3, 3, 3, 2), (2, 3, 2, 3, 2), 3, False, ((0, 1),) * 3, strides=(2, 1, 3), channel_axis=-1),
        ((d.f(BATCH, 4, 6), d.f(4, 3, 3)), {}),
    ]


def pooling(d: Draw, *, average: bool) -> list[Sample]:
    samples: list[Sample] = [
        ((d.apart(BATCH, 2, 9),), {"kernel": (3,), "strides": (2,)}),
        ((d.apart(BATCH, 2, 8, 7),), {"kernel": (3, 2), "strides": (2, 1), "padding": ((1, 1), (0, 0))}),
        ((d.apart(BATCH, 2, 8, 7),), {"kernel": (3, 3), "strides": (2, 2), "padding": ((0, 1), (1, 2))}),
        ((d.apart(2, 2, 4, 4, 4),), {"kernel": (2, 2, 2), "strides": (2, 2, 2)}),
        ((d.apart(BATCH, 8, 7, 2),), {"kernel": (3, 3), "strides": (2, 2), "channel_axis": -1}),
        (
            (d.apart(BATCH, 8, 7, 2),),
            {"kernel": (3, 3), "strides": (2, 2), "padding": ((1, 1), (0, 1)), "channel_axis": -1},
        ),
    ]
    samples += [
        ((d.apart(BATCH, 2, 8, 7),), {"kernel": (3, 2)}),
        ((d.apart(BATCH, 2, 8, 9),), {"kernel": (3, 2), "padding": ((1, 1), (0, 0)), "ceil_mode": True}),
        ((d.apart(2, 8, 9, 2),), {"kernel": (2, 2), "strides": (3, 3), "ceil_mode": True, "channel_axis": -1}),
        ((d.apart(BATCH, 2, 8, 7),), {"kernel": (3, 3), "strides": (2, 2), "padding": "SAME"}),
        ((d.apart(BATCH, 8, 7, 2),), {"kernel": (3, 3), "strides": (2, 2), "padding": "SAME", "channel_axis": -1}),
    ]
    if average:
        options = {"kernel": (3, 3), "strides": (2, 2), "padding": ((1, 1), (1, 1))}
        return [
            *samples,
            ((d.f(BATCH, 2, 8, 7),), options | {"count_include_pad": False}),
            ((d.f(BATCH, 2, 8, 7),), options | {"divisor": 7}),
            ((d.f(2, 2, 4, 4, 4),), {"kernel": (2, 2, 2), "divisor": 3}),
            ((d.f(BATCH, 2, 8, 8),), options | {"divisor": 7, "ceil_mode": True}),
            ((d.f(BATCH, 2, 8, 8),), options | {"count_include_pad": False, "ceil_mode": True}),
        ]
    return [*samples, ((d.apart(BATCH, 2, 9),), {"kernel": (3,), "strides": (2,), "dilation": (2,)})]


def attention(d: Draw) -> list[Sample]:
    def operands(*lead: int, q: int = 4, k: int = 6) -> tuple[np.ndarray, ...]:
        return d.f(*lead, q, 3), d.f(*lead, k, 3), d.f(*lead, k, 3)

    def shared(batch: int) -> tuple[np.ndarray, ...]:
        query, key, value = operands(batch, 4)
        return query, key[:, :2], value[:, :2]

    def swapped(*lead: int) -> tuple[np.ndarray, ...]:
        return tuple(x.swapaxes(1, 2) for x in operands(*lead))

    mask = d.b(BATCH, 1, 4, 6)
    mask[0, 0, 1] = False  # a query that attends to nothing
    bias = np.where(mask, d.f(BATCH, 1, 4, 6), -np.inf)
    return [
        (operands(BATCH, 2), {}),
        ((*operands(BATCH, 2), mask), {}),
        ((*operands(BATCH, 2), bias), {"scale": 0.5}),
        (operands(BATCH, 2), {"causal": True}),
        ((*swapped(BATCH, 2), mask), {"layout": "BTNH"}),
        ((*swapped(BATCH, 2), bias), {"layout": "BTNH"}),
        (swapped(BATCH, 2), {"layout": "BTNH", "causal": True}),
        (operands(BATCH), {}),
        ((*operands(2, BATCH, 2), mask[:, :, :, :]), {}),
        (operands(BATCH, 2), {"causal": True, "causal_offset": 2}),
        (swapped(BATCH, 2), {"layout": "BTNH", "causal": True, "causal_offset": 2}),
        (shared(BATCH), {}),
        ((*shared(BATCH), mask), {"scale": 0.5}),
        (tuple(x.swapaxes(1, 2) for x in shared(BATCH)), {"layout": "BTNH", "causal": True}),
    ]


def normalized(d: Draw) -> list[Sample]:
    x = d.f(BATCH, 3, 4)
    return [
        ((x, d.f(4), d.f(4)), {}),
        ((x, d.f(4)), {"eps": 1e-3}),
        ((x, d.f(3, 4), d.f(3, 4)), {"axis": (-2, -1)}),
        ((x,), {}),
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "embedding": lambda d: [((d.i(BATCH, 3, low=0, high=4), d.f(4, 6)), {"padding_idx": p}) for p in (None, 1, -1)],
    "layer_norm": normalized,
    "rms_norm": lambda d: [((d.f(BATCH, 3, 4), d.f(4)), {}), ((d.f(BATCH, 3, 4),), {"axis": (-2, -1), "eps": 1e-3})],
    "group_norm": lambda d: [
        ((d.f(BATCH, 6, 3), d.f(6), d.f(6)), {"num_groups": 2}),
        ((d.f(BATCH, 3, 6), d.f(6), d.f(6)), {"num_groups": 3, "channel_axis": -1}),
        ((d.f(BATCH, 6, 3),), {"num_groups": 6, "eps": 1e-3}),
    ],
    "batch_norm": lambda d: [
        ((d.f(BATCH, 3, 4), d.f(3), d.f(3, low=0.5), d.f(3), d.f(3)), {}),
        ((d.f(BATCH, 4, 3), d.f(3), d.f(3, low=0.5), d.f(3), d.f(3)), {"channel_axis": -1}),
        ((d.f(BATCH, 3), d.f(3), d.f(3, low=0.5)), {"eps": 1e-3}),
        ((d.f(BATCH, 3, 4), None, None, d.f(3), d.f(3)), {}),
    ],
    "conv": convolution,
    "conv_transpose": transposed_convolution,
    "max_pool": lambda d: pooling(d, average=False),
    "avg_pool": lambda d: pooling(d, average=True),
    "adaptive_avg_pool": lambda d: [
        ((d.f(BATCH, 2, 9),), {"size": (4,)}),
        ((d.f(BATCH, 2, 8, 6),), {"size": (1, 3)}),
        ((d.f(2, 2, 4, 4, 4),), {"size": (1, 1, 1)}),
        ((d.f(BATCH, 8, 6, 2),), {"size": (2, 6), "channel_axis": -1}),
    ],
    "interpolate": lambda d: [
        ((d.f(BATCH, 2, 4, 3),), {"size": (8, 6)}),
        *(
            ((d.f(BATCH, 2, 4, 3),), {"size": (7, 2), "mode": m, "align_corners": a})
            for m in ("linear", "cubic")
            for a in (False, True)
        ),
        ((d.f(BATCH, 4, 3, 2),), {"size": (8, 6), "mode": "linear", "channel_axis": -1}),
        ((d.f(BATCH, 2, 4),), {"size": (9,), "mode": "linear"}),
        *(
            ((d.f(BATCH, 2, 7, 4),), {"size": (3, 6), "mode": mode, "antialias": aa})
            for mode, aa in (("nearest-exact", False), ("area", False), ("linear", True), ("cubic", True))
        ),
        *(
            ((d.f(BATCH, 7, 4, 2),), {"size": (3, 6), "mode": mode, "antialias": aa, "channel_axis": -1})
            for mode, aa in (("nearest-exact", False), ("linear", True), ("linear", False))
        ),
    ],
    "attention": attention,
}

"""Sample inputs of every operation: name -> function of a `Draw` -> list of (operands, attributes), and the oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine import (
    class_loss_samples,
    factor_samples,
    layer_samples,
    loss_samples,
    nn_samples,
    random_samples,
    recurrent_samples,
    scatter_samples,
    signal_samples,
    special_samples,
    standard_samples,
)
from tests.engine.draw import BATCH, FULL, Draw, Sample


def unary(low: float = -2.0, high: float = 2.0) -> Callable[[Draw], list[Sample]]:
    return lambda d: [((d.f(BATCH, 3, low=low, high=high),), {}), ((d.f(low=low, high=high),), {})]


def apart(d: Draw) -> list[Sample]:
    return [((d.apart(BATCH, 4),), {})]


def binary(
    low: float = -2.0, high: float = 2.0, *, integers: bool = True, scalars: bool = True
) -> Callable[[Draw], list[Sample]]:
    def draw(d: Draw) -> list[Sample]:
        samples: list[Sample] = [
            ((d.f(BATCH, 3, low=low, high=high), d.f(BATCH, 3, low=low, high=high)), {}),
            ((d.f(BATCH, 1, 3, low=low, high=high), d.f(4, 1, low=low, high=high)), {}),
        ]
        if scalars:
            samples += [((d.f(BATCH, low=low, high=high), 1.5), {}), ((0.5, d.f(BATCH, low=low, high=high)), {})]
        if integers:
            samples += [((d.i(BATCH, low=1), d.i(BATCH, low=1)), {}), ((d.i(BATCH, 2), 3), {})]
        return samples

    return draw


def comparison(d: Draw) -> list[Sample]:
    x = d.i(BATCH, 4, low=-2, high=3)
    return [((x, d.i(4, low=-2, high=3)), {}), ((x, 0), {}), ((0.5, d.f(BATCH)), {}), ((x / 2, 0.5), {})]


def truth(d: Draw) -> list[Sample]:
    return [((d.b(BATCH, 4), d.b(4)), {}), ((d.b(BATCH, 4), True), {})]


def bits(d: Draw) -> list[Sample]:
    return [((d.i(BATCH, 4), d.i(4)), {}), ((d.i(BATCH, 4, dtype="int32"), 6), {})]


def shifts(d: Draw) -> list[Sample]:
    return [
        ((d.i(BATCH, 4, low=0), d.i(4, low=0, high=4)), {}),
        ((d.i(BATCH, low=-64, dtype="int32"), 2), {}),
        ((d.i(BATCH, low=0, dtype="uint8"), 8), {}),  # by all of its bits
    ]


def reduction(d: Draw, *, several: bool = True, integers: bool = True) -> list[Sample]:
    x = d.apart(BATCH, 3, 4)
    samples: list[Sample] = [
        ((x,), {}),
        ((x,), {"axis": -1}),
        ((x,), {"axis": 1, "keepdims": True}),
        ((x,), {"keepdims": True}),
    ]
    if several:
        samples += [((x,), {"axis": (0, 2)}), ((x,), {"axis": (-1, -2), "keepdims": True})]
    if integers:
        samples += [((d.i(BATCH, 3, low=0, high=3, dtype="int32"),), {"axis": 0}), ((d.i(BATCH, 3),), {"axis": -1})]
    return samples


def spread(d: Draw) -> list[Sample]:
    return [
        *reduction(d, integers=False),
        *(
            ((d.f(BATCH, 3, 4),), {"axis": axis, "correction": c, "keepdims": k})
            for axis, c, k in ((1, 1, False), (None, 1, True), ((1, 2), 0.5, False))
        ),
    ]


def _topk_oracle(x: np.ndarray, *, k: int, axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    order = np.flip(np.argsort(x, axis=axis), axis=axis).take(range(k), axis=axis)
    return np.take_along_axis(x, order, axis), order


def _either(d: Draw, size: float) -> np.ndarray:
    """Three numbers of a size and any sign."""
    return np.where(d.b(3), size, -size)


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    # elementwise
    **dict.fromkeys(("add", "subtract", "multiply", "maximum", "minimum"), binary()),
    "divide": binary(0.5, 3.0, integers=False),
    "floor_divide": lambda d: [
        ((d.i(BATCH, 3), d.i(BATCH, 3, low=1)), {}),
        ((d.i(BATCH), 4), {}),
        ((d.apart(BATCH, 3), 0.3), {}),
    ],
    "remainder": lambda d: [
        ((d.i(BATCH, 3), d.i(BATCH, 3, low=1)), {}),
        ((d.i(BATCH), 4), {}),
        ((d.apart(BATCH, 3), 0.3), {}),
    ],
    **dict.fromkeys(("floor_quotient", "floor_remainder"), lambda d: [((d.apart(BATCH, 3), _either(d, 0.3)), {})]),
    "pow": lambda d: [
        ((d.f(BATCH, 3, low=0.5), d.f(BATCH, 3)), {}),
        ((d.f(BATCH), 3), {}),
        ((2.0, d.f(BATCH)), {}),
        ((d.i(BATCH), 3), {}),
    ],
    **dict.fromkeys(("hypot", "atan2", "logaddexp"), binary(0.5, 3.0, integers=False, scalars=False)),
    **dict.fromkeys(
        (
            "negative",
            "positive",
            "square",
            "exp",
            "exp2",
            "expm1",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "tanh",
            "erf",
            "atan",
            "asinh",
        ),
        unary(),
    ),
    **dict.fromkeys(("abs", "sign", "ceil", "floor", "trunc"), apart),
    "round": lambda d: [((np.array([-2.5, -1.5, -0.4, 0.5, 1.5, 2.6]),), {})],
    **dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "log", "log1p", "log2", "log10"), unary(0.5, 3.0)),
    **dict.fromkeys(("tan", "asin", "acos", "atanh"), unary(-0.9, 0.9)),
    "acosh": unary(1.5, 3.0),
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), comparison),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), lambda d: [((np.array([0.0, np.nan, np.inf, -np.inf, 1.0]),), {})]),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), truth),
    "logical_not": lambda d: [((d.b(BATCH, 4),), {})],
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), bits),
    "bitwise_invert": lambda d: [((d.i(BATCH, 4),), {})],
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), shifts),
    "where": lambda d: [
        ((d.b(BATCH, 3), d.f(BATCH, 3), d.f(3)), {}),
        ((d.b(3), d.f(BATCH, 1), 0.0), {}),
        ((d.b(BATCH, 3), -1.0, d.f(3)), {}),
    ],
    "astype": lambda d: [
        ((d.f(BATCH, 3) * 9,), {"dtype": "int32"}),
        ((d.i(BATCH, low=-1, high=2),), {"dtype": "bool"}),
        ((d.b(BATCH),), {"dtype": "float32"}),
        ((d.i(BATCH),), {"dtype": "float16"}),
    ],
    "clip": lambda d: [
        ((d.apart(BATCH, 4),), {"min": -1.0, "max": 0.5}),
        ((d.apart(BATCH, 4),), {"min": 0}),
        ((d.apart(BATCH, 4),), {"max": 0.5}),
        ((d.i(BATCH),), {"min": -2, "max": 3}),
    ],
    # activations: away from their kinks, where frameworks differ in the derivative they choose
    **dict.fromkeys(
        (
            "relu",
            "relu6",
            "sigmoid",
            "log_sigmoid",
            "silu",
            "mish",
            "selu",
            "hardsigmoid",
            "hardswish",
            "softsign",
        ),
        lambda d: [((d.apart(BATCH, 16),), {}), ((np.array([-80.0, 80.0]),), {})],
    ),
    "gelu": lambda d: [((d.apart(BATCH, 16),), {"approximate": a}) for a in (False, True)],
    **dict.fromkeys(("elu", "celu"), lambda d: [((d.apart(BATCH, 16),), {}), ((d.apart(BATCH, 16),), {"alpha": 0.7})]),
    "leaky_relu": lambda d: [((d.apart(BATCH, 16),), {}), ((d.apart(BATCH, 16),), {"negative_slope": 0.2})],
    "hardtanh": lambda d: [((d.apart(BATCH, 16),), {}), ((d.apart(BATCH, 16),), {"min": -0.4, "max": 2.2})],
    **dict.fromkeys(("softmax", "log_softmax"), lambda d: [((d.f(BATCH, 3, 4) * 9,), {"axis": a}) for a in (-1, 1)]),
    # reductions
    "sum": reduction,
    "prod": lambda d: [
        *reduction(d, several=False, integers=False),
        ((d.i(BATCH, 3, low=1, high=4, dtype="int32"),), {"axis": 1}),
        ((d.i(2, 3, low=1, high=4, dtype="int32"),), {"keepdims": True}),
    ],
    **dict.fromkeys(
        ("cumulative_sum", "cumulative_prod"),
        lambda d: [
            ((d.f(BATCH, 3),), {"axis": 0}),
            ((d.f(BATCH, 3),), {"axis": -1}),
            ((d.i(BATCH, 3, dtype="int32"),), {"axis": 1}),
        ],
    ),
    "mean": lambda d: reduction(d, integers=False),
    "var": spread,
    "std": spread,
    "logsumexp": lambda d: [*reduction(d, integers=False), ((np.full((2, 3), -np.inf),), {"axis": 1})],
    "max": reduction,
    "min": reduction,
    "argmax": lambda d: reduction(d, several=False, integers=False),
    "argmin": lambda d: reduction(d, several=False, integers=False),
    **dict.fromkeys(
        ("any", "all"),
        lambda d: [
            *(
                ((d.b(BATCH, 3, 2),), options)
                for options in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True}, {"keepdims": True})
            ),
            ((d.i(BATCH, 3, low=0, high=2),), {"axis": -1}),
        ],
    ),
    "count_nonzero": lambda d: (
        [((d.i(BATCH, 3, low=0, high=2),), {"axis": a}) for a in (None, 1)] + [((d.b(BATCH, 3),), {})]
    ),
    # shapes
    "reshape": lambda d: [((d.f(BATCH, 3, 4),), {"shape": (BATCH, 12)}), ((d.f(3, 4),), {"shape": (2, 6)})],
    "transpose": lambda d: [
        ((d.f(BATCH, 3),), {"axes": (1, 0)}),
        ((d.f(BATCH, 3, 4),), {"axes": (0, 2, 1)}),
        ((d.f(BATCH, 3, 4, 2),), {"axes": (0, 2, 1, 3)}),
        ((d.f(BATCH, 3, 4),), {"axes": (2, 0, 1)}),
    ],
    "broadcast_to": lambda d: [((d.f(3, 1),), {"shape": (BATCH, 3, 4)}), ((d.f(BATCH, 1),), {"shape": (BATCH, 4)})],
    "flip": lambda d: [((d.f(BATCH, 3),), {"axis": 0}), ((d.f(BATCH, 3),), {"axis": (0, -1)})],
    "roll": lambda d: [
        ((d.f(BATCH, 3),), {"shift": 2, "axis": 0}),
        ((d.f(BATCH, 3),), {"shift": (1, -1), "axis": (0, 1)}),
    ],
    "tile": lambda d: [((d.f(BATCH, 3),), {"repetitions": (1, 2)})],
    "repeat": lambda d: [((d.f(BATCH, 3),), {"repeats": 2, "axis": 0}), ((d.f(BATCH, 3),), {"repeats": 3, "axis": -1})],
    "pad": lambda d: [
        ((d.f(BATCH, 3, 4),), {"padding": ((0, 0), (1, 0), (2, 3))}),
        ((d.f(BATCH, 3, 4),), {"padding": ((0, 0), (1, 0), (2, 3)), "value": 7.5}),
        *(((d.f(BATCH, 3, 6),), {"padding": ((0, 0), (0, 0), (2, 3)), "mode": m}) for m in ("reflect", "edge", "wrap")),
        ((d.f(BATCH, 6),), {"padding": ((0, 0), (1, 2)), "mode": "reflect"}),
        ((d.i(BATCH, 3),), {"padding": ((0, 0), (0, 1)), "value": -1}),
    ],
    "concat": lambda d: [
        (([d.f(BATCH, 3), d.f(BATCH, 4)],), {"axis": -1}),
        (([d.i(2, 3), d.i(1, 3), d.i(4, 3)],), {"axis": 0}),
    ],
    "stack": lambda d: [(([d.f(BATCH, 3), d.f(BATCH, 3)],), {"axis": a}) for a in (0, -1)],
    "split": lambda d: [
        ((d.f(BATCH, 6),), {"sizes": (3, 3), "axis": -1}),
        ((d.f(BATCH, 6),), {"sizes": (1, 4, 1), "axis": 1}),
    ],
    # indexing
    "getitem": lambda d: [
        ((d.f(BATCH, 6, 4),), {"key": key})
        for key in (
            (0,),
            (FULL, None, -1),
            (FULL, (1, None, 2)),
            (FULL, (None, -1, None), (None, 2, None)),
            (FULL, (None, None, -1)),
        )
    ],
    "take": lambda d: [
        ((d.f(4, 3), d.i(BATCH, 2, low=0, high=4)), {"axis": 0}),
        ((d.f(BATCH, 3), d.i(4, low=0, high=3)), {"axis": 1}),
        ((d.f(BATCH, 3, 2), d.i(4, 2, low=0, high=3)), {"axis": -2}),
    ],
    "index": lambda d: [
        ((d.f(4, 3, 6), [d.i(BATCH, low=-4, high=4)]), {}),
        ((d.f(4, 3, 6), [d.i(BATCH, 1, low=0, high=4), d.i(2, low=-3, high=3)]), {}),
        ((d.f(BATCH, 4, 3), [None, d.i(2, 3, low=0, high=4)]), {}),
        ((d.f(4, 3, 6), [d.i(2, low=0, high=4), None, d.i(2, low=0, high=6)]), {}),
        ((d.b(4, 3), [d.i(BATCH, 1, low=0, high=4), d.i(2, low=0, high=3)]), {}),
    ],
    "at_set": lambda d: [
        ((d.f(4, 3), [np.array([2, 0]), np.array([1, -1])], d.f(2)), {}),
        ((d.f(4, 3), [np.array([2, 0])], 1.5), {}),
        ((d.f(BATCH, 4, 3), [None, np.array([2, 0])], d.f(BATCH, 2, 3)), {}),
    ],
    "at_add": lambda d: [
        ((d.f(4, 3), [np.array([2, 2, 0])], d.f(3, 3)), {}),
        ((d.f(BATCH, 4, 3), [None, np.array([2, 2])], d.f(BATCH, 2, 3)), {}),
    ],
    "from_start": lambda d: [
        ((d.i(3, low=-4, high=4, dtype="int8"), d.f(BATCH, 4)), {"axis": -1}),
        ((d.i(2, 3, low=-2, high=2), d.f(BATCH, 4)), {"axis": 0}),
        ((d.i(3, low=0, high=4, dtype="uint8"), d.f(4, 3)), {"axis": 0}),
    ],
    "take_along_axis": lambda d: [
        ((d.f(BATCH, 6), d.i(BATCH, 2, low=0, high=6)), {"axis": -1}),
        ((d.f(4, 3), d.i(2, 3, low=0, high=4)), {"axis": 0}),
        ((d.f(4, 3), d.i(2, 1, low=0, high=4)), {"axis": 0}),
    ],
    **dict.fromkeys(
        ("set_along_axis", "add_along_axis"),
        lambda d: [
            ((d.f(4, 6), d.rng.permutation(6)[None, :2].repeat(4, 0), d.f(4, 2)), {"axis": 1}),
            ((d.f(4, 6), d.rng.permutation(4)[:2, None].repeat(6, 1), d.f(1, 6)), {"axis": 0}),
        ],
    ),
    "one_hot": lambda d: (
        [((d.i(BATCH, 2, low=0, high=4),), {"num_classes": 4, "dtype": t}) for t in ("float32", "int64")]
        + [((d.i(BATCH, low=0, high=4, dtype="int32"),), {"num_classes": 4})]
    ),
    **dict.fromkeys(
        ("tril", "triu"),
        lambda d: (
            [((d.f(BATCH, 3, 4),), {"k": k}) for k in (0, 1, -1, 4, 9, -9)]
            + [((d.b(BATCH, 4),), {}), ((d.i(BATCH, 4),), {})]
        ),
    ),
    **dict.fromkeys(
        ("sort", "argsort"),
        lambda d: [
            ((d.apart(BATCH, 6),), {"axis": axis, "descending": descending})
            for axis, descending in ((-1, False), (-1, True), (0, True))
        ],
    ),
    "topk": lambda d: [((d.apart(BATCH, 6),), {"k": 3}), ((d.apart(6, BATCH),), {"k": 3, "axis": 0})],
    # creation
    "full": lambda d: [
        ((), {"shape": (BATCH, 3), "fill_value": v, "dtype": t})
        for v, t in ((0, "float32"), (1, "int64"), (2.5, "float32"), (-0.0, "float32"), (True, "bool"))
    ],
    "arange": lambda d: [
        ((), {"stop": BATCH}),
        ((), {"start": 2, "stop": 12, "step": 3, "dtype": "int32"}),
        ((), {"start": 9, "stop": 0, "step": -2}),
        ((), {"start": 0.5, "stop": 3.0, "step": 0.5, "dtype": "float32"}),
    ],
    "linspace": lambda d: [((), {"start": 0.0, "stop": 3.0, "num": 7})],
    "eye": lambda d: [((), {"n_rows": BATCH}), ((), {"n_rows": 3, "n_cols": 4, "dtype": "int32"})],
    # products
    "matmul": lambda d: [
        ((d.f(BATCH, 3), d.f(3, 4)), {}),
        ((d.f(BATCH, 1, 2, 3), d.f(4, 3, 2)), {}),
        ((d.f(BATCH, 3), d.f(3)), {}),
        ((d.f(3), d.f(3, 4)), {}),
        ((d.f(3), d.f(BATCH, 3, 4)), {}),
        ((d.f(3), d.f(3)), {}),
    ],
    "einsum": lambda d: [
        (([d.f(BATCH, 3, 4), d.f(BATCH, 2, 4)],), {"equation": "bqh,bkh->bqk"}),
        (([d.f(BATCH, 3), d.f(3, 4)],), {"equation": "...i,ij->...j"}),
        (([d.f(BATCH, 3)],), {"equation": "ij->j"}),
    ],
    "linear": lambda d: [
        ((d.f(BATCH, 2, 3), d.f(4, 3), d.f(4)), {}),
        ((d.f(BATCH, 2, 3), d.f(4, 3)), {}),
        ((d.f(BATCH, 3), d.f(4, 3), d.f(4)), {}),
        ((d.f(BATCH, 3), d.f(4, 3)), {}),
    ],
    # layers
    "stop_gradient": unary(),
    "dropout": lambda d: [((d.f(BATCH, 3),), {"rate": 0.5})],
    **layer_samples.SAMPLES,
    **standard_samples.SAMPLES,
    **nn_samples.SAMPLES,
    **loss_samples.SAMPLES,
    **class_loss_samples.SAMPLES,
    **scatter_samples.SAMPLES,
    **signal_samples.SAMPLES,
    **recurrent_samples.SAMPLES,
    **random_samples.SAMPLES,
    **factor_samples.SAMPLES,
    **special_samples.SAMPLES,
}

_BINARY = {"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "pow": "power"}
_INVERSE = ("asin", "acos", "atan", "asinh", "acosh", "atanh")


def _index(x: np.ndarray, indices: list[Any]) -> tuple[Any, ...]:
    return tuple(slice(None) if each is None else each for each in indices)


def _put(x: np.ndarray, indices: list[Any], values: Any, *, add: bool) -> np.ndarray:
    x = x.copy()
    if add:
        np.add.at(x, _index(x, indices), values)
    else:
        x[_index(x, indices)] = values
    return x


def _arg(name: str) -> Callable[..., Any]:
    return lambda x, *, axis=None, keepdims=False: getattr(np, name)(x, axis=axis, keepdims=keepdims)


def _erf(x: np.ndarray) -> np.ndarray:
    import math

    return np.vectorize(math.erf, otypes=[np.float64])(x)


ORACLES: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, other) for name, other in _BINARY.items()},
    **{name: getattr(np, f"arc{name[1:]}") for name in _INVERSE},
    **{
        name: getattr(np, name)
        for name in (
            *(
                "floor_divide",
                "remainder",
                "negative",
                "abs",
                "sign",
                "square",
                "sqrt",
                "maximum",
                "minimum",
                "ceil",
                "floor",
            ),
            *("trunc", "round", "exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
            *(
                "equal",
                "not_equal",
                "less",
                "less_equal",
                "greater",
                "greater_equal",
                "isnan",
                "isinf",
                "isfinite",
                "where",
            ),
            *("logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor"),
            *(
                "bitwise_invert",
                "bitwise_left_shift",
                "bitwise_right_shift",
                "sum",
                "prod",
                "mean",
                "max",
                "min",
                "reshape",
            ),
            *(
                "transpose",
                "broadcast_to",
                "flip",
                "roll",
                "tile",
                "repeat",
                "concat",
                "stack",
                "matmul",
                "take_along_axis",
                "eye",
            ),
        )
        if hasattr(np, name)
    },
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "atan2": np.arctan2,
    "erf": _erf,
    "astype": lambda x, *, dtype: x.astype(dtype),
    "cumulative_sum": np.cumsum,
    "cumulative_prod": np.cumprod,
    "argmax": _arg("argmax"),
    "argmin": _arg("argmin"),
    "tile": lambda x, *, repetitions: np.tile(x, repetitions),
    "split": lambda x, *, sizes, axis: tuple(np.split(x, np.cumsum(sizes[:-1]), axis=axis)),
    "getitem": lambda x, *, key: x[tuple(slice(*item) if isinstance(item, tuple) else item for item in key)],
    "index": lambda x, indices: x[_index(x, indices)],
    "at_set": lambda x, indices, values: _put(x, indices, values, add=False),
    "at_add": lambda x, indices, values: _put(x, indices, values, add=True),
    "sort": lambda x, *, axis=-1, descending=False: np.flip(np.sort(x, axis), axis) if descending else np.sort(x, axis),
    "argsort": lambda x, *, axis=-1, descending=False: np.argsort(-x if descending else x, axis),
    "topk": _topk_oracle,
    "full": lambda *, shape, fill_value, dtype: np.full(shape, fill_value, dtype),
    "arange": lambda *, start=0, stop, step=1, dtype="int64": np.arange(start, stop, step, dtype=dtype),
    "linspace": lambda *, start, stop, num: np.linspace(start, stop, num),
    "eye": lambda *, n_rows, n_cols=None, dtype="float32": np.eye(n_rows, n_cols, dtype=dtype),
    "einsum": lambda operands, *, equation: np.einsum(equation, *operands),
    "stop_gradient": lambda x: x,
    **standard_samples.ORACLES,
    **nn_samples.ORACLES,
    **loss_samples.ORACLES,
    **class_loss_samples.ORACLES,
    **scatter_samples.ORACLES,
    **signal_samples.ORACLES,
    **recurrent_samples.ORACLES,
    **random_samples.ORACLES,
    **factor_samples.ORACLES,
    **special_samples.ORACLES,
}
"""What a primitive is compared with, in float64; other operations are compared with their decomposition."""

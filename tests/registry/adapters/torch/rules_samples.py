"""Sample calls of every PyTorch operation that has a reading rule: name -> function of a `Draw` -> [(args, kwargs)].

Dtypes are given by ivyhub's names, tensors as NumPy arrays. Values lie apart, where order or a kink matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.ops_samples import Draw
from tests.registry.adapters.torch.rules_samples_more import MORE

Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]
OPEN = 9223372036854775807


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def pairs(d: Draw) -> Calls:
    """Every kind of promotion: arrays with axes, arrays without, numbers."""
    x, i, small = d.f(2, 3, low=0.5), d.i(2, 3, low=1), d.i(3, low=1, dtype="int32")
    return [
        call(x, d.f(3, low=0.5)),
        call(x, i),
        call(i, small),
        call(i, d.f(low=0.5)),
        call(x.astype("f2"), d.f(low=0.5)),
    ]


def scalars(d: Draw) -> Calls:
    return [call(d.f(2, 3, low=0.5), 2), call(d.i(2, 3, low=1), 1.5), call(d.i(2, 3, low=1), 3)]


def one(low: float = -2.0, high: float = 2.0, integers: bool = True) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        return [call(d.f(2, 3, low=low, high=high))] + ([call(d.i(3, low=1, high=2))] if integers else [])

    return draw


def apart(*args: Any, **kwargs: Any) -> Callable[[Draw], Calls]:
    return lambda d: [call(d.apart(2, 12), *args, **kwargs)]


def flags(d: Draw) -> Calls:
    return [call(d.b(2, 3), d.b(3))]


def bits(d: Draw) -> Calls:
    return [call(d.b(2, 3), d.b(3)), call(d.i(2, 3), d.i(3, dtype="int32"))]


def bit_scalar(d: Draw) -> Calls:
    return [call(d.i(2, 3), 6), call(d.b(2, 3), True)]


def reduced(d: Draw, *dims: Any) -> Calls:
    return [call(d.apart(2, 3, 4), dim, keep) for dim in dims for keep in (False, True)]


_LIKE: dict[str, Callable[[Draw], Calls]] = {
    "zeros_like": lambda d: [call(d.f(2, 3)), call(d.f(2), dtype="int64")],
    "ones_like": lambda d: [call(d.i(2, 3)), call(d.f(2), dtype="bool")],
    "full_like": lambda d: [call(d.i(2, 3), 7), call(d.f(2), 1.5)],
    "new_zeros": lambda d: [call(d.i(2), [3, 2]), call(d.i(2), [], dtype="bool")],
    "new_ones": lambda d: [call(d.f(2), [3, 2])],
    "new_full": lambda d: [call(d.f(2), [3], 2)],
}

_LOSS: dict[str, Callable[[Draw], Calls]] = {
    **dict.fromkeys(
        ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
        lambda d: [call(d.apart(3, 4), d.f(3, 4) / 64, r) for r in (0, 1, 2)],
    ),
    "binary_cross_entropy_with_logits": lambda d: [
        call(d.f(3, 4), d.f(3, 4, low=0, high=1)),
        call(d.f(3, 4), d.f(3, 4, low=0, high=1), d.f(4, low=0), d.f(4, low=0), 2),
    ],
    "cross_entropy_loss": lambda d: [
        call(d.f(4, 3), d.i(4, low=0, high=3)),
        call(d.f(4, 3, 2), np.array([[0, 1], [-100, 2], [1, -100], [2, 2]]), d.f(3, low=0.5), 1, -100, 0.1),
        call(d.f(4, 3), d.i(4, low=0, high=3), None, 2),
        call(d.f(3), d.i(low=0, high=3), None, 0),
        call(d.f(4, 3), d.f(4, 3, low=0, high=1), None, 1, -100, 0.1),
    ],
    "nll_loss": lambda d: [
        call(d.f(4, 3), d.i(4, low=0, high=3)),
        call(d.f(4, 3), d.i(4, low=0, high=3), d.f(3, low=0.5), 1, 1),
    ],
    "nll_loss_nd": lambda d: [call(d.f(4, 3, 2), d.i(4, 2, low=0, high=3), None, 0)],
    "nll_loss2d": lambda d: [call(d.f(4, 3, 2, 2), d.i(4, 2, 2, low=0, high=3))],
}


def convolutions(n: int) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        x, w = d.f(2, 4, *(7, 6, 5)[:n]), d.f(6, 2, *(3, 2, 2)[:n])
        return [call(x, w, d.f(6), [2], [1], [1], 2), call(x[0], w, None, [1] * n, [0] * n, [2] * n, 2)]

    return draw


def same_padding(n: int) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        x, w = d.f(2, 3, *(7, 6, 5)[:n]), d.f(2, 3, *(3, 2, 2)[:n])
        return [call(x, w, d.f(2), [1], p) for p in ("same", "valid")]

    return draw


def transposed(n: int) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        x, w = d.f(2, 4, *(4, 3, 3)[:n]), d.f(4, 3, *(3, 2, 2)[:n])
        return [call(x, w, d.f(6), [2], [1], [1], 2), call(x, w, None), call(x[0], w, d.f(3), [2], [0], [0], 1, [2])]

    return draw


def pools(n: int, *, average: bool) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        x = d.apart(2, 2, *(9, 8, 6)[:n])
        found = [
            call(x, 2),
            call(x[0], 3, 2, 1),
            call(x, 3, 2, 1, *(() if average else (1,)), True),
            call(x, 3, 3, 0, *(() if average else (1,)), True),
        ]
        more = [call(x, 3, 2, 1, True, False)] if average else [call(x, 2, 1, 1, 2)]
        return found + more + ([call(x, 2, 2, 0, False, True, 3)] if average and n > 1 else [])

    return draw


def attention(d: Draw) -> Calls:
    q, k, v, mask = d.f(2, 4, 5, 3), d.f(2, 4, 6, 3), d.f(2, 4, 6, 3), d.b(2, 1, 5, 6)
    mask[0, 0, 2] = False  # nothing to attend to
    return [
        *(call(q, k, v), call(q, k, v, mask), call(q, k, v, d.f(5, 6), scale=0.3), call(q, k, v, None, 0.0, True)),
        call(q, k[:, :2], v[:, :2], enable_gqa=True),
    ]


SAMPLES: dict[str, Callable[[Draw], Calls]] = {
    # one operand
    **{
        f"aten.{n}.default": one()
        for n in (
            "exp",
            "exp2",
            "expm1",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "tanh",
            "atan",
            "asinh",
            "erf",
            "sigmoid",
            "special_erf",
            "special_expit",
        )
    },
    **{f"aten.{n}.default": one(0.5, 3.0) for n in ("sqrt", "rsqrt", "reciprocal", "log", "log1p", "log2", "log10")},
    **{f"aten.{n}.default": one(-0.9, 0.9, integers=False) for n in ("tan", "asin", "acos", "atanh")},
    "aten.acosh.default": one(1.5, 3.0, integers=False),
    **{f"aten.{n}.default": one() for n in ("abs", "neg", "square", "sign", "sgn", "ceil", "floor", "trunc", "round")},
    **{
        f"aten.{n}.default": lambda d: [call(np.array([0, np.nan, np.inf, -np.inf]))]
        for n in ("isnan", "isinf", "isfinite", "nan_to_num")
    },
    **{
        f"aten.{n}.default": apart()
        for n in (
            "silu",
            "mish",
            "relu",
            "relu6",
            "selu",
            "hardswish",
            "hardsigmoid",
            "log_sigmoid",
            "frac",
            "hardshrink",
            "softshrink",
            "glu",
        )
    },
    "aten.logical_not.default": lambda d: [call(d.b(3)), call(d.i(3, low=-1, high=2))],
    "aten.bitwise_not.default": lambda d: [call(d.b(3)), call(d.i(3))],
    "aten.gelu.default": lambda d: [call(d.f(2, 3)), call(d.f(2, 3), approximate="tanh")],
    "aten.softplus.default": lambda d: [call(d.f(2, 3)), call(d.f(2, 3) * 5, 2, 3)],
    "aten.elu.default": lambda d: [call(d.apart(2, 3)), call(d.apart(2, 3), 0.5, 2.0, 3.0)],
    "aten.celu.default": apart(0.5),
    "aten.leaky_relu.default": apart(0.2),
    "aten.hardtanh.default": lambda d: [call(d.apart(2, 12)), call(d.apart(2, 12), 0, 6)],
    "aten.threshold.default": apart(0.3, 7.0),
    "aten.prelu.default": lambda d: [call(d.apart(2, 3, 4), d.f(3)), call(d.apart(2, 3), d.f(1))],
    "aten._prelu_kernel.default": lambda d: [call(d.apart(2, 3, 4), d.f(1, 3, 1))],
    "aten.softmax.int": lambda d: [call(d.f(2, 3), -1), call(d.i(2, 3), 0, "float32")],
    "aten._softmax.default": lambda d: [call(d.f(2, 3), 1, False)],
    "aten._safe_softmax.default": lambda d: [call(d.f(2, 3), 1)],
    "aten.log_softmax.int": lambda d: [call(d.f(2, 3), -1), call(d.f(2, 3).astype("f2"), 0, "float32")],
    "aten._log_softmax.default": lambda d: [call(d.f(2, 3), 1, False)],
    # two operands
    **{f"aten.{n}.Tensor": pairs for n in ("mul", "div", "true_divide", "eq", "ne", "lt", "le", "gt", "ge")},
    **{f"aten.{n}.Tensor": lambda d: [*pairs(d), call(d.i(2), d.i(2), alpha=3)] for n in ("add", "sub", "rsub")},
    **{
        f"aten.{n}.Scalar": scalars
        for n in (
            "add",
            "sub",
            "rsub",
            "mul",
            "div",
            "true_divide",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "floor_divide",
            "remainder",
            "fmod",
        )
    },
    **{
        f"aten.{n}": pairs
        for n in (
            "remainder.Tensor",
            "fmod.Tensor",
            "floor_divide.default",
            "maximum.default",
            "minimum.default",
            "max.other",
            "min.other",
        )
    },
    "aten.remainder.Scalar_Tensor": lambda d: [call(7, d.i(3, low=1))],
    **{
        f"aten.div.{n}": lambda d: (
            [call(d.i(3), 4, rounding_mode=m) for m in ("floor", "trunc")]
            + [call(d.f(3), 0.3, rounding_mode="trunc"), call(d.f(3), 2, rounding_mode=None)]
        )
        for n in ("Tensor_mode", "Scalar_mode")
    },
    "aten.pow.Tensor_Scalar": lambda d: (
        [call(d.f(2, 3, low=0.5), p) for p in (1, 2, 3.0, 0.5, -0.5, 1.7)] + [call(d.i(3), 2)]
    ),
    "aten.pow.Tensor_Tensor": lambda d: [call(x, d.i(9)) for x in (d.i(5, 1), d.f(2, 9, low=0.5))],
    "aten.pow.Scalar": lambda d: [call(2, d.f(3)), call(1.5, d.i(3)), call(-1, d.i(5))],
    "aten.atan2.default": lambda d: [call(d.f(3), d.f(3)), call(d.i(3, low=1), d.i(3, low=1))],
    **{f"aten.{n}.default": lambda d: [call(d.f(3), d.f(3))] for n in ("hypot", "logaddexp")},
    **{
        f"aten.logical_{n}.default": lambda d: [*flags(d), call(d.i(3, low=-1, high=2), d.f(3))]
        for n in ("and", "or", "xor")
    },
    **{f"aten.{p}{n}{q}.Tensor": bits for n in ("and", "or", "xor") for p, q in (("bitwise_", ""), ("__", "__"))},
    **{f"aten.{p}{n}{q}.Scalar": bit_scalar for n in ("and", "or", "xor") for p, q in (("bitwise_", ""), ("__", "__"))},
    **{
        f"aten.bitwise_{n}_shift.Tensor": lambda d: [call(d.i(3, low=0), d.i(3, low=0, high=4))]
        for n in ("left", "right")
    },
    **{f"aten.bitwise_{n}_shift.Tensor_Scalar": lambda d: [call(d.i(3, low=0), 2)] for n in ("left", "right")},
    **{f"aten.__{n}shift__.Tensor": lambda d: [call(d.i(3, low=0), d.i(3, low=0, high=4))] for n in "lr"},
    **{f"aten.__{n}shift__.Scalar": lambda d: [call(d.i(3, low=0), 2)] for n in "lr"},
    **{
        f"aten.{n}.default": lambda d: [
            call(d.f(2, 3), d.f(3), d.f(2, 3, low=0.5), value=0.5),
            call(d.f(3), d.f(3), d.f(3, low=0.5)),
        ]
        for n in ("addcmul", "addcdiv")
    },
    "aten.lerp.Scalar": lambda d: [call(d.f(3), d.f(3), 0.3)],
    "aten.lerp.Tensor": lambda d: [call(d.f(3), d.f(3), d.f(3))],
    **{
        f"aten.{n}.default": lambda d: [
            call(d.apart(2, 6), -0.2, 0.4),
            call(d.i(6), 2),
            call(d.apart(6), None, 0.3),
            call(d.i(3), 0.5),
        ]
        for n in ("clamp", "clip")
    },
    **{
        f"aten.{n}.Tensor": lambda d: [call(d.apart(2, 3), d.f(3), None), call(d.apart(2, 3), None, d.f(3))]
        for n in ("clamp", "clip")
    },
    **{f"aten.clamp_{n}.default": apart(0.3) for n in ("min", "max")},
    **{f"aten.clamp_{n}.Tensor": lambda d: [call(d.apart(2, 3), d.f(3))] for n in ("min", "max")},
    "aten.where.self": lambda d: [call(d.b(2, 3), d.f(3), d.f(2, 3)), call(d.b(3), d.i(3), d.f(3))],
    "aten.where.ScalarOther": lambda d: [call(d.b(2, 3), d.f(), -1e9), call(d.b(3), d.i(3), 2)],
    "aten.where.ScalarSelf": lambda d: [call(d.b(2, 3), 0.5, d.f(3))],
    "aten.where.Scalar": lambda d: [call(d.b(3), 0.5, 2.0), call(d.b(3), 1, 0)],
    "aten.masked_fill.Scalar": lambda d: [
        call(d.f(2, 3), d.b(3), -1e9),
        call(d.i(2, 3), d.b(2, 3), 1.0),
        call(d.b(3), d.b(3), True),
    ],
    "aten.masked_fill.Tensor": lambda d: [call(d.f(2, 3), d.b(3), d.f())],
    # dtype and identity
    **{f"aten.{n}": lambda d: [call(d.f(2, 3), "int32"), call(d.i(3), "int64")] for n in ("to.dtype",)},
    "prims.convert_element_type.default": lambda d: [call(d.f(2, 3), "int32")],
    "aten._to_copy.default": lambda d: [call(d.i(3), dtype="float32")],
    "aten.to.dtype_layout": lambda d: [call(d.i(3), dtype="bool")],
    "aten.to.device": lambda d: [call(d.f(3), "cpu", "float16")],
    "aten.to.prim_Device": lambda d: [call(d.f(3), "cpu")],
    "aten.to.other": lambda d: [call(d.f(3), d.i(2))],
    "aten.type_as.default": lambda d: [call(d.i(3), d.f(2))],
    **{
        f"aten.{n}.default": lambda d: [call(d.f(2, 3))]
        for n in ("contiguous", "clone", "alias", "lift_fresh_copy", "lift_fresh", "positive", "detach", "detach_")
    },
    # views
    **{
        f"aten.{n}.default": lambda d: [call(d.f(2, 3, 4), [-1, 4]), call(d.f(2, 3), [2, 3]), call(d.f(6), [2, -1, 3])]
        for n in ("view", "reshape", "_unsafe_view")
    },
    "aten._reshape_alias.default": lambda d: [call(d.f(2, 6), [3, 4], [4, 1])],
    **{f"aten.{n}.default": lambda d: [call(d.f(2, 6), d.f(3, 4))] for n in ("view_as", "reshape_as")},
    "aten.flatten.using_ints": lambda d: [call(d.f(2, 3, 4)), call(d.f(2, 3, 4), 1), call(d.f(2, 3, 4, 5), 1, -2)],
    "aten.ravel.default": lambda d: [call(d.f(2, 3))],
    "aten.unflatten.int": lambda d: [call(d.f(2, 12), -1, [3, -1])],
    "aten.pixel_shuffle.default": lambda d: [call(d.f(2, 8, 3, 4), 2)],
    "aten.pixel_unshuffle.default": lambda d: [call(d.f(2, 2, 6, 4), 2)],
    "aten.channel_shuffle.default": lambda d: [call(d.f(2, 6, 3, 4), 3)],
    "aten.permute.default": lambda d: [call(d.f(2, 3, 4), [2, 0, -2]), call(d.f(2, 3), [0, 1])],
    **{
        f"aten.{n}": lambda d: [call(d.f(2, 3, 4), 0, -1), call(d.f(2, 3), 1, 1)]
        for n in ("transpose.int", "swapaxes.default", "swapdims.default")
    },
    "aten.t.default": lambda d: [call(d.f(2, 3)), call(d.f(3))],
    "aten.numpy_T.default": lambda d: [call(d.f(2, 3))],
    "aten.mT.default": lambda d: [call(d.f(2, 3, 4))],
    **{f"aten.{n}.int": lambda d: [call(d.f(2, 3, 4), 0, -1)] for n in ("movedim", "moveaxis")},
    **{f"aten.{n}.intlist": lambda d: [call(d.f(2, 3, 4), [0, 1], [2, 0])] for n in ("movedim", "moveaxis")},
    "aten.unsqueeze.default": lambda d: [call(d.f(2, 3), a) for a in (0, 1, -1)],
    "aten.squeeze.default": lambda d: [call(d.f(1, 3, 1)), call(d.f(2, 3))],
    "aten.squeeze.dim": lambda d: [call(d.f(1, 3, 1), -1), call(d.f(2, 3), 0)],
    "aten.squeeze.dims": lambda d: [call(d.f(1, 3, 1), [0, 1])],
    "aten.expand.default": lambda d: [call(d.f(3, 1), [2, -1, 4]), call(d.f(2, 3), [2, 3])],
    "aten.expand_as.default": lambda d: [call(d.f(3, 1), d.f(2, 3, 4))],
    "aten.broadcast_to.default": lambda d: [call(d.f(3, 1), [2, 3, 4])],
    "aten.broadcast_tensors.default": lambda d: [call([d.f(3, 1), d.f(1, 4)])],
    "aten.meshgrid.default": lambda d: [call([d.f(3), d.f(4)])],
    "aten.meshgrid.indexing": lambda d: [call([d.f(3), d.f(4), d.f(2)], indexing=i) for i in ("ij", "xy")],
    "aten.slice.Tensor": lambda d: [
        call(d.f(4, 6), 1, 0, OPEN),
        call(d.f(4, 6), 1, 1, -1),
        call(d.f(4, 6), 0, -3, 99, 2),
        call(d.f(4), 0),
    ],
    "aten.narrow.default": lambda d: [call(d.f(4, 6), 1, 2, 3)],
    "aten.select.int": lambda d: [call(d.f(4, 6), -1, 2), call(d.f(4, 6), 0, -1)],
    "aten.unbind.int": lambda d: [call(d.f(2, 3), 1)],
    "aten.split.Tensor": lambda d: [call(d.f(2, 7), 3, 1), call(d.f(6), 2)],
    **{f"aten.{n}": lambda d: [call(d.f(2, 7), [3, 4], 1)] for n in ("split.sizes", "split_with_sizes.default")},
    "aten.chunk.default": lambda d: [call(d.f(2, 6), 3, -1), call(d.f(7), 3)],
    "aten.tensor_split.sections": lambda d: [call(d.f(2, 7), 3, 1)],
    "aten.unfold.default": lambda d: [call(d.f(2, 7), 1, 3, 2)],
    **{
        f"aten.{n}.default": lambda d: [call([d.f(2, 3), d.f(2, 1)], 1), call([d.f(0), d.f(2, 3), d.i(1, 3)])]
        for n in ("cat", "concat", "concatenate")
    },
    "aten.stack.default": lambda d: [call([d.f(2, 3), d.f(2, 3)], -1), call([d.f(2), d.i(2)])],
    **{
        f"aten.{n}.default": lambda d: [call(d.f(2, 3), [2, 1, 3]), call(d.f(1, 3), [4, 1])] for n in ("repeat", "tile")
    },
    "aten.repeat_interleave.self_int": lambda d: [call(d.f(2, 3), 2, 1), call(d.f(2, 3), 2)],
    "aten.flip.default": lambda d: [call(d.f(2, 3), [0, -1]), call(d.f(2, 3), [])],
    "aten.roll.default": lambda d: [call(d.f(2, 3), [1, -1], [0, 1]), call(d.f(2, 3), [2]), call(d.f(2, 3), [1], [1])],
    "aten.pad.default": lambda d: [
        *(
            call(d.f(2, 3, 6), [1, 2, 0, 1]),
            call(d.i(2, 3), [1, 0], "constant", 7.0),
            call(d.f(2, 3, 6), [-1, 2], "constant", None),
        ),
        *(call(d.f(2, 3, 6), [2, 1], m) for m in ("reflect", "replicate", "circular")),
        call(d.f(2, 3), [0, 0]),
    ],
    "aten.constant_pad_nd.default": lambda d: [call(d.f(2, 3), [1, 2], 1.5)],
    **{
        f"aten.{m}_pad{n}d.default": lambda d, n=n: [call(d.f(2, 3, *(5, 4, 6)[:n]), [1, 2] * n)]
        for m in ("reflection", "replication")
        for n in (1, 2, 3)
    },
    "aten.diff.default": lambda d: [call(d.i(2, 6)), call(d.f(2, 6), 2, 1, d.f(2, 1)), call(d.b(2, 6), 1, -1)],
    # indexing
    **{
        f"aten.{n}.Tensor": lambda d: [
            *(call(d.f(4, 3), [d.i(5, low=-4, high=4)]), call(d.f(4, 3, 2), [None, d.i(5, low=0, high=3)])),
            call(d.b(4, 3), [d.i(2, 1, low=0, high=4), d.i(5, low=0, high=3)]),
        ]
        for n in ("index", "_unsafe_index")
    },
    "aten.index_select.default": lambda d: [call(d.f(4, 3), 1, d.i(5, low=0, high=3))],
    "aten.gather.default": lambda d: [
        call(d.f(4, 3), 1, d.i(4, 2, low=0, high=3)),
        call(d.f(4, 3), 0, d.i(2, 2, low=0, high=4)),
    ],
    "aten.take_along_dim.default": lambda d: [
        call(d.f(4, 3), d.i(4, 2, low=-3, high=3), 1),
        call(d.f(4, 3), d.i(5, low=0, high=12)),
    ],
    "aten.scatter.src": lambda d: [call(d.f(4, 3), 1, d.rng.permutation(3)[None, :2].repeat(2, 0), d.f(4, 3))],
    "aten.scatter.value": lambda d: [call(d.f(4, 3), 0, d.i(2, 3, low=0, high=4), 1.5)],
    "aten.scatter_add.default": lambda d: [call(d.f(4, 3), 0, d.i(6, 2, low=0, high=4), d.f(6, 3))],
    **{
        f"aten.{n}.default": lambda d: [
            *(
                call(d.f(4, 3), [np.array([2, 0])], d.f(2, 3)),
                call(d.f(4, 3), [None, np.array([1, 1])], d.f(4, 2), True),
            ),
            *(call(d.f(4, 3), [np.arange(4) % 2 > 0], v, b) for b in (False, True) for v in (d.f(), d.f(2, 3), d.f(3))),
        ]
        for n in ("index_put", "_unsafe_index_put")
    },
    "aten.index_add.default": lambda d: [call(d.f(4, 3), 1, np.array([1, 1]), d.f(4, 2), alpha=0.5)],
    "aten.index_copy.default": lambda d: [call(d.f(4, 3), 0, np.array([3, 1]), d.f(2, 3))],
    "aten.index_fill.int_Scalar": lambda d: [call(d.f(4, 3), 1, np.array([2, 0]), 1.5)],
    "aten.slice_scatter.default": lambda d: [
        *(call(d.f(4, 6), d.f(4, 3), 1, 1, 4), call(d.f(4, 6), d.f(3, 6), 0, 1, OPEN), call(d.f(4, 6), d.f(4, 6))),
        *(call(d.f(4, 6), d.f(2, 6), 0, -3, -1), call(d.f(4, 6), d.f(4, 3), 1, 0, OPEN, 2)),
    ],
    "aten.select_scatter.default": lambda d: [call(d.f(4, 6), d.f(4), 1, i) for i in (0, 2, -1)],
    "aten.copy.default": lambda d: [call(d.f(4, 3), d.i(3))],
    "aten.fill.Scalar": lambda d: [call(d.i(4, 3), 2)],
    "aten.fill.Tensor": lambda d: [call(d.f(4, 3), d.i())],
    "aten.zero.default": lambda d: [call(d.i(4, 3))],
    **{
        f"aten.{n}.default": lambda d: [call(d.f(2, 3, 4)), call(d.i(3, 4), -1), call(d.b(3, 4), 1)]
        for n in ("tril", "triu")
    },
    "aten.diagonal.default": lambda d: [call(d.f(3, 4)), call(d.f(2, 3, 4), 1, -2, -1), call(d.f(3, 2, 4), -1, 0, 2)],
    "aten.one_hot.default": lambda d: [call(d.i(3, low=0, high=4), 4)],
    "aten.topk.default": lambda d: [call(d.apart(3, 6), 2), call(d.apart(3, 6), 2, 0, False)],
    "aten.sort.default": lambda d: [call(d.apart(3, 6)), call(d.apart(3, 6), 0, True)],
    "aten.sort.stable": lambda d: [call(d.apart(3, 6), stable=True)],
    "aten.argsort.default": lambda d: [call(d.apart(3, 6), 0, True)],
    "aten.argsort.stable": lambda d: [call(d.i(9, low=0, high=3), stable=True)],
    # reductions
    "aten.sum.default": lambda d: [call(d.f(2, 3)), call(d.b(3)), call(d.i(3, dtype="int32"), dtype="float32")],
    "aten.sum.dim_IntList": lambda d: [*reduced(d, [0], [0, -1], [], None), call(d.i(2, 3, dtype="int32"), [1])],
    "aten.mean.default": lambda d: [call(d.f(2, 3)), call(d.i(3), dtype="float32")],
    "aten.mean.dim": lambda d: reduced(d, [0], [0, -1], [], None),
    "aten.prod.default": lambda d: [call(d.f(2, 3)), call(d.i(3))],
    "aten.prod.dim_int": lambda d: reduced(d, 1),
    **{
        f"aten.{n}.default": lambda d: [
            call(d.f(2, 3), 1),
            call(d.b(2, 3), 0),
            call(d.i(3, dtype="int32"), 0, dtype="float32"),
        ]
        for n in ("cumsum", "cumprod")
    },
    **{f"aten.{n}.default": lambda d: [call(d.f(2, 3)), call(d.f(2, 3), False)] for n in ("var", "std")},
    **{
        f"aten.{n}.dim": lambda d: [call(d.f(2, 3, 4), [1]), call(d.f(2, 3, 4), [0, 2], False, True)]
        for n in ("var", "std")
    },
    **{
        f"aten.{n}.correction": lambda d: [
            call(d.f(2, 3, 4), [1]),
            call(d.f(2, 3, 4), None, correction=0),
            call(d.f(2, 3), [0, 1], correction=2, keepdim=True),
        ]
        for n in ("var", "std", "var_mean", "std_mean")
    },
    "aten.logsumexp.default": lambda d: [call(d.f(2, 3), [1]), call(d.f(2, 3), [0, 1], True)],
    **{f"aten.a{n}.default": lambda d: reduced(d, [0], [0, -1]) for n in ("max", "min")},
    **{f"aten.{n}.default": lambda d: [call(d.apart(2, 3))] for n in ("max", "min")},
    **{f"aten.{n}.dim": lambda d: reduced(d, 1) for n in ("max", "min")},
    **{f"aten.arg{n}.default": lambda d: [*reduced(d, 1, None)] for n in ("max", "min")},
    **{f"aten.{n}.default": lambda d: [call(d.b(2, 3)), call(d.f(3))] for n in ("any", "all")},
    **{f"aten.{n}.dim": lambda d: [call(d.b(2, 3), 1, k) for k in (False, True)] for n in ("any", "all")},
    **{f"aten.{n}.dims": lambda d: [call(d.b(2, 3, 4), [0, 2])] for n in ("any", "all")},
    "aten.count_nonzero.default": lambda d: [call(d.i(3, 4, low=0, high=2))],
    "aten.count_nonzero.dim_IntList": lambda d: [call(d.i(3, 4, low=0, high=2), [1])],
    "aten.linalg_vector_norm.default": lambda d: (
        [call(d.f(3, 4), p, [1], True) for p in (2, 1, float("inf"), -float("inf"), 3)] + [call(d.f(3, 4))]
    ),
    "aten.norm.ScalarOpt_dim": lambda d: [call(d.f(3, 4), None, [1]), call(d.f(3, 4), 0, [1], True)],
    "aten.norm.ScalarOpt_dim_dtype": lambda d: [call(d.f(3, 4).astype("f2"), 2, [1], False, dtype="float32")],
    "aten.norm.Scalar": lambda d: [call(d.f(3, 4)), call(d.f(3, 4), 1)],
    # creation
    **{f"aten.{n}": lambda d: [call([2, 3]), call([], dtype="int64")] for n in ("zeros.default", "ones.default")},
    "aten.full.default": lambda d: [call([2], 1.5), call([2], 3), call([2], True), call([2], 3, dtype="float16")],
    "aten.scalar_tensor.default": lambda d: [call(2), call(2, dtype="int64")],
    **{f"aten.{n}.default": draw for n, draw in _LIKE.items()},
    "aten.arange.default": lambda d: [call(5), call(2.5), call(4, dtype="int32")],
    "aten.arange.start": lambda d: [call(2, 7)],
    "aten.arange.start_step": lambda d: [call(2, 9, 3), call(9, 0, -2), call(1.0, 5.5, 1.5, dtype="int64")],
    "aten.linspace.default": lambda d: [call(0, 3, 7)],
    "aten.eye.default": lambda d: [call(3)],
    "aten.eye.m": lambda d: [call(3, 4)],
    # products
    "aten.mm.default": lambda d: [call(d.f(2, 3), d.f(3, 4))],
    "aten.bmm.default": lambda d: [call(d.f(2, 3, 4), d.f(2, 4, 2))],
    "aten.matmul.default": lambda d: [call(d.f(2, 3, 4), d.f(4, 2)), call(d.f(4), d.f(4))],
    "aten.mv.default": lambda d: [call(d.f(2, 3), d.f(3))],
    "aten.dot.default": lambda d: [call(d.f(3), d.f(3))],
    "aten.linear.default": lambda d: [call(d.f(2, 5, 3), d.f(4, 3), d.f(4)), call(d.f(2, 3), d.f(4, 3))],
    "aten.addmm.default": lambda d: [
        call(d.f(4), d.f(2, 3), d.f(3, 4)),
        call(d.f(2, 4), d.f(2, 3), d.f(3, 4), beta=0.5, alpha=2),
        call(d.f(4), d.f(2, 3), d.f(3, 4), beta=0),
    ],
    "aten.baddbmm.default": lambda d: [call(d.f(2, 3, 2), d.f(2, 3, 4), d.f(2, 4, 2), alpha=0.5)],
    "aten.addmv.default": lambda d: [call(d.f(2), d.f(2, 3), d.f(3))],
    "aten.einsum.default": lambda d: [
        call("bqh,bkh->bqk", [d.f(2, 3, 4), d.f(2, 5, 4)]),
        call("ij,jk", [d.f(2, 3), d.f(3, 4)]),
    ],
    **{f"aten.{n}.default": lambda d: [call(d.f(2), d.f(3))] for n in ("outer", "ger")},
    "aten.bilinear.default": lambda d: [call(d.f(2, 3), d.f(2, 4), d.f(5, 3, 4), d.f(5))],
    "aten.cosine_similarity.default": lambda d: [call(d.f(2, 3), d.f(2, 3)), call(d.f(2, 3), d.f(2, 3), 0)],
    # layers
    "aten.dropout.default": lambda d: [call(d.f(2, 3), 0.5, False), call(d.f(2, 3), 0.0, True)],
    "aten._weight_norm.default": lambda d: [call(d.f(4, 3), d.f(4, 1)), call(d.f(4, 3, 2), d.f(1, 1, 2), 2)],
    "aten.kl_div.default": lambda d: [
        call(d.f(2, 3), d.f(2, 3, low=0, high=1)),
        call(d.f(2, 3), d.f(2, 3), 2, log_target=True),
        call(d.f(3), d.f(3, low=0, high=0), 0),
    ],
    "aten.gru_cell.default": lambda d: [call(d.f(2, 3), d.f(2, 4), d.f(12, 3), d.f(12, 4), d.f(12), d.f(12))],
    "aten.lstm_cell.default": lambda d: [
        call(d.f(2, 3), [d.f(2, 4), d.f(2, 4)], d.f(16, 3), d.f(16, 4), d.f(16), d.f(16))
    ],
    **{
        f"aten.rnn_{n}_cell.default": lambda d: [call(d.f(2, 3), d.f(2, 4), d.f(4, 3), d.f(4, 4), d.f(4), d.f(4))]
        for n in ("tanh", "relu")
    },
    "aten.feature_dropout.default": lambda d: [call(d.f(2, 3), 0.5, False)],
    "aten.embedding.default": lambda d: [
        call(d.f(4, 3), d.i(2, 5, low=0, high=4)),
        call(d.f(4, 3), d.i(2, low=0, high=4), 1),
    ],
    "aten.layer_norm.default": lambda d: [
        call(d.f(2, 3, 4), [4], d.f(4), d.f(4)),
        call(d.f(2, 3, 4), [3, 4], None, None, 1e-3),
    ],
    "aten.rms_norm.default": lambda d: [call(d.f(2, 3, 4), [4], d.f(4)), call(d.f(2, 3, 4), [3, 4], None, 1e-3)],
    "aten.group_norm.default": lambda d: [call(d.f(2, 6, 3), 2, d.f(6), d.f(6)), call(d.f(2, 6, 3), 3)],
    "aten.batch_norm.default": lambda d: [
        call(d.f(2, 3, 4), d.f(3), d.f(3), d.f(3), d.f(3, low=0.5), t, 0.1, 1e-5, False) for t in (False, True)
    ],
    "aten.instance_norm.default": lambda d: [
        call(d.f(2, 3, 4), d.f(3), d.f(3), None, None, True, 0.1, 1e-5, False),
        call(d.f(2, 3, 4), None, None, d.f(3), d.f(3, low=0.5), False, 0.1, 1e-5, False),
    ],
    **{f"aten.conv{n}d.default": convolutions(n) for n in (1, 2, 3)},
    **{f"aten.conv{n}d.padding": same_padding(n) for n in (1, 2, 3)},
    **{f"aten.conv_transpose{n}d.{'default' if n == 1 else 'input'}": transposed(n) for n in (1, 2, 3)},
    "aten.convolution.default": lambda d: [
        call(d.f(2, 3, 7, 6), d.f(4, 3, 3, 2), d.f(4), [2, 1], [1, 0], [1, 1], False, [0, 0], 1),
        call(d.f(2, 3, 4, 3), d.f(3, 4, 3, 2), None, [2, 1], [1, 0], [1, 1], True, [1, 0], 1),
    ],
    **{f"aten.max_pool{n}d.default": pools(n, average=False) for n in (1, 2, 3)},
    **{f"aten.avg_pool{n}d.default": pools(n, average=True) for n in (1, 2, 3)},
    **{
        f"aten.{p}adaptive_avg_pool{n}d.default": lambda d, n=n: [
            call(d.f(2, 3, *(9, 8, 6)[:n]), [o] * n) for o in (1, 4)
        ]
        for n in (1, 2, 3)
        for p in (("", "_") if n > 1 else ("",))
    },
    **{
        f"aten.upsample_nearest{n}d.vec": lambda d, n=n: [
            call(d.f(2, 3, *(4, 3, 2)[:n]), (7, 6, 4)[:n], None),
            call(d.f(2, 3, *(4, 3, 2)[:n]), None, [2.0] * n),
        ]
        for n in (1, 2, 3)
    },
    **{
        f"aten.upsample_{m}.vec": lambda d, n=n: [
            call(d.f(2, 3, *(4, 3, 2)[:n]), (7, 6, 4)[:n], a, None) for a in (False, True)
        ]
        for m, n in (("linear1d", 1), ("bilinear2d", 2), ("trilinear3d", 3), ("bicubic2d", 2))
    },
    "aten.scaled_dot_product_attention.default": attention,
    **{f"aten.{n}.default": draw for n, draw in _LOSS.items()},
    **MORE,
}

WITHOUT_VALUES = {
    *(
        "aten.empty.memory_format",
        "aten.empty_like.default",
        "aten.new_empty.default",
    ),  # PyTorch leaves them as memory was
    *("aten._assert_tensor_metadata.default", "aten._assert_scalar.default", "aten._assert_async.msg"),  # checks only
    *("aten.sym_constrain_range.default", "aten.sym_constrain_range_for_size.default"),
}

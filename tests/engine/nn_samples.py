"""Samples of the neural-network operations, and as oracles the functions of PyTorch, JAX, Optax and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.oracles import jax_oracle, torch_oracle


def jax_nn(name: str) -> Callable[..., Any]:
    def function() -> Callable[..., Any]:
        import jax

        return getattr(jax.nn, name)

    return jax_oracle(function)


def _simplex(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """The nearest point of the simplex, by bisection: Keras 3.15 gives numbers that do not add up to 1."""
    high = x.max(axis, keepdims=True)
    low = high - 1
    for _ in range(60):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


def _places(d: Draw, size: int, count: int, *lead: int) -> np.ndarray:
    """Places below a size, none twice."""
    return np.stack([d.rng.permutation(size)[:count] for _ in range(int(np.prod(lead)))]).reshape(*lead, count)


def channels_first(oracle: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes channels on axis 1, for either place of theirs."""

    def compute(*args: Any, channel_axis: int = 1, **attributes: Any) -> Any:
        result = oracle(*(np.moveaxis(x, channel_axis, 1) for x in args), **attributes)
        several = result if isinstance(result, tuple) else (result,)
        moved = tuple(np.moveaxis(each, 1, channel_axis) for each in several)
        return moved if isinstance(result, tuple) else moved[0]

    return compute


def _fractions(d: Draw, *shape: int) -> np.ndarray:
    """Numbers from 0 to 1 away from thirds and quarters, where a window moves on."""
    return d.rng.choice([0.125, 0.29, 0.41, 0.59, 0.71, 0.875], shape) + d.f(*shape, low=-0.02, high=0.02)


def _fractional(**extra: Any) -> Callable[..., Any]:
    def compute(x: np.ndarray, samples: np.ndarray, *, channel_axis: int = 1, **attributes: Any) -> Any:
        import torch

        words = {"kernel": "kernel_size", "size": "output_size"}
        function = torch_oracle(f"nn.functional.fractional_max_pool{x.ndim - 2}d", rename=words)
        ordered = samples[..., ::-1].copy() if x.ndim == 4 else samples  # of images: width, height
        result = function(np.moveaxis(x, channel_axis, 1), _random_samples=torch.tensor(ordered), **attributes, **extra)
        return (
            tuple(np.moveaxis(each, 1, channel_axis) for each in result)
            if extra
            else (np.moveaxis(result, 1, channel_axis))
        )

    return compute


def torch_pool(name: str, **extra: Any) -> Callable[..., Any]:
    """PyTorch's pooling of that many axes."""

    def compute(x: np.ndarray, *operands: np.ndarray, **attributes: Any) -> Any:
        words = {"kernel": "kernel_size", "strides": "stride", "p": "norm_type", "size": "output_size"}
        if attributes.get("padding"):
            attributes["padding"] = tuple(before for before, _ in attributes["padding"])
        function = torch_oracle(f"nn.functional.{name}{x.ndim - 2}d", rename=words)
        for key in ("kernel", "strides") if name == "lp_pool" and x.ndim == 3 else ():
            attributes[key] = attributes[key][0]
        return function(x, *operands, **attributes, **extra)

    return channels_first(compute)


def _unpooled(x: np.ndarray, indices: np.ndarray, *, size: tuple[int, ...]) -> np.ndarray:
    result = np.zeros((*x.shape[:2], int(np.prod(size))))
    flat = (*x.shape[:2], -1)
    np.put_along_axis(result, indices.reshape(flat), x.reshape(flat), axis=2)
    return result.reshape(*x.shape[:2], *size)


def _batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    *scale: np.ndarray,
    momentum: float = 0.1,
    eps: float = 1e-5,
    unbiased: bool = True,
    channel_axis: int = 1,
) -> Any:
    """PyTorch's, which moves its buffers in place; a biased running variance is Flax's."""
    import torch

    buffers = torch.tensor(mean), torch.tensor(var)
    moved = torch.tensor(np.moveaxis(x, channel_axis, 1))
    named = dict(zip(("weight", "bias"), map(torch.tensor, scale), strict=False))
    y = torch.nn.functional.batch_norm(moved, *buffers, training=True, momentum=momentum, eps=eps, **named)
    if not unbiased:
        spread = x.var(axis=tuple(i for i in range(x.ndim) if i != channel_axis % x.ndim))
        buffers = buffers[0], torch.tensor((1 - momentum) * var + momentum * spread)
    return np.moveaxis(y.numpy(), 1, channel_axis), buffers[0].numpy(), buffers[1].numpy()


def columns(name: str) -> Callable[..., Any]:
    """PyTorch's patches of images; a line is an image of one row."""

    def compute(x: np.ndarray, *, padding: Any = None, **attributes: Any) -> Any:
        line = len(attributes["kernel"]) == 1
        if line:
            attributes = {key: (1, value[0]) for key, value in attributes.items()}
        words = {"kernel": "kernel_size", "strides": "stride", "size": "output_size"}
        function = torch_oracle(f"nn.functional.{name}", rename=words)
        if not line:
            attributes["padding"] = tuple(before for before, _ in padding or ((0, 0), (0, 0)))
            return function(x, **attributes)
        (before, after) = padding[0]
        if name == "unfold":
            return function(np.pad(x, ((0, 0), (0, 0), (before, after)))[:, :, None], **attributes)
        attributes["output_size"] = (1, attributes.pop("size")[1] + before + after)
        return function(x, **attributes)[:, :, 0, before : -after or None]

    return compute


def _grid_sample(x: np.ndarray, grid: np.ndarray, *, mode: str = "linear", **options: Any) -> Any:
    word = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[mode]
    return torch_oracle("nn.functional.grid_sample")(x, grid, mode=word, **{"align_corners": False} | options)


def kinked(*options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    """Numbers away from the kinks of activations, where frameworks differ in the derivative they choose."""
    return lambda d: [((d.apart(BATCH, 16),), each) for each in ({}, *options)]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "softplus": kinked({"beta": 2.0}, {"threshold": 1.0}, {"beta": 0.5, "threshold": 0.3}),
    "softmin": kinked({"axis": 0}),
    "sparsemax": lambda d: [((d.f(BATCH, 6),), {}), ((d.f(BATCH, 4, 3),), {"axis": 1})],
    "threshold": lambda d: [((d.apart(BATCH, 16),), {"threshold": 0.5, "value": -3.0})],
    **dict.fromkeys(("hardshrink", "softshrink"), kinked({"threshold": 1.3})),
    **dict.fromkeys(("tanhshrink", "sparse_plus", "sparse_sigmoid"), kinked()),
    "log1mexp": lambda d: [((d.f(BATCH, 16, low=0.05),), {})],
    "logmeanexp": lambda d: [
        ((d.f(BATCH, 4, 3),), each) for each in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True})
    ],
    "rrelu": kinked({"lower": 0.1, "upper": 0.5}),
    "squareplus": kinked({"b": 1.5}),
    "prelu": lambda d: [
        ((d.apart(BATCH, 3, 4), d.f(3)), {}),
        ((d.apart(BATCH, 4, 3), d.f(3)), {"channel_axis": -1}),
        ((d.apart(BATCH, 4), d.f(1)), {}),
        ((d.apart(4), d.f(1)), {}),
        ((d.apart(4), d.f()), {}),
    ],
    "glu": lambda d: [((d.f(BATCH, 6),), {}), ((d.f(BATCH, 4, 3),), {"axis": 1})],
    "standardize": lambda d: [
        ((d.f(BATCH, 6),), {}),
        ((d.f(BATCH, 4, 3),), {"axis": 1, "eps": 1e-3}),
        ((d.f(BATCH, 4, 3),), {"axis": (1, 2)}),
    ],
    "instance_norm": lambda d: [
        ((d.f(BATCH, 3, 4), d.f(3), d.f(3)), {}),
        ((d.f(BATCH, 4, 2, 3), d.f(3), d.f(3)), {"channel_axis": -1}),
        ((d.f(BATCH, 3, 2, 4),), {"eps": 1e-3}),
    ],
    "local_response_norm": lambda d: [
        ((d.f(BATCH, 6, 4) * 9,), {"size": 4}),
        ((d.f(BATCH, 6, 4, 2),), {"size": 3, "alpha": 0.3, "beta": 0.5, "k": 2.0}),
        ((d.f(BATCH, 4, 2, 6),), {"size": 3, "alpha": 0.3, "channel_axis": -1}),
        ((d.f(BATCH, 4, 2, 6),), {"size": 2, "alpha": 0.3, "channel_axis": -1}),
    ],
    "batch_norm_training": lambda d: [
        ((d.f(BATCH, 3, 4), d.f(3), d.f(3, low=0.5), d.f(3), d.f(3)), {}),
        ((d.f(BATCH, 4, 2, 3), d.f(3), d.f(3, low=0.5)), {"channel_axis": -1, "momentum": 0.3, "eps": 1e-3}),
        ((d.f(BATCH, 3), d.f(3), d.f(3, low=0.5)), {"unbiased": False}),
    ],
    "normalize": lambda d: [
        ((d.f(BATCH, 3, 4),), {}),
        ((d.f(BATCH, 3, 4),), {"p": 1.0, "axis": -1}),
        ((d.f(BATCH, 3) / 9,), {"eps": 0.5}),
    ],
    "unfold": lambda d: [
        ((d.f(BATCH, 2, 8, 7),), {"kernel": (3, 2)}),
        (
            (d.f(BATCH, 2, 8, 7),),
            {"kernel": (3, 3), "strides": (2, 1), "padding": ((1, 1), (2, 2)), "dilation": (1, 2)},
        ),
        ((d.f(BATCH, 2, 9),), {"kernel": (4,), "strides": (2,), "padding": ((0, 1),)}),
    ],
    "fold": lambda d: [
        ((d.f(BATCH, 12, 36),), {"size": (8, 7), "kernel": (3, 2)}),
        (
            (d.f(BATCH, 18, 28),),
            {"size": (8, 7), "kernel": (3, 3), "strides": (2, 1), "padding": ((1, 1), (2, 2)), "dilation": (1, 2)},
        ),
        ((d.f(BATCH, 8, 4),), {"size": (9,), "kernel": (4,), "strides": (2,), "padding": ((0, 1),)}),
    ],
    "pixel_shuffle": lambda d: [
        ((d.f(BATCH, 8, 3, 4),), {"upscale_factor": 2}),
        ((d.f(BATCH, 3, 4, 18),), {"upscale_factor": 3, "channel_axis": -1}),
    ],
    "pixel_unshuffle": lambda d: [
        ((d.f(BATCH, 2, 6, 4),), {"downscale_factor": 2}),
        ((d.f(BATCH, 6, 3, 2),), {"downscale_factor": 3, "channel_axis": -1}),
    ],
    "channel_shuffle": lambda d: [
        ((d.f(BATCH, 6, 4, 2),), {"groups": 3}),
        ((d.f(BATCH, 4, 6),), {"groups": 2, "channel_axis": -1}),
    ],
    "grid_sample": lambda d: [
        *(
            ((d.f(BATCH, 2, 4, 3), d.apart(BATCH, 2, 4, 2) / 5), {"mode": m, "padding_mode": p, "align_corners": a})
            for m in ("nearest", "linear", "cubic")
            for p in ("zeros", "border", "reflection")
            for a in (False, True)
        ),
        ((d.f(BATCH, 2, 4, 3, 6), d.f(BATCH, 2, 2, 3, 3)), {}),
    ],
    "affine_grid": lambda d: [
        *(((d.f(BATCH, 2, 3),), {"size": (4, 3), "align_corners": a}) for a in (False, True)),
        ((d.f(BATCH, 3, 4),), {"size": (2, 4, 3), "align_corners": True}),
    ],
    "max_pool_with_indices": lambda d: [
        ((d.apart(BATCH, 2, 9),), {"kernel": (3,), "strides": (2,), "dilation": (2,)}),
        ((d.apart(BATCH, 2, 8, 7),), {"kernel": (3, 2), "padding": ((1, 1), (0, 0)), "ceil_mode": True}),
        ((d.apart(2, 2, 4, 4, 4),), {"kernel": (2, 2, 2)}),
        ((d.apart(BATCH, 8, 7, 2),), {"kernel": (3, 2), "strides": (2, 2), "channel_axis": -1}),
    ],
    "adaptive_max_pool_with_indices": lambda d: [
        ((d.apart(BATCH, 2, 9),), {"size": (4,)}),
        ((d.apart(BATCH, 2, 8, 6),), {"size": (1, 4)}),
        ((d.apart(2, 2, 4, 4, 4),), {"size": (3, 1, 2)}),
        ((d.apart(BATCH, 8, 6, 2),), {"size": (3, 6), "channel_axis": -1}),
    ],
    **dict.fromkeys(
        ("fractional_max_pool", "fractional_max_pool_with_indices"),
        lambda d: [
            ((d.apart(BATCH, 2, 8, 7), _fractions(d, BATCH, 2, 2)), {"kernel": (2, 3), "size": (4, 3)}),
            ((d.apart(2, 2, 6, 6, 6), _fractions(d, 2, 2, 3)), {"kernel": (2, 2, 2), "size": (3, 4, 1)}),
            ((d.apart(3, 8, 6, 2), _fractions(d, 3, 2, 2)), {"kernel": (2, 2), "size": (3, 5), "channel_axis": -1}),
        ],
    ),
    "max_unpool": lambda d: [
        ((d.f(BATCH, 2, 3), _places(d, 9, 3, BATCH, 2)), {"size": (9,)}),
        ((d.f(BATCH, 2, 2, 2), _places(d, 12, 4, BATCH, 2).reshape(BATCH, 2, 2, 2)), {"size": (4, 3)}),
        (
            (d.f(2, 2, 2, 3), np.moveaxis(_places(d, 12, 4, 2, 3).reshape(2, 3, 2, 2), 1, -1)),
            {"size": (4, 3), "channel_axis": -1},
        ),
    ],
    "lp_pool": lambda d: [
        ((d.f(BATCH, 2, 9, low=0.5),), {"p": 2.0, "kernel": (3,), "strides": (2,)}),
        ((d.f(BATCH, 2, 8, 7, low=0.5),), {"p": 3.0, "kernel": (3, 2), "ceil_mode": True}),
        ((d.f(BATCH, 2, 4, 4, 4, low=0.5),), {"p": 1.0, "kernel": (2, 2, 2)}),
        ((d.f(BATCH, 8, 7, 2, low=0.5),), {"p": 2.0, "kernel": (3, 2), "channel_axis": -1}),
    ],
    "adaptive_max_pool": lambda d: [
        ((d.apart(BATCH, 2, 9),), {"size": (4,)}),
        ((d.apart(BATCH, 2, 8, 6),), {"size": (1, 3)}),
        ((d.apart(2, 2, 4, 4, 4),), {"size": (1, 1, 1)}),
        ((d.apart(BATCH, 8, 6, 2),), {"size": (2, 6), "channel_axis": -1}),
    ],
}

ORACLES: dict[str, Callable[..., Any]] = {
    **{
        name: torch_oracle(f"nn.functional.{name}", rename={"threshold": "lambd"})
        for name in ("hardshrink", "softshrink")
    },
    **{name: torch_oracle(f"nn.functional.{name}") for name in ("softplus", "threshold", "tanhshrink", "rrelu")},
    **{name: torch_oracle(f"nn.functional.{name}", rename={"axis": "dim"}) for name in ("glu",)},
    "softmin": lambda x, *, axis=-1: torch_oracle("nn.functional.softmin")(x, dim=axis),
    "prelu": lambda x, weight, *, channel_axis=1: np.moveaxis(
        torch_oracle("nn.functional.prelu")(np.moveaxis(x, channel_axis, 1) if x.ndim > 1 else x, weight),
        *(1, channel_axis) if x.ndim > 1 else (0, 0),
    ),
    **{name: jax_nn(name) for name in ("squareplus", "sparse_plus", "sparse_sigmoid", "log1mexp", "logmeanexp")},
    "standardize": lambda x, *, axis=-1, eps=1e-5: jax_nn("standardize")(x, axis=axis, epsilon=eps),
    "sparsemax": _simplex,
    "grid_sample": _grid_sample,
    "affine_grid": lambda theta, *, size, align_corners: torch_oracle("nn.functional.affine_grid")(
        theta, [len(theta), 1, *size], align_corners=align_corners
    ),
    "instance_norm": lambda x, weight=None, bias=None, *, eps=1e-5, channel_axis=1: channels_first(
        lambda x, **named: torch_oracle("nn.functional.instance_norm")(x, None, None, weight, bias, **named)
    )(x, eps=eps, channel_axis=channel_axis),
    "local_response_norm": channels_first(torch_oracle("nn.functional.local_response_norm")),
    "batch_norm_training": _batch_norm,
    "normalize": torch_oracle("nn.functional.normalize", rename={"axis": "dim"}),
    "unfold": columns("unfold"),
    "fold": columns("fold"),
    **{name: channels_first(torch_oracle(f"nn.functional.{name}")) for name in ("pixel_shuffle", "pixel_unshuffle")},
    "channel_shuffle": channels_first(torch_oracle("channel_shuffle")),
    "max_pool_with_indices": torch_pool("max_pool", return_indices=True),
    "max_unpool": channels_first(_unpooled),
    "lp_pool": torch_pool("lp_pool"),
    "adaptive_max_pool_with_indices": torch_pool("adaptive_max_pool", return_indices=True),
    "fractional_max_pool": _fractional(),
    "fractional_max_pool_with_indices": _fractional(return_indices=True),
    "adaptive_max_pool": torch_pool("adaptive_max_pool"),
}
"""What a primitive is compared with, in float64."""

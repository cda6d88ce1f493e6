"""Samples of the losses of classes, rankings and embeddings; the oracles are Optax's and Keras' functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.loss_samples import REDUCTIONS, elementwise, labels, of_optax, of_signs, reduce_to
from tests.engine.oracles import jax_oracle, keras_oracle, torch_oracle


def of_classes(*options: dict[str, Any], low: float | None = None) -> Callable[[Draw], list[Sample]]:
    """Scores that no sum reorders (or probabilities) and classes."""

    def draw(d: Draw) -> list[Sample]:
        x = d.apart(BATCH, 4) * 0.77 if low is None else d.f(BATCH, 4, low=low, high=0.9)
        target = d.i(BATCH, low=0, high=4)
        return [((x, target), each) for each in (*REDUCTIONS, *options)] + [((x, target.astype(np.int32)), {})]

    return draw


def shares(d: Draw, *shape: int) -> np.ndarray:
    """Numbers that add up to 1 along the last axis."""
    found = d.f(*shape, low=0.1, high=0.9)
    return found / found.sum(-1, keepdims=True)


def of_shares(*options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    return lambda d: [((d.f(BATCH, 3, 4), shares(d, BATCH, 3, 4)), each) for each in (*REDUCTIONS, *options)]


def ranking(d: Draw) -> list[Sample]:
    x, target, weight = d.f(BATCH, 4), shares(d, BATCH, 4), d.f(BATCH, 4, low=0.5)
    mask = d.b(BATCH, 4) | (np.arange(4) == 1)
    mask[2] = False  # a list of no items
    return [
        *(((x, target), each) for each in REDUCTIONS),
        *(((x, target, mask), each) for each in REDUCTIONS),
        ((x, target, mask, weight), {}),
        ((x, target, None, weight), {}),
    ]


def embeddings(d: Draw, *options: dict[str, Any]) -> list[Sample]:
    x = d.rng.normal(size=(BATCH, 6))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return [((x, np.array([3, 1, 3, 1, 0])), each) for each in options]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "perceptron_loss": of_signs(),
    "sparsemax_loss": lambda d: [((d.apart(BATCH, 4), labels(d, BATCH, 4)), each) for each in REDUCTIONS],
    "multiclass_perceptron_loss": of_classes(),
    "multiclass_hinge_loss": of_classes(),
    "multiclass_sparsemax_loss": of_classes(),
    "generalized_cross_entropy": of_classes({"q": 0.3}, low=0.1),
    "poly_cross_entropy": of_shares({"eps": 0.5}),
    "categorical_focal_loss": of_shares({"alpha": 0.5, "gamma": 1.5}),
    "generalized_kl_div": lambda d: [
        ((d.f(BATCH, 3), d.f(BATCH, 3, low=0.1) * labels(d, BATCH, 3)), each) for each in REDUCTIONS
    ],
    "ranking_softmax_loss": ranking,
    "generalized_dice_loss": lambda d: (
        [
            ((shares(d, 3, 2, 4, 3), np.eye(3)[d.rng.permutation(24) % 3].reshape(3, 2, 4, 3)), each)
            for each in ({}, {"smooth": 0.3})
        ]
        + [((shares(d, 6, 3), np.eye(3)[d.rng.permutation(6) % 3]), {})]
    ),
    "ntxent_loss": lambda d: embeddings(d, {}, {"temperature": 0.5}),
    "circle_loss": lambda d: embeddings(d, *({"gamma": 4.0} | each for each in REDUCTIONS), {"margin": 0.25}),
    "pdist": lambda d: (
        [((d.apart(6, 4),), {"p": p}) for p in (2.0, 1.0, 3.0)]
        + [((d.f(6, 4),), {"p": float("inf")}), ((d.f(1, 3),), {})]
    ),
}


def _optax(name: str, **fixed: Any) -> Callable[..., Any]:
    def function() -> Callable[..., Any]:
        import functools

        import optax

        return functools.partial(getattr(optax.losses, name), **fixed)

    return jax_oracle(function)


def _ranking(x: np.ndarray, target: np.ndarray, *operands: Any, reduction: str = "mean") -> Any:
    mask, weight = (*operands, None, None)[:2]
    loss = _optax("ranking_softmax_loss", reduce_fn=None)(x, target, where=mask, weights=weight)
    if mask is None:
        return reduce_to(reduction)(loss)
    some = mask.any(-1)
    loss = np.where(some, loss, 0)  # Optax gives nan for a list of no items where it does not reduce
    return loss.sum() / some.sum() if reduction == "mean" else reduce_to(reduction)(loss)


def _dice(x: np.ndarray, target: np.ndarray, **options: Any) -> Any:
    return _optax("multiclass_generalized_dice_loss")(np.log(x), target, **options)  # the softmax of logarithms


ORACLES: dict[str, Callable[..., Any]] = {
    **{
        name: of_optax(name)
        for name in (
            *("perceptron_loss", "sparsemax_loss", "multiclass_perceptron_loss", "multiclass_hinge_loss"),
            "multiclass_sparsemax_loss",
        )
    },
    "generalized_cross_entropy": lambda x, target, *, q=0.7, reduction="mean": reduce_to(reduction)(
        keras_oracle("losses.categorical_generalized_cross_entropy", q=q)(target, x)
    ),
    "poly_cross_entropy": lambda x, target, *, eps=2.0, reduction="mean": reduce_to(reduction)(
        _optax("poly_loss_cross_entropy")(x, target, epsilon=eps)
    ),
    "categorical_focal_loss": elementwise(keras_oracle("losses.categorical_focal_crossentropy", from_logits=True)),
    "generalized_kl_div": of_optax("generalized_kl_divergence"),
    "ranking_softmax_loss": _ranking,
    "generalized_dice_loss": _dice,
    "ntxent_loss": _optax("ntxent"),
    "circle_loss": lambda x, target, *, reduction="mean", **options: reduce_to(reduction)(
        keras_oracle("losses.circle")(target, x, **options)
    ),
    "pdist": torch_oracle("nn.functional.pdist"),
}
"""What a loss is compared with, in float64."""

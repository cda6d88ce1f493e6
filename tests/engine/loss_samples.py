"""Samples of the losses. Oracles: PyTorch's own function where it has one, else that of Optax or Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.oracles import jax_oracle, keras_oracle, torch_oracle

REDUCTIONS = tuple({"reduction": word} for word in ("none", "mean", "sum"))


def pair(*options: dict[str, Any], low: float = -2.0, high: float = 2.0) -> Callable[[Draw], list[Sample]]:
    """Two arrays whose difference is away from the kinks at 0 and 1."""

    def draw(d: Draw) -> list[Sample]:
        x = d.f(BATCH, 3, low=low, high=high)
        away = x + np.where(d.b(BATCH, 3), 1, -1) * np.where(d.b(BATCH, 3), d.f(BATCH, 3, low=0.1, high=0.4), 1.6)
        return [((x, np.abs(away) if low > 0 else away), each) for each in (*REDUCTIONS, *options)]

    return draw


def chances(d: Draw, *shape: int) -> np.ndarray:
    return d.f(*shape, low=0.1, high=0.9)


def labels(d: Draw, *shape: int) -> np.ndarray:
    return d.b(*shape).astype(np.float64)


def signs(d: Draw, *shape: int) -> np.ndarray:
    return 2 * labels(d, *shape) - 1


def of_signs(*options: dict[str, Any]) -> Callable[[Draw], list[Sample]]:
    return lambda d: [((d.apart(BATCH, 4), signs(d, BATCH, 4)), each) for each in (*REDUCTIONS, *options)]


def classes(d: Draw, *, probabilities: bool) -> list[Sample]:
    def indices(*shape: int) -> np.ndarray:
        return d.i(*shape, low=0, high=3)

    def logarithms(*shape: int) -> np.ndarray:
        return d.f(*shape, low=-4.0, high=-0.1)

    x, target, weight = logarithms(BATCH, 3), indices(BATCH), d.f(3, low=0.5)
    target[0] = 1
    samples: list[Sample] = [
        *(((x, target), each) for each in REDUCTIONS),
        *(((x, target, weight), each | {"ignore_index": 1}) for each in REDUCTIONS if each["reduction"] == "none"),
        ((x, np.where(target == 0, -100, target), weight), {}),
        ((logarithms(BATCH, 3, 4), indices(BATCH, 4), weight), {"reduction": "none"}),
        ((logarithms(BATCH, 3, 4), indices(BATCH, 4).astype(np.int32)), {}),
        ((logarithms(3), indices()), {}),
    ]
    if probabilities:
        samples += [
            *(((x, target, weight), each | {"label_smoothing": 0.3}) for each in REDUCTIONS),
            ((x, np.where(np.arange(BATCH) == 1, -100, target)), {"label_smoothing": 0.3}),
            *(((x, chances(d, BATCH, 3)), each | {"label_smoothing": s}) for each in REDUCTIONS for s in (0.0, 0.3)),
            ((logarithms(BATCH, 3, 4), chances(d, BATCH, 3, 4), weight), {}),
            ((logarithms(3), chances(d, 3)), {}),
        ]
    return samples


def alignment(d: Draw) -> list[Sample]:
    targets = d.i(BATCH, 3, low=1, high=4)
    targets[0] = 2  # one label thrice needs blanks between
    targets[1, 2:] = -1
    targets[2, 1:] = 0
    operands = (d.f(8, BATCH, 4), targets, np.array([8, 6, 7, 5, 8]), np.array([3, 2, 1, 2, 0]))
    last = np.where(targets < 0, 3, targets - 1)
    short = (operands[0], targets, np.array([2, 6, 7, 5, 8]), operands[3])  # the first has no alignment
    return [
        *((operands, each) for each in REDUCTIONS),
        ((operands[0], last, *operands[2:]), {"blank": 3}),
        (short, {"zero_infinity": True, "reduction": "none"}),
    ]


def weighted_focal(d: Draw) -> list[Sample]:
    operands = d.f(BATCH, 3) * 3, labels(d, BATCH, 3)
    return [(operands, each) for each in (*REDUCTIONS, {"alpha": 0.3}, {"gamma": 1.5})]


def regions(d: Draw, *options: dict[str, Any]) -> list[Sample]:
    operands = chances(d, BATCH, 4, 3), labels(d, BATCH, 4, 3)
    return [(operands, each) for each in ({}, {"axis": 1}, {"axis": (1, 2)}, *options)]


def multilabel(d: Draw) -> list[Sample]:
    target = np.stack([d.rng.permutation(4) for _ in range(BATCH)])
    target[0, 2:] = -1, 3
    target[1, 0] = -1
    x = d.apart(BATCH, 4) * 1.01  # no difference is 1, where the gradient has a kink
    return [((x, target), each) for each in REDUCTIONS] + [((x[0], target[0]), {})]


def multi_margin(d: Draw) -> list[Sample]:
    x, target = d.apart(BATCH, 4) * 0.77, d.i(BATCH, low=0, high=4)
    return [
        *(((x, target), each) for each in REDUCTIONS),
        ((x, target, d.f(4, low=0.5)), {"p": 2, "margin": 0.7}),
        ((x[0], target[0]), {}),
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    **dict.fromkeys(("mse_loss", "l1_loss", "log_cosh_loss"), pair()),
    "huber_loss": pair({"delta": 0.7}),
    "smooth_l1_loss": pair({"beta": 0.7}, {"beta": 0.0}),
    **dict.fromkeys(("mean_absolute_percentage_error", "mean_squared_logarithmic_error"), pair(low=0.5)),
    "poisson_nll_loss": pair(
        {"log_input": False}, {"full": True}, {"full": True, "log_input": False}, low=2.0, high=5.0
    ),
    "gaussian_nll_loss": lambda d: [
        ((d.f(BATCH, 3), d.f(BATCH, 3), d.f(BATCH, 3, low=0.1)), each)
        for each in (*REDUCTIONS, {"full": True}, {"eps": 0.5})
    ],
    "kl_div": lambda d: [
        *(((d.f(BATCH, 3), chances(d, BATCH, 3) * labels(d, BATCH, 3)), each) for each in REDUCTIONS),
        ((d.f(BATCH, 3), d.f(BATCH, 3)), {"log_target": True}),
        ((d.f(BATCH, 3), chances(d, BATCH, 3)), {"reduction": "batchmean"}),
    ],
    "nll_loss": lambda d: classes(d, probabilities=False),
    "cross_entropy": lambda d: classes(d, probabilities=True),
    "binary_cross_entropy": lambda d: [
        *(((chances(d, BATCH, 3), chances(d, BATCH, 3)), each) for each in REDUCTIONS),
        ((chances(d, BATCH, 3), labels(d, BATCH, 3), d.f(3, low=0.1)), {}),
    ],
    "binary_cross_entropy_with_logits": lambda d: [
        *(((d.f(BATCH, 3) * 9, chances(d, BATCH, 3)), each) for each in REDUCTIONS),
        ((d.f(BATCH, 3), labels(d, BATCH, 3), d.f(BATCH, 1, low=0.1), d.f(3, low=0.1)), {}),
        ((d.f(BATCH, 3), labels(d, BATCH, 3), None, d.f(3, low=0.1)), {"reduction": "sum"}),
    ],
    "sigmoid_focal_loss": weighted_focal,
    "tversky_loss": lambda d: regions(d, {"alpha": 0.3, "beta": 0.7}),
    "dice_loss": regions,
    "ctc_loss": alignment,
    "cosine_similarity": lambda d: [
        ((d.f(BATCH, 3, 4), d.f(BATCH, 3, 4)), {}),
        ((d.f(BATCH, 3, 4), d.f(BATCH, 3, 1)), {"axis": -1, "eps": 0.5}),
        ((d.f(BATCH, 3) / 9, d.f(BATCH, 3)), {"axis": -1, "eps": 0.5}),
    ],
    "pairwise_distance": lambda d: [
        *(((d.apart(BATCH, 4), d.f(BATCH, 4)), {"p": p}) for p in (1.0, 2.0, 3.0, float("inf"))),
        ((d.f(BATCH, 4), d.f(BATCH, 4)), {"eps": 0.1, "keepdims": True}),
    ],
    **dict.fromkeys(("hinge_loss", "squared_hinge_loss", "soft_margin_loss"), of_signs()),
    "hinge_embedding_loss": of_signs({"margin": 0.25}),
    "categorical_hinge_loss": lambda d: [
        ((d.apart(BATCH, 4) * 1.01, np.eye(4)[d.i(BATCH, low=0, high=4)]), each) for each in REDUCTIONS
    ],
    "margin_ranking_loss": lambda d: [
        ((d.apart(BATCH), d.apart(BATCH) * 0.77, signs(d, BATCH)), each) for each in (*REDUCTIONS, {"margin": 0.3})
    ],
    "cosine_embedding_loss": lambda d: [
        *(((d.f(BATCH, 3), d.f(BATCH, 3), signs(d, BATCH)), each) for each in (*REDUCTIONS, {"margin": 0.3})),
        ((d.f(3), d.f(3), np.asarray(1.0)), {}),
    ],
    "triplet_margin_loss": lambda d: [
        ((d.f(BATCH, 3), d.f(BATCH, 3), d.f(BATCH, 3)), each)
        for each in (*REDUCTIONS, {"swap": True, "margin": 9.0}, {"p": 3.0, "eps": 0.1}, {"p": 1.0})
    ],
    "multi_margin_loss": multi_margin,
    "multilabel_margin_loss": multilabel,
    "multilabel_soft_margin_loss": lambda d: [
        *(((d.f(BATCH, 3), labels(d, BATCH, 3)), each) for each in REDUCTIONS),
        ((d.f(BATCH, 3), labels(d, BATCH, 3), d.f(3)), {}),
    ],
}


def reduce_to(word: str) -> Callable[[Any], Any]:
    """What a reduction does."""
    return {"none": lambda x: x, "mean": np.mean, "sum": np.sum}[word]


def elementwise(loss: Callable[..., Any]) -> Callable[..., Any]:
    """A loss of the other libraries, which take the target first and leave the reduction to the caller."""
    return lambda x, target, *, reduction="mean", **options: reduce_to(reduction)(loss(target, x, **options))


def of_keras(name: str) -> Callable[..., Any]:
    """Keras averages over the last axis: here over one that is added, of one element."""
    loss = keras_oracle(f"losses.{name}")
    return elementwise(lambda target, x: loss(target[..., None], x[..., None]))


def of_optax(name: str) -> Callable[..., Any]:
    def function() -> Callable[..., Any]:
        import optax

        return getattr(optax.losses, name)

    loss = jax_oracle(function)
    return elementwise(lambda target, x, **options: loss(x, target, **options))


def in_torch(name: str, *named: str) -> Callable[..., Any]:
    return torch_oracle(f"nn.functional.{name}", named=named)


def _ctc(logits: np.ndarray, *operands: np.ndarray, **options: Any) -> Any:
    import torch

    return in_torch("ctc_loss")(torch.log_softmax(torch.tensor(logits), -1).numpy(), *operands, **options)


def _kl_div(x: np.ndarray, target: np.ndarray, *, reduction: str = "mean", **options: Any) -> Any:
    """PyTorch warns at "mean" that it is no divergence."""
    if reduction == "mean":
        return in_torch("kl_div")(x, target, reduction="none", **options).mean()
    return in_torch("kl_div")(x, target, reduction=reduction, **options)


ORACLES: dict[str, Callable[..., Any]] = {
    **{
        name: in_torch(name)
        for name in (
            *("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "poisson_nll_loss", "gaussian_nll_loss"),
            *("nll_loss", "cross_entropy", "soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss"),
            *("cosine_embedding_loss", "triplet_margin_loss", "multilabel_margin_loss", "binary_cross_entropy"),
            "multilabel_soft_margin_loss",
        )
    },
    "binary_cross_entropy_with_logits": in_torch("binary_cross_entropy_with_logits", "weight", "pos_weight"),
    "multi_margin_loss": in_torch("multi_margin_loss", "weight"),
    "cosine_similarity": torch_oracle("nn.functional.cosine_similarity", rename={"axis": "dim"}),
    "pairwise_distance": torch_oracle("nn.functional.pairwise_distance", rename={"keepdims": "keepdim"}),
    "ctc_loss": _ctc,
    "kl_div": _kl_div,
    "log_cosh_loss": of_optax("log_cosh"),
    "sigmoid_focal_loss": of_optax("sigmoid_focal_loss"),
    "mean_absolute_percentage_error": of_keras("mean_absolute_percentage_error"),
    "mean_squared_logarithmic_error": of_keras("mean_squared_logarithmic_error"),
    "hinge_loss": of_keras("hinge"),
    "squared_hinge_loss": of_keras("squared_hinge"),
    "categorical_hinge_loss": elementwise(keras_oracle("losses.categorical_hinge")),
    "dice_loss": lambda x, target, **options: keras_oracle("losses.dice")(target, x, **options),
    "tversky_loss": lambda x, target, *, alpha=0.5, beta=0.5, axis=None: keras_oracle("losses.tversky")(
        target, x, alpha=beta, beta=alpha, axis=axis
    ),
}
"""What a loss is compared with, in float64."""

CONSTANT = {
    "nll_loss": (2,),
    "cross_entropy": (2,),
    "binary_cross_entropy": (2,),
    "binary_cross_entropy_with_logits": (2, 3),
    "kl_div": (1,),
    "generalized_kl_div": (1,),
    "soft_margin_loss": (1,),
    "multi_margin_loss": (2,),
}
"""Operands, by position, for which PyTorch has no derivative."""

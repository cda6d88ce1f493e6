"""EagerPy's methods on `Array`: each is there, and gives what EagerPy gives on NumPy."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import Array, jit, random
from ivyhub.errors import DTypeError, NoLoweringError, ShapeError
from tests.arrays import assert_close

eagerpy = pytest.importorskip("eagerpy")

Case = Callable[[Any], Any]
NAMES = sorted(name for name in dir(eagerpy.Tensor) if not name.startswith("_"))

# x has the shape (2, 3, 4) and different elements between 0.1 and 0.9.
UNARY: dict[str, Case] = {  # functions of NumPy by the same names, at these arguments
    **dict.fromkeys(("arccos", "arcsin", "arcsinh", "arctan", "arctanh", "cos", "cosh", "sin", "sinh"), lambda x: x),
    **dict.fromkeys(("exp", "isnan", "log", "log10", "log1p", "log2", "sqrt", "square", "tan", "tanh"), lambda x: x),
    **dict.fromkeys(("abs", "ceil", "floor", "round", "sign"), lambda x: x * 9 - 4.4),
    "arccosh": lambda x: x + 1,
    "logical_not": lambda x: x > 0.5,
}
ELEMENTWISE: dict[str, Case] = {
    "bool": lambda x: (x > 0.5).float32().bool(),
    "clip": lambda x: x.clip(0.3, 0.7),
    "isinf": lambda x: (x > 0.5).where(x, math.inf).isinf(),
    "logical_and": lambda x: (x > 0.3).logical_and(x < 0.7),
    "logical_or": lambda x: (x < 0.3).logical_or(x > 0.7),
    "maximum": lambda x: x.maximum(0.5),
    "minimum": lambda x: x.minimum(1 - x),
    "pow": lambda x: x.pow(2.5),
    "where": lambda x: (x > 0.5).where(x, -x),
}
REDUCTIONS: dict[str, Case] = {
    **{
        name: lambda x, name=name: (getattr(x, name)(), getattr(x, name)(1), getattr(x, name)((0, 2), keepdims=True))
        for name in ("max", "mean", "min", "prod", "sum")
    },
    "all": lambda x: ((x > 0).all(), (x > 0.5).all(axis=0), (x > 0.5).all((0, 1), True)),
    "any": lambda x: ((x > 1).any(), (x > 0.5).any(axis=0), (x > 0.5).any((0, 1), True)),
    "argmax": lambda x: (x.argmax(), x.argmax(1)),
    "argmin": lambda x: (x.argmin(), x.argmin(axis=-1)),
    "argsort": lambda x: (x.argsort(), x.argsort(0)),
    "crossentropy": lambda x: x[0].crossentropy(x[0].argmin(axis=1)),
    "cumsum": lambda x: (x.cumsum(), x.cumsum(1)),
    "log_softmax": lambda x: (x.log_softmax(), x.log_softmax(axis=0)),
    "norms": lambda x: [
        *(norm(axis=(0, 2)) for norm in (x.norms.l0, x.norms.l1, x.norms.l2, x.norms.linf)),
        x.norms.lp(3),
    ],
    "softmax": lambda x: (x.softmax(), x.softmax(1)),
    "sort": lambda x: (x.sort(), x.sort(axis=1)),
    "topk": lambda x: x.topk(2),
}
SHAPES: dict[str, Case] = {
    "T": lambda x: x[0].T,
    "expand_dims": lambda x: (x.expand_dims(1), x.expand_dims(axis=-1)),
    "flatten": lambda x: (x.flatten(), x.flatten(1), x.flatten(end=-2)),
    "flip": lambda x: (x.flip(), x.flip(1), x.flip((0, 2))),
    "index_update": lambda x: (x.index_update(1, 0.5), x.index_update(eagerpy.index[:, 1], x[:, 0]), x),
    "meshgrid": lambda x: (*x[0, 0].meshgrid(x[0, :, 0]), *x[0, 0].meshgrid(x[0, :, 0], indexing="ij")),
    "ndim": lambda x: x.ndim,
    "pad": lambda x: (
        x.pad(((0, 0), (1, 0), (2, 1)), value=3),
        x[None].pad(((0, 0), (0, 0), (1, 1), (2, 1)), "reflect"),
    ),
    "reshape": lambda x: (x.reshape((4, -1)), x.reshape(-1)),
    "shape": lambda x: x.shape,
    "squeeze": lambda x: (x[:1].squeeze(), x[:, :1].squeeze(1), x[:1, :, :1].squeeze((0, 2))),
    "take_along_axis": lambda x: x.take_along_axis(x.argsort(), -1),
    "tile": lambda x: x.tile((1, 2, 3)),
    "transpose": lambda x: (x.transpose(), x.transpose((1, 2, 0))),
}
OTHERS: dict[str, Case] = {
    "arange": lambda x: (x.arange(4), x.arange(2, 5), x.arange(4, 8, 2)),
    "astype": lambda x: (x * 9).astype((x > 0).dtype),
    "dtype": lambda x: (x > 0.5).astype(x.dtype),
    "float32": lambda x: (x > 0.5).float32(),
    "float64": lambda x: (x > 0.5).float64(),
    "from_numpy": lambda x: x.from_numpy(np.arange(6).reshape(2, 3)),
    "full": lambda x: (x.full(3, 2.0), x.full((2, 3), -1.5)),
    "full_like": lambda x: x.full_like(3),
    "item": lambda x: x[0, 0, 0].item(),
    "matmul": lambda x: x[0].matmul(x[1].T),
    "numpy": lambda x: x.numpy(),
    "ones": lambda x: (x.ones(3), x.ones((2, 3))),
    "ones_like": lambda x: x.ones_like(),
    "onehot_like": lambda x: x[0].onehot_like(x[0].argmax(axis=1), value=2),
    "raw": lambda x: np.asarray(x.raw),
    "slogdet": lambda x: regular(x).slogdet(),
    "zeros": lambda x: (x.zeros(3), x.zeros((2, 3))),
    "zeros_like": lambda x: x.zeros_like(),
}


def regular(x: Any) -> Any:
    """A matrix far from a singular one."""
    return x[0, :, :3] + x.from_numpy(2 * np.eye(3, dtype="float32"))


CASES = {**ELEMENTWISE, **REDUCTIONS, **SHAPES, **OTHERS}
UNTRACED = ("from_numpy", "item", "numpy", "raw")  # they leave the framework
DRAWN = ("normal", "uniform")
GRADIENTS = ("value_and_grad", "value_aux_and_grad")


@pytest.fixture
def x(framework: str, rng: np.random.Generator) -> Array:
    host = 0.1 + 0.8 * (rng.permutation(24) + rng.uniform(0.2, 0.8, 24)) / 24
    for kink in (0.3, 0.5, 0.7, *((4.4 + k / 2) / 9 for k in range(-8, 9))):  # nothing is near one of the cases' own
        host[np.abs(host - kink) < 0.002] += 0.005
    return importlib.import_module(f"ivyhub.engine.xp.{framework}").asarray(host.astype(np.float32).reshape(2, 3, 4))


def numbers(result: Any) -> list[Any]:
    results = result if isinstance(result, tuple | list) else (result,)
    return [np.asarray(each.numpy() if hasattr(each, "numpy") else each) for each in results]


def test_every_method_is_there() -> None:
    assert {name for name in NAMES if not hasattr(Array, name)} == set()
    assert {*NAMES} <= {*UNARY, *CASES, *DRAWN, *GRADIENTS, "inv"}


def test_what_they_give(x: Array) -> None:
    def ours(x: Array) -> dict[str, Any]:
        found = {name: case(x) for name, case in CASES.items() if name not in UNTRACED}
        return found | {name: getattr(argument(x), name)() for name, argument in UNARY.items()}

    theirs = eagerpy.astensor(np.asarray(x).copy())
    # JAX compiles each operation by itself, which takes half a minute; together they take two seconds.
    results = (jit(ours) if x.framework == "jax" else ours)(x)
    for name, case in CASES.items():
        result = case(x) if name in UNTRACED else results[name]
        for found, expected in zip(numbers(result), numbers(case(theirs)), strict=True):
            assert found.shape == expected.shape, name
            # float32, up to four operations one after the other: sums of 24 numbers, an inverse of a 3 by 3 matrix.
            assert_close(found, expected, 1e-5, name)
    for name, argument in UNARY.items():
        host = argument(np.asarray(x))
        # float32, one function; tangents and logarithms of numbers near their zeros lose the most.
        assert_close(results[name], getattr(np, name)(host), 1e-5, name)
    matrix = regular(x)
    assert_close(matrix.inv(), np.linalg.inv(np.asarray(matrix)), 1e-4)


def test_methods_are_named_and_documented() -> None:
    for name in NAMES:
        method = getattr(Array, name)
        assert method.__doc__, name
        if isinstance(method, FunctionType):
            assert method.__name__ == name


def test_draws(x: Array) -> None:
    drawn = x.uniform((1000,), low=2, high=3)
    assert drawn.framework == x.framework
    assert (drawn >= 2).all()
    assert (drawn < 3).all()
    assert x.normal(5).shape == (5,)
    assert not (x.uniform(64) == x.uniform(64)).all()  # two draws of 64 numbers agree once in 2 to the 1472
    key = random.key(7, x.framework)
    assert (x.normal((2, 3), key=key) == x.normal((2, 3), key=Array(key))).all()


def test_gradients(x: Array) -> None:
    if x.framework == "numpy":
        with pytest.raises(NoLoweringError, match="gradients"):
            x.value_and_grad(lambda x: x.square().sum())
        return
    value, gradient = x.value_and_grad(lambda x, factor: (x.square() * factor).sum(), 3)
    assert abs(value.item() - 3 * x.square().sum().item()) < 1e-3  # a sum of 24 numbers below 1, in float32
    assert (gradient == 6 * x).all()
    value, (aux, other), gradient = x.value_aux_and_grad(lambda x: (x.sum(), (x.square(), x + 1)))
    assert (gradient == 1).all()
    assert (aux == x.square()).all()
    assert (other == x + 1).all()


def test_numpy_is_for_reading_and_formats(x: Array) -> None:
    assert not x.numpy().flags.writeable
    assert f"{x.zeros(()) + 2.5:.2f}" == "2.50"
    assert f"{x}" == str(x)


def test_means_of_integers_are_no_integers(x: Array) -> None:
    assert x.arange(4).mean().item() == 1.5
    assert (x.arange(4) < 1).mean().item() == 0.25


def test_lists_and_ranges_choose(x: Array) -> None:
    np.testing.assert_array_equal(np.asarray(x[[1, 0]]), np.asarray(x)[[1, 0]])
    np.testing.assert_array_equal(np.asarray(x[0, range(2), range(2)]), np.asarray(x)[0, range(2), range(2)])
    assert x[[]].shape == (0, 3, 4)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        (lambda x: x.crossentropy(x.arange(2)), ShapeError),
        (lambda x: x[0].crossentropy(x[0, :, 0]), DTypeError),
        (lambda x: x[0].onehot_like(x.arange(2)), ShapeError),
        (lambda x: x.pad(((0, 0), (1, 1))), ShapeError),
        (lambda x: x.pad(((0, 0), (1, 1, 1), (0, 0))), ShapeError),
        (lambda x: x.pad(((0, 0), (1, 1), (0, 0)), mode="mirror"), ShapeError),
        (lambda x: x.squeeze(1), ShapeError),
    ],
)
def test_bad_input(case: Case, error: type[Exception], x: Array) -> None:
    with pytest.raises(error, match=r"expected .* received"):
        case(x)

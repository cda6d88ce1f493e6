"""Random numbers: those of ``jax.random`` in every framework, and the moments of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops, random
from ivyhub.engine.backends import dtype_name, framework_of
from ivyhub.engine.compilation import jit
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.engine.transforms import grad, vmap
from ivyhub.errors import DTypeError, EngineError, ShapeError
from tests.arrays import DTYPE_NARROW, as_numpy, assert_close, native

# What PyTorch imports for Inductor and jvp warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
SHAPE = (40, 7)
P = np.array([0.1, 0.2, 0.3, 0.4], np.float32)

Draws = dict[str, tuple[Callable[[Any, str], Any], Callable[[Any], Any]]]


def draws() -> Draws:
    """Each distribution here and in ``jax.random``."""
    import jax

    r = jax.random
    return {
        "uniform": (lambda k, f: random.uniform(k, SHAPE, low=-1.0), lambda k: r.uniform(k, SHAPE, minval=-1.0)),
        "half": (
            lambda k, f: ops.astype(random.uniform(k, SHAPE, dtype="float16"), dtype="float32"),
            lambda k: r.uniform(k, SHAPE, "float16"),
        ),
        "normal": (lambda k, f: random.normal(k, SHAPE), lambda k: r.normal(k, SHAPE)),
        "truncated_normal": (
            lambda k, f: random.truncated_normal(k, -1.0, 2.0, SHAPE),
            lambda k: r.truncated_normal(k, -1.0, 2.0, SHAPE),
        ),
        "exponential": (lambda k, f: random.exponential(k, SHAPE), lambda k: r.exponential(k, SHAPE)),
        "gumbel": (lambda k, f: random.gumbel(k, SHAPE), lambda k: r.gumbel(k, SHAPE)),
        "laplace": (lambda k, f: random.laplace(k, SHAPE), lambda k: r.laplace(k, SHAPE)),
        "bernoulli": (lambda k, f: random.bernoulli(k, 0.3, SHAPE), lambda k: r.bernoulli(k, 0.3, SHAPE)),
        "categorical": (
            lambda k, f: random.categorical(k, native(f, np.log(P)), shape=(100,)),
            lambda k: r.categorical(k, np.log(P), shape=(100,)),
        ),
        "categorical of a batch": (
            lambda k, f: random.categorical(k, native(f, np.outer(P, P)), axis=0),
            lambda k: r.categorical(k, np.outer(P, P), axis=0),
        ),
        "randint": (lambda k, f: random.randint(k, SHAPE, low=-5, high=9), lambda k: r.randint(k, SHAPE, -5, 9)),
        "permutation": (lambda k, f: random.permutation(k, 3000), lambda k: r.permutation(k, 3000)),
        "shuffle": (lambda k, f: random.shuffle(k, native(f, P)), lambda k: r.permutation(k, P)),
        "choice": (lambda k, f: random.choice(k, 9, (3, 2)), lambda k: r.choice(k, 9, (3, 2))),
        "choice without replacement": (
            lambda k, f: random.choice(k, 9, (3, 2), replace=False),
            lambda k: r.choice(k, 9, (3, 2), replace=False),
        ),
    }


def test_a_key_gives_the_numbers_of_jax(framework: str, rng: np.random.Generator) -> None:
    import jax

    seed = int(rng.integers(0, 2**32))
    key, typed = random.key(seed, framework), jax.random.wrap_key_data(np.array([0, seed], np.uint32))
    for name, (ours, theirs) in draws().items():
        found, wanted = as_numpy(ours(key, framework)), np.asarray(theirs(typed))
        assert found.shape == wanted.shape, name
        if wanted.dtype.kind == "f":
            # erfinv, log and log1p are each library's own: some units in the last place of numbers below 20.
            assert_close(found, wanted, 2e-4, name)
        else:
            np.testing.assert_array_equal(found, wanted, err_msg=name)


def test_double_precision_uses_all_its_digits(rng: np.random.Generator) -> None:
    import jax

    data = rng.integers(0, 2**32, 2).astype(np.uint32)
    with jax.enable_x64(True):
        wanted = np.asarray(jax.random.uniform(jax.random.wrap_key_data(data), (50,), "float64"))
    for framework in ("numpy", "torch", "tensorflow"):
        found = as_numpy(random.uniform(native(framework, data), (50,), dtype="float64"))
        np.testing.assert_array_equal(found, wanted)


MOMENTS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "gamma 2.5": (lambda k: random.gamma(k, 2.5, (20000,)), 2.5, 2.5),
    "gamma 0.3": (lambda k: random.gamma(k, 0.3, (20000,)), 0.3, 0.3),
    "beta": (lambda k: random.beta(k, 2.0, 3.0, (20000,)), 0.4, 0.04),
    "poisson 3": (lambda k: random.poisson(k, 3.0, (20000,)), 3.0, 3.0),
    "poisson 50": (lambda k: random.poisson(k, 50.0, (20000,)), 50.0, 50.0),
    "normal": (lambda k: random.normal(k, (20000,), mean=3.0, std=2.0), 3.0, 4.0),
    "exponential": (lambda k: random.exponential(k, (20000,), rate=4.0), 0.25, 0.0625),
    "dropout": (lambda k: random.dropout(k, ops.multiply(random.uniform(k, (20000,)), 0.0) + 1.0, rate=0.2), 1.0, 0.25),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name: str, rng: np.random.Generator) -> None:
    """Of 20000 numbers: five standard errors of the mean, and the variance to a tenth."""
    draw, mean, variance = MOMENTS[name]
    found = draw(random.key(int(rng.integers(0, 2**32)), "numpy")).astype(np.float64)
    assert abs(found.mean() - mean) < 5 * (variance / found.size) ** 0.5
    assert abs(found.var() / variance - 1) < 0.1


@pytest.mark.parametrize("rate", [4.0, 30.0])
def test_poisson_has_its_distribution(rate: float, rng: np.random.Generator) -> None:
    """Oracle: NumPy's generator; the largest distance of the distribution functions, at a level of about 1e-6."""
    found = random.poisson(random.key(int(rng.integers(0, 2**32)), "numpy"), rate, (20000,))
    wanted = rng.poisson(rate, 20000)
    steps = np.arange(200)
    distance = np.abs((found[:, None] <= steps).mean(0) - (wanted[:, None] <= steps).mean(0)).max()
    assert distance < 2.7 * (2 / 20000) ** 0.5


def test_a_draw_at_its_limit_divides_by_nothing() -> None:
    """One of the numbers that this key draws is the least there is, for which Poisson's rejection divided by zero."""
    with np.errstate(divide="raise", invalid="raise"):
        assert random.poisson(random.key(1741303083, "numpy"), 30.0, (20000,)).min() >= 0


def test_frameworks_agree_on_what_is_not_jaxs(rng: np.random.Generator) -> None:
    seed = int(rng.integers(0, 2**32))
    alpha = np.array([0.5, 2.0, 30.0], np.float32)
    for draw in (
        lambda k, f: random.gamma(k, native(f, alpha)),
        lambda k, f: random.dirichlet(k, native(f, alpha), (4,)),
        lambda k, f: random.poisson(k, native(f, alpha), (50, 3)),
        lambda k, f: random.choice(k, native(f, alpha), (2,), p=native(f, alpha / alpha.sum()), replace=False),
    ):
        wanted, *others = (as_numpy(draw(random.key(seed, f), f)) for f in ("numpy", "torch", "jax", "tensorflow"))
        for found in others:
            assert_close(found, wanted, 1e-3)  # as above, through a quotient and a power


@pytest.mark.parametrize(
    "framework",
    # PyTorch's compiler takes half a minute for the hundreds of operations of these hashes.
    [pytest.param("torch", marks=pytest.mark.slow), "jax", "tensorflow", "numpy"],
    indirect=True,
)
def test_compiled_numbers_are_the_same(framework: str, rng: np.random.Generator) -> None:
    key = random.key(int(rng.integers(0, 2**32)), framework)

    def draw(key: Any) -> Any:
        return random.normal(random.split(key)[1], (5,))

    found = jit(draw)(key)
    assert_close(found, draw(key), 1e-5)
    assert framework_of(found) == framework


@pytest.mark.sweep  # PyTorch's compiler takes a minute for the hundreds of operations of each of these hashes
def test_compiled_permutations_are_the_same(framework: str, rng: np.random.Generator) -> None:
    key = random.key(int(rng.integers(0, 2**32)), framework)

    def draw(key: Any) -> Any:
        return random.permutation(random.fold_in(key, 3), 20)

    assert_close(jit(draw)(key), draw(key), 0)


def test_keys_may_be_mapped_over(framework: str) -> None:
    keys = ops.random_split(random.key(3, framework), num=4)
    found = as_numpy(vmap(lambda key: random.uniform(key, (3,)))(keys))
    np.testing.assert_array_equal(found, np.stack([as_numpy(random.uniform(keys[i], (3,))) for i in range(4)]))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint16", "uint32", "uint64"])
def test_an_array_has_the_key_of_its_number(dtype: str, framework: str, rng: np.random.Generator) -> None:
    limits = np.iinfo(DTYPE_NARROW.get(dtype, dtype) if framework == "jax" else dtype)  # as wide as JAX's by default
    for seed in (limits.min, limits.max, rng.integers(limits.min, limits.max, dtype=limits.dtype)):
        found = as_numpy(random.key(native(framework, np.asarray(seed, dtype))))
        np.testing.assert_array_equal(found, random.key(int(seed), "numpy"))


def test_samples_have_gradients_of_their_parameters() -> None:
    import torch

    key = random.key(5, "torch")
    slope = grad(lambda std: ops.sum(random.normal(key, (100,), std=std)))(torch.tensor(2.0))
    assert_close(slope, as_numpy(random.normal(key, (100,))).sum(), 1e-4)


def test_bad_input(framework: str) -> None:
    key = random.key(0, framework)
    with pytest.raises(DTypeError, match=r"random_uniform: expected a key, uint32\[2\]"):
        random.uniform(native(framework, np.zeros(3, np.float32)), (2,))
    for draw in (random.uniform, random.normal, random.laplace):
        with pytest.raises(DTypeError, match="expected float16, bfloat16"):
            draw(key, (2,), dtype="int32")
    with pytest.raises(DTypeError, match="low < high, received 3 and 3"):
        random.randint(key, low=3, high=3)
    with pytest.raises(ShapeError, match="at most 3 draws"):
        random.choice(key, 3, (4,), replace=False)
    with pytest.raises(EngineError, match="rate from 0 to 1"):
        random.dropout(key, native(framework, np.ones(3)), rate=1.5)
    assert dtype_name(random.bits(key, (2,)).dtype) == "uint32"
    for seed in (np.ones(2, np.int32), np.asarray(1.0)):
        with pytest.raises(DTypeError, match="an integer without axes as the seed"):
            random.key(native(framework, seed))
    with pytest.raises(EngineError, match="needs a framework"):
        random.key(3)


def test_what_needs_the_value_of_a_size_says_so() -> None:
    for draw in (
        lambda key, x: random.permutation(key, x.shape[0]),
        lambda key, x: random.shuffle(key, x),
        lambda key, x: random.choice(key, x.shape[0], (2,)),
        lambda key, x: random.randint(key, (2,), high=x.shape[0]),
        lambda key, x: random.split(key, x.shape[0]),
    ):
        with pytest.raises(ShapeError, match="the size n is symbolic"):
            trace(lambda x, draw=draw: draw(random.key(1), x), Spec(("n", 3)))

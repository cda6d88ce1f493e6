"""JAX's own cases of its primitives in PyTorch and TensorFlow: each converts and agrees, or is refused.

`make sweep` runs this; IVYHUB_HARNESS=n takes every n-th case of each group.
"""

from __future__ import annotations

import collections
import os
import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.internal_test_util import test_harnesses

import ivyhub
from ivyhub.errors import IvyhubError
from ivyhub.registry.adapters.torch.hub import to_torch
from ivyhub.registry.adapters.torch.trees import to_numpy
from tests.registry.adapters.jax_source.judging import named

#: The part of the cases that is to agree.
GOAL = 0.95
# By the bits of a dtype: sums are taken in another order, and kernels of special functions differ by some hundred
# units in the last place.
TOLERANCES = {"bfloat16": 3e-2, "float16": 4e-3, "float32": 2e-4, "complex64": 2e-4}
# Results that are defined up to a sign, a phase or an order: their size is compared.
UNSIGNED = ("eig", "eigh", "qr", "approx_top_k")


def harnesses() -> list[Any]:
    """Every n-th case of each group."""
    step = int(os.environ.get("IVYHUB_HARNESS", "1"))
    groups: dict[str, list[Any]] = collections.defaultdict(list)
    for harness in test_harnesses.all_harnesses:
        if harness.filter("cpu"):
            groups[harness.group_name].append(harness)
    return [harness for group in groups.values() for harness in group[::step]]


def plain(array: Any) -> np.ndarray:
    """An array as NumPy's, a key as its data."""
    keyed = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if keyed else array)


def _with_plain_nans(array: jax.Array) -> jax.Array:
    """An array whose NaN have no sign, which is no part of their meaning (IEEE 754-2019, 6.3).

    JAX's top_k orders by it, -NaN behind all numbers; other frameworks do not, and results here do not keep it.
    """
    if not jnp.issubdtype(array.dtype, jnp.floating) or not np.isnan(array).any():
        return array
    return jnp.where(jnp.isnan(array), jnp.asarray(np.nan, array.dtype), array)


def judged(harness: Any, target: str, rng: np.random.RandomState) -> tuple[str, str]:
    """ "agrees", "refused", "WRONG" or "none" (JAX refuses it itself), and why."""
    args = [_with_plain_nans(jnp.asarray(array)) for array in harness.dyn_args_maker(rng)]
    try:
        wanted = [plain(leaf) for leaf in jax.tree.leaves(harness.dyn_fun(*args))]
    except Exception as error:
        return "none", f"JAX refuses: {type(error).__name__}"
    try:
        native = ivyhub.transpile(named(harness.dyn_fun, len(args)), to=target, args=tuple(args))
    except IvyhubError as error:
        return "refused", f"{type(error).__name__}: {error.message.splitlines()[0]}"
    except Exception as error:  # no refusal, which has a name
        return "WRONG", f"{type(error).__name__}: {error}"
    try:
        found = run(native, target, [plain(array) for array in args])
    except Exception as error:  # a kernel that the framework lacks for the dtype: it says so itself
        return "refused", f"{target} refuses: {type(error).__name__}: {str(error).splitlines()[0][:120]}"
    if harness.group_name == "cholesky":  # the primitive leaves what stands above the diagonal as it was
        wanted, found = ([_squared(array) for array in each] for each in ([np.tril(a) for a in wanted], found))
    if harness.group_name == "svd" and len(wanted) == len(found) == 3:
        wanted, found = _recomposed(*wanted), _recomposed(*found)
    if harness.group_name == "lu":  # the largest of complex numbers is that by the sum of their parts, or by their size
        wanted, found = [plain(args[0])] * 2, [product(*found), product(*wanted)]
    values = harness.group_name not in UNSIGNED and harness.params.get("is_stable", True)
    fault = difference(wanted, found, values=values)
    return ("WRONG", fault) if fault else ("agrees", "")


def run(native: Any, target: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    if target == "torch":
        found = native(*map(to_torch, arrays))
        return [to_numpy(leaf.resolve_conj()) for leaf in jax.tree.leaves(found)]
    import tensorflow as tf

    return [np.asarray(leaf.numpy()) for leaf in tf.nest.flatten(native(*map(tf.constant, arrays)))]


def difference(wanted: list[np.ndarray], found: list[np.ndarray], *, values: bool) -> str:
    if len(wanted) != len(found):
        return f"{len(found)} results, expected {len(wanted)}"
    for a, b in zip(wanted, found, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"{b.dtype}{list(b.shape)}, expected {a.dtype}{list(a.shape)}"
        tolerance = TOLERANCES.get(a.dtype.name)
        if tolerance is None:
            same = np.asarray(a == b) if values else np.ones(a.shape, bool)
        else:
            kind = np.complex128 if a.dtype.kind == "c" else np.float64
            a, b = a.astype(kind), b.astype(kind)
            if not values:
                a, b = np.sort(np.abs(a), axis=None), np.sort(np.abs(b), axis=None)
            scale = max(1.0, float(np.max(np.abs(a), initial=0, where=np.isfinite(a))))
            with np.errstate(all="ignore"):
                same = np.asarray(np.isclose(b, a, rtol=tolerance, atol=tolerance * min(scale, 1e3), equal_nan=True))
        if not same.all():
            return f"{b[~same][:3]}, expected {a[~same][:3]}"
    return ""


def _squared(lower: np.ndarray) -> np.ndarray:
    """The matrix that was factorised: a factor of one that is nearly singular moves more than float32 can tell."""
    return lower @ np.swapaxes(lower, -1, -2).conj()


def _recomposed(s: np.ndarray, u: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """What is unique of a decomposition: the values, the matrix itself, and that the vectors are orthonormal.

    Vectors behind the last value are any that complete a basis.
    """
    count = s.shape[-1]
    whole = (u[..., :count] * s[..., None, :].astype(u.dtype)) @ v[..., :count, :]
    return [s, whole, _squared(np.swapaxes(u, -1, -2).conj()), _squared(v)]


def product(lu: np.ndarray, pivots: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The matrix that was factorised."""
    size = min(lu.shape[-2:])
    lower = np.tril(lu[..., :size], -1) + np.eye(lu.shape[-2], size, dtype=lu.dtype)
    return np.take_along_axis(lower @ np.triu(lu[..., :size, :]), np.argsort(order, -1)[..., None], -2)


@pytest.mark.sweep
@pytest.mark.parametrize("target", ["torch", "tensorflow"])
def test_every_case_converts_and_agrees_or_is_refused(target: str, rng: np.random.Generator) -> None:
    draws = np.random.RandomState(int(rng.integers(2**31)))
    count: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    wrong = []
    for harness in harnesses():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            verdict, why = judged(harness, target, draws)
        count[verdict] += 1
        if verdict == "refused":
            reasons[f"{harness.group_name}: {why}"] += 1
        if verdict == "WRONG":
            wrong.append(f"{harness.fullname}: {why}")
            sys.stderr.write(f"WRONG {wrong[-1]}\n")
    table = "".join(f"{number:5}  {reason}\n" for reason, number in reasons.most_common())
    sys.stderr.write(f"{target}: {dict(count)}\n{table}")
    assert not wrong
    cases = count["agrees"] + count["refused"]
    assert count["agrees"] >= GOAL * cases, f"{count['agrees']} of {cases} cases agree; the goal is {GOAL:.0%}"

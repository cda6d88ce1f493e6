"""TensorLy on `Array`, in every framework, against TensorLy's own NumPy backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import Array

tensorly = pytest.importorskip("tensorly")
from tensorly import tenalg
from tensorly.backend import BackendManager
from tensorly.decomposition import parafac, tucker

from ivyhub.engine.interop.tensorly import register

Case = Callable[[Any, Any, Any], Any]
_UNARY = ("abs", "arcsin", "log2", "sign")
_REDUCTIONS = ("all", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "prod", "sum")

# x and y are matrices of (4, 3) and (3, 3) with different elements, about 0.8 on the diagonal and below 0.3 elsewhere.
CASES: dict[str, Case] = {
    **{name: lambda tl, x, y, name=name: getattr(tl, name)(x) for name in _UNARY},
    **{name: lambda tl, x, y, name=name: [getattr(tl, name)(x), getattr(tl, name)(x, axis=1)] for name in _REDUCTIONS},
    "arange": lambda tl, x, y: [tl.arange(4), tl.arange(1, 9, 3)],
    "argsort": lambda tl, x, y: [tl.argsort(x, axis=0), tl.argsort(x, axis=-1)],
    "clip": lambda tl, x, y: [tl.clip(x, 0.4, 0.6), tl.clip(x, a_min=0.5)],
    "concatenate": lambda tl, x, y: [tl.concatenate([x, y]), tl.concatenate((x, x), axis=1)],
    "cumsum": lambda tl, x, y: [tl.cumsum(x), tl.cumsum(x, axis=1)],
    "digamma": lambda tl, x, y: tl.digamma(x + 1),
    "diag": lambda tl, x, y: [tl.diag(y), tl.diag(y[0]), tl.diag(y[0], k=1), tl.diag(y[0], k=-2)],
    "diag of what is not finite": lambda tl, x, y: tl.diag(y[0] * float("inf")),
    "dot": lambda tl, x, y: [tl.dot(x, y), tl.dot(x, y[0]), tl.dot(y[0], y[1]), tl.dot(x, 2.0)],
    "einsum": lambda tl, x, y: [tl.einsum("ij,jk", x, y), tl.einsum("ij,kj->ik", y, x)],
    "eye": lambda tl, x, y: tl.eye(3, **tl.context(x)),
    "flip": lambda tl, x, y: [tl.flip(x), tl.flip(x, axis=1)],
    "index_update": lambda tl, x, y: tl.index_update(tl.copy(x), tl.index[1:3, 0], 0.5),
    "kron": lambda tl, x, y: tl.kron(x, y),
    "logsumexp": lambda tl, x, y: tl.logsumexp(x, axis=0),
    "lstsq": lambda tl, x, y: [*tl.lstsq(x, x[:, 0] ** 2)[:2], tl.lstsq(y, y[0])[0]],
    "matmul": lambda tl, x, y: tl.matmul(x, y),
    "maximum": lambda tl, x, y: [tl.maximum(x, 0.5), tl.minimum(y, 0.5)],
    "moveaxis": lambda tl, x, y: tl.moveaxis(x, 0, 1),
    "norm": lambda tl, x, y: [tl.norm(x), tl.norm(x, 1), tl.norm(x, 2, axis=1), tl.norm(x, 3), tl.norm(x, "inf")],
    "reshape": lambda tl, x, y: [tl.reshape(x, (2, -1)), tl.reshape(x, -1)],
    "shape": lambda tl, x, y: [*tl.shape(x), tl.ndim(x)],
    "solve": lambda tl, x, y: [tl.solve(y, y[0]), tl.solve(y, tl.transpose(x))],
    "sort": lambda tl, x, y: [tl.sort(x, axis=0), tl.sort(x, axis=None)],
    "stack": lambda tl, x, y: tl.stack([x, x], axis=1),
    "tensordot": lambda tl, x, y: [tl.tensordot(x, y, axes=1), tl.tensordot(x, y, axes=([1], [0]))],
    "trace": lambda tl, x, y: tl.trace(y),
    "transpose": lambda tl, x, y: [tl.transpose(x), tl.transpose(x[None], (2, 0, 1))],
    "where": lambda tl, x, y: tl.where(x > 0.5, x, 0.0),
    "zeros": lambda tl, x, y: [tl.zeros((2, 3)), tl.ones(3, dtype=tl.float32), tl.zeros_like(x)],
    "eigh": lambda tl, x, y: tl.eigh(y + tl.transpose(y))[0],
    "svd": lambda tl, x, y: tl.svd(x, full_matrices=False)[1],
    "qr": lambda tl, x, y: tl.abs(tl.qr(x)[1]),
    "khatri_rao": lambda tl, x, y: tenalg.khatri_rao([x, y]),
    "multi_mode_dot": lambda tl, x, y: tenalg.multi_mode_dot(tl.ones((3, 3, 2)), [x, y], modes=[0, 1]),
}


@pytest.fixture
def backend(framework: str) -> Iterator[str]:
    assert register() == register()
    before = tensorly.get_backend()
    yield f"ivyhub.{framework}"
    tensorly.set_backend(before)


def numbers(result: Any) -> list[np.ndarray]:
    return [tensorly.to_numpy(each) for each in (result if isinstance(result, list) else [result])]


def test_functions(backend: str, framework: str, rng: np.random.Generator) -> None:
    host = 0.1 + 0.8 * (rng.permutation(21) + rng.uniform(0.2, 0.8, 21)) / 21
    x, y = host[:12].reshape(4, 3), host[12:].reshape(3, 3) + 2 * np.eye(3)
    x[:3] += 2 * np.eye(3)
    for name, case in CASES.items():
        tensorly.set_backend("numpy")
        expected = numbers(case(tensorly, x / 3, y / 3))
        tensorly.set_backend(backend)
        result = case(tensorly, tensorly.tensor((x / 3).astype("float32")), tensorly.tensor((y / 3).astype("float32")))
        leaves = [each for each in (result if isinstance(result, list) else [result]) if not isinstance(each, int)]
        assert all(type(each) is Array and each.framework == framework for each in leaves), name
        for found, oracle in zip(numbers(result), expected, strict=True):
            assert found.shape == oracle.shape, name
            # float32 against float64; solutions and factors of matrices whose condition is below 20.
            np.testing.assert_allclose(found, oracle, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_decompositions(backend: str, rng: np.random.Generator) -> None:
    tensorly.set_backend(backend)
    factors = [tensorly.tensor(rng.uniform(0.5, 1.5, (size, 1)).astype("float32")) for size in (3, 4, 2)]
    x = tensorly.cp_to_tensor((None, factors))  # of rank 1, which both find in a step
    cp = parafac(x, rank=1, n_iter_max=10, init="svd")
    np.testing.assert_allclose(tensorly.cp_to_tensor(cp), x, rtol=1e-3)
    core, parts = tucker(x, rank=[1, 1, 1], n_iter_max=10)
    np.testing.assert_allclose(tensorly.tucker_to_tensor((core, parts)), x, rtol=1e-3)


def test_every_function_is_there(backend: str) -> None:
    tensorly.set_backend(backend)
    missing = {"partial_svd", "kr"}  # TensorLy itself has given them up
    for name in BackendManager._functions:
        function = getattr(BackendManager.current_backend(), name)
        owner = getattr(function, "__qualname__", "").partition(".")[0]
        derived = name in ("check_random_state", "eps", "finfo", "gamma", "index", "norm", "randn", *missing)
        derived = derived or name in ("acos", "acosh", "asin", "asinh", "atan", "atanh")
        assert (owner == "Backend") == derived, name


def test_tensors_of_other_libraries(backend: str, framework: str) -> None:
    tensorly.set_backend(backend)
    dtypes = BackendManager.current_backend()  # tensorly.float32 is that of the backend at TensorLy's import
    x = tensorly.tensor([[1, 2], [3, 4]], dtype=dtypes.float32)
    assert tensorly.is_tensor(x)
    assert not tensorly.is_tensor(x.native)
    assert tensorly.tensor(x.native).framework == framework
    assert tensorly.tensor(Array(np.ones(2))).framework == framework
    assert tensorly.zeros(2, dtype=float).dtype == dtypes.float64 or framework == "jax"  # in JAX's x64 mode alone
    np.testing.assert_array_equal(np.float64(2) - x * np.float32(0.5), [[1.5, 1], [0.5, 0]])
    changed = tensorly.copy(x)
    changed[0] = 0
    assert x[0, 0].item() == 1
    host = tensorly.to_numpy(x)
    host[0] = 0
    assert x[0, 0].item() == 1

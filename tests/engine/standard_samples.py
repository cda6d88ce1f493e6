"""Samples of what the Array API Standard adds: parts of numbers, Fourier transforms, matrices, sorted vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ivyhub.engine import ops
from tests.engine.draw import BATCH, Draw, Sample


def spectrum(d: Draw) -> list[Sample]:
    x = d.c(BATCH, 4, 6)
    return [((x,), {}), ((x,), {"axis": 1}), ((x,), {"n": 4, "norm": "ortho"}), ((x,), {"n": 9, "norm": "forward"})]


def signal(d: Draw) -> list[Sample]:
    return [((x.real,), options) for (x,), options in spectrum(d)]


def halves(d: Draw) -> list[Sample]:
    """Of a signal with an even number of samples: its first number and its last are real."""

    def real_ends(x: np.ndarray) -> np.ndarray:
        x[..., [0, -1]] = x[..., [0, -1]].real
        return x

    return [
        ((real_ends(d.c(BATCH, 3, 5)),), {}),
        ((real_ends(d.c(BATCH, 3, 5)),), {"n": 8, "norm": "ortho"}),
        ((real_ends(d.c(BATCH, 3, 5)),), {"n": 8, "norm": "forward"}),
        ((real_ends(d.c(4, BATCH, 3)).swapaxes(0, 2),), {"axis": 0, "n": 4}),
    ]


def spectra(d: Draw) -> list[Sample]:
    x = d.c(BATCH, 4, 6)
    options: list[dict[str, Any]] = [{}, {"axes": (1, 2)}, {"axes": (-1, 0), "s": (4, 7), "norm": "ortho"}]
    return [((x,), each) for each in options]


def signals(d: Draw) -> list[Sample]:
    return [((x.real,), options) for (x,), options in spectra(d)]


def halved_spectra(d: Draw) -> list[Sample]:
    """What `rfftn` gives: numbers that are the transform of real ones."""
    x = np.fft.rfftn(d.f(BATCH, 4, 6), axes=(1, 2))
    return [((x,), {"axes": (1, 2)}), ((x,), {"axes": (1, 2), "s": (4, 6), "norm": "ortho"})]


def regular(d: Draw, *shape: int) -> np.ndarray:
    """Square matrices far from singular ones: the diagonal outweighs the rest."""
    return d.f(*shape) / 4 + 2 * np.eye(shape[-1])


def definite(d: Draw, *shape: int) -> np.ndarray:
    """Symmetric positive definite matrices, their eigenvalues apart."""
    x = regular(d, *shape)
    return x @ x.swapaxes(-1, -2) + np.diag(np.arange(shape[-1]) * 2.0)


def tall(d: Draw, *shape: int) -> np.ndarray:
    """Matrices whose singular values are apart."""
    x = d.f(*shape) / 8
    for i in range(min(shape[-2:])):
        x[..., i, i] += 1 + i
    return x


def _outside(d: Draw, *shape: int) -> np.ndarray:
    """Complex numbers outside of the unit circle, so that they can be divided by."""
    x = d.c(*shape)
    return x + x / np.abs(x)


def norms(d: Draw) -> list[Sample]:
    x = d.apart(BATCH, 3, 4)
    return [
        ((x,), {}),
        ((x,), {"axis": 1, "keepdims": True}),
        *(((x,), {"axis": (1, 2), "ord": ord}) for ord in (1, 3, 0, float("inf"), -float("inf"))),
        ((d.c(BATCH, 3),), {"axis": -1}),
    ]


def matrix_norms(d: Draw) -> list[Sample]:
    x = tall(d, BATCH, 3, 4)
    orders = ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf"))
    return [*(((x,), {"ord": ord}) for ord in orders), ((x,), {"ord": 2, "keepdims": True})]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    **dict.fromkeys(("real", "imag", "conj"), lambda d: [((d.c(BATCH, 3),), {})]),
    "complex": lambda d: [((d.f(BATCH, 3), d.f(3)), {})],
    **dict.fromkeys(
        ("gcd", "lcm"),
        lambda d: [
            ((d.i(BATCH, 4, low=-60, high=60), d.i(4, low=-60, high=60)), {}),
            ((np.array([0, 0, 7, 12, -8, 9]), np.array([0, 5, 0, 18, 12, 3])), {}),
        ],
    ),
    "signbit": lambda d: [((d.apart(BATCH, 4),), {}), ((np.array([0.0, -0.0, np.inf, -np.inf]),), {})],
    "copysign": lambda d: [((d.apart(BATCH, 4), d.apart(BATCH, 4)), {})],
    "nextafter": lambda d: [((np.array([1.0, -1.0, 0.0, 2.0]), np.array([2.0, 0.0, 0.0, -np.inf])), {})],
    "bitcast": lambda d: [
        ((d.f(BATCH, 3).astype(np.float32),), {"dtype": "int32"}),
        ((d.f(3).astype(np.float32).view(np.uint32),), {"dtype": "float32"}),
        ((d.i(BATCH, 3, dtype="int16"),), {"dtype": "uint16"}),
    ],
    **dict.fromkeys(("fft", "ifft"), spectrum),
    **dict.fromkeys(("rfft", "ihfft"), signal),
    **dict.fromkeys(("irfft", "hfft"), halves),
    **dict.fromkeys(("fftn", "ifftn"), spectra),
    "rfftn": signals,
    "irfftn": halved_spectra,
    **dict.fromkeys(("fftshift", "ifftshift"), lambda d: [((d.f(BATCH, 4, 3),), a) for a in ({}, {"axes": (1, 2)})]),
    "kron": lambda d: [
        ((d.f(BATCH, 3), d.f(2, 4)), {}),
        ((d.f(BATCH), d.f(2, 3)), {}),
        ((d.i(BATCH, 3), d.i(2, dtype="int64")), {}),
    ],
    "lstsq": lambda d: [
        ((tall(d, 4, 3), d.f(4, BATCH)), {}),
        ((tall(d, 3, 4), d.f(3)), {}),
        ((tall(d, BATCH, 4, 3), d.f(4, 2)), {"rtol": 0.01}),
    ],
    "outer": lambda d: [((d.f(BATCH), d.f(3)), {})],
    "vecdot": lambda d: [
        ((d.f(BATCH, 3), d.f(3)), {}),
        ((d.c(BATCH, 3, 2), d.c(BATCH, 3, 2)), {"axis": -2}),
        ((d.i(BATCH, 3, dtype="int32"), d.i(BATCH, 3, dtype="int32")), {}),
    ],
    "tensordot": lambda d: [
        ((d.f(BATCH, 3, 4), d.f(3, 4, 2)), {}),
        ((d.f(BATCH, 3, 4), d.f(4, 2, 3)), {"axes": ((1, 2), (2, 0))}),
    ],
    "cross": lambda d: [((d.f(BATCH, 3), d.f(BATCH, 3)), {}), ((d.f(BATCH, 3, 2), d.f(3, 1)), {"axis": -2})],
    "diagonal": lambda d: [((d.f(BATCH, 3, 4),), {"offset": k}) for k in (0, 1, -1)],
    "trace": lambda d: [((d.f(BATCH, 3, 4),), {"offset": k}) for k in (0, 1)],
    "matrix_power": lambda d: [((regular(d, BATCH, 3, 3),), {"n": n}) for n in (0, 1, 3, -2)],
    "cholesky": lambda d: [((definite(d, BATCH, 3, 3),), {})],
    "qr": lambda d: [
        ((tall(d, BATCH, 4, 3),), {}),
        ((tall(d, BATCH, 3, 3),), {"mode": "complete"}),
    ],
    "svd": lambda d: [((tall(d, BATCH, 4, 3),), {"full_matrices": False}), ((tall(d, BATCH, 3, 3),), {})],
    "svdvals": lambda d: [((tall(d, BATCH, 4, 3),), {})],
    **dict.fromkeys(("eigh", "eigvalsh", "eig", "eigvals"), lambda d: [((definite(d, BATCH, 3, 3),), {})]),
    "solve": lambda d: [
        ((regular(d, BATCH, 3, 3), d.f(BATCH, 3, 2)), {}),
        ((regular(d, BATCH, 3, 3), d.f(3)), {}),
    ],
    **dict.fromkeys(("inv", "det", "slogdet"), lambda d: [((regular(d, BATCH, 3, 3),), {})]),
    "pinv": lambda d: [((tall(d, BATCH, 4, 3),), {}), ((tall(d, BATCH, 3, 4),), {"rtol": 0.01})],
    "vector_norm": norms,
    "matrix_norm": matrix_norms,
    "searchsorted": lambda d: [
        ((np.sort(d.apart(7)), d.apart(BATCH, 3)), {}),
        ((np.array([1, 2, 2, 3]), d.i(BATCH, low=0, high=5)), {"side": "right"}),
        ((np.array([1, 2, 2, 3], np.uint64), d.i(BATCH, low=0, high=5, dtype="uint64")), {}),
    ],
}


def _matrices(name: str) -> Callable[..., Any]:
    return lambda x, **options: getattr(np.linalg, name)(x, **options)


ORACLES: dict[str, Callable[..., Any]] = {
    "real": np.real,
    "imag": np.imag,
    "conj": np.conj,
    "complex": lambda real, imag: real + 1j * imag,
    "gcd": np.gcd,
    "signbit": np.signbit,
    "bitcast": lambda x, *, dtype: x.view(dtype),
    "nextafter": lambda x1, x2: np.nextafter(x1.astype(np.float32), x2.astype(np.float32)),
    **{name: getattr(np.fft, name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn")},
    "rfftn": np.fft.rfftn,
    "irfftn": np.fft.irfftn,
    "tensordot": lambda x1, x2, *, axes=2: np.tensordot(x1, x2, axes),
    "diagonal": lambda x, *, offset=0: np.diagonal(x, offset, -2, -1),
    **{name: _matrices(name) for name in ("cholesky", "qr", "svd", "svdvals", "eigh", "eigvalsh", "eig", "eigvals")},
    **{name: _matrices(name) for name in ("inv", "det", "slogdet", "matrix_power", "pinv")},
    "kron": np.kron,
    "solve": lambda x1, x2: np.linalg.solve(x1, x2[:, None])[..., 0] if x2.ndim == 1 else np.linalg.solve(x1, x2),
    "searchsorted": np.searchsorted,
}


def _scaled(vectors: Any, values: Any) -> Any:
    """Columns of vectors times values."""
    return vectors * ops.getitem(values, key=((None, None, None),) * (len(values.shape) - 1) + (None,))


def _svd(u: Any, s: Any, vh: Any) -> tuple[Any, ...]:
    return s, ops.matmul(_scaled(u, s), vh)


def _qr(q: Any, r: Any) -> tuple[Any, ...]:
    return (ops.matmul(q, r), ops.matmul(ops.adjoint(q), q))


def _eigh(values: Any, vectors: Any) -> tuple[Any, ...]:
    return values, ops.matmul(_scaled(vectors, values), ops.adjoint(vectors))


def _eig(values: Any, vectors: Any) -> tuple[Any, ...]:
    return (*_eigvals(values), ops.matmul(_scaled(vectors, values), ops.inv(vectors)))


def _eigvals(values: Any) -> tuple[Any, ...]:
    return ops.sum(values, axis=-1), ops.prod(values, axis=-1)


INVARIANTS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "eig": _eig,
    "eigh": _eigh,
    "eigvals": _eigvals,
    "qr": _qr,
    "svd": _svd,
}
"""What is the same of every right result, where signs or orders are a framework's choice."""


def _unsigned(d: Draw) -> list[Sample]:
    """Numbers that the 32 bits of JAX's default hold, too; `test_array.py` has those beyond int64."""
    x = d.i(BATCH, 3, low=1, high=9, dtype="uint64")
    return [((x, d.i(3, low=1, high=9, dtype="uint64")), {})]


def _places() -> list[Sample]:
    """TensorFlow has other rows for numbers among which there may be nan."""
    x = np.array([[3, 1, 2]], np.int32)
    forms: list[dict[str, Any]] = [{"axis": 1}, {"axis": 1, "keepdims": True}, {}, {"keepdims": True}]
    return [((x.astype(np.uint64),), {"axis": 1}), *(((x,), form) for form in forms)]


OF_DTYPES: dict[str, Callable[[Draw], list[Sample]]] = {
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "maximum", "minimum"), _unsigned),
    **dict.fromkeys(("floor_divide", "remainder", "bitwise_right_shift"), _unsigned),
    **dict.fromkeys(("max", "min"), lambda d: [((d.i(BATCH, 3, low=0, dtype="uint64"),), {"axis": 1})]),
    **dict.fromkeys(("argmax", "argmin"), lambda d: _places()),
    **dict.fromkeys(("sort", "argsort"), lambda d: [((np.array([[3, 1, 2]], np.int32),), {"axis": 1})]),
    **dict.fromkeys(("abs", "log", "log10", "log2", "sqrt"), lambda d: [((d.c(BATCH, 3),), {})]),
    "divide": lambda d: [((d.c(BATCH, 3), _outside(d, 3)), {}), ((d.c(BATCH, 3), 2.0), {})],
    "cross": lambda d: [((np.array([[3, 0, 0]], np.uint64), np.array([0, 4, 0], np.uint64)), {})],
    "reciprocal": lambda d: [((_outside(d, BATCH, 3),), {})],
}
"""Further samples of operations that have rows for some dtypes alone."""

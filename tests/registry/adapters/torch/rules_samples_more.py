"""Sample calls of PyTorch's linear algebra, Fourier transforms, special functions, places and orders.

See ``rules_samples.py``, which joins them to its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import Draw

Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def recurrent(gates: int, states: int) -> Callable[[Draw], list[Any]]:
    """Layers over sequences: of one layer, of two in both directions with biases, and with dropout in evaluation."""

    def weights(d: Draw, layers: int, ways: int, bias: bool) -> list[Any]:
        sizes = [(3 if layer == 0 else 4 * ways) for layer in range(layers) for _ in range(ways)]
        shapes = [((4 * gates, size), (4 * gates, 4), *((((4 * gates,),) * 2) if bias else ())) for size in sizes]
        return [d.f(*shape) for each in shapes for shape in each]

    def samples(d: Draw) -> list[Any]:
        found: list[Any] = []
        for layers, ways, bias, rate, first in (
            (1, 1, False, 0.0, False),
            (2, 2, True, 0.0, True),
            (2, 1, True, 0.5, False),
        ):
            start = [d.f(layers * ways, 2, 4) for _ in range(states)]
            x = d.f(2, 5, 3) if first else d.f(5, 2, 3)
            rest = (bias, layers, rate, False, ways == 2, first)
            found.append(call(x, start if states > 1 else start[0], weights(d, layers, ways, bias), *rest))
        return found

    return samples


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def c(d: Draw, *shape: int) -> np.ndarray:
    return d.c(*shape).astype("complex64")


def regular(d: Draw, *shape: int) -> np.ndarray:
    """Square matrices far from singular: of a dominant diagonal."""
    return d.f(*shape, low=-0.5, high=0.5) + np.diag(np.arange(shape[-1]) + 2.0)


def positive(d: Draw, *shape: int) -> np.ndarray:
    x = regular(d, *shape)
    return x @ np.swapaxes(x, -1, -2)


def matrices(*args: Any, **kwargs: Any) -> Callable[[Draw], Calls]:
    return lambda d: [call(regular(d, 3, 3), *args, **kwargs), call(regular(d, 2, 4, 4), *args, **kwargs)]


def numbers(low: float, high: float) -> Callable[[Draw], Calls]:
    return lambda d: [call(d.f(2, 3, low=low, high=high))]


def complex_numbers(d: Draw) -> Calls:
    return [call(c(d, 2, 3))]


def with_numbers(d: Draw) -> Calls:
    return [call(c(d, 2, 3)), call(d.f(2, 3))]


def transforms(prepared: Callable[..., Any]) -> Callable[[Draw], Calls]:
    return lambda d: [
        call(prepared(d, 3, 6)),
        call(prepared(d, 3, 6), 5, 0, "ortho"),
        call(prepared(d, 3, 6), 8, -1, "forward"),
    ]


def planes(prepared: Callable[..., Any]) -> Callable[[Draw], Calls]:
    return lambda d: [
        call(prepared(d, 2, 4, 6)),
        call(prepared(d, 2, 4, 6), [3, 8], [0, 1], "ortho"),
        call(prepared(d, 2, 4, 6), None, [-1], "forward"),
    ]


def real(d: Draw, *shape: int) -> np.ndarray:
    return d.f(*shape)


def places(count: int) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        size = (6,) * count
        return [
            call(d.apart(1, 2, *size), [2] * count),
            call(d.apart(2, *size), [3] * count, [2] * count, [1] * count, [1] * count, True),
        ]

    return draw


def unpooled(count: int) -> Callable[[Draw], Calls]:
    def draw(d: Draw) -> Calls:
        """Each window of two keeps one place of its own."""
        size = 4**count
        first = d.rng.permutation(size)[: 2**count].reshape((1, 1, *(2,) * count)).astype("int64")
        options = [] if count == 2 else [[2] * count, [0] * count]
        return [call(d.f(1, 1, *(2,) * count), first, [4] * count, *options)]

    return draw


def sampled(count: int) -> Callable[[Draw], Calls]:
    """Places between elements, off the lines where a neighbour changes."""

    def draw(d: Draw) -> Calls:
        x = d.f(1, 2, *(5,) * count)
        grid = (d.rng.integers(-5, 5, (1, *(3,) * count, count)) + 0.3) / 5
        modes = (0, 1, 2) if count == 2 else (0, 1)
        return [call(x, grid, mode, padding, align) for mode in modes for padding, align in ((0, False), (1, True))]

    return draw


def solved(d: Draw) -> Calls:
    return [
        call(regular(d, 3, 3), d.f(3, 2)),
        call(regular(d, 2, 3, 3), d.f(2, 3)),
        call(regular(d, 3, 3), d.f(3)),
        call(regular(d, 3, 3), d.f(2, 3), left=False),
    ]


def scattered(d: Draw) -> Calls:
    index = d.i(3, 4, low=0, high=5)
    return [
        call(d.f(5, 4, low=0.5), 0, index, d.apart(3, 4), reduce, include_self=own)
        for reduce in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
        if own or reduce != "mean"
    ]


MORE: dict[str, Callable[[Draw], Calls]] = {
    # special functions
    **dict.fromkeys(("aten.erfc.default", "aten.special_erfc.default", "prims.erfc.default"), numbers(-2, 2)),
    **dict.fromkeys(("aten.erfinv.default", "aten.special_erfinv.default"), numbers(-0.9, 0.9)),
    "prims.erf_inv.default": numbers(-0.9, 0.9),
    **dict.fromkeys(("aten.lgamma.default", "aten.special_gammaln.default", "prims.lgamma.default"), numbers(0.5, 4)),
    **dict.fromkeys(("aten.digamma.default", "aten.special_digamma.default"), numbers(0.5, 4)),
    **dict.fromkeys(("aten.special_psi.default", "prims.digamma.default"), numbers(0.5, 4)),
    **dict.fromkeys(
        ("aten.polygamma.default", "aten.special_polygamma.default"),
        lambda d: (
            [call(n, d.f(4, low=0.5, high=3) + shift) for n in (0, 1, 2, 3) for shift in (0, 0.5)]
            + [call(n, d.i(4, low=-12, high=0) + d.f(4, low=0.3, high=0.7)) for n in (1, 2)]
        ),
    ),
    "aten.copysign.Tensor": lambda d: [call(d.f(2, 3), d.f(3)), call(d.i(3), d.f(3))],
    "aten.copysign.Scalar": lambda d: [call(d.f(3), -1.0)],
    **dict.fromkeys(("aten.nextafter.default", "prims.nextafter.default"), lambda d: [call(d.f(3), d.f(3))]),
    "aten.signbit.default": lambda d: [call(d.f(3)), call(d.i(3)), call(np.array([0.0, -0.0]))],
    "prims.signbit.default": numbers(-2, 2),
    # complex numbers
    "aten.complex.default": lambda d: [call(d.f(2, 3), d.f(3))],
    "aten.real.default": with_numbers,
    "aten.imag.default": complex_numbers,
    **dict.fromkeys(("prims.real.default", "prims.imag.default", "aten._conj.default"), complex_numbers),
    **dict.fromkeys(("aten.conj.default", "aten.conj_physical.default"), with_numbers),
    "aten._conj_physical.default": complex_numbers,
    **dict.fromkeys(("aten.resolve_conj.default", "aten.resolve_neg.default"), with_numbers),
    "aten.view_as_real.default": complex_numbers,
    "aten.view_as_complex.default": lambda d: [call(d.f(3, 2))],
    "aten.angle.default": lambda d: [call(c(d, 3)), call(d.f(3)), call(np.array([np.nan, 0.0, -2.0, 3.0]))],
    # Fourier transforms
    **dict.fromkeys(("aten.fft_fft.default", "aten.fft_ifft.default", "aten.fft_hfft.default"), transforms(c)),
    **dict.fromkeys(("aten.fft_rfft.default", "aten.fft_ihfft.default"), transforms(real)),
    "aten.fft_irfft.default": transforms(c),
    **dict.fromkeys(("aten.fft_fft2.default", "aten.fft_ifft2.default", "aten.fft_irfft2.default"), planes(c)),
    **dict.fromkeys(("aten.fft_fftn.default", "aten.fft_ifftn.default", "aten.fft_irfftn.default"), planes(c)),
    **dict.fromkeys(("aten.fft_rfft2.default", "aten.fft_rfftn.default"), planes(real)),
    "aten._fft_c2c.default": lambda d: [
        call(c(d, 3, 4), [0, 1], norm, forward) for norm in (0, 1, 2) for forward in (True, False)
    ],
    "aten._fft_r2c.default": lambda d: [call(d.f(3, 4), [0, 1], norm, True) for norm in (0, 1, 2)],
    "aten._fft_c2r.default": lambda d: [call(c(d, 3, 4), [0, 1], norm, 7) for norm in (0, 1, 2)],
    **dict.fromkeys(
        ("aten.fft_fftshift.default", "aten.fft_ifftshift.default"),
        lambda d: [call(d.f(3, 4)), call(d.f(3, 4), [1])],
    ),
    # linear algebra
    **dict.fromkeys(("aten.det.default", "aten.linalg_det.default", "aten.inverse.default"), matrices()),
    **dict.fromkeys(("aten.linalg_inv.default", "aten.slogdet.default", "aten.linalg_slogdet.default"), matrices()),
    **dict.fromkeys(("aten.matrix_power.default", "aten.linalg_matrix_power.default"), matrices(3)),
    "aten.linalg_eigvals.default": lambda d: [call(np.triu(regular(d, 3, 3)))],
    "aten.trace.default": lambda d: [call(d.f(3, 4)), call(d.i(3, 3))],
    "aten.kron.default": lambda d: [call(d.f(2, 3), d.f(3, 2)), call(d.f(3), d.f(2, 2))],
    "aten.addbmm.default": lambda d: [
        call(d.f(3, 5), d.f(2, 3, 4), d.f(2, 4, 5)),
        call(d.f(5), d.f(2, 3, 4), d.f(2, 4, 5), beta=0.5, alpha=2),
    ],
    "aten.cholesky.default": lambda d: [call(positive(d, 3, 3)), call(positive(d, 2, 3, 3), True)],
    "aten.linalg_cholesky.default": lambda d: [call(positive(d, 3, 3)), call(positive(d, 2, 3, 3), upper=True)],
    "aten.cholesky_solve.default": lambda d: [
        call(d.f(3, 2), np.tril(regular(d, 3, 3))),
        call(d.f(3, 2), np.triu(regular(d, 3, 3)), True),
    ],
    "aten.cholesky_inverse.default": lambda d: [
        call(np.tril(regular(d, 3, 3))),
        call(np.triu(regular(d, 3, 3)), True),
    ],
    "aten.linalg_eigvalsh.default": lambda d: [call(positive(d, 3, 3)), call(regular(d, 2, 3, 3), "U")],
    "aten.linalg_eigh.default": lambda d: [call(positive(d, 3, 3)), call(regular(d, 2, 3, 3), "U")],
    "aten.linalg_qr.default": lambda d: [call(d.f(4, 3)), call(d.f(2, 3, 4)), call(d.f(4, 3), "complete")],
    "aten.linalg_svd.default": lambda d: [call(d.f(4, 3)), call(d.f(2, 3, 4), False)],
    "aten.linalg_svdvals.default": lambda d: [call(d.f(4, 3))],
    "aten.linalg_vecdot.default": lambda d: [call(d.f(2, 3), d.f(2, 3)), call(c(d, 3, 2), c(d, 3, 2), dim=0)],
    "aten._cdist_forward.default": lambda d: [call(d.f(4, 3), d.f(5, 3), 2.0, None), call(d.f(4, 3), d.f(5, 3), 1, 2)],
    "aten.linalg_solve.default": solved,
    "aten.linalg_solve_triangular.default": lambda d: [
        call(regular(d, 3, 3), d.f(3, 2), upper=True),
        call(regular(d, 3, 3), d.f(3, 2), upper=False, unitriangular=True),
        call(regular(d, 3, 3), d.f(2, 3), upper=True, left=False),
    ],
    "aten.triangular_solve.default": lambda d: [
        call(d.f(3, 2), np.triu(regular(d, 3, 3))),
        call(d.f(3, 2), np.tril(regular(d, 3, 3)), False),
    ],
    **dict.fromkeys(
        ("aten.alpha_dropout.default", "aten.feature_alpha_dropout.default"),
        lambda d: [call(d.f(2, 3), 0.5, False), call(d.f(2, 3), 0.0, True)],
    ),
    # places and orders
    **{f"aten.max_pool{n}d_with_indices.default": places(n) for n in (1, 2, 3)},
    **{
        f"aten.adaptive_max_pool{n}d.default": lambda d, n=n: [call(d.apart(1, 2, *(5,) * n), [3] * n)]
        for n in (1, 2, 3)
    },
    **{f"aten.max_unpool{n}d.default": unpooled(n) for n in (2, 3)},
    "aten.grid_sampler.default": sampled(2),
    "aten.grid_sampler_2d.default": sampled(2),
    "aten.grid_sampler_3d.default": sampled(3),
    "aten.im2col.default": lambda d: [
        call(d.f(2, 3, 5, 6), [2, 3], [1, 1], [0, 0], [1, 1]),
        call(d.f(3, 5, 6), [2, 2], [2, 1], [1, 0], [2, 1]),
    ],
    "aten.col2im.default": lambda d: [
        call(d.f(2, 12, 20), [5, 6], [2, 2], [1, 1], [0, 0], [1, 1]),
        call(d.f(12, 4), [4, 5], [2, 2], [2, 1], [1, 0], [2, 2]),
    ],
    "aten.kthvalue.default": lambda d: [call(d.apart(3, 6), 2), call(d.apart(3, 6), 3, 0, True)],
    "aten.median.default": lambda d: [call(d.apart(3, 6)), call(d.apart(7))],
    "aten.median.dim": lambda d: [
        call(d.apart(3, 6), 1),
        call(d.apart(3, 5), 0, True),
        call(np.array([[1.0, np.nan, 0.0], [3.0, 2.0, 1.0]]), 1),
    ],
    "aten.searchsorted.Tensor": lambda d: [
        call(np.sort(d.apart(8)), d.apart(3, 2) + 0.03),
        call(np.sort(d.apart(3, 8)), d.apart(3, 2) + 0.03, right=True, out_int32=True),
        call(np.sort(d.i(8)), d.i(5), side="right"),
    ],
    "aten.bucketize.Tensor": lambda d: [call(d.i(2, 3), np.array([-4, 0, 3, 5])), call(d.f(4), np.sort(d.f(5)))],
    "aten.scatter_reduce.two": scattered,
    "aten.take.default": lambda d: [call(d.f(3, 4), d.i(2, 3, low=-12, high=12))],
    "aten.lstm.input": recurrent(4, 2),
    "aten.gru.input": recurrent(3, 1),
    **{f"aten.rnn_{name}.input": recurrent(1, 1) for name in ("tanh", "relu")},
}

"""Sample calls of PyTorch's rarer operations: special functions, polynomials, elimination, places.

See ``rules_samples.py``, which joins them to its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.draw import Draw
from tests.registry.adapters.torch.rules_samples import SAMPLES as WHOLE
from tests.registry.adapters.torch.rules_samples_more import Calls, c, call, numbers, positive, regular

_SQUARE = (3, 3)


def exchanged(d: Draw, rows: int, columns: int) -> np.ndarray:
    """Matrices whose largest elements stand apart, in rows that elimination has to exchange."""
    return (d.f(2, rows, columns, low=-0.4, high=0.4) + np.eye(rows, columns) * 3)[:, ::-1].copy()


def eliminated(d: Draw, rows: int = 3, columns: int = 3) -> tuple[Any, ...]:
    """A matrix as PyTorch has it after elimination, and its pivots."""
    import torch

    packed, pivots = torch.linalg.lu_factor(torch.from_numpy(exchanged(d, rows, columns)))
    return packed.float().numpy(), pivots.numpy()


def factored(d: Draw) -> Calls:
    return [call(exchanged(d, *shape)) for shape in (_SQUARE, (4, 2), (2, 4))]


def degrees(overload: str) -> Callable[[Draw], Calls]:
    """Points inside of -1 to 1 and beyond, and low degrees, also below 0."""

    def draw(d: Draw) -> Calls:
        points = np.concatenate([d.f(4, low=-0.9, high=0.9), d.f(3, low=1.1, high=2.0)])
        orders = np.asarray([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        if overload == "default":
            return [call(points, d.rng.permutation(orders)), call(points[:, None], orders.astype("int64"))]
        if overload == "x_scalar":
            return [call(float(points[0]), orders), call(float(points[5]), orders)]
        return [call(points, 4), call(points, 0)]

    return draw


def without_order(d: Draw, *shape: int) -> np.ndarray:
    """Numbers among which some are equal."""
    return d.i(*shape, low=-3, high=4)


def between(d: Draw, *shape: int) -> np.ndarray:
    """Numbers between 0 and 10 of which none is near an integer."""
    return d.i(*shape, low=0, high=10) + d.f(*shape, low=0.2, high=0.8)


def spread(d: Draw) -> np.ndarray:
    """The same from 0 to 10, both ends among them."""
    return np.concatenate([between(d, 12), [0.0, 10.0]])


def segments(reduce: str, **options: Any) -> Calls:
    """Segments by lengths, one of them empty, and by offsets, along the first axis and another."""
    lengths, offsets = np.asarray([2, 0, 3]), np.asarray([0, 2, 2, 5])
    rows = np.asarray([[1, 4], [3, 2]])
    return [
        call(np.linspace(-2.0, 3.0, 15).reshape(5, 3), reduce, lengths=lengths, **options),
        call(np.linspace(-2.0, 3.0, 5), reduce, offsets=offsets, **options),
        call(np.linspace(3.0, -2.0, 20).reshape(2, 5, 2), reduce, lengths=rows, axis=1, **options),
    ]


_POLYNOMIALS = (
    *(f"{kind}chebyshev_polynomial_{letter}" for kind in ("", "shifted_") for letter in "tuvw"),
    *("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"),
)
_BELOW, _ABOVE = numbers(-12, 12), numbers(0.5, 12)

SAMPLES: dict[str, Callable[[Draw], Calls]] = {
    "aten.fractional_max_pool2d.default": lambda d: [
        ((d.f(2, 3, 7, 9), [2, 3], [3, 4], d.f(2, 3, 2, low=0.1, high=0.9)), {}),
        ((d.f(3, 7, 9), [2, 3], [3, 4], d.f(1, 3, 2, low=0.1, high=0.9)), {}),
    ],
    "aten.fractional_max_pool3d.default": lambda d: [
        ((d.f(2, 3, 6, 7, 5), [2, 3, 2], [3, 4, 3], d.f(2, 3, 3, low=0.1, high=0.9)), {})
    ],
    **{
        f"aten.special_{name}.{overload}": degrees(overload)
        for name in _POLYNOMIALS
        for overload in ("default", "x_scalar", "n_scalar")
    },
    **dict.fromkeys(("aten.i0.default", "aten.special_i1.default"), numbers(-6, 6)),
    **{f"prims.bessel_i{order}.default": numbers(-6, 6) for order in (0, 1)},
    **{f"aten.special_modified_bessel_i{order}.default": numbers(-6, 6) for order in (0, 1)},
    **{f"{space}_{name}.default": _BELOW for space in ("aten.special", "prims.bessel") for name in ("i0e", "i1e")},
    **{f"{space}_j{order}.default": _BELOW for space in ("aten.special_bessel", "prims.bessel") for order in (0, 1)},
    **{f"aten.special_bessel_y{order}.default": _ABOVE for order in (0, 1)},
    **{f"aten.special_{kind}modified_bessel_k{n}.default": _ABOVE for kind in ("", "scaled_") for n in (0, 1)},
    "aten.special_airy_ai.default": lambda d: [call(d.f(5, low=low, high=low + 4)) for low in (-7, -2, 2)],
    **dict.fromkeys(
        ("aten.special_spherical_bessel_j0.default", "prims.spherical_bessel_j0.default"),
        lambda d: [call(d.f(5, low=-0.5, high=0.5)), call(d.f(5, low=1, high=9))],
    ),
    **dict.fromkeys(("aten.special_erfcx.default", "prims.erfcx.default"), numbers(-2, 9)),
    **dict.fromkeys(("aten.special_ndtri.default", "prims.ndtri.default"), numbers(0.01, 0.99)),
    **{
        f"{space}.{name}.default": lambda d: [call(d.f(2, 3, low=0.3, high=5), d.f(2, 3, low=0.1, high=9))]
        for space in ("aten", "prims")
        for name in ("igamma", "igammac")
    },
    **dict.fromkeys(
        ("aten.special_zeta.default", "prims.zeta.default"),
        lambda d: [call(d.f(2, 3, low=1.5, high=5), d.f(2, 3, low=0.5, high=5))],
    ),
    "aten.special_zeta.other_scalar": lambda d: [call(d.f(2, 3, low=1.5, high=5), 2.5)],
    "aten.special_zeta.self_scalar": lambda d: [call(2.5, d.f(2, 3, low=0.5, high=5))],
    "prims.conj_physical.default": lambda d: [call(c(d, 2, 3))],
    "prims.fft_c2c.default": lambda d: [call(c(d, 3, 4), dim=[0, 1], forward=way) for way in (True, False)],
    "prims.fft_r2c.default": lambda d: [call(d.f(3, 4), dim=[0, 1], onesided=way) for way in (True, False)],
    "prims.fft_c2r.default": lambda d: [call(c(d, 3, 4), dim=[0, 1], last_dim_size=6)],
    # -- matrices ---------------------------------------------------------------------------------------------------
    "aten.linalg_inv_ex.default": lambda d: [call(regular(d, 2, 3, 3))],
    "aten.linalg_matrix_exp.default": lambda d: [call(d.f(2, 3, 3, low=-1, high=1))],
    "aten.logdet.default": lambda d: [call(positive(d, 2, 3, 3)), call(-regular(d, 3, 3))],
    "aten.linalg_cholesky_ex.default": lambda d: [call(positive(d, 2, 3, 3)), call(positive(d, 3, 3), upper=True)],
    "aten.linalg_solve_ex.default": lambda d: [
        call(regular(d, 2, 3, 3), d.f(2, 3, 2)),
        call(regular(d, 3, 3), d.f(3)),
        call(regular(d, 3, 3), d.f(2, 3), left=False),
    ],
    "aten._linalg_solve_ex.default": lambda d: [call(exchanged(d, 3, 3), d.f(2, 3, 2))],
    "aten._linalg_eigh.default": lambda d: [call(positive(d, 3, 3), "L", False)],
    "aten._linalg_svd.default": lambda d: [call(regular(d, 3, 3), False, False)],
    "aten.svd.default": lambda d: [call(regular(d, 2, 3, 3), True, False)],
    "aten.linalg_pinv.atol_rtol_tensor": lambda d: [
        call(d.f(4, 3) + np.eye(4, 3) * 3),
        call(regular(d, 2, 3, 3), atol=np.float32(0.5), rtol=np.float32(0.0)),
        call(positive(d, 3, 3), hermitian=True),
    ],
    "aten.linalg_lu.default": factored,
    "aten.linalg_lu_factor.default": factored,
    "aten.linalg_lu_factor_ex.default": factored,
    "aten._lu_with_info.default": factored,
    "aten.lu_unpack.default": lambda d: [call(*eliminated(d, *shape)) for shape in (_SQUARE, (4, 2), (2, 4))],
    "aten.linalg_lu_solve.default": lambda d: [
        call(*eliminated(d), d.f(2, 3, 2)),
        call(*eliminated(d), d.f(2, 2, 3), left=False),
        call(*eliminated(d), d.f(2, 3, 2), adjoint=True),
    ],
    "aten.lu_solve.default": lambda d: [call(d.f(2, 3, 2), *eliminated(d))],
    "aten.linalg_householder_product.default": lambda d: [call(d.f(4, 3), d.f(2, low=0.1, high=1.0))],
    "aten.ormqr.default": lambda d: [
        call(d.f(4, 2), d.f(2, low=0.1, high=1.0), d.f(4, 3)),
        call(d.f(4, 2), d.f(2, low=0.1, high=1.0), d.f(3, 4), False, True),
    ],
    # -- elements ---------------------------------------------------------------------------------------------------
    **dict.fromkeys(
        ("aten.fmax.default", "aten.fmin.default"),
        lambda d: [call(np.asarray([1.0, np.nan, np.nan, 2.0]), np.asarray([np.nan, 3.0, np.nan, d.f()]))],
    ),
    "aten.round.decimals": lambda d: [call(d.f(5) * 100, decimals=n) for n in (0, 1, -1)],
    "aten.logspace.default": lambda d: [call(0.0, 2.0, 5), call(-1.0, 1.0, 4, 2.0), call(1.5, 9, 5, 2, dtype="int64")],
    **{
        f"aten.{name}_indices.default": lambda d: [call(3, 4), call(4, 3, 1), call(4, 3, -1, dtype="int32")]
        for name in ("tril", "triu")
    },
    **{
        f"aten.{name}_mean.{overload}": lambda d, args=args: [call(d.f(3, 4), *each) for each in args]
        for name in ("var", "std")
        for overload, args in (("default", [(), (False,)]), ("dim", [([0],), ([0, 1], False, True)]))
    },
    # -- images, by factors that leave a rest over -------------------------------------------------------------------
    **{
        f"aten.upsample_{name}.vec": lambda d, name=name, n=n, options=options: [
            *WHOLE[f"aten.upsample_{name}.vec"](d),
            *(call(d.f(2, 3, *(4, 5, 7)[:n]), None, *options, [factor] * n) for factor in (1.7, 0.6)),
        ]
        for name, n, options in (
            *((f"nearest{n}d", n, ()) for n in (1, 2, 3)),
            *(("linear1d", 1, (False,)), ("bilinear2d", 2, (False,)), ("trilinear3d", 3, (False,))),
            ("bicubic2d", 2, (False,)),
        )
    },
    # -- order and places -------------------------------------------------------------------------------------------
    **{
        f"aten.{name}.default": lambda d: [
            call(d.apart(3, 6), 1),
            call(without_order(d, 6), 0),
            call(np.asarray([1.0, 3.0, np.nan, 2.0, 0.0]), 0),
        ]
        for name in ("cummax", "cummin")
    },
    "aten.logcumsumexp.default": lambda d: [call(d.f(3, 7), 1), call(d.f(4), 0)],
    # The most frequent element stands once more than any other, at the end too, which is its place.
    "aten.mode.default": lambda d: [call(np.asarray([[1, 2, 2, 0, 2], [4, 3, 4, 1, 4]]) + d.i(1))],
    "aten.nanmedian.default": lambda d: [call(d.apart(3, 5)), call(np.asarray([np.nan, 1.0, 3.0, 2.0]))],
    "aten.nanmedian.dim": lambda d: [
        call(d.apart(3, 5), 1),
        call(np.asarray([[np.nan, 1.0, 3.0], [5.0, 2.0, 4.0]]), 1, True),
    ],
    "aten.searchsorted.Scalar": lambda d: [call(np.sort(d.apart(8)), 0.3), call(np.sort(d.i(8)), 2, right=True)],
    "aten.nonzero_static.default": lambda d: [
        *(call(without_order(d, 3, 4), size=size, fill_value=fill) for size, fill in ((3, -1), (15, -7), (0, 1))),
        call(without_order(d, 0, 4), size=3),
        call(np.asarray(2.0), size=2),
    ],
    "aten.masked_scatter.default": lambda d: [call(d.f(3, 4), d.b(3, 4), d.f(12)), call(d.f(3, 4), d.b(4), d.f(12))],
    "aten._unsafe_masked_index.default": lambda d: [
        call(d.f(5, 3), d.b(4, 1), [np.asarray([0, 4, 2, 1])], 0.5),
        call(d.f(5, 3), np.asarray([[True], [False]]), [np.asarray([1, 9])], 0.5),
    ],
    "aten._unsafe_masked_index_put_accumulate.default": lambda d: [
        call(d.f(5, 3), d.b(4, 3), [np.asarray([0, 4, 2, 0])], d.f(4, 3)),
    ],
    "aten.diagonal_scatter.default": lambda d: [
        call(d.f(4, 4), d.f(4)),
        call(d.f(3, 4), d.f(3), 1),
        call(d.f(2, 4, 3), d.f(2, 3), -1, 1, 2),
    ],
    "aten.put.default": lambda d: [
        call(d.f(3, 4), np.asarray([1, 5, -1]), d.f(3)),
        call(d.f(3, 4), np.asarray([1, 5, 1]), d.f(3), True),
    ],
    "aten.index_reduce.default": lambda d: [
        call(d.f(4, 3), 0, np.asarray([0, 2, 0]), d.f(3, 3, low=0.5), reduce, include_self=own)
        for reduce in ("prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    "aten.scatter.reduce": lambda d: [
        call(d.f(4, 3), 0, d.i(2, 3, low=0, high=4), d.f(2, 3), reduce=reduce) for reduce in ("add", "multiply")
    ],
    "aten.scatter.value_reduce": lambda d: [
        call(d.f(4, 3), 1, d.i(4, 2, low=0, high=3), 1.5, reduce=reduce) for reduce in ("add", "multiply")
    ],
    # counts, divisors, and numbers by their bits
    "aten.histc.default": lambda d: [
        call(spread(d), 5),
        call(between(d, 4, 5), 4, 2, 6),
        call(np.full((3,), 2.0), 4),
    ],
    "aten.histogram.bin_ct": lambda d: [
        call(spread(d), 5),
        call(between(d, 20), 4, range=[2.0, 6.0], weight=d.f(20, low=0.5), density=True),
        call(np.full((3,), 2.0), 3),
    ],
    "aten.histogram.bins_tensor": lambda d: [
        call(np.concatenate([between(d, 12), [7.0]]), np.asarray([1.0, 2.0, 5.0, 7.0])),
        call(between(d, 4, 5), np.asarray([1.0, 4.0, 9.0]), weight=d.f(4, 5, low=0.5), density=True),
    ],
    "aten.histogramdd.default": lambda d: [
        call(between(d, 12, 2), [5, 3], [0.0, 10.0, 1.0, 7.0], d.f(12, low=0.5), True),
        call(np.stack([spread(d), spread(d)[::-1]], 1), [5, 2]),
    ],
    "aten.histogramdd.int_bins": lambda d: [call(between(d, 12, 2), 5, [0.0, 10.0, 0.0, 10.0])],
    "aten.histogramdd.TensorList_bins": lambda d: [
        call(between(d, 3, 4, 2), [np.asarray([1.0, 4.0, 9.0]), np.asarray([0.0, 1.0, 8.0, 10.0])])
    ],
    "aten.embedding_renorm.default": lambda d: [
        call(d.f(5, 3, low=0.5), np.asarray([0, 3, 3]), 1.2, norm) for norm in (1.0, 2.0)
    ],
    **{
        f"aten._upsample_{name}_aa.vec": lambda d: [
            call(d.f(2, 3, 7, 9), [3, 5], False, None),
            call(d.f(2, 3, 7, 9), [3, 12], True, None),
            call(d.f(1, 2, 4, 6), None, False, [2.0, 0.4]),
        ]
        for name in ("bilinear2d", "bicubic2d")
    },
    **{
        f"aten._upsample_{name}_aa.default": lambda d: [
            call(d.f(2, 3, 7, 9), [3, 12], False),
            call(d.f(2, 3, 7, 9), [3, 3], False, 1.7, 0.9),
        ]
        for name in ("bilinear2d", "bicubic2d")
    },
    "aten.segment_reduce.default": lambda d: [
        each
        for reduce in ("sum", "mean", "max", "min", "prod")
        for options in ({}, {"initial": 2.5})
        for each in segments(reduce, **options)
    ],
    **dict.fromkeys(
        ("aten.gcd.default", "aten.lcm.default"),
        lambda d: [
            call(d.i(3, 4, low=-60, high=60), d.i(4, low=-60, high=60)),
            call(np.asarray([0, 0, 7]), np.asarray([0, 5, 0])),
        ],
    ),
    "aten.frexp.Tensor": lambda d: [
        call(d.f(3, 4, low=-1e4, high=1e4)),
        call(np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -3e-44, 1.0, -0.5])),
    ],
    "aten.resize.default": lambda d: [call(d.f(3, 4), [2, 5])],
    "aten.resize_as.default": lambda d: [call(d.f(3, 4), d.f(5, 2))],
    "aten.native_group_norm.default": lambda d: [
        call(d.f(2, 6, 4), d.f(6), d.f(6), 2, 6, 4, 3, 1e-5),
        call(d.f(2, 4, 2, 3), None, None, 2, 4, 6, 2, 1e-3),
    ],
}

# What has no values to compare, or those that no framework promises.
WITHOUT_VALUES = {
    "aten.empty_strided.default",
    "aten.empty_permuted.default",
    "aten.new_empty_strided.default",
    "aten.linalg_eig.default",
    "aten._linalg_check_errors.default",
    "aten._linalg_slogdet.default",  # factors of the transpose, for its gradient
    # What depends on places in memory, and what has results that are for gradients alone: tests of captures.
    "aten.as_strided.default",
    "aten.as_strided_copy.default",
    "aten.as_strided_scatter.default",
    "aten.embedding_bag.padding_idx",
    # What draws, which tests/registry/adapters/test_draws.py tests by distributions.
    "aten.rand.default",
    "aten.randn.default",
    "aten.rand_like.default",
    "aten.randn_like.default",
    "aten.randint.default",
    "aten.randint.low",
    "aten.randint_like.default",
    "aten.randint_like.low_dtype",
    "aten.randperm.default",
    "aten.uniform.default",
    "aten.normal_functional.default",
    "aten.exponential.default",
    "aten.log_normal.default",
    "aten.cauchy.default",
    "aten.geometric.default",
    "aten.random.to",
    "aten.bernoulli.default",
    "aten.bernoulli.p",
    "aten.bernoulli.Tensor",
    "aten.normal.float_float",
    "aten.normal.Tensor_float",
    "aten.normal.float_Tensor",
    "aten.normal.Tensor_Tensor",
    "aten.multinomial.default",
    "aten.rrelu.default",
}

"""Orthogonal polynomials, by the recurrences that define them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .....engine import ops
from .....engine.ops.creation import created, scalar
from .....engine.spec import broadcast_shapes
from .....errors import DTypeError
from .common import RULES, Array, dtype_of, is_array, promote, shape_of
from .shape import expand

# From k and the polynomials of degree k and k - 1, that of degree k + 1.
Step = Callable[[Array, Any, Array, Array], Array]


def _reads(name: str, first: Callable[[Array], Array], step: Step, limit: float = math.inf) -> None:
    """Enter the polynomial of which x and the degree are given; the degree is cut to a whole number, below 0 it is 0.

    Args:
        name: what PyTorch calls it.
        first: the polynomial of degree 1; that of degree 0 is 1.
        step: the recurrence.
        limit: the degree beyond which there is no number.
    """

    @RULES(*(f"aten.special_{name}.{overload}" for overload in ("default", "x_scalar", "n_scalar")))
    def rule(x: Any, n: Any) -> Array:
        from .....engine.control_flow import while_loop  # which stands above the operations

        x, n = promote(x, n, floating=True)
        like = x if is_array(x) else n
        dtype = dtype_of(like)
        x, n = (each if is_array(each) else scalar(float(each), dtype, like) for each in (x, n))
        if dtype not in ("float32", "float64"):
            raise DTypeError(f"{name}: expected float32 or float64, received {dtype}")
        shape = broadcast_shapes(shape_of(x), shape_of(n))
        x, n = expand(x, shape), ops.trunc(expand(n, shape))
        if 0 in shape:
            return x
        wanted = ops.max(n if limit == math.inf else ops.where(ops.less_equal(n, limit), n, 0.0))

        def goes_on(state: tuple[Array, ...]) -> Array:
            return ops.less(state[0], wanted)

        def advance(state: tuple[Array, ...]) -> tuple[Array, ...]:
            k, below, last = state
            after = step(x, k, last, below)
            more = ops.less(k, n)
            return k + 1.0, ops.where(more, last, below), ops.where(more, after, last)

        one = created(ops.full, x, shape=shape, fill_value=1.0, dtype=dtype)
        _, _, found = while_loop(goes_on, advance, (scalar(1.0, dtype, like), one, first(x)))
        found = ops.where(ops.equal(n, 0.0), one, found)
        found = ops.where(ops.less(n, 0.0), 0.0, found)
        return found if limit == math.inf else ops.where(ops.greater(n, limit), math.nan, found)


def _chebyshev(x: Array, k: Any, last: Array, below: Array) -> Array:
    return 2.0 * x * last - below


def _shifted(x: Array, k: Any, last: Array, below: Array) -> Array:
    return _chebyshev(2.0 * x - 1.0, k, last, below)


for _kind, _first in (
    ("t", lambda x: x),
    ("u", lambda x: 2.0 * x),
    ("v", lambda x: 2.0 * x - 1.0),
    ("w", lambda x: 2.0 * x + 1.0),
):
    _reads(f"chebyshev_polynomial_{_kind}", _first, _chebyshev)
    _reads(f"shifted_chebyshev_polynomial_{_kind}", lambda x, first=_first: first(2.0 * x - 1.0), _shifted)
# Beyond degree 128, PyTorch gives none in float32.
_reads("hermite_polynomial_h", lambda x: 2.0 * x, lambda x, k, last, below: 2.0 * x * last - 2.0 * k * below, limit=128)
_reads("hermite_polynomial_he", lambda x: x, lambda x, k, last, below: x * last - k * below, limit=128)
_reads(
    "laguerre_polynomial_l",
    lambda x: 1.0 - x,
    lambda x, k, last, below: ((2.0 * k + 1.0 - x) * last - k * below) / (k + 1.0),
)
_reads(
    "legendre_polynomial_p",
    lambda x: x,
    lambda x, k, last, below: ((2.0 * k + 1.0) * x * last - k * below) / (k + 1.0),
)

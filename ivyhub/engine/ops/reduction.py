"""Reductions over axes (Array API Standard 2025.12, "Statistical", "Searching" and "Utility functions").

``axis`` is an axis, a tuple of axes, or None for all. Sums of integers and truth values are of int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ..backends import is_integer
from ..dims import Size, product
from ..op import Array, Op, op
from ..spec import Spec, floating_specs, normalize_axes, reduced_shape, spec_of
from .elementwise import astype, exp, isfinite, log, logical_not, not_equal, sqrt, where
from .shape import reshape

Axis = int | tuple[int, ...] | None


def _reduced(x: Spec, *, axis: Axis = None, keepdims: bool = False, **_: Any) -> Spec:
    return Spec(reduced_shape(x.shape, axis, keepdims), x.dtype)


def _mean_spec(x: Spec, *, axis: Axis = None, keepdims: bool = False, **_: Any) -> Spec:
    return _reduced(floating_specs(x), axis=axis, keepdims=keepdims)


def _bool_spec(x: Spec, *, axis: Axis = None, keepdims: bool = False) -> Spec:
    return Spec(reduced_shape(x.shape, axis, keepdims), "bool")


def _index_spec(x: Spec, *, axis: int | None = None, keepdims: bool = False) -> Spec:
    return Spec(reduced_shape(x.shape, axis, keepdims), "int64")


def _sum_spec(x: Spec, *, axis: Axis = None, keepdims: bool = False) -> Spec:
    return Spec(reduced_shape(x.shape, axis, keepdims), _sum_dtype(x.dtype))


def _sum_dtype(dtype: str) -> str:
    return "int64" if dtype == "bool" or (is_integer(dtype) and dtype != "uint64") else dtype


def _widens(n: SimpleNamespace) -> bool:
    return _sum_dtype(n.x.dtype) != n.x.dtype


def _all_axes(n: SimpleNamespace) -> Mapping[str, Any]:
    """torch wants the axes by name where it keeps them."""
    return {"axis": tuple(range(n.x.ndim)) if n.axis is None and n.keepdims else n.axis}


def _lower_reduction(op: Op, method: str, torch: str | None = None, tensorflow: str | None = None) -> None:
    op.lower(("numpy", "jax"), f"{{x}}.{method}(axis={{axis}}, keepdims={{keepdims:False}})")
    op.lower("torch", f"{{x}}.{torch or method}(dim={{axis}}, keepdim={{keepdims:False}})", derive=_all_axes)
    name = tensorflow or f"tf.reduce_{method}"
    op.lower("tensorflow", f"{name}({{x}}, axis={{axis}}, keepdims={{keepdims:False}})")


# -- sums and products -----------------------------------------------------------------------------------------------


@op(rule=_sum_spec, primitive=True)
def sum(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Σ x; int64 for integers and truth values (uint64 stays)."""


sum.lower("tensorflow", "tf.reduce_sum(tf.cast({x}, tf.int64), axis={axis}, keepdims={keepdims:False})", when=_widens)
sum.lower("numpy", "{x}.sum(axis={axis}, dtype=np.int64, keepdims={keepdims:False})", when=_widens)
_lower_reduction(sum, "sum")


@op(rule=_sum_spec, primitive=True)
def prod(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Π x over one axis or all; int64 for integers and truth values (uint64 stays)."""


prod.lower("tensorflow", "tf.reduce_prod(tf.cast({x}, tf.int64), axis={axis}, keepdims={keepdims:False})", when=_widens)
prod.lower("numpy", "{x}.prod(axis={axis}, dtype=np.int64, keepdims={keepdims:False})", when=_widens)
prod.lower(
    "torch",
    "{x}.prod().reshape({shape})",
    when=lambda n: n.axis is None and n.keepdims,
    derive=lambda n: {"shape": (1,) * n.x.ndim},
)
_lower_reduction(prod, "prod")


def _cumulative_spec(x: Spec, *, axis: int) -> Spec:
    normalize_axes(axis, x.ndim)
    return x.with_dtype(_sum_dtype(x.dtype))


@op(rule=_cumulative_spec, primitive=True)
def cumulative_sum(x: Array, /, *, axis: int) -> Array:
    """Σ x over everything up to and with each place of an axis; int64 for integers and truth values (uint64 stays)."""


cumulative_sum.lower("torch", "{x}.cumsum(dim={axis})")
cumulative_sum.lower("tensorflow", "tf.cumsum(tf.cast({x}, tf.int64), axis={axis:0})", when=_widens)
cumulative_sum.lower("tensorflow", "tf.cumsum({x}, axis={axis:0})")
cumulative_sum.lower("numpy", "{x}.cumsum(axis={axis}, dtype=np.int64)", when=_widens)
cumulative_sum.lower(("numpy", "jax"), "{x}.cumsum(axis={axis})")


@op(rule=_cumulative_spec, primitive=True)
def cumulative_prod(x: Array, /, *, axis: int) -> Array:
    """Π x over everything up to and with each place of an axis; int64 for integers and truth values (uint64 stays)."""


cumulative_prod.lower("torch", "{x}.cumprod(dim={axis})")
cumulative_prod.lower("tensorflow", "tf.math.cumprod(tf.cast({x}, tf.int64), axis={axis:0})", when=_widens)
cumulative_prod.lower("tensorflow", "tf.math.cumprod({x}, axis={axis:0})")
cumulative_prod.lower("numpy", "{x}.cumprod(axis={axis}, dtype=np.int64)", when=_widens)
cumulative_prod.lower(("numpy", "jax"), "{x}.cumprod(axis={axis})")


@op(rule=_mean_spec, primitive=True)
def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Σ x / n, with n the number of elements."""


_lower_reduction(mean, "mean")


@op(rule=_mean_spec)
def var(x: Array, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Array:
    """Σ (x - mean(x))² / (n - correction), with n the number of elements."""
    centred = x - mean(x, axis=axis, keepdims=True)
    if correction == 0:
        return mean(centred * centred, axis=axis, keepdims=keepdims)
    return sum(centred * centred, axis=axis, keepdims=keepdims) / _count(x, axis, correction)


def _count(x: Array, axis: Axis, correction: float) -> Any:
    """The number of elements that a reduction takes together, less a correction: a number, or an array in a trace."""
    from .creation import scalar

    spec = spec_of(x)
    count: Size = product(spec.shape[i] for i in normalize_axes(axis, spec.ndim))
    if not isinstance(count, int):
        return scalar(count, spec.dtype) - float(correction)
    return count - correction if count > correction else 0  # not less: nothing over nothing is NaN


def _whole(n: SimpleNamespace) -> bool:
    return isinstance(n.correction, int)


var.lower(
    "torch", "{x}.var(dim={axis}, correction={correction:1}, keepdim={keepdims:False})", when=_whole, derive=_all_axes
)
var.lower(("numpy", "jax"), "{x}.var(axis={axis}, ddof={correction:0}, keepdims={keepdims:False})")
var.lower(
    "tensorflow",
    "tf.math.reduce_variance({x}, axis={axis}, keepdims={keepdims:False})",
    when=lambda n: n.correction == 0,
)


@op(rule=_mean_spec)
def std(x: Array, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Array:
    """√var(x)."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


std.lower(
    "torch", "{x}.std(dim={axis}, correction={correction:1}, keepdim={keepdims:False})", when=_whole, derive=_all_axes
)
std.lower(("numpy", "jax"), "{x}.std(axis={axis}, ddof={correction:0}, keepdims={keepdims:False})")
std.lower(
    "tensorflow", "tf.math.reduce_std({x}, axis={axis}, keepdims={keepdims:False})", when=lambda n: n.correction == 0
)


@op(rule=_mean_spec)
def logsumexp(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """log Σ exp(x), without overflow; -inf where every element is."""
    from .nn import stop_gradient

    largest = stop_gradient(max(x, axis=axis, keepdims=True))
    largest = where(isfinite(largest), largest, 0)
    total = log(sum(exp(x - largest), axis=axis, keepdims=True)) + largest
    return total if keepdims else reshape(total, shape=reduced_shape(spec_of(x).shape, axis, False))


logsumexp.lower(
    "torch",
    "{x}.logsumexp(dim={axis}, keepdim={keepdims:False})",
    derive=lambda n: {"axis": tuple(range(n.x.ndim)) if n.axis is None else n.axis},
)
logsumexp.lower("jax", "jax.nn.logsumexp({x}, axis={axis}, keepdims={keepdims:False})")
logsumexp.lower("tensorflow", "tf.reduce_logsumexp({x}, axis={axis}, keepdims={keepdims:False})")


# -- largest and smallest --------------------------------------------------------------------------------------------


@op(rule=_reduced, primitive=True)
def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element. Where several are, they share the gradient."""


_lower_reduction(max, "max", torch="amax")


@op(rule=_reduced, primitive=True)
def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element. Where several are, they share the gradient."""


_lower_reduction(min, "min", torch="amin")


def _lower_arg(op: Op, name: str) -> None:
    op.lower("numpy", f"{{x}}.{name}(axis={{axis}}, keepdims={{keepdims:False}})")
    op.lower("jax", f"{{x}}.{name}(axis={{axis}}, keepdims={{keepdims:False}})")
    op.lower("torch", f"{{x}}.{name}(dim={{axis}}, keepdim={{keepdims:False}})", when=lambda n: n.axis is not None)
    op.lower("torch", f"{{x}}.{name}()", when=lambda n: not n.keepdims)
    op.lower("torch", f"{{x}}.{name}().reshape({{shape}})", derive=lambda n: {"shape": (1,) * n.x.ndim})
    of_fractions: Any = {"dtypes": ("bfloat16", "float16", "float32", "float64")}  # nan comes before all others
    for function, kinds in ((f"support.{name}", of_fractions), (f"tf.{name}", {})):
        flat = f"{function}(tf.reshape({{x}}, [-1]))"
        along = f"{function}({{x}}, axis={{axis}})"
        op.lower("tensorflow", along, when=lambda n: n.axis is not None and not n.keepdims, **kinds)
        op.lower("tensorflow", f"tf.expand_dims({along}, {{axis}})", when=lambda n: n.axis is not None, **kinds)
        op.lower("tensorflow", flat, when=lambda n: not n.keepdims, **kinds)
        row = f"tf.reshape({flat}, {{shape}})"
        op.lower("tensorflow", row, derive=lambda n: {"shape": (1,) * n.x.ndim}, **kinds)


@op(rule=_index_spec, primitive=True)
def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the largest element stands first, as int64; in the flattened array for ``axis=None``."""


_lower_arg(argmax, "argmax")


@op(rule=_index_spec, primitive=True)
def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the smallest element stands first, as int64; in the flattened array for ``axis=None``."""


_lower_arg(argmin, "argmin")


_UINT64: Any = {"dtypes": ("uint64",), "derive": _all_axes}
for _op, _name in ((max, "amax"), (min, "amin")):
    _call = f"support.ordered({{x}}).{_name}(dim={{axis}}, keepdim={{keepdims:False}})"
    _op.lower("torch", f"support.unordered({_call})", **_UINT64)
for _op in (argmax, argmin):
    _op.lower(
        "torch", f"support.ordered({{x}}).{_op.name}(dim={{axis}}, keepdim={{keepdims:False}})", dtypes=("uint64",)
    )

# -- truth -----------------------------------------------------------------------------------------------------------


@op(rule=_bool_spec)
def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether one element or more is true (not zero)."""
    return max(astype(_truth(x), dtype="int32"), axis=axis, keepdims=keepdims) > 0


@op(rule=_bool_spec)
def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element is true (not zero)."""
    return logical_not(any(logical_not(_truth(x)), axis=axis, keepdims=keepdims))


def _truth(x: Array) -> Array:
    return x if spec_of(x).dtype == "bool" else not_equal(x, 0)


for _op in (any, all):
    _name = _op.name
    _op.lower(("numpy", "jax"), f"{{x}}.{_name}(axis={{axis}}, keepdims={{keepdims:False}})")
    _op.lower("torch", f"{{x}}.{_name}(dim={{axis}}, keepdim={{keepdims:False}})", derive=_all_axes)
    _op.lower(
        "tensorflow",
        f"tf.reduce_{_name}({{x}}, axis={{axis}}, keepdims={{keepdims:False}})",
        when=lambda n: n.x.dtype == "bool",
    )
    _op.lower("tensorflow", f"tf.reduce_{_name}({{x}} != 0, axis={{axis}}, keepdims={{keepdims:False}})")


@op
def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The number of elements that are not zero, as int64."""
    return sum(_truth(x), axis=axis, keepdims=keepdims)


count_nonzero.lower("jax", "jnp.count_nonzero({x}, axis={axis}, keepdims={keepdims:False})")
count_nonzero.lower("numpy", "np.count_nonzero({x}, axis={axis}, keepdims={keepdims:False})")

"""Arrays out of nothing (Array API Standard 2025.12, "Creation functions"). The dtype is always stated.

These take no array, so they run as ``full.on("torch", ...)``; in a trace they are recorded as they are called.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ...errors import ShapeError
from ..backends import framework_of
from ..dims import Dim, Size, floordiv
from ..op import Array, DType, Op, op
from ..spec import Spec

Number = Any  # bool | int | float | complex, or a symbolic size


def created(creation: Op, like: Array, /, **attributes: Any) -> Array:
    """What a creation makes, in the framework of an array beside which it will stand."""
    owner = framework_of(like)
    return creation(**attributes) if owner is None else creation.on(owner, **attributes)


def scalar(value: Number, dtype: str, like: Array | None = None) -> Array:
    """A number or symbolic size as an array without axes."""
    return created(full, like, shape=(), fill_value=value, dtype=dtype)


def _of(value: Number) -> Any:
    def holds(n: SimpleNamespace) -> bool:
        return not isinstance(n.fill_value, Dim) and n.fill_value == value and str(n.fill_value)[0] != "-"  # -0.0

    return holds


@op(rule=lambda *, shape, fill_value, dtype: Spec(tuple(shape), dtype), primitive=True)
def full(*, shape: tuple[Size, ...], fill_value: Number, dtype: DType = "float32") -> Array:
    """An array of one number."""


for _value, _name in ((0, "zeros"), (1, "ones")):
    full.lower("torch", f"torch.{_name}({{shape}}, dtype={{dtype:torch.float32}}, device={{device}})", when=_of(_value))
    full.lower("jax", f"jnp.{_name}({{shape}}, dtype={{dtype:jnp.float32}})", when=_of(_value))
    full.lower("tensorflow", f"tf.{_name}({{shape}}, dtype={{dtype:tf.float32}})", when=_of(_value))
    full.lower("numpy", f"np.{_name}({{shape}}, dtype={{dtype:np.float64}})", when=_of(_value))
full.lower("torch", "torch.full({shape}, {fill_value}, dtype={dtype}, device={device})")
full.lower("jax", "jnp.full({shape}, {fill_value}, dtype={dtype})")
full.lower(
    "tensorflow",
    "-tf.zeros({shape}, dtype={dtype})",  # its cache of scalars takes -0.0 for 0.0
    when=lambda n: repr(n.fill_value) == "-0.0",
)
full.lower(  # a size may be a tensor
    "tensorflow",
    "tf.cast({fill_value}, {dtype})",
    when=lambda n: isinstance(n.fill_value, Dim) and n.shape == (),
)
full.lower(
    "tensorflow", "tf.fill({shape}, tf.cast({fill_value}, {dtype}))", when=lambda n: isinstance(n.fill_value, Dim)
)
full.lower("tensorflow", "tf.fill({shape}, tf.constant({fill_value}, dtype={dtype}))")
full.lower("numpy", "np.full({shape}, {fill_value}, dtype={dtype})")


def _arange_spec(*, start: Number, stop: Number, step: Number, dtype: str) -> Spec:
    if step == 0:
        raise ShapeError("expected a step other than 0")
    values = (start, stop, step)
    if not any(isinstance(value, Dim) for value in values):
        return Spec((max(0, -int((start - stop) // step)),), dtype)
    if any(isinstance(value, float) for value in values) or isinstance(step, Dim):
        raise ShapeError(f"expected whole numbers beside symbolic sizes, received {values}")
    sign = 1 if step > 0 else -1
    length = (stop - start) * sign
    return Spec((floordiv(length + abs(step) - 1, abs(step)) if abs(step) != 1 else length,), dtype)


@op(rule=_arange_spec, primitive=True)
def arange(*, start: Number = 0, stop: Number, step: Number = 1, dtype: DType = "int64") -> Array:
    """start, start + step, ... up to but without stop."""


def _from_zero(n: SimpleNamespace) -> bool:
    return n.start == 0 and n.step == 1


arange.lower("torch", "torch.arange({stop}, dtype={dtype:torch.int64}, device={device})", when=_from_zero)
arange.lower("torch", "torch.arange({start}, {stop}, {step:1}, dtype={dtype:torch.int64}, device={device})")
arange.lower("jax", "jnp.arange({stop}, dtype={dtype:jnp.int32})", when=_from_zero)
arange.lower("jax", "jnp.arange({start}, {stop}, {step:1}, dtype={dtype:jnp.int32})")
arange.lower("numpy", "np.arange({stop}, dtype={dtype:np.int64})", when=_from_zero)
arange.lower("numpy", "np.arange({start}, {stop}, {step:1}, dtype={dtype:np.int64})")
arange.lower("tensorflow", "tf.range({stop}, dtype={dtype})", when=_from_zero)
arange.lower("tensorflow", "tf.range({start}, {stop}, {step:1}, dtype={dtype})")


@op(rule=lambda *, start, stop, num, dtype: Spec((num,), dtype), primitive=True)
def linspace(*, start: float, stop: float, num: int, dtype: DType = "float32") -> Array:
    """``num`` numbers from start to stop, both among them, at equal distances."""


linspace.lower("torch", "torch.linspace({start}, {stop}, {num}, dtype={dtype}, device={device})")
linspace.lower("jax", "jnp.linspace({start}, {stop}, {num}, dtype={dtype})")
linspace.lower("numpy", "np.linspace({start}, {stop}, {num}, dtype={dtype})")
linspace.lower("tensorflow", "tf.cast(tf.linspace({start}, {stop}, {num}), {dtype})")


@op(rule=lambda *, n_rows, n_cols, dtype: Spec((n_rows, n_rows if n_cols is None else n_cols), dtype), primitive=True)
def eye(*, n_rows: Size, n_cols: Size | None = None, dtype: DType = "float32") -> Array:
    """Ones on the diagonal of a matrix, zeros elsewhere."""


eye.lower("torch", "torch.eye({n_rows}, dtype={dtype}, device={device})", when=lambda n: n.n_cols is None)
eye.lower("torch", "torch.eye({n_rows}, {n_cols}, dtype={dtype}, device={device})")
eye.lower("jax", "jnp.eye({n_rows}, {n_cols}, dtype={dtype})")
eye.lower("numpy", "np.eye({n_rows}, {n_cols}, dtype={dtype})")
eye.lower("tensorflow", "tf.eye({n_rows}, {n_cols}, dtype={dtype})")

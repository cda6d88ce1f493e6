"""Draws of a model: random numbers of no key, which each call of an exported module takes from its own stream.

A graph holds a draw where its source drew by hidden state, as PyTorch does. An export takes the numbers as its
framework keeps them: from ``rngs`` of a Flax module, the seed generator of a Keras layer, or the state of PyTorch and
NumPy. Code of the engine itself has keys: see `engine.random`.
"""

from __future__ import annotations

from ...errors import DTypeError, ShapeError
from ..backends import is_floating, is_integer
from ..dims import Size
from ..op import Array, DType, op
from ..spec import Spec

#: The operations of this file: no two runs of one are the same.
DRAWS = frozenset({"draw_uniform", "draw_normal", "draw_integers"})


def _floating(*, shape: tuple[Size, ...], dtype: str) -> Spec:
    if not is_floating(dtype):
        raise DTypeError(f"expected a floating-point dtype for random numbers, received {dtype}")
    return Spec(tuple(shape), dtype)


@op(rule=_floating, primitive=True)
def draw_uniform(*, shape: tuple[Size, ...] = (), dtype: DType = "float32") -> Array:
    """Uniform random numbers of a model's own stream, 0 <= x < 1."""


draw_uniform.lower("torch", "torch.rand({shape}, dtype={dtype:torch.float32}, device={device})")
draw_uniform.lower("jax", "jax.random.uniform({rngs}, {shape}, {dtype:jnp.float32})")
draw_uniform.lower("tensorflow", "keras.random.uniform({shape}, dtype={dtype}, seed={rngs})")
draw_uniform.lower("numpy", "np.asarray(np.random.random({shape}), dtype={dtype})")


@op(rule=_floating, primitive=True)
def draw_normal(*, shape: tuple[Size, ...] = (), dtype: DType = "float32") -> Array:
    """Standard normal random numbers of a model's own stream."""


draw_normal.lower("torch", "torch.randn({shape}, dtype={dtype:torch.float32}, device={device})")
draw_normal.lower("jax", "jax.random.normal({rngs}, {shape}, {dtype:jnp.float32})")
draw_normal.lower("tensorflow", "keras.random.normal({shape}, dtype={dtype}, seed={rngs})")
draw_normal.lower("numpy", "np.asarray(np.random.standard_normal({shape}), dtype={dtype})")


def _integers(*, shape: tuple[Size, ...], low: int, high: int, dtype: str) -> Spec:
    if not is_integer(dtype):
        raise DTypeError(f"expected an integer dtype for random integers, received {dtype}")
    if not low < high:
        raise ShapeError(f"expected low < high, received {low} and {high}")
    return Spec(tuple(shape), dtype)


@op(rule=_integers, primitive=True)
def draw_integers(*, shape: tuple[Size, ...] = (), low: int = 0, high: int, dtype: DType = "int64") -> Array:
    """Uniform random integers of a model's own stream, low <= x < high."""


draw_integers.lower("torch", "torch.randint({low:0}, {high}, {shape}, dtype={dtype:torch.int64}, device={device})")
draw_integers.lower("jax", "jax.random.randint({rngs}, {shape}, {low}, {high}, {dtype:jnp.int32})")
draw_integers.lower("tensorflow", "keras.random.randint({shape}, {low}, {high}, dtype={dtype}, seed={rngs})")
draw_integers.lower("numpy", "np.random.randint({low}, {high}, {shape}, dtype={dtype})")

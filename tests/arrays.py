"""Arrays in tests: NumPy's as a framework's and back, and how two results are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from ivyhub.engine.backends import framework_of

DTYPE_NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


def native(owner: str, leaf: Any, *, precise: bool = False) -> Any:
    """A NumPy array as an array of a framework, float32 unless precise."""
    if not isinstance(leaf, np.ndarray | np.generic):
        return leaf
    if leaf.dtype.name in ("float64", "complex128") and not precise:
        leaf = leaf.astype(DTYPE_NARROW[leaf.dtype.name])
    if owner == "numpy":
        return leaf
    if owner == "torch":
        import torch

        return torch.tensor(leaf)
    if owner == "jax":
        import jax.numpy as jnp

        return jnp.asarray(leaf, dtype=DTYPE_NARROW.get(leaf.dtype.name, leaf.dtype))
    import tensorflow as tf

    return tf.constant(leaf)


def as_numpy(leaf: Any) -> Any:
    if framework_of(leaf) == "torch":
        return leaf.detach().resolve_conj().numpy()
    return np.asarray(leaf) if framework_of(leaf) else leaf


def several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def assert_close(found: Any, wanted: Any, tolerance: float, what: str = "") -> None:
    """Floating numbers agree to a tolerance of the largest of their array, or of one; all else is equal.

    A sum in another order differs by the rounding of its largest terms, however small they leave the sum: an element
    that cancels has no relative accuracy.
    """
    found, wanted = several(found), several(wanted)
    assert len(found) == len(wanted), what
    for a, b in zip(found, wanted, strict=True):
        a, b = np.asarray(as_numpy(a)), np.asarray(as_numpy(b))
        assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
        if b.dtype.kind in "fc" and b.size:
            finite = np.isfinite(b)
            scale = max(1.0, np.abs(b[finite]).max(initial=0.0))
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=what)
        else:
            np.testing.assert_array_equal(a, b, err_msg=what)

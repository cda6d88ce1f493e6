"""What a model is called with, as data: names, shapes, dtypes and ranges, and random arrays that fit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from ivyhub.errors import UsageError


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One array input.

    Attributes:
        name: the argument of the model.
        shape: sizes; a name is a size of the caller's choice, the same wherever it stands.
        dtype: ivyhub's name of its dtype.
        low, high: its values lie in [low, high).
        pad: the id that stands for no token, where the input has one.
        mask: it says by 1 and 0 which positions count.
        ordered: its last axis is ascending, as the corners of a box are.

    Example:
        >>> ids = InputSpec("input_ids", ("batch", "length"), "int64", 0, 1000, pad=0)
        >>> ids.dynamic
        {0: 'batch', 1: 'length'}
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    low: float
    high: float
    pad: int | None = None
    mask: bool = False
    ordered: bool = False

    @property
    def dynamic(self) -> dict[int, str]:
        """The name of each size that varies, by axis."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape with numbers for names. Raises `UsageError` for a size that is not given."""
        try:
            return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)
        except KeyError as error:
            raise UsageError(f"expected the size {error} of {self.name!r}, received {dict(sizes)}") from None


def random_inputs(
    specs: Sequence[InputSpec], sizes: Mapping[str, int], rng: np.random.Generator, *, padded: bool = False
) -> dict[str, np.ndarray]:
    """Random arrays that fit the specs.

    Args:
        specs: the inputs of a model.
        sizes: a number for each name in their shapes.
        rng: where the values come from.
        padded: end each row of a mask with zeros, at random lengths, the last row with zeros alone; ids there are
            the pad id. Without it masks are full.

    Example:
        >>> ids = InputSpec("input_ids", ("batch", "length"), "int64", 5, 9, pad=0)
        >>> mask = InputSpec("attention_mask", ("batch", "length"), "int64", 0, 2, mask=True)
        >>> made = random_inputs([ids, mask], {"batch": 2, "length": 3}, np.random.default_rng(0), padded=True)
        >>> made["attention_mask"][-1], made["input_ids"][-1]
        (array([0, 0, 0]), array([0, 0, 0]))
    """
    made: dict[str, np.ndarray] = {}
    kept: dict[tuple[int, ...], np.ndarray] = {}
    for spec in specs:
        shape = spec.sized(sizes)
        if spec.mask:
            if padded and shape not in kept:
                lengths = rng.integers(1, shape[-1] + 1, shape[:-1])
                lengths[-1] = 0
                kept[shape] = np.arange(shape[-1]) < lengths[..., None]
            made[spec.name] = kept.get(shape, np.ones(shape, bool)).astype(spec.dtype)
        elif "float" in spec.dtype:
            made[spec.name] = rng.uniform(spec.low, spec.high, shape).astype(spec.dtype)
        elif "complex" in spec.dtype:
            real, imag = rng.uniform(spec.low, spec.high, (2, *shape))
            made[spec.name] = (real + 1j * imag).astype(spec.dtype)
        else:
            made[spec.name] = rng.integers(int(spec.low), max(int(spec.high), int(spec.low) + 1), shape).astype(
                spec.dtype
            )
        if spec.ordered:
            made[spec.name].sort(axis=-1)
    for spec in specs:
        if spec.pad is not None and (counted := kept.get(made[spec.name].shape)) is not None:
            made[spec.name] = np.where(counted, made[spec.name], spec.pad).astype(spec.dtype)
    return made

"""Two versions side by side: structure, configuration, weights.

Both stand on the same graph, whatever their frameworks were: tensors are compared under the names and in the layouts
of the graph's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np

from ivyhub.engine.passes.difference import differences
from ivyhub.registry import conversion, versions
from ivyhub.registry.files import Digest
from ivyhub.registry.manifest import Version
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.store import Store
from ivyhub.registry.weights import PlannedTensor, WeightMap

# Numbers of a tensor that are compared at a time, as float64.
_CHUNK = 1 << 18


class TensorDifference(msgspec.Struct, frozen=True):
    """One tensor in two versions.

    Attributes:
        name: that of the graph's parameter.
        status: ``changed``, too where only the dtype or the shape did.
        first, second: dtype and shape, as ``float32[3, 4]``; "" where it is not there.
        norm: the Euclidean norm of the change; None where the shapes differ, or one is not there.
        relative: that norm over the norm of the first; infinite where the first is all zeros.
    """

    name: str
    status: Literal["equal", "changed", "added", "removed"]
    first: str
    second: str
    norm: float | None = None
    relative: float | None = None


class Difference(msgspec.Struct, frozen=True):
    """Where two versions differ.

    Attributes:
        first, second: the versions.
        structure: where their graphs differ, a line each.
        configuration: setting -> its two values; None where it is not there.
        tensors: every tensor, in the order of the first.
    """

    first: Digest
    second: Digest
    structure: list[str]
    configuration: dict[str, tuple[Any, Any]]
    tensors: list[TensorDifference]

    @property
    def same(self) -> bool:
        """Whether they compute the same with the same weights."""
        return not self.structure and not self.configuration and all(each.status == "equal" for each in self.tensors)


def difference(store: Store, first: str, second: str, *, progress: Progress = SILENT) -> Difference:
    """Compare two versions of the registry.

    Args:
        store: the registry.
        first: the one, as `Refs.resolve` takes it.
        second: the other.
        progress: hears of the bytes that are compared.

    Raises:
        UnknownNameError: the registry has no such model or version.
        CorruptFileError: one of them is damaged.
    """
    digests = [store.refs.resolve(reference) for reference in (first, second)]
    one, other = (store.version(digest) for digest in digests)
    models = [conversion.model_as_kept(store, version) for version in (one, other)]
    with (
        progress.stage("compare"),
        versions.open_weights(store, one) as weights,
        versions.open_weights(store, other) as others,
    ):
        planned = [
            {tensor.info.name: tensor for tensor in WeightMap(model.recipe.weights).apply(checkpoint)}
            for model, checkpoint in zip(models, (weights, others), strict=True)
        ]
        total = sum(tensor.info.nbytes for tensor in planned[0].values())
        tensors = []
        for name in dict.fromkeys((*planned[0], *planned[1])):
            tensors.append(_compare(name, planned[0].get(name), planned[1].get(name)))
            if name in planned[0]:
                progress.advance(planned[0][name].info.nbytes, total)
    structure = differences(models[0].graph, models[1].graph) if one.graph != other.graph else []
    return Difference(digests[0], digests[1], structure, _configuration(store, one, other), tensors)


def _compare(name: str, first: PlannedTensor | None, second: PlannedTensor | None) -> TensorDifference:
    if first is None or second is None:
        status = "added" if first is None else "removed"
        return TensorDifference(name, status, _told(first), _told(second))
    told = _told(first), _told(second)
    if first.info.shape != second.info.shape:
        return TensorDifference(name, "changed", *told)
    if first.info == second.info and first.passthrough is not None and first.passthrough == second.passthrough:
        return TensorDifference(name, "equal", *told)  # the same bytes of the same file
    equal = first.info.dtype == second.info.dtype
    change = size = 0.0
    for one, other in _chunks(first.read(), second.read()):
        equal = equal and one.tobytes() == other.tobytes()
        kind = complex if one.dtype.kind == "c" else float
        one, other = one.astype(kind), other.astype(kind)
        change += float(np.sum(np.abs(one - other) ** 2))
        size += float(np.sum(np.abs(one) ** 2))
    norm, scale = math.sqrt(change), math.sqrt(size)
    relative = norm / scale if scale else (math.inf if norm else 0.0)
    return TensorDifference(name, "equal" if equal else "changed", *told, norm, relative)


def _chunks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two arrays of one shape, a part of the first axis at a time, and of the next where that is too much."""
    if first.ndim and len(first) and first[0].size > _CHUNK:
        for one, other in zip(first, second, strict=True):
            yield from _chunks(one, other)
    elif first.ndim and len(first):
        step = max(1, _CHUNK // max(1, first[0].size))
        for start in range(0, len(first), step):
            yield first[start : start + step], second[start : start + step]
    else:
        yield first, second


def _told(tensor: PlannedTensor | None) -> str:
    return "" if tensor is None else f"{tensor.info.dtype}[{', '.join(map(str, tensor.info.shape))}]"


def _configuration(store: Store, first: Version, second: Version) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configurations differ; a nested one under its path."""
    one, other = (
        {} if version.config is None else dict(_flat(msgspec.json.decode(store.read(version.config.digest))))
        for version in (first, second)
    )
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key) or (key in one) != (key in other)
    }


def _flat(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, settings

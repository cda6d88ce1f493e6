"""A checkpoint whose tensors have other names and layouts, made one at a time when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
import numpy as np

from ivyhub.registry.checkpoints.mapped import FormatCheckpoint, Stored
from ivyhub.registry.weights.checkpoint import Location
from ivyhub.registry.weights.header import TensorInfo
from ivyhub.registry.weights.lazy import PlannedTensor, Reader
from ivyhub.registry.weights.rules import WeightMap


class RenamedCheckpoint(FormatCheckpoint):
    """What a map makes of a checkpoint, as a checkpoint.

    Args:
        ckpt: holds the sources; stays open as long as this one.
        weights: the map.
        zeros: names of counters beside its tensors, which are integers of zero.
        repeated: further names, each with the one that it repeats.
        separator: between the parts of the new names.
        metadata: the strings that it carries.

    Raises:
        TensorMismatchError: the map does not fit the checkpoint.
    """

    def __init__(
        self,
        ckpt: FormatCheckpoint,
        weights: WeightMap,
        *,
        zeros: Iterable[str] = (),
        repeated: Mapping[str, str] = MappingProxyType({}),
        separator: str,
        metadata: Mapping[str, str],
    ) -> None:
        counters = [
            PlannedTensor(TensorInfo(name, "int64", ()), Reader(lambda: np.zeros((), np.int64)), None) for name in zeros
        ]
        self._planned = {tensor.info.name: tensor for tensor in (*weights.apply(ckpt), *counters)}
        for name, original in repeated.items():
            planned = self._planned[original]
            self._planned[name] = planned._replace(info=msgspec.structs.replace(planned.info, name=name))
        super().__init__(
            ckpt.format,
            [Stored(tensor.info, tensor.read) for tensor in self._planned.values()],
            ckpt.files,
            metadata=metadata,
            values=ckpt.values_beside,
            unreadable=ckpt.unreadable,
            separator=separator,
            keep=ckpt,
        )

    def location(self, name: str) -> Location | None:
        self._open(name)
        match self._planned[name].passthrough:
            case (place,):
                return place
            case _:
                return None

    def release(self, name: str) -> None:
        self._open(name)
        self._planned[name].read.release()

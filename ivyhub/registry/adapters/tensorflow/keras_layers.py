"""Keras's layers as leaf layers of graphs: `read_layer` gives the leaf that a live layer is, and where its arrays go.

Keras has the channels of images last, leaf layers have them first; the transposes between them meet and vanish. An
activation is no part of a leaf: its operations are read after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....engine import ops
from ....engine.backends import is_integer
from ....engine.graph import Value
from ....engine.layer import Layer, find_layer
from ....engine.stateful.dropout import dropped
from ..carried import is_carried
from .original import as_is
from .rules.common import channels_first, channels_last

Arrange = Callable[[np.ndarray], np.ndarray]


@dataclass
class Reading:
    """A live layer as a leaf layer.

    Attributes:
        layer: the name of the leaf.
        config: its fields.
        weights: Keras's variable for each of its arrays, with the way from its layout to the leaf's.
        before: what is done to the layer's input.
        after: what is done to the leaf's result, or to the tuple of several.
    """

    layer: str
    config: dict[str, Any]
    weights: Mapping[str, tuple[Any, Arrange]] = field(default_factory=dict[str, tuple[Any, Arrange]])
    before: Callable[[Value], Value] = as_is
    after: Callable[[Any], Any] = as_is

    @property
    def leaf(self) -> Layer:
        """The leaf layer itself."""
        kind = find_layer(self.layer)
        assert kind is not None
        return kind(**self.config)


def read_layer(layer: Any, x: Any) -> Reading | None:
    """The leaf that a built layer is for an input, a tensor of a graph; None for any other layer.

    A subclass counts only while it keeps the layer's own ``call``, or where it is the one that exports carry.
    """
    if layer.compute_dtype != layer.variable_dtype or getattr(layer, "lora_enabled", False):
        return None
    if is_carried(type(layer), "keras"):
        return _batch_norm(layer, x, unbiased=True)
    for kind in type(layer).__mro__:
        if kind.__name__ in LEAVES and kind.__module__.startswith("keras."):
            return LEAVES[kind.__name__](layer, x) if type(layer).call is kind.call else None
    return None


def _biased(layer: Any, weights: dict[str, tuple[Any, Arrange]]) -> dict[str, tuple[Any, Arrange]]:
    return weights | ({"bias": (layer.bias, as_is)} if layer.use_bias else {})


def _dense(layer: Any, x: Any) -> Reading | None:
    if layer.quantization_mode is not None:
        return None
    size, units = layer.kernel.shape
    config = {"in_features": size, "out_features": units, "use_bias": layer.use_bias}
    return Reading("Linear", config, _biased(layer, {"weight": (layer.kernel, np.transpose)}))


def _embedding(layer: Any, x: Any) -> Reading | None:
    if layer.quantization_mode is not None or not is_integer(x.dtype.name):
        return None
    config = {"num_embeddings": layer.input_dim, "embedding_dim": layer.output_dim, "padding_idx": None}
    return Reading("Embedding", config, {"weight": (layer.embeddings, as_is)})


def _layer_norm(layer: Any, x: Any) -> Reading | None:
    axes = [axis % x.shape.rank for axis in (layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis])]
    if axes != list(range(x.shape.rank - len(axes), x.shape.rank)) or getattr(layer, "rms_scaling", False):
        return None
    config = {
        "normalized_shape": tuple(x.shape[axis] for axis in axes),
        "eps": layer.epsilon,
        "use_weight": layer.scale,
        "use_bias": layer.center,
    }
    weights = {"weight": layer.gamma} if layer.scale else {}
    weights |= {"bias": layer.beta} if layer.center else {}
    return Reading("LayerNorm", config, {name: (variable, as_is) for name, variable in weights.items()})


def _norm_weights(layer: Any) -> dict[str, tuple[Any, Arrange]]:
    return {"weight": (layer.gamma, as_is), "bias": (layer.beta, as_is)} if layer.scale else {}


def _group_norm(layer: Any, x: Any) -> Reading | None:
    channels = x.shape[-1]
    if layer.axis % x.shape.rank != x.shape.rank - 1 or layer.scale != layer.center or channels is None:
        return None
    groups = channels if layer.groups == -1 else layer.groups
    config = {"num_groups": groups, "num_channels": channels, "eps": layer.epsilon, "affine": layer.scale}
    return Reading("GroupNorm", config, _norm_weights(layer), channels_first, channels_last)


def _batch_norm(layer: Any, x: Any, *, unbiased: bool = False) -> Reading | None:
    rank = x.shape.rank
    if layer.axis % rank != rank - 1 or layer.scale != layer.center or rank not in (2, 3, 4, 5):
        return None
    config = {
        "num_features": x.shape[-1],
        "eps": layer.epsilon,
        "momentum": round(1 - layer.momentum, 12),
        "affine": layer.scale,
        "track_running_stats": True,
        "spatial_rank": max(rank - 2, 1),
        "unbiased": unbiased,
    }
    weights = _norm_weights(layer) | {
        "running_mean": (layer.moving_mean, as_is),
        "running_var": (layer.moving_variance, as_is),
    }
    if rank == 2:
        return Reading("BatchNorm", config, weights)
    return Reading("BatchNorm", config, weights, channels_first, channels_last)


def _dropout(layer: Any, x: Any) -> Reading | None:
    return Reading("Dropout", {"rate": layer.rate}) if layer.noise_shape is None else None


# -- convolution -----------------------------------------------------------------------------------------------------


def _pads(layer: Any, x: Any) -> tuple[tuple[int, int], ...] | None:
    """What is padded before and after each spatial axis; None where that depends on a size that varies."""
    if layer.padding == "valid":
        return ((0, 0),) * layer.rank
    found: list[tuple[int, int]] = []
    for size, kernel, step, dilation in zip(
        x.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = (kernel - 1) * dilation
        if layer.padding == "causal":
            found.append((reach, 0))
            continue
        if step != 1 and size is None:
            return None
        total = reach if step == 1 else max((math.ceil(size / step) - 1) * step + reach + 1 - size, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


def _conv_reading(layer: Any, x: Any, outs: int, groups: int, weight: tuple[Any, Arrange]) -> Reading | None:
    pads = _pads(layer, x)
    if layer.data_format != "channels_last" or pads is None or x.shape[-1] is None:
        return None
    even = all(before == after for before, after in pads)
    config = {
        "in_channels": x.shape[-1],
        "out_channels": outs,
        "kernel_size": tuple(layer.kernel_size),
        "strides": tuple(layer.strides),
        "padding": pads if even else ((0, 0),) * layer.rank,
        "dilation": tuple(layer.dilation_rate),
        "groups": groups,
        "use_bias": layer.use_bias,
    }

    def padded(value: Value) -> Value:  # a layer pads both sides alike, what is uneven stands before it
        value = channels_first(value)
        return value if even else ops.pad(value, padding=((0, 0), (0, 0), *pads))

    return Reading("Conv", config, _biased(layer, {"weight": weight}), padded, channels_last)


def _conv(layer: Any, x: Any) -> Reading | None:
    rank = layer.rank
    order = (rank + 1, rank, *range(rank))
    return _conv_reading(layer, x, layer.filters, layer.groups, (layer.kernel, lambda a: np.transpose(a, order)))


def _depthwise_conv(layer: Any, x: Any) -> Reading | None:
    rank = layer.rank
    *size, channels, multiplier = layer.kernel.shape
    outs = channels * multiplier

    def arrange(kernel: np.ndarray) -> np.ndarray:
        return np.transpose(kernel, (rank, rank + 1, *range(rank))).reshape(outs, 1, *size)

    return _conv_reading(layer, x, outs, channels, (layer.kernel, arrange))


def read_noise(layer: Any, x: Any) -> Callable[..., Any] | None:
    """What computes a dropout of whole parts of its input, examples or channels; None for any other layer."""
    kinds = {kind.__name__ for kind in type(layer).__mro__ if kind.__module__.startswith("keras.")}
    if "Dropout" not in kinds or not type(layer).__module__.startswith("keras.") or not layer.rate:
        return None
    if "BaseSpatialDropout" in kinds:
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return None
        noise = (None, *(1,) * (x.shape.rank - 2), None)
    elif layer.noise_shape is not None:
        noise = tuple(layer.noise_shape)
    else:
        return None

    def run(x: Value) -> tuple[Value, ...]:
        shape = [size if given is None else given for given, size in zip(noise, x.shape, strict=True)]
        return (dropped(x, layer.rate, shape),)

    return run


# -- recurrent layers --------------------------------------------------------------------------------------------------


def _activations(layer: Any) -> tuple[str | None, str | None]:
    """The names of a recurrent layer's activations, its own and that of its gates."""
    found = (getattr(layer, name, None) for name in ("activation", "recurrent_activation"))
    own, gates = (getattr(each, "__name__", None) for each in found)
    return own, gates


def _is_usual(layer: Any, x: Any) -> bool:
    """Whether a recurrent layer runs over all steps of a sequence of known length, from zeros, and drops nothing."""
    masked = getattr(x, "_keras_mask", None) is not None
    drops = layer.dropout or layer.recurrent_dropout
    return not masked and not layer.stateful and not drops and x.shape[1] is not None and x.shape[2] is not None


def _recurrence(layer: Any, x: Any, kind: str, **more: Any) -> Reading | None:
    if not _is_usual(layer, x):
        return None
    arrays = {
        "weight_ih_l0": (layer.cell.kernel, np.transpose),
        "weight_hh_l0": (layer.cell.recurrent_kernel, np.transpose),
    }
    config = {
        "input_size": x.shape[2],
        "hidden_size": layer.units,
        "use_bias": layer.use_bias,
        "recurrent_bias": False,
        "batch_first": True,
        **more,
    }
    return Reading(
        kind,
        config,
        arrays | ({"bias_ih_l0": (layer.cell.bias, as_is)} if layer.use_bias else {}),
        (lambda x: ops.flip(x, axis=1)) if layer.go_backwards else as_is,
        lambda found: _returned(layer, *found),
    )


def _returned(layer: Any, y: Value, *states: Value) -> tuple[Value, ...]:
    """What a recurrent layer of Keras returns of what it computes."""
    last = [ops.getitem(each, key=(0,)) for each in states]
    first = y if layer.return_sequences else last[0]
    return (first, *last) if layer.return_state else (first,)


def _lstm(layer: Any, x: Any) -> Reading | None:
    return _recurrence(layer, x, "LSTM") if _activations(layer) == ("tanh", "sigmoid") else None


def _simple_rnn(layer: Any, x: Any) -> Reading | None:
    activation, _ = _activations(layer)
    return _recurrence(layer, x, "RNN", activation=activation) if activation in ("tanh", "relu") else None


def _gru(layer: Any, x: Any) -> Reading | None:
    """Its gates are update, reset, new in Keras; those of a leaf are reset, update, new."""
    found = _recurrence(layer, x, "GRU") if _activations(layer) == ("tanh", "sigmoid") and layer.reset_after else None
    if found is None:
        return None

    def gates(rows: np.ndarray) -> np.ndarray:
        update, reset, new = np.split(rows, 3)
        return np.concatenate([reset, update, new])

    cell, weights = layer.cell, dict(found.weights)
    for name, kernel in (("weight_ih_l0", cell.kernel), ("weight_hh_l0", cell.recurrent_kernel)):
        weights[name] = kernel, lambda array: gates(array.T)
    for place, name in enumerate(("bias_ih_l0", "bias_hh_l0") if layer.use_bias else ()):
        weights[name] = cell.bias, lambda array, place=place: gates(array[place])
    return replace(found, config=found.config | {"recurrent_bias": True}, weights=weights)


LEAVES: Mapping[str, Callable[[Any, Any], Reading | None]] = {
    "Dense": _dense,
    "Embedding": _embedding,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "BaseConv": _conv,
    "BaseDepthwiseConv": _depthwise_conv,
    "Conv1D": _conv,
    "LSTM": _lstm,
    "GRU": _gru,
    "SimpleRNN": _simple_rnn,
}

"""Leaf layers of Flax, read: live layers of NNX and Linen as leaf layers of `ivyhub.engine.stateful.layers`.

Layers of channels have them last in Flax; as leaf layers they have them second, between two transposes. A reader is
given the live layer and its input, and returns the leaf layer with its fields; None where the leaf cannot say what the
layer does, whose operations are read instead. Both kinds of Flax call their settings by the same words.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..carried import is_carried

Reading = tuple[str, dict[str, Any]]

_CELL: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "weight_ih_l0": ("cell.dense_i.kernel", (1, 0)),
    "weight_hh_l0": ("cell.dense_h.kernel", (1, 0)),
}

#: For each leaf layer, the names and the order of the axes that its arrays have in Flax.
ARRAYS: dict[str, Callable[[int], dict[str, tuple[str, tuple[int, ...] | None]]]] = {
    "Linear": lambda ndim: {"weight": ("kernel", (1, 0)), "bias": ("bias", None)},
    "Conv": lambda ndim: {"weight": ("kernel", (ndim - 1, ndim - 2, *range(ndim - 2))), "bias": ("bias", None)},
    "Embedding": lambda ndim: {"weight": ("embedding", None)},
    "LayerNorm": lambda ndim: {"weight": ("scale", None), "bias": ("bias", None)},
    "GroupNorm": lambda ndim: {"weight": ("scale", None), "bias": ("bias", None)},
    "BatchNorm": lambda ndim: {
        "weight": ("scale", None),
        "bias": ("bias", None),
        "running_mean": ("mean", None),
        "running_var": ("var", None),
    },
    "Dropout": lambda ndim: {},
    "LSTM": lambda ndim: _CELL | {"bias_ih_l0": ("cell.dense_h.bias", None)},
    "GRU": lambda ndim: _CELL | {"bias_ih_l0": ("cell.dense_i.bias", None)},
}


def _plain(layer: Any, x: Any) -> bool:
    """Whether a layer computes in the dtype of its parameters and of its input, with JAX's own products."""
    own = ("dot_general", "dot_general_cls", "conv_general_dilated", "conv_general_dilated_cls", "axis_name", "mask")
    for name in own:
        found = getattr(layer, name, None)
        if found is not None and getattr(found, "__module__", "").partition(".")[0] != "jax":
            return False
    dtype = getattr(layer, "dtype", None)
    return (
        getattr(layer, "preferred_element_type", None) is None
        and dtype in (None, x.dtype)
        and (getattr(layer, "param_dtype", x.dtype) == x.dtype)
    )


def _linear(m: Any, x: Any) -> Reading | None:
    if not _plain(m, x) or not isinstance(m_features(m), int):
        return None
    settings = {"in_features": x.shape[-1], "out_features": m_features(m), "use_bias": m.use_bias}
    return ("Linear", settings) if isinstance(x.shape[-1], int) else None


def m_features(m: Any) -> Any:
    """How many features a layer gives: Linen's word or NNX's."""
    return getattr(m, "out_features", getattr(m, "features", None))


def _conv(m: Any, x: Any) -> Reading | None:
    import jax

    size = (m.kernel_size,) if isinstance(m.kernel_size, int) else tuple(m.kernel_size)
    rank = len(size)
    if not _plain(m, x) or x.ndim != rank + 2 or not 1 <= rank <= 3:
        return None

    def each(value: Any) -> tuple[int, ...]:
        return (1,) * rank if value is None else (value,) * rank if isinstance(value, int) else tuple(value)

    strides, dilation = each(m.strides), each(m.kernel_dilation)
    if set(each(m.input_dilation)) != {1}:
        return None
    padding: Any = m.padding
    if isinstance(padding, str):
        spatial = x.shape[1:-1]
        if padding not in ("SAME", "VALID") or (padding == "SAME" and not _known(spatial, strides)):
            return None
        reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
        sizes = [n if isinstance(n, int) else 1 for n in spatial]  # at stride 1 the padding is the kernel's alone
        sizes = [max(n, r) for n, r in zip(sizes, reach, strict=True)] if set(strides) == {1} else sizes
        padding = jax.lax.padtype_to_pads(sizes, reach, strides, padding)
    elif isinstance(padding, int):
        padding = [(padding, padding)] * rank
    pads = tuple((side, side) if isinstance(side, int) else (int(side[0]), int(side[1])) for side in padding)
    return "Conv", {
        "in_channels": x.shape[-1],
        "out_channels": m_features(m),
        "kernel_size": size,
        "strides": strides,
        "padding": pads,
        "dilation": dilation,
        "groups": m.feature_group_count,
        "use_bias": m.use_bias,
        "channel_axis": 1,
    }


def _known(spatial: Any, strides: Any) -> bool:
    return all(stride == 1 or isinstance(size, int) for size, stride in zip(spatial, strides, strict=True))


def _embedding(m: Any, x: Any) -> Reading | None:
    if getattr(m, "dtype", None) not in (None, m.param_dtype):
        return None
    return "Embedding", {"num_embeddings": m.num_embeddings, "embedding_dim": m.features, "padding_idx": None}


def _layer_norm(m: Any, x: Any) -> Reading | None:
    if not _plain(m, x) or m.reduction_axes not in (-1, (-1,)) or m.feature_axes not in (-1, (-1,)):
        return None
    return "LayerNorm", {
        "normalized_shape": (x.shape[-1],),
        "eps": m.epsilon,
        "use_weight": m.use_scale,
        "use_bias": m.use_bias,
    }


def _group_norm(m: Any, x: Any) -> Reading | None:
    if not _plain(m, x) or m.use_scale != m.use_bias or m.reduction_axes is not None or x.ndim < 3:
        return None
    size = getattr(m, "group_size", None)
    groups = m.num_groups if m.num_groups is not None else x.shape[-1] // size
    return "GroupNorm", {
        "num_groups": groups,
        "num_channels": x.shape[-1],
        "eps": m.epsilon,
        "affine": m.use_scale,
        "channel_axis": 1,
    }


def _batch_norm(m: Any, x: Any, *, unbiased: bool = False) -> Reading | None:
    if not _plain(m, x) or m.use_scale != m.use_bias or m.axis not in (-1, x.ndim - 1) or not 2 <= x.ndim <= 5:
        return None
    return "BatchNorm", {
        "num_features": x.shape[-1],
        "eps": m.epsilon,
        "momentum": round(1 - m.momentum, 12),
        "affine": m.use_scale,
        "unbiased": unbiased,
        "spatial_rank": max(1, x.ndim - 2),
        "channel_axis": 1,
    }


#: The cells that are leaf layers, by the module and the name of their class.
_CELLS = {
    "flax.nnx.nn.recurrent.OptimizedLSTMCell": "LSTM",
    "flax.nnx.nn.recurrent.GRUCell": "GRU",
    "flax.linen.recurrent.LSTMCell": "LSTM",
    "flax.linen.recurrent.OptimizedLSTMCell": "LSTM",
}


def _recurrence(m: Any, x: Any) -> Reading | None:
    """An LSTM or GRU over a sequence from its first step to its last, from zeros."""
    cell, kind = m.cell, _CELLS.get(f"{type(m.cell).__module__}.{type(m.cell).__qualname__}")
    if kind is None or not _plain(cell, x) or x.ndim != 3:
        return None
    defaults = inspect.signature(type(cell).__init__).parameters
    usual = all(getattr(cell, name) is defaults[name].default for name in ("gate_fn", "activation_fn", "carry_init"))
    if not usual or m.reverse or m.return_carry or not isinstance(x.shape[-1], int):
        return None
    return kind, {
        "input_size": x.shape[-1],
        "hidden_size": getattr(cell, "hidden_features", None) or cell.features,
        "recurrent_bias": False,
        "batch_first": not m.time_major,
    }


Home = Mapping[str, tuple[tuple[str, ...], tuple[int, ...] | None]]


def _gates(m: Any) -> Home:
    """Linen has an array for each gate, in the cell, which stands where it was made."""
    home, gates = ".".join(m.cell.path), "ifgo"
    return {
        "weight_ih_l0": (tuple(f"{home}.i{gate}.kernel" for gate in gates), (1, 0)),
        "weight_hh_l0": (tuple(f"{home}.h{gate}.kernel" for gate in gates), (1, 0)),
        "bias_ih_l0": (tuple(f"{home}.h{gate}.bias" for gate in gates), None),
    }


#: For leaf layers that do not hold their arrays themselves: the paths of each, and the order of their axes.
ELSEWHERE: Mapping[str, Callable[[Any], Home]] = {"flax.linen.recurrent.RNN": _gates}


def result_of(reading: Reading, x: Any) -> tuple[tuple[Any, ...], Any] | None:
    """Shape and dtype of what a leaf layer gives, where that is known without a trace, which might change its state."""
    layer, settings = reading
    if layer in ("LSTM", "GRU"):
        return (*x.shape[:-1], settings["hidden_size"]), x.dtype
    return (tuple(x.shape), x.dtype) if layer in ("BatchNorm", "Dropout") else None


def _dropout(m: Any, x: Any) -> Reading | None:
    return None if m.broadcast_dims else ("Dropout", {"rate": float(m.rate)})


LEAVES: dict[str, Callable[[Any, Any], Reading | None]] = {
    "flax.nnx.nn.linear.Linear": _linear,
    "flax.nnx.nn.linear.Conv": _conv,
    "flax.nnx.nn.linear.Embed": _embedding,
    "flax.nnx.nn.normalization.LayerNorm": _layer_norm,
    "flax.nnx.nn.normalization.GroupNorm": _group_norm,
    "flax.nnx.nn.normalization.BatchNorm": _batch_norm,
    "flax.nnx.nn.stochastic.Dropout": _dropout,
    "flax.nnx.nn.recurrent.RNN": _recurrence,
    "flax.linen.recurrent.RNN": _recurrence,
    "flax.linen.linear.Dense": _linear,
    "flax.linen.linear.Conv": _conv,
    "flax.linen.linear.Embed": _embedding,
    "flax.linen.normalization.LayerNorm": _layer_norm,
    "flax.linen.normalization.GroupNorm": _group_norm,
    "flax.linen.normalization.BatchNorm": _batch_norm,
    "flax.linen.stochastic.Dropout": _dropout,
    # Those that exports carry.
    **dict.fromkeys(
        ("flax_nnx.BatchNorm", "flax_nnx.OldBatchNorm", "flax_linen.BatchNorm"),
        functools.partial(_batch_norm, unbiased=True),
    ),
}


def layer_name(kind: type) -> str:
    """The full name of the class of a layer, as `LEAVES` has it."""
    for word in ("flax_nnx", "flax_linen") if kind.__name__.endswith("BatchNorm") else ():
        if is_carried(kind, word):
            return f"{word}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"


#: Layers that behave differently in training: what they do is kept by their leaf layers alone.
MODAL = tuple(name for name in LEAVES if name.endswith(("Dropout", "BatchNorm")))

__all__ = ["ARRAYS", "ELSEWHERE", "LEAVES", "MODAL", "Home", "Reading", "layer_name", "result_of"]

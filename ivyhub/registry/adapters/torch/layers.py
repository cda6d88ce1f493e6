"""Leaf layers of PyTorch, both ways.

`LEAVES` reads a live ``torch.nn`` layer as a leaf layer of `ivyhub.engine.stateful.layers`: the layer's name, its
fields, and the names of its arrays (PyTorch's are ivyhub's). A layer whose settings the leaf cannot express is no
leaf: its operations are read instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Reading = tuple[str, dict[str, Any]]  # the leaf layer and its fields


def read_layer(module: Any) -> Reading | None:
    """The leaf layer that a live module is, with its configuration; None for any other module.

    A subclass counts only while it keeps the layer's own ``forward``.
    """
    for kind in type(module).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in LEAVES:
            return LEAVES[name](module) if type(module).forward is kind.forward else None
    return None


def _linear(m: Any) -> Reading:
    return "Linear", {
        "in_features": m.in_features,
        "out_features": m.out_features,
        "use_bias": m.bias is not None,
    }


def _embedding(m: Any) -> Reading | None:
    if m.max_norm is not None or m.scale_grad_by_freq or m.sparse:
        return None
    return "Embedding", {
        "num_embeddings": m.num_embeddings,
        "embedding_dim": m.embedding_dim,
        "padding_idx": m.padding_idx,
    }


def _layer_norm(m: Any) -> Reading:
    return "LayerNorm", {
        "normalized_shape": tuple(m.normalized_shape),
        "eps": m.eps,
        "use_weight": m.weight is not None,
        "use_bias": m.bias is not None,
    }


def _group_norm(m: Any) -> Reading:
    return "GroupNorm", {
        "num_groups": m.num_groups,
        "num_channels": m.num_channels,
        "eps": m.eps,
        "affine": m.affine,
    }


def _batch_norm(m: Any) -> Reading:
    return "BatchNorm", {
        "num_features": m.num_features,
        "eps": m.eps,
        "momentum": m.momentum,
        "affine": m.affine,
        "track_running_stats": m.track_running_stats,
    }


def _conv(m: Any) -> Reading | None:
    if m.padding_mode != "zeros" or m.transposed:
        return None
    if m.padding == "same":
        totals = [d * (k - 1) for d, k in zip(m.dilation, m.kernel_size, strict=True)]
        padding = tuple((total // 2, total - total // 2) for total in totals)
    else:
        sides = (0,) * len(m.kernel_size) if m.padding == "valid" else m.padding
        padding = tuple((side, side) for side in sides)
    return "Conv", {
        "in_channels": m.in_channels,
        "out_channels": m.out_channels,
        "kernel_size": tuple(m.kernel_size),
        "strides": tuple(m.stride),
        "padding": padding,
        "dilation": tuple(m.dilation),
        "groups": m.groups,
        "use_bias": m.bias is not None,
    }


def _dropout(m: Any) -> Reading:
    return "Dropout", {"rate": m.p}


LEAVES: Mapping[str, Callable[[Any], Reading | None]] = {
    "torch.nn.modules.linear.Linear": _linear,
    "torch.nn.modules.sparse.Embedding": _embedding,
    "torch.nn.modules.normalization.LayerNorm": _layer_norm,
    "torch.nn.modules.normalization.GroupNorm": _group_norm,
    "torch.nn.modules.batchnorm.BatchNorm1d": _batch_norm,
    "torch.nn.modules.batchnorm.BatchNorm2d": _batch_norm,
    "torch.nn.modules.batchnorm.BatchNorm3d": _batch_norm,
    "torch.nn.modules.conv.Conv1d": _conv,
    "torch.nn.modules.conv.Conv2d": _conv,
    "torch.nn.modules.conv.Conv3d": _conv,
    "torch.nn.modules.dropout.Dropout": _dropout,
}

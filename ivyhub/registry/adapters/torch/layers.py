"""Leaf layers of PyTorch, both ways.

`LEAVES` reads a live ``torch.nn`` layer as a leaf layer of `ivyhub.engine.stateful.layers`: the layer's name, its
fields, and the names of its arrays (PyTorch's are ivyhub's). A layer whose settings the leaf cannot express is no
leaf: its operations are read instead. `TORCH` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ....engine.graph import Value
from ....engine.recording import RECORDER
from ....engine.stateful.layers import LAYERS
from ..carried import is_carried
from ..reading import Rule
from ..writing.layers import Leaves
from .rules import RULES

Reading = tuple[str, dict[str, Any]]  # the leaf layer and its fields


def read_layer(module: Any) -> Reading | None:
    """The leaf layer that a live module is, with its configuration; None for any other module.

    A subclass counts only while it keeps the layer's own ``forward``, or where exports carry it; a layer only while its
    arrays are its own: not computed by a parametrisation or by hooks, as weight normalisation does.
    """
    if module._modules or module._forward_pre_hooks or module._forward_hooks:
        return None
    if is_carried(type(module), "torch"):
        base = type(module).__mro__[1]
        found = LEAVES[f"{base.__module__}.{base.__qualname__}"](module)
        return found and (found[0], found[1] | CARRIED[found[0]])
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


def _batch_norm(m: Any) -> Reading | None:
    if not m.track_running_stats:
        return None  # the same formula in training and in evaluation, which is what the operations say
    return "BatchNorm", {
        "num_features": m.num_features,
        "eps": m.eps,
        "momentum": m.momentum,
        "affine": m.affine,
        "track_running_stats": m.track_running_stats,
        "spatial_rank": _spatial_rank(m),
    }


def _instance_norm(m: Any) -> Reading | None:
    if not m.track_running_stats:
        return None  # as above
    return "InstanceNorm", {
        "num_features": m.num_features,
        "eps": m.eps,
        "momentum": m.momentum or 0.0,  # without one, PyTorch's statistics stay as they are
        "affine": m.affine,
        "track_running_stats": True,
        "spatial_rank": _spatial_rank(m),
    }


def _spatial_rank(m: Any) -> int:
    return next(int(kind.__name__[-2]) for kind in type(m).__mro__ if kind.__name__[-1:] == "d")


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


def _recurrent(m: Any) -> Reading:
    kind, _, activation = m.mode.partition("_")
    return kind, {
        "input_size": m.input_size,
        "hidden_size": m.hidden_size,
        "num_layers": m.num_layers,
        "use_bias": m.bias,
        "batch_first": m.batch_first,
        "dropout": float(m.dropout),
        "bidirectional": m.bidirectional,
        **({"proj_size": m.proj_size} if kind == "LSTM" else {}),
        **({"activation": activation.lower()} if activation else {}),
    }


RECURRENT = ("LSTM", "GRU", "RNN")
"""The leaf layers that are read as one operation among others: those make a batch of a sequence that is none."""

_RUNS = frozenset(f"aten.{kind}.input" for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"))


def rule_of(name: str, layer: str) -> Rule:
    """What reads an operation of a leaf layer that is read so: a call of it where the operation is its whole run.

    States at the start that are zeros are left out.
    """
    if not layer or name not in _RUNS:
        return RULES[name]

    def run(x: Value, states: Value | Sequence[Value], *_: Any) -> tuple[Value, ...]:
        held = (states,) if isinstance(states, Value) else states
        fills = [h.node.attributes["fill_value"] if h.node is not None and h.node.op == "full" else 1 for h in held]
        return RECORDER.get().call(layer, [x, *(held if any(fills) else ())])

    return run


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
    **{f"torch.nn.modules.instancenorm.InstanceNorm{rank}d": _instance_norm for rank in (1, 2, 3)},
    "torch.nn.modules.conv.Conv1d": _conv,
    "torch.nn.modules.conv.Conv2d": _conv,
    "torch.nn.modules.conv.Conv3d": _conv,
    "torch.nn.modules.dropout.Dropout": _dropout,
    **{f"torch.nn.modules.rnn.{kind}": _recurrent for kind in ("LSTM", "GRU", "RNN")},
}

CARRIED: Mapping[str, dict[str, Any]] = {
    "BatchNorm": {"unbiased": False},
    **{kind: {"recurrent_bias": False} for kind in RECURRENT},
}
"""How the layers that exports carry differ from the layers of PyTorch that they are based on."""

TORCH = Leaves()


def _one(values: tuple[int, ...]) -> Any:
    """A number where all axes have the same."""
    return values[0] if len(set(values)) == 1 else values


TORCH.row("Linear", "nn.Linear({in_features}, {out_features}, bias={use_bias:True})", weights=("weight", "bias"))
TORCH.row(
    "Embedding",
    "nn.Embedding({num_embeddings}, {embedding_dim}, padding_idx={padding_idx})",
    weights=("weight",),
)
TORCH.row(
    "LayerNorm",
    "nn.LayerNorm({shape}, eps={eps:1e-05}, elementwise_affine={use_weight:True}, bias={bias:True})",
    weights=("weight", "bias"),
    when=lambda c: c.use_weight or not c.use_bias,
    derive=lambda c: {
        "shape": c.normalized_shape[0] if len(c.normalized_shape) == 1 else c.normalized_shape,
        "bias": c.use_bias or not c.use_weight,  # without a weight there is no bias either
    },
)
TORCH.row(
    "GroupNorm",
    "nn.GroupNorm({num_groups}, {num_channels}, eps={eps:1e-05}, affine={affine:True})",
    weights=("weight", "bias"),
    when=lambda c: c.channel_axis == 1,
)
TORCH.row("Dropout", "nn.Dropout({rate})")


for _kind, _more in (("LSTM", "proj_size={proj_size:0}"), ("GRU", ""), ("RNN", "nonlinearity={activation:'tanh'}")):
    for _home, _has in (("nn", lambda c: c.recurrent_bias or not c.use_bias), ("support", lambda c: True)):
        TORCH.row(
            _kind,
            f"{_home}.{_kind}({{input_size}}, {{hidden_size}}, num_layers={{num_layers:1}}, bias={{use_bias:True}}, "
            "batch_first={batch_first:False}, dropout={dropout:0.0}, bidirectional={bidirectional:False}"
            f"{', ' * bool(_more)}{_more})",
            call="{self}({x}, {states})",
            weights=lambda c, kind=_kind: {name: (name, ()) for name in LAYERS[kind](**vars(c)).parameters()},
            when=_has,
            results=(0, (1, 2)) if _kind == "LSTM" else (),
        )


def _conv_settings(c: SimpleNamespace) -> dict[str, Any]:
    return {
        "size": _one(c.kernel_size),
        "stride": _one(c.strides),
        "pad": _one(tuple(before for before, _ in c.padding)) if _is_even(c) else 0,
        "dilate": _one(c.dilation),
        "pads": tuple(side for pair in reversed(c.padding) for side in pair),
    }


def _is_even(c: SimpleNamespace) -> bool:
    return all(before == after for before, after in c.padding)


for _rank in (1, 2, 3):
    for _call, _pads in (("{self}({x})", _is_even), ("{self}(F.pad({x}, {pads}))", lambda c: True)):
        TORCH.row(
            "Conv",
            f"nn.Conv{_rank}d({{in_channels}}, {{out_channels}}, kernel_size={{size}}, stride={{stride}}, "
            "padding={pad}, dilation={dilate:1}, groups={groups:1}, bias={use_bias:True})",
            call=_call,
            weights=("weight", "bias"),
            when=lambda c, rank=_rank, pads=_pads: len(c.kernel_size) == rank and c.channel_axis == 1 and pads(c),
            derive=_conv_settings,
        )
    for _home, _unbiased in (("nn", True), ("support", False)):
        TORCH.row(
            "BatchNorm",
            f"{_home}.BatchNorm{_rank}d({{num_features}}, eps={{eps:1e-05}}, momentum={{momentum:0.1}}, "
            "affine={affine:True}, track_running_stats={track_running_stats:True})",
            weights=("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
            when=lambda c, rank=_rank, unbiased=_unbiased: (
                c.spatial_rank == rank and c.channel_axis == 1 and c.unbiased is unbiased
            ),
        )
    TORCH.row(
        "InstanceNorm",
        f"nn.InstanceNorm{_rank}d({{num_features}}, eps={{eps:1e-05}}, momentum={{momentum:0.1}}, "
        "affine={affine:False}, track_running_stats={track_running_stats:False})",
        weights=("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
        when=lambda c, rank=_rank: c.spatial_rank == rank and c.channel_axis == 1,
    )

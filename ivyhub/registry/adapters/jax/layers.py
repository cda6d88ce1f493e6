"""Leaf layers of Flax NNX: how each is built and called, and where its arrays go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ...weights import Transpose
from ..writing.layers import Leaves, Placement

NNX = Leaves()

_KERNEL = Transpose((1, 0))

NNX.row(
    "Linear",
    "nnx.Linear({in_features}, {out_features}, use_bias={use_bias:True}, rngs=rngs, **dtypes)",
    weights={"weight": ("kernel", (_KERNEL,)), "bias": ("bias", ())},
)
NNX.row(
    "Embedding",
    "nnx.Embed({num_embeddings}, {embedding_dim}, rngs=rngs, **dtypes)",
    weights={"weight": ("embedding", ())},
    when=lambda c: c.padding_idx is None,
)
NNX.row(
    "Embedding",
    "nnx.Embed({num_embeddings}, {embedding_dim}, rngs=rngs, **dtypes)",
    call="support.stop_gradient_where({self}({x}), {x} == {padding_idx})",
    weights={"weight": ("embedding", ())},
)
NNX.row(
    "LayerNorm",
    "nnx.LayerNorm({features}, epsilon={eps:1e-06}, use_scale={use_weight:True}, use_bias={use_bias:True}, "
    "rngs=rngs, **dtypes)",
    weights={"weight": ("scale", ()), "bias": ("bias", ())},
    when=lambda c: len(c.normalized_shape) == 1,
    derive=lambda c: {"features": c.normalized_shape[0]},
)
NNX.row(
    "GroupNorm",
    "nnx.GroupNorm({num_channels}, {num_groups}, epsilon={eps:1e-06}, use_scale={affine:True}, "
    "use_bias={affine:True}, rngs=rngs, **dtypes)",
    weights={"weight": ("scale", ()), "bias": ("bias", ())},
    when=lambda c: c.channel_axis == -1,
)
NNX.row(
    "Dropout",
    "nnx.Dropout({rate}, rngs=rngs)",
)


def is_one_cell(c: SimpleNamespace) -> bool:
    """Whether a recurrent layer is one cell of Flax over a sequence, which has one bias."""
    one = c.num_layers == 1 and not c.bidirectional and not getattr(c, "proj_size", 0)
    return one and c.use_bias and not c.recurrent_bias


for _layer, _cell, _side in (("LSTM", "OptimizedLSTMCell", "h"), ("GRU", "GRUCell", "i")):
    NNX.row(
        _layer,
        f"nnx.RNN(nnx.{_cell}({{input_size}}, {{hidden_size}}, rngs=rngs, **dtypes), time_major={{time_major:False}})",
        call="support.recurrent({self}, {x}, {states})",
        alone="{self}({x})",
        weights={
            "weight_ih_l0": ("cell.dense_i.kernel", (_KERNEL,)),
            "weight_hh_l0": ("cell.dense_h.kernel", (_KERNEL,)),
            "bias_ih_l0": (f"cell.dense_{_side}.bias", ()),
        },
        when=is_one_cell,
        derive=lambda c: {"time_major": not c.batch_first},
    )


def conv_weights(c: SimpleNamespace) -> Placement:
    """Kernels have their output axis last in Flax."""
    rank = len(c.kernel_size)
    return {"weight": ("kernel", (Transpose((*range(2, rank + 2), 1, 0)),)), "bias": ("bias", ())}


def conv_settings(c: SimpleNamespace) -> dict[str, Any]:
    """Settings as one number where all axes have the same."""

    def same(values: tuple[int, ...]) -> Any:
        return values[0] if len(set(values)) == 1 else values

    uniform = len({side for pair in c.padding for side in pair}) == 1
    return {
        "strides": same(c.strides),
        "dilation": same(c.dilation),
        "padding": c.padding[0][0] if uniform else c.padding,
    }


NNX.row(
    "Conv",
    "nnx.Conv({in_channels}, {out_channels}, {kernel_size}, strides={strides}, padding={padding}, "
    "kernel_dilation={dilation:1}, feature_group_count={groups:1}, use_bias={use_bias:True}, rngs=rngs, **dtypes)",
    weights=conv_weights,
    when=lambda c: c.channel_axis == -1,
    derive=conv_settings,
)


def batch_norm(unbiased: bool) -> dict[str, Any]:
    """What a row of either kind of Flax says of a batch normalisation that moves by one variance or the other."""
    return {
        "weights": {
            "weight": ("scale", ()),
            "bias": ("bias", ()),
            "running_mean": ("mean", ()),
            "running_var": ("var", ()),
        },
        "when": lambda c: (
            c.channel_axis == -1 and c.track_running_stats and c.momentum is not None and c.unbiased is unbiased
        ),
        "derive": lambda c: {"decay": round(1 - c.momentum, 12)},
    }


for _kind, _since, _unbiased in (
    ("support.BatchNorm", "0.7.1", True),  # Flax 0.12 came with JAX 0.7.1
    ("support.OldBatchNorm", "0", True),
    ("nnx.BatchNorm", "0", False),
):
    NNX.row(
        "BatchNorm",
        f"{_kind}({{num_features}}, momentum={{decay:0.99}}, epsilon={{eps:1e-05}}, "
        "use_scale={affine:True}, use_bias={affine:True}, rngs=rngs, **dtypes)",
        **batch_norm(_unbiased),
        since=_since,
    )

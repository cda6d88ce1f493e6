"""Leaf layers of Keras: how each is made and called, and where its arrays go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ....engine.template import Template
from ...weights import Merge, Reorder, Reshape, Split, Step, Transpose
from ..writing.layers import Leaves, Placement

KERAS = Leaves()

BUILD = {
    "Linear": Template("{self}.build((None, {in_features}))"),
    "Embedding": Template("{self}.build()"),
    "LayerNorm": Template("{self}.build((None, *{normalized_shape}))"),
    "GroupNorm": Template("{self}.build((*{axes}, {num_channels}))"),
    "BatchNorm": Template("{self}.build((*{axes}, {num_features}))"),
    "Conv": Template("{self}.build((*{axes}, {in_channels}))"),
    "LSTM": Template("{self}.build((None, None, {input_size}))"),
    "GRU": Template("{self}.build((None, None, {input_size}))"),
    "RNN": Template("{self}.build((None, None, {input_size}))"),
}
"""What makes the arrays of a layer that has some. ``axes`` stands for the sizes of all axes but the last: None."""

KERAS.row(
    "Linear",
    "keras.layers.Dense({out_features}, use_bias={use_bias:True})",
    weights={"weight": ("kernel", (Transpose((1, 0)),)), "bias": ("bias", ())},
)
KERAS.row(
    "Embedding",
    "keras.layers.Embedding({num_embeddings}, {embedding_dim})",
    weights={"weight": ("embeddings", ())},
    when=lambda c: c.padding_idx is None,
)
KERAS.row(
    "Embedding",
    "keras.layers.Embedding({num_embeddings}, {embedding_dim})",
    call="support.stop_gradient_where({self}({x}), {x} == {padding_idx})",
    weights={"weight": ("embeddings", ())},
)
KERAS.row(
    "LayerNorm",
    "keras.layers.LayerNormalization(axis={axis:-1}, epsilon={eps:0.001}, center={use_bias:True}, "
    "scale={use_weight:True})",
    weights={"weight": ("gamma", ()), "bias": ("beta", ())},
    derive=lambda c: {"axis": -1 if len(c.normalized_shape) == 1 else tuple(range(-len(c.normalized_shape), 0))},
)
KERAS.row(
    "GroupNorm",
    "keras.layers.GroupNormalization({num_groups}, epsilon={eps:0.001}, center={affine:True}, scale={affine:True})",
    weights={"weight": ("gamma", ()), "bias": ("beta", ())},
    when=lambda c: c.channel_axis == -1,
)
for _class, _unbiased in (("support.BatchNormalization", True), ("keras.layers.BatchNormalization", False)):
    KERAS.row(
        "BatchNorm",
        f"{_class}(momentum={{decay:0.99}}, epsilon={{eps:0.001}}, center={{affine:True}}, scale={{affine:True}})",
        call="{self}({x}, training={training})",
        weights={
            "weight": ("gamma", ()),
            "bias": ("beta", ()),
            "running_mean": ("moving_mean", ()),
            "running_var": ("moving_variance", ()),
        },
        when=lambda c, unbiased=_unbiased: (
            c.channel_axis == -1 and c.track_running_stats and c.momentum is not None and c.unbiased is unbiased
        ),
        derive=lambda c: {"decay": round(1 - c.momentum, 12)},
    )
KERAS.row("Dropout", "keras.layers.Dropout({rate})", call="{self}({x}, training={training})")


def _is_plain_recurrence(c: SimpleNamespace) -> bool:
    return c.num_layers == 1 and not c.bidirectional and c.batch_first and not getattr(c, "proj_size", 0)


def _gru_weights(c: SimpleNamespace) -> Placement:
    """Keras has the update gate before the reset gate, and both biases in one array."""
    rows, thirds = (3 * c.hidden_size,), (c.hidden_size,) * 3
    gates = (Split(0, thirds), Reorder((1, 0, 2)), Merge(0, thirds), Transpose((1, 0)))
    both = (Split(0, thirds), Split(0, thirds, 3), Reorder((1, 0, 2, 4, 3, 5)), Merge(0, thirds), Merge(0, thirds, 1))
    stacked = (Reshape((1, *rows), rows), Reshape((1, *rows), rows, 1), Merge(0, (1, 1)))
    return {
        "weight_ih_l0": ("gru_cell.kernel", gates),
        "weight_hh_l0": ("gru_cell.recurrent_kernel", gates),
        ("bias_ih_l0", "bias_hh_l0"): ("gru_cell.bias", (*both, *stacked)),
    }


KERAS.row(
    "GRU",
    "keras.layers.GRU({hidden_size}, return_sequences=True, return_state=True, use_bias={use_bias:True})",
    call="support.recurrent({self}, {x}, {states})",
    alone="{self}({x})[0]",
    weights=_gru_weights,
    when=lambda c: _is_plain_recurrence(c) and (c.recurrent_bias or not c.use_bias),
)
for _layer, _kind, _cell in (("LSTM", "LSTM", "lstm_cell"), ("RNN", "SimpleRNN", "simple_rnn_cell")):
    KERAS.row(
        _layer,
        f"keras.layers.{_kind}({{hidden_size}}, {'activation={activation}, ' * (_layer == 'RNN')}"
        "return_sequences=True, return_state=True, use_bias={use_bias:True})",
        call="support.recurrent({self}, {x}, {states})",
        alone="{self}({x})[0]",
        weights={
            "weight_ih_l0": (f"{_cell}.kernel", (Transpose((1, 0)),)),
            "weight_hh_l0": (f"{_cell}.recurrent_kernel", (Transpose((1, 0)),)),
            "bias_ih_l0": (f"{_cell}.bias", ()),
        },
        when=lambda c: _is_plain_recurrence(c) and not (c.use_bias and c.recurrent_bias),
    )


# -- convolution -----------------------------------------------------------------------------------------------------


def _one(values: tuple[int, ...]) -> Any:
    """A number where all axes have the same."""
    return values[0] if len(set(values)) == 1 else values


def _conv_settings(c: SimpleNamespace) -> dict[str, Any]:
    return {
        "size": _one(c.kernel_size),
        "stride": _one(c.strides),
        "dilate": _one(c.dilation),
        "multiplier": c.out_channels // c.groups,
        "pads": [[0, 0], *map(list, c.padding), [0, 0]],
    }


def _is_valid(c: SimpleNamespace) -> bool:
    return all(pair == (0, 0) for pair in c.padding)


def _is_same(c: SimpleNamespace) -> bool:
    """Whether "same" means these paddings: with a stride it depends on the size of the image."""
    totals = [d * (k - 1) for d, k in zip(c.dilation, c.kernel_size, strict=True)]
    return set(c.strides) == {1} and c.padding == tuple((total // 2, total - total // 2) for total in totals)


def _is_depthwise(c: SimpleNamespace) -> bool:
    return c.groups == c.in_channels > 1 and len(c.kernel_size) < 3 and len(set(c.strides)) == 1


def _conv_weights(c: SimpleNamespace) -> Placement:
    rank = len(c.kernel_size)
    return {"weight": ("kernel", (Transpose((*range(2, rank + 2), 1, 0)),)), "bias": ("bias", ())}


def _depthwise_weights(c: SimpleNamespace) -> Placement:
    rank = len(c.kernel_size)
    steps: tuple[Step, ...] = (Transpose((*range(2, rank + 2), 0, 1)),)
    if c.out_channels != c.in_channels:  # (*kernel, out, 1) as (*kernel, in, out / in)
        split = (*c.kernel_size, c.in_channels, c.out_channels // c.in_channels)
        steps += (Reshape(split, (*c.kernel_size, c.out_channels, 1)),)
    return {"weight": ("kernel", steps), "bias": ("bias", ())}


for _rank in (1, 2, 3):
    for _padding, _call, _fits in (
        ("", "{self}({x})", _is_valid),
        ('padding="same", ', "{self}({x})", _is_same),
        ("", "{self}(tf.pad({x}, {pads}))", lambda c: True),
    ):
        _options = (
            f"strides={{stride:1}}, {_padding}dilation_rate={{dilate:1}}, use_bias={{use_bias:True}}",
            lambda c, rank=_rank, fits=_fits: (
                len(c.kernel_size) == rank
                and c.channel_axis == -1
                and fits(c)
                and 1 in (max(c.strides), max(c.dilation))  # Keras takes a stride or a dilation, not both
            ),
        )
        if _rank < 3:
            KERAS.row(
                "Conv",
                f"keras.layers.DepthwiseConv{_rank}D({{size}}, depth_multiplier={{multiplier:1}}, {_options[0]})",
                call=_call,
                weights=_depthwise_weights,
                when=lambda c, fits=_options[1]: _is_depthwise(c) and fits(c),
                derive=_conv_settings,
            )
        KERAS.row(
            "Conv",
            f"keras.layers.Conv{_rank}D({{out_channels}}, {{size}}, groups={{groups:1}}, {_options[0]})",
            call=_call,
            weights=_conv_weights,
            when=_options[1],
            derive=_conv_settings,
        )

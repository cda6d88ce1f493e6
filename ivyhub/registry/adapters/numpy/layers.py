"""Leaf layers of NumPy: functions over the arrays of a layer, with the source's names and layouts."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ..writing.layers import Leaves

NUMPY = Leaves()

NUMPY.row("Linear", "None", call="support.linear({x}, **{self})", weights=("weight", "bias"))
NUMPY.row("Embedding", "None", call="{self}['weight'][{x}]", weights=("weight",))
NUMPY.row(
    "LayerNorm",
    "None",
    call="support.layer_norm({x}, **{self}, eps={eps}, ndim={ndim:1})",
    weights=("weight", "bias"),
    when=lambda c: c.use_weight or c.use_bias,  # without arrays there is nothing to read
    derive=lambda c: {"ndim": len(c.normalized_shape)},
)
NUMPY.row(
    "GroupNorm",
    "None",
    call="support.group_norm({x}, **{self}, num_groups={num_groups}, eps={eps})",
    weights=("weight", "bias"),
    when=lambda c: c.channel_axis == 1 and c.affine,
)
NUMPY.row(
    "BatchNorm",
    "None",
    call="support.batch_norm({x}, **{self}, eps={eps})",
    weights=("weight", "bias", "running_mean", "running_var"),
    when=lambda c: c.channel_axis == 1 and c.track_running_stats,
)


def _conv_settings(c: SimpleNamespace) -> Mapping[str, Any]:
    """One number where all axes have the same."""

    def one(values: tuple[Any, ...]) -> Any:
        return values[0] if len(set(values)) == 1 else values

    sides = one(tuple(side for pair in c.padding for side in pair))
    padding = sides if isinstance(sides, int) else c.padding
    return {"strides": one(c.strides), "padding": padding, "dilation": one(c.dilation)}


NUMPY.row(
    "Conv",
    "None",
    call="support.conv({x}, **{self}, strides={strides}, padding={padding}, dilation={dilation:1}, groups={groups:1})",
    weights=("weight", "bias"),
    when=lambda c: c.channel_axis == 1,
    derive=_conv_settings,
)

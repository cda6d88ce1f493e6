"""What the tensors of a layer are called, and how they lie, in each ecosystem: one table a convention."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

KINDS: Mapping[str, Mapping[str, str]] = {
    "linear": {"weight": "o i", "bias": "o"},
    "linear transposed": {"weight": "i o", "bias": "o"},  # Conv1D of GPT-2
    "to heads": {"weight": "(n d) i", "bias": "(n d)"},
    "to key heads": {"weight": "(m d) i", "bias": "(m d)"},
    "to rotary heads": {"weight": "(n 2 c) i", "bias": "(n 2 c)"},  # halves are turned against each other
    "to rotary key heads": {"weight": "(m 2 c) i", "bias": "(m 2 c)"},
    "from heads": {"weight": "o (n d)", "bias": "o"},
    "to heads, fused and transposed": {"weight": "i (* n d)", "bias": "(* n d)"},
    "from heads, transposed": {"weight": "(n d) o", "bias": "o"},
    "embedding": {"weight": "v e"},
    "norm": {"weight": "e", "bias": "e"},
    "scale": {"weight": "e"},  # norms without a bias
    "conv": {"weight": "o i h w", "bias": "o"},
    "batch norm": {"weight": "e", "bias": "e", "running_mean": "e", "running_var": "e", "num_batches_tracked": ""},
    "tensor": {"": "..."},
    "positions": {"": "1 t e"},
}
"""The tensors of each kind of layer, and how they lie in PyTorch and in transformers."""


COUNTERS = {"num_batches_tracked": "running_mean"}
"""Integers that begin at zero where a form has none, and the tensor that each stands beside."""


class Leaf(NamedTuple):
    """What a tensor of a layer is elsewhere.

    Args:
        name: its name below the layer's; "" where it has the layer's, None where there is no such tensor.
        layout: how it lies; as in `KINDS` if not given.
        template: where it stands, if elsewhere than other tensors.
    """

    name: str | None
    layout: str = ""
    template: str = ""


class Convention(NamedTuple):
    """How an ecosystem stores layers.

    Args:
        ecosystem: what transformers calls it in the metadata of safetensors.
        separator: between the parts of a name.
        leaves: by kind and tensor; as in `KINDS` where there is no row.
        template: the whole name: `path` is the layer's and the tensor's, `top` the first part of it.
    """

    ecosystem: str
    separator: str
    leaves: Mapping[str, Mapping[str, Leaf]] = MappingProxyType({})
    template: str = "{path}"

    def leaf(self, kind: str, tensor: str) -> Leaf:
        """The row of a tensor, with its layout."""
        found = self.leaves.get(kind, {}).get(tensor, Leaf(tensor))
        return found._replace(layout=found.layout or KINDS[kind][tensor], template=found.template or self.template)


def _kernels(name: str = "kernel", bias: str = "bias") -> dict[str, dict[str, Leaf]]:
    """Matrices whose columns are the outputs, whatever they mean."""
    layouts = {
        "linear": "i o",
        "to heads": "i (n d)",
        "to key heads": "i (m d)",
        "to rotary heads": "i (n 2 c)",
        "to rotary key heads": "i (m 2 c)",
        "from heads": "(n d) o",
        "conv": "h w i o",
    }
    return {kind: {"weight": Leaf(name, layout), "bias": Leaf(bias)} for kind, layout in layouts.items()}


_GAMMA = {"weight": Leaf("gamma"), "bias": Leaf("beta")}
_STATISTICS = {
    "running_mean": Leaf("moving_mean"),
    "running_var": Leaf("moving_variance"),
    "num_batches_tracked": Leaf(None),
}

TORCH = Convention("pt", ".")
TORCH_PAIRS = Convention(
    "pt",
    ".",
    {
        "to rotary heads": {"weight": Leaf("weight", "(n c 2) i"), "bias": Leaf("bias", "(n c 2)")},
        "to rotary key heads": {"weight": Leaf("weight", "(m c 2) i"), "bias": Leaf("bias", "(m c 2)")},
    },
)
"""PyTorch as Meta writes it: neighbours are turned against each other."""
TORCH_GAMMA = Convention("pt", ".", {"norm": _GAMMA})
"""PyTorch before it had layer normalisation."""

TF1 = Convention("tf", "/", {**_kernels(), "norm": _GAMMA, "embedding": {"weight": Leaf("")}})
"""Variables of TensorFlow 1 in their scopes."""

FLAX = Convention(
    "flax",
    ".",
    {
        **_kernels(),
        # transformers turns every weight of two dimensions, also those that PyTorch has as Flax would
        "linear transposed": {"weight": Leaf("kernel", "o i")},
        "from heads, transposed": {"weight": Leaf("kernel", "o (n d)")},
        "to heads, fused and transposed": {"weight": Leaf("kernel", "(* n d) i")},
        "norm": {"weight": Leaf("scale")},
        "embedding": {"weight": Leaf("embedding")},
    },
)
FLAX_STATE = FLAX._replace(
    template="params.{path}",
    leaves={
        **FLAX.leaves,
        "batch norm": {
            "weight": Leaf("scale"),
            "running_mean": Leaf("mean", template="batch_stats.{path}"),
            "running_var": Leaf("var", template="batch_stats.{path}"),
            "num_batches_tracked": Leaf(None),
        },
    },
)
"""Flax models with more than parameters."""

JAX = Convention(
    "flax",
    "/",
    {
        **FLAX.leaves,
        "to heads": {"weight": Leaf("kernel", "i n d"), "bias": Leaf("bias", "n d")},
        "from heads": {"weight": Leaf("kernel", "n d o")},
    },
)
"""Arrays of Flax's own layers, whose attention has its heads as an axis."""

TF_KERAS = Convention(
    "tf",
    "/",
    {
        **_kernels(),
        # Conv1D of transformers, whose bias is a row
        "linear transposed": {"bias": Leaf("bias", "1 o")},
        "from heads, transposed": {"bias": Leaf("bias", "1 o")},
        "to heads, fused and transposed": {"bias": Leaf("bias", "1 (* n d)")},
        "norm": _GAMMA,
        "batch norm": {**_GAMMA, **_STATISTICS},
        "embedding": {"weight": Leaf("embeddings")},
    },
    "{top}/*/{path}:0",
)
"""HDF5 of transformers' models in Keras 2: the layer, then the name of its variable, which begins with the model's."""

_FIRST, _SECOND = Leaf("vars/0"), Leaf("vars/1")
KERAS = Convention(
    "tf",
    "/",
    {
        "embedding": {"weight": _FIRST},
        "scale": {"weight": _FIRST},
        "norm": {"weight": _FIRST, "bias": _SECOND},
        "linear": {"weight": _FIRST._replace(layout="i o"), "bias": _SECOND},
        "linear transposed": {"weight": _FIRST, "bias": _SECOND},
        "to heads": {"weight": _FIRST._replace(layout="i n d"), "bias": _SECOND._replace(layout="n d")},
        "to key heads": {"weight": _FIRST._replace(layout="i m d"), "bias": _SECOND._replace(layout="m d")},
        "to rotary heads": {"weight": _FIRST._replace(layout="i n (2 c)"), "bias": _SECOND._replace(layout="n (2 c)")},
        "to rotary key heads": {
            "weight": _FIRST._replace(layout="i m (2 c)"),
            "bias": _SECOND._replace(layout="m (2 c)"),
        },
        "from heads": {"weight": _FIRST._replace(layout="n d o"), "bias": _SECOND},
        "from heads, transposed": {"weight": _FIRST._replace(layout="n d o"), "bias": _SECOND},
        "to heads, fused and transposed": {
            "weight": _FIRST._replace(layout="i n d"),
            "bias": _SECOND._replace(layout="n d"),
        },
        "conv": {"weight": _FIRST._replace(layout="h w i o"), "bias": _SECOND},
        "tensor": {"": _FIRST},
        "positions": {"": _FIRST._replace(layout="t e")},
    },
)
"""Files of Keras 3: variables are counted in their layer, and attention has its heads as an axis."""

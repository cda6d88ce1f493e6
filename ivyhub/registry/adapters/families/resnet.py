"""ResNet: He et al., 2015, https://arxiv.org/abs/1512.03385, with its strides in the second convolution of a block."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX_STATE, TF_KERAS
from ivyhub.registry.adapters.families.family import Family, Form, Row

_BLOCK = "resnet.encoder.stages.{s}.layers.{l}"
_CONVOLUTIONS = ("resnet.embedder.embedder", _BLOCK + ".layer.{c}", _BLOCK + ".shortcut")

RESNET = Family(
    "resnet",
    "ResNet",
    "resnet",
    (
        *(("conv", f"{path}.convolution") for path in _CONVOLUTIONS),
        *(("batch norm", f"{path}.normalization") for path in _CONVOLUTIONS),
        ("linear", "classifier.1"),
    ),
    (
        Form("transformers", "transformers (PyTorch)", bare=True),
        Form("flax", "transformers (Flax)", FLAX_STATE),
        Form(
            "tf-keras",
            "transformers (TensorFlow)",
            TF_KERAS,
            (
                Row(_BLOCK, "resnet/encoder/stages.{s}/layers.{l}"),
                Row(_BLOCK + ".layer.{c}", "resnet/encoder/stages.{s}/layers.{l}/layer.{c}"),
                Row("classifier.1", "classifier.1"),
            ),
        ),
    ),
    {},
)

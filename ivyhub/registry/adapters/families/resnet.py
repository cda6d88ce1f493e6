"""ResNet: He et al., 2015, https://arxiv.org/abs/1512.03385, with its strides in the second convolution of a block."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX_STATE, TF_KERAS
from ivyhub.registry.adapters.families.family import Family, Form, Row

_BLOCK = "resnet.encoder.stages.{s}.layers.{l}"
_CONVOLUTIONS = ("resnet.embedder.embedder", _BLOCK + ".layer.{0,1,2}", _BLOCK + ".shortcut")

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
                Row(_BLOCK + ".layer.{0,1,2}", "resnet/encoder/stages.{s}/layers.{l}/layer.{0,1,2}"),
                Row("classifier.1", "classifier.1"),
            ),
        ),
        Form(
            "torchvision",
            "torchvision and timm",
            rows=(
                Row("resnet.embedder.embedder.{convolution,normalization}", "{conv1,bn1}"),
                Row(_BLOCK + ".layer.{0,1,2}.convolution", "layer{s+1}.{l}.{conv1,conv2,conv3}"),
                Row(_BLOCK + ".layer.{0,1,2}.normalization", "layer{s+1}.{l}.{bn1,bn2,bn3}"),
                Row(_BLOCK + ".shortcut.{convolution,normalization}", "layer{s+1}.{l}.downsample.{0,1}"),
                Row("classifier.1", "fc"),
            ),
            complete=True,
        ),
    ),
    {},
)

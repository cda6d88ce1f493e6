"""What each file of this folder makes: a small model as users of its framework write it, with example inputs.

Activations are smooth: beside a kink, rounding chooses between two gradients, and each certificate
draws fresh numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

NAMES = ("mlp", "resnet", "vit", "transformer", "tagger", "unet", "experts", "diffusion", "generator")

BATCH = 3
#: Of images, their sides and channels; of texts, their words and lengths.
SIDE, CHANNELS, WORDS, LENGTH = 8, 3, 13, 5
#: Channels of a ResNet. With 4, PyTorch 2.13 on a CPU corrupts its heap in the gradient of a convolution of 1x1 at
#: stride 2 whose input has its channels last in memory.
WIDE = 8


class Example(NamedTuple):
    """A model, or the pair of it and its variables, with what `ivyhub.transpile` takes beside it."""

    source: Any
    args: tuple[Any, ...]
    dynamic: Mapping[str, Mapping[int, str]]

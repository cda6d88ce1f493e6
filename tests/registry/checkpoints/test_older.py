"""Files that earlier versions of the libraries wrote; ``tests/fixtures/checkpoints/make.py`` says how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ivyhub.registry.checkpoints import open_file

FOLDER = Path(__file__).parents[2] / "fixtures" / "checkpoints"
SHAPES = ((4, 3), (3,), (3,), (3,), (3,), (3,))

KERAS_2 = ("first/first/kernel:0", "first/first/bias:0", "norm/norm/gamma:0", "norm/norm/beta:0",
           "norm/norm/moving_mean:0", "norm/norm/moving_variance:0")  # fmt: skip
KERAS_3 = ("layers/dense/vars/0", "layers/dense/vars/1", *(f"layers/batch_normalization/vars/{i}" for i in range(4)))
FLAX = ("params.first.kernel", "params.first.bias")
TORCH = ("first.weight", "first.bias")
FILES = {
    "keras-2.17.h5": ("hdf5", [f"model_weights/{name}" for name in KERAS_2]),
    "keras-2.17-weights.h5": ("hdf5", KERAS_2),
    "keras-2.17.keras": ("keras", KERAS_3),
    "keras-3.3.keras": ("keras", KERAS_3),
    "keras-3.3.weights.h5": ("hdf5", KERAS_3),
    "flax-0.8.5.msgpack": ("msgpack", FLAX),
    "orbax-0.6.4": ("orbax", FLAX),
    "torch-2.4.pt": ("torch", TORCH),
    "torch-2.4-legacy.pt": ("torch-legacy", TORCH),
}


@pytest.mark.parametrize("file", FILES)
def test_what_an_earlier_version_wrote(file: str) -> None:
    format, names = FILES[file]
    ckpt = open_file(FOLDER / file)
    assert ckpt.format == format
    assert sorted(ckpt) == sorted(names)
    for place, (name, shape) in enumerate(zip(names, SHAPES, strict=False)):
        expected = (100 * place + np.arange(np.prod(shape))).reshape(shape)
        assert ckpt[name].dtype == "float32"
        assert np.array_equal(ckpt.read(name), expected), name

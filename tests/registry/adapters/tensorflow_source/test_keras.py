"""Keras models of every style into every framework, against the models themselves."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

import ivyhub
from ivyhub.errors import CaptureError, CorruptFileError, UnsafeError, UsageError, VerificationError
from ivyhub.registry.export import record_of_object
from tests.arrays import assert_close

L = keras.layers
TARGETS = ("torch", "jax", "tensorflow")


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((12, 12, 3)),
            L.Conv2D(6, 3, strides=2, padding="same", activation="tanh", name="stem"),
            L.BatchNormalization(name="norm"),
            L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dropout(0.3, name="drop"),
            L.Dense(5, activation="softmax", name="out"),
        ]
    )


def functional() -> keras.Model:
    image, ids = keras.Input((8, 8, 4), name="image"), keras.Input((5,), dtype="int32", name="ids")
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(image)
    x = L.GroupNormalization(2, name="group")(x)
    x = L.SeparableConv2D(6, 3, name="separable")(x)
    x = L.GlobalAveragePooling2D()(x)
    words = L.Embedding(11, 6, name="words")(ids)
    words = L.Conv1D(6, 2, padding="causal", activation="gelu", name="causal")(words)
    joined = L.Add()([x, L.GlobalAveragePooling1D()(words)])
    return keras.Model({"image": image, "ids": ids}, [L.Dense(3, name="head")(joined), joined])


@keras.saving.register_keras_serializable("ivyhub-tests")
class Block(L.Layer):
    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = L.LayerNormalization()
        self.attention = L.MultiHeadAttention(2, 4, dropout=0.1)
        self.mlp = keras.Sequential([L.Dense(2 * width, activation="silu"), L.Dense(width)])
        self.drop = L.Dropout(0.2)

    def call(self, x: Any) -> Any:
        h = self.norm(x)
        x = x + self.drop(self.attention(h, h))
        return x + self.mlp(x)


class Tagger(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.words = L.Embedding(30, 8)
        self.blocks = [Block(8), Block(8)]
        self.recurrent = L.LSTM(6, return_sequences=True)
        self.both = L.Bidirectional(L.GRU(3, return_sequences=True))
        self.simple = L.SimpleRNN(4)
        self.scale = self.add_weight(shape=(8,), name="scale")

    def call(self, ids: Any) -> dict[str, Any]:
        x = self.words(ids) * self.scale
        for block in self.blocks:
            x = block(x)
        return {"last": self.simple(self.both(self.recurrent(x))), "hidden": x}


def assert_certified(model: Any, to: str, *args: Any, dynamic: Any = None) -> Any:
    """Every row of the certificate, outputs, gradients, statistics and steps alike, is within its tolerance."""
    found = ivyhub.transpile(model, to=to, args=args, dynamic=dynamic, verify=True)
    record = record_of_object(found)
    assert record is not None
    rows = {row["check"]: row["passed"] for row in record[0].certificate["rows"]}
    assert all(rows.values()), rows
    assert "gradients, train" in rows
    return found


@pytest.mark.slow
@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("build", [sequential, functional])
def test_models_with_known_inputs(build: Any, to: str) -> None:
    before = build()
    weights = [each.copy() for each in before.get_weights()]
    assert_certified(before, to)
    for old, new in zip(weights, before.get_weights(), strict=True):  # training it for the certificate is undone
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "to",
    [
        *(pytest.param(to, marks=pytest.mark.slow) for to in ("torch", "tensorflow")),
        pytest.param("jax", marks=pytest.mark.sweep),
    ],
)
def test_subclassed_model(to: str, rng: np.random.Generator) -> None:
    model, ids = Tagger(), rng.integers(0, 30, (3, 7)).astype(np.int32)
    model(ids)
    assert_certified(model, to, ids, dynamic={"ids": {0: "batch"}})


def test_dropouts_of_examples_and_channels_are_kept() -> None:
    whole, channels = (
        L.Dropout(0.3, noise_shape=(None, 1, 1, 1), name="whole"),
        L.SpatialDropout2D(0.4, name="channels"),
    )
    model = keras.Sequential([L.Input((4, 4, 3)), L.Conv2D(5, 3, name="conv"), whole, channels, L.Flatten()])
    native = assert_certified(model, "torch")
    x = np.random.default_rng(0).standard_normal((200, 4, 4, 3)).astype(np.float32)
    y = native.train()(torch.tensor(x)).detach().numpy().reshape(200, 4, 5)
    gone = (y == 0).all(axis=1)  # whole channels, or whole examples
    assert ((y == 0) == gone[:, None]).all()
    # 200 examples of five channels: their shares lie within six standard deviations of what is expected
    assert abs(gone.all(axis=1).mean() - (0.3 + 0.7 * 0.4**5)) < 0.2
    assert abs(gone.mean() - (1 - 0.7 * 0.6)) < 0.2


def test_layers_stay_whole_with_their_names() -> None:
    graph = ivyhub.trace(sequential())
    leaves = {path: info.layer for path, info in graph.modules.items() if info.layer}
    expected = {"stem": "Conv", "norm": "BatchNorm", "depthwise": "Conv", "drop": "Dropout", "out": "Linear"}
    assert leaves == expected
    assert not graph.modules["norm"].config["unbiased"]  # Keras keeps the biased variance
    model = Tagger()
    model(np.zeros((1, 4), np.int32))
    paths = ivyhub.trace(model, np.zeros((1, 4), np.int32)).modules.keys()
    assert {"words", "blocks.0.attention", "blocks.1.mlp", "recurrent", "both.forward_layer"} <= paths


def test_transposes_of_images_meet() -> None:
    graph = ivyhub.trace(sequential())
    axes = [node.attributes["axes"] for node in graph.nodes if node.op == "transpose"]
    assert axes == [(0, 3, 1, 2), (0, 2, 3, 1)]  # at the entry, and before the axes are merged


def test_what_is_baked_or_differs_in_training_is_refused() -> None:
    noisy = keras.Sequential([L.Input((4,)), L.GaussianNoise(0.1, name="noise"), L.Dense(2)])
    with pytest.raises(CaptureError, match="noise"):
        ivyhub.trace(noisy)
    with pytest.raises(UsageError, match="inputs"):
        ivyhub.trace(Tagger())


def test_watching_ends_with_the_capture() -> None:
    before = keras.layers.Layer.__call__
    ivyhub.trace(sequential())
    assert keras.layers.Layer.__call__ is before


# Keras 3.15 writes and reads arrays by np.array(variable, copy=...), which its variables do not take
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_files(tmp_path: Path, rng: np.random.Generator) -> None:
    model = keras.Sequential([L.Input((4,)), L.Dense(3, activation="relu", name="out")])
    model.save(tmp_path / "net.keras")
    found = ivyhub.transpile(tmp_path / "net.keras", to="numpy")
    x = rng.standard_normal((2, 4)).astype(np.float32)
    # one product of four terms in float32
    assert_close(found(x), np.asarray(model(x)), 1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_files_that_would_run_code_are_refused(tmp_path: Path) -> None:
    keras.Sequential([L.Input((4,)), L.Lambda(lambda x: x + 1, name="plus")]).save(tmp_path / "lambda.keras")
    keras.Sequential([L.Input((4,)), L.Dense(3)]).save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = parts["config.json"].replace(b'"Dense"', b'"Popen"').replace(b'"keras.layers"', b'"subprocess"')
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        for name, data in (parts | {"config.json": config}).items():
            archive.writestr(name, data)
    for name in ("lambda.keras", "other.keras"):
        with pytest.raises(UnsafeError, match=r"Lambda|Popen|Sequential|InputLayer"):
            ivyhub.transpile(tmp_path / name, to="numpy")
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    with pytest.raises(CorruptFileError):
        ivyhub.transpile(tmp_path / "broken.keras", to="numpy")


class Ends(keras.Model):
    """Recurrent layers of which the states at the end are read too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = L.LSTM(5, return_sequences=True, return_state=True)
        self.back = L.SimpleRNN(4, activation="tanh", go_backwards=True)
        self.bare = L.LSTM(4, use_bias=False, return_state=True)
        self.gated = L.GRU(3, bias_initializer="normal", return_sequences=True)

    def call(self, x: Any) -> Any:
        y, h, c = self.first(x)
        return self.back(y), h, c, *self.bare(y), self.gated(y)


RECURRENT = {"first": "LSTM", "back": "RNN", "bare": "LSTM", "gated": "GRU"}


def test_recurrent_layers_are_leaves_and_the_same_again(rng: np.random.Generator) -> None:
    model, x = Ends(), keras.ops.convert_to_tensor(rng.standard_normal((2, 4, 3)).astype(np.float32))
    expected = model(x)
    graph = ivyhub.trace(model, x, dynamic={"x": {0: "batch"}})
    assert {path: info.layer for path, info in graph.modules.items() if path} == RECURRENT
    found = ivyhub.transpile(model, to="tensorflow", args=(x,), dynamic={"x": {0: "batch"}})
    assert [type(getattr(found, name)) for name in RECURRENT] == [type(getattr(model, name)) for name in RECURRENT]
    for ours, theirs in zip(found(x), expected, strict=True):
        assert_close(ours, theirs, 1e-5)  # float32, a few steps of sums of ten numbers near 1


@pytest.mark.slow
def test_recurrent_layers_come_back_through_pytorch(rng: np.random.Generator) -> None:
    model, x = Ends(), rng.standard_normal((2, 4, 3)).astype(np.float32)
    expected = model(x)
    there = ivyhub.transpile(model, to="torch", args=(keras.ops.convert_to_tensor(x),), dynamic={"x": {0: "batch"}})
    found = ivyhub.transpile(there, to="tensorflow", args=(torch.from_numpy(x),), dynamic={"x": {0: "batch"}})
    assert [type(getattr(found, name)) for name in RECURRENT] == [type(getattr(model, name)) for name in RECURRENT]
    for ours, theirs in zip(found(x), expected, strict=True):
        assert_close(ours, theirs, 1e-5)  # as above


@pytest.mark.sweep
@pytest.mark.parametrize("to", [*TARGETS, "flax.linen"])
def test_recurrent_layers_are_certified(to: str) -> None:
    model, x = Ends(), keras.ops.zeros((2, 4, 3))
    model(x)
    assert_certified(model, to, x, dynamic={"x": {0: "batch"}})


class Counts(L.Layer):
    """It gives something else each time."""

    calls = 0

    def call(self, x: Any) -> Any:
        type(self).calls += 1
        return x * float(self.calls)


def test_the_first_module_that_differs_is_told_across_layouts() -> None:
    model = keras.Sequential([L.Input((4, 4, 3)), L.Conv2D(2, 3, name="conv"), Counts(name="counts"), L.Flatten()])
    with pytest.raises(VerificationError, match=r"the first module that differs is counts\n"):
        ivyhub.transpile(model, to="torch", verify=True)


@pytest.mark.parametrize("kind", ["time distributed", "stacked cells"])
def test_layers_within_layers_that_do_not_call_them_have_their_arrays(kind: str, rng: np.random.Generator) -> None:
    stacked = L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2)])
    layer = L.TimeDistributed(L.Dense(3)) if kind == "time distributed" else L.RNN(stacked)
    model = keras.Sequential([L.Input((3, 4)), layer])
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    found = ivyhub.transpile(model, to="torch")
    assert len(list(found.parameters())) == len(model.trainable_variables)
    assert_close(found(torch.from_numpy(x)), model(x), 1e-5)  # float32 sums of a few numbers near 1

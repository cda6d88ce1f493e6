"""Folders of SavedModels as sources: their signature, their variables by name, and what is refused before it is run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.cli import run
from ivyhub.errors import CaptureError, CorruptFileError, UnsafeError, UnsupportedOpsError, UsageError
from tests.arrays import assert_close

tf = pytest.importorskip("tensorflow")

# float32 on both sides; sums of some dozen products.
VALUES = 1e-5


def spec(*shape: int | None) -> Any:
    return tf.TensorSpec(shape, tf.float32, name="x")


class Affine(tf.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.first = tf.Variable(rng.standard_normal((3, 4)).astype(np.float32), name="dense/kernel")
        self.second = tf.Variable(rng.standard_normal(4).astype(np.float32), name="dense/bias")
        self.steps = tf.Variable(7, trainable=False, name="steps")

    @tf.function(input_signature=[spec(None, 3)])
    def serve(self, x: Any) -> Any:
        return {"y": tf.nn.relu(x @ self.first + self.second)}


def saved(function: Any, folder: Path, **attributes: Any) -> Path:
    """A SavedModel of a function of one matrix."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    module.serve = tf.function(function, input_signature=[spec(2, 3)], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def test_a_signature_over_its_variables(tmp_path: Path, rng: np.random.Generator) -> None:
    module = Affine(rng)
    tf.saved_model.save(module, str(tmp_path / "affine"), signatures={"serving_default": module.serve})
    found = ivyhub.transpile(tmp_path / "affine", to="torch", verify=True)
    torch = pytest.importorskip("torch")
    assert {name for name, _ in found.named_parameters()} == {"dense.kernel", "dense.bias"}
    for batch in (1, 5):
        x = rng.standard_normal((batch, 3)).astype(np.float32)
        assert_close(found(torch.from_numpy(x))["y"].detach().numpy(), module.serve(x)["y"].numpy(), VALUES)


@pytest.mark.slow  # a model of Keras is built and saved
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_what_keras_exports_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    )
    model.export(tmp_path / "small", verbose=False)
    monkeypatch.chdir(tmp_path)
    assert run(["convert", "small", "--to", "numpy", "--quiet"]) == 2  # a bare word is a name, not a folder
    assert run(["convert", "./small", "--to", "numpy", "--quiet"]) == 0
    assert run(["verify", "small-numpy", "--quiet"]) == 0
    x = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    from ivyhub.registry.export import load_package

    (found,) = load_package(tmp_path / "small-numpy")(x).values()
    assert_close(np.asarray(found), model(x).numpy(), VALUES)


def test_control_flow_and_functions_of_the_file(tmp_path: Path, rng: np.random.Generator) -> None:
    @tf.function
    def double(x: Any) -> Any:
        return x * 2.0

    def serve(x: Any) -> Any:
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: double(x), lambda: double(double(x)))

    found = ivyhub.transpile(saved(serve, tmp_path / "branches"), to="numpy", verify=True)
    x = rng.random((2, 3)).astype(np.float32) + 0.1
    assert_close(np.asarray(next(iter(found(x).values()))), 2 * x, VALUES)


@pytest.mark.parametrize("op", ["WriteFile", "ReadFile", "PrintV2", "EagerPyFunc"])
def test_files_and_python_are_refused_and_not_touched(op: str, tmp_path: Path) -> None:
    target = str(tmp_path / "touched")

    def serve(x: Any) -> Any:
        match op:
            case "WriteFile":
                tf.io.write_file(target, "text")
            case "ReadFile":
                return x + tf.strings.to_number(tf.io.read_file(target))
            case "PrintV2":
                tf.print("text", output_stream=f"file://{target}")
            case _:
                return tf.reshape(tf.py_function(lambda x: x, [x], tf.float32), (2, 3))
        return x + 1.0

    folder = saved(serve, tmp_path / "model")
    with pytest.raises(UnsafeError, match=op):
        ivyhub.transpile(folder, to="numpy", verify=True)
    assert run(["check", str(folder), "--to", "numpy", "--quiet"]) == 5
    assert not Path(target).exists()


def test_operations_without_a_rule_are_told_at_once(tmp_path: Path) -> None:
    def serve(x: Any) -> Any:
        return tf.raw_ops.Dawsn(x=x) + tf.raw_ops.Betainc(a=x, b=x, x=x)

    with pytest.raises(UnsupportedOpsError) as caught:
        ivyhub.transpile(saved(serve, tmp_path / "model"), to="numpy")
    assert {op for op, _, _ in caught.value.missing} == {"Dawsn", "Betainc"}


def test_tables_are_refused(tmp_path: Path) -> None:
    keys, values = tf.constant([0, 1], tf.int64), tf.constant([1.0, 2.0])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0.0)
    folder = saved(lambda x: table.lookup(tf.cast(x, tf.int64)), tmp_path / "model", table=table)
    with pytest.raises((UnsafeError, CaptureError)):
        ivyhub.transpile(folder, to="numpy")


def test_damaged_folders_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(CorruptFileError, match="no SavedModel"):
        ivyhub.transpile(tmp_path / "empty", to="numpy")
    module = Affine(rng)
    tf.saved_model.save(module, str(tmp_path / "affine"), signatures={"serving_default": module.serve})
    shutil.rmtree(tmp_path / "affine" / "variables")
    with pytest.raises(CorruptFileError, match="checkpoint"):
        ivyhub.transpile(tmp_path / "affine", to="numpy")


def test_links_that_leave_the_folder_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    module = Affine(rng)
    tf.saved_model.save(module, str(tmp_path / "affine"), signatures={"serving_default": module.serve})
    (data,) = (tmp_path / "affine" / "variables").glob("*.data-*")
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeError, match="leaves the folder"):
        ivyhub.transpile(tmp_path / "affine", to="numpy")


def test_a_model_without_a_signature_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(UsageError, match="serving_default"):
        ivyhub.transpile(tmp_path / "none", to="numpy")

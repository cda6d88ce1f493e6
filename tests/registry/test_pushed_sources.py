"""Sources of every framework, kept in the registry and pulled again for another framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.errors import UsageError
from ivyhub.registry.adapters.running import leaves
from tests.arrays import assert_close


def _flax(weight: np.ndarray, folder: Path) -> tuple[Any, dict[str, Any]]:
    nnx = pytest.importorskip("flax.nnx")
    import jax.numpy as jnp

    layer = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    layer.kernel[...], layer.bias[...] = jnp.asarray(weight), jnp.ones(2)
    return layer, {"args": (jnp.ones((4, 3)),), "dynamic": {"inputs": {0: "batch"}}}


def _function_of_parameters(weight: np.ndarray, folder: Path) -> tuple[Any, dict[str, Any]]:
    jnp = pytest.importorskip("jax.numpy")

    def apply(parameters: Any, x: Any) -> Any:
        return x @ parameters["weight"] + 1

    return (apply, {"weight": jnp.asarray(weight)}), {"args": (jnp.ones((4, 3)),), "dynamic": {"x": {0: "batch"}}}


def _keras(weight: np.ndarray, folder: Path) -> tuple[Any, dict[str, Any]]:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, bias_initializer="ones")])
    model.layers[0].kernel.assign(weight)
    return model, {}


def _onnx(weight: np.ndarray, folder: Path) -> tuple[Any, dict[str, Any]]:
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "affine",
        [helper.make_tensor_value_info("x", floats, ["batch", 3])],
        [helper.make_tensor_value_info("y", floats, ["batch", 2])],
        [onnx.numpy_helper.from_array(a, name) for a, name in ((weight, "w"), (np.ones(2, np.float32), "b"))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "a.onnx")
    return folder / "a.onnx", {}


@pytest.mark.parametrize("source", [_flax, _function_of_parameters, _keras, _onnx], ids=lambda make: make.__name__[1:])
def test_a_source_of_any_framework_is_kept_and_pulled(source: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    weight = rng.standard_normal((3, 2)).astype(np.float32)
    model, options = source(weight, tmp_path)
    ivyhub.push(model, "affine", **options)
    native = ivyhub.pull("affine", framework="numpy")
    x = rng.standard_normal((5, 3)).astype(np.float32)
    # float32 on both sides; a sum of three products.
    assert_close(next(leaves(native(x))), x @ weight + 1, 1e-5)


def test_a_path_that_is_no_source_is_named() -> None:
    with pytest.raises(UsageError, match=r"received 'model\.bin'"):
        ivyhub.transpile("model.bin", to="jax")

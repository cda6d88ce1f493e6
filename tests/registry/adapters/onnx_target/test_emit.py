"""Models written in ONNX: valid, equal to their originals in onnxruntime, with their sizes, names and modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine import control_flow, ops
from ivyhub.engine.spec import Spec
from ivyhub.errors import NoLoweringError, TargetVersionError
from ivyhub.registry.adapters.onnx import emit as emitting
from ivyhub.registry.adapters.onnx.run import RuntimeRunner
from ivyhub.registry.weights import Entry, MemoryCheckpoint, WeightMap
from tests.arrays import assert_close

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

# float32 on both sides, sums of some hundred terms at most.
VALUES = 1e-5


def perceptron() -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 2)).eval()


def written(module: Any, *args: Any, **options: Any) -> Any:
    model = ivyhub.transpile(module, to="onnx", args=args, verify=True, **options)
    onnx.checker.check_model(model, full_check=True)
    return model


def results(model: Any, *inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {given.name: array for given, array in zip(session.get_inputs(), inputs, strict=True)})


def test_a_model_of_any_batch(rng: np.random.Generator) -> None:
    module = perceptron()
    model = written(module, torch.ones(4, 3), dynamic={"input": {0: "batch"}})
    for batch in (1, 5):
        x = rng.standard_normal((batch, 3)).astype(np.float32)
        assert_close(results(model, x)[0], module(torch.from_numpy(x)).detach().numpy(), VALUES)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Gelu", "LayerNormalization", "Gemm"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_names_are_those_of_the_source() -> None:
    module = perceptron()
    model = written(module, torch.ones(4, 3))
    assert {tensor.name for tensor in model.graph.initializer} == {name for name, _ in module.named_parameters()}
    (norm,) = (node for node in model.graph.node if node.op_type == "LayerNormalization")
    told = {each.key: each.value for each in norm.metadata_props}
    assert told["pkg.torch.onnx.name_scopes"] == "['', '2', 'layer_norm']"
    assert "torch.nn.modules.normalization.LayerNorm" in told["pkg.torch.onnx.class_hierarchy"]


def test_there_and_back(rng: np.random.Generator) -> None:
    module = perceptron()
    back = ivyhub.transpile(written(module, torch.ones(4, 3), dynamic={"input": {0: "batch"}}), to="torch")
    x = torch.from_numpy(rng.standard_normal((5, 3)).astype(np.float32))
    assert_close(back(x).detach().numpy(), module(x).detach().numpy(), VALUES)
    assert {name for name, _ in back.named_parameters()} == {name for name, _ in module.named_parameters()}


def test_the_smallest_number_comes_back(rng: np.random.Generator) -> None:
    """The lowest float32, printed short, lies beyond float32."""

    class Masked(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.where(x > 0, x, torch.finfo(torch.float32).min)

    back = ivyhub.transpile(written(Masked(), torch.ones(4)), to="torch")
    x = torch.from_numpy(rng.standard_normal(4).astype(np.float32))
    np.testing.assert_array_equal(back(x).numpy(), Masked()(x).numpy())


def test_images(rng: np.random.Generator) -> None:
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    module[1].running_mean.copy_(torch.from_numpy(rng.standard_normal(8).astype(np.float32)))
    model = written(module.eval(), torch.ones(2, 3, 16, 16), dynamic={"input": {0: "batch"}})
    kinds = [node.op_type for node in model.graph.node]
    assert [kinds.count(kind) for kind in ("Conv", "BatchNormalization", "MaxPool", "ConvTranspose")] == [1, 1, 1, 1]
    assert "Transpose" not in kinds


def test_channels_that_come_last_are_turned_once(rng: np.random.Generator) -> None:
    nnx, jnp = pytest.importorskip("flax.nnx"), pytest.importorskip("jax.numpy")

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Conv(3, 4, (3, 3), rngs=rngs)
            self.second = nnx.Conv(4, 4, (3, 3), rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.second(nnx.relu(self.first(x))).mean((1, 2))

    model = written(Net(nnx.Rngs(0)), jnp.ones((2, 8, 8, 3)), dynamic={"x": {0: "batch"}})
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 2
    assert kinds.count("Transpose") <= 2


def _loop(x: Any) -> Any:
    return control_flow.while_loop(lambda x: ops.sum(x) < 100.0, lambda x: x * 2.0 + 1.0, x)


def _branch(x: Any) -> Any:
    return control_flow.cond(ops.sum(x) > 0.0, lambda x: x * 2.0, lambda x: -x, x)


def _scan(x: Any) -> Any:
    return control_flow.scan(lambda total, row: (total + row, total * 2.0), x[0], x)


def _backwards(x: Any) -> Any:
    return control_flow.scan(lambda total, row: (total + row, total * 2.0), x[0], x, reverse=True)


@pytest.mark.parametrize("function", [_loop, _branch, _scan, _backwards])
def test_control_flow(function: Any, rng: np.random.Generator) -> None:
    x = (rng.random((4, 3)) + 0.5).astype(np.float32)
    graph = ivyhub.trace(function, Spec(("n", 3)))
    found = results(ivyhub.transpile(graph, to="onnx"), x)
    wanted = function(x)
    for ours, theirs in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert_close(ours, theirs, VALUES)


def test_sizes_are_computed_from_those_of_inputs() -> None:
    def function(x: Any, y: Any) -> Any:
        rows, columns = x.shape[0], y.shape[0]
        grid = ops.full(shape=(rows * 2 - 1, (columns + 1) // 2), fill_value=1, dtype="float32")
        return grid, ops.arange(stop=rows + columns)

    model = ivyhub.transpile(ivyhub.trace(function, Spec(("n",)), Spec(("m",))), to="onnx")
    for n, m in ((1, 1), (4, 7)):
        grid, places = results(model, np.ones(n, np.float32), np.ones(m, np.float32))
        assert grid.shape == (2 * n - 1, (m + 1) // 2)
        np.testing.assert_array_equal(places, np.arange(n + m))


def test_everything_that_cannot_be_written_is_told_at_once() -> None:
    def function(x: Any) -> Any:
        return ops.cholesky(x), ops.fft(ops.astype(x, dtype="complex64")), ops.lgamma(x)

    graph = ivyhub.trace(function, Spec((3, 3)))
    with pytest.raises(NoLoweringError) as caught:
        graph.emit("onnx")
    assert {"cholesky", "fft", "lgamma"} <= {op for op, _, _ in caught.value.missing}


def test_a_size_that_no_input_tells_is_refused() -> None:
    from ivyhub.engine.dims import Dim

    n = Dim.symbol("n")
    graph = ivyhub.trace(lambda x: ops.arange(stop=n) + ops.sum(x), Spec((2 * n,), "int64"))
    with pytest.raises(NoLoweringError, match=r"size\(s\) n"):
        graph.emit("onnx")


def test_versions_are_those_of_onnx() -> None:
    with pytest.raises(TargetVersionError):
        ivyhub.trace(lambda x: -x, Spec((2,))).emit("onnx==1.2")


def test_weights_that_one_file_cannot_hold_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(emitting, "LARGEST", 1000)
    module = torch.nn.Linear(64, 8)
    graph = ivyhub.trace(module, torch.ones(2, 64), dynamic={"input": {0: "batch"}})
    arrays = {name: value.detach().numpy() for name, value in module.named_parameters()}
    tensors = WeightMap(tuple(Entry((name,), (name,)) for name in arrays)).apply(MemoryCheckpoint(arrays))
    export = graph.emit("onnx")
    paths = export.pack(tmp_path, tensors, lambda done, total: None)
    assert [path.name for path in paths] == ["model.onnx", "model.onnx.data"]
    onnx.checker.check_model(str(paths[0]), full_check=True)
    x = rng.standard_normal((3, 64)).astype(np.float32)
    wanted = module(torch.from_numpy(x)).detach().numpy()
    session = onnxruntime.InferenceSession(paths[0])
    assert_close(session.run(None, {"input": x})[0], wanted, VALUES)
    # What a certificate does with weights that protobuf cannot hold.
    assert_close(RuntimeRunner(onnx.load(paths[0]), largest=1000).outputs({"input": x})[0], wanted, VALUES)

"""Keras exports against the PyTorch modules they were written from, and as Keras users use them."""

from __future__ import annotations

import ast
import functools
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import ivyhub
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.torch.capture import capture
from ivyhub.registry.export import write_source, write_weights
from ivyhub.registry.weights import MemoryCheckpoint
from tests.arrays import assert_close

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
nn = torch.nn
_numbers = itertools.count()

# Sums of float32 in another order: some units in the last place of the largest number.
TOLERANCE = 1e-5


class Package:
    """A module's export in a folder, imported."""

    def __init__(
        self, module: Any, inputs: Sequence[Any], folder: Path, dynamic: Mapping[str, Mapping[int, str]] | None = None
    ) -> None:
        self.module, self.folder = module, folder
        self.export = emit(capture(module, inputs, {}, dynamic).graph, "keras")
        arrays = {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}
        folder.mkdir(exist_ok=True)
        write_source(folder, self.export)
        write_weights(folder, self.export, self.export.weights.apply(MemoryCheckpoint(arrays)))
        self.package = _imported(folder)

    def load(self, **options: Any) -> Any:
        return self.package.load(**options)

    def natively(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The module's arrays as the export names and lays them."""
        return {tensor.info.name: tensor.read() for tensor in self.export.weights.apply(MemoryCheckpoint(arrays))}


def _imported(folder: Path) -> ModuleType:
    name = f"keras_export_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leaves(result: Any) -> list[Any]:
    return [leaf for item in result for leaf in _leaves(item)] if isinstance(result, tuple | list) else [result]


def assert_same(package: Package, inputs: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Outputs, gradients and what a training step leaves in the buffers, eagerly and as a graph of unknown sizes."""
    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in inputs]
    for train in (False, True):
        module = package.module.train(train)
        model = package.load()
        mode = {"training": train} if package.export.source.count("training") else {}
        graph = tf.function(functools.partial(model, **mode), input_signature=signature)
        before = _leaves(graph(*inputs))
        model = package.load()
        start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module.zero_grad()
        expected = _leaves(module(*map(torch.tensor, inputs)))
        weights = [rng.standard_normal(tuple(leaf.shape)).astype("f4") for leaf in expected]
        sum((leaf * torch.tensor(weight)).sum() for leaf, weight in zip(expected, weights, strict=True)).backward()
        with tf.GradientTape() as tape:
            received = _leaves(model(*map(tf.constant, inputs), **mode))
            loss = sum(tf.reduce_sum(leaf * weight) for leaf, weight in zip(received, weights, strict=True))
        places = package.package.variables(model)
        gradients = dict(zip(places, tape.gradient(loss, [v.value for v in places.values()]), strict=True))
        for ours, graphed, theirs in zip(received, before, expected, strict=True):
            _close(ours, theirs.detach().numpy(), "outputs")
            _close(graphed, theirs.detach().numpy(), "outputs of the graph")
        state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
        slopes = {name: np.zeros_like(array) for name, array in state.items()}
        slopes |= {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
        scale = max(1.0, float(np.sqrt(sum((g**2).sum() for g in slopes.values()))))
        trained = package.natively(slopes)
        for name, array in package.natively(state).items():
            if places[name].trainable:
                _close(tf.convert_to_tensor(gradients[name]) / scale, trained[name] / scale, f"the gradient of {name}")
            else:
                _close(places[name], array, f"{name} after a step")
        module.load_state_dict(start)


def _close(received: Any, expected: np.ndarray, what: str) -> None:
    assert_close(np.asarray(received), expected, TOLERANCE, what)


def _inside(layer: Any) -> Any:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer
            self.scale = nn.Parameter(torch.tensor(0.7))

        def forward(self, x: Any) -> Any:
            return torch.tanh(self.inner(x) * self.scale)

    return Net()


class _Places(nn.Module):
    """Numbers that only a size tells it how many of: what it is called with is no array."""

    class _Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Parameter(torch.ones(1))

        def forward(self, count: int) -> Any:
            return torch.arange(count) * self.step

    def __init__(self) -> None:
        super().__init__()
        self.counting = self._Counting()

    def forward(self, x: Any) -> Any:
        return x + self.counting(x.shape[0])[:, None]


LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), (4, 7, 5)),
    "linear without bias": (lambda: nn.Linear(5, 3, bias=False), (4, 5)),
    "layer norm": (lambda: nn.LayerNorm(6, eps=1e-12), (3, 4, 6)),
    "layer norm over two axes": (lambda: nn.LayerNorm((4, 6)), (3, 4, 6)),
    "layer norm without bias": (lambda: nn.LayerNorm(6, bias=False), (3, 6)),
    "layer norm without weights": (lambda: nn.LayerNorm(6, elementwise_affine=False), (3, 6)),
    "group norm": (lambda: nn.GroupNorm(2, 6), (3, 6, 4, 5)),
    "batch norm of rows": (lambda: nn.BatchNorm1d(6), (7, 6)),
    "batch norm 1d": (lambda: nn.BatchNorm1d(6, momentum=0.3), (3, 6, 5)),
    "batch norm 2d": (lambda: nn.BatchNorm2d(6, eps=1e-3), (3, 6, 4, 5)),
    "batch norm 3d": (lambda: nn.BatchNorm3d(4, affine=False), (3, 4, 2, 3, 2)),
    "conv 1d": (lambda: nn.Conv1d(4, 6, 3), (2, 4, 9)),
    "conv 1d, depthwise": (lambda: nn.Conv1d(4, 8, 3, padding=1, groups=4), (2, 4, 9)),
    "conv 2d": (lambda: nn.Conv2d(4, 6, (3, 2), bias=False), (2, 4, 8, 9)),
    "conv 2d, same": (lambda: nn.Conv2d(4, 6, 3, padding=1), (2, 4, 8, 9)),
    "conv 2d, same, dilation": (lambda: nn.Conv2d(4, 6, (3, 5), padding="same", dilation=2), (2, 4, 8, 9)),
    "conv 2d, stride": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 4, 8, 9)),
    "conv 2d, dilation": (lambda: nn.Conv2d(4, 6, 3, dilation=2, padding=(2, 1)), (2, 4, 8, 9)),
    "conv 2d, stride and dilation": (lambda: nn.Conv2d(4, 6, 3, stride=2, dilation=2), (2, 4, 8, 9)),
    "conv 2d, groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 8, 9)),
    "conv 2d, depthwise": (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4), (2, 4, 8, 9)),
    "conv 2d, depthwise with a multiplier": (lambda: nn.Conv2d(4, 8, 3, stride=2, groups=4), (2, 4, 8, 9)),
    "conv 1d, weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3)), (2, 4, 9)),
    "a size alone": (_Places, (4, 5)),
    "conv 3d": (lambda: nn.Conv3d(2, 4, 2, padding=1), (2, 2, 4, 3, 5)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_computes_and_trains_as_the_original(case: str, tmp_path: Path, rng: np.random.Generator) -> None:
    make, shape = LAYERS[case]
    module = _inside(make())
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.tensor(rng.uniform(0.5, 1.5, tuple(tensor.shape)).astype("f4")))
    package = Package(module, (torch.zeros(shape),), tmp_path / "net", {"x": {0: "batch"}})
    assert_same(package, [rng.standard_normal(shape).astype("f4")], rng)


class Encoder(nn.Module):
    """Two inputs, padding, attention with dropout, equal blocks in a list, names that Keras has taken."""

    class Block(nn.Module):
        def __init__(self, width: int, inner: int) -> None:
            super().__init__()
            self.output = nn.Linear(width, width)
            self.layers = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
            self.name = nn.LayerNorm(width)
            self.dropout = nn.Dropout(0.4)

        def forward(self, hidden: Any, mask: Any) -> Any:
            batch, length, width = hidden.shape
            heads = self.output(hidden).view(batch, length, 2, width // 2).transpose(1, 2)
            rate = self.dropout.p if self.training else 0.0
            mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads, mask[:, None, None], dropout_p=rate)
            hidden = self.name(hidden + mixed.transpose(1, 2).reshape(batch, length, width))
            return hidden + self.layers(hidden)

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Embedding(11, 8, padding_idx=0)
        self.build = nn.ModuleList([Encoder.Block(8, 12), Encoder.Block(8, 16), Encoder.Block(8, 16)])
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, tokens: Any, mask: Any) -> Any:
        hidden = self.weights(tokens) * self.scale
        for block in self.build:
            hidden = block(hidden, mask)
        return hidden


DYNAMIC = {"tokens": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"}}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Package:
    inputs = (torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.bool))
    return Package(Encoder(), inputs, tmp_path_factory.mktemp("keras") / "encoder", DYNAMIC)


def _tokens(rng: np.random.Generator, batch: int, length: int) -> list[np.ndarray]:
    mask = rng.random((batch, length)) < 0.7
    mask[-1] = False  # a row that attends to nothing
    return [rng.integers(0, 11, (batch, length)), mask]


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 4)])
def test_any_batch_and_length(encoder: Package, shape: tuple[int, int], rng: np.random.Generator) -> None:
    encoder.module.eval()
    inputs = _tokens(rng, *shape)
    expected = encoder.module(*map(torch.tensor, inputs)).detach().numpy()
    model = encoder.load()
    _close(model(*inputs), expected, "positional")
    _close(model(dict(zip(("tokens", "mask"), inputs, strict=True))), expected, "one dict")
    unknown = [tf.TensorSpec((None, None), "int64"), tf.TensorSpec((None, None), "bool")]
    _close(tf.function(lambda *args: model(*args), input_signature=unknown)(*inputs), expected, "as a graph")


def test_dropout_is_drawn_in_training_alone(encoder: Package, rng: np.random.Generator) -> None:
    inputs, model = _tokens(rng, 3, 6), encoder.load()
    assert np.array_equal(model(*inputs), model(*inputs, training=False))
    assert not np.allclose(model(*inputs, training=True), model(*inputs, training=True))


def test_variables_are_there_at_once_under_their_attribute_paths(encoder: Package) -> None:
    model = encoder.load()
    assert set(encoder.package.variables(model)) == set(load_file(encoder.folder / "model.safetensors"))
    assert np.array_equal(
        model.build_[1].layers_[0].kernel, encoder.module.build[1].layers[0].weight.detach().numpy().T
    )
    assert len({variable.path for variable in model.variables}) == len(model.variables)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_as_a_part_of_a_functional_model_that_is_fitted_and_saved(
    encoder: Package, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = encoder.load()
    inputs = [keras.Input((None,), dtype="int64", name="tokens"), keras.Input((None,), dtype="bool", name="mask")]
    whole = keras.Model(inputs, keras.layers.Dense(1)(model(*inputs)))
    whole.compile(keras.optimizers.Adam(0.05), "mse")
    x = dict(zip(("tokens", "mask"), _tokens(rng, 4, 6), strict=True))
    losses = whole.fit(x, np.ones((4, 6, 1)), epochs=20, verbose=0).history["loss"]
    assert min(losses[-5:]) < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(x), model(x))


def test_layers_are_made_again_from_their_configuration(encoder: Package) -> None:
    block = encoder.load().build_[2]
    again = type(block).from_config(block.get_config())
    again.build()
    assert [v.shape for v in again.weights] == [v.shape for v in block.weights]


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.1), ("mixed_bfloat16", 0.1), ("float16", 0.02)])
def test_narrow_dtypes(encoder: Package, dtype: str, tolerance: float, rng: np.random.Generator) -> None:
    """Half precision keeps 8 or 11 bits of numbers of about 4, through three blocks."""
    inputs, policy = _tokens(rng, 3, 4), keras.config.dtype_policy()
    narrow = encoder.load(dtype=dtype)
    assert keras.config.dtype_policy() == policy
    result = narrow(*inputs)
    assert result.dtype == dtype.removeprefix("mixed_")
    assert narrow.scale.dtype == ("float32" if "mixed" in dtype else dtype)
    assert_close(tf.cast(result, "float32"), encoder.load()(*inputs), tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_model_without_weights_computes_in_the_dtype_of_its_inputs(dtype: str, rng: np.random.Generator) -> None:
    class Squares(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.dropout(x, 0.0) * x + 0.1

    x = torch.from_numpy(rng.normal(size=3).astype(dtype))
    found = ivyhub.transpile(Squares(), to="tensorflow", args=(x,))(x.numpy())
    assert np.asarray(found).dtype == dtype
    assert_close(found, Squares()(x), 1e-15 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("weights", [False, True])
def test_a_cast_to_float32_in_a_model_of_another_type_is_one(weights: bool) -> None:
    class Wide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)) if weights else 1.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * self.scale).to(torch.float32) / 3

    x = torch.ones(3, dtype=torch.bfloat16)
    found = ivyhub.transpile(Wide(), to="tensorflow", args=(x,))(tf.ones(3, "bfloat16"))
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, Wide()(x).detach().numpy())


def test_a_weight_file_that_does_not_fit_is_refused(encoder: Package, tmp_path: Path) -> None:
    tensors = load_file(encoder.folder / "model.safetensors")
    scale = tensors.pop("scale")
    save_file({**tensors, "scales": scale}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"missing tensors: \['scale'\]; unexpected tensors: \['scales'\]"):
        encoder.load(path=tmp_path)
    save_file({**tensors, "scale": scale[:3]}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="shape"):
        encoder.load(path=tmp_path)


def test_the_source_stands_alone_and_is_clean(encoder: Package) -> None:
    import subprocess

    from ruff.__main__ import find_ruff_bin

    for text in encoder.export.files.values():
        nodes = list(ast.walk(ast.parse(text)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
        assert packages <= {"tensorflow", "keras", "numpy", "safetensors"}
    subprocess.run([find_ruff_bin(), "check", "--isolated", "--select", "F", str(encoder.folder)], check=True)
    subprocess.run(
        [find_ruff_bin(), "format", "--isolated", "--check", "--line-length=100", str(encoder.folder)], check=True
    )


def test_reserved_words_hold_the_installed_version() -> None:
    from ivyhub.registry.adapters.tensorflow.styles import KerasStyle

    model, layer = keras.Model(), keras.layers.Layer()
    assert {word for word in (*dir(model), *dir(layer)) if not word.startswith("_")} <= KerasStyle.reserved


def test_what_is_wider_than_the_policy_stays_so(rng: np.random.Generator) -> None:
    """A model of half precision with a table of float32: the policy is float16, and casts what it reads to that."""

    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.linspace(-3, 3, 4097), persistent=False)

        def forward(self, x: Any) -> Any:
            return self.table[torch.searchsorted(self.table, x.float())] * 2

    x = rng.uniform(-2.9, 2.9, 50).astype(np.float16)
    found = ivyhub.transpile(Table(), to="tensorflow", args=(torch.from_numpy(x),))(x)
    # 4097 steps are finer than float16, so that a table of it would miss by more than the rounding of a product
    assert_close(np.asarray(found), Table()(torch.from_numpy(x)), 1e-6)

"""Modules: their tree, their state, their pytrees, and the way to native modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine import nn, ops, random, trees
from ivyhub.engine.backends import framework_of
from ivyhub.engine.compilation import jit
from ivyhub.engine.spec import Spec
from ivyhub.engine.stateful import optimizers as optim
from ivyhub.engine.transforms import grad
from ivyhub.errors import (
    CaptureError,
    EngineError,
    NoLoweringError,
    ShapeError,
    TensorMismatchError,
    UnknownNameError,
    UsageError,
)
from tests.arrays import as_numpy, assert_close, native
from tests.engine.stateful.models import MODELS


class Tied(nn.Module):
    """A table that is read at both ends, in a list, a dictionary and a plain array."""

    def __init__(self) -> None:
        self.embedding = nn.Embedding(7, 4)
        self.blocks = [nn.Linear(4, 4), {"norm": nn.LayerNorm(4), "drop": nn.Dropout(0.5)}]
        self.head = nn.Linear(4, 7, use_bias=False)
        self.shift = np.ones(4, np.float32)
        self.tie("head.weight", "embedding.weight")

    def forward(self, tokens: Any) -> Any:
        x = self.blocks[0](self.embedding(tokens)) + self.shift
        return self.head(self.blocks[1]["drop"](self.blocks[1]["norm"](x)))


@pytest.fixture
def model() -> Tied:
    return Tied().init(random.key(0, "numpy"))


def test_names(model: Tied) -> None:
    assert [*model.named_parameters()] == [
        "embedding.weight",
        *("blocks.0.weight", "blocks.0.bias", "blocks.1.norm.weight", "blocks.1.norm.bias"),
    ]
    assert [*model.named_buffers()] == ["shift", "blocks.1.drop.key"]
    assert model["head.weight"] is model["embedding.weight"]
    assert model["blocks.1.norm"] is model.blocks[1]["norm"]
    assert [*nn.Sequential({"a": nn.ReLU(), "b": nn.Linear(1, 1)}).slots()] == ["b.weight", "b.bias"]
    with pytest.raises(UnknownNameError, match=r"blocks\.7"):
        model["blocks.7.weight"]


def test_a_state_dict_returns(model: Tied, framework: str) -> None:
    state = model.state_dict()
    assert [*state] == ["shift", "embedding.weight", *[name for name in model.named_parameters() if "blocks" in name]]
    other = Tied()
    other.load_state_dict({name: native(framework, array) for name, array in state.items()})
    for name, array in state.items():
        np.testing.assert_array_equal(as_numpy(other[name]), array)
    assert other["head.weight"] is other["embedding.weight"]


def test_what_does_not_fit_is_listed_and_nothing_is_changed(model: Tied) -> None:
    state = {name: array * 2 for name, array in model.state_dict().items()}
    state["blocks.0.bias"] = np.ones(5, np.float32)
    state["more"] = state.pop("blocks.1.norm.bias")
    before = model["blocks.0.weight"]
    with pytest.raises(TensorMismatchError) as caught:
        model.load_state_dict(state)
    for part in ("blocks.0.bias: expected (4,), received (5,)", "missing: blocks.1.norm.bias", "unexpected: more"):
        assert part in str(caught.value)
    assert model["blocks.0.weight"] is before
    del state["blocks.0.bias"]
    model.load_state_dict(state, strict=False)
    np.testing.assert_array_equal(model["blocks.0.weight"], 2 * before)


def test_a_model_without_numbers_says_so() -> None:
    model = Tied()
    for use in (lambda: model(np.zeros((1, 2), np.int32)), model.state_dict, lambda: optim.SGD(0.1).init(model)):
        with pytest.raises(EngineError, match="no numbers yet"):
            use()


def test_ties_need_one_shape(model: Tied) -> None:
    with pytest.raises(ShapeError, match=r"blocks\.0\.bias"):
        model.tie("blocks.0.weight", "blocks.0.bias")
    with pytest.raises(UnknownNameError, match="tail"):
        model.tie("tail", "head.weight")


def test_a_module_is_a_tree(model: Tied) -> None:
    leaves, structure = trees.flatten(model)
    assert len(leaves) == len(model.slots())
    other = structure.unflatten(leaves)
    assert trees.flatten(other)[1] == structure
    assert hash(trees.flatten(other)[1]) == hash(structure)
    assert other["head.weight"] is other["embedding.weight"]
    doubled = trees.tree_map(lambda x: x * 2, model)
    np.testing.assert_array_equal(doubled["head.weight"], 2 * model["embedding.weight"])
    for change in (lambda m: m.eval(), lambda m: m.freeze("head"), lambda m: m.freeze("blocks.0"), _rate):
        changed = model.copy()
        change(changed)
        assert trees.flatten(changed)[1] != structure


def _rate(model: Tied) -> None:
    model.blocks[1]["drop"] = nn.Dropout(0.25).init(random.key(0, "numpy"))


def test_a_copy_is_its_own(model: Tied) -> None:
    other = model.copy()
    other.eval()
    other.shift = other.shift * 3
    assert model.training
    assert model.blocks[1]["drop"].training
    np.testing.assert_array_equal(model.shift, np.ones(4))


def test_freezing(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).init(random.key(0, "jax")).freeze("0", "1.bias")
    x = native("jax", rng.normal(size=(5, 3)).astype(np.float32))
    gradient = nn.grad(lambda model, x: ops.sum(model(x)))(model, x)
    assert [*gradient] == [*model.trainable()] == ["1.weight"]
    optimizer = optim.SGD(1.0)
    moved, _ = optimizer.update(model, gradient, optimizer.init(model))
    assert moved["0.weight"] is model["0.weight"]
    assert_close(moved["1.weight"], model["1.weight"] - gradient["1.weight"], 1e-6)
    assert len(model.unfreeze().trainable()) == 4
    with pytest.raises(UnknownNameError, match="'2'"):
        model.freeze("2")
    with pytest.raises(EngineError, match="no trainable"):
        nn.grad(lambda model: ops.sum(model(x)))(model.freeze())
    with pytest.raises(EngineError, match="expected gradients for 4"):
        optimizer.update(model.unfreeze(), gradient, optimizer.init(model))


def test_the_transforms_take_modules(framework: str, rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2).init(random.key(0, framework))
    x = native(framework, rng.normal(size=(5, 3)).astype(np.float32))
    if framework == "numpy":
        with pytest.raises(NoLoweringError, match="NumPy has no gradients"):
            nn.grad(lambda model, x: ops.sum(model(x)))(model, x)
        return
    gradient = grad(lambda model, x: ops.sum(ops.square(model(x))))(model, x)
    assert isinstance(gradient, nn.Linear)
    y = as_numpy(model(x))
    assert_close(gradient.weight, 2 * y.T @ as_numpy(x), 1e-5)
    optimizer = optim.SGD(0.1)
    moved, _ = optimizer.update(model, gradient, optimizer.init(model))
    assert_close(moved.bias, as_numpy(model.bias) - 0.1 * 2 * y.sum(0), 1e-5)


@pytest.mark.parametrize("owner", ["jax", "tensorflow"])  # PyTorch's compiler takes a minute: see test_training
def test_what_training_changes_passes_through_jit(owner: str, rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Dropout(0.5)).init(random.key(0, owner))
    x = native(owner, rng.normal(size=(6, 3)).astype(np.float32))

    def step(model: nn.Module, x: Any) -> Any:
        value, gradient = nn.value_and_grad(lambda model, x: ops.sum(ops.square(model(x))))(model, x)
        return model, value, gradient

    plain, value, gradient = step(model.copy(), x)
    once, jitted, found = jit(step)(model, x)
    assert_close(jitted, value, 1e-5)
    for name, array in gradient.items():
        assert_close(found[name], array, 1e-4)
    for name, array in plain.named_buffers().items():
        assert_close(once[name], array, 1e-5)
    assert int(once["1.num_batches_tracked"]) == 1
    assert int(model["1.num_batches_tracked"]) == 0  # jit is pure
    assert (as_numpy(once["2.key"]) != as_numpy(model["2.key"])).any()


def test_hooks(model: Tied) -> None:
    seen: list[str] = []
    before = model.blocks[0].before_forward(lambda module, args, kwargs: ((args[0] * 0,), kwargs))
    after = model.blocks[0].after_forward(lambda module, args, kwargs, result: seen.append(type(module).__name__))
    last = model.after_forward(lambda module, args, kwargs, result: result.shape)
    tokens = np.array([[1, 2]])
    assert model(tokens) == (1, 2, 7)
    assert seen == ["Linear"]
    for handle in (before, after, last, last):
        handle.remove()
    assert model(tokens).shape == (1, 2, 7)
    assert seen == ["Linear"]


def test_a_summary_counts_and_shows(model: Tied) -> None:
    lines = model.summary(Spec(("batch", 5), "int32")).splitlines()
    (norm,) = (line.split() for line in lines if "LayerNorm" in line)
    assert norm == ["norm", "LayerNorm", "float32[batch,", "5,", "4]", "8", "32"]
    assert lines[1].split()[-2:] == ["56", "248"]  # 28 + 20 + 8 parameters, a shared one once; a shift and a key more
    assert "float32[batch, 5, 7]" in lines[1]


def test_attributes_are_arrays_or_plain(model: Tied) -> None:
    with pytest.raises(EngineError, match="expected an array"):
        model.embedding.weight = "no array"
    with pytest.raises(AttributeError, match="missing"):
        _ = model.missing
    with pytest.raises(EngineError, match="wrap a function in Lambda"):
        nn.Sequential(ops.relu)  # type: ignore[arg-type]


# -- to other frameworks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("target", ["torch", "jax", "tensorflow", "numpy"])
def test_native_modules_compute_the_same(name: str, target: str, rng: np.random.Generator) -> None:
    make, draw = MODELS[name]
    model, x = make().init(random.key(1, "numpy")).eval(), draw(rng)
    exported = model.to(target, Spec(("batch", *x.shape[1:]), x.dtype.name))
    if hasattr(exported, "eval"):
        exported.eval()
    found = exported(native(target, x))
    assert_close(found, model(x), 1e-4)
    assert type(exported).__name__ == type(model).__name__


def test_some_items_of_a_list_that_is_the_module_itself(rng: np.random.Generator) -> None:
    """PyTorch makes a part of a ModuleList an instance of its class."""
    model = nn.Sequential(nn.Linear(4, 8), nn.GaussianNoise(0.3), nn.GaussianNoise(0.2), nn.Linear(8, 2))
    x = rng.normal(size=(3, 4)).astype(np.float32)
    model.init(random.key(int(rng.integers(2**31)), "numpy"))
    exported = ivyhub.transpile(model, to="torch", args=(x,), verify=True).eval()
    assert_close(exported(native("torch", x)), model.eval()(x), 1e-5)
    assert as_numpy((exported.train()(native("torch", x)) != exported(native("torch", x))).any())


def test_a_graph_has_the_names_of_the_module() -> None:
    graph = ivyhub.trace(Tied(), Spec(("batch", 5), "int32"))
    assert {path for path, _ in graph.parameters()} == {
        *("shift", "embedding.weight", "head.weight"),
        *("blocks.0.weight", "blocks.0.bias", "blocks.1.norm.weight", "blocks.1.norm.bias"),
    }
    assert graph.parameter("head.weight").alias == "embedding.weight"
    assert graph.modules["blocks.1.drop"].layer == "Dropout"


def test_bad_sources() -> None:
    with pytest.raises(CaptureError, match=r"do not fit Linear\.forward"):
        ivyhub.transpile(nn.Linear(3, 2), to="torch", args=())
    with pytest.raises(UsageError, match="no numbers yet"):
        ivyhub.transpile(nn.Linear(3, 2), to="torch", args=(Spec((1, 3)),))


def test_a_certificate_agrees_and_a_push_is_kept(rng: np.random.Generator) -> None:
    make, draw = MODELS["cnn"]
    model, x = make().init(random.key(2, "jax")), draw(rng)
    exported = ivyhub.transpile(model, to="torch", args=(x,), dynamic={"x": {0: "batch"}}, verify=True)
    assert_close(exported.eval()(native("torch", x)), model.eval()(native("jax", x)), 1e-4)
    ivyhub.push(model, "cnn", args=(x,))
    assert [listed.name for listed in ivyhub.list_models()] == ["cnn"]
    with pytest.raises(CaptureError, match="no input 'y'"):
        ivyhub.transpile(model, to="torch", args=(x,), dynamic={"y": {0: "batch"}})


def test_arrays_move_between_frameworks(framework: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4)).init(random.key(0, "numpy"))
    other = model.on(framework, dtype="float64")
    for name, array in model.state_dict().items():
        found = as_numpy(other[name])
        np.testing.assert_array_equal(found, array)
    if framework != "jax":  # which has no float64 unless it is told to
        assert as_numpy(other["0.weight"]).dtype == np.float64
    assert model["0.weight"].dtype == np.float32
    other.load_state_dict(model.state_dict())
    assert framework_of(other["1.running_mean"]) == framework

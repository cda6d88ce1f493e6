"""The public face, end to end: what goes in at one end comes out at the other, and is not done twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file
from torch import nn

import ivyhub
from ivyhub import engine
from ivyhub.cli import run
from ivyhub.engine import ops
from ivyhub.engine.spec import Spec
from ivyhub.errors import CaptureError, UnknownDeviceError, UnknownNameError, UnsupportedOpsError, UsageError
from ivyhub.registry import api
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.conversion import open_runner
from ivyhub.registry.export import load_package
from ivyhub.registry.store import Store
from tests.arrays import assert_close
from tests.registry.adapters.torch.examples import unknown

TRAINABLE = ("torch", "jax", "flax.linen", "tensorflow")
TARGETS = (*TRAINABLE, "numpy")


class Pull:
    """Pulls into folders of one test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: object, framework: str, **options: Any) -> api.PullResult:
        count = len([*self.root.iterdir()])
        return api.pull_package(str(name), framework=framework, to=self.root / f"export_{count}", **options)


@pytest.fixture
def pull(tmp_path_factory: pytest.TempPathFactory) -> Pull:
    return Pull(tmp_path_factory.mktemp("exports"))


def ids(rng: np.random.Generator) -> dict[str, np.ndarray]:
    mask = np.ones((2, 6), np.int64)
    mask[1, 4:] = 0
    return {
        "input_ids": rng.integers(0, 50, (2, 6)),
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, 2, (2, 6)),
    }


def original(folder: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**{name: torch.from_numpy(array) for name, array in inputs.items()}).logits.numpy()


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_computes_what_its_original_computes(
    target: str, bert_folder: Path, pull: Pull, rng: np.random.Generator
) -> None:
    result = pull(bert_folder, target)
    assert not result.reused
    assert result.certificate is not None
    assert all(row["passed"] for row in result.certificate["rows"])
    inputs = ids(rng)
    [logits] = open_runner(Target.parse(target), load_package(Path(result.path))).outputs(inputs)
    # float32 sums of 32 terms in another order
    assert_close(logits, original(bert_folder, inputs), 1e-5)


def test_a_package_says_what_it_is(bert_folder: Path, pull: Pull) -> None:
    result = pull(bert_folder, "torch", verify=False)
    folder = Path(result.path)
    record = json.loads((folder / "ivyhub.json").read_text())
    assert record["certificate"] is None
    assert record["origin"]["id"] == str(bert_folder)
    assert record["dims"].keys() == {"batch", "length"}
    assert (folder / "config.json").read_bytes() == (bert_folder / "config.json").read_bytes()
    assert (folder / "tokenizer.json").read_bytes() == (bert_folder / "tokenizer.json").read_bytes()
    card = (folder / "README.md").read_text()
    assert "Licence of the original: mit" in card
    assert "Not measured" in card


def test_a_second_pull_does_no_work_again(bert_folder: Path, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pull(bert_folder, "torch")
    with monkeypatch.context() as patch:
        patch.setattr("torch.export.export", None)  # what captures would fail
        patch.setattr("ivyhub.registry.adapters.torch.emit.emit", None)  # what emits would fail
        second = pull(bert_folder, "torch")
    assert second.reused
    assert second.certificate == first.certificate
    contents = [{p.name: p.read_bytes() for p in Path(r.path).iterdir()} for r in (first, second)]
    assert contents[0] == contents[1]


def test_an_export_that_was_not_verified_is_verified_when_asked(bert_folder: Path, pull: Pull) -> None:
    assert pull(bert_folder, "torch", verify=False).certificate is None
    assert pull(bert_folder, "torch").certificate is not None


def test_weights_are_the_bytes_of_the_source(bert_folder: Path, pull: Pull) -> None:
    exported = Path(pull(bert_folder, "torch", verify=False).path) / "model.safetensors"
    assert exported.read_bytes() == (bert_folder / "model.safetensors").read_bytes()
    model = transformers.AutoModelForSequenceClassification.from_config(
        transformers.AutoConfig.from_pretrained(bert_folder)
    )
    state = {name: torch.from_numpy(array) for name, array in load_file(exported).items()}
    model.load_state_dict(state, strict=True)


@pytest.mark.parametrize("target", TRAINABLE)
def test_a_fine_tuned_export_comes_home(target: str, bert_folder: Path, pull: Pull, rng: np.random.Generator) -> None:
    first = pull(bert_folder, target, new_name="small", verify=False)
    model = load_package(Path(first.path))
    inputs = ids(rng)
    runner = open_runner(Target.parse(target), model)
    weights = [rng.standard_normal((2, 3)).astype(np.float32)]
    runner.descend(inputs, weights, rate=0.05, steps=2)
    trained = runner.outputs(inputs)
    digest = ivyhub.push(model, "tuned")
    version = Store().version(digest)
    assert [parent.digest for parent in version.parents] == [first.version]

    home = pull("tuned", "torch", verify=False)
    exported = Path(home.path) / "model.safetensors"
    fresh = transformers.AutoModelForSequenceClassification.from_pretrained(bert_folder).eval()
    before = load_file(bert_folder / "model.safetensors")
    after = load_file(exported)
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)
    fresh.load_state_dict({name: torch.from_numpy(array) for name, array in after.items()}, strict=True)
    with torch.no_grad():
        logits = fresh(**{name: torch.from_numpy(array) for name, array in inputs.items()}).logits.numpy()
    assert_close(logits, trained[0], 1e-5)  # float32 sums of 32 terms in another order


@pytest.mark.parametrize("target", TRAINABLE)
def test_an_export_pushed_as_it_is_keeps_every_byte(target: str, bert_folder: Path, pull: Pull) -> None:
    folder = Path(pull(bert_folder, target, verify=False).path)
    ivyhub.push(folder, "again")
    home = Path(pull("again", "torch", verify=False).path)
    assert (home / "model.safetensors").read_bytes() == (bert_folder / "model.safetensors").read_bytes()


def test_verify_names_the_first_module_that_differs(
    bert_folder: Path, pull: Pull, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(pull(bert_folder, "torch").path)
    assert run(["verify", str(folder)]) == 0
    state = load_file(folder / "model.safetensors")
    state["bert.encoder.layer.1.intermediate.dense.weight"][:, 0] += 0.5  # not all: the rows of a layer norm sum to 0
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    found = api.verify(str(folder))
    assert not all(row["passed"] for row in found["rows"])
    assert found["first_difference"] == "bert.encoder.layer.1.intermediate.dense"
    capsys.readouterr()
    assert run(["verify", str(folder)]) == 3
    assert "does not agree" in capsys.readouterr().err


def test_a_live_model_of_every_framework(bert_folder: Path, rng: np.random.Generator) -> None:
    inputs = ids(rng)
    expected = original(bert_folder, inputs)
    for target in TARGETS:
        model = ivyhub.pull(str(bert_folder), framework=target, verify=False)
        [logits] = open_runner(Target.parse(target), model).outputs(inputs)
        assert_close(logits, expected, 1e-5)


@pytest.mark.parametrize(
    "target", ["torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow"))]
)
def test_weights_in_another_dtype(target: str, bert_folder: Path, pull: Pull) -> None:
    result = pull(bert_folder, target, dtype="bfloat16")
    record = json.loads((Path(result.path) / "ivyhub.json").read_text())
    assert record["dtype"] == "bfloat16"
    header = (Path(result.path) / "model.safetensors").read_bytes()[8:2000]
    assert b'"BF16"' in header
    assert b'"F32"' not in header


class Mixed(nn.Module):
    """Layers with batch statistics, dropout, a table that no checkpoint holds, and nested results."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.second = nn.Linear(8, 3)
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("table", torch.randn(40, 8), persistent=False)

    def forward(self, x: torch.Tensor, rows: torch.Tensor, left_out: Any = None) -> dict[str, Any]:
        hidden = torch.relu(self.norm(self.first(x))) + self.table[rows]
        return {"y": self.second(self.drop(hidden)) * self.scale, "hidden": (hidden,)}


@pytest.fixture
def mixed() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    return Mixed(), torch.randn(5, 6), torch.randint(0, 40, (5,))


@pytest.mark.parametrize("target", TARGETS)
def test_a_module_in_memory(target: str, mixed: Any) -> None:
    module, x, rows = mixed
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    dynamic = {"x": {0: "batch"}, "rows": {0: "batch"}}
    native = ivyhub.transpile(module, to=target, args=(x, rows), dynamic=dynamic, verify=True)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    module.eval()
    runner = open_runner(Target.parse(target), native)
    received = runner.outputs({"x": x[:3].numpy(), "rows": rows[:3].numpy()})
    expected = module(x[:3], rows[:3])
    for ours, theirs in zip(received, (expected["y"], *expected["hidden"]), strict=True):
        assert_close(ours, theirs.detach().numpy(), 1e-5)


@pytest.mark.parametrize("make", [lambda m, x, r: m, lambda m, x, r: ivyhub.trace(m, x, r)], ids=["module", "graph"])
def test_what_is_pushed_comes_back_bit_by_bit(make: Callable[..., Any], mixed: Any) -> None:
    module, x, rows = mixed
    kept = make(module, x, rows)
    ivyhub.push(kept, "mine", **({"args": (x, rows)} if kept is module else {}))
    state = ivyhub.pull("mine", framework="torch").state_dict()
    assert state.keys() == module.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())


def test_trace_of_a_function() -> None:
    graph = ivyhub.trace(lambda x: ops.tanh(x) * 2.0, Spec(("n", 3)))
    assert [node.op for node in graph.nodes] == ["tanh", "multiply"]
    assert "tanh" in graph.emit("torch").source


def test_missing_operations_are_told_all_at_once_with_their_places() -> None:
    first, second = unknown("first"), unknown("second")

    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return first(x) + second(x)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()
            self.linear = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(self.linear(x))

    with pytest.raises(UnsupportedOpsError) as caught:
        ivyhub.trace(Outer(), torch.randn(2, 3))
    assert {op.split(".")[1] for op, _, _ in caught.value.missing} == {"first", "second"}
    assert all(Path(__file__).name in line for _, _, line in caught.value.missing)


def test_check_finds_nothing_missing(bert_folder: Path) -> None:
    assert api.check(str(bert_folder), "jax") == []


def test_the_registry_lists_and_shows_what_was_pulled(bert_folder: Path, pull: Pull) -> None:
    result = pull(bert_folder, "torch", new_name="mine")
    listed = {model.name: model for model in ivyhub.list_models()}
    assert listed.keys() == {"mine", "small-bert"}
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(bert_folder)
    assert listed["mine"].parameters == sum(parameter.numel() for parameter in loaded.parameters())
    details = ivyhub.show("mine")
    assert details.digest == result.version
    assert details.certificates == {"torch": result.certificate}
    assert "class BertForSequenceClassification(nn.Module)" in details.source
    assert "encoder" in details.tree
    assert details.config is not None
    assert details.config["model_type"] == "bert"


def test_a_pushed_name_wins_over_nothing_else(bert_folder: Path, mixed: Any, pull: Pull) -> None:
    module, x, rows = mixed
    with pytest.raises(UnknownNameError):
        pull("mine", "torch")
    ivyhub.push(module, "mine", args=(x, rows))
    assert Path(pull("mine", "torch").path).is_dir()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: ivyhub.transpile(object(), to="jax"), UsageError),
        (lambda: ivyhub.trace(3), UsageError),
        (lambda: ivyhub.transpile(nn.Linear(2, 2), to="jax", args=(torch.ones(1), 2, 3)), CaptureError),
        (lambda: ivyhub.transpile(nn.Tanh(), to="jax", args=(torch.ones(1, 2),), device="tpu:9"), UnknownDeviceError),
        (lambda: ivyhub.push(ivyhub.trace(nn.Linear(2, 2), torch.ones(1, 2)).copy(), "x"), UsageError),
        (lambda: ivyhub.show("nothing"), UnknownNameError),
        (lambda: ivyhub.verify("nothing"), UnknownNameError),
    ],
)
def test_wrong_calls_say_so(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
    assert not ivyhub.list_models()


def test_a_package_of_another_registry_is_verified_from_its_source(bert_folder: Path, pull: Pull, home: Path) -> None:
    folder = Path(pull(bert_folder, "torch", verify=False).path)
    shutil.rmtree(home)
    assert all(row["passed"] for row in api.verify(str(folder))["rows"])


# -- graphs as live objects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["torch", "jax", "tensorflow", "numpy"])
def test_a_graph_of_a_function_becomes_a_native_object(target: str, rng: np.random.Generator) -> None:
    def similar(x: Any, y: Any) -> dict[str, Any]:
        return {"weights": engine.softmax(x @ engine.matrix_transpose(y)), "total": engine.sum(x)}

    graph = ivyhub.trace(similar, Spec(("n", 4)), Spec(("n", 4)))
    x = rng.standard_normal((3, 4)).astype(np.float32)
    native = engine.to_framework(x, target)
    found = graph.to(target)(native, native)
    wanted = similar(x, x)
    found = list(found.values()) if isinstance(found, dict) else found
    for ours, theirs in zip(found, wanted.values(), strict=True):
        assert_close(np.asarray(ours), theirs, 1e-5)  # sums of four float32 products


def test_a_graph_of_a_module_has_its_arrays_while_the_module_lives(rng: np.random.Generator) -> None:
    module = engine.nn.Linear(4, 3).init(engine.random.key(0, "jax"))
    graph = ivyhub.trace(module, Spec(("n", 4)))
    x = rng.standard_normal((3, 4)).astype(np.float32)
    found = graph.to("torch")(torch.from_numpy(x)).detach().numpy()
    assert_close(found, module(engine.to_framework(x, "jax")), 1e-5)
    with pytest.raises(UsageError, match="2 parameters and no weights"):
        ivyhub.Graph.from_json(graph.to_json()).to("torch")
    with pytest.raises(UsageError, match="a graph has its inputs already"):
        ivyhub.transpile(graph, to="torch", args=(torch.from_numpy(x),))

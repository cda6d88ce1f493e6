"""Capture of PyTorch modules: an export gives what the original gives, in outputs, gradients and state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.errors import CaptureError, NoLoweringError, UnsupportedOpsError
from tests.registry.adapters.parity import assert_same

torch = pytest.importorskip("torch")

from torch import nn

from ivyhub.registry.adapters.torch.capture import capture
from tests.registry.adapters.torch import modules, modules_behaviour  # noqa: F401 - they fill the table
from tests.registry.adapters.torch.examples import MODULES, OneLinear, unknown

BATCH = {"x": {0: "batch"}}


@pytest.fixture(autouse=True)
def seed(rng: np.random.Generator) -> None:
    torch.manual_seed(int(rng.integers(1 << 31)))


@pytest.mark.parametrize("target", ["torch", "jax"])
@pytest.mark.parametrize("name", MODULES)
def test_exports_agree_with_the_original(name, target, rng):
    made = MODULES[name]()
    before = {key: tensor.clone() for key, tensor in made.module.state_dict().items()}
    held = [(dict(vars(module)), len(module._forward_pre_hooks)) for module in made.module.modules()]
    assert_same(
        *(made.module, made.args, made.kwargs, made.dynamic), to=target, rng=rng, sizes=made.sizes, dtype=made.dtype
    )
    assert all(torch.equal(tensor, before[key]) for key, tensor in made.module.state_dict().items())
    for module, (attributes, hooks) in zip(made.module.modules(), held, strict=True):
        assert vars(module).keys() == attributes.keys()
        assert module.training == attributes["training"]
        assert len(module._forward_pre_hooks) == hooks
        assert not module._forward_hooks
    assert "training" not in vars(nn.Module)


def test_modules_without_data(rng):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.linear = nn.Embedding(9, 4), nn.Linear(4, 9)

        def forward(self, x):
            return self.linear(self.embedding(x))

    ids = torch.zeros(2, 3, dtype=torch.int64)
    with torch.device("meta"):
        bare = Net()
    graph = capture(bare, (ids.to("meta"),), dynamic=BATCH).graph
    assert str(graph) == str(capture(Net(), (ids,), dynamic=BATCH).graph)


def test_frozen_parameters_stay_frozen():
    made = MODULES["Frozen"]()
    native = ivyhub.transpile(made.module, to="torch", args=made.args, dynamic=made.dynamic)
    gradients = {name: p.requires_grad for name, p in native.named_parameters()}
    assert [name for name, learns in gradients.items() if learns] == ["second.weight"]


# -- training and evaluation ------------------------------------------------------------------------------------------


class Branch(OneLinear):
    def forward(self, x):
        x = self.linear(x)
        if self.training:
            return x * 2
        return x


class Held(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), Branch())

    def forward(self, x):
        return self.layers(x)


class AsksItsParent(nn.Module):
    """A function that is given a module asks it whether it trains, as attention of `transformers` does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return scaled(self, self.linear(x))


def scaled(module: nn.Module, x: Any) -> Any:
    return x * 3 if module.training else x


class ChangesABuffer(OneLinear):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.count.add_(1)
        return self.linear(x) + self.count


class BySetting(nn.Module):
    """Two of a class, of which one goes another way."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Drop(0.0), Drop(0.5)
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.second(self.linear(self.first(x)))


class AsksItsNorm(nn.Module):
    """The layer whose flag it reads is traced in evaluation, which must not show."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.norm(x)
        return x * 3 if self.norm.training else x


class ByNumber(nn.Module):
    """Numbered layers, of which one goes another way."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Numbered(index) for index in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Numbered(OneLinear):
    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x):
        return self.linear(x) * (2 if self.training and self.index == 1 else 1)


class Drop(nn.Module):
    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x):
        return x if self.rate == 0.0 or not self.training else x * (1 - self.rate)


@pytest.mark.parametrize(
    ("module", "place"),
    [
        (Branch, "Branch"),
        (Held, "layers.1"),
        (AsksItsParent, "AsksItsParent"),
        (ChangesABuffer, "ChangesABuffer"),
        (BySetting, "second"),
        (AsksItsNorm, "AsksItsNorm"),
        (ByNumber, r"layers\.1"),
    ],
)
def test_another_way_in_evaluation_is_refused(module, place):
    with pytest.raises(CaptureError, match=rf"{place}.* takes another way in evaluation .*test_capture\.py:\d+"):
        capture(module(), (torch.randn(2, 4),), dynamic=BATCH)


def test_both_modes_are_kept_where_they_differ_by_dropout_alone():
    made = MODULES["AsksWhetherItTrains"]()
    found = capture(made.module, made.args, dynamic=made.dynamic)
    drops = [node for node in found.graph.nodes if node.op == "dropout"]
    assert [node.attributes["rate"] for node in drops] == [0.3, 0.2]
    (attention,) = [node for node in found.graph.nodes if node.op == "attention"]
    assert attention.attributes["dropout_rate"] == 0.2


def test_stochastic_depth_is_captured_as_in_evaluation_and_said_so():
    made = MODULES["LayerDrop"]()
    found = capture(made.module, made.args, dynamic=made.dynamic)
    assert any("random numbers in training" in note and "modules_behaviour.py" in note for note in found.notes)
    assert sum(node.op == "dropout" for node in found.graph.nodes) == 2


# -- operations without a rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.hstack((x, torch.diag_embed(x).sum(1))),
        lambda x: torch.trapezoid(x, dim=0),
        lambda x: torch.linalg.cross(x[:, :3], x[:, :3].flip(0)),
        lambda x: torch.special.xlog1py(x, x.square()),
        lambda x: torch.std_mean(torch.sinc(x), dim=-1, keepdim=True),
        lambda x: torch.rot90(x).aminmax(dim=0),
    ],
    ids=["hstack", "trapezoid", "cross", "xlog1py", "std_mean", "aminmax"],
)
@pytest.mark.parametrize("target", ["jax", "tensorflow"])
def test_operations_are_read_through_pytorchs_own_formulas(function, target):
    class Applied(nn.Module):
        def forward(self, x):
            return function(x)

    ivyhub.transpile(Applied(), to=target, args=(torch.randn(4, 4),), dynamic={"x": {0: "batch"}}, verify=True)


class Looking(nn.Module):
    def forward(self, x):
        """What reads numbers to warn or to refuse, and computes without them."""
        frames = (x * torch.arange(1.0, 6.0)[:, None, None]).sin()
        lengths = torch.full(x.shape[:1], 4)
        words = torch.tensor([[1, 2, 3]]).expand(x.shape[0], 3)
        lost = nn.functional.gaussian_nll_loss(x, x.flip(0), x.square() + 0.1, full=True)
        aligned = [
            nn.functional.ctc_loss(scores, words, lengths, lengths - 2, reduction="none")
            for scores in (frames.log_softmax(-1), frames)
        ]
        several = torch.cat((x, x.flip(1).cos(), 3 - x)).T
        return (
            torch.cov(several),
            torch.cov(several, aweights=several[0].exp()),
            torch.corrcoef(several),
            lost,
            *aligned,
        )


@pytest.mark.sweep
def test_functions_that_look_at_numbers_are_read_without_a_look():
    ivyhub.transpile(Looking(), to="tensorflow", args=(torch.randn(4, 4),), dynamic={"x": {0: "batch"}}, verify=True)


class Bags(nn.Module):
    def forward(self, x, words):
        first, last = x.T.contiguous(), x * 2
        bags = nn.functional.embedding_bag(words, x, torch.tensor([0, 2, 2]), mode="mean")
        options = nn.LinearCrossEntropyOptions(allow_retain_graph=True)
        loss = nn.functional.linear_cross_entropy(x, first.as_strided((3, 4), (4, 1)), words[:4], options=options)
        spread = last.T.as_strided_scatter(x[0], (4,), (3,), 1)
        return bags, loss, last.T.as_strided((2, 2, 2), (4, 1, 3), 2), spread


@pytest.mark.parametrize("target", ["jax", "tensorflow"])
def test_memory_is_an_array_in_the_order_of_its_axes(target):
    args = torch.randn(4, 4), torch.tensor([0, 2, 1, 1, 2])
    ivyhub.transpile(Bags(), to=target, args=args, verify=True)


def test_a_call_that_writes_to_a_parameter_is_refused():
    with pytest.raises(CaptureError, match="writes to the parameter weight"):
        ivyhub.transpile(nn.Embedding(5, 3, max_norm=1.0), to="jax", args=(torch.tensor([0, 3, 1]),))


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_gradients_that_are_scaled_by_frequency_are_refused(layer):
    with pytest.raises(CaptureError, match="scale_grad_by_freq"):
        ivyhub.transpile(layer(5, 3, scale_grad_by_freq=True), to="jax", args=(torch.tensor([[0, 3, 1]]),))


def test_memory_beside_a_view_is_refused():
    class Beside(nn.Module):
        def forward(self, x):
            return x[1:].as_strided((2,), (1,), 0)

    with pytest.raises(CaptureError, match="shows memory beside it"):
        ivyhub.transpile(Beside(), to="jax", args=(torch.randn(3, 2),))


def test_an_array_without_axes_has_an_axis_where_one_is_asked_for():
    class Reduced(nn.Module):
        def forward(self, x):
            values, places = x.max(0)
            return x.cumsum(0), values, places, x.logsumexp(-1), torch.sort(x, 0)[0]

    ivyhub.transpile(Reduced(), to="jax", args=(torch.randn(()),), verify=True)


# -- what is said -----------------------------------------------------------------------------------------------------


def test_every_missing_operation_is_listed_with_its_place():
    first, second = unknown("first"), unknown("second")

    class Inner(nn.Module):
        def forward(self, x):
            return first(x)[0]

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.inner = nn.Linear(4, 4), Inner()

        def forward(self, x):
            return self.inner(self.linear(x)) + second(x)[:, 0]

    with pytest.raises(UnsupportedOpsError) as caught:
        capture(Outer(), (torch.randn(4, 4),))
    assert {name.split(".")[1] for name, _, _ in caught.value.missing} == {"first", "second"}
    assert all("test_capture.py:" in line for _, _, line in caught.value.missing)


def test_a_branch_on_values_names_the_users_line():
    class Data(OneLinear):
        def forward(self, x):
            x = self.linear(x)
            if x.sum() > 0:
                x = x * 2
            return x

    with pytest.raises(CaptureError, match=r"test_capture\.py:\d+: if x\.sum\(\) > 0:") as caught:
        capture(Data(), (torch.randn(2, 4),))
    assert "torch.where" in caught.value.hint


def test_inputs_that_do_not_fit():
    with pytest.raises(CaptureError, match="missing a required argument") as caught:
        capture(nn.Linear(3, 2), ())
    assert "signature" in caught.value.hint
    with pytest.raises(CaptureError, match=r"torch\.export refused Linear.*mat1 and mat2|a and b must have same"):
        capture(nn.Linear(3, 2), (torch.randn(2, 4),))


def test_unknown_dynamic_names():
    with pytest.raises(CaptureError, match=r"\['y'\].*\['input'\]"):
        capture(nn.Linear(3, 2), (torch.randn(2, 3),), dynamic={"y": {0: "batch"}})
    with pytest.raises(CaptureError, match="axis 2 of 'input', which has 2 axes"):
        capture(nn.Linear(3, 2), (torch.randn(2, 3),), dynamic={"input": {2: "batch"}})


def test_baked_values_and_fixed_sizes_are_reported():
    class Fixed(OneLinear):
        def forward(self, x, y, factor):
            return self.linear(x) * factor + y, torch.zeros(int(x.shape[1]) * 2).reshape(4, 2)

    found = capture(
        Fixed(), (torch.randn(2, 4), torch.randn(2, 4), 3), dynamic={"x": {0: "n", 1: "width"}, "y": {0: "m"}}
    )
    assert any("factor=3" in note for note in found.notes)
    assert any("axis 1 of 'x' is fixed at 4" in note for note in found.notes)
    assert any("n and m are one" in note for note in found.notes)
    assert set(found.graph.symbols) == {"n"}


@pytest.mark.parametrize("target", ["tensorflow", "numpy"])
def test_targets_that_cannot_keep_changed_buffers_say_so(target):
    made = MODULES["ChangedBuffers"]()
    with pytest.raises(NoLoweringError, match=r"last.*first\.count|first\.count.*last") as caught:
        ivyhub.transpile(made.module, to=target, args=made.args, dynamic=made.dynamic)
    assert ("update of last", "", "") in caught.value.missing


def test_python_state_is_put_back_and_reported():
    class Counts(OneLinear):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            self.seen = x.shape[-1]
            return self.linear(x) * self.calls

    module = Counts().eval()
    found = capture(module, (torch.randn(2, 4),), dynamic=BATCH)
    assert {note.split()[0] for note in found.notes if "from call to call" in note} == {"calls", "seen"}
    assert module.calls == 0
    assert not hasattr(module, "seen")
    assert not any(part.training for part in module.modules())


def test_one_tensor_given_twice_is_two_inputs():
    class Difference(nn.Module):
        def forward(self, a, b):
            return a - 2 * b

    x = torch.randn(2, 3)
    export = ivyhub.transpile(Difference(), to="torch", args=(x, x))
    a, b = torch.randn(2, 2, 3)
    assert torch.equal(export(a, b), a - 2 * b)


def test_an_axis_that_the_module_fixes_cannot_be_dynamic():
    class Fixed(nn.Module):
        def forward(self, x):
            return x + torch.arange(4.0)

    with pytest.raises(CaptureError, match="axis 1 of 'x' was named 'width', but the model only takes 4 there"):
        ivyhub.transpile(Fixed(), to="torch", args=(torch.randn(2, 4),), dynamic={"x": {0: "batch", 1: "width"}})


def test_limits_of_64_bits_are_those_of_32_in_jax():
    jnp = pytest.importorskip("jax.numpy")

    class Least(nn.Module):
        def forward(self, x, mask, index):
            least = torch.where(mask, x, torch.iinfo(torch.int64).max).amin(-1)
            return least, x.scatter_reduce(0, index, x, "amin", include_self=False)

    x, index = torch.randint(-9, 9, (4, 3)), torch.randint(0, 4, (4, 3))
    native = ivyhub.transpile(Least(), to="jax", args=(x, x > 20, index))
    least, reduced = native(*(jnp.asarray(array.numpy()) for array in (x, x > 20, index)))
    assert (np.asarray(least) == np.iinfo("int32").max).all()
    np.testing.assert_array_equal(reduced, Least()(x, x > 20, index)[1])


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_a_scale_factor_that_leaves_a_rest_is_the_step(mode, rng):
    """PyTorch steps by the factor, not by the sizes, which make another."""
    jnp = pytest.importorskip("jax.numpy")
    x = rng.normal(size=(1, 2, 4)).astype(np.float32)
    module = nn.Upsample(scale_factor=1.7, mode=mode)
    native = ivyhub.transpile(module, to="jax", args=(torch.from_numpy(x),))
    np.testing.assert_allclose(native(jnp.asarray(x)), module(torch.from_numpy(x)), atol=1e-5)  # float32, two taps

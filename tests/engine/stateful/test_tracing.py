"""Every layer, traced: alone, in a module, in a function; in training and in evaluation alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import Spec, nn, ops, random
from ivyhub.engine.backends import framework_of
from ivyhub.engine.graph import Graph, tree_leaves
from ivyhub.engine.spec import spec_of
from ivyhub.engine.trace import trace
from ivyhub.engine.verify import verify
from ivyhub.errors import GraphError
from tests.arrays import as_numpy, assert_close, native
from tests.engine.draw import BATCH, Draw
from tests.engine.evaluate import evaluate
from tests.engine.ops_samples import SAMPLES

Case = tuple[Callable[[], nn.Module], Callable[[Draw], tuple[Any, ...]]]
"""A layer, and arrays for it."""

TOLERANCE = 1e-5  # float32, the same operations of NumPy; in a graph some run as others that they are made of


def of_shapes(make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Case:
    return make, lambda d: tuple(d.f(BATCH, *shape) for shape in shapes)


def spatial(name: str, *args: Any, size: int = 4, channels: int = 2, **options: Any) -> dict[str, Case]:
    """The layers of a name for one to three spatial axes."""
    kinds = {rank: getattr(nn, f"{name}{rank}d", None) for rank in (1, 2, 3)}
    return {
        f"{name}{rank}d": of_shapes(lambda kind=kind: kind(*args, **options), (channels, *(size,) * rank))
        for rank, kind in kinds.items()
        if kind is not None
    }


LAYERS: dict[str, Case] = {
    "Linear": of_shapes(lambda: nn.Linear(4, 3), (4,)),
    "Bilinear": of_shapes(lambda: nn.Bilinear(3, 4, 2), (3,), (4,)),
    "Einsum": of_shapes(lambda: nn.Einsum("bi,ij->bj", (3, 4), (4,)), (3,)),
    "Embedding": (lambda: nn.Embedding(4, 3, 1), lambda d: (d.i(BATCH, 2, low=0, high=4),)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(4, 3), lambda d: (d.i(BATCH, 2, low=0, high=4),)),
    "PReLU": of_shapes(lambda: nn.PReLU(3), (3, 4)),
    "AdaptiveLogSoftmax": of_shapes(lambda: nn.AdaptiveLogSoftmax(8, 9, [3, 6]), (8,)),
    "LayerNorm": of_shapes(lambda: nn.LayerNorm(4), (3, 4)),
    "RMSNorm": of_shapes(lambda: nn.RMSNorm(4), (3, 4)),
    "GroupNorm": of_shapes(lambda: nn.GroupNorm(2, 4), (4, 3)),
    "BatchNorm": of_shapes(lambda: nn.BatchNorm(3), (3, 4)),
    "InstanceNorm": of_shapes(lambda: nn.InstanceNorm(3, track_running_stats=True), (3, 4)),
    "Conv": of_shapes(lambda: nn.Conv(2, 3, (3,), (1,), ((1, 1),), (1,)), (2, 6)),
    **spatial("Conv", 2, 3, 2),
    **spatial("ConvTranspose", 2, 3, 2),
    **spatial("MaxPool", 2),
    **spatial("AvgPool", 2),
    **spatial("LPPool", 2, p=2.0),
    **spatial("AdaptiveMaxPool", 2),
    **spatial("AdaptiveAvgPool", 2),
    **spatial("FractionalMaxPool", 2, size=8, ratio=0.5),
    "Upsample": of_shapes(lambda: nn.Upsample(scale=2), (2, 3, 4)),
    **{
        name: of_shapes(lambda name=name: getattr(nn, name)(0.3), (3, 4))
        for name in ("Dropout", "AlphaDropout", "FeatureDropout", "FeatureAlphaDropout", "DropPath")
    },
    "GaussianDropout": of_shapes(lambda: nn.GaussianDropout(0.3), (3, 4)),
    "GaussianNoise": of_shapes(lambda: nn.GaussianNoise(0.3), (3, 4)),
    "RNN": of_shapes(lambda: nn.RNN(3, 4), (3, 3)),
    "LSTM": of_shapes(lambda: nn.LSTM(3, 4, 2, dropout=0.1), (3, 3)),
    "GRU": of_shapes(lambda: nn.GRU(3, 4, bidirectional=True), (3, 3)),
    "RNNCell": of_shapes(lambda: nn.RNNCell(3, 4), (3,)),
    "LSTMCell": of_shapes(lambda: nn.LSTMCell(3, 4), (3,)),
    "GRUCell": of_shapes(lambda: nn.GRUCell(3, 4), (3,)),
    "MultiHeadAttention": of_shapes(lambda: nn.MultiHeadAttention(4, 2, dropout=0.1), (3, 4)),
    "AdditiveAttention": of_shapes(lambda: nn.AdditiveAttention(4), (3, 4), (6, 4)),
    "TransformerEncoderLayer": of_shapes(lambda: nn.TransformerEncoderLayer(4, 2, 8), (3, 4)),
    "TransformerDecoderLayer": of_shapes(lambda: nn.TransformerDecoderLayer(4, 2, 8), (3, 4), (6, 4)),
    "Sequential": of_shapes(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (4,)),
    "Lambda": of_shapes(lambda: nn.Lambda(ops.relu), (3,)),
    "Identity": of_shapes(nn.Identity, (3,)),
    "Flatten": of_shapes(nn.Flatten, (3, 4)),
    "Unflatten": of_shapes(lambda: nn.Unflatten(1, (2, 3)), (6,)),
    "TripletMarginWithDistanceLoss": of_shapes(lambda: nn.TripletMarginWithDistanceLoss(swap=True), (3,), (3,), (3,)),
}
BASES = {"Module", "ModuleList", "ModuleDict", "Leaf", "Operation", "Drawing"}
NAMES = sorted(
    name
    for name, kind in vars(nn).items()
    if inspect.isclass(kind) and issubclass(kind, nn.Module) and name not in BASES
)
STATISTICS = {"BatchNorm", "InstanceNorm"}


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, *arrays: Any) -> Any:
        return self.inner(*arrays)


def drawn(name: str, rng: np.random.Generator) -> tuple[nn.Module, list[Any]]:
    """A layer with numbers, and arrays of NumPy for it."""
    if name in LAYERS:
        make, arrays = LAYERS[name]
        module, args = make(), arrays(Draw(rng))
    else:  # an operation, with its own samples
        kind = getattr(nn, name)
        args, attributes = SAMPLES[kind.op.name](Draw(rng))[0]
        module = kind(**attributes)
    key = random.key(int(rng.integers(2**31)), "numpy")
    return module.init(key), [native("numpy", each) for each in args]


def varying(array: Any) -> Any:
    """The spec of an array whose examples are any number."""
    if framework_of(array) is None:
        return array
    spec = spec_of(array)
    return Spec(tuple("n" if size == BATCH else size for size in spec.shape), spec.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_traced(name: str, rng: np.random.Generator) -> None:
    module, arrays = drawn(name, rng)
    specs = [varying(array) for array in arrays]
    whole = Around(module)
    graph, evaluated = (verify(whole.train(mode).trace(*specs)) for mode in (True, False))
    assert str(graph) == str(evaluated)
    given = {word: array for word, array in zip(graph.inputs, arrays, strict=True) if array is not None}
    weights = {path: as_numpy(slot.value) for path, slot in whole.slots().items()}
    wanted = [leaf for _, leaf in tree_leaves(whole.eval()(*arrays))]
    for found, each in zip(evaluate(graph, given, weights), wanted, strict=True):
        assert_close(found, as_numpy(each), TOLERANCE)
    for trained in (True, False):
        if name in STATISTICS and trained:
            continue
        module.train(trained)
        for other in (module.trace(*specs), trace(lambda *given: module(*given), *specs)):
            assert specs_of(verify(other)) == specs_of(graph)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_a_function_does_not_change_statistics_while_it_is_traced(name: str, rng: np.random.Generator) -> None:
    """The graph of a module around does: there it is a layer."""
    module, _ = drawn(name, rng)
    spec = Spec(("n", 3, 4))
    for traced in (module.trace, lambda spec: trace(module, spec)):
        with pytest.raises(GraphError, match=f"^{name} changes its statistics in training.*\n  hint: trace a Module"):
            traced(spec)
    assert isinstance(module.running_mean, np.ndarray)
    graph = Around(module).trace(spec)
    assert graph.modules["inner"].layer == name
    assert graph.modules["inner"].config["spatial_rank"] == 1


def test_in_a_function_both_behaviours_of_what_draws_are_traced() -> None:
    for module in (nn.Dropout(0.3), nn.GaussianNoise(0.3)):
        for each in (module, module.eval()):
            graph = trace(each, Spec(("n", 4)))
            assert [node.op for node in graph.nodes].count("dropout") == 1


def specs_of(graph: Graph) -> list[Spec]:
    return [value.spec for value in graph.output_values]

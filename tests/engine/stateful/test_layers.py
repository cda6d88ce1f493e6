"""Layers against torch.nn, with the same arrays: outputs in training and in evaluation, and what becomes of buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import nn, ops, random
from ivyhub.engine.graph import Graph
from ivyhub.engine.layer import LAYERS
from ivyhub.engine.stateful.sequences import Recurrence
from ivyhub.errors import EngineError
from tests.arrays import as_numpy, assert_close, native

# float32, sums of some hundred terms.
TOLERANCE = 1e-4
Build = Callable[[], nn.Module]
Oracle = Callable[[Any], Any]

# name: ours, PyTorch's, the shape of the input; a shape of integers below 9 is marked by a trailing "i".
CASES: dict[str, tuple[Build, Oracle, tuple[Any, ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3), lambda t: t.Linear(4, 3), (5, 2, 4)),
    "Embedding": (lambda: nn.Embedding(9, 3, 2), lambda t: t.Embedding(9, 3, 2), (5, 4, "i")),
    "EmbeddingBag": (
        lambda: nn.EmbeddingBag(9, 3, mode="sum"),
        lambda t: t.EmbeddingBag(9, 3, mode="sum"),
        (5, 4, "i"),
    ),
    "LayerNorm": (lambda: nn.LayerNorm((3, 4)), lambda t: t.LayerNorm((3, 4)), (5, 3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), lambda t: t.RMSNorm(4, eps=1e-6), (5, 3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), lambda t: t.GroupNorm(2, 6), (5, 6, 4)),
    "InstanceNorm": (
        lambda: nn.InstanceNorm(6, affine=True),
        lambda t: t.InstanceNorm2d(6, affine=True),
        (3, 6, 4, 5),
    ),
    "InstanceNorm tracked": (
        lambda: nn.InstanceNorm(6, momentum=0.3, affine=True, track_running_stats=True),
        lambda t: t.InstanceNorm2d(6, momentum=0.3, affine=True, track_running_stats=True),
        (3, 6, 4, 5),
    ),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(size=3), lambda t: t.LocalResponseNorm(3), (2, 6, 4, 4)),
    "BatchNorm": (lambda: nn.BatchNorm(6), lambda t: t.BatchNorm2d(6), (4, 6, 3, 3)),
    "BatchNorm cumulative": (
        lambda: nn.BatchNorm(6, momentum=None),
        lambda t: t.BatchNorm2d(6, momentum=None),
        (4, 6, 3, 3),
    ),
    "BatchNorm plain": (
        lambda: nn.BatchNorm(6, affine=False, track_running_stats=False),
        lambda t: t.BatchNorm2d(6, affine=False, track_running_stats=False),
        (4, 6, 3, 3),
    ),
    "Conv1d": (
        lambda: nn.Conv1d(4, 6, 3, padding="same", dilation=2),
        lambda t: t.Conv1d(4, 6, 3, padding="same", dilation=2),
        (2, 4, 9),
    ),
    "Conv2d": (
        lambda: nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2),
        lambda t: t.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2),
        (2, 4, 7, 8),
    ),
    "Conv2d reflect": (
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
        lambda t: t.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
        (2, 2, 5, 6),
    ),
    "Conv3d": (
        lambda: nn.Conv3d(2, 3, 2, use_bias=False),
        lambda t: t.Conv3d(2, 3, 2, bias=False),
        (2, 2, 4, 5, 3),
    ),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2, output_padding=1),
        lambda t: t.ConvTranspose2d(4, 6, 3, 2, 1, groups=2, output_padding=1),
        (2, 4, 5, 6),
    ),
    "ConvTranspose1d": (
        lambda: nn.ConvTranspose1d(4, 6, 3, 2, dilation=2, use_bias=False),
        lambda t: t.ConvTranspose1d(4, 6, 3, 2, dilation=2, bias=False),
        (2, 4, 5),
    ),
    "ConvTranspose3d": (
        lambda: nn.ConvTranspose3d(2, 3, 2, 2, 1),
        lambda t: t.ConvTranspose3d(2, 3, 2, 2, 1),
        (2, 2, 3, 4, 3),
    ),
    "PReLU": (lambda: nn.PReLU(3), lambda t: t.PReLU(3), (2, 3, 4)),
    "GELU": (lambda: nn.GELU(approximate=True), lambda t: t.GELU("tanh"), (5, 4)),
    "RReLU": (lambda: nn.RReLU(lower=0.2, upper=0.2), lambda t: t.RReLU(0.2, 0.2), (5, 4)),
    "Softmax": (lambda: nn.Softmax(axis=1), lambda t: t.Softmax(1), (5, 4)),
    "MaxPool2d": (
        lambda: nn.MaxPool2d(3, 2, padding=1, dilation=1),
        lambda t: t.MaxPool2d(3, 2, padding=1),
        (2, 3, 7, 8),
    ),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, padding=1), lambda t: t.AvgPool1d(3, 2, padding=1), (2, 3, 8)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), lambda t: t.AdaptiveAvgPool2d(2), (2, 3, 5, 7)),
    "Upsample": (lambda: nn.Upsample(scale=2), lambda t: t.Upsample(scale_factor=2), (2, 3, 4, 5)),
    "PixelShuffle": (lambda: nn.PixelShuffle(upscale_factor=2), lambda t: t.PixelShuffle(2), (2, 8, 3, 3)),
    "Unflatten": (lambda: nn.Unflatten(-1, (2, 3)), lambda t: t.Unflatten(-1, (2, 3)), (5, 6)),
    "Flatten": (lambda: nn.Flatten(1, 2), lambda t: t.Flatten(1, 2), (2, 3, 4, 5)),
    "Dropout": (lambda: nn.Dropout(0.0), lambda t: t.Dropout(0.0), (5, 4)),
}


def arrays(name: str, rng: np.random.Generator) -> tuple[nn.Module, Any, np.ndarray]:
    import torch

    ours, theirs, shape = CASES[name]
    module, oracle = ours(), theirs(torch.nn)
    with torch.no_grad():
        for parameter in oracle.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=tuple(parameter.shape))))
    x = rng.integers(0, 9, shape[:-1]).astype(np.int32) if shape[-1] == "i" else rng.normal(size=shape)
    return module, oracle, x if x.dtype == np.int32 else x.astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name: str, framework: str, rng: np.random.Generator) -> None:
    import torch

    module, oracle, x = arrays(name, rng)
    state = {key: native(framework, value.numpy()) for key, value in oracle.state_dict().items()}
    module.load_state_dict(state)
    for train in (True, False):
        module.train(train)
        oracle.train(train)
        inputs = torch.tensor(x).long() if x.dtype == np.int32 else torch.tensor(x)
        found, wanted = as_numpy(module(native(framework, x))), as_numpy(oracle(inputs))
        assert_close(found, wanted, TOLERANCE)
    for key, value in oracle.state_dict().items():
        assert_close(module[key], value.numpy(), TOLERANCE, key)


@pytest.mark.parametrize("name", CASES)
def test_traced(name: str, rng: np.random.Generator) -> None:
    """A graph of the layer holds the spec of what it computes."""
    module, oracle, x = arrays(name, rng)
    module.load_state_dict({key: value.numpy() for key, value in oracle.state_dict().items()})
    graph = nn.Sequential(module).eval().trace(x)
    assert isinstance(graph, Graph)
    found = module.eval()(x)
    assert (tuple(graph.outputs.shape), graph.outputs.dtype) == (found.shape, found.dtype.name)
    leaf = module.leaf()
    assert [node.op for node in graph.nodes if node.op == "call"] == ["call"] * (leaf is not None)


RECURRENT = [name for name, kind in LAYERS.items() if issubclass(kind, Recurrence)]


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_modules_have_the_arrays_of_their_layers(name: str) -> None:
    module = getattr(nn, name)(4, 3, 2, bidirectional=True)
    found = {path: tuple(map(int, slot.spec.shape)) for path, slot in module.slots().items() if "_l" in path}
    assert found == LAYERS[name](4, 3, 2, bidirectional=True).parameters()


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - RECURRENT))
def test_every_leaf_layer_is_a_module(name: str) -> None:
    assert issubclass(getattr(nn, name), nn.Leaf)
    assert getattr(nn, name).kind is LAYERS[name]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_against_torch(kind: str, bidirectional: bool, framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle = getattr(torch.nn, kind)(4, 3, num_layers=2, bidirectional=bidirectional, batch_first=True)
    module = getattr(nn, kind)(4, 3, 2, bidirectional=bidirectional)
    module.load_state_dict({name: native(framework, value.numpy()) for name, value in oracle.state_dict().items()})
    x = rng.normal(size=(2, 5, 4)).astype(np.float32)
    start = rng.normal(size=(4 if bidirectional else 2, 2, 3)).astype(np.float32)
    both = kind == "LSTM"
    found, last = module(native(framework, x), (native(framework, start),) * (2 if both else 1))
    begin = (torch.tensor(start),) * 2 if both else torch.tensor(start)
    wanted, end = oracle(torch.tensor(x), begin)
    assert_close(found, wanted, TOLERANCE)
    for mine, theirs in zip(last, end if both else (end,), strict=True):
        assert_close(mine, theirs, TOLERANCE)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_against_torch(kind: str, framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle, module = getattr(torch.nn, f"{kind}Cell")(4, 3), getattr(nn, f"{kind}Cell")(4, 3)
    module.load_state_dict({name: native(framework, value.numpy()) for name, value in oracle.state_dict().items()})
    x = rng.normal(size=(2, 4)).astype(np.float32)
    wanted = oracle(torch.tensor(x))
    for mine, theirs in zip(module(native(framework, x)), wanted if kind == "LSTM" else (wanted,), strict=True):
        assert_close(mine, theirs, TOLERANCE)


def test_dropout_between_the_layers_of_a_sequence(framework: str, rng: np.random.Generator) -> None:
    module = nn.GRU(4, 3, 2, dropout=0.5, bidirectional=True).init(random.key(1, framework))
    plain = nn.GRU(4, 3, 2, bidirectional=True)
    plain.load_state_dict(module.state_dict())
    x = native(framework, rng.normal(size=(2, 5, 4)).astype(np.float32))
    (first, _), (second, _) = module(x), module(x)
    assert (as_numpy(first) != as_numpy(second)).any()
    (found, last), (wanted, end) = module.eval()(x), plain(x)
    assert_close(found, wanted, TOLERANCE)
    assert_close(last[0], end[0], TOLERANCE)


def test_sequences_of_unequal_lengths_as_keras_masks_them(framework: str, rng: np.random.Generator) -> None:
    import keras

    module = nn.LSTM(4, 3, bidirectional=True).init(random.key(int(rng.integers(2**31)), framework))
    x = rng.normal(size=(4, 6, 4)).astype(np.float32)
    lengths = rng.permutation([0, 2, 5, 6])  # PyTorch's packed sequences have no empty ones
    found, last = module(native(framework, x), lengths=native(framework, lengths))
    mask = np.arange(6) < lengths[:, None]
    for way, name in enumerate(("", "_reverse")):
        options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
        oracle = keras.layers.LSTM(3, go_backwards=bool(way), **options)
        oracle.build(x.shape)
        arrays = {key: as_numpy(module[f"{key}_l0{name}"]) for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        both = arrays["bias_ih"] + arrays["bias_hh"]
        oracle.set_weights([arrays["weight_ih"].T, arrays["weight_hh"].T, both])
        shown, *states = map(keras.ops.convert_to_numpy, oracle(x, mask=mask))
        assert_close(as_numpy(found)[..., 3 * way :][..., :3], shown[:, ::-1] if way else shown, TOLERANCE)
        for mine, theirs in zip(last, states, strict=True):
            assert_close(as_numpy(mine)[way], theirs, TOLERANCE)


def test_bags_with_offsets(framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle, module = torch.nn.EmbeddingBag(9, 3, mode="mean", padding_idx=2), nn.EmbeddingBag(9, 3, padding_idx=2)
    module.load_state_dict({name: native(framework, value.numpy()) for name, value in oracle.state_dict().items()})
    indices, offsets = rng.integers(0, 9, 10), np.array([0, 4, 4, 9])
    found = module(native(framework, indices), offsets=native(framework, offsets))
    wanted = oracle(torch.tensor(indices), torch.tensor(offsets))
    assert_close(found, wanted, TOLERANCE)


def test_pooling_is_undone_at_its_places(framework: str, rng: np.random.Generator) -> None:
    import torch

    x = rng.normal(size=(2, 3, 6, 4)).astype(np.float32)
    pooled, places = nn.MaxPool2d(2, return_indices=True)(native(framework, x))
    wanted = torch.nn.MaxUnpool2d(2)(*torch.nn.MaxPool2d(2, return_indices=True)(torch.tensor(x)))
    np.testing.assert_array_equal(as_numpy(nn.MaxUnpool(size=(6, 4))(pooled, places)), wanted.numpy())
    found = nn.AdaptiveMaxPool2d((4, 3), return_indices=True)(native(framework, x))
    oracle = torch.nn.AdaptiveMaxPool2d((4, 3), return_indices=True)(torch.tensor(x))
    for mine, theirs in zip(found, oracle, strict=True):
        np.testing.assert_array_equal(as_numpy(mine), theirs.numpy())
    with pytest.raises(EngineError, match="no places"):
        nn.AvgPool2d(2, return_indices=True)


def test_fractional_pooling_draws_in_training(framework: str, rng: np.random.Generator) -> None:
    module = nn.FractionalMaxPool2d(2, ratio=0.7).init(random.key(int(rng.integers(2**31)), framework))
    x = native(framework, rng.normal(size=(2, 8, 20, 30)).astype(np.float32))
    first, second = as_numpy(module(x)), as_numpy(module(x))
    assert first.shape == (2, 8, 14, 21)
    assert (first != second).any()  # of 16 channels: to draw alike twice takes chances below 1e-16
    module.eval()
    np.testing.assert_array_equal(as_numpy(module(x)), as_numpy(module(x)))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_against_torch(masked: bool, framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle = torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True)
    module = nn.MultiHeadAttention(8, 2, key_features=6, value_features=5)
    state = {"out.weight": oracle.out_proj.weight, "out.bias": oracle.out_proj.bias}
    for i, name in enumerate(("query", "key", "value")):
        state[f"{name}.weight"] = getattr(oracle, f"{name[0]}_proj_weight")
        state[f"{name}.bias"] = oracle.in_proj_bias[i * 8 : i * 8 + 8]
    module.load_state_dict({key: native(framework, as_numpy(value)) for key, value in state.items()})
    q, k, v = (rng.normal(size=(3, length, size)).astype(np.float32) for length, size in ((4, 8), (5, 6), (5, 5)))
    mask = rng.integers(0, 2, (4, 5)).astype(bool) | (np.arange(5) == 0) if masked else None
    found = module(*(native(framework, x) for x in (q, k, v)), None if mask is None else native(framework, mask))
    excluded = None if mask is None else torch.tensor(~mask)
    wanted, _ = oracle(*map(torch.tensor, (q, k, v)), attn_mask=excluded)
    assert_close(found, wanted, TOLERANCE)


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_layer_against_torch(norm_first: bool, framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=norm_first)
    module = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, norm_first=norm_first)
    state = {}
    for name, value in oracle.state_dict().items():
        name = name.replace("self_attn.out_proj", "attention.out")
        if "in_proj" in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[f"attention.{part}.{name.rpartition('_')[2]}"] = piece
        else:
            state[name] = value
    module.load_state_dict({key: native(framework, as_numpy(value)) for key, value in state.items()})
    x = rng.normal(size=(3, 5, 8)).astype(np.float32)
    assert_close(module(native(framework, x)), oracle(torch.tensor(x)), TOLERANCE)


@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_layer_against_torch(norm_first: bool, framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle = torch.nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=norm_first)
    module = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, norm_first=norm_first)
    state = {}
    for name, value in oracle.state_dict().items():
        name = name.replace("self_attn", "attention").replace("multihead_attn", "cross_attention")
        name = name.replace("out_proj", "out")
        if "in_proj" in name:
            owner = name.partition(".")[0]
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[f"{owner}.{part}.{name.rpartition('_')[2]}"] = piece
        else:
            state[name] = value
    module.load_state_dict({key: native(framework, as_numpy(value)) for key, value in state.items()})
    x, memory = (rng.normal(size=(3, length, 8)).astype(np.float32) for length in (5, 4))
    found = module(native(framework, x), native(framework, memory), causal=True)
    causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    wanted = oracle(torch.tensor(x), torch.tensor(memory), tgt_mask=causal)
    assert_close(found, wanted, TOLERANCE)


def test_additive_attention_against_keras(framework: str, rng: np.random.Generator) -> None:
    import keras

    q, k, v = (rng.normal(size=(3, *shape)).astype(np.float32) for shape in ((4, 8), (5, 8), (5, 6)))
    mask = rng.integers(0, 2, (3, 5)).astype(bool) | (np.arange(5) == 0)
    oracle = keras.layers.AdditiveAttention()
    wanted = keras.ops.convert_to_numpy(oracle([q, v, k], mask=[None, mask]))
    module = nn.AdditiveAttention(8)
    module.load_state_dict({"scale": native(framework, oracle.scale.numpy())})
    found = module(*(native(framework, x) for x in (q, k, v)), native(framework, mask[:, None]))
    assert_close(found, wanted, TOLERANCE)


def test_adaptive_softmax_against_torch(framework: str, rng: np.random.Generator) -> None:
    import torch

    oracle, module = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 11]), nn.AdaptiveLogSoftmax(16, 20, [5, 11])
    module.load_state_dict({name: native(framework, value.numpy()) for name, value in oracle.state_dict().items()})
    x, target = rng.normal(size=(6, 16)).astype(np.float32), rng.permutation(20)[:6]
    found = module(native(framework, x))
    assert_close(found, oracle.log_prob(torch.tensor(x)), TOLERANCE)
    wanted = oracle(torch.tensor(x), torch.tensor(target)).loss
    loss = ops.nll_loss(found, native(framework, target))
    assert_close(loss, wanted, TOLERANCE)


def test_triplets_with_a_distance(framework: str, rng: np.random.Generator) -> None:
    import torch

    arrays = [rng.normal(size=(5, 4)).astype(np.float32) for _ in range(3)]
    options = {"margin": 0.7, "swap": True}
    found = nn.TripletMarginWithDistanceLoss(lambda x, y: 1 - ops.cosine_similarity(x, y), **options)
    oracle = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda x, y: 1 - torch.nn.functional.cosine_similarity(x, y), **options
    )
    wanted = as_numpy(oracle(*map(torch.tensor, arrays)))
    assert_close(found(*(native(framework, x) for x in arrays)), wanted, TOLERANCE)


def test_grouped_heads_are_repeated_heads(framework: str, rng: np.random.Generator) -> None:
    few, many = nn.MultiHeadAttention(8, 4, key_heads=2), nn.MultiHeadAttention(8, 4)
    few.init(random.key(3, framework))
    state = dict(few.state_dict())
    for name in ("key.weight", "key.bias", "value.weight", "value.bias"):
        rows = as_numpy(state[name])
        state[name] = native(
            framework, rows.reshape(2, 2, *rows.shape[1:]).repeat(2, axis=0).reshape(8, *rows.shape[1:])
        )
    many.load_state_dict(state)
    x = native(framework, rng.normal(size=(2, 3, 8)).astype(np.float32))
    assert_close(few(x, causal=True), many(x, causal=True), TOLERANCE)


DROPOUTS = {
    "Dropout": nn.Dropout,
    "FeatureDropout": nn.FeatureDropout,
    "AlphaDropout": nn.AlphaDropout,
    "FeatureAlphaDropout": nn.FeatureAlphaDropout,
    "GaussianDropout": nn.GaussianDropout,
    "GaussianNoise": nn.GaussianNoise,
    "DropPath": nn.DropPath,
}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout(name: str, framework: str, rng: np.random.Generator) -> None:
    """The mean of many draws is the input's; no two calls draw alike; evaluation is the identity."""
    module = DROPOUTS[name](0.3).init(random.key(int(rng.integers(2**31)), framework))
    shape = {"FeatureDropout": (200, 100, 2), "FeatureAlphaDropout": (200, 100, 2), "DropPath": (20000, 2)}.get(
        name, (200, 200)
    )
    x = native(framework, np.full(shape, 0.5, np.float32))
    first, second = as_numpy(module(x)), as_numpy(module(x))
    assert (first != second).any()
    if "Alpha" not in name:  # which keeps the mean of what is normalised
        assert abs(first.mean() - 0.5) < 0.02  # 20000 draws: their mean deviates by 0.0023 at most
    if "Feature" in name:
        assert (first[..., 0] == first[..., 1]).all()
    np.testing.assert_array_equal(as_numpy(module.eval()(x)), as_numpy(x))


def test_alpha_dropout_keeps_mean_and_variance(framework: str, rng: np.random.Generator) -> None:
    module = nn.AlphaDropout(0.3).init(random.key(int(rng.integers(2**31)), framework))
    found = as_numpy(module(native(framework, rng.normal(size=(300, 300)).astype(np.float32))))
    assert abs(found.mean()) < 0.03  # 90000 draws: the mean deviates by 0.0033, the variance by 0.005
    assert abs(found.var() - 1) < 0.05


def test_one_key_gives_one_model_in_every_framework(rng: np.random.Generator) -> None:
    seed = int(rng.integers(2**31))
    found = {}
    for owner in ("numpy", "torch", "jax", "tensorflow"):
        model = nn.Sequential(nn.Linear(4, 3), nn.Conv1d(2, 3, 2), nn.Embedding(5, 2, 1)).init(random.key(seed, owner))
        found[owner] = {name: as_numpy(array) for name, array in model.state_dict().items()}
    for owner, state in found.items():
        for name, array in state.items():  # the inverse error function is each framework's own
            assert_close(array, found["numpy"][name], 2e-6, f"{owner} {name}")
    assert (found["numpy"]["2.weight"][1] == 0).all()


def test_settings_that_cannot_be() -> None:
    with pytest.raises(EngineError, match="3 equal groups"):
        nn.Conv2d(4, 6, 3, groups=3)
    with pytest.raises(EngineError, match="each of 2 spatial axes"):
        nn.Conv2d(4, 6, (1, 2, 3))
    with pytest.raises(EngineError, match="rate from 0 to 1"):
        nn.Dropout(1.0)
    with pytest.raises(EngineError, match="equal heads"):
        nn.MultiHeadAttention(10, 3)
    with pytest.raises(EngineError, match="no attribute"):
        nn.Softmax(dim=1)


def test_layers_show_their_settings() -> None:
    assert repr(nn.GRUCell(3, 4)) == "GRUCell(3, 4)"
    assert repr(nn.LSTM(3, 4, 2, bidirectional=True)).startswith(
        "LSTM(3, 4, num_layers=2, use_bias=True, bidirectional=True"
    )
    assert "max_pool_with_indices" in repr(nn.MaxPool2d(2, return_indices=True))
    assert "weight" not in repr(nn.InstanceNorm(3))


def test_batch_statistics_need_more_than_one_number() -> None:
    module = nn.BatchNorm(3).init(random.key(0, "numpy"))
    with pytest.raises(EngineError, match="more than one number"):
        module(np.ones((1, 3), np.float32))


def test_operations_are_what_they_are_named_after(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 6)).astype(np.float32)
    np.testing.assert_array_equal(nn.Softplus(beta=2.0)(x), ops.softplus(x, beta=2.0))
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    target = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(loss(x, target), ops.cross_entropy(x, target, label_smoothing=0.1))

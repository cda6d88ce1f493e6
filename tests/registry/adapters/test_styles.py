"""Checkpoints under the names of other versions of their frameworks: the other version itself loads them, and back."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.errors import CheckpointError
from ivyhub.registry.adapters.versions import STYLES, restyled
from ivyhub.registry.checkpoints import convert, open_file
from ivyhub.registry.weights.dtypes import numpy_dtype

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"


def there(source: Path, style: str, target: str, path: Path) -> Path:
    """A file of a style, written from another one."""
    with open_file(source) as ckpt:
        convert(restyled(ckpt, style)[0], target, path)
    return path


def same(one: Path, other: Path) -> None:
    a, b = open_file(one), open_file(other)
    assert sorted(a) == sorted(b)
    assert all(a.read(name).tobytes() == b.read(name).tobytes() and a[name] == b[name] for name in a)


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_normalised_weights_of_torch(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nn, older, newer = torch.nn, torch.nn.utils, torch.nn.utils.parametrizations
    settings: dict[str, list[dict[str, Any]]] = {
        "weight_norm": [{}, {"dim": 1}, {"dim": None}, {"name": "weight_hh_l0"}],
        "spectral_norm": [{}, {"dim": 1}, {}, {"name": "weight_hh_l0"}],
    }

    def model(norm: Any) -> Any:
        layers = [nn.Linear(3, 4), nn.ConvTranspose1d(4, 2, 3), nn.Conv2d(2, 3, (2, 1)), nn.LSTM(3, 2)]
        made = [norm(layer, **given) for layer, given in zip(layers, settings[kind], strict=True)]
        return nn.ModuleDict({"plain": nn.Linear(2, 2), "normed": nn.ModuleList(made)})

    old, new = model(getattr(older, kind)), model(getattr(newer, kind))
    torch.save(old.state_dict(), tmp_path / "old.pt")
    loaded = torch.load(there(tmp_path / "old.pt", "torch-parametrized", "pt", tmp_path / "new.pt"))
    assert loaded.keys() == new.state_dict().keys()
    new.load_state_dict(loaded)
    x = torch.randn(2, 3)
    old.eval(), new.eval()  # spectral norms take a step in training
    for mine, theirs in zip([old["plain"], *old["normed"]], [new["plain"], *new["normed"]], strict=True):
        assert all(torch.equal(a, theirs.state_dict()[name]) for name, a in theirs.state_dict().items())
        if isinstance(mine, nn.Linear) and mine.in_features == 3:
            assert torch.allclose(mine(x), theirs(x), atol=1e-6)
    there(tmp_path / "new.pt", "torch-norms", "pt", tmp_path / "back.pt")
    same(tmp_path / "old.pt", tmp_path / "back.pt")


def test_names_that_only_look_like_normalised_weights_stay(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", gate_g=np.ones(3), gate_v=np.ones((4, 2)), w_orig=np.ones((2, 2)))
    with pytest.raises(CheckpointError, match="other names"):
        restyled(open_file(tmp_path / "x.npz"), "torch-parametrized")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_projections_of_attention(dtype: str, tmp_path: Path, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.MultiheadAttention(8, 2, dtype=getattr(torch, dtype))
    torch.save({f"a.{name}": tensor for name, tensor in layer.state_dict().items()}, tmp_path / "packed.pt")
    apart = torch.load(there(tmp_path / "packed.pt", "torch-separate", "pt", tmp_path / "apart.pt"))
    parts = [apart[f"a.{word}_proj_weight"] for word in "qkv"]
    assert all(torch.equal(*pair) for pair in zip(parts, layer.in_proj_weight.chunk(3), strict=True))
    x = torch.from_numpy(rng.standard_normal((5, 8)).astype(numpy_dtype("float32"))).to(parts[0].dtype)
    given = (apart["a.in_proj_bias"], None, None, False, 0.0, layer.out_proj.weight, layer.out_proj.bias)
    words = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), parts, strict=True))
    out, _ = torch.nn.functional.multi_head_attention_forward(
        x, x, x, 8, 2, None, *given, use_separate_proj_weight=True, **words, training=False
    )
    # one product against three
    assert torch.allclose(out, layer(x, x, x)[0], atol=1e-6 if dtype == "float32" else 1e-2)
    there(tmp_path / "apart.pt", "torch-packed", "pt", tmp_path / "back.pt")
    same(tmp_path / "packed.pt", tmp_path / "back.pt")


# -- Flax --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["msgpack", "orbax"])
def test_linen_and_nnx(target: str, tmp_path: Path, rng: np.random.Generator) -> None:
    jax, linen, nnx = (pytest.importorskip(name) for name in ("jax", "flax.linen", "flax.nnx"))
    serialization, orbax = (pytest.importorskip(name) for name in ("flax.serialization", "orbax.checkpoint"))

    class Linen(linen.Module):
        def setup(self) -> None:
            self.embed, self.norm = linen.Embed(9, 4), linen.BatchNorm(use_running_average=True)
            self.conv, self.attention = linen.Conv(4, (3,)), linen.MultiHeadDotProductAttention(2)
            self.cell, self.last = linen.LSTMCell(5), linen.LayerNorm()

        def __call__(self, x: Any) -> Any:
            x = self.norm(self.attention(self.conv(self.embed(x))))
            nothing = jax.numpy.zeros((3, 5))
            return self.last(self.cell((nothing, nothing), x[:, 0])[1])

    class Nnx(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.embed, self.norm = nnx.Embed(9, 4, rngs=rngs), nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
            self.conv = nnx.Conv(4, 4, (3,), rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
            self.cell, self.last = nnx.LSTMCell(4, 5, rngs=rngs), nnx.LayerNorm(5, rngs=rngs)
            self.drop = nnx.Dropout(0.1, rngs=rngs)

        __call__ = Linen.__call__

    x = rng.integers(0, 9, (3, 6))
    variables = Linen().init(jax.random.key(1), x)
    draw = lambda leaf: rng.uniform(0.5, 1, leaf.shape).astype(np.float32)  # noqa: E731
    variables = jax.tree.map(draw, variables)
    known = Linen().apply(variables, x)
    optimizer = {"mu": variables["params"], "count": np.zeros((), np.int32)}
    (tmp_path / "linen.msgpack").write_bytes(
        serialization.to_bytes({"step": 3, "opt_state": {"0": optimizer}, **variables})
    )

    path = there(tmp_path / "linen.msgpack", "flax.nnx", target, tmp_path / "nnx")
    state = (
        serialization.msgpack_restore(path.read_bytes())
        if target == "msgpack"
        else orbax.PyTreeCheckpointer().restore(path.resolve())
    )
    model = Nnx()
    graph, weights, rest = nnx.split(model, nnx.Any(nnx.Param, nnx.BatchStat), ...)
    assert jax.tree.structure(nnx.to_pure_dict(weights)) == jax.tree.structure(state)
    nnx.replace_by_pure_dict(weights, state)
    # the two versions order sums differently
    assert np.allclose(nnx.merge(graph, weights, rest)(x), known, atol=1e-6)

    (tmp_path / "drawn.msgpack").write_bytes(
        serialization.to_bytes({**state, "drop": {"rngs": {"key": np.zeros(2, np.uint32), "count": np.zeros(())}}})
    )
    with open_file(tmp_path / "drawn.msgpack") as ckpt:
        made, how = restyled(ckpt, "flax.linen")
        assert sorted(how.left_out) == ["drop.rngs.count", "drop.rngs.key"]
        convert(made, "msgpack", tmp_path / "back.msgpack")
    back = serialization.msgpack_restore((tmp_path / "back.msgpack").read_bytes())
    assert jax.tree.all(jax.tree.map(np.array_equal, back, dict(variables)))


def test_what_is_of_the_other_side_already(tmp_path: Path) -> None:
    np.savez(tmp_path / "nnx.npz", **{"a.kernel.value": np.ones(2)})
    np.savez(tmp_path / "linen.npz", **{"params.a.kernel": np.ones(2)})
    for file, style in (("nnx", "flax.nnx"), ("linen", "flax.linen")):
        with pytest.raises(CheckpointError):
            restyled(open_file(tmp_path / f"{file}.npz"), style)
    assert list(restyled(open_file(tmp_path / "nnx.npz"), "flax.linen")[0]) == ["params.a.kernel"]


# -- Keras -------------------------------------------------------------------------------------------------------------


def many(keras: Any) -> Any:
    spec = importlib.util.spec_from_file_location("make", FIXTURES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    keras.backend.clear_session()  # which counts the names of layers
    return made.many(keras)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_a_model_of_keras_2_in_keras_3_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = pytest.importorskip("keras")
    old = FIXTURES / "keras-2.15-layers.h5"
    new = tmp_path / "new.weights.h5"
    assert run(["convert", str(old), "--to", "h5", "--names", "keras-3", "--out", str(new), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["names"]
    assert (told["from"], told["to"]) == ("keras-2", "keras-3")
    assert all(name.startswith("optimizer_weights/") for name in told["left_out"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = many(keras)
    model.load_weights(new)
    with np.load(FIXTURES / "keras-2.15-layers.npz") as file:
        given = dict(file)
    known = given.pop("out")
    # sums of tens of terms near one, ordered differently
    assert np.allclose(np.asarray(model(given)), known, atol=2e-6)

    model.save(tmp_path / "model.keras")
    with open_file(old) as first, open_file(tmp_path / "model.keras") as third:
        back, how = restyled(third, "keras-2")
        assert not how.left_out
        assert {f"model_weights/{name}" for name in back} == {name for name in first if name.startswith("model_")}
        for name in back:
            assert np.array_equal(back.read(name), first.read(f"model_weights/{name}")), name
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.keras").rename("back.keras")
    assert run(["convert", "back.keras", "--to", "h5", "--names", "keras-2"]) == 0  # back.h5: see STYLES
    (tmp_path / "back.keras").rename("model.keras")
    with pytest.raises(CheckpointError, match="own names"), open_file(tmp_path / "model.keras") as third:
        convert(restyled(third, "keras-2")[0], "keras", tmp_path / "no.keras")
    listed(old, "model_weights", tmp_path / "back.h5")


def listed(old: Path, group: str, back: Path) -> None:
    """Keras 2 reads by the lists in attributes, whose order has to be its own."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(old) as one, h5py.File(back) as other:
        first = one[group]
        layers = [str(name) for name in first.attrs["layer_names"] if len(first[name].attrs["weight_names"])]
        assert {*map(str, other.attrs["layer_names"])} == {*layers}
        for layer in layers:
            ours = [*map(str, other[layer].attrs["weight_names"])]
            assert ours == [*map(str, first[layer].attrs["weight_names"])]


def test_keras_without_a_configuration_or_with_other_layers(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="configuration"):
        restyled(open_file(FIXTURES / "keras-2.17-weights.h5"), "keras-3")
    h5py = pytest.importorskip("h5py")
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Mine", "config": {"name": "a"}}]}}
    for given, match in ((config, "layers that ivyhub knows"), ({**config, "config": {}}, "configuration")):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["model_weights/a/a/kernel:0"] = np.ones(2)
            file.attrs["model_config"] = json.dumps(given)
        with pytest.raises(CheckpointError, match=match):
            restyled(open_file(tmp_path / "x.h5"), "keras-3")


def test_every_style_undoes_its_sibling_and_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(STYLES[style.before].before == name for name, style in STYLES.items())
    assert run(["convert", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in STYLES)
    assert run(["convert", str(FIXTURES / "torch-2.4.pt"), "--to", "npz", "--names", "keras-4"]) == 2
    told = capsys.readouterr().err
    assert all(name in told for name in STYLES)

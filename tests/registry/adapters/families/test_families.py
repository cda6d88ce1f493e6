"""Names and layouts of published models, against the files that the libraries themselves wrote.

``tests/fixtures/families/make.py`` made them. In each folder ``transformers.safetensors`` is the reference: what the
converters of transformers 4 and KerasHub read, or wrote.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.cli import run
from ivyhub.errors import CheckpointError, CorruptFileError, TensorMismatchError, UnsafeError, UsageError
from ivyhub.registry.adapters.families import FAMILIES, recognise, rename, renamed
from ivyhub.registry.adapters.families.family import Family
from ivyhub.registry.adapters.families.naming import tables
from ivyhub.registry.checkpoints import FormatCheckpoint, open_file
from ivyhub.registry.export import load_package
from ivyhub.registry.weights import MemoryCheckpoint

FOLDER = Path(__file__).parents[3] / "fixtures" / "families"
FILES = sorted(
    path
    for path in FOLDER.glob("*/*.*")
    if path.suffix not in (".json", ".data-00000-of-00001") and path.name != "expected.npz"
)
# Forms with one set of names, which the biases of Qwen2 tell apart.
APART = {"llama": ("gguf-qwen2",), "mistral": ("gguf-qwen2",), "qwen2": ("gguf",)}
FAMILY_OF = {"mistral": "llama", "qwen2": "llama", "t5-gated": "t5"}


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command and gives what it prints."""

    def call(*args: object, code: int = 0) -> str:
        capsys.readouterr()
        assert run([*map(str, args)]) == code
        text = capsys.readouterr()
        return text.err if code else text.out

    return call


def form_of(path: Path) -> str:
    """What a file is to be recognised as; its name says it."""
    name = path.name.split(".")[0]
    form = "transformers" if name in ("transformers-2", "transformers-4") else name
    return f"{FAMILY_OF.get(path.parent.name, path.parent.name)}:{form}"


def arrays(ckpt: FormatCheckpoint | MemoryCheckpoint) -> dict[str, np.ndarray]:
    return {name: ckpt.read(name) for name in ckpt}


def same(received: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert received.keys() == expected.keys()
    for name, array in received.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name, strict=True)


def plain(name: str) -> str:
    """A name of TensorFlow without that of the model, which the library numbers."""
    return re.sub(r"^([^/]+)/[^/]+/(.*:0)$", r"\1/model/\2", name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_a_library_wrote(path: Path) -> None:
    reference, file = open_file(path.parent / "transformers.safetensors"), open_file(path)
    found = recognise(file)
    assert found is not None
    assert not found.unexplained
    assert found.name == form_of(path)

    canonical, how = renamed(file, "transformers", partial=True)
    back, lost = renamed(reference, found.name, partial=True)
    kept = (name for name in reference if name not in lost.left_out or name in how.zeros)
    same(arrays(canonical), {name: reference.read(name) for name in kept})
    # what is left out carries nothing, or is a copy that this form may have
    assert lost.repeated.keys() <= {plain(name) for name in how.left_out}
    kept = (name for name in file if name not in how.left_out or plain(name) in lost.repeated)
    same(arrays(back), {plain(name): file.read(name) for name in kept})


def models() -> list[str]:
    return sorted({path.parent.name for path in FILES})


@pytest.mark.parametrize("model", models())
def test_there_and_back_between_all_forms(model: str, rng: np.random.Generator) -> None:
    reference = open_file(FOLDER / model / "transformers.safetensors")
    tensors = {
        name: rng.standard_normal(info.shape).astype(info.dtype) for name, info in reference.items() if info.shape
    }
    forms = [form.name for form in FAMILIES[FAMILY_OF.get(model, model)].forms if form.name not in APART.get(model, ())]
    sizes = {"n": 2}
    for one, other in itertools.permutations(forms, 2):
        here = rename(MemoryCheckpoint(tensors), one, sizes=sizes, partial=True)
        first = _made(MemoryCheckpoint(tensors), here.weights)
        assert (found := recognise(first)) is not None
        assert found.name.endswith(f":{one}")
        second = _made(first, rename(first, other, sizes=sizes, partial=True).weights)
        third = _made(second, rename(second, "transformers", sizes=sizes).weights)
        assert len(third) > len(tensors) / 2
        same(arrays(third), {name: tensors[name] for name in third})


def _made(ckpt: Any, weights: Any) -> MemoryCheckpoint:
    return MemoryCheckpoint({tensor.info.name: tensor.read() for tensor in weights.apply(ckpt)})


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        # in the first code GELU is an approximation
        ("bert/google-research.ckpt", {"hidden_act": "gelu_new"}),
        ("gpt2/openai.ckpt", {}),
        ("t5/mesh-tensorflow.ckpt", {}),
        ("vit/google-research.npz", {"hidden_act": "gelu_new", "layer_norm_eps": 1e-6}),
        ("resnet/torchvision.pth", {}),
    ],
    ids=lambda case: str(case).partition("/")[0],
)
def test_the_first_code_and_the_newest_agree(
    file: str, settings: dict[str, Any], tmp_path: Path, told: Callable[..., str]
) -> None:
    """The outputs of the published code, on TensorFlow 1.15 or JAX, from its own file after two conversions."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    source = FOLDER / file
    config = {**json.loads((source.parent / "config.json").read_text()), **settings}
    (tmp_path / "config.json").write_text(json.dumps(config))
    out = tmp_path / "model.safetensors"
    text = told("convert", source, "--to", "safetensors", "--names", "transformers", "--out", out, "--json")
    assert json.loads(text)["names"]["to"] == f"{source.parent.name}:transformers"

    with np.load(source.parent / "expected.npz") as stored:
        expected = dict(stored)
    model = getattr(transformers, config["architectures"][0]).from_pretrained(tmp_path, attn_implementation="eager")
    inputs = {
        name: torch.tensor(array if array.dtype == np.float32 else array.astype(np.int64))
        for name, array in expected.items()
        if name.endswith(("_ids", "_mask", "_values"))
    }
    with torch.no_grad():
        outputs = model.eval()(**inputs)
    if "logits" in expected:
        received = {"logits": outputs.logits}
    else:
        places = torch.tensor(expected["places"])
        words = outputs.prediction_logits[torch.arange(len(places)), places].log_softmax(-1)
        received = {"words": words, "following": outputs.seq_relationship_logits.log_softmax(-1)}
    for name, tensor in received.items():
        # two libraries sum 24-bit numbers in different orders
        np.testing.assert_allclose(tensor.numpy(), expected[name].reshape(tensor.shape), rtol=1e-5, atol=1e-5)


def test_a_folder_of_another_framework_is_pulled(tmp_path: Path, told: Callable[..., str]) -> None:
    """What TensorFlow 2.15 wrote, as a package of PyTorch; the outputs are those of TensorFlow 1.15."""
    torch = pytest.importorskip("torch")
    (tmp_path / "source").mkdir()
    shutil.copy(FOLDER / "gpt2" / "config.json", tmp_path / "source")
    shutil.copy(FOLDER / "gpt2" / "tf-keras.h5", tmp_path / "source" / "tf_model.h5")
    told("pull", tmp_path / "source", "--framework", "torch", "--to", tmp_path / "made", "--no-verify")
    with np.load(FOLDER / "gpt2" / "expected.npz") as stored:
        ids = torch.from_numpy(stored["input_ids"]).long()
        with torch.no_grad():
            logits = load_package(tmp_path / "made").eval()(ids, torch.ones_like(ids)).logits
        np.testing.assert_allclose(logits.numpy(), stored["logits"], rtol=0, atol=1e-5)


def test_a_model_without_a_head_keeps_its_short_names() -> None:
    ckpt = MemoryCheckpoint(
        {
            "embeddings.word_embeddings.weight": np.ones((3, 2), np.float32),
            "embeddings.position_ids": np.arange(4)[None],
            "encoder.layer.11.output.dense.weight": np.ones((2, 8), np.float32),
        }
    )
    how = rename(ckpt, "bert:flax")
    assert [entry.targets for entry in how.weights.entries] == [
        ("embeddings.word_embeddings.embedding",),
        ("encoder.layer.11.output.dense.kernel",),
    ]
    assert how.left_out == ("embeddings.position_ids",)
    [first, second] = rename(ckpt, "google-research").weights.entries
    assert first.targets + second.targets == (
        "bert/embeddings/word_embeddings",
        "bert/encoder/layer_11/output/dense/kernel",
    )


def test_tied_tensors_are_dropped_only_where_they_are_equal() -> None:
    table, other = np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros((3, 2), np.float32)
    named = {"transformer.wte.weight": table, "transformer.h.0.attn.bias": np.ones((1, 1, 2, 2), bool)}
    equal = {**named, "lm_head.weight": table.copy()}
    tied = rename(MemoryCheckpoint(equal), "flax")
    assert tied.left_out == ("transformer.h.0.attn.bias", "lm_head.weight")
    for ckpt, untied in (
        ({**named, "lm_head.weight": other}, False),
        ({**named, "lm_head.weight": table.copy()}, True),
    ):
        how = rename(MemoryCheckpoint(ckpt), "flax", untied=untied)
        assert how.weights.entries[-1].targets == ("lm_head.kernel",)


ONE, MATRIX = np.ones(4, np.float32), np.ones((4, 4), np.float32)
KERAS = "layers/transformer_decoder/_self_attention_layer"


@pytest.mark.parametrize(
    ("tensors", "names", "error", "words"),
    [
        ({"wte.weight": MATRIX, "wpe.weights": MATRIX, "wpe.weight": MATRIX}, "flax", CheckpointError, "wpe.weights"),
        ({"stem.weight": MATRIX}, "flax", CheckpointError, "known family"),
        ({"wte.weight": MATRIX}, "bert", UsageError, "unknown names 'bert'"),
        ({"wte.weight": MATRIX}, "bert:flax", UsageError, "names that GPT-2 has"),
        ({"wte.weight": MATRIX}, "google-research", UsageError, "names that GPT-2 has"),
        ({"transformer.wte.weight": MATRIX, "score.weight": MATRIX}, "keras-hub", CheckpointError, "score.weight"),
        ({"h.0.attn.c_proj.weight": MATRIX}, "keras-hub", CheckpointError, "the number of heads"),
        ({"h.0.attn.c_proj.weight": ONE}, "flax", TensorMismatchError, "c_proj.weight: expected"),
        (
            {f"bert/{model}/bert/pooler/dense/bias:0": ONE for model in "ab"},
            "flax",
            CheckpointError,
            "the same tensor",
        ),
        ({f"{KERAS}/key_dense/vars/1": MATRIX}, "flax", CheckpointError, "query_dense/vars/1"),
        (
            {
                "mlm___cls/m/bert/embeddings/LayerNorm/gamma:0": ONE,
                "bert/m/bert/embeddings/LayerNorm/gamma:0": 2 * ONE,
                "mlm___cls/m/mlm___cls/predictions/bias:0": ONE,
            },
            "flax",
            CheckpointError,
            "to be a copy",
        ),
    ],
)
def test_refusals(tensors: dict[str, np.ndarray], names: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        rename(MemoryCheckpoint(tensors), names)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[]", CorruptFileError, "expected a JSON object"),
        ("{", CorruptFileError, "expected JSON"),
        ('{"n_head": "2"}', CheckpointError, "the number of heads"),
        ('{"n_head": -2}', CheckpointError, "the number of heads"),
        ('{"n_head": true}', CheckpointError, "the number of heads"),
        ('{"n_head": 3}', TensorMismatchError, "other sizes than config.json"),
        ("link", UnsafeError, "leads out of it"),
    ],
)
def test_configurations_that_cannot_be(text: str, error: type[Exception], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    named: dict[str, Any] = {"transformer.h.0.attn.c_proj.weight": MATRIX}
    np.savez(folder / "model.npz", **named)
    if text == "link":
        (tmp_path / "elsewhere.json").write_text('{"n_head": 2}')
        (folder / "config.json").symlink_to(tmp_path / "elsewhere.json")
    else:
        (folder / "config.json").write_text(text)
    with pytest.raises(error, match=re.escape(words)):
        renamed(open_file(folder / "model.npz"), "keras-hub")


@pytest.mark.parametrize("names", ["gguf-qwen2", "keras-hub-mistral"])
def test_forms_of_another_model(names: str) -> None:
    with pytest.raises(UsageError, match=r"received a checkpoint with a configuration of llama") as caught:
        renamed(open_file(FOLDER / "llama" / "transformers.safetensors"), names)
    assert caught.value.hint == "choose one of transformers, flax, meta, gguf, keras-hub"


def test_gguf_says_its_heads_itself(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "mistral" / "gguf.gguf", tmp_path)
    reference = open_file(FOLDER / "mistral" / "transformers.safetensors")
    same(arrays(renamed(open_file(tmp_path / "gguf.gguf"), "transformers")[0]), arrays(reference))


def test_inspect_tells_the_form_and_what_it_does_not_explain(tmp_path: Path, told: Callable[..., str]) -> None:
    named: dict[str, Any] = {f"h.{i}.ln_1.{leaf}": ONE for i in range(2) for leaf in ("weight", "bias")}
    np.savez(tmp_path / "model.npz", **named, stranger=ONE)
    assert json.loads(told("inspect", tmp_path / "model.npz", "--json"))["names"] == {
        "form": "gpt2:transformers",
        "title": "GPT-2 in the names of transformers (PyTorch)",
        "unexplained": ["stranger"],
    }
    line = "GPT-2 in the names of transformers (PyTorch) (gpt2:transformers), but for stranger\n"
    assert line in told("inspect", tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "jax", "--names", "flax"], "--names is for checkpoints"),
        (["--to", "jax", "--heads", "2"], "--heads is for checkpoints"),
        (["--to", "npz", "--heads", "2"], "--heads needs --names"),
        (["--to", "npz", "--partial"], "--partial needs --names"),
    ],
)
def test_options_without_names_or_a_format(
    options: list[str], words: str, tmp_path: Path, told: Callable[..., str]
) -> None:
    source = FOLDER / "gpt2" / "transformers.safetensors"
    assert words in told("convert", source, *options, "--out", tmp_path / "x", code=2)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_page_has_every_form(family: Family) -> None:
    page = (FOLDER.parents[2] / "docs" / "registry.md").read_text()
    [row] = re.findall(rf"^\| {re.escape(family.title)} +\|(.*)\|$", page, re.MULTILINE)
    assert re.findall(r"`([^`]+)`", row) == [form.name for form in family.forms]


def test_every_rule_has_an_inverse_and_a_name_of_its_own() -> None:
    for table in tables():
        for side in ("sources", "targets"):
            texts = [pattern.text for rule in table.rules for pattern in getattr(rule, side)]
            assert len(set(texts)) == len(texts), table.name
        for rule in table.rules:
            assert len({pattern.numbers for pattern in rule.sources + rule.targets}) == 1, rule


def test_flax_and_keras_2_find_what_is_written(tmp_path: Path, told: Callable[..., str]) -> None:
    """The tree of Flax; the attributes by which Keras 2 finds variables."""
    h5py, serialization = pytest.importorskip("h5py"), pytest.importorskip("flax.serialization")
    found: dict[str, list[object]] = {"tf-keras": [], "flax": []}
    for form, suffix in (("tf-keras", "h5"), ("flax", "msgpack")):
        source, out = FOLDER / "gpt2" / "transformers.safetensors", tmp_path / f"model.{suffix}"
        told("convert", source, "--to", suffix, "--names", form, "--out", out)
        for path in (out, FOLDER / "gpt2" / f"{form}.{suffix}"):
            if form == "flax":
                tree = serialization.msgpack_restore(path.read_bytes())
                found[form].append(json.loads(json.dumps(tree, default=lambda array: array.tolist())))
            else:
                with h5py.File(path) as file:
                    layers = file.attrs["layer_names"].tolist()
                    names = [file[layer].attrs["weight_names"].tolist() for layer in layers]
                found[form].append([layers, [{plain(f"x/{name}") for name in each} for each in names]])
    for ours, theirs in found.values():
        assert ours == theirs

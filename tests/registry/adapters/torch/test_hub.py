"""Checkpoints of transformers, against what transformers itself makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from ivyhub.errors import CheckpointError, CorruptFileError, TensorMismatchError, UnsafeError
from ivyhub.registry.adapters.torch.hub import fill, read_folder
from ivyhub.registry.weights import open_checkpoint

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
BERT = transformers.BertConfig(**SMALL, vocab_size=50, max_position_embeddings=40)


def save(model: Any, folder: Path, **changes: Any) -> Path:
    """Save a model, with some entries of its configuration changed."""
    model.save_pretrained(folder)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, **changes}))
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    """Save the tensors of a folder again, changed."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def filled(folder: Path) -> Any:
    """The module that ivyhub builds, with the weights of the folder."""
    with open_checkpoint(folder) as checkpoint:
        skeleton = read_folder(folder, checkpoint)
        assert skeleton.weights is not None
        planned = skeleton.weights.apply(checkpoint)
        return fill(skeleton.module, ((tensor.info.name, tensor.read()) for tensor in planned))


def assert_as_loaded(folder: Path, cls: Any) -> None:
    ours, theirs = filled(folder), cls.from_pretrained(folder)
    expected = {**theirs.state_dict(), **dict(theirs.named_buffers())}
    received = {**ours.state_dict(), **dict(ours.named_buffers())}
    assert received.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(received[name], tensor), name


@pytest.mark.parametrize(
    "make",
    [
        lambda: transformers.BertForMaskedLM(BERT),
        lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50)),
        lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=16, patch_size=8)),
        lambda: transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        ),
        lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=50)
        ),
        lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, vocab_size=50)),
        lambda: transformers.MixtralForCausalLM(
            transformers.MixtralConfig(**SMALL, vocab_size=50, num_key_value_heads=2, num_local_experts=3)
        ),
    ],
    ids=["bert", "gpt2", "vit", "resnet", "t5", "llama", "mixtral"],
)
def test_a_filled_skeleton_is_what_the_library_loads(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    assert_as_loaded(save(model, tmp_path), type(model))


def test_a_base_model_reads_the_checkpoint_of_a_head(tmp_path: Path) -> None:
    folder = save(transformers.BertForPreTraining(BERT), tmp_path, architectures=["BertModel"])
    assert_as_loaded(folder, transformers.BertModel)


def test_the_other_heads_of_a_checkpoint_are_left_out(tmp_path: Path) -> None:
    folder = save(transformers.BertForPreTraining(BERT), tmp_path, architectures=["BertForMaskedLM"])
    assert_as_loaded(folder, transformers.BertForMaskedLM)
    with open_checkpoint(folder) as checkpoint:
        assert any("cls.seq_relationship.weight" in note for note in read_folder(folder, checkpoint).notes)


def test_a_head_reads_the_checkpoint_of_its_base_model_only_in_full(tmp_path: Path) -> None:
    folder = save(transformers.BertModel(BERT), tmp_path, architectures=["BertForSequenceClassification"])
    with open_checkpoint(folder) as checkpoint, pytest.raises(TensorMismatchError, match=r"2 missing: classifier"):
        read_folder(folder, checkpoint)


def test_names_of_older_releases(tmp_path: Path) -> None:
    folder = save(transformers.BertModel(BERT), tmp_path)

    def age(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        old = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
            for name, array in state.items()
        }
        return {**old, "embeddings.position_ids": np.arange(40)[None]}

    rewrite(folder, age)
    assert_as_loaded(folder, transformers.BertModel)


def test_every_tensor_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    folder = save(transformers.BertModel(BERT), tmp_path)

    def spoil(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        del state["pooler.dense.weight"], state["encoder.layer.0.output.dense.bias"]
        state["pooler.dense.bias"] = np.zeros(17, np.float32)
        return {**state, "stranger.weight": np.zeros(3, np.float32)}

    rewrite(folder, spoil)
    with open_checkpoint(folder) as checkpoint, pytest.raises(TensorMismatchError) as caught:
        read_folder(folder, checkpoint)
    told = caught.value.message
    assert "2 missing: encoder.layer.0.output.dense.bias, pooler.dense.weight" in told
    assert "1 unexpected: stranger.weight" in told
    assert "1 mis-shaped: pooler.dense.bias: expected float32[16], received float32[17]" in told


def test_tensors_of_another_dtype_are_cast_to_that_of_the_configuration(tmp_path: Path) -> None:
    folder = save(transformers.BertModel(BERT), tmp_path, dtype="float32")
    rewrite(folder, lambda state: {name: array.astype(np.float16) for name, array in state.items()})
    state = filled(folder).state_dict()
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"auto_map": {"AutoModel": "modeling.Evil"}}, UnsafeError),
        ({"text_config": [{"auto_map": {"AutoModel": "modeling.Evil"}}]}, UnsafeError),
        ({"attn_implementation": "evil/kernel"}, UnsafeError),
        ({"_attn_implementation": {"text_config": "paged|evil/kernel"}}, UnsafeError),
        ({"backbone": "evil/model", "use_pretrained_backbone": True}, UnsafeError),
        ({"backbone_config": {"model_type": "timm_backbone", "backbone": "hf-hub:evil/model"}}, UnsafeError),
        ({"model_type": "timm_wrapper", "architecture": "local-dir:/etc"}, UnsafeError),
        ({"vocab_size": -5}, CheckpointError),
        ({"hidden_size": 1 << 40}, CheckpointError),
        ({"hidden_act": "__class__"}, CheckpointError),
        ({"dtype": "__import__"}, CheckpointError),
        ({"model_type": "no-such-model"}, CheckpointError),
        ({"model_type": 7}, CheckpointError),
        ({"architectures": ["NoSuchModel"]}, CheckpointError),
        ({"architectures": ["AutoModel"]}, CheckpointError),
        ({"architectures": ["__import__('os')"]}, CheckpointError),
        ({"architectures": "BertModel"}, CorruptFileError),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_followed_is_refused(
    changes: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        read_folder(save(transformers.BertModel(BERT), tmp_path, **changes))


@pytest.mark.parametrize("text", ["[]", '{"model_type": "bert", "model_type": "gpt2"}', "{", "\x00"])
def test_a_configuration_that_is_no_json_object_is_corrupt(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CorruptFileError):
        read_folder(tmp_path)


def test_inputs_follow_the_signature_and_the_configuration(tmp_path: Path) -> None:
    skeleton = read_folder(save(transformers.BertModel(BERT), tmp_path))
    assert {spec.name: (spec.shape, spec.low, spec.high) for spec in skeleton.inputs} == {
        "input_ids": (("batch", "length"), 0, 50),
        "attention_mask": (("batch", "length"), 0, 2),
        "token_type_ids": (("batch", "length"), 0, 2),
    }


def test_the_size_of_images_comes_from_the_preprocessor_where_the_configuration_has_none(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])
    folder = save(transformers.ResNetModel(config), tmp_path)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 48, "width": 64}}')
    [spec] = read_folder(folder).inputs
    assert spec.shape == ("batch", 3, 48, 64)


@pytest.mark.slow
def test_a_model_larger_than_memory_is_captured_from_its_configuration(tmp_path: Path) -> None:
    """Llama with 7 billion parameters: its weights alone are 27 GB."""
    config = transformers.LlamaConfig(architectures=["LlamaForCausalLM"])
    config.save_pretrained(tmp_path)
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from ivyhub.registry.adapters import emit\n"
        "from ivyhub.registry.adapters.torch.hub import capture_skeleton, read_folder\n"
        "from ivyhub.registry.pipeline import Recipe, model_of\n"
        "graph = capture_skeleton(read_folder(Path(sys.argv[1]))).graph\n"
        "print(len(emit(model_of(graph, Recipe((), {}, ())).graph, 'jax').source))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    # A shell in between: a child inherits the peak of the process that starts it.
    command = ["sh", "-c", '"$0" -c "$1" "$2"', sys.executable, program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, peak = map(int, done.stdout.split()[-2:])
    unit = 1 if sys.platform == "darwin" else 1024
    assert peak * unit < 2e9

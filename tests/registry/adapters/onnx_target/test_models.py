"""Architectures of transformers from small random configurations: to ONNX, and from there to PyTorch again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivyhub
from ivyhub.engine.graph import tree_leaves

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXT = {0: "batch", 1: "length"}


def _ids(rng: np.random.Generator) -> Any:
    return torch.from_numpy(rng.integers(0, 50, (3, 7)))


def _bert(rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=50,
        max_position_embeddings=40,  # ONNX's reference evaluator gathers from at most 64 places
    )
    inputs = {"input_ids": _ids(rng), "attention_mask": torch.ones(3, 7, dtype=torch.int64)}
    return transformers.BertModel(config), inputs, dict.fromkeys(inputs, TEXT)


def _gpt2(rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config = transformers.GPT2Config(
        n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=40, use_cache=False, bos_token_id=1, eos_token_id=2
    )
    return transformers.GPT2LMHeadModel(config), {"input_ids": _ids(rng)}, {"input_ids": TEXT}


def _t5(rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config = transformers.T5Config(
        d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=50, use_cache=False
    )
    inputs = {"input_ids": _ids(rng), "decoder_input_ids": _ids(rng)}
    dynamic = {"input_ids": TEXT, "decoder_input_ids": {0: "batch", 1: "target"}}
    return transformers.T5ForConditionalGeneration(config), inputs, dynamic


def _vit(rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=4
    )
    pixels = torch.from_numpy(rng.standard_normal((3, 3, 16, 16)).astype(np.float32))
    return transformers.ViTModel(config), {"pixel_values": pixels}, {"pixel_values": {0: "batch"}}


def _resnet(rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    pixels = torch.from_numpy(rng.standard_normal((3, 3, 32, 32)).astype(np.float32))
    return transformers.ResNetModel(config), {"pixel_values": pixels}, {"pixel_values": {0: "batch"}}


QUICK, LONG = pytest.mark.slow, pytest.mark.sweep


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=make.__name__[1:], marks=mark)
        for make, mark in ((_gpt2, QUICK), (_resnet, QUICK), (_bert, LONG), (_t5, LONG), (_vit, LONG))
    ],
)
def test_there_and_back(make: Any, rng: np.random.Generator) -> None:
    module, inputs, dynamic = make(rng)
    model = ivyhub.transpile(module.eval(), to="onnx", kwargs=inputs, dynamic=dynamic, verify=True)
    onnx.checker.check_model(model, full_check=True)
    sizes = {dim.dim_param for each in model.graph.input for dim in each.type.tensor_type.shape.dim if dim.dim_param}
    assert sizes == {name for axes in dynamic.values() for name in axes.values()}
    named = dict(module.named_parameters()) | dict(module.named_buffers())
    assert {tensor.name for tensor in model.graph.initializer if "." in tensor.name} <= set(named)
    back = ivyhub.trace(model)
    assert [value.spec.ndim for _, value in tree_leaves(back.outputs)] == [
        len(each.type.tensor_type.shape.dim) for each in model.graph.output
    ]
    ivyhub.transpile(model, to="torch", verify=True)  # compared with the reference evaluator of ONNX

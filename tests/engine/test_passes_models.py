"""Passes on captures of transformers models: values stay, masks come down to what they mean, layouts settle."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ivyhub.engine.graph import Graph, Node
from ivyhub.engine.passes import channels_last, heads_third, legalise, own_dropouts, simplify
from ivyhub.engine.verify import verify
from tests.engine.evaluate import evaluate

pytestmark = pytest.mark.slow

TEXT = {0: "batch", 1: "length"}


def small(name: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A model with random weights, example inputs, and their dynamic axes."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}

    def tokens(length: int = 5) -> Any:
        return torch.randint(0, 90, (2, length))

    def mask() -> Any:
        return torch.tensor([[1] * 5, [1] * 3 + [0] * 2])

    match name:
        case "bert":
            model = transformers.BertModel(transformers.BertConfig(vocab_size=99, **sizes))
            inputs = {"input_ids": tokens(), "attention_mask": mask(), "token_type_ids": tokens() % 2}
        case "gpt2" | "gpt2 with padding":
            config = transformers.GPT2Config(
                vocab_size=99, n_embd=32, n_layer=2, n_head=4, use_cache=False, bos_token_id=1, eos_token_id=1
            )
            model = transformers.GPT2LMHeadModel(config)
            inputs = {"input_ids": tokens()} | ({"attention_mask": mask()} if "padding" in name else {})
        case "t5":
            config = transformers.T5Config(
                vocab_size=99, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, use_cache=False
            )
            model = transformers.T5ForConditionalGeneration(config)
            inputs = {"input_ids": tokens(), "attention_mask": mask(), "decoder_input_ids": tokens(7)}
            return model, inputs, {**dict.fromkeys(inputs, TEXT), "decoder_input_ids": {0: "batch", 1: "target"}}
        case "vit":
            model = transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **sizes))
            return model, {"pixel_values": torch.randn(2, 3, 32, 32)}, {"pixel_values": {0: "batch"}}
        case _:
            config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[2, 2])
            model = transformers.ResNetModel(config)
            return model, {"pixel_values": torch.randn(2, 3, 33, 33)}, {"pixel_values": {0: "batch"}}
    return model, inputs, dict.fromkeys(inputs, TEXT)


def captured(name: str) -> tuple[Graph, dict[str, np.ndarray], dict[str, np.ndarray], list[np.ndarray]]:
    """The graph, its inputs and parameters, and what the model itself gives in evaluation."""
    import torch

    from ivyhub.registry.adapters.torch.capture import capture

    model, inputs, dynamic = small(name)
    found = capture(model, (), inputs, dynamic)
    with torch.no_grad():
        expected = model.eval()(**inputs)
    parameters = {path: tensor.detach().numpy() for path, tensor in found.tensors.items()}
    arrays = [value.numpy() for value in expected.to_tuple() if isinstance(value, torch.Tensor)]
    return found.graph, {key: value.numpy() for key, value in inputs.items()}, parameters, arrays


def used(graph: Graph, op: str) -> list[Node]:
    return [node for node in graph.nodes if node.op == op]


@pytest.mark.parametrize("name", ["bert", "gpt2", "gpt2 with padding", "t5", "vit", "resnet"])
def test_models_keep_their_values(name):
    graph, inputs, parameters, expected = captured(name)
    verify(graph)

    def check(*, tolerance: float = 2e-5) -> None:  # float32, sums in another order than torch's
        verify(graph)
        for found, wanted in zip(evaluate(graph, inputs, parameters), expected, strict=False):
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())

    check()
    simplify(graph, check=True)
    check()
    own_dropouts(graph)
    heads_third(graph)
    channels_last(graph)
    simplify(graph, check=True)
    check()
    legalise(graph, "numpy")
    check()
    assert Graph.from_json(graph.to_json()).to_json() == graph.to_json()


def test_bert_has_no_mask_arithmetic_left():
    graph, *_ = captured("bert")
    simplify(graph)
    mask = used(graph, "attention")[0].args[3].node
    assert mask.op == "getitem"
    assert mask.attributes["key"] == ((None, None, None), None, None)
    assert mask.args[0].node.op == "astype"
    assert mask.args[0].node.args == (graph.inputs["attention_mask"],)
    assert [node.args[3] for node in used(graph, "attention")] == [mask.output] * 2
    left = Counter(node.op for node in graph.nodes)
    assert left.keys() == {
        "call",
        "reshape",
        "transpose",
        "add",
        "getitem",
        "attention",
        "gelu",
        "arange",
        "astype",
        "tanh",
    }
    assert (left["getitem"], left["arange"], left["astype"]) == (3, 1, 1)


def test_gpt2_without_a_mask_is_causal():
    graph, *_ = captured("gpt2")
    simplify(graph)
    assert all(node.args[3] is None and node.attributes["causal"] for node in used(graph, "attention"))
    assert not used(graph, "less_equal")
    assert len(used(graph, "matmul")) == 8
    assert all(node.args[0].ndim == 3 for node in used(graph, "matmul"))  # Conv1D flattens no more


def test_resnet_keeps_two_transposes():
    graph, *_ = captured("resnet")
    channels_last(graph)
    entry, exit_ = used(graph, "transpose")
    assert entry.args[0] is graph.inputs["pixel_values"]
    assert exit_.output in graph.output_values


@pytest.mark.parametrize("name", ["bert", "gpt2", "vit"])
def test_attention_needs_no_transposes(name):
    graph, *_ = captured(name)
    simplify(graph)
    heads_third(graph)
    assert {node.attributes["layout"] for node in used(graph, "attention")} == {"BTNH"}
    assert not [node for node in used(graph, "transpose") if node.output.ndim == 4]

"""Architectures that nothing in ivyhub knows: each converts and agrees with its original, or is refused with a reason.

Models of `transformers` with random weights from small configurations, on fresh random inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.registry.adapters.parity import assert_same

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.sweep

WORDS = 99
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": WORDS,
}
DECODER = {
    **SIZES,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "use_cache": False,
}
SEQ2SEQ = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "vocab_size": WORDS,
    "use_cache": False,
}
VISION = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = {0: "batch", 1: "length"}

# kind of inputs, model class, settings of its configuration
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("text", "BertModel", SIZES),
    "distilbert": (
        "text",
        "DistilBertModel",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": WORDS},
    ),
    "roberta": ("text", "RobertaModel", SIZES),
    "electra": ("text", "ElectraModel", {**SIZES, "embedding_size": 16}),
    "albert": ("text", "AlbertModel", {**SIZES, "embedding_size": 16}),
    "deberta-v2": (
        "text",
        "DebertaV2Model",
        {
            **SIZES,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "max_position_embeddings": 32,
        },
    ),
    "mpnet": ("text", "MPNetModel", SIZES),
    "t5": (
        "seq2seq",
        "T5Model",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "vocab_size": WORDS,
            "use_cache": False,
        },
    ),
    "bart": ("seq2seq", "BartModel", SEQ2SEQ),
    "pegasus": ("seq2seq", "PegasusModel", SEQ2SEQ),
    "whisper": (
        "speech2text",
        "WhisperModel",
        {**SEQ2SEQ, "num_mel_bins": 8, "max_source_positions": 10, "pad_token_id": 0, "decoder_start_token_id": 1},
    ),
    "wav2vec2": (
        "audio",
        "Wav2Vec2Model",
        {
            **SIZES,
            "conv_dim": (8, 8),
            "conv_stride": (5, 2),
            "conv_kernel": (10, 3),
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 4,
            "mask_time_prob": 0.0,
            "layerdrop": 0.0,
        },
    ),
    "clip": (
        "text and image",
        "CLIPModel",
        {
            "text_config": {**SIZES, "eos_token_id": 98, "bos_token_id": 1, "pad_token_id": 0},
            "vision_config": {**VISION, "intermediate_size": 48},
            "projection_dim": 16,
        },
    ),
    "clip text": ("text", "CLIPTextModel", {**SIZES, "eos_token_id": 98, "bos_token_id": 1, "pad_token_id": 0}),
    "clip vision": ("image", "CLIPVisionModel", {**VISION, "intermediate_size": 48}),
    "convnext": ("image", "ConvNextModel", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}),
    "swin": (
        "image",
        "SwinModel",
        {
            "image_size": 32,
            "patch_size": 2,
            "embed_dim": 8,
            "depths": [2, 2],
            "num_heads": [2, 4],
            "window_size": 4,
            "drop_path_rate": 0.0,
        },
    ),
    "segformer": (
        "image",
        "SegformerModel",
        {
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 16, 16, 16],
            "num_attention_heads": [1, 2, 2, 2],
            "drop_path_rate": 0.0,
        },
    ),
    "mobilenet-v2": ("image", "MobileNetV2Model", {"depth_multiplier": 0.25}),
    "vit": ("image", "ViTModel", {**VISION, "intermediate_size": 48}),
    "deit": ("image", "DeiTModel", {**VISION, "intermediate_size": 48}),
    "gpt2": (
        "text",
        "GPT2LMHeadModel",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": WORDS, "n_positions": 64, "use_cache": False},
    ),
    "llama": ("text", "LlamaForCausalLM", DECODER),
    "mistral": ("text", "MistralForCausalLM", {**DECODER, "sliding_window": 4}),
    "qwen2": ("text", "Qwen2ForCausalLM", DECODER),
    "gemma2": ("text", "Gemma2ForCausalLM", {**DECODER, "head_dim": 8, "sliding_window": 4}),
    "phi3": ("text", "Phi3ForCausalLM", DECODER),
    "mixtral": ("text", "MixtralForCausalLM", {**DECODER, "num_local_experts": 4}),
    "opt": ("text", "OPTForCausalLM", {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32, "use_cache": False}),
    "bloom": (
        "text",
        "BloomForCausalLM",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": WORDS, "use_cache": False},
    ),
    "gpt-neox": ("text", "GPTNeoXForCausalLM", {**SIZES, "use_cache": False}),
    "falcon": ("text", "FalconForCausalLM", {**SIZES, "use_cache": False}),
}

REFUSED = {
    "mixtral": "no rules for the kernels that group tokens by expert: aten.histc, transformers.grouped_mm_fallback",
}


def build(name: str, rng: np.random.Generator) -> tuple[Any, dict[str, Any], dict[str, dict[int, str]]]:
    """A model with random weights, example inputs, and their dynamic axes."""
    kind, cls, settings = MODELS[name]
    model_class = getattr(transformers, cls)
    torch.manual_seed(int(rng.integers(1 << 31)))
    model = model_class(model_class.config_class(**settings))
    ids = torch.randint(3, WORDS - 1, (2, 5))
    mask = torch.tensor([[1] * 5, [1] * 3 + [0] * 2])
    match kind:
        case "text":
            inputs = {"input_ids": ids, "attention_mask": mask}
            return model, inputs, dict.fromkeys(inputs, TEXT)
        case "image":
            size = getattr(model.config, "image_size", 32)
            return model, {"pixel_values": torch.randn(2, 3, size, size)}, {"pixel_values": {0: "batch"}}
        case "seq2seq":
            inputs = {
                "input_ids": ids,
                "attention_mask": mask,
                "decoder_input_ids": torch.randint(3, WORDS - 1, (2, 7)),
            }
            return model, inputs, {**dict.fromkeys(inputs, TEXT), "decoder_input_ids": {0: "batch", 1: "target"}}
        case "text and image":
            inputs = {"input_ids": ids, "pixel_values": torch.randn(2, 3, 32, 32), "attention_mask": mask}
            dynamic = {**dict.fromkeys(inputs, TEXT), "pixel_values": {0: "images"}}
            return model, inputs, dynamic
        case "audio":
            return model, {"input_values": torch.randn(2, 400)}, {"input_values": {0: "batch"}}
    inputs = {"input_features": torch.randn(2, 8, 20), "decoder_input_ids": ids}
    return model, inputs, {"input_features": {0: "batch"}, "decoder_input_ids": TEXT}


@pytest.mark.parametrize("target", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=REFUSED[n])) if n in REFUSED else n for n in MODELS],
)
def test_converts_and_agrees(name, target, rng):
    model, inputs, dynamic = build(name, rng)
    names = {size for axes in dynamic.values() for size in axes.values()}
    case = {size: 2 + 2 * position for position, size in enumerate(sorted(names))}
    # Deep batch norms of two examples magnify rounding: in training they are compared where the kernels are the same.
    batched = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules())
    modes = (False,) if batched and target != "torch" else (False, True)
    assert_same(model, (), inputs, dynamic, to=target, rng=rng, sizes=[case], modes=modes)

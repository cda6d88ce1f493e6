"""Llama (Touvron et al., 2023, https://arxiv.org/abs/2302.13971), and Mistral and Qwen2, which have its layers."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, KERAS, TORCH_PAIRS
from ivyhub.registry.adapters.families.family import Family, Form, Row

_LAYER = "model.layers.{i}"


def _keras_hub(name: str, model: str, title: str, layer: str, norm: str) -> Form:
    """KerasHub has a class for each, and names layers after their classes."""
    inside = f"layers/{layer}_transformer_decoder{{_i}}/"
    return Form(
        name,
        f"KerasHub's {title}",
        KERAS,
        (
            Row("model.embed_tokens", "layers/reversible_embedding"),
            Row("lm_head.weight", "layers/reversible_embedding/vars/1", "i o"),
            Row("model.norm", f"layers/{layer}_{norm}"),
            Row(
                _LAYER + ".self_attn.{q_proj,k_proj,v_proj,o_proj}",
                inside + "_self_attention_layer/_{query,key,value,output}_dense",
            ),
            Row(
                _LAYER + ".mlp.{gate_proj,up_proj,down_proj}", inside + "_feedforward_{gate,intermediate,output}_dense"
            ),
            Row(
                _LAYER + ".{input_layernorm,post_attention_layernorm}",
                inside + "_{self_attention,feedforward}_layernorm",
            ),
        ),
        complete=True,
        models=(model,),
    )


_GGUF = (
    Row("{model.embed_tokens,model.norm,lm_head}", "{token_embd,output_norm,output}"),
    Row(_LAYER + ".self_attn.{q_proj,k_proj,v_proj,o_proj}", "blk.{i}.{attn_q,attn_k,attn_v,attn_output}"),
    Row(_LAYER + ".mlp.{gate_proj,up_proj,down_proj}", "blk.{i}.{ffn_gate,ffn_up,ffn_down}"),
    Row(_LAYER + ".{input_layernorm,post_attention_layernorm}", "blk.{i}.{attn_norm,ffn_norm}"),
)
_UNBIASED = Row(_LAYER + ".self_attn.{q_proj,k_proj,v_proj}.bias", "")  # by which those of Qwen2 are known

LLAMA = Family(
    "llama",
    "Llama, Mistral or Qwen2",
    "model",
    (
        ("embedding", "model.embed_tokens"),
        ("to rotary heads", _LAYER + ".self_attn.q_proj"),
        ("to rotary key heads", _LAYER + ".self_attn.k_proj"),
        ("to key heads", _LAYER + ".self_attn.v_proj"),
        ("from heads", _LAYER + ".self_attn.o_proj"),
        ("linear", _LAYER + ".mlp.{gate_proj,up_proj,down_proj}"),
        ("scale", _LAYER + ".{input_layernorm,post_attention_layernorm}"),
        ("scale", "model.norm"),
        ("linear", "{lm_head,score}"),
    ),
    (
        Form(
            "transformers",
            "transformers (PyTorch)",
            ignored=(r"(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
            tied=((r"lm_head\.weight", "model.embed_tokens.weight"),),
            bare=True,
        ),
        Form("flax", "transformers (Flax)", FLAX, bare=True),
        Form(
            "meta",
            "their authors (PyTorch)",
            TORCH_PAIRS,
            (
                Row("model.embed_tokens", "tok_embeddings"),
                Row("{model.norm,lm_head}", "{norm,output}"),
                Row(_LAYER + ".self_attn.{q_proj,k_proj,v_proj,o_proj}", "layers.{i}.attention.{wq,wk,wv,wo}"),
                Row(_LAYER + ".mlp.{gate_proj,down_proj,up_proj}", "layers.{i}.feed_forward.{w1,w2,w3}"),
                Row(_LAYER + ".{input_layernorm,post_attention_layernorm}", "layers.{i}.{attention_norm,ffn_norm}"),
            ),
            complete=True,
            ignored=(r"rope\.freqs",),
        ),
        Form("gguf", "llama.cpp", TORCH_PAIRS, (*_GGUF, _UNBIASED), complete=True, ignored=(r"rope_freqs\.weight",)),
        Form("gguf-qwen2", "llama.cpp, of Qwen2", rows=_GGUF, complete=True, models=("qwen2",)),
        _keras_hub("keras-hub", "llama", "Llama", "llama", "layer_norm"),
        _keras_hub("keras-hub-mistral", "mistral", "Mistral", "mistral", "layer_normalization"),
        _keras_hub("keras-hub-qwen2", "qwen2", "Qwen2", "qwen", "layer_norm"),
    ),
    {
        "n": ("num_attention_heads", "n_heads", "attention.head_count"),
        "m": ("num_key_value_heads", "n_kv_heads", "attention.head_count_kv"),
    },
)

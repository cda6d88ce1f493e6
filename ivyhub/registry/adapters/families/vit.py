"""ViT: Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, JAX, KERAS, TF_KERAS
from ivyhub.registry.adapters.families.family import Family, Form, Row

_LAYER = "vit.encoder.layer.{i}"
_JAX = "Transformer/encoderblock_{i}/"
_KERAS = "layers/vi_t_encoder/encoder_layers/vi_t_encoder_block{_i}/"

VIT = Family(
    "vit",
    "ViT",
    "vit",
    (
        ("tensor", "vit.embeddings.{cls_token,mask_token}"),
        ("positions", "vit.embeddings.position_embeddings"),
        ("conv", "vit.embeddings.patch_embeddings.projection"),
        ("to heads", _LAYER + ".attention.attention.{query,key,value}"),
        ("from heads", _LAYER + ".attention.output.dense"),
        ("linear", _LAYER + ".{intermediate,output}.dense"),
        ("norm", _LAYER + ".{layernorm_before,layernorm_after}"),
        ("norm", "vit.layernorm"),
        ("linear", "{vit.pooler.dense,classifier}"),
    ),
    (
        Form("transformers", "transformers (PyTorch)", bare=True),
        Form("flax", "transformers (Flax)", FLAX, bare=True),
        Form("tf-keras", "transformers (TensorFlow)", TF_KERAS, (Row(_LAYER, "vit/encoder/layer_._{i}"),)),
        Form(
            "timm",
            "timm",
            rows=(
                Row("vit.embeddings.cls_token", "cls_token"),
                Row("vit.embeddings.position_embeddings", "pos_embed"),
                Row("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
                Row(_LAYER + ".attention.attention.{query|key|value}", "blocks.{i}.attn.qkv"),
                Row(_LAYER + ".attention.output.dense", "blocks.{i}.attn.proj"),
                Row(_LAYER + ".{intermediate,output}.dense", "blocks.{i}.mlp.{fc1,fc2}"),
                Row(_LAYER + ".{layernorm_before,layernorm_after}", "blocks.{i}.{norm1,norm2}"),
                Row("{vit.layernorm,classifier}", "{norm,head}"),
            ),
            complete=True,
        ),
        Form(
            "google-research",
            "google-research/vision_transformer (JAX)",
            JAX,
            (
                Row("vit.embeddings.cls_token", "cls"),
                Row("vit.embeddings.position_embeddings", "Transformer/posembed_input/pos_embedding"),
                Row("vit.embeddings.patch_embeddings.projection", "embedding"),
                Row(
                    _LAYER + ".attention.attention.{query,key,value}",
                    _JAX + "MultiHeadDotProductAttention_1/{query,key,value}",
                ),
                Row(_LAYER + ".attention.output.dense", _JAX + "MultiHeadDotProductAttention_1/out"),
                Row(_LAYER + ".{intermediate,output}.dense", _JAX + "MlpBlock_3/{Dense_0,Dense_1}"),
                Row(_LAYER + ".{layernorm_before,layernorm_after}", _JAX + "{LayerNorm_0,LayerNorm_2}"),
                Row("{vit.layernorm,vit.pooler.dense,classifier}", "{Transformer/encoder_norm,pre_logits,head}"),
            ),
            complete=True,
        ),
        Form(
            "keras-hub",
            "KerasHub",
            KERAS,
            (
                Row("vit.embeddings.cls_token", "layers/vi_t_patching_and_embedding"),
                Row("vit.embeddings.position_embeddings", "layers/vi_t_patching_and_embedding/position_embedding"),
                Row("vit.embeddings.patch_embeddings.projection", "layers/vi_t_patching_and_embedding/patch_embedding"),
                Row(_LAYER + ".attention.attention.{query,key,value}", _KERAS + "mha/{query,key,value}_dense"),
                Row(_LAYER + ".attention.output.dense", _KERAS + "mha/output_dense"),
                Row(_LAYER + ".{intermediate,output}.dense", _KERAS + "mlp/dense_{1,2}"),
                Row(_LAYER + ".{layernorm_before,layernorm_after}", _KERAS + "layer_norm_{1,2}"),
                Row("vit.layernorm", "layers/vi_t_encoder/layer_norm"),
            ),
            complete=True,
        ),
    ),
    {"n": ("num_attention_heads",)},
)

"""T5: Raffel et al., 2019, https://arxiv.org/abs/1910.10683, and its version 1.1, whose gates are two matrices."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, TF_KERAS
from ivyhub.registry.adapters.families.family import Family, Form, Row

_LAYER = "{encoder,decoder}.block.{i}.layer.{j}"

T5 = Family(
    "t5",
    "T5",
    "",
    (
        ("embedding", "shared"),
        *(("to heads", f"{_LAYER}.SelfAttention.{name}") for name in "qkv"),
        ("from heads", _LAYER + ".SelfAttention.o"),
        ("embedding", _LAYER + ".SelfAttention.relative_attention_bias"),
        ("to heads", "decoder.block.{i}.layer.{j}.EncDecAttention.{q,k,v}"),
        ("from heads", "decoder.block.{i}.layer.{j}.EncDecAttention.o"),
        *(("linear", f"{_LAYER}.DenseReluDense.{name}") for name in ("wi", "wi_0", "wi_1", "wo")),
        ("scale", _LAYER + ".layer_norm"),
        ("scale", "{encoder,decoder}.final_layer_norm"),
        ("linear", "lm_head"),
    ),
    (
        Form(
            "transformers",
            "transformers (PyTorch)",
            # of a layer that has no positions, in the first releases
            ignored=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
            copies=((r"(encoder|decoder)\.embed_tokens\.weight", "shared.weight"),),
            tied=((r"lm_head\.weight", "shared.weight"),),
        ),
        Form("flax", "transformers (Flax)", FLAX),
        Form(
            "tf-keras",
            "transformers (TensorFlow)",
            TF_KERAS,
            (Row(_LAYER, "{encoder,decoder}/block_._{i}/layer_._{j}"),),
            copies=(("(encoder|decoder)/shared/shared/embeddings:0", "shared/shared/shared/embeddings:0"),),
        ),
    ),
    {"n": ("num_heads",)},
)

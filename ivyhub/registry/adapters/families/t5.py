"""T5: Raffel et al., 2019, https://arxiv.org/abs/1910.10683, and its version 1.1, whose gates are two matrices."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, TF_KERAS, Convention, Leaf
from ivyhub.registry.adapters.families.family import Family, Form, Row

MESH = Convention(
    "tf",
    "/",
    {
        "to heads": {"weight": Leaf("", "i (n d)"), "bias": Leaf(None)},
        "from heads": {"weight": Leaf("", "(n d) o"), "bias": Leaf(None)},
        "linear": {"weight": Leaf("kernel", "i o")},
        "embedding": {"weight": Leaf("embedding")},
        "scale": {"weight": Leaf("scale")},
    },
)

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
            copies=((r"(encoder|decoder)/([^/]+)/shared/embeddings:0", r"shared/\2/shared/embeddings:0"),),
            repeated=tuple((r"shared/([^/]+)/(.*)", rf"{each}/\1/\2") for each in ("encoder", "decoder")),
        ),
        Form(
            "mesh-tensorflow",
            "Mesh TensorFlow (TensorFlow 1)",
            MESH,
            (
                Row(_LAYER, "{encoder,decoder}/block_{i:3}/layer_{j:3}"),
                Row(
                    _LAYER + ".SelfAttention.relative_attention_bias.weight",
                    "{encoder,decoder}/block_{i:3}/layer_{j:3}/SelfAttention/relative_attention_bias",
                    "e v",
                ),
                Row("lm_head", "decoder/logits"),
            ),
            ignored=("global_step", ".*_slot_.*"),
        ),
    ),
    {"n": ("num_heads",)},
)

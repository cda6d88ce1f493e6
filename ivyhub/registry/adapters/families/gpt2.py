"""GPT-2: Radford et al., 2019."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, KERAS, TF_KERAS, Convention, Leaf
from ivyhub.registry.adapters.families.family import Family, Form, Row

_LAYER = "transformer.h.{i}"
_KERAS = "layers/transformer_decoder{_i}/"

OPENAI = Convention(
    "tf",
    "/",
    {
        "linear transposed": {"weight": Leaf("w", "1 i o"), "bias": Leaf("b")},
        "to heads, fused and transposed": {"weight": Leaf("w", "1 i (* n d)"), "bias": Leaf("b")},
        "from heads, transposed": {"weight": Leaf("w", "1 (n d) o"), "bias": Leaf("b")},
        "norm": {"weight": Leaf("g"), "bias": Leaf("b")},
        "embedding": {"weight": Leaf("")},
    },
)

GPT2 = Family(
    "gpt2",
    "GPT-2",
    "transformer",
    (
        ("embedding", "transformer.{wte,wpe}"),
        ("norm", _LAYER + ".{ln_1,ln_2}"),
        ("to heads, fused and transposed", _LAYER + ".attn.c_attn"),
        ("from heads, transposed", _LAYER + ".attn.c_proj"),
        ("linear transposed", _LAYER + ".mlp.{c_fc,c_proj}"),
        ("norm", "transformer.ln_f"),
        ("linear", "{lm_head,score}"),
    ),
    (
        Form(
            "transformers",
            "transformers (PyTorch)",
            ignored=(r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias",),
            tied=((r"lm_head\.weight", "transformer.wte.weight"),),
            bare=True,
        ),
        Form("flax", "transformers (Flax)", FLAX, bare=True),
        Form(
            "tf-keras", "transformers (TensorFlow)", TF_KERAS, (Row(_LAYER, "transformer/h_._{i}"), Row("lm_head", ""))
        ),
        Form(
            "openai",
            "openai/gpt-2 (TensorFlow 1)",
            OPENAI,
            (Row("transformer", "model"), Row(_LAYER, "model/h{i}")),
            complete=True,
            ignored=("global_step",),
        ),
        Form(
            "keras-hub",
            "KerasHub",
            KERAS,
            (
                Row("transformer.wte", "layers/reversible_embedding"),
                Row("transformer.wpe", "layers/position_embedding"),
                Row("transformer.ln_f", "layers/layer_normalization"),
                Row(_LAYER + ".{ln_1,ln_2}", _KERAS + "_{self_attention,feedforward}_layer_norm"),
                Row(_LAYER + ".attn.c_attn", _KERAS + "_self_attention_layer/{query|key|value}_dense"),
                Row(_LAYER + ".attn.c_proj", _KERAS + "_self_attention_layer/output_dense"),
                Row(_LAYER + ".mlp.{c_fc,c_proj}", _KERAS + "_feedforward_{intermediate,output}_dense"),
            ),
            complete=True,
        ),
    ),
    {"n": ("n_head", "num_attention_heads")},
)

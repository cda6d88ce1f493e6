"""BERT: Devlin et al., 2018, https://arxiv.org/abs/1810.04805."""

from __future__ import annotations

from ivyhub.registry.adapters.families.conventions import FLAX, KERAS, TF1, TF_KERAS, TORCH_GAMMA
from ivyhub.registry.adapters.families.family import Family, Form, Row

_LAYER = "bert.encoder.layer.{i}"
_COPIES = ((r"cls\.predictions\.decoder\.bias", "cls.predictions.bias"),)
_TIED = ((r"cls\.predictions\.decoder\.weight", "bert.embeddings.word_embeddings.weight"),)
_POSITIONS = r"(bert\.)?embeddings\.position_ids"

BERT = Family(
    "bert",
    "BERT",
    "bert",
    (
        ("embedding", "bert.embeddings.{word,position,token_type}_embeddings"),
        ("norm", "bert.embeddings.LayerNorm"),
        ("to heads", _LAYER + ".attention.self.{query,key,value}"),
        ("from heads", _LAYER + ".attention.output.dense"),
        ("norm", _LAYER + ".{attention.output,output}.LayerNorm"),
        ("linear", _LAYER + ".{intermediate,output}.dense"),
        ("linear", "bert.pooler.dense"),
        ("linear", "cls.predictions.transform.dense"),
        ("norm", "cls.predictions.transform.LayerNorm"),
        ("tensor", "cls.predictions.bias"),
        ("linear", "{cls.predictions.decoder,cls.seq_relationship,classifier,qa_outputs}"),
    ),
    (
        Form("transformers", "transformers (PyTorch)", ignored=(_POSITIONS,), copies=_COPIES, tied=_TIED, bare=True),
        Form(
            "pytorch-pretrained-bert",
            "pytorch-pretrained-bert",
            TORCH_GAMMA,
            copies=_COPIES,
            tied=_TIED,
            bare=True,
        ),
        Form("flax", "transformers (Flax)", FLAX, bare=True),
        Form(
            "tf-keras",
            "transformers (TensorFlow)",
            TF_KERAS,
            (
                Row("bert.encoder.layer.{i}", "bert/encoder/layer_._{i}"),
                Row("bert.embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings/weight"),
                Row("cls.predictions", "mlm___cls/predictions"),
                Row("cls.predictions.decoder", ""),
                Row("cls.seq_relationship", "nsp___cls/seq_relationship"),
            ),
            copies=((r"mlm___cls/([^/]+)/bert/(.*)", r"bert/\1/bert/\2"),),
            repeated=((r"bert/([^/]+)/bert/(embeddings/.*)", r"mlm___cls/\1/bert/\2"),),
        ),
        Form(
            "google-research",
            "google-research/bert (TensorFlow 1)",
            TF1,
            (
                Row("bert.encoder.layer.{i}", "bert/encoder/layer_{i}"),
                Row("cls.predictions.decoder", ""),
                Row("cls.predictions.bias", "cls/predictions/output_bias"),
                Row("cls.seq_relationship.{weight,bias}", "cls/seq_relationship/output_{weights,bias}", "{o i,o}"),
                Row("classifier.{weight,bias}", "output_{weights,bias}", "{o i,o}"),
                Row("qa_outputs.{weight,bias}", "cls/squad/output_{weights,bias}", "{o i,o}"),
            ),
            ignored=("global_step", "(.*/)?adam_[mv]"),
        ),
        Form(
            "keras-hub",
            "KerasHub",
            KERAS,
            (
                Row("bert.embeddings.word_embeddings", "layers/reversible_embedding"),
                Row("bert.embeddings.position_embeddings", "layers/position_embedding"),
                Row("bert.embeddings.token_type_embeddings", "layers/embedding"),
                Row("bert.embeddings.LayerNorm", "layers/layer_normalization"),
                Row(
                    _LAYER + ".{attention.self.query,attention.self.key,attention.self.value,attention.output.dense}",
                    "layers/transformer_encoder{_i}/_self_attention_layer/{query,key,value,output}_dense",
                ),
                Row(
                    _LAYER + ".{attention.output.LayerNorm,output.LayerNorm,intermediate.dense,output.dense}",
                    "layers/transformer_encoder{_i}/_{self_attention_layer_norm,feedforward_layer_norm,"
                    "feedforward_intermediate_dense,feedforward_output_dense}",
                ),
                Row("bert.pooler.dense", "layers/dense"),
            ),
            complete=True,
        ),
    ),
    {"n": ("num_attention_heads",)},
)

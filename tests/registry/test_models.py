"""Published architectures with random weights into every target, each judged by its certificate against the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.registry import api

TARGETS = ("torch", "jax", "flax.linen", "tensorflow", "numpy")
WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def published_models() -> dict[str, Callable[[], Any]]:
    import transformers as t

    return {
        "bert": lambda: t.BertModel(t.BertConfig(**WIDTHS, vocab_size=99)),
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=99, n_positions=64)),
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**WIDTHS, image_size=32, patch_size=8)),
        "resnet": lambda: t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[2, 2])
        ),
        "t5": lambda: t.T5ForConditionalGeneration(
            t.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=99)
        ),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**WIDTHS, num_key_value_heads=2, vocab_size=99)),
    }


# An encoder and a decoder before a change lands; the sweep has them all.
PUBLISHED = [
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("bert", "llama")),
    *(pytest.param(name, marks=pytest.mark.sweep) for name in ("gpt2", "vit", "resnet", "t5")),
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_architecture_agrees_in_every_target(name: str, tmp_path: Path) -> None:
    published_models()[name]().save_pretrained(tmp_path / name)
    (tmp_path / name / "preprocessor_config.json").write_text('{"size": {"height": 48, "width": 48}}')
    for target in TARGETS:  # one test, so that the capture is shared through the registry
        result = api.pull_package(str(tmp_path / name), framework=target, to=tmp_path / target.replace(".", "_"))
        assert result.certificate is not None
        assert all(row["passed"] for row in result.certificate["rows"]), (target, result.certificate["rows"])


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_minilm_is_within_the_promised_figures(target: str, tmp_path: Path) -> None:
    """Outputs within 1e-5, gradients within 1e-5 of the global norm, with the real weights, padding and length 1."""
    result = api.pull_package("minilm", framework=target, to=tmp_path / "minilm")
    assert result.certificate is not None
    rows = {row["check"]: row["measured"] for row in result.certificate["rows"]}
    kinds = {check.partition(",")[0] for check in rows}
    assert kinds == ({"outputs"} if target == "numpy" else {"outputs", "gradients", "loss of 10 steps"})
    assert {"outputs, padded", "outputs, batch 1", "outputs, length 1"} <= rows.keys()
    figures = [figure for check, figure in rows.items() if check.startswith(("outputs", "gradients"))]
    assert np.max(figures) <= 1e-5

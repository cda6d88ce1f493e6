"""Checkpoints with random weights, as the library itself saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def save(model: Any, folder: Path) -> Path:
    """Save a model of ``transformers`` in Hugging Face layout."""
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with a classifier."""
    import transformers

    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=50,
        max_position_embeddings=40,
        num_labels=3,
    )
    folder = tmp_path_factory.mktemp("sources") / "small-bert"
    save(transformers.BertForSequenceClassification(config), folder)
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# a model\n")
    return folder

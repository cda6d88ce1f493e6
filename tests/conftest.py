"""Fixtures that every test shares: fresh randomness, one framework at a time, a registry of its own."""

from __future__ import annotations

import importlib.util
import os
import secrets
from pathlib import Path

# Before any framework is imported: quiet TensorFlow, no thread pools fighting over the test workers' cores,
# no reaching out to a model hub by accident. A test that runs a hub of its own sets its own environment.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest

FRAMEWORKS = ("torch", "jax", "tensorflow", "numpy")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers from a fresh seed, printed with every failure; ``IVYHUB_SEED=n`` repeats a run."""
    seed = int(os.environ.get("IVYHUB_SEED") or secrets.randbits(32))
    print(f"repeat with IVYHUB_SEED={seed}")  # noqa: T201 - pytest shows it with the report of a failing test
    return np.random.default_rng(seed)


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """The framework under test; one that is not installed is skipped, for no other reason may one be."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty registry of the test's own, as ``IVYHUB_HOME``."""
    path = tmp_path_factory.mktemp("ivyhub-home")
    monkeypatch.setenv("IVYHUB_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in Hugging Face layout: a small BERT with a classifier, its weights random."""
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
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# a model\n")
    return folder

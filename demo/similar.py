"""Embed a few sentences with the export alone: JAX, a tokenizer, and no ivyhub, PyTorch or transformers."""

import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

sys.path.insert(0, "demo-out")
import minilm_jax

sentences = Path("demo/sentences.txt").read_text(encoding="utf-8").splitlines()
tokenizer = Tokenizer.from_file("demo-out/minilm_jax/tokenizer.json")
tokenizer.enable_padding()
batch = tokenizer.encode_batch(sentences)
mask = np.array([row.attention_mask for row in batch])
model = minilm_jax.load()
model.eval()
ids, segments = np.array([row.ids for row in batch]), np.array([row.type_ids for row in batch])
hidden = model(ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
mean = (np.asarray(hidden) * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
vectors = mean / np.linalg.norm(mean, axis=1, keepdims=True)

original = np.load("demo-out/original.npy")
np.set_printoptions(precision=6, suppress=True)
print("the export, in JAX:", vectors @ vectors.T, "the original, in PyTorch:", original @ original.T, sep="\n")
print(f"largest difference between the embeddings: {np.abs(vectors - original).max():.1e}")

"""Runs exports where they were written to run, for `tests/versions.py`: needs nothing but their framework.

    python versions_run.py FOLDER FLAVOUR PACKAGE ...

FOLDER holds for each package ``PACKAGE`` and ``PACKAGE.npz``, its inputs and the weights of its outputs in a sum.
Written are ``PACKAGE.results.npz``: the outputs in evaluation, and the norm of the gradient of that sum. At last it
must run in train mode, where dropout is random and batch statistics move.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Inputs = Mapping[str, np.ndarray]
Results = tuple[list[np.ndarray], float]  # outputs, norm of the gradient


def leaves(tree: Any) -> list[Any]:
    """The arrays of a result, in order."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, tuple | list):
        return [leaf for child in tree for leaf in leaves(child)]
    return [] if tree is None else [tree]


def takes(function: Callable[..., Any], word: str, value: bool) -> dict[str, bool]:
    """An argument, where a function has it."""
    return {word: value} if word in inspect.signature(function).parameters else {}


def run_torch(model: Any, inputs: Inputs, weights: Sequence[np.ndarray]) -> Results:
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    outputs = leaves(model.eval()(**tensors))
    sum((leaf * torch.from_numpy(weight)).sum() for leaf, weight in zip(outputs, weights, strict=True)).backward()
    norms = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
    model.train()(**tensors)
    return [leaf.detach().numpy() for leaf in outputs], float(np.linalg.norm(norms))


def run_nnx(model: Any, inputs: Inputs, weights: Sequence[np.ndarray]) -> Results:
    import jax
    from flax import nnx

    def loss(model: Any, inputs: Any) -> Any:
        return sum((leaf * weight).sum() for leaf, weight in zip(leaves(model(**inputs)), weights, strict=True))

    arrays = {name: jax.numpy.asarray(array) for name, array in inputs.items()}
    model.eval()
    outputs = nnx.jit(lambda model, inputs: leaves(model(**inputs)))(model, arrays)
    norms = [float(jax.numpy.linalg.norm(g.ravel())) for g in jax.tree_util.tree_leaves(nnx.grad(loss)(model, arrays))]
    model.train()
    model(**arrays)
    return [np.asarray(leaf) for leaf in outputs], float(np.linalg.norm(norms))


def run_linen(model: Any, inputs: Inputs, weights: Sequence[np.ndarray]) -> Results:
    import jax

    module, variables = model

    def apply(variables: Any) -> list[Any]:
        return leaves(module.apply(variables, **inputs))

    def loss(params: Any) -> Any:
        return sum(
            (leaf * weight).sum() for leaf, weight in zip(apply({**variables, "params": params}), weights, strict=True)
        )

    training = takes(type(module).__call__, "deterministic", False)
    module.apply(variables, **inputs, **training, rngs={"dropout": jax.random.key(0)}, mutable=["batch_stats"])
    outputs = jax.jit(apply)(variables)
    norms = [
        float(jax.numpy.linalg.norm(g.ravel())) for g in jax.tree_util.tree_leaves(jax.grad(loss)(variables["params"]))
    ]
    return [np.asarray(leaf) for leaf in outputs], float(np.linalg.norm(norms))


def run_keras(model: Any, inputs: Inputs, weights: Sequence[np.ndarray]) -> Results:
    import tensorflow as tf

    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    outputs = tf.function(lambda tensors: leaves(model(**tensors)))(tensors)
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(leaf * weight) for leaf, weight in zip(leaves(model(**tensors)), weights, strict=True))
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables) if g is not None]
    model(tensors if len(tensors) > 1 else next(iter(tensors.values())), **takes(model.call, "training", True))
    return [leaf.numpy() for leaf in outputs], float(tf.linalg.global_norm(gradients))


RUN = {"torch": run_torch, "flax.nnx": run_nnx, "flax.linen": run_linen, "keras": run_keras}


def main(folder: Path, flavour: str, packages: Sequence[str]) -> None:
    sys.path.insert(0, str(folder))
    for name in packages:
        with np.load(folder / f"{name}.npz") as kept:
            arrays = {key: kept[key] for key in kept.files}
        inputs = {key.removeprefix("input "): array for key, array in arrays.items() if key.startswith("input ")}
        weights = [arrays[f"weight {i}"] for i in range(sum(key.startswith("weight ") for key in arrays))]
        outputs, norm = RUN[flavour](importlib.import_module(name).load(), inputs, weights)
        named = {f"output {i}": array for i, array in enumerate(outputs)}
        np.savez(folder / f"{name}.results.npz", norm=np.array(norm), **named)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

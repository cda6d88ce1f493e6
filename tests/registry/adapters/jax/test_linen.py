"""Flax Linen exports: the same function as the original, and what a Linen user expects of a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from ivyhub.registry.export import import_package
from tests.registry.adapters.parity import assert_same
from tests.registry.adapters.zoo import EXAMPLES, unused_or_undefined, write_package


def fresh(name: str, rng: np.random.Generator) -> Any:
    torch.manual_seed(int(rng.integers(2**31)))
    return EXAMPLES[name]()


def export(name: str, rng: np.random.Generator, folder: Path, **options: Any) -> tuple[Any, dict[str, Any], list[Any]]:
    """A zoo module as a Linen module, its variables and inputs."""
    example = fresh(name, rng)
    module, variables = import_package(write_package(example, "flax.linen", folder / name)).load(**options)
    return module, variables, [jnp.asarray(arg.numpy()) for arg in example.args]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_same_function(name: str, rng: np.random.Generator) -> None:
    example = fresh(name, rng)
    sizes = [{"batch": 3}]  # the statistics of a batch of one are none
    if name == "text":
        sizes = [{"batch": 2, "length": 5}, {"batch": 1, "length": 1}]
    assert_same(example.module, example.args, {}, example.dynamic, to="flax.linen", rng=rng, sizes=sizes)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_source_is_clean(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    assert not unused_or_undefined(write_package(fresh(name, rng), "flax.linen", tmp_path / name))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_variables_are_those_of_init(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    module, variables, inputs = export(name, rng, tmp_path)
    made = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), made) == jax.tree.map(lambda x: (x.shape, x.dtype), variables)


def test_names_mirror_the_source(tmp_path: Path, rng: np.random.Generator) -> None:
    _, variables, _ = export("text", rng, tmp_path)
    assert set(variables) == {"params", "buffers"}
    assert set(variables["params"]) == {"embedding", "blocks_0", "blocks_1", "blocks_2", "norm"}
    assert variables["params"]["blocks_1"]["attention"]["projection"]["kernel"].shape == (8, 24)


def test_dropout_needs_a_key_and_is_off_by_default(tmp_path: Path, rng: np.random.Generator) -> None:
    module, variables, inputs = export("text", rng, tmp_path)
    still = module.apply(variables, *inputs)
    assert jnp.array_equal(still["logits"], module.apply(variables, *inputs, deterministic=True)["logits"])
    rngs = [{"dropout": jax.random.key(int(seed))} for seed in rng.integers(2**31, size=2)]
    first, second = (module.apply(variables, *inputs, deterministic=False, rngs=keys)["state"] for keys in rngs)
    assert not jnp.allclose(first, second)
    assert not jnp.allclose(first, still["state"])


def test_batch_statistics_move_only_when_asked(tmp_path: Path, rng: np.random.Generator) -> None:
    module, variables, inputs = export("signal", rng, tmp_path)
    _, kept = module.apply(variables, *inputs, mutable=["batch_stats"])
    _, moved = module.apply(variables, *inputs, deterministic=False, mutable=["batch_stats"])
    before = variables["batch_stats"]["normalization"]["var"]
    assert jnp.array_equal(kept["batch_stats"]["normalization"]["var"], before)
    assert not jnp.array_equal(moved["batch_stats"]["normalization"]["var"], before)


def test_load_in_another_dtype(tmp_path: Path, rng: np.random.Generator) -> None:
    module, variables, inputs = export("text", rng, tmp_path, dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.bfloat16)}
    assert module.apply(variables, *inputs)["logits"].dtype == jnp.bfloat16

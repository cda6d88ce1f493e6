"""A model in another floating-point type computes as its source does in that type, explicit float32 included."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

import ivyhub
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.conversion import open_runner
from tests.arrays import assert_close

WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
MODELS = {
    # RMS norms and rotary tables in float32, whatever the type of the model
    "llama": lambda: transformers.LlamaModel(transformers.LlamaConfig(**WIDTHS, num_key_value_heads=2, vocab_size=99)),
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**WIDTHS, vocab_size=99)),
}
# One rounding is 2^-8 and 2^-11 of a value. Frameworks round a formula at different places, and two layers of
# some ten formulas each grow that to a few times as much; values of the last norm reach about 4.
TOLERANCES = {"bfloat16": 2**-4, "float16": 2**-7}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp("sources") / name for name in MODELS}
    for name, folder in made.items():
        MODELS[name]().save_pretrained(folder)
    return made


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", ["bert", pytest.param("llama", marks=pytest.mark.sweep)])
def test_a_pull_in_another_dtype_is_the_model_cast_to_it(name, dtype, framework, folders, rng):
    folder = str(folders[name])
    inputs = {
        "input_ids": rng.integers(0, 99, (2, 7)),
        "attention_mask": np.array([[1] * 7, [1] * 4 + [0] * 3]),
    }
    native = ivyhub.pull(folder, framework=framework, dtype=dtype, verify=False)
    if name == "bert":
        inputs["token_type_ids"] = rng.integers(0, 2, (2, 7))
    found = open_runner(Target.parse(framework), native).outputs(inputs)[0]
    cast = transformers.AutoModel.from_pretrained(folder).eval().to(getattr(torch, dtype))
    with torch.no_grad():
        wanted = cast(**{key: torch.tensor(array) for key, array in inputs.items()}).last_hidden_state
    if (framework, dtype) != ("numpy", "bfloat16"):  # in NumPy a number makes float32 of a bfloat16 array
        assert found.dtype.name == dtype
    tolerance = 0.0 if framework == "torch" else TOLERANCES[dtype]  # the same kernels in the same order
    counted = inputs["attention_mask"].astype(bool)
    assert_close(found.astype(np.float32)[counted], wanted.float().numpy()[counted], tolerance)


class Shifted(torch.nn.Module):
    """Constants, numbers, ranges and casts of 64 bits, some too long to be written as numbers beside an array."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift = torch.tensor([0.1, 0.2, 1 / 3], dtype=x.dtype)
        return (x - shift) / 0.3 + torch.arange(3, dtype=x.dtype) / 7 + x.to(torch.float64).sin() * 0.1


@pytest.mark.parametrize("to", ["jax", "flax.linen"])
@pytest.mark.parametrize("wide", [False, True])
def test_what_is_wide_in_the_source_is_as_wide_as_jax_lets_it_be(wide: bool, to: str, rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(2, 3)))
    with jax.enable_x64(wide):
        found = ivyhub.transpile(Shifted(), to=to, args=(x,))
        y = found[0].apply(found[1], jnp.asarray(x.numpy())) if to == "flax.linen" else found(jnp.asarray(x.numpy()))
    assert y.dtype == (np.float64 if wide else np.float32)
    np.testing.assert_allclose(y, Shifted()(x), atol=1e-14 if wide else 1e-6)  # some roundings of numbers below 10

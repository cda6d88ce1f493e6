"""Exports for the oldest versions of each framework, run on these versions: ``make versions``.

    python -m tests.versions [ENVIRONMENT ...]

Each environment is a virtual environment of its own below ``.versions``, filled from the package index when it is used
first. The models are MiniLM and small ones with random weights. Their outputs and the norm of a gradient are compared
with the originals'. So the table of minimum versions is true.
"""

# ruff: noqa: T201 - a command that tells its figures

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivyhub.registry import api, conversion, versions
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.certificate import difference, sizes_of
from ivyhub.registry.inputs import random_inputs
from ivyhub.registry.store import Store
from tests.registry.test_models import published_models

ROOT = Path(__file__).parents[1]
# Two frameworks that sum 24-bit numbers in different orders; norms add over all of a model's gradients.
TOLERANCE, NORM_TOLERANCE = 1e-5, 1e-4


@dataclass(frozen=True)
class Environment:
    """Packages that are installed together, and the targets that are run there."""

    packages: tuple[str, ...]
    targets: tuple[str, ...]


ENVIRONMENTS: Mapping[str, Environment] = {
    "jax-0.4.31": Environment(
        ("jax==0.4.31", "jaxlib==0.4.31", "flax==0.8.5", "numpy<2"), ("jax==0.4.31", "flax.linen==0.8.5")
    ),
    "jax-0.6.0": Environment(("jax==0.6.0", "jaxlib==0.6.0", "flax==0.11.2"), ("jax==0.6.0",)),
    "jax-0.7.1": Environment(("jax==0.7.1", "jaxlib==0.7.1", "flax==0.12.0"), ("jax", "flax.linen")),
    "tensorflow-2.16": Environment(("tensorflow-cpu==2.16.*", "keras==3.3.*", "numpy<2"), ("tensorflow==2.16",)),
    "torch-2.4": Environment(("torch==2.4.*", "numpy<2"), ("torch==2.4",)),
}


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made if it is not there."""
    folder = ROOT / ".versions" / name
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = [*ENVIRONMENTS[name].packages, "safetensors"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        done.touch()
    return python


def sources(folder: Path) -> dict[str, str]:
    """What is pulled, by name: folders with random models, and the alias of MiniLM."""
    found = {"minilm": "minilm"}
    for name, make in published_models().items():
        make().save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text('{"size": {"height": 48, "width": 48}}')
        found[name] = str(folder / name)
    return found


def expect(digest: str, path: Path, rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    """Write random inputs of a version, and return what its original makes of them: outputs, norm of the gradient."""
    store = Store()
    version = store.version(digest)
    model = versions.get_model(store, version)
    original = conversion.original_of(store, version, None)()
    inputs = random_inputs(model.recipe.inputs, next(iter(sizes_of(model).values())), rng, padded=True)
    outputs = original.outputs(inputs)
    weights = [rng.standard_normal(array.shape).astype(array.dtype) for array in outputs]
    gradients = original.gradients(inputs, weights, train=False)
    named: dict[str, Any] = {f"input {name.replace('.', '_')}": array for name, array in inputs.items()}
    np.savez(path, **named, **{f"weight {i}": weight for i, weight in enumerate(weights)})
    return outputs, float(np.linalg.norm([np.linalg.norm(gradient.ravel()) for gradient in gradients.values()]))


def check(environment: str, folder: Path, models: Mapping[str, str], rng: np.random.Generator) -> bool:
    """Run every target of an environment on every model there, tell the figures, and say whether all are within."""
    good = True
    for text in ENVIRONMENTS[environment].targets:
        target = Target.parse(text)
        words = {name: f"{name}_{''.join(c if c.isalnum() else '_' for c in text)}" for name in models}
        expected = {}
        for name, source in models.items():
            pulled = api.pull_package(source, framework=text, to=folder / words[name], verify=False)
            expected[name] = expect(pulled.version, folder / f"{words[name]}.npz", rng)
        runner = [python_of(environment), ROOT / "tests" / "versions_run.py", folder, target.flavour, *words.values()]
        # an empty path: nothing of this environment is imported there
        subprocess.run(runner, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": "", "JAX_PLATFORMS": "cpu"})
        for name, (outputs, norm) in expected.items():
            with np.load(folder / f"{words[name]}.results.npz") as results:
                received, other = [results[f"output {i}"] for i in range(len(outputs))], float(results["norm"])
            apart = max(difference(a, b, None) for a, b in zip(outputs, received, strict=True))
            steep = abs(norm - other) / norm
            passed = apart <= TOLERANCE and steep <= NORM_TOLERANCE
            good &= passed
            print(
                f"{environment:<16} {text:<18} {name:<8} outputs {apart:.1e}  gradient {steep:.1e}"
                f"  {'ok' if passed else 'MISSED'}",
                flush=True,
            )
    return good


def main(names: list[str]) -> int:
    unknown = set(names) - ENVIRONMENTS.keys()
    if unknown:
        print(f"expected some of {', '.join(ENVIRONMENTS)}, received {', '.join(sorted(unknown))}")
        return 2
    seed = int(os.environ.get("IVYHUB_SEED") or secrets.randbits(32))
    print(f"repeat with IVYHUB_SEED={seed}")
    with tempfile.TemporaryDirectory() as home:
        os.environ["IVYHUB_HOME"] = str(Path(home) / "registry")
        models = sources(Path(home) / "models")
        rng = np.random.default_rng(seed)
        passed = [check(name, Path(home), models, rng) for name in names or ENVIRONMENTS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

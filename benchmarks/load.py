"""A second pull to a live model against the framework's own load of the same weight file.

    python benchmarks/load.py [torch jax arrays tensorflow] [--rounds 5]

BERT-base with random values (0.44 GB), in the page cache. CPU seconds on one core of the second load in a process.
torch: `safetensors.torch.load_file`, the class of transformers on the meta device, ``load_state_dict(assign=True)``.
jax: `safetensors.flax.load_file` into the export's class, made with `nnx.eval_shape` as Flax's guide to checkpoints
does; arrays: a pull to jax against `safetensors.flax.load_file` alone, which makes no model. tensorflow: Keras'
``load_weights`` into the export's class. What `import ivyhub` and the command line cost is in `startup.py`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from measuring import pin, ratios, table

TARGETS = {"torch": "torch", "jax": "jax", "arrays": "jax", "tensorflow": "tensorflow"}


def prepare(folder: Path, targets: list[str]) -> None:
    """A checkpoint, and the first pull of each target; Keras' own weight file beside its export."""
    from transformers import BertConfig, BertModel

    import ivyhub

    BertModel(BertConfig()).save_pretrained(folder / "bert")
    for target in {TARGETS[target] for target in targets}:
        model = ivyhub.pull(str(folder / "bert"), framework=target, verify=False)
        if target == "tensorflow":
            model.save_weights(folder / "own.weights.h5")
        (folder / f"{target}.txt").write_text(sys.modules[type(model).__module__].__file__ or "", "utf-8")


def own_load(target: str, folder: Path) -> Callable[[], Any]:
    """The framework's way to load; what it needs is imported here."""
    package = Path((folder / f"{TARGETS[target]}.txt").read_text("utf-8")).parent
    weights = package / "model.safetensors"
    if target == "torch":
        import torch
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        def load() -> Any:
            tensors = load_file(weights)
            with torch.device("meta"):
                model = BertModel(BertConfig())
            return model.load_state_dict(tensors, assign=True, strict=True)

        return load
    sys.path.insert(0, str(package.parent))
    modeling = importlib.import_module(f"{package.name}.modeling")
    if TARGETS[target] == "jax":
        import jax
        from flax import nnx
        from safetensors.flax import load_file as load_arrays

        def load_model() -> Any:
            graph, state = nnx.split(nnx.eval_shape(lambda: modeling.BertModel(rngs=nnx.Rngs(0))))
            arrays, flat = load_arrays(weights), dict(nnx.to_flat_state(state))
            for place in flat:
                if (name := ".".join(map(str, place))) in arrays:
                    flat[place] = flat[place].replace(arrays[name])
            return nnx.merge(graph, nnx.from_flat_state(flat.items()))

        jax.devices()
        return load_model if target == "jax" else lambda: jax.block_until_ready(load_arrays(weights))
    return lambda: modeling.BertModel().load_weights(folder / "own.weights.h5")


def pull(target: str, folder: Path) -> Callable[[], Any]:
    import ivyhub

    importlib.import_module({"jax": "flax.nnx", "torch": "safetensors.torch"}.get(target, target))
    if target == "jax":
        import jax
        import safetensors.flax  # noqa: F401

        jax.devices()
    start: Callable[..., Any] = ivyhub.pull
    return lambda: start(str(folder / "bert"), framework=target, verify=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    if options.step:
        step(*options.step)
        return
    pin()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["IVYHUB_HOME"] = f"{name}/home"
        command = [sys.executable, __file__, "--step"]
        subprocess.run([*command, "prepare", name, *targets], check=True)
        for target in targets:
            times: dict[str, list[float]] = {"own": [], "pull": []}
            for _ in range(options.rounds):
                for who, found in times.items():
                    run = subprocess.run([*command, who, name, target], check=True, stdout=subprocess.PIPE, text=True)
                    found.append(json.loads(run.stdout))
            middle, least, most = ratios(times, "own")["pull"]
            seconds = f"{median(times['own']):.2f}", f"{median(times['pull']):.2f}"
            rows.append((target, *seconds, f"{middle:.2f} ({least:.2f}-{most:.2f})"))
    table(("framework", "its own load, CPU s", "second pull, CPU s", "ratio (min-max)"), rows)


def step(what: str, folder: str, *targets: str) -> None:
    if what == "prepare":
        prepare(Path(folder), list(targets))
        return
    load = pull(TARGETS[targets[0]], Path(folder)) if what == "pull" else own_load(targets[0], Path(folder))
    load()  # imports what is imported on first use: transformers has most of it, an export has not
    start = time.process_time()
    model = load()
    print(time.process_time() - start)
    assert model is not None or targets[0] == "tensorflow"


if __name__ == "__main__":
    main()

"""A forward pass and a training step of BERT-base: each export against the hand-written model of its framework.

    python benchmarks/steps.py [torch jax flax.linen tensorflow] [--processes 3] [--rounds 3] [--legacy pinned current]
                               [--attention-dropout 0.1] [--tasks forward train] [--noise]

float32, random weights, batch 8, length 128, one core, CPU seconds. The training step is the mean square of both
outputs, its gradient and plain gradient descent, with dropout as configured. Every contestant is compiled as its
framework recommends and lives in a process of its own; each round lets all of them run. Hand-written models:
transformers' BERT for torch; FlaxBert and TFBert of transformers 4.x for the others, in the environments of
`legacy_env.py`, with the frameworks of their time (``pinned``) and with those that the exports use (``current``).

Two processes of one program differ too, by where their memory lies, for as long as they live: every contestant is
started ``--processes`` times, and runs ``--rounds`` rounds each time. ``--noise`` lets the export run in further
processes against itself: what that row shows is the noise of this machine.

Where XLA compiles, its own count of the bytes that a compiled step moves stands beside the times: it has no noise. It
compares like with like where both contestants use one version of JAX.

FlaxBert draws one mask for the dropout of all attention weights of a step, PyTorch's BERT, and so its exports, one for
every row and head: ``--attention-dropout 0`` compares the rest.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import legacy_env
from measuring import Contestant, pin, ratios, serve, table

RATE = 1e-4
LIBRARY = {"torch": "BertModel", "jax": "FlaxBertModel", "flax.linen": "FlaxBertModel", "tensorflow": "TFBertModel"}

Tasks = Mapping[str, Callable[[], Any]]
TASKS = ("forward", "train")


def inputs(batch: int = 8, length: int = 128) -> dict[str, Any]:
    import numpy as np

    rng = np.random.default_rng()
    mask = np.arange(length) < rng.integers(length // 2, length, (batch, 1))
    words = rng.integers(1000, 30000, (batch, length))
    return {"input_ids": words, "attention_mask": mask.astype(words.dtype), "token_type_ids": 0 * words}


# -- what is compared: two tasks each --------------------------------------------------------------------------------


def torch_tasks(model: Any) -> Tasks:
    import torch

    batch = {name: torch.from_numpy(array) for name, array in inputs().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def forward() -> None:
        model.eval()
        with torch.no_grad():
            model(**batch)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        hidden, pooled = model(**batch)[:2]
        (hidden.square().mean() + pooled.square().mean()).backward()
        optimizer.step()

    return {"forward": forward, "train": train}


def nnx_tasks(model: Any) -> Tasks:
    import jax
    import jax.numpy as jnp
    from flax import nnx

    # Flax's performance guide: split once and let `jax.jit` take the state; `nnx.jit` walks the module at each call.
    batch = {name: jnp.asarray(array, jnp.int32) for name, array in inputs().items()}
    model.eval()
    evaluated, _ = nnx.split(model)
    model.train()
    trained, params, rest = nnx.split(model, nnx.Param, ...)
    state = {"params": params, "rest": rest}
    run = jax.jit(lambda params, rest, batch: tuple(nnx.merge(evaluated, params, rest)(**batch)))

    def step(params: Any, rest: Any, batch: Any) -> Any:
        def loss(params: Any) -> Any:
            model = nnx.merge(trained, params, rest, copy=True)
            hidden, pooled = model(**batch)
            return jnp.square(hidden).mean() + jnp.square(pooled).mean(), nnx.state(model, nnx.Not(nnx.Param))

        gradients, after = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - RATE * g, params, gradients), after

    compiled = jax.jit(step, donate_argnums=0)

    def train() -> None:
        state["params"], state["rest"] = compiled(state["params"], state["rest"], batch)
        jax.block_until_ready(state["params"])

    return {
        "forward": lambda: jax.block_until_ready(run(**state, batch=batch)),
        "train": train,
        "forward bytes": lambda: traffic(run, **state, batch=batch),
        "train bytes": lambda: traffic(compiled, state["params"], state["rest"], batch),
    }


def linen_tasks(apply: Callable[..., Any], params: Any) -> Tasks:
    """Tasks of a function ``apply(params, batch, dropout_rng)``, which has dropout where the last is not None."""
    import jax
    import jax.numpy as jnp

    batch = {name: jnp.asarray(array, jnp.int32) for name, array in inputs().items()}
    run = jax.jit(lambda params, batch: apply(params, batch, None))
    state = {"params": jax.tree.map(jnp.asarray, params), "key": jax.random.PRNGKey(0)}

    def step(params: Any, key: Any, batch: Any) -> Any:
        def loss(params: Any) -> jax.Array:
            hidden, pooled = apply(params, batch, used)
            return jnp.square(hidden).mean() + jnp.square(pooled).mean()

        used, key = jax.random.split(key)
        return jax.tree.map(lambda p, g: p - RATE * g, params, jax.grad(loss)(params)), key

    compiled = jax.jit(step, donate_argnums=0)

    def train() -> None:
        state["params"], state["key"] = compiled(state["params"], state["key"], batch)
        jax.block_until_ready(state)

    return {
        "forward": lambda: jax.block_until_ready(run(state["params"], batch)),
        "train": train,
        "forward bytes": lambda: traffic(run, state["params"], batch),
        "train bytes": lambda: traffic(compiled, state["params"], state["key"], batch),
    }


def traffic(compiled: Any, *args: Any, **kwargs: Any) -> float:
    """The bytes that XLA counts as read and written by the instructions of a compiled function."""
    found = compiled.lower(*args, **kwargs).compile().cost_analysis()
    return (found[0] if isinstance(found, list) else found)["bytes accessed"]  # a list before JAX 0.5


def tensorflow_tasks(model: Any, optimizer: Any) -> Tasks:
    import tensorflow as tf

    batch = {name: tf.constant(array, tf.int32) for name, array in inputs().items()}

    def call(training: bool) -> Any:
        found = model(batch, training=training)
        return found[0], found[1]

    @tf.function
    def train() -> None:
        with tf.GradientTape() as tape:
            hidden, pooled = call(training=True)
            loss = tf.reduce_mean(tf.square(hidden)) + tf.reduce_mean(tf.square(pooled))
        pairs = zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        optimizer.apply_gradients((gradient, variable) for gradient, variable in pairs if gradient is not None)

    return {"forward": tf.function(lambda: call(training=False)), "train": train}


def contend(name: str, folder: Path) -> None:
    """Be one contestant: an export in ``folder`` by its target, or a class of transformers."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    settings = json.loads((folder / "settings.json").read_text())
    sys.path.insert(0, str(folder))
    tasks: Tasks
    match name:
        case "torch":
            used, tasks = "torch", torch_tasks(importlib.import_module("bert_torch").load())
        case "jax":
            used, tasks = "jax", nnx_tasks(importlib.import_module("bert_jax").load())
        case "flax.linen":
            module, variables = importlib.import_module("bert_flax_linen").load()

            def apply_export(params: Any, batch: Any, key: Any) -> Any:
                rngs = {} if key is None else {"rngs": {"dropout": key}}
                return tuple(module.apply({**variables, "params": params}, **batch, deterministic=key is None, **rngs))

            used, tasks = "jax", linen_tasks(apply_export, variables["params"])
        case "tensorflow":
            import keras

            model = importlib.import_module("bert_tensorflow").load()
            used, tasks = "tensorflow", tensorflow_tasks(model, keras.optimizers.SGD(RATE))
        case _:
            transformers = importlib.import_module("transformers")
            transformers.logging.set_verbosity_error()
            model = getattr(transformers, name)(transformers.BertConfig(**settings))
            if name == "BertModel":
                used, tasks = "torch", torch_tasks(model)
            elif name == "FlaxBertModel":

                def apply_library(params: Any, batch: Any, key: Any) -> Any:
                    return model(**batch, params=params, dropout_rng=key, train=key is not None)[:2]

                used, tasks = "jax", linen_tasks(apply_library, model.params)
            else:
                import tf_keras

                used, tasks = "tensorflow", tensorflow_tasks(model, tf_keras.optimizers.SGD(RATE))
    counts = {name: count for name, count in tasks.items() if name not in TASKS}
    serve(f"{used} {importlib.import_module(used).__version__}", {task: tasks[task] for task in TASKS}, counts)


# -- the comparison --------------------------------------------------------------------------------------------------


def prepare(folder: Path, settings: Mapping[str, Any], targets: list[str]) -> None:
    """BERT-base with random weights, as a checkpoint and as an export for each target."""
    from transformers import BertConfig, BertModel

    from ivyhub.registry.api import pull_package

    BertModel(BertConfig(**settings)).save_pretrained(folder / "bert")
    (folder / "settings.json").write_text(json.dumps(settings))
    for target in targets:
        to = folder / f"bert_{target.replace('.', '_')}"
        pull_package(str(folder / "bert"), framework=target, to=to, verify=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of " + ", ".join(LIBRARY))
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="of each process")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--attention-dropout", type=float, default=0.1, metavar="RATE")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--noise", action="store_true", help="compare the export with itself too")
    parser.add_argument("--legacy", nargs="*", choices=legacy_env.PACKAGES, default=["pinned", "current"])
    parser.add_argument("--folder", type=Path, help="of the environments; by default in the user's cache")
    parser.add_argument("--contend", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    options = parser.parse_args()
    targets = options.targets or list(LIBRARY)
    if options.contend:
        contend(options.contend[0], Path(options.contend[1]))
        return
    if options.prepare:
        settings = {
            "num_hidden_layers": options.layers,
            "attention_probs_dropout_prob": options.attention_dropout,
        }
        prepare(Path(options.prepare), settings, targets)
        return
    home = options.folder or legacy_env.default_folder()
    environments = {kind: legacy_env.python(kind, home) for kind in options.legacy if targets != ["torch"]}
    pin()
    with tempfile.TemporaryDirectory() as name:
        os.environ["IVYHUB_HOME"] = f"{name}/home"
        preparing = ["--prepare", name, "--layers", str(options.layers)]
        preparing += ["--attention-dropout", str(options.attention_dropout)]
        subprocess.run([sys.executable, __file__, *preparing, *targets], check=True)
        rows = []
        for target in targets:
            pythons = {"": sys.executable} if target == "torch" else environments
            rivals = {kind: (LIBRARY[target], str(python)) for kind, python in pythons.items()}
            if options.noise:
                rivals["itself"] = (target, sys.executable)
            rows += compare(target, rivals, name, options.processes, options.rounds, options.tasks)
    table(("export", "against", "task", "CPU s", "its CPU s", "ratio (min-max)", "bytes"), rows)


def compare(
    target: str,
    rivals: Mapping[str, tuple[str, str]],
    folder: str,
    processes: int,
    rounds: int,
    tasks: Sequence[str],
) -> list[tuple[str, ...]]:
    """Rows of the table for one export against several rivals, each a name to contend under and a Python."""
    commands = {"export": (target, sys.executable), **rivals}
    times: dict[str, dict[str, list[float]]] = {task: {who: [] for who in commands} for task in tasks}
    bytes_moved: dict[str, dict[str, float]] = {}
    for _ in range(processes):
        contestants = {
            who: Contestant([python, __file__, "--contend", name, folder]) for who, (name, python) in commands.items()
        }
        for number in range(rounds):
            turn = number % len(contestants)  # each of them is the first now and then
            for task, found in times.items():
                for who, contestant in [*contestants.items()][turn:] + [*contestants.items()][:turn]:
                    found[who].append(contestant.ask(task))
        if LIBRARY[target] == "FlaxBertModel" and not bytes_moved:
            for task in tasks:
                bytes_moved[task] = {who: each.ask(f"{task} bytes") for who, each in contestants.items()}
        versions = {who: each.versions for who, each in contestants.items()}
        for contestant in contestants.values():
            contestant.close()
    rows = []
    for kind, (library, _) in rivals.items():
        for task, found in times.items():
            middle, least, most = ratios(found, kind)["export"]
            rows.append(
                (
                    f"{target} ({versions['export']})",
                    f"{library} ({versions[kind]})",
                    task,
                    f"{median(found['export']):.2f}",
                    f"{median(found[kind]):.2f}",
                    f"{middle:.2f} ({least:.2f}-{most:.2f})",
                    f"{bytes_moved[task]['export'] / bytes_moved[task][kind]:.2f}" if bytes_moved else "-",
                )
            )
    return rows


if __name__ == "__main__":
    main()

"""What a conversion costs, against what a user would do instead.

    python benchmarks/convert.py [memory file llama] [--rounds 5]

memory: `ivyhub.transpile` of a live module against `torch.export.export` of it in evaluation, with the same dynamic
    sizes (CPU seconds), and the steps that it consists of.
file: a checkpoint of BERT-large (1.3 GB, random values) written as an export's weights against `cp`, and `cp` with
    `sync` of the copy, as the writer syncs too. The memory of the whole conversion, capture and source included, is
    that above the imports.
llama: a Llama of 7 billion parameters from its configuration alone to the source of a JAX model, and its memory.

Everything runs on one core; contestants take turns.
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

from measuring import children_cpu, cpu_seconds, peak, pin, ratios, reset_peak, table

TARGETS = ("torch", "jax")
TRACING = ("torch", "torch._dynamo", "torch.export", "torch.fx.experimental.proxy_tensor")
DYNAMIC = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}


def spread(found: tuple[float, float, float]) -> str:
    return "{:.2f} ({:.2f}-{:.2f})".format(*found)


# -- memory ----------------------------------------------------------------------------------------------------------


def modules() -> dict[str, tuple[Any, dict[str, Any], dict[str, dict[int, str]]]]:
    """Live modules with example inputs and dynamic sizes: of MiniLM's size, a ResNet-50, and one of three layers."""
    import torch
    from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel

    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    perceptron = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    images = {"pixel_values": {0: "batch"}}
    words = {name: torch.ones(2, 16, dtype=torch.long) for name in DYNAMIC}  # each its own: one tensor is one input
    return {
        "MiniLM": (BertModel(config), words, DYNAMIC),
        "ResNet-50": (ResNetModel(ResNetConfig()), {"pixel_values": torch.ones(2, 3, 64, 64)}, images),
        "MLP": (perceptron, {"input": torch.ones(2, 64)}, {"input": {0: "batch"}}),
    }


def memory(rounds: int) -> None:
    import jax
    import torch

    import ivyhub

    jax.devices()  # starting a framework is no conversion
    rows, parts = [], []
    for name, (module, inputs, dynamic) in modules().items():
        sizes = {word: dict.fromkeys(axes, torch.export.Dim.AUTO) for word, axes in dynamic.items()}

        def export(module: Any = module, inputs: Any = inputs, sizes: Any = sizes) -> None:
            torch.export.export(module.eval(), (), inputs, dynamic_shapes=sizes)

        def transpile(to: str, module: Any = module, inputs: Any = inputs, dynamic: Any = dynamic) -> None:
            ivyhub.transpile(module, to=to, kwargs=inputs, dynamic=dynamic)

        contestants: dict[str, Callable[[], None]] = {"export": export}
        contestants |= {to: lambda to=to, transpile=transpile: transpile(to) for to in TARGETS}
        times: dict[str, list[float]] = {who: [] for who in contestants}
        for turn in range(rounds + 1):
            for who, function in contestants.items():
                seconds = cpu_seconds(function)
                if turn:  # the first one imports what is imported on first use
                    times[who].append(seconds)
        found = ratios(times, "export")
        for to in TARGETS:
            excess = [own - 1.3 * base for own, base in zip(times[to], times["export"], strict=True)]
            row = name, to, f"{median(times['export']):.2f}", f"{median(times[to]):.2f}", spread(found[to])
            rows.append((*row, f"{median(excess):+.2f} ({min(excess):+.2f} to {max(excess):+.2f})"))
            parts.append((name, to, *(f"{median(part):.2f}" for part in steps(module, inputs, dynamic, to, rounds))))
    table(("module", "to", "torch.export CPU s", "transpile CPU s", "ratio (min-max)", "beyond 1.3 x, s"), rows)
    print()
    table(("module", "to", "capture", "simplify", "emit", "write", "load"), parts)


def steps(module: Any, inputs: Any, dynamic: Any, to: str, rounds: int) -> list[list[float]]:
    """CPU seconds of each step of `ivyhub.transpile`, in order, over the rounds."""
    from ivyhub.engine.passes import simplify
    from ivyhub.registry.adapters import capture, emit
    from ivyhub.registry.adapters.torch.trees import to_numpy
    from ivyhub.registry.export import call_load, import_package, write_source, write_weights
    from ivyhub.registry.weights import MemoryCheckpoint

    times: list[list[float]] = [[] for _ in range(5)]
    for _ in range(rounds):
        stamps = [time.process_time()]
        found = capture("torch", module, (), inputs, dynamic)
        stamps.append(time.process_time())
        graph = simplify(found.graph)
        stamps.append(time.process_time())
        export = emit(graph, to)
        stamps.append(time.process_time())
        with tempfile.TemporaryDirectory() as name:
            write_source(Path(name), export)
            arrays = MemoryCheckpoint({path: to_numpy(tensor) for path, tensor in found.tensors.items()})
            write_weights(Path(name), export, export.weights.apply(arrays))
            stamps.append(time.process_time())
            call_load(import_package(Path(name)), device=None)
        stamps.append(time.process_time())
        for found_times, start, end in zip(times, stamps, stamps[1:], strict=False):
            found_times.append(end - start)
    return times


# -- file ------------------------------------------------------------------------------------------------------------


def make_checkpoint(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file
    from transformers import BertConfig
    from weights import HIDDEN, LAYERS, WIDTH, shapes

    rng = np.random.default_rng()
    config = BertConfig(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=16, intermediate_size=HIDDEN)
    config.architectures = ["BertModel"]
    config.save_pretrained(folder)
    tensors = {name: rng.random(shape, np.float32) for name, shape in shapes().items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def convert_file(source: Path, target: Path, to: str) -> dict[str, float]:
    """Capture a checkpoint, then measure how its weights are written; the peak is that of it all."""
    for library in (*TRACING, "transformers.models.bert.modeling_bert"):
        importlib.import_module(library)  # imports are no conversion
    from ivyhub.registry.adapters import emit
    from ivyhub.registry.conversion import capture_source
    from ivyhub.registry.export import write_weights
    from ivyhub.registry.names import resolve_source
    from ivyhub.registry.weights import open_checkpoint

    reset_peak()
    before = peak()
    model = capture_source(resolve_source(str(source)))
    export = emit(model.graph, to)
    captured = peak() - before
    reset_peak()
    resident = peak()
    wall, cpu = time.perf_counter(), time.process_time()
    with open_checkpoint(source) as checkpoint:
        write_weights(target, export, model.tensors(checkpoint, export.weights))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    written = peak()
    return {"wall": wall, "cpu": cpu, "capture": captured, "write": written - resident, "peak": written - before}


def copy_file(source: Path, target: Path, sync: bool) -> dict[str, float]:
    wall, cpu = time.perf_counter(), children_cpu()
    subprocess.run(["cp", source / "model.safetensors", target / "copy"], check=True)
    if sync:
        subprocess.run(["sync", target / "copy"], check=True)
    return {"wall": time.perf_counter() - wall, "cpu": children_cpu() - cpu}


def file(rounds: int) -> None:
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("cp", "cp + sync", *TARGETS)}
    with tempfile.TemporaryDirectory() as name:
        os.environ["IVYHUB_HOME"] = f"{name}/home"
        source = Path(name, "bert-large")
        source.mkdir()
        child("make", str(source))
        for _ in range(rounds):
            for kind, found in results.items():
                with tempfile.TemporaryDirectory(dir=name) as target:
                    os.sync()
                    found.append(
                        json.loads(child("convert", str(source), target, kind))
                        if kind in TARGETS
                        else copy_file(source, Path(target), kind != "cp")
                    )
        size = (source / "model.safetensors").stat().st_size
    walls = {kind: [run["wall"] for run in runs] for kind, runs in results.items()}
    cpus = {kind: [run["cpu"] for run in runs] for kind, runs in results.items()}
    plain, synced, used = ratios(walls, "cp"), ratios(walls, "cp + sync"), ratios(cpus, "cp")
    print(f"{size / 1e9:.2f} GB, largest tensor {4e-6 * 30522 * 1024:.0f} MB")
    rows = []
    for kind, runs in results.items():
        most = [f"{max(run.get(part, 0) for run in runs) / 1e6:.0f}" for part in ("capture", "write", "peak")]
        seconds = f"{median(walls[kind]):.2f}", f"{median(cpus[kind]):.2f}"
        rows.append((kind, *seconds, spread(plain[kind]), spread(synced[kind]), spread(used[kind]), *most))
    heads = ("", "wall s", "CPU s", "wall / cp", "wall / cp+sync", "CPU / cp", "capture MB", "write MB", "peak MB")
    table(heads, rows)


# -- llama -----------------------------------------------------------------------------------------------------------


def convert_llama() -> dict[str, float]:
    for library in TRACING:
        importlib.import_module(library)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    import ivyhub

    reset_peak()
    before = peak()
    start = time.process_time()
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(use_cache=False))  # the sizes of the 7B model are the defaults
        words = torch.ones(2, 16, dtype=torch.long)
    graph = ivyhub.trace(model, input_ids=words, dynamic={"input_ids": {0: "batch", 1: "length"}})
    traced = time.process_time()
    source = graph.emit("jax").source
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()) / 1e9,
        "trace": traced - start,
        "emit": time.process_time() - traced,
        "lines": len(source.splitlines()),
        "above": (peak() - before) / 1e9,
        "peak": peak() / 1e9,
    }


def llama(rounds: int) -> None:
    found = json.loads(child("llama"))
    heads = ("parameters, 1e9", "capture CPU s", "emit CPU s", "lines", "GB above the imports", "GB in all")
    table(heads, [tuple(f"{value:.2f}".removesuffix(".00") for value in found.values())])


# -- the command -----------------------------------------------------------------------------------------------------


def child(*step: str) -> str:
    """Do a step in a process of its own: what it holds, and what it imports, is gone afterwards."""
    run = subprocess.run([sys.executable, __file__, "--step", *step], check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], "memory", "file", "llama"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    pin()
    match options.step:
        case None:
            for part in options.parts or ("memory", "file", "llama"):
                print(f"\n{part}\n")
                {"memory": memory, "file": file, "llama": llama}[part](options.rounds)
        case ["make", folder]:
            make_checkpoint(Path(folder))
        case ["convert", source, target, to]:
            print(json.dumps(convert_file(Path(source), Path(target), to)))
        case _:
            print(json.dumps(convert_llama()))


if __name__ == "__main__":
    main()

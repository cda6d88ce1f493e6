"""Checkpoints against what one would use instead: `ivyhub convert` and `torch.load` with `save_file`.

    python benchmarks/checkpoints.py [--rounds 5] [--gigabytes 1.3]

A file of `torch.save` with random float32 tensors goes to safetensors. Every round runs the contestants one after the
other, each in a fresh process that has imported what it needs; none of them waits for the disk. Peak memory is that
above the imports. Then safetensors go back to a file of PyTorch, and a safetensors file of 200,000 tensors is opened.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measuring import peak, ratios, reset_peak

WIDTH = 4096  # square matrices of 67 MB, as in a model of seven billion parameters
MANY = 200_000


def make(path: Path, gigabytes: float) -> None:
    import torch

    count = max(1, round(gigabytes * 1e9 / (4 * WIDTH * WIDTH)))
    torch.save({f"layers.{place}.weight": torch.rand(WIDTH, WIDTH) for place in range(count)}, path)


def make_many(path: Path) -> None:
    entries = {
        f"layer.{i}.weight": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i in range(MANY)
    }
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4 * MANY))


def with_ivyhub(format: str) -> Callable[[Path, Path], None]:
    from ivyhub.registry.checkpoints import convert, open_file

    def run(source: Path, target: Path) -> None:
        with open_file(source) as ckpt:
            convert(ckpt, format, target)

    return run


def with_torch(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file(torch.load(source, weights_only=True), target)


def back_with_torch(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(source), target)


def open_many(source: Path, _: Path) -> None:
    from ivyhub.registry.checkpoints import open_file

    with open_file(source) as ckpt:
        assert len(ckpt) == MANY


def measure(kind: str, source: Path, target: Path) -> None:
    """Run one contestant; print seconds of the clock and of the CPU, and peak bytes above the imports, as JSON."""
    if "torch" in kind:
        importlib.import_module("safetensors.torch")  # every contestant is timed with its imports behind it
    run = {
        "ivyhub": lambda: with_ivyhub("safetensors"),
        "torch": lambda: with_torch,
        "ivyhub back": lambda: with_ivyhub("pt"),
        "torch back": lambda: back_with_torch,
        "open": lambda: open_many,
    }[kind]()
    reset_peak()
    before, start, spent = peak(), time.perf_counter(), time.process_time()
    run(source, target)
    wall, cpu = time.perf_counter() - start, time.process_time() - spent
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak() - before}))


def compare(kinds: tuple[str, ...], source: Path, target: Path, rounds: int) -> None:
    """Let contestants take turns, and print what they took, in ratios to the last of them."""
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            target.unlink(missing_ok=True)
            os.sync()
            step = [sys.executable, __file__, "--step", kind, source, target]
            run = subprocess.run(step, check=True, capture_output=True, text=True)
            results[kind].append(json.loads(run.stdout))
    found = {part: {k: [run[part] for run in runs] for k, runs in results.items()} for part in ("wall", "cpu", "peak")}
    of = {part: ratios(each, kinds[-1]) for part, each in found.items()}
    for kind in kinds:
        wall, cpu, most = (found[part][kind] for part in ("wall", "cpu", "peak"))
        low, high = of["wall"][kind][1:]
        print(
            f"{kind:14}{median(wall):7.2f} s {of['wall'][kind][0]:6.2f} ({low:.2f}-{high:.2f}), "
            f"CPU {median(cpu):6.2f} s {of['cpu'][kind][0]:5.2f}, "
            f"peak {max(most) / 1e6:6.0f} MB {of['peak'][kind][0]:6.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=1.3)
    parser.add_argument("--step", nargs=3, metavar=("KIND", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        kind, source, target = options.step
        measure(kind, Path(source), Path(target))
        return
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.bin"), Path(folder, "target.safetensors")
        made = "import sys; sys.path.insert(0, sys.argv[1]); import checkpoints, pathlib; "
        made += "checkpoints.make(pathlib.Path(sys.argv[2]), float(sys.argv[3]))"
        # In a process of its own: a child inherits the peak memory of its parent.
        subprocess.run([sys.executable, "-c", made, Path(__file__).parent, source, str(options.gigabytes)], check=True)
        size = f"{source.stat().st_size / 1e9:.1f} GB, largest tensor {4e-6 * WIDTH * WIDTH:.0f} MB"
        print(f".bin -> safetensors, {size}, medians of {options.rounds}, with ratios")
        compare(("ivyhub", "torch"), source, target, options.rounds)
        os.replace(target, source)
        print("safetensors -> .bin")
        compare(("ivyhub back", "torch back"), source, target.with_suffix(".bin"), options.rounds)
        make_many(source)
        print(f"opening {MANY:,} tensors")
        compare(("open",), source, target, options.rounds)


if __name__ == "__main__":
    main()

"""Converting a BERT-large checkpoint (1.3 GB, random values) against copying it with `cp`.

    python benchmarks/weights.py [--rounds 5]

Every round runs, one after the other and each in a fresh process: `cp`, the writer with nothing changed but names
(torch), and the writer with every 2-D kernel transposed (jax). None of them waits for the disk. Peak memory is that
above the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measuring import ratios

KINDS = ("cp", "renamed", "transposed")
LAYERS, WIDTH, HIDDEN, VOCABULARY, POSITIONS = 24, 1024, 4096, 30522, 512


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of BERT-large, by shape."""
    table: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            table |= {f"{at}.{name}.weight": (WIDTH, WIDTH), f"{at}.{name}.bias": (WIDTH,)}
        table |= {f"{at}.intermediate.dense.weight": (HIDDEN, WIDTH), f"{at}.intermediate.dense.bias": (HIDDEN,)}
        table |= {f"{at}.output.dense.weight": (WIDTH, HIDDEN), f"{at}.output.dense.bias": (WIDTH,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            table |= {f"{at}.{name}.weight": (WIDTH,), f"{at}.{name}.bias": (WIDTH,)}
    table |= {"pooler.dense.weight": (WIDTH, WIDTH), "pooler.dense.bias": (WIDTH,)}
    return table


def make(path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng()
    save_file({name: rng.random(shape, np.float32) for name, shape in shapes().items()}, path)


def convert(source: Path, target: Path, transposed: bool) -> None:
    from ivyhub.registry.weights import Entry, Transpose, WeightMap, open_checkpoint, write_safetensors

    def steps(name: str, shape: tuple[int, ...]) -> tuple[Transpose, ...]:
        return (Transpose((1, 0)),) if transposed and len(shape) == 2 and "embeddings" not in name else ()

    with open_checkpoint(source) as ckpt:
        rules = WeightMap(tuple(Entry((f"bert.{name}",), (name,), steps(name, i.shape)) for name, i in ckpt.items()))
        write_safetensors(target, rules.apply(ckpt))


def measure(kind: str, source: Path, target: Path) -> None:
    """Do one of KINDS; print wall seconds, CPU seconds, and peak bytes above the imports as JSON."""
    import ivyhub.registry.weights  # noqa: F401 - every kind is timed from the same state

    before = usage()
    start = time.perf_counter()
    if kind == "cp":
        subprocess.run(["cp", source, target], check=True)
    else:
        convert(source, target, kind == "transposed")
    wall = time.perf_counter() - start
    after = usage()
    print(json.dumps({"wall": wall, "cpu": after[0] - before[0], "peak": after[1] - before[1]}))


def usage() -> tuple[float, int]:
    """CPU seconds of this process and its children, and the peak bytes of this process."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(r.ru_utime + r.ru_stime for r in (own, children)), own.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", nargs=3, metavar=("KIND", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        kind, source, target = options.step
        make(Path(target)) if kind == "make" else measure(kind, Path(source), Path(target))
        return
    # Big arrays stay in children: a child inherits the peak memory of its parent.
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.safetensors"), Path(folder, "target.safetensors")
        step = [sys.executable, __file__, "--step"]
        subprocess.run([*step, "make", source, source], check=True)
        results: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                target.unlink(missing_ok=True)
                os.sync()
                run = subprocess.run([*step, kind, source, target], check=True, capture_output=True, text=True)
                results[kind].append(json.loads(run.stdout))
        report(results, source.stat().st_size)


def report(results: dict[str, list[dict[str, float]]], size: int) -> None:
    print(f"{size / 1e9:.2f} GB, largest tensor {4e-6 * VOCABULARY * WIDTH:.0f} MB, median of {len(results['cp'])}")
    ratio = f"{'/ cp (min-max)':>18}"
    print(f"{'':12}{'wall s':>8}{'min':>7}{'max':>7}{ratio}{'cpu s':>8}{ratio}{'peak MB':>9}")
    walls, cpus = ({kind: [run[part] for run in runs] for kind, runs in results.items()} for part in ("wall", "cpu"))
    wall_ratios, cpu_ratios = ratios(walls, "cp"), ratios(cpus, "cp")
    for kind, wall in walls.items():
        by_wall, by_cpu = ("{:.2f} ({:.2f}-{:.2f})".format(*found[kind]) for found in (wall_ratios, cpu_ratios))
        print(
            f"{kind:12}{median(wall):8.2f}{min(wall):7.2f}{max(wall):7.2f}{by_wall:>18}{median(cpus[kind]):8.2f}"
            f"{by_cpu:>18}{max(run['peak'] for run in results[kind]) / 1e6:9.0f}"
        )


if __name__ == "__main__":
    main()

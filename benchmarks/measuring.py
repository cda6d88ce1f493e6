"""What the benchmarks share: one pinned core, contestants that take turns, ratios.

Absolute times depend on the machine and on what else runs there. So every contestant computes on the same core, each
round runs all of them one after the other, and what counts is the median over the rounds of the ratio within a round.
It imports the standard library alone: contestants run in other environments too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# glibc gives freed memory back to the system or keeps it by where it happens to lie, and a page faulted in again costs:
# up to a tenth of a step of TensorFlow, in one process and not in the next one of the same program.
_KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
}


def pin() -> None:
    """Keep this process to one core and its children to one thread too, to memory they keep, away from the network."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    os.environ.update(_KEPT_MEMORY)
    os.environ["PYTHONWARNINGS"] = "ignore"


def cpu_seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of this process, all its threads, for one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def reset_peak() -> None:
    """Let `peak` start again from what is resident now."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak() -> int:
    """The most bytes that were resident since the start, or since `reset_peak`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def children_cpu() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Contestant:
    """A process that stays, so that imports, compilation and the first run are not measured.

    Args:
        command: runs a script that calls `serve`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions: str = self._answer()

    def ask(self, task: str) -> Any:
        """Let it do a task, and return what it measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self._process.args))} ended with {self._process.wait()}")
        return json.loads(line)


def serve(
    versions: str, tasks: Mapping[str, Callable[[], Any]], counts: Mapping[str, Callable[[], Any]] | None = None
) -> None:
    """Do the tasks named on standard input until it ends; answer with the CPU seconds of each.

    Each task runs twice before, to compile it, and once before each measure: while others had their turn, the memory
    of this process was put aside. ``counts`` are asked for in the same way and answer with their results.
    """
    counts = counts or {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints is no answer
    for task in tasks.values():
        task()
        task()
    print(json.dumps(versions), file=answers, flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name in tasks:
            tasks[name]()
        print(json.dumps(cpu_seconds(tasks[name]) if name in tasks else counts[name]()), file=answers, flush=True)


def ratios(times: Mapping[str, Sequence[float]], base: str) -> dict[str, tuple[float, float, float]]:
    """The median, least and greatest ratio of each contestant to ``base`` within a round."""
    found = {}
    for name, own in times.items():
        each = [a / b for a, b in zip(own, times[base], strict=True)]
        found[name] = median(each), min(each), max(each)
    return found


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, its columns aligned."""
    lines = [heads, ["---"] * len(heads), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")

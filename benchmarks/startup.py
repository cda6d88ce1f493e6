"""What starting ivyhub costs over starting Python: ``python benchmarks/startup.py``.

Prints the median wall time of each command in a fresh process, and what it adds to ``python -c pass``; what the engine
adds to NumPy alone is the difference of two of its lines.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import ivyhub": ["-c", "import ivyhub"],
    "import ivyhub.engine": ["-c", "import ivyhub.engine"],
    "import numpy": ["-c", "import numpy"],
    "numpy and engine": ["-c", "import numpy, ivyhub.engine"],
    "... and engine.add": ["-c", "import numpy, ivyhub.engine; ivyhub.engine.add"],
    "ivyhub --help": ["-m", "ivyhub.cli", "--help"],
    "ivyhub pull --help": ["-m", "ivyhub.cli", "pull", "--help"],
}
RUNS = 21


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(RUNS + 1):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            if run:  # the first round fills the file cache
                seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["python -c pass"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<20} {median * 1000:6.1f} ms   {(median - base) * 1000:+7.1f} ms")


if __name__ == "__main__":
    main()

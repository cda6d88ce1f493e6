"""Environments with transformers 4.x, which holds the hand-written Flax and TensorFlow models that 5.x has dropped.

    python benchmarks/legacy_env.py pinned|current [--folder DIR]

``pinned``: the newest frameworks of the time that release was written for. ``current``: the frameworks that the
exports run on here. Prints the environment's Python; a second call finds it there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = {
    "pinned": [
        "transformers==4.46.3",
        "jax==0.4.35",
        "jaxlib==0.4.35",
        "flax==0.8.5",
        "tensorflow-cpu==2.17.1",
        "tf-keras==2.17.0",
        "numpy<2",
    ],
    "current": [
        "transformers==4.57.6",
        "jax==0.10.2",
        "flax==0.12.8",
        "tensorflow-cpu==2.21.0",
        "tf-keras==2.21.0",
    ],
}


def default_folder() -> Path:
    import platformdirs  # the environments import this file and lack it

    return Path(platformdirs.user_cache_dir("ivyhub")) / "benchmarks"


def python(kind: str, folder: Path) -> Path:
    """The interpreter of an environment, which is made if it is not there. Needs a package index then."""
    home = folder / kind
    interpreter, done = home / "bin" / "python", home / "done.txt"
    wanted = "\n".join(PACKAGES[kind])
    if not done.is_file() or done.read_text("utf-8") != wanted:
        venv.create(home, clear=True, with_pip=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES[kind]], check=True, stdout=sys.stderr)
        done.write_text(wanted, "utf-8")
    return interpreter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=PACKAGES)
    parser.add_argument("--folder", type=Path, default=default_folder())
    options = parser.parse_args()
    print(python(options.kind, options.folder))


if __name__ == "__main__":
    main()

"""The house itself: what an import costs, what is public, and that the documents tell the truth."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ivyhub
from ivyhub.engine.backends import FRAMEWORKS, Framework

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "jax", "flax", "optax", "tensorflow", "keras", "transformers", "onnx", "numpy", "rich", "msgspec"}


@pytest.mark.parametrize(
    "code",
    [
        "import ivyhub",
        "import ivyhub; dir(ivyhub)",
        "from ivyhub.cli import run; assert run(['--help']) == 0",
        "from ivyhub.cli import run; assert run(['pull', '--help']) == 0",
        "from ivyhub.cli import run; assert run(['pull']) == 2",
    ],
)
def test_starting_loads_nothing_heavy(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; sys.stderr.write('\\n' + ' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY.isdisjoint(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("name", ivyhub.__all__)
def test_public_name_resolves(name: str) -> None:
    value = getattr(ivyhub, name)
    assert name in dir(ivyhub)
    assert value is getattr(ivyhub, name)
    if callable(value):
        assert value.__module__.startswith("ivyhub.")


@pytest.mark.parametrize("name", sorted({*ivyhub.__all__} - {"__version__"}))
def test_public_name_has_an_example(name: str) -> None:
    text = getattr(ivyhub, name).__doc__ or ""
    assert ">>> " in text, f"ivyhub.{name} has no example in its docstring"


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse(Path(ivyhub.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname or alias.name for node in imports for alias in node.names}
    assert set(ivyhub.__all__) - {"__version__"} <= seen


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unify'"):
        ivyhub.unify  # noqa: B018 - the lookup is what is tested


def test_installed_version_is_the_one_in_the_source() -> None:
    assert importlib.metadata.version("ivyhub") == ivyhub.__version__


@pytest.mark.parametrize("row", FRAMEWORKS.values(), ids=lambda row: row.name)
def test_extra_of_a_framework_asks_for_its_minimum_version(row: Framework) -> None:
    requirements = [Requirement(text) for text in importlib.metadata.requires("ivyhub") or ()]
    own = [need for need in requirements if need.name in row.distributions]
    assert own, f"no dependency or extra installs {row.name}"
    for need in own:
        assert need.specifier.contains(row.minimum), f"{need} refuses the minimum {row.minimum}"
        assert {spec.operator for spec in need.specifier} == {">="}


def test_every_make_command_in_the_documents_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        told = set(re.findall(r"\bmake ([a-z]+)\b(?= *(?:#|`|$))", (ROOT / page).read_text(), re.MULTILINE))
        assert told, f"{page} names no make target"
        assert told <= targets, f"{page} names {told - targets}"


def test_every_ivyhub_command_in_the_documents_exists() -> None:
    from ivyhub.cli import COMMANDS

    for page in ("README.md", "docs/architecture.md"):
        told = set(re.findall(r"^ {4}ivyhub ([a-z]+)\b", (ROOT / page).read_text(), re.MULTILINE))
        assert told <= set(COMMANDS), f"{page} names {told - set(COMMANDS)}"


def test_every_python_name_in_the_readme_is_public() -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    told = set(re.findall(r"\bivyhub\.(\w+)", code))
    assert told
    assert told <= set(ivyhub.__all__)


def test_command_line_page_is_fresh() -> None:
    names = runpy.run_path(str(ROOT / "docs" / "write_cli.py"))
    assert names["PAGE"].read_text(encoding="utf-8") == names["page"](), "run `make docs`"


def test_operations_page_is_fresh() -> None:
    names = runpy.run_path(str(ROOT / "docs" / "write_ops.py"))
    assert names["PAGE"].read_text(encoding="utf-8") == names["page"](), "run `make docs`"


def test_files_stay_short_and_name_no_machine() -> None:
    for path in sorted(ROOT.joinpath("ivyhub").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 650, f"{path} is {text.count(chr(10))} lines long"
        assert str(Path.home()) + "/" not in text, path

"""The command line through its own door: output, errors and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ivyhub import errors
from ivyhub.cli import COMMANDS, run
from ivyhub.cli.output import size
from ivyhub.cli.pull import default_folder, load_lines


def tree(error: type[errors.IvyhubError]) -> Iterator[type[errors.IvyhubError]]:
    yield error
    for child in error.__subclasses__():
        yield from tree(child)


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make the registry fail with a given error: what the command line makes of it is under test."""

    def install(error: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        module = ModuleType("ivyhub.registry.api")
        vars(module).update(pull_package=fail, show=fail, verify=fail, check=fail, frameworks=fail)
        monkeypatch.setitem(sys.modules, "ivyhub.registry.api", module)
        import ivyhub.registry

        monkeypatch.setattr(ivyhub.registry, "api", module, raising=False)

    return install


@pytest.mark.parametrize("kind", sorted({*tree(errors.IvyhubError)}, key=lambda kind: kind.__name__))
def test_every_error_is_a_line_a_hint_and_its_exit_code(
    kind: type[errors.IvyhubError],
    raising: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = (
        kind([("aten.foo", "encoder", "m.py:3")], hint="do this")
        if issubclass(kind, errors.UnsupportedOpsError)
        else kind("expected a, got b", hint="do this")
    )
    raising(made)
    assert run(["frameworks"]) == kind.exit_code
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err == f"error: {made.message}\nhint: do this\n"

    assert run(["frameworks", "--json"]) == kind.exit_code
    text = capsys.readouterr()
    assert text.out == ""
    assert json.loads(text.err) == {"code": kind.code, "message": made.message, "hint": "do this"}


def test_exit_codes_are_those_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    told = capsys.readouterr().out
    meaning = {1: "1 failed", 2: "2 wrong usage", 3: "3 the export", 4: "4 not authorised", 5: "5 refused as unsafe"}
    for kind in tree(errors.IvyhubError):
        assert meaning[kind.exit_code] in told


def test_an_unexpected_error_is_one_line(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(ZeroDivisionError("a\nb"))
    assert run(["frameworks"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: ZeroDivisionError: a b"
    assert "--debug" in second


def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.UnsafeError("a pickle"))
    assert run(["--debug", "frameworks"]) == 5
    told = capsys.readouterr().err
    assert "Traceback (most recent call last)" in told
    assert told.endswith("error: a pickle\n")


def test_interruption_exits_130(raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    raising(KeyboardInterrupt())
    assert run(["frameworks"]) == 130
    # click ends the line that the terminal left at ^C first
    assert capsys.readouterr().err == "\nerror: interrupted\n"


@pytest.mark.parametrize(
    "args",
    [
        ["pul"],
        ["pull"],
        ["pull", "bert"],
        ["pull", "bert", "--framework", "jax", "--dtype", "int8"],
        ["pull", "bert", "--framework", "jax", "--to", "out/a.b"],
        ["list", "--bad"],
        ["show"],
        ["verify", "a", "b"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_usage_exits_2(args: list[str], as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*args, "--json"] if as_json else args) == 2
    text = capsys.readouterr()
    assert text.out == ""
    if as_json:
        told = json.loads(text.err)
        assert told["code"] == "usage"
        assert told["message"]
        assert told["hint"]
    else:
        assert text.err.startswith("error: ")
        assert "\nhint: " in text.err


def test_no_colour_where_none_is_asked_for(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.UnsafeError("a pickle", hint="convert it"))
    for args in (["frameworks"], ["--no-color", "frameworks"]):
        run(args)
        assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Examples:" in told
    assert f"ivyhub {name}" in told.split("Examples:")[1]


def test_python_runs_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "ivyhub", "pull"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (run(["pull"]), "")
    assert done.stderr == capsys.readouterr().err


def test_bare_call_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    bare = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == bare


@pytest.mark.parametrize(
    ("name", "target", "folder"),
    [
        ("bert", "jax", "bert-jax"),
        ("google-bert/bert-base-uncased", "torch>=2.4", "bert-base-uncased-torch"),
        ("hf://google-bert/bert-base-uncased@refs/pr/1", "jax", "bert-base-uncased-jax"),
        ("bert:v2", "flax.linen==0.10", "bert-flax-linen"),
        ("bert@sha256:0011", "numpy", "bert-numpy"),
        ("microsoft/phi-1.5", "tensorflow", "phi-1-5-tensorflow"),
        ("./deep/my-bert/", "jax", "my-bert-jax"),
        ("../../etc", "jax", "etc-jax"),
    ],
)
def test_default_folder_is_a_plain_name_in_the_current_folder(name: str, target: str, folder: str) -> None:
    assert default_folder(name, target) == folder


@pytest.mark.parametrize("name", ["my_export", "my-export"])
def test_the_lines_that_load_an_export_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's here" / name
    folder.mkdir(parents=True)
    (folder / "modeling.py").write_text("VALUE = 7\n")
    (folder / "__init__.py").write_text("from .modeling import VALUE\n\ndef load():\n    return VALUE\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    scope: dict[str, object] = {}
    exec("\n".join(load_lines(folder)), scope)
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"{name}.modeling")
    assert scope["model"] == 7


def test_sizes_are_in_units_of_1000() -> None:
    assert [size(n) for n in (0, 999, 1000, 90_868_376, 1_340_000_000, 5e15)] == [
        *("0 B", "999 B", "1.0 kB", "90.9 MB", "1.3 GB", "5000.0 TB"),
    ]

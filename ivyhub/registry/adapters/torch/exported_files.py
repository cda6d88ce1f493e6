"""``.pt2`` files: read as hostile until all that PyTorch would run or unpickle has been looked through.

`torch.export.load` unpickles example inputs and some weights, evaluates sizes as Python, and finds the functions that a
program calls by attributes of ``torch``. So it is given another archive: the program with its sizes and functions
checked against lists, without its metadata; the weights, which are plain bytes; the example inputs as
``torch.load(weights_only=True)`` reads them, pickled anew.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....errors import CorruptFileError, IvyhubError, UnsafeError

_MODEL, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PAYLOAD = re.compile(r"(weight|tensor)_\d+\Z")
_LARGEST = 1 << 30  # bytes of JSON: a program of a million operations has a tenth of that

_OPERATORS = "add sub mul truediv floordiv mod pow neg pos abs eq ne lt le gt ge getitem and_ or_ xor invert not_"
_HIGHER = "cond while_loop scan associative_scan map_impl wrap_with_set_grad_enabled wrap_with_autocast"
_ATEN = re.compile(r"torch\.ops\.aten\.(?P<name>\w+)\.(?P<overload>\w+)")
_TARGET = re.compile(
    rf"torch\.ops\.higher_order\.({'|'.join(_HIGHER.split())})"
    rf"|_operator\.({'|'.join(_OPERATORS.split())})"
    r"|math\.[a-z]\w*|torch\.sym_\w+|torch\._sym_\w+"
)
_NAME = re.compile(r"[\w.+-]*")
"""PyTorch makes source of the names of a program, and runs it: with anything else in them they would be more."""
_TOUCHES_FILES = frozenset({"from_file"})
_FUNCTIONS = """
Symbol Integer Float Rational Add Mul Pow Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv CeilToInt FloorToInt
TruncToInt TruncToFloat RoundToInt RoundDecimal ToFloat IntTrueDiv FloatTrueDiv PowByNatural FloatPow Where Identity
ModularIndexing BitwiseFn_bitwise_and BitwiseFn_bitwise_or Equality Unequality StrictLessThan LessThan StrictGreaterThan
GreaterThan And Or Not true false
"""
_SIZES = frozenset(_FUNCTIONS.split())
_TREES = frozenset(["builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None])


def load(path: Path) -> Any:
    """The ``ExportedProgram`` of a file. Nothing in it is executed or unpickled but tensors and plain Python.

    Raises:
        CorruptFileError: it is no such file, or of another version of PyTorch than can be read.
        UnsafeError: something in it would run code, touch files, or needs Python's pickle.
    """
    import torch

    try:
        parts = dict(_parts(path))
        program = json.loads(parts[_MODEL])
        _check(path, program)
        for config in _CONFIGS:
            _check_payloads(path, json.loads(parts[config]), parts)
        parts[_MODEL] = json.dumps(program).encode()
        parts[_SAMPLES] = _samples(path, parts[_SAMPLES])
        return torch.export.load(_archive(parts))
    except IvyhubError:
        raise
    except Exception as error:  # of PyTorch, for which a program can be wrong in any way
        raise CorruptFileError(
            f"{path.name} is no .pt2 file that PyTorch {torch.__version__} reads: {error}",
            hint="save the program again with torch.export.save",
        ) from error


def _parts(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds, by name without the folder that all of it is in."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.partition("/")[2]
            if info.compress_type != zipfile.ZIP_STORED:
                raise CorruptFileError(f"{path.name} is compressed, which no .pt2 file is", hint="save it again")
            if name.startswith("models/") and name != _MODEL:
                raise UnsafeError(_refused(path, "more than one program"), hint=_HINT)
            if name.endswith(".json") and info.file_size > _LARGEST:
                raise CorruptFileError(f"{path.name} has a program of {info.file_size} bytes", hint="save it again")
            if name in (_MODEL, _SAMPLES, *_CONFIGS) or _PAYLOAD.match(Path(name).name):
                yield name, archive.read(info)


def _refused(path: Path, what: str) -> str:
    return f"refused {path.name}: it has {what}"


_HINT = "if you trust it, pass torch.export.load(path) to ivyhub.transpile or ivyhub.push"


def _check(path: Path, program: Any) -> None:
    """Look through a program, and take away what nobody needs of it: what it says of its origin, and its guards."""

    def refuse(what: str) -> UnsafeError:
        return UnsafeError(_refused(path, what), hint=_HINT)

    program["guards_code"] = []
    pending: list[Any] = [program]
    while pending:
        found = pending.pop()
        if isinstance(found, str) and not _NAME.fullmatch(found):
            raise refuse(f"the name {found[:100]!r}, which PyTorch would write into a program")
        if isinstance(found, list):
            pending += found
        if not isinstance(found, dict):
            continue
        for word, value in found.items():
            match word, value:
                case "metadata", dict():
                    found[word] = {}
                case (("target" | "as_operator"), str()) if not _is_operation(value):
                    raise refuse(f"a call of {value[:100]!r}, which is no operation of PyTorch's own on arrays")
                case "expr_str", str() if not _is_size(value):
                    raise refuse(f"the size {value[:100]!r}, which is no plain arithmetic")
                case (("in_spec" | "out_spec"), str()) if not _is_tree(json.loads(value)):
                    raise refuse("inputs or outputs in classes of its own")
                case (("as_custom_obj" | "custom_obj"), dict()):
                    raise refuse("an object of a class of its own")
                case (("target" | "as_operator" | "expr_str" | "in_spec" | "out_spec"), str()):
                    pass  # looked at above
                case (("as_string" | "as_strings"), _):
                    pass  # arguments that are texts, which PyTorch writes as such
                case _:
                    pending += [word, value]


def _is_operation(target: str) -> bool:
    """Whether a call is of an operation of PyTorch's own that touches arrays and sizes only."""
    import torch

    match = _ATEN.fullmatch(target)
    if match is None:
        return _TARGET.fullmatch(target) is not None
    found = getattr(getattr(torch.ops.aten, match["name"], None), match["overload"], None)
    return isinstance(found, type(torch.ops.aten.add.Tensor)) and match["name"] not in _TOUCHES_FILES


def _is_size(text: str) -> bool:
    """Whether a size is calls of known functions on numbers and named symbols, as PyTorch writes it."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False

    def plain(node: ast.expr) -> bool:
        match node:
            case ast.Constant(bool() | int() | float()):
                return True
            case ast.Name(name):
                return name in _SIZES or re.fullmatch(r"[a-z]+\d+", name) is not None
            case ast.UnaryOp(ast.USub(), operand):
                return plain(operand)
            case ast.Call(ast.Name("Symbol"), [ast.Constant(str() as name)], keywords):
                return name.isidentifier() and all(isinstance(each.value, ast.Constant) for each in keywords)
            case ast.Call(ast.Name(name), args, []):
                texts = name == "Float" and all(isinstance(arg, ast.Constant) for arg in args)
                numbers = re.compile(r"-?[\d.]+(e[+-]?\d+)?")
                return name in _SIZES and all(
                    plain(arg) or (texts and isinstance(arg.value, str) and numbers.fullmatch(arg.value) is not None)  # type: ignore[attr-defined]
                    for arg in args
                )
            case _:
                return False

    return plain(tree)


def _is_tree(found: Any) -> bool:
    """Whether a pytree's description names plain containers only."""
    if isinstance(found, list):
        return all(isinstance(item, int) or _is_tree(item) for item in found)
    if not isinstance(found, dict) or found.keys() != {"type", "context", "children_spec"}:
        return False
    context = found["context"]
    keys = json.loads(context) if isinstance(context, str) else context
    named = keys is None or (isinstance(keys, list) and all(map(_is_key, keys)))
    return found["type"] in _TREES and named and _is_tree(found["children_spec"])


def _is_key(found: Any) -> bool:
    """Whether a key of a dictionary is a name or a number."""
    return isinstance(found, int) or (isinstance(found, str) and _NAME.fullmatch(found) is not None)


def _check_payloads(path: Path, config: Any, parts: dict[str, bytes]) -> None:
    """Weights are bytes of this archive, and not pickled."""
    for name, payload in config["config"].items():
        if not _NAME.fullmatch(name) or payload["use_pickle"] or not _PAYLOAD.match(str(payload["path_name"])):
            raise UnsafeError(_refused(path, f"{name!r} as a Python object"), hint=_HINT)


def _samples(path: Path, data: bytes) -> bytes:
    """Example inputs, read without running anything, and pickled by ourselves."""
    import pickle

    import torch

    if not data:
        return data
    try:
        samples = torch.load(io.BytesIO(data), weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeError(_refused(path, "example inputs that are no tensors"), hint=_HINT) from error
    buffer = io.BytesIO()
    torch.save(samples, buffer)
    return buffer.getvalue()


def _archive(parts: dict[str, bytes]) -> io.BytesIO:
    from torch.export.pt2_archive._package import PT2ArchiveWriter

    buffer = io.BytesIO()
    with PT2ArchiveWriter(buffer) as writer:
        for name, data in parts.items():
            writer.write_bytes(name, data)
    buffer.seek(0)
    return buffer


__all__ = ["load"]

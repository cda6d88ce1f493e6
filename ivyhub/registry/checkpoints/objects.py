"""What pickles of PyTorch may name, as plain data; and nested dictionaries as flat ones, by path."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ivyhub.registry.checkpoints.contents import Contents, Described, Part
from ivyhub.registry.checkpoints.mapped import MOST_DEPTH, MOST_TENSORS, corrupt, counted, sizes, unsafe
from ivyhub.registry.checkpoints.pickles import Record, plain, record
from ivyhub.registry.weights.dtypes import ITEMSIZE

_STORAGES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128", "QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}  # fmt: skip
STORAGES = {dtype: kind for kind, dtype in _STORAGES.items() if dtype in ITEMSIZE}
"""What the class of storages of a dtype is called, where it has one."""
_OTHER_SIZES = {
    "complex128": 16, "complex32": 4, "qint32": 4, "qint8": 1, "quint8": 1, "quint4x2": 1, "quint2x4": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "float4_e2m1fn_x2": 1,
}  # fmt: skip
"""Bytes of the numbers that PyTorch has and ivyhub has not."""

_LONGEST_VALUE = 10_000
_LONGEST_NAME = 1 << 20
_MOST_AGAIN = 10_000  # so often may containers be met that were met before: two names of one part of a model are usual


class DType(str):
    """The name of a dtype of PyTorch."""

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return ITEMSIZE.get(self) or _OTHER_SIZES[self]


class StorageType(NamedTuple):
    """A class of storages; one without a dtype counts bytes."""

    dtype: DType | None


class Storage(NamedTuple):
    """Numbers of a file.

    Args:
        key: what the file calls them.
        dtype: None where they are bytes.
        numbers: how many they are.
        offset: the first of them, where they are a part of those of that key.
    """

    key: str
    dtype: DType | None
    numbers: int
    offset: int = 0


class Tensor(NamedTuple):
    """A tensor over a storage; offset and strides in numbers."""

    storage: Storage
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Unreadable(NamedTuple):
    """A tensor that is no array: sparse, quantised, of a class of its own."""

    what: str


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    return _typed_tensor(storage, offset, shape, strides, None, None, storage.dtype or DType("uint8"))


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Tensor:
    where = "a tensor of a pickle"
    if not isinstance(storage, Storage) or not isinstance(dtype, DType) or len(shape) != len(strides):
        raise TypeError("a tensor without numbers")
    tensor = Tensor(storage, dtype, sizes((offset,), where)[0], sizes(tuple(shape), where), sizes((*strides,), where))
    size = storage.dtype.size if storage.dtype else 1
    reach = tensor.offset + 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    count = math.prod(tensor.shape)
    if count and reach * dtype.size > storage.numbers * size:
        raise corrupt(
            where, f"expected it inside of its storage of {storage.numbers} numbers, received one up to {reach}"
        )
    if count * dtype.size > storage.numbers * size:
        raise unsafe(
            where,
            f"its shape {list(tensor.shape)} is more than its storage of {storage.numbers} numbers, by strides of 0",
        )
    return tensor


def _qtensor(storage: Any, _offset: Any, shape: Any, *_: Any) -> Unreadable:
    return Unreadable(f"quantised {storage.dtype}{list(sizes(shape, 'a tensor of a pickle'))}")


def _from_type(function: Any, _type: Any, args: Any, _state: Any) -> Any:
    if function not in (_tensor, _typed_tensor, _qtensor):
        raise TypeError("a tensor that is made by another function")
    return function(*args)


def _unreadable(what: str) -> Callable[..., Unreadable]:
    return lambda *_: Unreadable(what)


def _bytes(data: Any = b"", *_: Any) -> bytes:
    if isinstance(data, int):
        raise TypeError("bytes by their number")
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


def _dictionary(items: Any = (), *_: Any) -> dict[Any, Any]:
    if isinstance(items, list | tuple) and not all(plain(key) for key, _ in items):
        raise TypeError("keys of containers in containers")
    return dict(items) if isinstance(items, list | tuple | dict) else {}


def _set(items: Any = ()) -> frozenset[Any]:
    if not all(map(plain, items)):
        raise TypeError("items of containers in containers")
    return frozenset(items)


def _words(*parts: Any) -> str:
    return ":".join(map(word, parts))


def word(value: Any) -> str:
    """A key that is a text or a number, as text. Raises `CorruptFileError` for anything else, which may have no end."""
    if not isinstance(value, str | int):
        raise corrupt("a pickle", f"expected a text or a number, received {reprlib.repr(value)}")
    return str(value)


KNOWN: Mapping[tuple[str, str], Any] = {
    **{("collections", name): _dictionary for name in ("OrderedDict", "Counter", "defaultdict")},
    **{
        (module, name): function
        for module in ("builtins", "__builtin__")
        for name, function in {
            "set": _set,
            "frozenset": _set,
            "list": list,
            "dict": _dictionary,
            "tuple": tuple,
            "complex": complex,
            "bytes": _bytes,
            "bytearray": _bytes,
            "int": record("int"),
            "float": record("float"),
        }.items()
    },
    ("_codecs", "encode"): _bytes,
    ("argparse", "Namespace"): record("Namespace"),
    ("types", "SimpleNamespace"): record("Namespace"),
    **{("pathlib", name): lambda *parts: "/".join(parts) for name in ("PosixPath", "PurePosixPath", "WindowsPath")},
    **{
        (module, name): StorageType(DType(dtype))
        for kind, dtype in _STORAGES.items()
        for module, name in (("torch", f"{kind}Storage"), ("torch.cuda", f"{kind}Storage"))
    },
    ("torch.storage", "UntypedStorage"): StorageType(None),
    ("torch", "UntypedStorage"): StorageType(None),
    **{("torch", name): DType(name) for name in (*ITEMSIZE, *_OTHER_SIZES)},
    **{("torch", old): DType(new) for old, new in {"half": "float16", "float": "float32", "long": "int64"}.items()},
    **{("torch", f"{kind}Tensor"): record("Tensor") for kind in _STORAGES},
    ("torch", "Size"): lambda items=(): tuple(items),
    ("torch", "device"): _words,
    ("torch", "Tensor"): record("Tensor"),
    ("torch.nn.parameter", "Parameter"): record("Parameter"),
    ("torch.nn.parameter", "Buffer"): record("Buffer"),
    ("torch.serialization", "_get_layout"): _words,
    **{
        ("torch", name): name
        for name in ("strided", "sparse_coo", "sparse_csr", "per_tensor_affine", "per_channel_affine")
    },
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): lambda data, *_: data,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): lambda data, *_: data,
    ("torch._utils", "_rebuild_xla_tensor"): lambda data, *_: data,
    ("torch._utils", "_rebuild_qtensor"): _qtensor,
    ("torch._utils", "_rebuild_sparse_tensor"): _unreadable("sparse"),
    ("torch._utils", "_rebuild_sparse_csr_tensor"): _unreadable("sparse"),
    ("torch._utils", "_rebuild_nested_tensor"): _unreadable("nested"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _unreadable("without numbers"),
    ("torch._utils", "_rebuild_wrapper_subclass"): _unreadable("of a class of its own"),
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in {"_reconstruct": record("ndarray"), "scalar": record("scalar")}.items()
    },
    ("numpy", "ndarray"): record("ndarray"),
    ("numpy", "dtype"): record("dtype"),
}
"""By module and name, what stands for it in pickles of tensors."""


def numpy_array(found: Record) -> np.ndarray | None:
    """An array of NumPy that was pickled, or None where it is none of numbers."""
    match found.kind, found.args, found.state:
        case "ndarray", _, [(int(), tuple() as shape, Record() as dtype, bool(fortran), bytes(data))]:
            kind = _numpy_dtype(dtype)
        case "scalar", (Record() as dtype, bytes(data)), _:
            shape, fortran, kind = (), False, _numpy_dtype(dtype)
        case _:
            return None
    if kind is None or len(data) != math.prod(sizes(shape, "an array of a pickle")) * kind.itemsize:
        return None
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


_NUMPY_CODES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")


def _numpy_dtype(found: Record) -> np.dtype | None:
    code = found.args[0] if found.args else ""
    order = next((state[1] for state in found.state if isinstance(state, tuple) and len(state) > 1), "|")
    if not isinstance(order, str) or code not in _NUMPY_CODES:
        return None
    return np.dtype((order if order in "<>" else "|" if code[1:] == "1" else "<") + code)


def leaves(tree: Any, where: object) -> Iterator[tuple[str, Any]]:
    """What lies in nested dictionaries and lists that is neither, each under its path with dots.

    Raises:
        CorruptFileError: they are nested or repeated without end.
    """
    pending: list[tuple[str, Any, Any, int]] = [("", "", tree, 0)]
    count = again = 0
    entered: set[int] = set()
    while pending:
        before, key, found, depth = pending.pop()
        path = f"{before}.{key}" if before else str(key)
        count += 1
        if count > MOST_TENSORS or depth > MOST_DEPTH or again > _MOST_AGAIN or len(path) > _LONGEST_NAME:
            raise corrupt(where, "expected tensors in dictionaries, received ones that are nested without end")
        if isinstance(found, Record) and found.kind == "Namespace":
            found = found.fields()
        inside: list[tuple[Any, Any]] = []
        if isinstance(found, dict):
            inside = [*found.items()]
        elif isinstance(found, list | tuple) and not isinstance(found, Storage | Tensor | Unreadable | StorageType):
            if all(item is None or isinstance(item, int | float | str) for item in found):
                yield path or "value", found
            else:
                inside = [*enumerate(found)]
        else:
            yield path or ("tensor" if isinstance(found, Tensor) else "value"), found
        if inside:
            again += id(found) in entered
            entered.add(id(found))
        pending += [(path, key, item, depth + 1) for key, item in reversed(inside)]


def as_text(value: Any) -> str:
    """What is no tensor, as JSON or as what it is called."""
    match value:
        case DType():
            return f'"torch.{value}"'
        case bytes():
            return f'"{len(value)} bytes"'
        case Record():
            return f'"{value.kind}"'
        case Storage():
            return f'"{value.numbers} numbers without a shape"'
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return f'"{type(value).__name__}"'
    return text if len(text) <= _LONGEST_VALUE else f'"a value of {len(text)} characters"'


def described(format: str, files: Sequence[str], tree: Any, where: object, place: Callable[[Tensor], Part]) -> Contents:
    """What a pickle holds: the tensors of its tree, its other values, and its tensors that are no arrays.

    Args:
        format: the name of the format.
        files: see `Contents`.
        tree: what the pickle gave.
        where: its file, for messages.
        place: where the numbers of a tensor lie.
    """
    tensors: list[Described] = []
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for name, leaf in counted(leaves(tree, where), where):
        if isinstance(leaf, Tensor) and leaf.dtype in ITEMSIZE:
            tensors.append(Described(name, str(leaf.dtype), leaf.shape, (place(leaf),)))
        elif isinstance(leaf, Tensor):
            unreadable[name] = f"{leaf.dtype}{list(leaf.shape)}"
        elif isinstance(leaf, Unreadable):
            unreadable[name] = leaf.what
        elif isinstance(leaf, Record) and (array := numpy_array(leaf)) is not None:
            if array.dtype.name not in ITEMSIZE:
                unreadable[name] = f"{array.dtype.name}{list(array.shape)}"
                continue
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
            tensors.append(Described(name, array.dtype.name, array.shape, data=array.tobytes()))
        else:
            values[name] = as_text(leaf)
    return Contents(format, tuple(files), tuple(tensors), values, unreadable)

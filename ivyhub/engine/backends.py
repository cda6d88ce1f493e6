"""What the engine knows of each framework: whose array this is, its names for dtypes, its versions.

A framework is one row of `FRAMEWORKS`. Nothing here imports one: an array's framework is read off its type, a version
off the installed metadata, and `load` is the only door through which a framework module enters the process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

from packaging.version import InvalidVersion, Version

from ..errors import DTypeError, FrameworkNotInstalledError, TargetVersionError, UnknownFrameworkError

DTYPES: tuple[str, ...] = (
    "bool",
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float8_e4m3fn", "float8_e5m2", "bfloat16", "float16", "float32", "float64"),
    *("complex64", "complex128"),
)


@dataclass(frozen=True)
class Library:
    """What the modules of a flavour are written with, beside the framework itself.

    Attributes:
        distribution: the name under which its version is found in the installed metadata.
        minimum: the oldest version that exports run on.
        needs: from which versions on it needs a newer framework than that one's minimum, and which; oldest first.
    """

    distribution: str
    minimum: str
    needs: tuple[tuple[str, str], ...] = ()

    @property
    def installed(self) -> Version | None:
        """The installed version, read from metadata without importing anything, or None."""
        return _installed((self.distribution,))

    def framework(self, version: Version) -> str | None:
        """The oldest version of the framework that a version of the library runs on, None for the minimum.

        Example:
            >>> FRAMEWORKS["jax"].flavours["flax.nnx"].framework(Version("0.11.2"))
            '0.6.0'
        """
        return next((needed for own, needed in reversed(self.needs) if version >= Version(own)), None)


@dataclass(frozen=True)
class Framework:
    """One framework: how it is installed, imported and spelled.

    Attributes:
        name: ivyhub's word for it.
        distribution: the name under which its version is found in the installed metadata.
        extra: the extra of ivyhub that installs it; "" where the core does.
        minimum: the oldest version that rows are written for.
        packages: top-level packages whose types are its arrays.
        namespaces: the short names that row expressions use, each with the module it stands for.
        dtype: the expression of a dtype, with ``{}`` for its name.
        dtypes: the expressions of dtypes that are not written so.
        zero: how a number among eager operands is written where the framework mistakes the sign of a zero.
        wider: for dtypes that some kernels lack, one that holds their numbers (of uint64 the bits) and has them.
        operators: eager calls that stand for Python's operators between arrays, which find them by detours; by the
            name of the operator in `ast`.
        flavours: other words for it on the command line (``flax.linen``), each a way of writing modules, with the
            library that its modules are written with.
    """

    name: str
    distribution: str
    extra: str
    minimum: str
    packages: tuple[str, ...]
    namespaces: Mapping[str, str]
    dtype: str
    dtypes: Mapping[str, str] = field(default_factory=dict[str, str])
    flavours: Mapping[str, Library] = field(default_factory=dict[str, Library])
    zero: str = ""
    wider: Mapping[str, str] = field(default_factory=dict[str, str])
    operators: Mapping[str, str] = field(default_factory=dict[str, str])
    distributions: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "distributions", (self.distribution, *self.distributions))

    @property
    def installed(self) -> Version | None:
        """The installed version, read from metadata without importing anything, or None."""
        return _installed(self.distributions)

    def dtype_source(self, dtype: str, *, eager: bool = False) -> str:
        """How a row expression spells a dtype: ``torch.float32``.

        JAX has no 64-bit types unless its x64 mode is on: there Python's type is written where it stands for the one
        of the mode, the 32-bit type for integers, and an ``eager`` expression asks for the mode when it runs.
        """
        if self.name == "jax" and dtype in _JAX_X32:
            if eager:
                return f"jax.dtypes.canonicalize_dtype({dtype!r})"
            if dtype in _JAX_MODAL:
                return _JAX_MODAL[dtype]
            dtype = _JAX_X32[dtype]
        if dtype in self.dtypes:
            return self.dtypes[dtype]
        if dtype == "bool" and self.name in ("numpy", "jax"):
            return self.dtype.format("bool_")
        return self.dtype.format(dtype)


_FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
_JAX_MODAL = {"float64": "float", "complex128": "complex"}
_JAX_X32 = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


def narrowed(name: str) -> Mapping[str, str]:
    """The dtypes that a framework does not have unless it is told to, each with the one it takes instead.

    Example:
        >>> narrowed("jax")["int64"], narrowed("torch")
        ('int32', {})
    """
    return _JAX_X32 if name == "jax" else {}


@functools.cache
def _installed(distributions: tuple[str, ...]) -> Version | None:
    for distribution in distributions:
        try:
            return Version(importlib.metadata.version(distribution))
        except (importlib.metadata.PackageNotFoundError, InvalidVersion):
            continue
    return None


# Flax names its oldest JAX in its metadata; what runs on the minima is what `make versions` runs.
_FLAX = Library("flax", "0.8.5", (("0.10.6", "0.5.1"), ("0.11", "0.6.0"), ("0.12", "0.7.1")))

FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {
        framework.name: framework
        for framework in (
            Framework(
                *("numpy", "numpy", "", "1.26", ("numpy", "ml_dtypes")),
                {"np": "numpy", "ml_dtypes": "ml_dtypes"},
                "np.{}",
                dtypes={name: f"ml_dtypes.{name}" for name in ("bfloat16", *_FLOAT8)},
            ),
            Framework(
                *("torch", "torch", "torch", "2.4", ("torch",)),
                {"torch": "torch", "F": "torch.nn.functional", "nn": "torch.nn"},
                "torch.{}",
                wider={"uint16": "int32", "uint32": "int64", "uint64": "int64"},
            ),
            Framework(
                *("jax", "jax", "jax", "0.4.31", ("jax", "jaxlib")),
                {"jax": "jax", "jnp": "jax.numpy", "lax": "jax.lax", "nnx": "flax.nnx", "linen": "flax.linen"},
                "jnp.{}",
                flavours={"flax.nnx": _FLAX, "flax.linen": _FLAX},
                operators={
                    operator: f"jnp.{name}({{left}}, {{right}})"
                    for operator, name in (
                        *(("Add", "add"), ("Sub", "subtract"), ("Mult", "multiply"), ("Div", "true_divide")),
                        *(("Pow", "power"), ("FloorDiv", "floor_divide"), ("Mod", "remainder")),
                        *(("Eq", "equal"), ("NotEq", "not_equal"), ("Lt", "less"), ("LtE", "less_equal")),
                        *(("Gt", "greater"), ("GtE", "greater_equal")),
                    )
                },
            ),
            Framework(
                *("tensorflow", "tensorflow", "tensorflow", "2.16", ("tensorflow", "keras")),
                {"tf": "tensorflow", "keras": "keras", "ops": "keras.ops"},
                "tf.{}",
                dtypes={name: f"tf.dtypes.experimental.{name}" for name in _FLOAT8},
                flavours={"keras": Library("keras", "3.3")},
                zero="{number} or support.zero({number}, {beside})",
                wider={"int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32"}
                | {"uint32": "int64", "uint64": "int64"},
                operators={
                    operator: f"tf.raw_ops.{name}(x={{left}}, y={{right}})"
                    for operator, name in (
                        *(("Add", "AddV2"), ("Sub", "Sub"), ("Mult", "Mul"), ("Div", "RealDiv"), ("Pow", "Pow")),
                        *(("Lt", "Less"), ("LtE", "LessEqual"), ("Gt", "Greater"), ("GtE", "GreaterEqual")),
                    )
                },
                distributions=("tensorflow-cpu", "tensorflow-macos", "tf-nightly"),
            ),
        )
    }
)


def framework(name: str) -> Framework:
    """The framework of that name. Raises `UnknownFrameworkError`.

    Example:
        >>> framework("jax").minimum
        '0.4.31'
    """
    if name not in FRAMEWORKS:
        words = [word for row in FRAMEWORKS.values() for word in (row.name, *row.flavours)]
        raise UnknownFrameworkError(f"unknown framework {name!r}", hint=f"choose one of {', '.join(words)}")
    return FRAMEWORKS[name]


def load(name: str) -> ModuleType:
    """Import a framework. Raises `FrameworkNotInstalledError`, naming the extra, when it is missing.

    Raises `TargetVersionError` when what is installed is older than ivyhub's minimum.
    """
    row = framework(name)
    try:
        module = importlib.import_module(row.packages[0])
    except ModuleNotFoundError as error:
        raise FrameworkNotInstalledError(
            f"{name} is not installed (importing {error.name!r} failed)",
            hint=f"pip install 'ivyhub[{row.extra}]'",
        ) from None
    if _is_old(name):
        raise TargetVersionError(
            f"expected {name} {row.minimum} or newer, found {row.installed}",
            hint=f"pip install --upgrade 'ivyhub[{row.extra}]'",
        )
    return module


@functools.cache
def _is_old(name: str) -> bool:
    row = framework(name)
    return row.installed is not None and row.installed < Version(row.minimum)


@functools.cache
def namespace(name: str) -> Mapping[str, Any]:
    """The modules that row expressions of a framework refer to, imported: ``{"jnp": jax.numpy, ...}``.

    ``support`` is the framework's module of `ivyhub.engine.support`.
    """
    load(name)
    modules: dict[str, Any] = {}
    for short, full in framework(name).namespaces.items():
        try:
            modules[short] = importlib.import_module(full)
        except ModuleNotFoundError:  # flax beside jax: only layers need it, and they say so when it is missing
            continue
    modules["support"] = importlib.import_module(f"..support.{name}", __name__)
    return modules


_FRAMEWORK_OF: dict[type, str | None] = {}


def framework_of(array: object) -> str | None:
    """The framework whose array this is, or None for anything else.

    Example:
        >>> import numpy as np
        >>> framework_of(np.zeros(3))
        'numpy'
    """
    kind = type(array)
    try:
        return _FRAMEWORK_OF[kind]
    except KeyError:
        found = None
        for base in kind.__mro__[:-1]:
            root = base.__module__.partition(".")[0]
            found = next((row.name for row in FRAMEWORKS.values() if root in row.packages), None)
            if found:
                break
        if not (hasattr(array, "shape") and hasattr(array, "dtype")):  # np.dtype has a shape
            found = None
        _FRAMEWORK_OF[kind] = found
        return found


def dtype_name(dtype: object) -> str:
    """ivyhub's name of any framework's dtype: ``torch.float32``, ``np.dtype('float32')`` and ``tf.float32`` alike.

    Example:
        >>> import numpy as np
        >>> dtype_name(np.float32), dtype_name(np.dtype("bool"))
        ('float32', 'bool')
    """
    try:
        return _DTYPE_NAMES[dtype]
    except (KeyError, TypeError):
        pass
    text = (
        dtype
        if isinstance(dtype, str)
        else getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    )
    text = str(text).rpartition(".")[2].rstrip("_")
    if text not in DTYPES:
        raise DTypeError(f"expected a dtype, received {dtype!r}", hint=f"one of {', '.join(DTYPES)}")
    with contextlib.suppress(TypeError):  # not hashable
        _DTYPE_NAMES[dtype] = text
    return text


_DTYPE_NAMES: dict[Any, str] = {}


def is_floating(dtype: str) -> bool:
    """Whether a dtype is a real floating-point type."""
    return "float" in dtype


def is_integer(dtype: str) -> bool:
    """Whether a dtype is a signed or unsigned integer type."""
    return "int" in dtype

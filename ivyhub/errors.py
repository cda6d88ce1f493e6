"""Every exception that ivyhub raises, as one tree.

::

    IvyhubError                       exit 1   anything below
    ├── UsageError                    exit 2   the call itself is wrong
    │   ├── UnknownNameError                   no model, version or alias of that name
    │   ├── UnknownFrameworkError              not a framework that ivyhub knows
    │   ├── TargetVersionError                 a version that no lowering or installation can serve
    │   ├── OutputExistsError                  the output folder is not empty
    │   └── UnknownDeviceError                 no such device in that framework
    ├── FrameworkNotInstalledError    exit 1   names the extra that installs it
    ├── NetworkError                  exit 1   no network, or the remote failed
    │   └── OfflineError                       a network was needed while offline was asked for
    ├── StorageError                  exit 1   disk full, read-only, a lock that is held
    ├── CheckpointError               exit 1   a checkpoint that does not fit its model
    │   ├── CorruptFileError                   truncated, malformed, or wrong bytes
    │   └── TensorMismatchError                missing, unexpected or mis-shaped tensors
    ├── EngineError                   exit 1   a wrong call of an operation or module
    │   ├── ShapeError                         shapes that do not fit (also a ValueError)
    │   │   └── AxisError                      an axis that an array does not have (also an IndexError)
    │   ├── DTypeError                         dtypes that do not fit (also a TypeError)
    │   ├── MixedFrameworksError               arrays of two frameworks in one call (also a TypeError)
    │   ├── GraphError                         a graph that breaks the specification of the IR
    │   └── NoLoweringError                    an operation that a framework cannot express
    ├── CaptureError                  exit 1   a model that could not be captured
    │   └── UnsupportedOpsError                every missing operation at once, with its place
    ├── VerificationError             exit 3   an export that does not agree with its original
    ├── AuthorisationError            exit 4   the remote refused the token
    └── UnsafeError                   exit 5   refused: reading it could execute or escape something

A message says what was expected and what was received; ``hint`` says what to do next. The command
line prints ``error: MESSAGE`` and ``hint: HINT`` and exits with ``exit_code``; with ``--json`` it
prints ``{"code": ..., "message": ..., "hint": ...}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class IvyhubError(Exception):
    """Base of every exception raised on purpose by ivyhub.

    Args:
        message: one line that says what was expected and what was received.
        hint: what the reader can do next, or "".

    Example:
        >>> error = UnknownFrameworkError("unknown framework 'caffe'", hint="choose torch, jax, tensorflow or numpy")
        >>> error.exit_code, error.code
        (2, 'unknown-framework')
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def as_json(self) -> dict[str, str]:
        """The error as ``{"code", "message", "hint"}``, as the command line prints it with ``--json``."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class UsageError(IvyhubError):
    """The call itself is wrong: an argument, an option or a name."""

    exit_code = 2
    code = "usage"


class UnknownNameError(UsageError):
    """No model, version, alias or file has that name."""

    code = "unknown-name"


class UnknownFrameworkError(UsageError):
    """The word is not a framework that ivyhub knows."""

    code = "unknown-framework"


class TargetVersionError(UsageError):
    """The framework version that was asked for is outside what ivyhub can write or what is installed."""

    code = "target-version"


class OutputExistsError(UsageError):
    """The output folder holds something already."""

    code = "output-exists"


class UnknownDeviceError(UsageError):
    """The framework has no such device."""

    code = "unknown-device"


class FrameworkNotInstalledError(IvyhubError):
    """The framework is not installed; the hint names the extra that installs it."""

    code = "framework-not-installed"


class NetworkError(IvyhubError):
    """No network, or the remote answered with a failure."""

    code = "network"


class OfflineError(NetworkError):
    """The network was needed while offline was asked for."""

    code = "offline"


class StorageError(IvyhubError):
    """The file system refused: full, read-only, or a lock that another process holds."""

    code = "storage"


class CheckpointError(IvyhubError):
    """A checkpoint does not fit the model that it was given for."""

    code = "checkpoint"


class CorruptFileError(CheckpointError):
    """A file is truncated, malformed, or not the bytes that were promised."""

    code = "corrupt-file"


class TensorMismatchError(CheckpointError):
    """Tensors are missing, unexpected, or of another shape than the model's."""

    code = "tensor-mismatch"


class EngineError(IvyhubError):
    """A wrong call of an operation, a module or a graph."""

    code = "engine"


class ShapeError(EngineError, ValueError):
    """Shapes do not fit."""

    code = "shape"


class AxisError(ShapeError, IndexError):
    """An array does not have that axis."""

    code = "axis"


class DTypeError(EngineError, TypeError):
    """Dtypes do not fit."""

    code = "dtype"


class MixedFrameworksError(EngineError, TypeError):
    """Arrays of two frameworks met in one call."""

    code = "mixed-frameworks"


class GraphError(EngineError):
    """A graph breaks the specification of the IR."""

    code = "graph"


class NoLoweringError(EngineError):
    """A framework, or the version of it that was asked for, cannot express an operation.

    Args:
        message, hint: see `IvyhubError`.
        missing: one entry a place: (operation, module path, source line).
    """

    code = "no-lowering"

    def __init__(self, message: str, *, hint: str = "", missing: Sequence[tuple[str, str, str]] = ()) -> None:
        super().__init__(message, hint=hint)
        self.missing = tuple(missing)


class CaptureError(IvyhubError):
    """A model or function could not be captured as a graph."""

    code = "capture"


class UnsupportedOpsError(CaptureError):
    """Operations that no rule reads.

    Args:
        missing: one entry a place: (operation, module path, source line).
    """

    code = "unsupported-ops"

    def __init__(self, missing: Sequence[tuple[str, str, str]], *, hint: str = "") -> None:
        self.missing = tuple(missing)
        names = sorted({op for op, _, _ in missing})
        places = "\n".join(f"  {op}  in {path or '(root)'}  at {line or 'unknown line'}" for op, path, line in missing)
        super().__init__(f"no rule reads {len(names)} operation(s): {', '.join(names)}\n{places}", hint=hint)


class VerificationError(IvyhubError):
    """An export does not agree with its original within the tolerance."""

    exit_code = 3
    code = "verification"


class AuthorisationError(IvyhubError):
    """The remote refused the token, or asked for one."""

    exit_code = 4
    code = "authorisation"


class UnsafeError(IvyhubError):
    """Refused: reading it could execute code or leave its folder."""

    exit_code = 5
    code = "unsafe"

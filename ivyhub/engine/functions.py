"""The functions of `ivyhub.engine`: operations, and over them the standard's, with its signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ..errors import EngineError
from .backends import FRAMEWORKS, framework_of
from .op import OPS, Op
from .recording import RECORDER, TRACED
from .refusals import tell
from .standard import creation, dtypes, elementwise, fft, linalg, manipulation, statistical


def _created(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes its framework first, with the framework as the last keyword or read off its arguments."""

    def created(*args: Any, framework: str | None = None, **options: Any) -> Any:
        owner = framework or next((found for each in (*args, *options.values()) if (found := _owner(each))), None)
        if owner is None and RECORDER.get() is not None:
            owner = TRACED
        if owner is None:
            raise EngineError(
                f"{function.__name__} received no array or dtype of a framework, so its framework is unknown",
                hint=f"name it: {function.__name__}(..., framework='torch')",
            )
        return function(owner, *args, **options)

    created.__name__ = created.__qualname__ = function.__name__
    created.__doc__ = function.__doc__
    return created


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose errors name it; operations do that themselves."""
    if isinstance(function, Op):
        return function

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except Exception as error:
            tell(function.__name__, error, args, options)

    return called


def _owner(value: Any) -> str | None:
    """The framework of an array or dtype object; NumPy's dtypes, which JAX shares, say nothing."""
    found = framework_of(value)
    root = type(value).__module__.partition(".")[0]
    return found or next((name for name in ("torch", "tensorflow") if root in FRAMEWORKS[name].packages), None)


def _named(functions: Any) -> dict[str, Any]:
    return {function.__name__: _telling(function) for function in functions}


_STANDARD = (
    *(*creation.PLAIN, *dtypes.PLAIN, *elementwise.PLAIN, *manipulation.PLAIN),
    *(*linalg.MAIN, *statistical.PLAIN),
)

FUNCTIONS: dict[str, Any] = {
    **OPS,
    **_named(_STANDARD),
    **_named(map(_created, (*creation.OWNED, *dtypes.OWNED))),
    "linalg": SimpleNamespace(**_named(linalg.EXTENSION)),
    "fft": SimpleNamespace(**_named((*fft.PLAIN, *map(_created, fft.OWNED)))),
}
"""Public functions by name. A function of the standard stands before the operation of its name."""

"""Python state of modules: what a call changes is named and put back, as a graph has one value for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLAIN = (bool, int, float, str, type(None))


class Attributes:
    """The attributes of a module and of all below it, as they were when this was made.

    Tensors that a call assigns to buffers are the tracer's to follow, and no part of this.

    Example:
        >>> import torch
        >>> class Counts(torch.nn.Module):
        ...     def forward(self, x):
        ...         self.calls = x
        >>> module = Counts()
        >>> before = Attributes(module)
        >>> module(1)
        >>> before.changed()
        {'calls': 1}
        >>> before.restore()
        >>> hasattr(module, "calls")
        False
    """

    def __init__(self, module: Any) -> None:
        self._parts = [
            (path, part, set(vars(part)), {word: held for word, held in vars(part).items() if isinstance(held, _PLAIN)})
            for path, part in module.named_modules()
        ]

    def changed(self) -> dict[str, Any]:
        """Those that are new or have another value, but for ``training``, by their full names."""
        return {
            f"{path}.{word}".lstrip("."): value
            for path, part, words, held in self._parts
            for word, value in vars(part).items()
            if word != "training" and (word not in words or (word in held and not _same(held[word], value)))
        }

    @staticmethod
    def give(module: Any, values: Mapping[str, Any]) -> None:
        """Set those of `changed` that are plain, as the call left them."""
        for name, value in values.items():
            if isinstance(value, _PLAIN):
                path, _, word = name.rpartition(".")
                vars(module.get_submodule(path))[word] = value

    def restore(self) -> None:
        """Put all of them back; those that are new are gone."""
        for _, part, words, held in self._parts:
            for word in set(vars(part)) - words:
                del vars(part)[word]
            vars(part).update(held)


def _same(before: object, after: object) -> bool:
    return type(before) is type(after) and (before == after or before != before)


__all__ = ["Attributes"]

"""How modules are written in NumPy: as functions of a dictionary of arrays."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ....engine.template import copy_tree
from ..writing.layers import Leaves
from ..writing.names import KEYWORDS, snake_case
from ..writing.style import IMPORTS, Callee, Style, array_literal, name
from .layers import NUMPY


@dataclass
class NumpyStyle(Style):
    """A function a class, in evaluation: ``bert_layer(params["layer"][0], hidden_states)``."""

    framework: ClassVar[str] = "numpy"
    leaves: ClassVar[Leaves] = NUMPY
    supports: ClassVar[tuple[str, ...]] = ("numpy", "numpy_special")
    array: ClassVar[str] = "np.ndarray"
    instance: ClassVar[str] = "params"
    items: ClassVar[str] = ""
    functional: ClassVar[bool] = True
    imports: ClassVar[Mapping[str, str]] = {
        **IMPORTS,
        "ml_dtypes": "import ml_dtypes",
    }

    def class_name(self, word: str) -> str:
        word = snake_case(word)
        return f"{word}_module" if word in self.globals or word in KEYWORDS else word

    def list_index(self, indices: Sequence[int], index: int) -> int:
        return index  # `nest` leaves empty places for what has no arrays

    def member(self, owner: ast.expr, word: str) -> ast.expr:
        return ast.Subscript(owner, ast.Constant(word), ast.Load())

    def setting(self, word: str, *, building: bool) -> ast.expr:
        return name(word)

    def call(self, target: ast.expr, callee: Callee, args: list[ast.expr], keywords: list[ast.keyword]) -> ast.expr:
        function = function_name(callee.function, callee.method or self.method, self)
        settings = [ast.keyword(word, copy_tree(value)) for word, value in callee.arguments.items()]
        return ast.Call(name(function), [target, *args] if callee.holds else args, [*settings, *keywords])

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        return self.member(owner, word)

    def constant(self, array: Any) -> ast.expr:
        return array_literal(array, "np.array", f"np.{'bool_' if array.dtype == bool else array.dtype.name}")


def function_name(cls: str, method: str, style: Style) -> str:
    """What a method of a class is called: ``bert_layer``, and ``bert_layer_call_2`` for its second form."""
    return cls if method == style.method else f"{cls}_{method}"

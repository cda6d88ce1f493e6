"""How PyTorch modules are written."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ....engine.spec import Spec
from ....engine.template import literal
from ..writing.layers import Leaves
from ..writing.names import identifier
from ..writing.style import IMPORTS, Style, array_literal, attribute, expression, repeated, statement
from .layers import TORCH

# dir(torch.nn.Module()) of torch 2.13, kept as a table so that writing needs no torch
_RESERVED = """
T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
state_dict to to_empty train training type xpu zero_grad
"""


@dataclass
class TorchStyle(Style):
    """``torch.nn.Module`` classes."""

    framework: ClassVar[str] = "torch"
    leaves: ClassVar[Leaves] = TORCH
    method: ClassVar[str] = "forward"
    supports: ClassVar[tuple[str, ...]] = ("torch",)
    base: ClassVar[str] = "nn.Module"
    array: ClassVar[str] = "torch.Tensor"
    ties: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    items: ClassVar[str] = ""
    updates: ClassVar[bool] = True
    reserved: ClassVar[frozenset[str]] = frozenset(_RESERVED.split())
    imports: ClassVar[Mapping[str, str]] = {
        **IMPORTS,
        "torch": "import torch",
        "nn": "from torch import nn",
        "F": "from torch.nn import functional as F",
    }

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        floating = "float" in spec.dtype
        dtype = "" if spec.dtype == "float32" else f", dtype=torch.{spec.dtype}"
        zeros = expression(f"torch.zeros(0{dtype})")
        zeros.args = [literal(spec.shape, "size") or ast.Constant(None)]
        if trainable:
            value = expression("nn.Parameter()")
            value.args.append(zeros)
            if not _is_attribute(word):
                return [_register("self.register_parameter(0, 0)", word, value)]
            stmt = super().assign(word, value)
        else:
            keep = "" if persistent else ", persistent=False"
            stmt = _register(f"self.register_buffer(0, 0{keep})", word, zeros)
        assert floating or not trainable
        return [stmt]

    def freeze(self, target: ast.expr) -> list[ast.stmt]:
        return [ast.Expr(ast.Call(attribute(target, "requires_grad_"), [ast.Constant(False)], []))]

    def update(self, owner: ast.expr, word: str, value: ast.expr) -> ast.stmt:
        if _is_attribute(word):
            return ast.Assign([ast.Attribute(owner, word, ast.Store())], value)
        return ast.Expr(ast.Call(ast.Name("setattr", ast.Load()), [owner, ast.Constant(word), value], []))

    def dropout(self, layer: ast.expr) -> ast.expr:
        tree = expression("layer.p if self.training else 0.0")
        tree.body.value = layer
        return tree

    def word(self, source: str) -> str:
        return identifier(source, self.reserved) if _is_attribute(source) else source

    def member(self, owner: ast.expr, word: str) -> ast.expr:
        if _is_attribute(word):
            return attribute(owner, word)
        return ast.Call(ast.Name("getattr", ast.Load()), [owner, ast.Constant(word)], [])

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        return self.member(owner, word)

    def assign(self, word: str, child: ast.expr) -> ast.stmt:
        return super().assign(word, child) if _is_attribute(word) else _register("self.add_module(0, 0)", word, child)

    def own_list(self, items: Mapping[Any, ast.expr]) -> ast.stmt:
        made = self.module_list(items)
        assert isinstance(made, ast.Call)
        return ast.Expr(ast.Call(expression("super().__init__"), made.args, []))

    def device(self, array: ast.expr) -> ast.expr | None:
        return attribute(array, "device")

    def module_list(self, items: Mapping[Any, ast.expr]) -> ast.expr:
        if list(items) == list(range(len(items))):
            return ast.Call(expression("nn.ModuleList"), [repeated(list(items.values()))], [])
        keys: list[ast.expr | None] = [ast.Constant(str(index)) for index in items]
        return ast.Call(expression("nn.ModuleDict"), [ast.Dict(keys, list(items.values()))], [])

    def list_index(self, indices: Sequence[int], index: int) -> Any:
        return index if list(indices) == list(range(len(indices))) else str(index)

    def constant(self, array: Any) -> ast.expr:
        return array_literal(array, "torch.tensor", f"torch.{array.dtype.name}")

    def tie(self, target: ast.expr, word: str, owner: ast.expr) -> ast.stmt:
        """The statement that makes an array of a layer another name of its owner."""
        if _is_attribute(word):
            return ast.Assign([ast.Attribute(target, word, ast.Store())], owner)
        stmt = _register("self.register_parameter(0, 0)", word, owner)
        stmt.value.func.value = target  # type: ignore[attr-defined]
        return stmt


def _is_attribute(word: str) -> bool:
    """Whether a name of the source can stand behind a dot; PyTorch itself takes any name without one.

    Python changes what is behind a dot where it is not ASCII (NFKC) or begins with two underscores (in a class).
    """
    return word.isascii() and word.isidentifier() and not keyword.iskeyword(word) and not word.startswith("__")


def _register(call: str, word: str, value: ast.expr) -> ast.stmt:
    """The call with a name and a value in its first two places."""
    stmt = statement(call)
    stmt.value.args[:2] = [ast.Constant(word), value]  # type: ignore[attr-defined]
    return stmt

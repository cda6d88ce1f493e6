"""How PyTorch modules are written."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ....engine.spec import Spec
from ....engine.template import literal
from ..writing.layers import Leaves
from ..writing.style import Style, array_literal, attribute, expression, repeated, statement
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
    updates: ClassVar[bool] = True
    reserved: ClassVar[frozenset[str]] = frozenset(_RESERVED.split())
    imports: ClassVar[Mapping[str, str]] = {
        "torch": "import torch",
        "nn": "from torch import nn",
        "F": "from torch.nn import functional as F",
        "np": "import numpy as np",
        "math": "import math",
        "NamedTuple": "from typing import NamedTuple",
    }

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        floating = "float" in spec.dtype
        dtype = "" if spec.dtype == "float32" else f", dtype=torch.{spec.dtype}"
        zeros = expression(f"torch.zeros(0{dtype})")
        zeros.args = [literal(spec.shape, "size") or ast.Constant(None)]
        if trainable:
            stmt = statement(f"self.{word} = nn.Parameter()")
            stmt.value.args.append(zeros)  # type: ignore[attr-defined]
        else:
            keep = "" if persistent else ", persistent=False"
            stmt = statement(f'self.register_buffer("{word}", 0{keep})')
            stmt.value.args[1] = zeros  # type: ignore[attr-defined]
        assert floating or not trainable
        return [stmt]

    def freeze(self, target: ast.expr) -> list[ast.stmt]:
        return [ast.Expr(ast.Call(attribute(target, "requires_grad_"), [ast.Constant(False)], []))]

    def update(self, owner: ast.expr, word: str, value: ast.expr) -> ast.stmt:
        return ast.Assign([ast.Attribute(owner, word, ast.Store())], value)

    def dropout(self, layer: ast.expr) -> ast.expr:
        tree = expression("layer.p if self.training else 0.0")
        tree.body.value = layer
        return tree

    def device(self, array: ast.expr) -> ast.expr | None:
        return attribute(array, "device")

    def module_list(self, items: Mapping[int, ast.expr]) -> ast.expr:
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
        return ast.Assign([ast.Attribute(target, word, ast.Store())], owner)

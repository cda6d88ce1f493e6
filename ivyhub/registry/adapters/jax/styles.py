"""How Flax NNX modules are written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from packaging.version import Version

from ....engine.backends import FRAMEWORKS
from ....engine.spec import Spec
from ....engine.template import literal
from ..writing.layers import Leaves
from ..writing.style import IMPORTS, Style, array_literal, attribute, expression, filled, name, repeated, statement
from .layers import NNX


def initial(spec: Spec) -> ast.expr:
    """An array of zeros of a spec: constructors give shapes, `load` gives values."""
    return ast.Call(
        expression("jnp.zeros"),
        [literal(spec.shape, "size") or ast.Constant(None), expression(jax_dtype(spec.dtype))],
        [],
    )


def jax_dtype(dtype: str) -> str:
    """How source names a dtype; JAX has none of 64 bits by default."""
    return "bool" if dtype == "bool" else FRAMEWORKS["jax"].dtype_source(dtype)


LISTS = Version("0.7.1")  # the JAX of Flax 0.12, where lists of modules are `nnx.List` and values are read by [...]


@dataclass
class NnxStyle(Style):
    """``flax.nnx.Module`` classes: eager state, called like functions.

    For JAX before 0.7.1 they are written for Flax before 0.12, which is the newest that runs there.
    """

    framework: ClassVar[str] = "jax"
    leaves: ClassVar[Leaves] = NNX
    base: ClassVar[str] = "nnx.Module"
    supports: ClassVar[tuple[str, ...]] = ("jax", "flax_nnx")
    array: ClassVar[str] = "jax.Array"
    updates: ClassVar[bool] = True
    reserved: ClassVar[frozenset[str]] = frozenset(
        {"eval", "iter_children", "iter_modules", "perturb", "set_attributes", "sow", "train", "rngs", "dtypes"}
    )
    imports: ClassVar[Mapping[str, str]] = {
        **IMPORTS,
        "jax": "import jax",
        "jnp": "import jax.numpy as jnp",
        "lax": "from jax import lax",
        "nnx": "from flax import nnx",
    }

    lists: bool = field(init=False, default=True)  # whether Flax has `nnx.List`

    def __post_init__(self) -> None:
        self.lists = self.version is None or self.version >= LISTS
        if self.lists:
            self.needs(LISTS)

    def library(self) -> str:
        if self.version is None or self.lists:
            return ">=0.12"
        # 0.10.3 and later import what JAX has since 0.4.35, whatever their metadata say
        return ">=0.8.5,<0.12" if self.version >= Version("0.4.35") else ">=0.8.5,<0.10.3"

    def parameter(self, owner: ast.expr, word: str, *, trainable: bool, layer: str | None = None) -> ast.expr:
        return ast.Subscript(attribute(owner, word), ast.Constant(...), ast.Load())

    def declare(self, word: str, spec: Spec, *, trainable: bool, persistent: bool) -> list[ast.stmt]:
        kind = "nnx.Param" if trainable else "nnx.Variable"
        stmt = statement(f"self.{word} = {kind}()")
        stmt.value.args.append(initial(spec))  # type: ignore[attr-defined]
        return [stmt]

    def update(self, owner: ast.expr, word: str, value: ast.expr) -> ast.stmt:
        place = attribute(owner, word)
        if self.lists:
            return ast.Assign([ast.Subscript(place, ast.Constant(...), ast.Store())], value)
        return ast.Assign([ast.Attribute(place, "value", ast.Store())], value)

    def rngs(self) -> ast.expr:
        return expression("self.rngs()")

    def stream(self) -> list[ast.stmt]:
        return [statement("self.rngs = rngs")]

    def module_list(self, items: Mapping[int, ast.expr]) -> ast.expr:
        made = repeated(filled(items))
        return ast.Call(expression("nnx.List"), [made], []) if self.lists else made

    def construct(self, cls: str, arguments: Mapping[str, ast.expr], *, bare: bool) -> ast.expr:
        if bare:
            return ast.Call(name(cls), [], [])
        keywords = [ast.keyword(key, value) for key, value in arguments.items()]
        return ast.Call(
            name(cls), [], [*keywords, ast.keyword("rngs", name("rngs")), ast.keyword(None, name("dtypes"))]
        )

    def constant(self, array: Any) -> ast.expr:
        return array_literal(array, "jnp.array", jax_dtype(array.dtype.name))

"""Decompositions over sizes that TensorFlow does not know while it traces.

A decomposition counts with sizes, which ``tf.function`` gives as None where its signature leaves them open. Such a call
is traced over sizes by name, as an export is, and the nodes run by their rows, each name being a ``tf.shape(x)[0]``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import EngineError, NoLoweringError
from .backends import framework, framework_of, load, namespace
from .graph import Value, tree_leaves, tree_map
from .op import OPS, WAYS, Op
from .refusals import operand
from .signature import has_unknown, named_sizes
from .template import literal
from .trace import Builder

_OWNER = "tensorflow"


def run(op: Op, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """What a call gives that failed, or None where its sizes are known or another thing is wrong.

    Sizes are taken for different first. Where the decomposition needs them equal, those of one axis are, and TensorFlow
    checks it when it runs.
    """
    if not any(framework_of(leaf) == _OWNER for _, leaf in tree_leaves(tuple(args))) or not has_unknown(_OWNER, args):
        return None
    given = tuple(_frozen(arg) for arg in (*args, *op.defaults[len(args) :]))
    bound = {name: _frozen(value) for name, value in op.bind(attributes).items()}
    for shared in (False, True):
        specs, sizes = named_sizes(op.operands, [operand(arg, _OWNER, op.name) for arg in given], shared=shared)
        if op.row(_OWNER, specs, bound, version=framework(_OWNER).installed) is not None:
            return None
        names = {**namespace(_OWNER), **dict(zip(op.operands, given, strict=True))}
        symbols = {name: _computed(expression, names) for name, expression in sizes.items()}
        try:
            op.infer(specs, bound)
            if shared:
                _check_equal(named_sizes(op.operands, [operand(arg, _OWNER, op.name) for arg in given])[1], names)
            return _Run(symbols).decomposed(op, given, specs, bound)
        except (EngineError, TypeError, ValueError):  # the caller says what was wrong with the call itself
            continue
    return None


WAYS.append(run)


class _Run:
    """Runs nodes whose sizes are known by name."""

    def __init__(self, symbols: Mapping[str, Any]) -> None:
        tensorflow = load(_OWNER)
        self.names = {**namespace(_OWNER), "max": tensorflow.maximum, "min": tensorflow.minimum, **symbols}

    def decomposed(self, op: Op, args: Sequence[Any], specs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """An operation by what it is made of."""
        if op.primitive:
            raise NoLoweringError(f"{op.name} has no row for {_OWNER}")
        builder = Builder()
        values = tree_map(lambda spec: builder.value(spec) if hasattr(spec, "dtype") else spec, tuple(specs))
        leaves = (leaf for _, leaf in tree_leaves(tuple(args)))
        known = {
            value: leaf
            for (_, value), leaf in zip(tree_leaves(values), leaves, strict=True)
            if isinstance(value, Value)
        }
        with builder.recording():
            result = op.function(*values, **attributes)
            result = tree_map(lambda leaf: builder.lift(leaf) if framework_of(leaf) else leaf, result)
        for node in builder.nodes:
            if node.op == "constant":
                found = load(_OWNER).constant(builder.graph.constants[node.attributes["name"]])
            elif node.op in OPS:
                operands = tree_map(lambda leaf: known[leaf] if isinstance(leaf, Value) else leaf, node.args)
                found = self.apply(OPS[node.op], operands, node.arg_specs, node.attributes)
            else:
                raise EngineError(f"{op.name} holds {node.op}")
            known.update(zip(node.outputs, found if len(node.outputs) > 1 else (found,), strict=True))
        return tree_map(lambda leaf: known[leaf] if isinstance(leaf, Value) else leaf, result)

    def apply(self, op: Op, args: Sequence[Any], specs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """An operation by its row, or else by what it is made of."""
        row = op.row(_OWNER, specs, attributes, version=framework(_OWNER).installed)
        if row is None:
            return self.decomposed(op, args, specs, attributes)
        names = dict(self.names)

        def named(leaf: Any) -> ast.expr | None:
            if framework_of(leaf) is None:
                return literal(leaf)
            names[f"operand_{len(names)}"] = leaf
            return ast.Name(list(names)[-1], ast.Load())

        operands: Any = [[named(item) for item in arg] if isinstance(arg, tuple) else named(arg) for arg in args]
        return _computed(op.expression(row, operands, specs, attributes, eager=True), names)


def _check_equal(sizes: Mapping[str, ast.expr], names: Mapping[str, Any]) -> None:
    """Have TensorFlow check that the unknown sizes of each axis are equal."""
    first: dict[str, Any] = {}
    equal: Callable[..., Any] = load(_OWNER).debugging.assert_equal
    for name, expression in sizes.items():
        size = _computed(expression, names)
        equal(first.setdefault(name.rpartition("_")[2], size), size)


def _computed(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    tree = ast.fix_missing_locations(ast.Expression(expression))
    return eval(compile(tree, "<unsized>", "eval"), dict(names))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


__all__ = ["run"]

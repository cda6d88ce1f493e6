"""Nodes that hold graphs, as source: a function for each graph, and an expression that runs them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from ....engine.graph import Graph, Node, Value
from ....engine.outline import Function
from ....engine.template import Template, literal
from ....errors import NoLoweringError
from .names import numbered

_COND = {
    "jax": "lax.cond({predicate}, {then}, {orelse}, *{operands}, *{captured})",
    "tensorflow": "tf.cond({predicate}, lambda: {then}(*{operands}, *{captured}), "
    "lambda: {orelse}(*{operands}, *{captured}))",
    "torch": "({then} if {predicate} else {orelse})(*{operands}, *{captured})",
    "numpy": "({then} if {predicate} else {orelse})(*{operands}, *{captured})",
}
_WHILE = {
    "jax": "lax.while_loop(lambda carry: {test}(*carry, *{captured}), lambda carry: {body}(*carry, *{captured}), "
    "{carry})",
    "tensorflow": "tf.while_loop(lambda *carry: {test}(*carry, *{captured}), "
    "lambda *carry: {body}(*carry, *{captured}), {carry})",
    "torch": "support.while_loop({test}, {body}, {carry}, {captured:()})",
    "numpy": "support.while_loop({test}, {body}, {carry}, {captured:()})",
}
_TRANSFORMS = {
    "value_and_grad": "support.value_and_grad({body}, {arrays}, {captured:()})",
    "vjp": "support.vjp({body}, {arrays}, {cotangents}, {captured:()})",
    "jvp": "support.jvp({body}, {arrays}, {tangents}, {captured:()})",
    "vmap": "support.vmap({body}, {arrays}, {captured:()})",
    "checkpoint": "support.checkpoint({body}, {arrays}, {captured:()})",
    "custom_gradient": "support.custom_gradient({body}, {pullback}, {arrays}, {captured:()})",
}
_DERIVATIVES = ("value_and_grad", "vjp", "jvp")  # which NumPy has not
_SCAN = "support.scan({body}, {carry}, {xs}, {captured:()}, length={length}, reverse={reverse:False})"

ROWS: Mapping[str, Mapping[str, Template]] = {
    "cond": {framework: Template(row) for framework, row in _COND.items()},
    "while_loop": {framework: Template(row) for framework, row in _WHILE.items()},
    "scan": {framework: Template(_SCAN) for framework in _COND},
    **{
        op: {framework: Template(row) for framework in _COND if framework != "numpy" or op not in _DERIVATIVES}
        for op, row in _TRANSFORMS.items()
    },
}
"""How each framework runs the functions. Branches and tests return one array where there is one, bodies a tuple."""

_ARGS = {
    "cond": ("predicate", "operands", "captured"),
    "while_loop": ("carry", "captured"),
    "scan": ("carry", "xs", "captured"),
    "vjp": ("arrays", "cotangents", "captured"),
    "jvp": ("arrays", "tangents", "captured"),
    **dict.fromkeys(("value_and_grad", "vmap", "checkpoint", "custom_gradient"), ("arrays", "captured")),
}
_WORDS = {"then": "then", "orelse": "otherwise", "test": "test", "body": "body", "pullback": "pullback"}


def check_transforms(graph: Graph, framework: str) -> None:
    """Raise `NoLoweringError` for derivatives in a framework that has none, and for what else it cannot transform."""
    lost = _refused(graph, framework)
    if lost:
        places = [f"{node.scope.file}:{node.scope.line}" if node.scope.file else "" for node in lost]
        raise NoLoweringError(
            f"{framework} cannot express the transform(s) {', '.join(sorted({node.op for node in lost}))}"
            f"{f', the first at {places[0]}' if places[0] else ''}",
            hint="choose torch, jax or tensorflow, which have gradients",
            missing=[(node.op, "", place) for node, place in zip(lost, places, strict=True)],
        )


def _refused(graph: Graph, framework: str) -> list[Node]:
    """The transforms in a graph, and in those that it holds, that a framework cannot run."""
    found: list[Node] = []
    for node in graph.nodes:
        if node.op in _TRANSFORMS and framework not in ROWS[node.op]:
            found.append(node)
        for nested in node.graphs.values():
            found += _refused(nested, framework)
    return found


def outlined(node: Node, name: str) -> Function:
    """One graph of a node as a function; its sizes are those of the function around."""
    graph: Graph = node.graphs[name]
    outputs = list(graph.outputs)
    alone = len(outputs) == 1 and name not in ("body", "pullback")
    inputs = {word: value for word, value in graph.inputs.items() if isinstance(value, Value)}
    result = outputs[0] if alone else graph.outputs
    return Function(0, "", inputs=inputs, steps=list(graph.nodes), outputs=outputs, result=result)


def function_word(name: str, taken: Collection[str]) -> str:
    """What the function of a graph is called."""
    return numbered(_WORDS[name], list(taken))


def definition(word: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.stmt:
    """The statement that defines it."""
    (stmt,) = ast.parse(f"def {word}({', '.join(parameters)}): pass").body
    assert isinstance(stmt, ast.FunctionDef)
    stmt.body = body
    return stmt


def expression(
    node: Node, framework: str, operands: Sequence[ast.expr | list[ast.expr]], words: Mapping[str, str]
) -> ast.expr:
    """What runs the functions. The results of a loop or transform are a tuple, of which a single one is taken."""
    values: dict[str, ast.expr | None] = {
        name: ast.Tuple(operand, ast.Load()) if isinstance(operand, list) else operand
        for name, operand in zip(_ARGS[node.op], operands, strict=True)
    }
    values |= {name: ast.Name(word, ast.Load()) for name, word in words.items()}
    values |= {name: literal(value) for name, value in node.attributes.items() if name not in words}
    tree = ROWS[node.op][framework].fill(values)
    if node.op != "cond" and len(node.outputs) == 1:
        return ast.Subscript(tree, ast.Constant(0), ast.Load())
    return tree


__all__ = ["check_transforms", "definition", "expression", "function_word", "outlined"]

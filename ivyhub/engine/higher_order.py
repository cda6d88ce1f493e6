"""Branches and loops as nodes of a graph that PyTorch compiles: ``torch.cond`` and ``while_loop``.

PyTorch's own take no closures and no result that shares memory with what came in. Here the functions are traced first:
what they close over becomes a further operand, what would be shared a copy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from .backends import load

Function = Callable[..., Sequence[Any]]  # over arrays


def is_recorded(arrays: Sequence[Any]) -> bool:
    """Whether what `jit` traces can hold such nodes of these arrays: they have no derivatives and are not mapped."""
    torch = load("torch")
    return torch._C._functorch.peek_interpreter_stack() is None and not (
        torch.is_grad_enabled() and any(array.requires_grad for array in arrays)
    )


def cond(predicate: Any, then: Function, orelse: Function, arrays: Sequence[Any]) -> list[Any]:
    """The results of one of two functions of the arrays, of which only that one is computed."""
    functions, extra = _closed((then, orelse), arrays)
    return list(load("torch").ops.higher_order.cond(predicate, *functions, (*arrays, *extra)))


def while_loop(test: Callable[..., Any], body: Function, arrays: Sequence[Any]) -> list[Any]:
    """The arrays after ``body`` for as long as ``test`` of them is true."""
    arrays = [array.clone() for array in arrays]  # one tensor may stand in the carry twice
    (first, second), extra = _closed((lambda *carry: [test(*carry)], body), arrays)
    return list(
        load("torch").ops.higher_order.while_loop(lambda *each: first(*each)[0], second, tuple(arrays), tuple(extra))
    )


def _closed(functions: Sequence[Function], arrays: Sequence[Any]) -> tuple[list[Function], list[Any]]:
    """The functions with what they close over as further arguments, which both of them take."""
    torch = load("torch")
    proxies = importlib.import_module("torch.fx.experimental.proxy_tensor")
    graphs: list[tuple[Any, list[Any]]] = []
    extra: dict[int, Any] = {}
    for function in functions:

        def run(*given: Any, function: Function = function) -> tuple[Any, ...]:
            return _apart(function(*given), given)

        with proxies.disable_proxy_modes_tracing():
            graph = proxies.make_fx(run, _allow_non_fake_inputs=True)(*arrays)
        closed = lifted_constants(torch, graph)
        extra.update({id(tensor): tensor for tensor in closed})
        graphs.append((graph, closed))
    place = {key: len(arrays) + i for i, key in enumerate(extra)}

    def taking(graph: Any, closed: Sequence[Any]) -> Function:
        return lambda *given: graph(*given[: len(arrays)], *[given[place[id(tensor)]] for tensor in closed])

    return [taking(*each) for each in graphs], list(extra.values())


def _apart(results: Sequence[Any], given: Sequence[Any]) -> tuple[Any, ...]:
    """Results in memory of their own, laid out row by row."""
    taken = {array.untyped_storage()._cdata for array in given}
    found: list[Any] = []
    for result in results:
        result = result.contiguous()
        if result.untyped_storage()._cdata in taken:
            result = result.clone()
        taken.add(result.untyped_storage()._cdata)
        found.append(result)
    return tuple(found)


def lifted_constants(torch: Any, graph: Any) -> list[Any]:
    """The tensors that a graph of `make_fx` holds as attributes, made inputs after its own; returns them."""
    nodes = list(graph.graph.nodes)
    last = [node for node in nodes if node.op == "placeholder"][-1]
    tensors: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for node in nodes:
        value = getattr(graph, node.target, None) if node.op == "get_attr" else None
        if isinstance(value, torch.Tensor):
            if node.target not in inputs:
                with graph.graph.inserting_after(last):
                    last = inputs[node.target] = graph.graph.placeholder(f"closed_{len(inputs)}")
                last.meta = dict(node.meta)
                tensors[node.target] = value
            node.replace_all_uses_with(inputs[node.target])
            graph.graph.erase_node(node)
    graph.recompile()
    return list(tensors.values())


def has_nested(torch: Any, graph: Any) -> bool:
    """Whether a graph holds others."""
    return any(isinstance(module, torch.fx.GraphModule) for module in graph.children())


__all__ = ["cond", "has_nested", "is_recorded", "lifted_constants", "while_loop"]

"""Every reading rule against PyTorch's own operation: run on tensors, and traced and replayed."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from ivyhub.engine.backends import DTYPES, dtype_name
from ivyhub.engine.graph import Graph, Value, tree_map
from ivyhub.engine.op import OPS
from ivyhub.engine.spec import spec_of
from ivyhub.engine.trace import Builder
from ivyhub.registry.adapters.torch.rules import RULES
from ivyhub.registry.adapters.torch.rules.common import is_array, promote_types, result_type
from tests.engine.ops_samples import Draw
from tests.registry.adapters.torch import rules_samples, rules_samples_breadth

SAMPLES = rules_samples.SAMPLES | rules_samples_breadth.SAMPLES
WITHOUT_VALUES = rules_samples.WITHOUT_VALUES | rules_samples_breadth.WITHOUT_VALUES

# PyTorch's own; what ivyhub puts in a trace itself is tested with what it stands for.
FOREIGN = sorted(name for name in RULES if name.startswith(("aten.", "prims.")))

# float32 on both sides; sums are taken in another order. Half precision has 2^-11 a rounding.
TOLERANCES = {torch.float32: 2e-5, torch.float16: 2e-3}


def operation(name: str) -> Any:
    space, packet, overload = name.split(".")
    return getattr(getattr(getattr(torch.ops, space), packet), overload)


def tensors(leaf: Any) -> Any:
    """NumPy arrays as tensors, float32 unless smaller."""
    if isinstance(leaf, np.ndarray | np.generic):
        return torch.tensor(np.asarray(leaf, dtype="float32") if leaf.dtype == np.float64 else np.asarray(leaf))
    return leaf


def foreign(leaf: Any) -> Any:
    """Dtypes and devices in PyTorch's words."""
    if isinstance(leaf, str) and leaf in DTYPES:
        return getattr(torch, leaf)
    return torch.device("cpu") if leaf == "cpu" and isinstance(leaf, str) else leaf


def leaves(result: Any) -> list[Any]:
    return [leaf for each in result for leaf in leaves(each)] if isinstance(result, tuple | list) else [result]


def assert_alike(found: Any, wanted: Any, what: str) -> None:
    found, wanted = leaves(found), leaves(wanted)
    if "linalg_eigh" in what:  # eigenvectors have no sign
        found, wanted = ([values, vectors.abs()] for values, vectors in (found, wanted))
    assert len(found) == len(wanted), what
    for a, b in zip(found, wanted, strict=True):
        assert (a.dtype, tuple(a.shape)) == (b.dtype, tuple(b.shape)), what
        tolerance = TOLERANCES.get(b.dtype, 0.0)
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m: f"{what}: {m}")


def replay(graph: Graph, given: dict[Value, Any], outputs: Any) -> Any:
    """Run a traced graph in PyTorch."""
    values = dict(given)

    def look(leaf: Any) -> Any:
        return values[leaf] if isinstance(leaf, Value) else leaf

    for node in graph.nodes:
        if node.op == "constant":
            result: Any = torch.tensor(graph.constants[node.attributes["name"]])
        else:
            args = tree_map(look, node.args)
            result = OPS[node.op](*args, **node.attributes) if args else OPS[node.op].on("torch", **node.attributes)
        for value, array in zip(node.outputs, leaves(result), strict=True):
            assert value.spec == spec_of(array), f"{node!r} gave {spec_of(array)}"
            values[value] = array
    return tree_map(look, outputs)


def test_every_rule_has_samples() -> None:
    assert set(SAMPLES) | WITHOUT_VALUES == set(FOREIGN)


@pytest.mark.parametrize("name", FOREIGN)
def test_names_are_operations(name: str) -> None:
    """A rule's parameters are those of the schema, less where and how the result lies in memory."""
    schema = operation(name)._schema
    parameters = inspect.signature(RULES[name]).parameters.values()
    dropped = {"memory_format", "layout", "device", "pin_memory", "generator"}
    positional = [a for a in schema.arguments if not a.kwarg_only]
    keywords = {a.name for a in schema.arguments if a.kwarg_only} - dropped
    kinds = [p.kind for p in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        assert sum(kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds) >= len(positional)
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        assert keywords <= {p.name for p in parameters}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_values(name: str, rng: np.random.Generator) -> None:
    for args, kwargs in SAMPLES[name](Draw(rng)):
        args, kwargs = tree_map(tensors, args), tree_map(tensors, kwargs)
        what = f"{name} of {tree_map(lambda x: spec_of(x) if is_array(x) else x, (args, kwargs))}"
        wanted = operation(name)(*tree_map(foreign, args), **tree_map(foreign, kwargs))
        builder = Builder()
        given: dict[Value, Any] = {}

        def lift(leaf: Any, builder: Builder = builder, given: dict[Value, Any] = given) -> Any:
            if not is_array(leaf):
                return leaf
            value = builder.value(spec_of(leaf))
            given[value] = leaf
            return value

        with builder.recording():
            traced = RULES[name](*tree_map(lift, args), **tree_map(lift, kwargs))
        if any(node.op == "while_loop" for node in builder.graph.nodes):  # which runs in exports alone
            assert traced.spec == spec_of(wanted), what
        else:
            assert_alike(replay(builder.graph, given, traced), wanted, f"traced {what}")
        if any(map(is_array, given.values())):
            assert_alike(RULES[name](*args, **kwargs), wanted, what)


REAL = [d for d in DTYPES if "float8" not in d and d not in ("uint16", "uint32", "uint64")]


def test_promotion() -> None:
    """The table of dtypes is PyTorch's own, for arrays with axes, without, and for numbers."""
    for a in REAL:
        for b in REAL:
            expected = dtype_name(torch.promote_types(getattr(torch, a), getattr(torch, b)))
            assert promote_types(a, b) == expected, (a, b)
            x, y = torch.zeros(2, dtype=getattr(torch, a)), torch.zeros((), dtype=getattr(torch, b))
            if a == "float16" and y.is_complex():
                continue  # complex32, which is no dtype of ivyhub
            assert result_type(x, y) == dtype_name(torch.result_type(x, y)), (a, b)
        for number in (True, 1, 1.5, 1j):
            x = torch.zeros(2, dtype=getattr(torch, a))
            if a == "float16" and number == 1j:
                continue
            assert result_type(x, number) == dtype_name(torch.result_type(x, number)), (a, number)

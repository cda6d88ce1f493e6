"""One reading of an ONNX graph: its nodes in order, each through its rule, into a `Builder`.

What a name stands for is a traced array, a NumPy array where it is known (operators of known arrays compute), `Sizes`
where it is computed from shapes, a list where it is a sequence, None where it is left out. An operator without a rule
that the standard defines by others is read through that definition; so are the functions of the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....engine.dims import Dim
from ....engine.graph import Value
from ....engine.trace import Builder
from ....errors import CaptureError, EngineError
from .loading import array_of, dtype_of_type, load_onnx, type_of_dtype, usual
from .rules import SIZE_RULES, TAKES_SIZES, rule_of
from .rules.common import Sizes, shape_of, values_of
from .rules.narrow import MOVES, TAKES_NARROW, Narrow, storage, widened

_DEEPEST = 40  # functions within functions


@dataclass(frozen=True)
class Body:
    """The graph of a control-flow operator, which sees the names around it."""

    reader: Reader
    graph: Any
    around: Mapping[str, Any]
    opsets: Mapping[str, int]

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""
        return [value.name for value in self.graph.input]

    def __call__(self, *values: Any) -> list[Any]:
        """Its results for some inputs."""
        env = dict(self.around)
        env.update(zip(self.inputs, values, strict=True))
        for tensor in self.graph.initializer:
            env[tensor.name] = self.reader.array(tensor)
        self.reader.nodes(self.graph.node, env, self.opsets)
        return [env[value.name] for value in self.graph.output]


class Reader:
    """One reading of one model.

    Attributes:
        builder: what it is read into.
        missing: operators that no rule reads: (operator, module path, node).
    """

    def __init__(self, builder: Builder, model: Any, folder: Path | None) -> None:
        self.onnx = load_onnx()
        self.builder = builder
        self.model = model
        self.folder = folder
        self.missing: list[tuple[str, str, str]] = []
        self.functions = {(f.domain, f.name): f for f in model.functions}
        self.depth = 0

    def array(self, tensor: Any) -> Any:
        """A tensor of the model."""
        if dtype_of_type(tensor.data_type) is not None:
            return usual(array_of(tensor, self.folder))
        name = self.onnx.TensorProto.DataType.Name(tensor.data_type)
        if storage(name) is None:
            raise CaptureError(f"{tensor.name or 'a constant'!r} is of {name}, which is no dtype of the engine")
        return Narrow(widened(array_of(tensor, self.folder)), name)

    def nodes(self, nodes: Sequence[Any], env: dict[str, Any], opsets: Mapping[str, int]) -> None:
        """Read nodes in order; their results go to ``env``."""
        for node in nodes:
            place = f"{node.op_type} {node.name!r}" if node.name else f"{node.op_type} of {', '.join(node.output)}"
            try:
                results = self._node(node, env, opsets)
            except _MissedError:
                for name in node.output:
                    env[name] = _MISSED
                continue
            except (EngineError, CaptureError) as error:
                if not getattr(error, "placed", False):
                    error.message = f"{error.message}\n  while reading the node {place}"
                    error.args = (error.message,)
                    error.placed = True  # pyright: ignore[reportAttributeAccessIssue]
                raise
            for name, result in zip(node.output, results, strict=False):
                if name:
                    env[name] = _plain(result)
                    if isinstance(result, Value) and not result.hint:
                        result.hint = _hint(name)

    def _node(self, node: Any, env: dict[str, Any], opsets: Mapping[str, int]) -> Sequence[Any]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        inputs = [env[name] if name else None for name in node.input]
        if any(value is _MISSED for value in inputs):
            raise _MissedError
        function = self.functions.get((node.domain, node.op_type))
        if function is not None:
            attributes = {a.name: a for a in node.attribute}
            return self._function(function, inputs, attributes, {i.domain: i.version for i in function.opset_import})
        if domain not in opsets:
            raise CaptureError(f"the model imports no opset of the domain {domain!r}")
        name = f"{domain}.{node.op_type}" if domain else node.op_type
        try:
            schema = self.onnx.defs.get_schema(node.op_type, opsets[domain], domain)
        except self.onnx.defs.SchemaError:
            return self._foreign(name, node, inputs, env, opsets)
        while inputs and inputs[-1] is None:
            inputs.pop()
        wanted = len(node.output)
        while wanted > 1 and not node.output[wanted - 1]:
            wanted -= 1
        rule = rule_of(name, schema.since_version)
        narrow = next((value.kind for value in inputs if isinstance(value, Narrow)), None)
        moves = narrow is not None and name in MOVES
        if narrow is not None and not moves and name not in TAKES_NARROW:
            raise CaptureError(f"no rule of {name} computes with {narrow}")
        if moves:
            inputs = [value.array if isinstance(value, Narrow) else value for value in inputs]
        if any(isinstance(value, Sizes) for value in inputs):
            sized = SIZE_RULES.get(name)
            found = None if sized is None else sized(*inputs, **self._attributes(node, schema, sized, env, opsets, {}))
            if found is not None:
                return (found,)
            if name not in TAKES_SIZES:
                inputs = [values_of(value) if isinstance(value, Sizes) else value for value in inputs]
        if rule is None:
            return self._defined(name, schema, node, inputs, opsets)
        extra = {"wanted": wanted, "version": schema.since_version}
        attributes = self._attributes(node, schema, rule, env, opsets, extra)
        result = rule(*inputs, **attributes)
        if result is NotImplemented:
            return self._defined(name, schema, node, inputs, opsets)
        results = result if isinstance(result, tuple) else (result,)
        if narrow is not None and moves and name not in ("Shape", "Size"):
            return [Narrow(value, narrow) for value in results]
        return results

    def _attributes(
        self,
        node: Any,
        schema: Any,
        rule: Any,
        env: Mapping[str, Any],
        opsets: Mapping[str, int],
        extra: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The attributes of a node as a rule takes them. Raises `CaptureError` on one that it does not know."""
        parameters = inspect.signature(rule).parameters
        given = {a.name: self._value(a, env, opsets) for a in node.attribute}
        unknown = given.keys() - schema.attributes.keys()
        if unknown:
            raise CaptureError(f"{schema.name} has no attribute {sorted(unknown)[0]!r}")
        found: dict[str, Any] = {}
        for name, attribute in schema.attributes.items():
            default = attribute.default_value
            has_default = default.type != self.onnx.AttributeProto.UNDEFINED
            usual = self._value(default, env, opsets) if has_default else None
            if name in parameters:
                if name in given or has_default:
                    found[name] = given.get(name, usual)
            elif name in given and given[name] != usual and not getattr(rule, "ignores_attributes", False):
                raise CaptureError(f"no rule reads {schema.name} with {name}={given[name]!r}")
        return found | {name: value for name, value in extra.items() if name in parameters}

    def _value(self, attribute: Any, env: Mapping[str, Any], opsets: Mapping[str, int]) -> Any:
        value = self.onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, self.onnx.TensorProto):
            return self.array(value)
        if isinstance(value, self.onnx.GraphProto):
            return Body(self, value, env, opsets)
        if isinstance(value, list | tuple) or hasattr(value, "__len__"):
            return tuple(item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value)
        return value

    def _foreign(
        self, name: str, node: Any, inputs: Sequence[Any], env: Mapping[str, Any], opsets: Mapping[str, int]
    ) -> Sequence[Any]:
        """An operator that the standard does not have, by a rule that came from outside of ivyhub."""
        rule = rule_of(name, opsets[node.domain])
        if rule is None:
            return self._miss(name, node)
        attributes = {a.name: self._value(a, env, opsets) for a in node.attribute}
        unknown = attributes.keys() - inspect.signature(rule).parameters.keys()
        if unknown:
            raise CaptureError(f"the rule of {name} takes no attribute {sorted(unknown)[0]!r}")
        result = rule(*(values_of(value) if isinstance(value, Sizes) else value for value in inputs), **attributes)
        return result if isinstance(result, tuple) else (result,)

    # -- operators that others define ----------------------------------------------------------------------------

    def _defined(
        self, name: str, schema: Any, node: Any, inputs: Sequence[Any], opsets: Mapping[str, int]
    ) -> Sequence[Any]:
        """An operator through the definition that the standard gives of it."""
        proto = self.onnx.FunctionProto()
        version = opsets.get("", self.onnx.defs.onnx_opset_version())
        if schema.has_context_dependent_function:
            versions = [v for v in schema.context_dependent_function_opset_versions if v <= version]
            if not versions:
                return self._miss(name, node)
            types = [self._type(value) for value in inputs]
            types += [b""] * (len(node.input) - len(types))
            body = schema.get_context_dependent_function_with_opset_version(
                max(versions), node.SerializeToString(), types
            )
            proto.ParseFromString(body)
        elif schema.has_function:
            versions = [v for v in schema.function_opset_versions if v <= version]
            if not versions:
                return self._miss(name, node)
            proto.ParseFromString(schema.get_function_with_opset_version(max(versions)))
        else:
            return self._miss(name, node)
        attributes = {key: a.default_value for key, a in schema.attributes.items() if a.default_value.type}
        attributes |= {a.name: a for a in node.attribute}
        imported = {"": version, **opsets, **{i.domain: i.version for i in proto.opset_import}}
        return self._function(proto, inputs, attributes, imported)

    def _function(
        self, function: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], opsets: Mapping[str, int]
    ) -> Sequence[Any]:
        if self.depth > _DEEPEST:
            raise CaptureError(f"the function {function.name!r} calls itself")
        env: dict[str, Any] = dict.fromkeys(function.input)
        env.update(zip(function.input, inputs, strict=False))
        known = {a.name: a for a in function.attribute_proto} | dict(attributes)
        self.depth += 1
        try:
            self.nodes([self._bound(node, known) for node in function.node], env, opsets)
        finally:
            self.depth -= 1
        return [env.get(name) for name in function.output]

    def _bound(self, node: Any, attributes: Mapping[str, Any]) -> Any:
        """A node of a function with the attributes that the function was given."""
        if not any(a.ref_attr_name or a.type == self.onnx.AttributeProto.GRAPH for a in node.attribute):
            return node
        bound = self.onnx.NodeProto()
        bound.CopyFrom(node)
        del bound.attribute[:]
        for attribute in node.attribute:
            made = bound.attribute.add()
            if not attribute.ref_attr_name:
                made.CopyFrom(attribute)
                if attribute.type == self.onnx.AttributeProto.GRAPH:
                    nodes = [self._bound(inner, attributes) for inner in attribute.g.node]
                    del made.g.node[:]
                    made.g.node.extend(nodes)
            elif attribute.ref_attr_name in attributes:
                made.CopyFrom(attributes[attribute.ref_attr_name])
                made.name = attribute.name
            else:
                del bound.attribute[-1]
        return bound

    def _type(self, value: Any) -> bytes:
        """The type of a value, as the standard's definitions look at it."""
        if value is None:
            return b""
        if isinstance(value, Narrow):
            number = self.onnx.TensorProto.DataType.Value(value.kind)
            return self.onnx.helper.make_tensor_type_proto(number, list(shape_of(value.array))).SerializeToString()
        if isinstance(value, list):
            inner = self.onnx.TypeProto()
            inner.ParseFromString(self._type(value[0]) if value else b"")
            return self.onnx.helper.make_sequence_type_proto(inner).SerializeToString()
        dtype = value.dtype if isinstance(value, Sizes | Value) else value.dtype.name
        sizes = [str(size) if isinstance(size, Dim) else size for size in shape_of(value)]
        return self.onnx.helper.make_tensor_type_proto(type_of_dtype(dtype), sizes).SerializeToString()

    def _miss(self, name: str, node: Any) -> Sequence[Any]:
        self.missing.append((name, "", node.name or ", ".join(node.output)))
        raise _MissedError


class _MissedError(Exception):
    """An operator that no rule reads, or what would be computed from one."""


_MISSED = object()


def _plain(result: Any) -> Any:
    """A result as it is kept: known numbers are arrays, with axes or without."""
    if isinstance(result, Value | Sizes | Narrow | list | np.ndarray) or result is None:
        return result
    return np.asarray(result)


def _hint(name: str) -> str:
    """The name of a result, where one may write it; those that exporters count up say nothing."""
    last = name.replace(":", "/").rstrip("/").rpartition("/")[2]
    return last if last.isascii() and last.isidentifier() and not last[-1].isdigit() else ""


__all__ = ["Body", "Reader"]

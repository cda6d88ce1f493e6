"""Operations: one declaration each, with the rows that say how every framework writes it.

::

    @op(rule=same_as_first)
    def relu(x: Array, /) -> Array:
        \"\"\"max(x, 0), elementwise.\"\"\"
        return maximum(x, 0)

    relu.lower("torch", "F.relu({x})")
    relu.lower("jax", "jax.nn.relu({x})")

The ``def`` is signature, documentation and *decomposition*: positional-only parameters are arrays, keyword-only ones
are attributes. A *row* is a source expression; its names are those of `backends.Framework.namespaces`, ``support`` (the
framework's module of `engine.support`), and placeholders in braces:

``{x}``
    an array parameter. Where it is None it is left out (keyword or trailing argument) or written ``None``.
``{axis}``, ``{axis:-1}``
    an attribute, or a name that ``derive`` computed. With a default after the colon, an argument of that value is
    left out, because the framework's own default says the same.
``*{arrays}``
    a sequence parameter, spread into the call or list; inside ``[...]`` of an array, a None among its items
    is the full slice ``:``.
``{dropout}``, ``{training}``, ``{device}``, ``{rngs}``
    the call context, given by the place of the call in a module; left out where there is none.

The same row is compiled into the eager kernel (cached by signature) and printed into exported code. A call looks at
its first array: a native array runs the kernel of its framework, a traced one (``__traced__``) is recorded by
`RECORDER`. Where a framework has no row for the call, the decomposition runs.

Operands that must have one dtype (those of the rules in `spec` that say so, and the parameters that ``promotes``
names) are cast to the dtype that holds them all (`promotion`) where they differ. In a graph the casts are nodes.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from packaging.version import Version

from ..errors import EngineError, NoLoweringError
from .backends import FRAMEWORKS, dtype_name, framework, framework_of, namespace
from .promotion import MODULAR, result_dtype
from .recording import RECORDER, TRACED
from .refusals import checked, explained, large, naming
from .refusals import operand as operand_of
from .signature import (
    Look,
    Sized,
    first_dtype,
    freeze,
    key_of,
    leaves_of,
    named_sizes,
    retyped,
    watched,
)
from .spec import ONE_DTYPE, Spec
from .template import Source, Template, called, literal

Array = Any  # a native array of any framework, or a traced one
Function = Callable[..., Any]
DType = str  # a name of backends.DTYPES; attributes annotated so are written in the framework's own words
CONTEXT = frozenset({"dropout", "training", "device", "rngs"})  # placeholders that the place of a call provides

OPS: dict[str, Op] = {}
"""Every operation by name."""

INFER: list[Callable[[Op, Sequence[Any], Mapping[str, Any]], Any]] = []
"""How the result of an operation without a rule is inferred; the tracer, which stands above, enters itself."""

WAYS: list[Callable[[Op, Sequence[Any], Mapping[str, Any]], Any]] = []
"""What computes a call that a framework refused, or gives None; `unsized` and `imaginary` enter themselves."""


@dataclass(frozen=True)
class Row:
    """How one framework writes one operation, and when that holds."""

    framework: str
    template: Template
    since: Version
    until: Version | None
    when: Callable[[SimpleNamespace], bool] | None
    derive: Callable[[SimpleNamespace], Mapping[str, Any]] | None
    dtypes: frozenset[str] | None = None

    @property
    def typed(self) -> bool:
        """Whether the row looks at its operands' specs."""
        return self.when is not None or self.derive is not None

    def holds(self, version: Version | None) -> bool:
        """Whether the row may be used with that version of the framework (None: the newest)."""
        return version is None or (self.since <= version and (self.until is None or version < self.until))


class Op:
    """One operation (see the module's docstring). Made by `op`, called like a function.

    Attributes:
        name: its name in `OPS`.
        operands: names of the array parameters, in order.
        attributes: names of the attributes with their defaults (`inspect.Parameter.empty` where there is none).
        rule: from operand specs and attributes to the result's spec (or a tuple of specs).
        primitive: whether there is no decomposition, so that every framework needs a row.
        promotes: the array parameters that must have one dtype.
        strict: whether the rule sees every call, so that its kernels depend on shapes.
    """

    def __init__(
        self,
        function: Function,
        rule: Function | None,
        primitive: bool = False,
        promotes: Sequence[str] | None = None,
        strict: bool = False,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name, self.function = function.__name__, function
        self.primitive, self.strict = primitive, strict
        self.rows: dict[str, list[Row]] = {name: [] for name in FRAMEWORKS}
        self.operands: list[str] = []
        self.sequences: set[str] = set()
        self.attributes: dict[str, Any] = {}
        self.dtypes: set[str] = set()
        self.rule = rule
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            annotation = str(parameter.annotation)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                self.operands.append(parameter.name)
                if "Sequence[" in annotation:
                    self.sequences.add(parameter.name)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                self.attributes[parameter.name] = parameter.default
                if "DType" in annotation:
                    self.dtypes.add(parameter.name)
            else:
                raise EngineError(f"{self.name}: arrays go before '/', attributes after '*'; found {parameter.name!r}")
        operands = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
        self.defaults = tuple(None if p.default is p.empty else p.default for p in operands)
        self.required = sum(p.default is p.empty for p in operands)
        self.promotes = frozenset(promotes or (self.operands if rule in ONE_DTYPE else ()))
        if self.promotes - set(self.operands):
            raise EngineError(f"{self.name} has no operands {sorted(self.promotes - set(self.operands))} to promote")
        # The most that rows of any framework look at.
        self._look = Look.SHAPES if strict else Look.DTYPES if self.sequences else Look.TYPES
        self._looks = dict.fromkeys(FRAMEWORKS, self._look)
        self._typed = False  # whether a row looks at its operands by `when` or `derive`
        self._kernels: dict[Any, Callable[..., Any]] = {}

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    # -- declaration ---------------------------------------------------------------------------------------------

    def lower(
        self,
        framework: str | Sequence[str],
        expression: str,
        *,
        since: str = "0",
        until: str | None = None,
        when: Callable[[SimpleNamespace], bool] | None = None,
        derive: Callable[[SimpleNamespace], Mapping[str, Any]] | None = None,
        dtypes: Sequence[str] | None = None,
    ) -> Op:
        """Say how a framework writes the operation.

        Args:
            framework: a name of `backends.FRAMEWORKS`, or several that share the expression.
            expression: the source expression, with placeholders (see the module's docstring).
            since: the first version in which it holds.
            until: the first version in which it no longer does.
            when: a condition over a namespace of attributes and operand specs.
            derive: further placeholder values, from the same namespace.
            dtypes: the dtypes of the first array (after promotion) for which it holds; all for None.

        Rows are tried newest ``since`` first, then in the order of declaration; the first whose condition holds
        wins, so a row without ``when`` comes last. Raises `EngineError` on a duplicate, or on a placeholder that is
        neither operand, attribute nor derived.
        """
        template = Template(expression)
        unknown = set(template.placeholders) - set(self.operands) - set(self.attributes) - CONTEXT
        if unknown and derive is None:
            raise EngineError(f"{self.name}: the row {expression!r} names {sorted(unknown)}, which it does not have")
        for each in (framework,) if isinstance(framework, str) else framework:
            last = None if until is None else Version(until)
            kinds = None if dtypes is None else frozenset(dtypes)
            row = Row(each, template, Version(since), last, when, derive, kinds)
            rows = self.rows[each]
            if any(r.when is None and when is None and r.dtypes == kinds and r.since == row.since for r in rows):
                raise EngineError(f"{self.name}: {each} has a row for version {since} already")
            rows.append(row)
            # Rows for some dtypes go before those for all; stable: declaration order within a version.
            rows.sort(key=lambda r: (r.dtypes is not None, r.since), reverse=True)
            self._typed |= row.typed
            if row.typed or kinds is not None:
                self._looked(each, Look.DTYPES)
        self._kernels.clear()
        return self

    def _looked(self, owner: str, look: Look) -> None:
        """Kernels of a framework depend on that much of the operands from now on."""
        if look > self._looks[owner]:
            self._looks[owner] = look
            self._look = max(self._look, look)
            self._kernels.clear()

    # -- use -----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **attributes: Any) -> Any:
        if attributes:
            kernel = self._found(args, attributes)
        else:  # where types are enough, this is the whole of the dispatch
            kernel = self._kernels.get((type(args[0]), type(args[1])) if len(args) == 2 else (*map(type, args),))
            if kernel is None:
                kernel = self._found(args, attributes)
        try:
            return kernel(*args)
        except Exception as error:
            for way in (Op._widened, *WAYS):
                if (result := way(self, args, attributes)) is not None:
                    return result
            raise explained(self, error, args, attributes) from error

    def _found(self, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Callable[..., Any]:
        """The kernel of a call, compiled where its signature is new."""
        try:
            return self._kernels[key_of(args, attributes, self._look, self._typed)]
        except KeyError:
            return self._by_dtypes(args, attributes)
        except TypeError:  # no key: an attribute given as a list, most often
            attributes = {name: freeze(value) for name, value in attributes.items()}
            kernel = self._kernels.get(key_of(args, attributes, self._look, self._typed))
            return self._by_dtypes(args, attributes) if kernel is None else kernel

    def _by_dtypes(self, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Callable[..., Any]:
        """The kernel of operands whose types are not enough to tell it, most often because their dtypes differ."""
        kernel = self._kernels.get(self._key(args, attributes))
        return self._first_kernel("", args, attributes) if kernel is None else kernel

    def on(self, owner: str, /, *args: Any, **attributes: Any) -> Any:
        """The operation in a named framework, for calls that have no array to tell it from.

        Example:
            >>> from ivyhub.engine import ops
            >>> ops.arange.on("numpy", stop=3).tolist()
            [0, 1, 2]
        """
        attributes = {name: freeze(value) for name, value in attributes.items()}
        kernel = self._kernels.get((owner, self._key(args, attributes)))
        if kernel is None:
            kernel = self._first_kernel(owner, args, attributes)
        try:
            return kernel(*args)
        except Exception as error:
            raise explained(self, error, args, attributes) from error

    def _key(self, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """What a kernel depends on that is not that of every array of its operands' types."""
        return key_of(args, attributes, max(self._look, Look.DTYPES), self._typed)

    def _first_kernel(self, owner: str, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Callable[..., Any]:
        """What computes a call whose signature is new: the recorder where it is traced, else a kernel to keep."""
        named, given, received = owner, len(args), args
        if given < len(self.operands):
            if given < self.required:
                raise EngineError(
                    f"{self.name} expected {self.required} array argument(s) ({', '.join(self.operands)}), "
                    f"received {given}"
                )
            args += self.defaults[given:]
        elif given > len(self.operands):
            raise EngineError(f"{self.name} takes the arrays {', '.join(self.operands)}; received {given}")
        for arg in leaves_of(args):
            if getattr(arg, "__traced__", False):
                return lambda *_: self._record(args, attributes)
            owner = owner or framework_of(arg) or ""
        if owner in ("", TRACED):
            if RECORDER.get() is not None:
                return lambda *_: self._record(args, attributes)
            raise EngineError(
                f"{self.name} received no array, so its framework is unknown",
                hint=f"pass an array of the framework, or call {self.name}.on('torch', ...)",
            )
        kernel, mixed = self._kernel(owner, args, given, self.bind(attributes))
        if len(self._kernels) >= _KERNELS:
            self._kernels.clear()
        if named:
            self._kernels[named, self._key(received, attributes)] = kernel
        elif mixed:
            self._kernels[self._key(received, attributes)] = kernel
        else:
            look = self._look if attributes else self._looks[owner]
            self._kernels[key_of(received, attributes, look, self._typed)] = kernel
        return kernel

    def _record(self, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
        recorder = RECORDER.get()
        if recorder is None:
            raise EngineError(f"{self.name} received a traced array outside of its trace")
        args = recorder.operands(self, args)
        return recorder.apply(self, self._cast(args, self._common_dtype(args)), self.bind(attributes))

    def _cast(self, args: tuple[Any, ...], dtype: str | None) -> tuple[Any, ...]:
        """Operands that are to have a dtype, cast to it by operations."""
        if dtype is None:
            return args

        def cast(arg: Any) -> Any:
            if isinstance(arg, tuple | list):
                return tuple(map(cast, arg))
            differs = hasattr(arg, "dtype") and dtype_name(arg.dtype) != dtype
            return OPS["astype"](arg, dtype=dtype) if differs else arg

        return tuple(cast(arg) if name in self.promotes else arg for name, arg in zip(self.operands, args, strict=True))

    def _common_dtype(self, args: Sequence[Any]) -> str | None:
        """The dtype that operands (specs or values) are to be cast to; None where they agree."""
        if not self.promotes:
            return None
        pairs = zip(self.operands, args, strict=True)
        operands = [leaf for name, arg in pairs if name in self.promotes for leaf in leaves_of((arg,))]
        if len({operand.dtype for operand in operands if hasattr(operand, "dtype")}) < 2:
            return None
        try:
            return result_dtype(operands)
        except EngineError as error:
            error.message = f"{self.name}: {error.message}"
            raise

    def bind(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes in declaration order with defaults filled in. Raises `EngineError` on wrong names."""
        unknown = attributes.keys() - self.attributes.keys()
        if unknown:
            raise EngineError(f"{self.name} has no attribute {sorted(unknown)}; it has {sorted(self.attributes)}")
        bound = {**self.attributes, **attributes}
        missing = [name for name, value in bound.items() if value is inspect.Parameter.empty]
        if missing:
            raise EngineError(f"{self.name} needs the attribute(s) {', '.join(missing)}")
        return bound

    def row(
        self, owner: str, args: Sequence[Any], attributes: Mapping[str, Any], *, version: Version | None = None
    ) -> Row | None:
        """The row that writes this call in a framework, or None where the decomposition must.

        ``args`` are specs, Python scalars, None, or sequences of those.
        """
        for row in self.rows[owner]:
            if (
                row.holds(version)
                and (row.dtypes is None or first_dtype(args) in row.dtypes)
                and (row.when is None or row.when(self._names(args, attributes)))
            ):
                return row
        return None

    def _names(self, args: Sequence[Any], attributes: Mapping[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(**dict(zip(self.operands, args, strict=True)), **attributes)

    def infer(self, args: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """The result's spec (or tuple of specs) from operand specs, by the rule or through the decomposition."""
        if self.rule is not None:
            return self.rule(*args, **attributes)
        return INFER[0](self, args, attributes)

    def expression(
        self,
        row: Row,
        operands: Sequence[ast.expr | Sequence[ast.expr | None] | None],
        args: Sequence[Any],
        attributes: Mapping[str, Any],
        context: Mapping[str, ast.expr] | None = None,
        *,
        eager: bool = False,
    ) -> ast.expr:
        """A row with its placeholders filled: ``operands`` are expressions, ``args`` their specs.

        Where it is ``eager`` no dtype is left to the defaults of the framework, which a user may have set.
        """
        values: dict[str, ast.expr | None] = {}
        for name, operand in zip(self.operands, operands, strict=True):
            if isinstance(operand, Sequence):
                operand = ast.Tuple([ast.Slice() if item is None else item for item in operand], ast.Load())
            values[name] = operand
        attrs: dict[str, Any] = dict(attributes)
        if row.derive is not None:
            attrs.update(row.derive(self._names(args, attributes)))
        owner = framework(row.framework)
        for name, value in attrs.items():
            if name in self.dtypes and value is not None:
                value = Source(owner.dtype_source(value, eager=eager))
            values[name] = literal(value, name)
        values |= {name: (context or {}).get(name) for name in CONTEXT}
        return row.template.fill(values, self.dtypes if eager else ())

    def _kernel(
        self, owner: str, args: tuple[Any, ...], given: int, attributes: Mapping[str, Any]
    ) -> tuple[Callable[..., Any], bool]:
        """A function of the ``given`` first operands that computes the call in a framework, and whether it casts.

        One that does not tells operands of several dtypes itself, where the key of kernels has no dtypes.
        """
        specs, sizes = named_sizes(self.operands, [operand_of(arg, owner, self.name) for arg in args])
        dtype = self._common_dtype(specs)
        if dtype is not None:
            specs = tuple(
                retyped(spec, dtype) if name in self.promotes else spec
                for name, spec in zip(self.operands, specs, strict=True)
            )
        if self.rule is not None and (large(attributes) or (self.strict and not sizes)):
            try:
                checked(self.name, self.infer(specs, attributes))
            except EngineError as error:
                raise naming(self.name, error) from None
            except Exception:  # what no rule foresees, the framework tells
                pass
        seen = watched(specs, functools.partial(self._looked, owner))
        row = self.row(owner, seen, attributes, version=framework(owner).installed)
        names: dict[str, Any] = dict(namespace(owner))
        if row is not None:
            body = Sized(sizes).visit(self._written(row, args[:given], seen, attributes, dtype))
        elif self.primitive:
            raise NoLoweringError(
                f"{self.name} cannot be written in {owner} for {', '.join(map(repr, specs))} with {attributes}",
                hint="call it in another framework, or add a row with lower()",
            )
        else:
            rest = args[given:]
            names["function"] = lambda *args: self.function(*self._cast((*args, *rest), dtype), **attributes)
            body = _expression(f"function({', '.join(self.operands[:given])})")
        arrays = [name for name, spec in zip(self.operands, specs, strict=True) if isinstance(spec, Spec)]
        own = [name for name, arg in zip(self.operands, args, strict=False) if type(arg).__module__.startswith(owner)]
        body = called(body, own, framework(owner).operators)
        promoted = [name for name in arrays if name in self.promotes]
        if dtype is None and self._looks[owner] == Look.TYPES and len(promoted) > 1:
            plain = self._lambda(owner, given, body, names)
            names["mixed"] = lambda *args: self._mixed(args, attributes, plain)(*args)
            test = _expression(" is ".join(f"{name}.dtype" for name in promoted))
            body = ast.IfExp(test, body, _expression(f"mixed({', '.join(self.operands[:given])})"))
        return self._lambda(owner, given, body, names), dtype is not None

    def _lambda(self, owner: str, given: int, body: ast.expr, names: Mapping[str, Any]) -> Callable[..., Any]:
        """A function of the ``given`` first operands."""
        parameters = ast.arguments([], [ast.arg(name) for name in self.operands[:given]], None, [], [], None, [])
        tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(parameters, body)))
        return eval(compile(tree, f"<{self.name} in {owner}>", "eval"), {**names})

    def _mixed(self, args: tuple[Any, ...], attributes: Mapping[str, Any], plain: Callable[..., Any]) -> Any:
        """The kernel of operands whose dtypes are not one object: ``plain`` where they are one all the same.

        NumPy has several objects of a dtype: with metadata, in another order of bytes.
        """
        dtypes = [arg.dtype for name, arg in zip(self.operands, args, strict=False) if name in self.promotes]
        return plain if len({*map(dtype_name, dtypes)}) == 1 else self._by_dtypes(args, attributes)

    def _written(
        self, row: Row, args: Sequence[Any], specs: Sequence[Any], bound: Mapping[str, Any], dtype: str | None
    ) -> ast.expr:
        """A row over the operands by name, those of another dtype cast."""

        def operand(name: str, arg: Any, dtype: str | None) -> ast.expr | None:
            if arg is None:
                return None
            expression = _expression(name)
            if not hasattr(arg, "dtype") and zero and beside:
                return _expression(zero.format(number=name, beside=beside))
            if dtype is None or not hasattr(arg, "dtype"):
                return expression
            cast, spec = OPS["astype"], operand_of(arg, row.framework, self.name)
            if spec.dtype == dtype:
                return expression
            found = cast.row(row.framework, (spec,), {"dtype": dtype}, version=framework(row.framework).installed)
            assert found is not None  # astype is a primitive
            return cast.expression(found, [expression], (spec,), {"dtype": dtype}, eager=True)

        zero = framework(row.framework).zero
        typed = [name for name, arg in zip(self.operands, args, strict=False) if hasattr(arg, "dtype")]
        beside = next((name for name in typed if not self.promotes or name in self.promotes), "")
        operands: list[Any] = []
        for name, arg in zip(self.operands, (*args, *self.defaults[len(args) :]), strict=True):
            target = dtype if name in self.promotes else None
            if name in self.sequences and arg is not None:
                operands.append([operand(f"{name}[{i}]", item, target) for i, item in enumerate(arg)])
            else:
                operands.append(operand(name, arg, target))
        return self.expression(row, operands, specs, bound, eager=True)

    def _widened(self, args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
        """What a call gives in a wider dtype, where the framework has no kernel for the one it came in; else None.

        The way is kept as the kernel of its signature.
        """
        owner = next((found for arg in leaves_of(args) if (found := framework_of(arg))), "")
        if not owner:
            return None
        wider = framework(owner).wider

        def target(arg: Any) -> str | None:
            name = dtype_name(arg.dtype) if framework_of(arg) else ""
            return None if name == "uint64" and self.name not in MODULAR else wider.get(name)

        if not any(map(target, leaves_of(args))):
            return None

        def widen(arg: Any) -> Any:
            if isinstance(arg, tuple | list):
                return tuple(map(widen, arg))
            name = target(arg)
            return arg if name is None else OPS["astype"](arg, dtype=name)

        def narrow(result: Any, spec: Any) -> Any:
            if isinstance(spec, tuple):
                return tuple(map(narrow, result, spec))
            return result if dtype_name(result.dtype) == spec.dtype else OPS["astype"](result, dtype=spec.dtype)

        def kernel(*args: Any) -> Any:
            operands = tuple(operand_of(arg, owner, self.name) for arg in (*args, *self.defaults[len(args) :]))
            dtype = self._common_dtype(operands)
            if dtype is not None:
                operands = tuple(
                    retyped(spec, dtype) if name in self.promotes else spec
                    for name, spec in zip(self.operands, operands, strict=True)
                )
            return narrow(self(*map(widen, args), **attributes), self.infer(operands, self.bind(attributes)))

        try:
            result = kernel(*args)
            self._looked(owner, Look.DTYPES)  # the kernel of other dtypes is another
            self._kernels[self._key(args, attributes)] = kernel
        except Exception:  # the caller raises the one of the narrow dtype
            return None
        return result


def op(
    function: Callable[..., Any] | None = None,
    *,
    rule: Callable[..., Any] | None = None,
    primitive: bool = False,
    promotes: Sequence[str] | None = None,
    strict: bool = False,
) -> Any:
    """Declare an operation from its ``def`` (see the module's docstring).

    Args:
        function: the ``def``; None where the decorator has arguments.
        rule: from operand specs and attributes to the result's spec; without one the decomposition is followed.
        primitive: there is no decomposition; the body is the docstring alone, and every framework has rows.
        promotes: the array parameters that are cast to one dtype; all where the rule is of `spec.ONE_DTYPE`.
        strict: whether the rule sees every eager call of new shapes, as it sees those of a trace. For what some
            framework takes and should not: it leaves out what is too much, or reads memory that is not its own.

    Raises `EngineError` when the name is taken, or when a primitive has no rule.

    Example:
        >>> import numpy as np
        >>> @op
        ... def cube(x, /):
        ...     return x**3
        >>> cube(np.float32([1.0, 2.0]))
        array([1., 8.], dtype=float32)
    """

    def declare(function: Callable[..., Any]) -> Op:
        if function.__name__ in OPS:
            raise EngineError(f"the operation {function.__name__!r} is declared twice")
        if primitive and rule is None:
            raise EngineError(f"the primitive {function.__name__!r} needs a shape and dtype rule")
        OPS[function.__name__] = Op(function, rule, primitive, promotes, strict)
        return OPS[function.__name__]

    return declare if function is None else declare(function)


_KERNELS = 4096  # kernels that one operation keeps: shapes and numbers among the attributes have no end


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


__all__ = ["OPS", "Array", "DType", "Op", "Row", "Source", "Spec", "literal", "op"]

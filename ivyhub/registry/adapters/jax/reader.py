"""Jaxprs -> nodes: one primitive after the other, by the rules of `rules`.

Calls of other programs are written out where they stand. What is computed from numbers that the program itself holds
is computed while reading, with JAX: it is how shapes, positions and bounds come to be plain numbers again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....engine import control_flow, ops
from ....engine.graph import ROOT, Scope, Value
from ....engine.lines import assigned_name, is_library, short_path
from ....engine.recording import RECORDER
from ....engine.spec import spec_of
from ....errors import CaptureError, EngineError
from .formulas import formula
from .rules import NUMBERS, RULES
from .rules.indexing import KNOWN
from .rules.windows import is_reduction
from .sizes import is_key, sizes_of, spec_of_aval

#: Where a call of a module begins and ends is told by `jax.named_scope`, which is part of each equation.
SCOPE = re.compile(r"ivyhub@(\d+)")

_CALLS = {
    "pjit": "jaxpr",
    "jit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}

#: Parameters that say where or how exactly a device computes: nothing else is known than None and no devices.
_NEUTRAL = ("sharding", "out_sharding", "accuracy", "tiled_layout")

_LARGEST = 4096  # numbers that are known while reading; larger ones are computed by the graph


@dataclass(eq=False)
class Known:
    """An array that is known while reading, and how the graph would make it."""

    array: np.ndarray
    make: Callable[[], Any]
    plain: bool = False  # one number, which adopts the dtype of the array beside it
    counting: bool = False  # positions: a graph says them better as a range

    def value(self) -> Any:
        return self.make()


class Pending:
    """A parameter that is read where it is used.

    Attributes:
        value: makes the node that reads it.
    """

    def __init__(self, value: Callable[[], Any]) -> None:
        self.value = value


@dataclass
class Reader:
    """Reads jaxprs into whatever builder records.

    Attributes:
        whole: the functions that are kept whole, by the name of the call that stands for them (see `whole`).
        calls: how many calls of modules there are, at least the root's.
        missing: operations without a rule: name, module, line.
        notes: what a reader of an export should know.
        module: the path of the module of a call.
    """

    whole: Mapping[str, Any] = field(default_factory=dict[str, Any])
    missing: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    notes: list[str] = field(default_factory=list[str])
    module: Callable[[int], str] = lambda call: ""
    places: dict[Any, Any] = field(default_factory=dict[Any, Any])
    _frames: dict[int, tuple[Any, tuple[str, int]]] = field(default_factory=dict[int, tuple[Any, tuple[str, int]]])

    def read(self, closed: Any, arguments: Sequence[Any], scope: Scope = ROOT) -> list[Any]:
        """The results of a closed jaxpr for values, or what is known."""
        jaxpr = closed.jaxpr
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, map(self._constant, closed.consts), strict=True))
        env.update(zip(jaxpr.invars, arguments, strict=True))
        self.places.update(zip(jaxpr.invars, arguments, strict=True))

        def found(atom: Any) -> Any:
            return self._literal(atom) if hasattr(atom, "val") else env[atom]

        for eqn in jaxpr.eqns:
            here = self._scope(eqn, scope)
            RECORDER.get().scope = replace(here, call=0) if RECORDER.get().nested else here
            results = self._equation(eqn, [found(atom) for atom in eqn.invars], here)
            for var, result in zip(eqn.outvars, results, strict=True):
                env[var] = result
                if type(var).__name__ != "DropVar":
                    self.places[var] = result
        RECORDER.get().scope = replace(scope, call=0) if RECORDER.get().nested else scope
        return [found(atom) for atom in jaxpr.outvars]

    def lifted(self, found: Any) -> Any:
        """A result as a value of the graph."""
        return found.value() if isinstance(found, Known | Pending) else found

    # -- one equation --------------------------------------------------------------------------------------------

    def _equation(self, eqn: Any, arguments: list[Any], scope: Scope) -> Sequence[Any]:
        name, params = eqn.primitive.name, {word: _plain(value) for word, value in eqn.params.items()}
        if name in _CALLS:
            return self._call(eqn, params, arguments, scope)
        if name in ("cond", "while", "scan", "custom_linear_solve"):
            return getattr(self, f"_{name}")(params, arguments, scope)
        if name == "reduce" and not is_reduction(params["jaxpr"], len(arguments)):
            return self._reduce(params, arguments, scope)
        if name == "ivyhub_leaf":
            return (_leaf(params["path"], self.lifted(arguments[0]), params["last"]),)
        for word in _NEUTRAL:
            found = params.pop(word, None)
            if found is not None and not getattr(getattr(found, "mesh", None), "empty", False):
                raise self._refused(eqn, f"{name} has a {word}", "compute without one")
        if name in ("debug_callback", "debug_print"):
            self.notes.append(f"{name} at {_line(scope)} is left out: it gives nothing")
            return ()
        if name.endswith("_callback"):
            message = f"{name} runs Python on the host; a graph cannot"
            raise self._refused(eqn, message, "compute what it gives before, and pass it in")
        known = self._computed(eqn, name, params, arguments)
        if known is not None:
            return known
        if name not in RULES and (closed := formula(eqn)) is not None:
            return self.read(closed, arguments, scope)
        if name not in RULES:
            self.missing.append((name, self.module(scope.call), _line(scope)))
            return [RECORDER.get().value(spec_of_aval(var.aval)) for var in eqn.outvars]
        return self._ruled(eqn, name, params, arguments)

    def _ruled(self, eqn: Any, name: str, params: dict[str, Any], arguments: Sequence[Any]) -> Sequence[Any]:
        beside = any(not isinstance(argument, Known) for argument in arguments)
        values: list[Any] = []
        for argument in arguments:
            if isinstance(argument, Known) and argument.plain and beside and name in NUMBERS:
                values.append(argument.array.item())
            elif isinstance(argument, Known) and name in KNOWN and argument is not arguments[0]:
                values.append(argument.array)
            else:
                values.append(self.lifted(argument))
        try:
            found = self._applied(eqn, name, values, params)
        except (EngineError, CaptureError) as error:
            raise self._placed(eqn, error) from error
        except TypeError as error:
            if "keyword argument" not in str(error):
                raise
            raise self._refused(eqn, f"{name} has parameters that are not known: {error}", "") from error
        results = list(found) if isinstance(found, tuple | list) else [found]
        for var, result in zip(eqn.outvars, results, strict=True):
            expected = spec_of_aval(var.aval)
            if spec_of(result) != expected:
                raise CaptureError(
                    f"the rule for {name} gave {spec_of(result)} where JAX gives {expected}",
                    hint="this is a defect of the rule; please report it",
                )
        return results

    def _applied(self, eqn: Any, name: str, values: list[Any], params: dict[str, Any]) -> Any:
        """What a rule gives; one that moves random keys moves both numbers of each."""
        keys = [is_key(var.aval.dtype) for var in eqn.invars]
        if name.startswith("random_") or not any(keys):
            return RULES[name](*values, **params)

        def lane(number: int) -> Any:
            last = (None, None, None)
            part = [
                ops.getitem(value, key=(*(last,) * (len(value.shape) - 1), number)) if key else value
                for key, value in zip(keys, values, strict=True)
            ]
            return RULES[name](*part, **params)

        first, second = lane(0), lane(1)
        if isinstance(first, tuple):
            return tuple(ops.stack(pair, axis=-1) for pair in zip(first, second, strict=True))
        return ops.stack([first, second], axis=-1)

    def _computed(self, eqn: Any, name: str, params: dict[str, Any], arguments: Sequence[Any]) -> Any:
        """The results of a primitive of known arrays, computed by JAX; None where one is not known."""
        if not all(isinstance(argument, Known) for argument in arguments) or eqn.effects:
            return None
        avals = [var.aval for var in (*eqn.invars, *eqn.outvars)]
        if any(is_key(aval.dtype) or not all(isinstance(size, int) for size in aval.shape) for aval in avals):
            return None
        if any(np.prod(aval.shape, dtype=np.int64) > _LARGEST for aval in avals):
            return None
        if any(hasattr(size, "scope") for each in params.values() if isinstance(each, tuple) for size in each):
            return None
        if name in ("random_bits", "rng_bit_generator", "dim_as_value", "rng_uniform"):
            return None
        import jax

        with jax.ensure_compile_time_eval():
            found = eqn.primitive.bind(*(argument.array for argument in arguments), **eqn.params)
        results = list(found) if eqn.primitive.multiple_results else [found]
        counting = name == "iota" or any(argument.counting for argument in arguments)
        made: dict[Any, Sequence[Any]] = {}  # by the graph: what a loop's body makes is not there behind it

        def make(index: int) -> Any:
            graph = RECORDER.get()
            if graph not in made:
                made[graph] = self._ruled(eqn, name, params, arguments)
            return made[graph][index]

        out: list[Any] = []
        for index, result in enumerate(results):
            array = np.asarray(result)
            plain = array.ndim == 0
            known = self._constant(array)
            if counting and name in RULES and array.size > 1:
                known = Known(array, lambda index=index: make(index), plain=plain, counting=True)
            out.append(known)
        return out

    # -- programs ------------------------------------------------------------------------------------------------

    def _call(self, eqn: Any, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        name, closed = eqn.primitive.name, params[_CALLS[eqn.primitive.name]]
        closed = _closed(closed)
        kept = self.whole.get(str(params.get("name")))
        if kept is not None and kept.text == str(closed):
            found = kept.read([self.lifted(argument) for argument in arguments])
            if found is not None:
                results = list(found) if isinstance(found, tuple) else [found]
                for var, result in zip(eqn.outvars, results, strict=True):
                    if spec_of(result) != spec_of_aval(var.aval):
                        raise CaptureError(f"{kept.name} gave {spec_of(result)} where JAX gives {var.aval}")
                return results
        if name.startswith("custom_"):
            debug = getattr(closed.jaxpr, "debug_info", None)
            source = str(getattr(debug, "func_src_info", "") or "")
            if source and not of_library(source.rpartition(" at ")[2]):
                self.notes.append(
                    f"{source.partition(' at ')[0]} has a gradient of its own, which is not carried over: "
                    "an export differentiates its formula"
                )
        return self.read(closed, arguments, scope)

    def _cond(self, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        index, *operands = arguments
        branches = params["branches"]
        if isinstance(index, Known):
            number = min(max(int(index.array), 0), len(branches) - 1)
            return self.read(branches[number], operands, scope)
        index, operands = self.lifted(index), [self.lifted(operand) for operand in operands]

        def branch(closed: Any) -> Callable[..., Any]:
            return lambda *values: tuple(self._nested(closed, values, scope))

        if len(branches) == 2:
            which = _truth(index)
            return control_flow.cond(which, branch(branches[1]), branch(branches[0]), *operands)
        return control_flow.switch(index, [branch(closed) for closed in branches], *operands)

    def _while(self, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        test_consts, body_consts, init = arguments[:first], arguments[first:second], arguments[second:]

        def test(carry: Any) -> Any:
            return self.lifted(self._nested(params["cond_jaxpr"], [*test_consts, *carry], scope)[0])

        def body(carry: Any) -> Any:
            found = tuple(self._nested(params["body_jaxpr"], [*body_consts, *carry], scope))
            if not many:
                return found
            goes = test(carry)
            shapes = ((*spec_of(goes).shape, *(1,) * (spec_of(each).ndim - many)) for each in carry)
            return tuple(
                ops.where(ops.reshape(goes, shape=shape), self.lifted(new), old)
                for shape, new, old in zip(shapes, found, carry, strict=True)
            )

        many = len(params["cond_jaxpr"].out_avals[0].shape)  # of loops side by side, each of which ends by itself
        start = tuple(self.lifted(each) for each in init)
        return control_flow.while_loop((lambda carry: ops.any(test(carry))) if many else test, body, start)

    def _scan(self, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        first, second = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, init = arguments[:first], tuple(self.lifted(each) for each in arguments[first:second])
        xs = tuple(self.lifted(each) for each in arguments[second:])

        def body(carry: Any, x: Any) -> Any:
            found = self._nested(params["jaxpr"], [*consts, *carry, *x], scope)
            return tuple(found[: len(init)]), tuple(found[len(init) :])

        (length,) = sizes_of((params["length"],))
        last, stacked = control_flow.scan(body, init, xs, length=length, reverse=params["reverse"])  # type: ignore[arg-type]
        return [*last, *stacked]

    def _reduce(self, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        """By a function of one's own, which JAX says to be associative: halves combined with halves."""
        values = [self.lifted(argument) for argument in arguments]
        arrays, starts = values[: len(values) // 2], values[len(values) // 2 :]
        over = tuple(params["dimensions"])
        sizes = spec_of(arrays[0]).shape
        kept = [axis for axis in range(len(sizes)) if axis not in over]
        result = tuple(sizes[axis] for axis in kept)
        count, rest = (math.prod(int(sizes[axis]) for axis in axes) for axes in (over, kept))
        lines = [ops.reshape(ops.transpose(x, axes=(*over, *kept)), shape=(count, rest)) for x in arrays]

        def combined(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
            return self._nested(_over_arrays(params["jaxpr"], spec_of(first[0]).shape), [*first, *second], scope)

        def part(start: int | None, stop: int | None) -> list[Any]:
            return [ops.getitem(x, key=((start, stop, None),)) for x in lines]

        while count > 1:
            half = count // 2
            both = combined(part(None, half), part(half, 2 * half))
            lines = (
                [ops.concat(pair, axis=0) for pair in zip(both, part(2 * half, None), strict=True)]
                if count % 2
                else both
            )
            count -= half
        begun = [ops.broadcast_to(start, shape=(1, rest)) for start in starts]
        return [ops.reshape(x, shape=result) for x in (combined(begun, lines) if count else begun)]

    def _custom_linear_solve(self, params: dict[str, Any], arguments: list[Any], scope: Scope) -> Sequence[Any]:
        """The solution as the program itself finds it."""
        counts = params["const_lengths"]
        start = counts.matvec + counts.vecmat
        rest = start + counts.solve + counts.transpose_solve
        consts = arguments[start : start + counts.solve]
        return self.read(params["jaxprs"].solve, [*consts, *arguments[rest:]], scope)

    def _nested(self, closed: Any, values: Sequence[Any], scope: Scope) -> list[Any]:
        return [self.lifted(found) for found in self.read(_closed(closed), list(values), scope)]

    # -- parts ---------------------------------------------------------------------------------------------------

    def _constant(self, array: Any) -> Any:
        if isinstance(array, Value):
            return array
        if is_key(array.dtype):
            import jax

            array = jax.random.key_data(array)
        numbers = np.asarray(array)

        def make() -> Any:
            if numbers.ndim == 0 and numbers.dtype.kind in "biufc":
                return ops.full(shape=(), fill_value=numbers.item(), dtype=spec_of(numbers).dtype)
            if numbers.size and numbers.dtype.kind in "biuf" and (numbers == numbers.flat[0]).all():
                return ops.full(shape=numbers.shape, fill_value=numbers.flat[0].item(), dtype=spec_of(numbers).dtype)
            return RECORDER.get().constant(numbers)

        return Known(numbers, make, plain=numbers.ndim == 0)

    def _literal(self, literal: Any) -> Any:
        return self._constant(np.asarray(literal.val, dtype=literal.aval.dtype))

    def _scope(self, eqn: Any, around: Scope) -> Scope:
        info = eqn.source_info
        file, line = self._frame(info.traceback)
        plain = str(info.name_stack).partition("(")[0]
        calls = SCOPE.findall(plain)
        call = int(calls[-1]) if calls else around.call
        if not file:
            return replace(around, call=call)
        return Scope(call, short_path(file), line, assigned_name(file, line))

    def _frame(self, traceback: Any) -> tuple[str, int]:
        """The innermost line outside of libraries."""
        if traceback is None:
            return "", 0
        key = id(traceback)
        if key not in self._frames:
            place = ("", 0)
            for frame in traceback.frames:
                if not of_library(frame.file_name):
                    place = (frame.file_name, frame.line_num)
                    break
            self._frames[key] = (traceback, place)  # kept: an id is one object's only while that lives
        return self._frames[key][1]

    def _refused(self, eqn: Any, message: str, hint: str) -> CaptureError:
        error = CaptureError(message, hint=hint or "write it otherwise")
        return self._placed(eqn, error)

    def _placed(self, eqn: Any, error: Any) -> Any:
        if "while reading" not in error.message:
            scope = RECORDER.get().scope
            path = self.module(scope.call)
            error.message += f"\n  while reading {eqn.primitive.name} in {path or '(root)'} at {_line(scope)}"
            error.args = (error.message,)
        return error


def _leaf(path: str, x: Any, last: bool) -> Any:
    """A call of a leaf layer; one of channels takes them second, as graphs have it where nothing else is asked."""
    if not last:
        found = RECORDER.get().call(path, [x])
        return found[0] if isinstance(found, tuple) else found
    ndim = len(x.shape)
    y = RECORDER.get().call(path, [ops.transpose(x, axes=(0, ndim - 1, *range(1, ndim - 1)))])
    return ops.transpose(y, axes=(0, *range(2, ndim), 1))


def _closed(jaxpr: Any) -> Any:
    if hasattr(jaxpr, "consts"):
        return jaxpr
    from jax.extend.core import ClosedJaxpr

    return ClosedJaxpr(jaxpr, ())


def _over_arrays(jaxpr: Any, shape: tuple[Any, ...]) -> Any:
    """A program of numbers as one of arrays of two axes."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    closed = _closed(jaxpr)
    structs = [jax.ShapeDtypeStruct(shape, aval.dtype) for aval in closed.in_avals]
    return jax.make_jaxpr(jax.vmap(jax.vmap(jaxpr_as_fun(closed))))(*structs)


def _truth(index: Any) -> Any:
    """The truth value that was made a number of a branch."""
    node = index.node
    if node is not None and node.op == "astype" and node.args[0].dtype == "bool":
        return node.args[0]
    return ops.greater(index, 0)


def _plain(value: Any) -> Any:
    """A parameter with Python's integers: JAX leaves NumPy's among axes."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(_plain, value))
    return int(value) if isinstance(value, np.integer) else value


def _line(scope: Scope) -> str:
    return f"{scope.file}:{scope.line}" if scope.file else ""


_PACKAGES = ("jax", "jaxlib", "flax", "optax")


def of_library(file: str) -> bool:
    """Whether a file belongs to JAX, to Flax, to ivyhub, or to none."""
    return is_library(re.sub(r":\d+$", "", file), _PACKAGES)


__all__ = ["SCOPE", "Known", "Pending", "Reader", "of_library"]

"""Every row of every operation: values against NumPy, gradients against PyTorch's, specs against results."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ivyhub.engine import ops
from ivyhub.engine.backends import FRAMEWORKS, dtype_name, framework_of, is_floating, namespace
from ivyhub.engine.dims import Dim
from ivyhub.engine.graph import tree_map
from ivyhub.engine.op import OPS, Op
from ivyhub.engine.ops.draws import DRAWS
from ivyhub.engine.spec import Spec, spec_of
from tests.arrays import DTYPE_NARROW, as_numpy, assert_close, native, several
from tests.engine import loss_samples, special_samples
from tests.engine.draw import BATCH, Draw, Sample
from tests.engine.ops_samples import ORACLES, SAMPLES
from tests.engine.standard_samples import INVARIANTS, OF_DTYPES

# float32 against float64: a unit in the last place is 1.2e-7, and the longest sums here have some hundred terms, whose
# errors add up; relative to the largest number, since sums cancel. Gradients chain two such computations.
VALUES, GRADIENTS = 1e-5, 5e-5
# float64, but PyTorch rounds some constants of its functions (1/6 of hardswish, places of interpolate) to float32.
EXACT = 1e-6
# What PyTorch, the oracle, has no derivative for.
CONSTANT = {
    "floor_divide": (0, 1),
    "floor_quotient": (0, 1),
    "batch_norm": (1, 2),
    "nextafter": (0, 1),
    "eig": (0,),  # JAX and TensorFlow have none for eigenvectors without symmetry
    "eigvals": (0,),
    "lu": (0,),  # TensorFlow has none
    "fractional_max_pool": (1,),
    "fractional_max_pool_with_indices": (1,),
    **loss_samples.CONSTANT,
    **special_samples.CONSTANT,
}

# Draws have no key, so no two of their results are alike; tests/registry/adapters/test_draws.py has them.
NAMES = sorted(OPS.keys() - DRAWS)
# NumPy warns where logsumexp takes the logarithm of 0, as it must for nothing but -inf.
pytestmark = pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")


class Plain:
    """An operation that always runs its decomposition."""

    def __init__(self, op: Op) -> None:
        self.op, self.name = op, op.name

    def __call__(self, *args: Any, **attributes: Any) -> Any:
        return self.op.function(*filled(self.op, args), **self.op.bind(attributes))


def samples(name: str, rng: np.random.Generator) -> list[Sample]:
    draw = Draw(rng)
    return [*SAMPLES[name](draw), *(OF_DTYPES[name](draw) if name in OF_DTYPES else ())]


def run(op: Op | Callable[..., Any], owner: str, args: Any, attributes: Mapping[str, Any]) -> Any:
    """Call an operation; one without arrays is told its framework."""
    if isinstance(op, Op) and not args:
        return op.on(owner, **attributes)
    return op(*args, **attributes)


def invariant(name: str, result: Any) -> Any:
    """What of a result no framework chooses: all of it, but for eigenvectors and their like."""
    return INVARIANTS[name](*several(result)) if name in INVARIANTS else result


def oracle(op: Op, sample: Sample) -> Any:
    """The result in float64: NumPy's own function for a primitive, else the decomposition on NumPy."""
    args, attributes = sample
    if op.name in ORACLES:
        return ORACLES[op.name](*args, **attributes)
    return run(op.function if args else op, "numpy", filled(op, args), op.bind(attributes))


def filled(op: Op, args: Sequence[Any]) -> tuple[Any, ...]:
    return (*args, *op.defaults[len(args) :])


def specs_of(op: Op, args: Sequence[Any]) -> Any:
    """Operands as specs, in float32 where they are floating."""
    operands = tree_map(lambda leaf: native("numpy", leaf), filled(op, args))
    return tree_map(lambda leaf: spec_of(leaf) if framework_of(leaf) else leaf, operands)


def infer(op: Op, sample: Sample) -> Any:
    return op.infer(specs_of(op, sample[0]), op.bind(sample[1]))


def test_every_operation_has_samples() -> None:
    assert sorted(SAMPLES) == NAMES
    assert {name for name in NAMES if OPS[name].primitive} <= ORACLES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str, framework: str, rng: np.random.Generator) -> None:
    op = OPS[name]
    drawn = samples(name, rng)

    def compute() -> list[Any]:
        """Results of the row and of the decomposition, for each sample."""
        found = []
        for args, attributes in drawn:
            operands = tree_map(lambda leaf: native(framework, leaf), tuple(args))
            found.append(run(op, framework, operands, attributes))
            if not op.primitive:
                found.append(Plain(op)(*operands, **attributes))
        return found

    results = iter(compiled(framework, compute))
    for sample in drawn:
        wanted = oracle(op, sample)
        what = f"{name} in {framework} with {sample[1]}"
        result = next(results)
        assert_close(invariant(name, result), invariant(name, wanted), VALUES, what)
        assert all(framework_of(each) == framework for each in several(result)), what
        if not op.primitive:
            assert_close(next(results), wanted, VALUES, f"decomposed {what}")


def compiled(owner: str, compute: Callable[[], Any]) -> Any:
    """What ``compute`` gives; JAX compiles it as one, which takes a tenth of the time of one by one."""
    if owner != "jax":
        return compute()
    import jax

    return jax.jit(compute).lower().compile({"xla_backend_optimization_level": "0"})()


@pytest.mark.parametrize("name", NAMES)
def test_specs(name: str, framework: str, rng: np.random.Generator) -> None:
    """The rule says what every framework returns, and says it of symbolic sizes too."""
    op = OPS[name]
    for args, attributes in samples(name, rng):
        operands = tree_map(lambda leaf: native(framework, leaf), tuple(args))
        result = several(abstract(framework, functools.partial(run, op, framework, operands, attributes)))
        specs = specs_of(op, args)
        found = several(op.infer(specs, op.bind(attributes)))
        for each, spec in zip(result, found, strict=True):
            assert tuple(each.shape) == spec.shape
            wide = dtype_name(each.dtype)
            assert wide == spec.dtype or (framework == "jax" and wide == DTYPE_NARROW.get(spec.dtype)), (
                wide,
                spec,
                attributes,
            )
        open_specs = tree_map(
            lambda leaf: Spec(symbolic(leaf.shape), leaf.dtype) if isinstance(leaf, Spec) else leaf, specs
        )
        opened = several(op.infer(open_specs, {key: symbolic(value) for key, value in op.bind(attributes).items()}))
        closed = [
            Spec(tuple(s.substitute({"batch": BATCH}) if isinstance(s, Dim) else s for s in x.shape), x.dtype)
            for x in opened
        ]
        assert closed == found


def abstract(owner: str, compute: Callable[[], Any]) -> Any:
    """What ``compute`` gives, or, where the framework can tell it without computing, its shapes and dtypes."""
    if owner != "jax":
        return compute()
    import jax

    return jax.eval_shape(compute)


def symbolic(value: Any) -> Any:
    """The same with the batch size as a symbol."""
    if isinstance(value, tuple):
        return tuple(map(symbolic, value))
    return Dim.symbol("batch") if type(value) is int and value == BATCH else value


def gradients(owner: str, op: Op | Plain, sample: Sample, *, precise: bool = False) -> list[np.ndarray] | None:
    """Gradients of Σ result · weights with respect to each floating operand; None where nothing is floating."""
    args, attributes = sample
    flat: list[np.ndarray] = []
    constants = [args[i] for i in CONSTANT.get(op.name, ()) if i < len(args)]

    def collect(leaf: Any) -> Any:
        constant = any(leaf is each for each in constants)
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and not constant:
            flat.append(leaf)
            return Hole(len(flat) - 1)
        return native(owner, leaf, precise=precise)

    holed = tree_map(collect, tuple(args))
    if not flat or not any(differentiable(spec.dtype) for spec in several(infer(OPS[op.name], sample))):
        return None

    def loss(arrays: Sequence[Any]) -> Any:
        result = op(*tree_map(lambda leaf: arrays[leaf.at] if isinstance(leaf, Hole) else leaf, holed), **attributes)
        total: Any = 0.0
        for each in [part for leaf in several(invariant(op.name, result)) for part in parts(leaf)]:
            if is_floating(dtype_name(each.dtype)):
                weights = np.cos(np.arange(int(np.prod(each.shape)))).reshape(each.shape)
                total = total + ops.sum(each * native(owner, weights, precise=precise))
        return total

    arrays = [native(owner, array, precise=precise) for array in flat]
    if owner == "torch":
        import torch

        arrays = [array.requires_grad_() for array in arrays]
        total = loss(arrays)
        found: Sequence[Any] = (
            torch.autograd.grad(total, arrays, allow_unused=True) if total.requires_grad else [None] * len(arrays)
        )
    elif owner == "jax":
        import jax

        return jax.grad(loss)(arrays)  # zeros where nothing depends on an operand
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(arrays)
            total = loss(arrays)
        found = [None if g is None else tf.convert_to_tensor(g) for g in tape.gradient(total, arrays)]
    return [np.zeros_like(a) if g is None else as_numpy(g) for g, a in zip(found, flat, strict=True)]


def differentiable(dtype: str) -> bool:
    return is_floating(dtype) or dtype.startswith("complex")


def parts(x: Any) -> list[Any]:
    """Complex numbers as two arrays of real ones."""
    return [ops.real(x), ops.imag(x)] if dtype_name(x.dtype).startswith("complex") else [x]


class Hole:
    """The place of a floating operand."""

    def __init__(self, at: int) -> None:
        self.at = at


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("full", "arange", "linspace", "eye")])
def test_gradients(name: str, framework: str, rng: np.random.Generator) -> None:
    """Against PyTorch's autograd in float64, of its own function where the row names one."""
    if framework == "numpy":
        framework = "torch"  # NumPy has no gradients: here the decomposition's, in float64
    op = OPS[name]
    drawn = samples(name, rng)
    found = compiled(framework, lambda: [gradients(framework, op, sample) for sample in drawn])
    wanted = [gradients("torch", op, sample, precise=True) for sample in drawn]
    for sample, ours, theirs in zip(drawn, found, wanted, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is None:
            continue
        assert_close(ours, theirs, GRADIENTS, f"gradient of {name} in {framework} with {sample[1]}")
        if framework == "torch" and not op.primitive:
            plain = gradients("torch", Plain(op), sample, precise=True)
            assert_close(plain, theirs, EXACT, f"gradient of the decomposition of {name} with {sample[1]}")


#: Attributes that choose rows only where a size is a symbol; test_unknown_sizes.py computes with those.
SYMBOLIC = {
    "full": [{"shape": shape, "fill_value": Dim.symbol("n"), "dtype": "int64"} for shape in ((), (2,))],
}


@pytest.mark.parametrize("name", NAMES)
def test_rows(name: str, framework: str, rng: np.random.Generator) -> None:
    """Every row is chosen by a sample, and its dotted names exist on the installed framework."""
    op = OPS[name]
    version = FRAMEWORKS[framework].installed
    rows = [row for row in op.rows[framework] if row.holds(version)]
    for row in rows:
        for node in ast.walk(row.template.tree):
            if isinstance(node, ast.Attribute):
                resolve(node, framework)
    used = set()
    symbolic = [((), attributes) for attributes in SYMBOLIC.get(name, ())]
    for args, attributes in [*samples(name, rng), *symbolic]:
        used.add(id(op.row(framework, specs_of(op, args), op.bind(attributes), version=version)))
    unused = [row.template.text for row in rows if id(row) not in used]
    assert not unused
    assert rows or not op.primitive


def resolve(node: ast.expr, owner: str) -> Any:
    """The object of a dotted name, or None where it hangs on an operand."""
    if isinstance(node, ast.Name):
        return namespace(owner).get(node.id)
    if isinstance(node, ast.Attribute):
        base = resolve(node.value, owner)
        return None if base is None else getattr(base, node.attr)
    return None

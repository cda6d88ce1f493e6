"""The measured agreement of an export with its original.

Both are given the same fresh random inputs, of sizes that include 1, with padding and with a row that is nothing but
padding. Compared are their outputs in evaluation and in training (dropout off, so that training is a function), the
gradient of a random projection of the outputs for every parameter, the buffers that training moves, and the value of
that projection along ten steps of gradient descent.

A figure is relative to what it is measured on: outputs and buffers to their largest value (or 1), gradients to the
norm of the whole gradient, since one that is truly zero has no relative error of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ivyhub.registry.adapters.running import Arrays, Original, Runner
from ivyhub.registry.inputs import random_inputs
from ivyhub.registry.pipeline import Model
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.weights import Entry, MemoryCheckpoint, WeightMap

STEPS = 10

# float32 has 24 bits, 6e-8; the sums of a deep model lose two decimal digits of it. The narrow types have 8 and 11
# bits, and frameworks round them at different places of a formula.
_TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}
#: Two computations of one formula in float32 differ by the sum of their own errors, and reduce in different orders.
_AMPLIFIED = 8.0
#: How often the original is asked again with inputs moved by a unit in the last place, where an export misses.
_NUDGES = 2
#: A gradient sums over the batch and every position; kernels that add naively (Eigen's convolutions) lose more.
_SUMMED = 5.0
#: Differences grow along steps of training, which amplify them.
_GROWTH = 10.0


class Row(msgspec.Struct, frozen=True):
    """One figure."""

    check: str
    measured: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether it is within its tolerance; a NaN is not."""
        return self.measured <= self.tolerance


class _Reference(msgspec.Struct):
    """What the original gave, so that it need not stay in memory beside the export."""

    cases: dict[str, tuple[Arrays, list[np.ndarray]]]
    trained: list[np.ndarray]
    weights: list[np.ndarray | None]
    gradients: dict[str, dict[str, np.ndarray]]
    buffers: dict[str, np.ndarray]
    losses: list[float]
    rate: float


def certify(
    model: Model,
    original: Callable[[], Original],
    export: Callable[[], Runner],
    native: WeightMap,
    *,
    trains: bool = True,
    dtype: str = "float32",
    seed: int | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Compare an export with its original.

    Args:
        model: what was exported.
        original: opens the original, which is let go before the export is opened.
        export: opens the export.
        native: from the graph's parameters to the export's tensors.
        trains: whether the export has gradients.
        dtype: the floating-point type of the export, which sets the tolerances.
        seed: of inputs and projections; fresh by default.
        progress: hears of each stage.

    Returns:
        The certificate: ``{"format", "seed", "dtype", "rows": [{"check", "measured", "tolerance", "passed"}]}``.
    """
    seed = secrets.randbits(32) if seed is None else seed
    with progress.stage("original"):
        reference = _measure(model, original(), np.random.default_rng(seed), trains=trains)
    with progress.stage("verify"):
        rows = list(_rows(model, reference, export(), native, _TOLERANCE[dtype]))
    if not all(row.passed for row in rows):
        rows = _relaxed(rows, model, reference, original, np.random.default_rng(seed))
    told = [{**msgspec.structs.asdict(row), "measured": _finite(row.measured), "passed": row.passed} for row in rows]
    return {"format": 1, "seed": seed, "dtype": dtype, "rows": told}


def missed(certificate: Mapping[str, Any]) -> list[str]:
    """The checks of a certificate that are beyond their tolerance."""
    return [row["check"] for row in certificate["rows"] if not row["passed"]]


def _finite(measured: float) -> float:
    """JSON has no infinities."""
    return measured if np.isfinite(measured) else float(np.finfo(np.float64).max)


def sizes_of(model: Model) -> dict[str, dict[str, int]]:
    """The sizes that a model is compared at: one case of middling sizes, and one for each size that may be 1."""
    middling: dict[str, int] = {}
    for position, (name, (low, high)) in enumerate(sorted(model.graph.symbols.items())):
        size = max(low, 3 + 4 * position)
        middling[name] = size if high is None else min(size, high)
    used = {size for spec in model.recipe.inputs for size in spec.dynamic.values()}
    cases = {"padded": middling}
    for name, (low, _) in sorted(model.graph.symbols.items()):
        if low <= 1 and name in used:
            cases[f"{name} 1"] = {**middling, name: 1}
    return cases if used else {"one batch": middling}


def _measure(model: Model, runner: Runner, rng: np.random.Generator, *, trains: bool) -> _Reference:
    specs = model.recipe.inputs
    cases: dict[str, tuple[Arrays, list[np.ndarray]]] = {}
    for name, sizes in sizes_of(model).items():
        inputs = random_inputs(specs, sizes, rng, padded=name == "padded")
        cases[name] = inputs, runner.outputs(inputs)
    found = _Reference(cases, [], [], {}, {}, [], 0.0)
    inputs, outputs = next(iter(cases.values()))
    count = sum(array.size for array in outputs if _is_floating(array))
    if not trains or not runner.trains or not count:
        return found
    scale = 1 / np.sqrt(count)
    found.weights = [
        (rng.standard_normal(array.shape) * scale).astype(array.dtype) if _is_floating(array) else None
        for array in outputs
    ]
    found.gradients["eval"] = runner.gradients(inputs, found.weights, train=False)
    found.trained = runner.outputs(inputs, train=True)
    found.buffers = runner.buffers()
    found.gradients["train"] = runner.gradients(inputs, found.weights, train=True)
    size = np.sqrt(scale**2 * sum(float(np.square(a, dtype=np.float64).sum()) for a in outputs if _is_floating(a)))
    found.rate = 0.01 * float(size) / max(_norm(found.gradients["train"]) ** 2, 1e-30)
    found.losses = runner.descend(inputs, found.weights, rate=found.rate, steps=STEPS)
    return found


def _rows(model: Model, reference: _Reference, runner: Runner, native: WeightMap, tolerance: float) -> Any:
    for name, (inputs, expected) in reference.cases.items():
        yield Row(f"outputs, {name}", _largest(expected, runner.outputs(inputs)), tolerance)
    if not reference.weights:
        return
    inputs, outputs = next(iter(reference.cases.values()))
    home = native.inverse()
    ours = runner.gradients(inputs, reference.weights, train=False)
    yield Row("gradients, eval", _gradients(reference.gradients["eval"], homeward(home, ours)), tolerance * _SUMMED)
    yield Row("outputs, train", _largest(reference.trained, runner.outputs(inputs, train=True)), tolerance)
    moved = homeward(home, runner.buffers())
    shared = [name for name in reference.buffers if name in moved]
    if shared:
        before, after = [reference.buffers[name] for name in shared], [moved[name] for name in shared]
        yield Row("buffers, train", _largest(before, after), tolerance)
    ours = runner.gradients(inputs, reference.weights, train=True)
    yield Row("gradients, train", _gradients(reference.gradients["train"], homeward(home, ours)), tolerance * _SUMMED)
    losses = runner.descend(inputs, reference.weights, rate=reference.rate, steps=STEPS)
    scale = max(1e-30, *(abs(loss) for loss in reference.losses), _size(outputs))
    apart = max(abs(a - b) for a, b in zip(reference.losses, losses, strict=True)) / scale
    yield Row(f"loss of {STEPS} steps", apart, tolerance * _GROWTH)


def homeward(home: WeightMap, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under native names and layouts as the graph's parameters; names that the map does not know are left."""
    entries = tuple(entry for entry in home.entries if all(name in arrays for name in entry.sources))
    used = {name: np.asarray(arrays[name], order="C") for entry in entries for name in entry.sources}
    return {tensor.info.name: tensor.read() for tensor in WeightMap(entries).apply(MemoryCheckpoint(used))}


def _relaxed(
    rows: Sequence[Row], model: Model, reference: _Reference, original: Callable[[], Original], rng: np.random.Generator
) -> list[Row]:
    """The figures with tolerances that the original itself can keep.

    Where a model amplifies rounding (a batch norm over a handful of values), float32 is as far from the truth as its
    original is from the original in float64; an export cannot be asked for more than a small multiple of that. Nor for
    more than the original gives where inputs that differ in the last place stand on two sides of a kink. An original
    that answers the same question in two ways is no measure of anything.
    """
    runner = original()
    again = [_largest(expected, runner.outputs(inputs)) for inputs, expected in reference.cases.values()]
    if not max(again, default=0.0) <= rows[0].tolerance:
        return list(rows)
    same = WeightMap(tuple(Entry((path,), (path,)) for path, p in model.graph.parameters() if p.alias is None))
    own: dict[str, float] = {}
    found = list(rows)
    for attempt in range(1 + _NUDGES):
        given = _nudged(reference, rng) if attempt else reference
        runner = original() if attempt else original().widened()
        for row in _rows(model, given, runner, same, 0.0):
            if np.isfinite(row.measured):
                own[row.check] = max(own.get(row.check, 0.0), row.measured)
        found = [Row(r.check, r.measured, max(r.tolerance, _AMPLIFIED * own.get(r.check, 0.0))) for r in rows]
        if all(row.passed for row in found):
            break
    return found


def _nudged(reference: _Reference, rng: np.random.Generator) -> _Reference:
    """What the original gave, beside inputs whose floating-point numbers are moved by a unit in the last place."""

    def moved(array: np.ndarray) -> np.ndarray:
        if array.dtype.name not in ("float32", "float64"):
            return array
        return np.nextafter(array, rng.choice([-np.inf, np.inf], array.shape).astype(array.dtype))

    cases = {
        name: ({key: moved(array) for key, array in inputs.items()}, outputs)
        for name, (inputs, outputs) in reference.cases.items()
    }
    return msgspec.structs.replace(reference, cases=cases)


def _largest(expected: Sequence[np.ndarray], received: Sequence[np.ndarray]) -> float:
    """The largest difference of two results, relative to their largest value where that is above 1."""
    if [array.shape for array in expected] != [array.shape for array in received]:
        return float("inf")
    return max((difference(a, b, None) for a, b in zip(expected, received, strict=True)), default=float("inf"))


def _gradients(expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray]) -> float:
    """The largest difference of any element of any gradient, relative to the norm of them all."""
    norm = _norm(expected) or 1.0
    worst = 0.0
    for name, array in expected.items():
        other = received.get(name)
        if other is None:  # a parameter that the export left out must not matter
            other = np.zeros_like(array)
        worst = max(worst, float("inf") if other.shape != array.shape else difference(array, other, norm))
    return worst


def difference(a: np.ndarray, b: np.ndarray, scale: float | None) -> float:
    """The largest difference of two arrays; equal infinities and NaN in both are no difference."""
    if a.size == 0:
        return 0.0
    a, b = a.astype(_wide(a), copy=False), b.astype(_wide(b), copy=False)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    worst = float(apart.max())
    finite = np.isfinite(a) if not np.isfinite(worst) else None
    if finite is not None:
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        worst = float(np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf)).max())
    if scale is None:
        scale = max(1.0, float(np.max(np.abs(a), initial=0.0, where=True if finite is None else finite)))
    return worst / scale


def _norm(arrays: Mapping[str, np.ndarray]) -> float:
    norms = [float(np.linalg.norm(array.astype(_wide(array), copy=False))) for array in arrays.values()]
    return float(np.sqrt(sum(norm**2 for norm in norms)))


def _wide(array: np.ndarray) -> np.dtype:
    """A type to compare in: its own where it is wide enough, else float64."""
    kept = ("float32", "float64", "complex64", "complex128")
    return array.dtype if array.dtype.name in kept else np.dtype(np.float64)


def _size(outputs: Sequence[np.ndarray]) -> float:
    """The root mean square of all floating-point outputs."""
    squares = [np.square(array, dtype=np.float64) for array in outputs if _is_floating(array)]
    return float(np.sqrt(sum(s.sum() for s in squares) / max(1, sum(s.size for s in squares))))


def _is_floating(array: np.ndarray) -> bool:
    return "float" in array.dtype.name

"""Is an export the same function as its original? One judge for every test that captures, writes and runs a module.

The judge shares nothing with the certificates of the registry but the runners that call live models.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

import ivyhub
from ivyhub.engine.graph import tree_leaves
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.adapters.torch.arguments import bind
from ivyhub.registry.adapters.torch.hub import to_torch
from ivyhub.registry.adapters.torch.run import TorchRunner
from ivyhub.registry.adapters.torch.trees import to_numpy
from ivyhub.registry.certificate import homeward
from ivyhub.registry.conversion import open_runner
from ivyhub.registry.export import record_of_object
from ivyhub.registry.layout import ExportRunner
from ivyhub.registry.weights import WeightMap

Dynamic = Mapping[str, Mapping[int, str]]

# float32 has 24 bits; sums of small models lose less than one decimal digit of it, gradients another.
TOLERANCE = {"float32": 2e-5, "float64": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}


def assert_same(
    module: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Dynamic | None = None,
    *,
    to: str,
    rng: np.random.Generator,
    sizes: Sequence[Mapping[str, int]] = (),
    modes: Sequence[bool] = (False, True),
    dtype: str = "float32",
) -> Any:
    """Transpile a module and compare the two: outputs in both modes, gradients, and every array after two train steps.

    Args:
        module, args, kwargs, dynamic: see `ivyhub.transpile`.
        to: the target.
        rng: draws the inputs that are compared; integers stay within the range of the examples.
        modes: evaluation is False, training True; both by default.
        sizes: the numbers that the names in ``dynamic`` take, one comparison each; twice 1 and 5 by default.
        dtype: what the tolerance is for.

    Returns the native model.
    """
    kwargs = dict(kwargs or {})
    graph = ivyhub.trace(module, *args, dynamic=dynamic, **kwargs)
    native = ivyhub.transpile(graph, to=to)
    record = record_of_object(native)
    assert record is not None
    home = WeightMap(record[0].weights).inverse()
    bound = bind(module, args, kwargs)
    theirs = TorchRunner(copy.deepcopy(module), arrange=lambda arrays: nested(bound, arrays))
    ours = ExportRunner(open_runner(Target.parse(to), native), graph)
    names = sorted({name for axes in (dynamic or {}).values() for name in axes.values()})
    cases = list(sizes) or ([dict.fromkeys(names, 1), dict.fromkeys(names, 5)] if names else [{}])
    tolerance = TOLERANCE[dtype]
    for case in cases:
        for train in modes if ours.trains else (False,):
            where = f"{to}, {'train' if train else 'eval'}, sizes {case}"
            if ours.trains:
                inputs = _smooth_arrays(theirs, bound, dynamic or {}, case, rng, tolerance, train=train)
            else:
                inputs = random_arrays(bound, dynamic or {}, case, rng)
            expected, received = theirs.outputs(inputs, train=train), ours.outputs(inputs, train=train)
            _compare(dict(enumerate(expected)), dict(enumerate(received)), tolerance, f"outputs, {where}")
            if not ours.trains or not _has_gradients(module, expected):
                continue
            weights = _loss_weights(expected, rng)
            wanted = theirs.gradients(inputs, weights, train=train)
            found = homeward(home, ours.gradients(inputs, weights, train=train))
            norm = _norm(wanted)
            found |= {name: np.zeros_like(g) for name, g in wanted.items() if name not in found and not g.any()}
            assert set(found) >= set(wanted), f"gradients of {set(wanted) - set(found)} are missing, {where}"
            _compare(wanted, {name: found[name] for name in wanted}, tolerance * norm, f"gradients, {where}")
    state = {name: to_numpy(array) for name, array in theirs.module.state_dict(keep_vars=True).items()}
    mine = homeward(home, native_arrays(Target.parse(to), native))
    kept = {name: array for name, array in state.items() if name in mine}
    _compare(kept, {name: mine[name] for name in kept}, tolerance, f"arrays after training, {to}")
    lost = {
        name
        for name, buffer in module.named_buffers(remove_duplicate=False)
        if name not in mine
        and name in state
        and not np.array_equal(to_numpy(buffer), state[name])
        and not name.endswith("num_batches_tracked")  # read by cumulative averages alone
    }
    assert not lost, f"{to} does not keep {sorted(lost)}, which calls change"
    return native


def nested(tree: Any, arrays: Mapping[str, Any], path: str = "") -> Any:
    """Example inputs with the arrays of their paths in the places of the tensors."""
    below = f"{path}." if path else ""
    match tree:
        case dict():
            return {key: nested(child, arrays, f"{below}{key}") for key, child in tree.items()}
        case tuple() if hasattr(tree, "_fields"):
            children = zip(type(tree)._fields, tree, strict=True)
            return type(tree)(*(nested(child, arrays, f"{below}{key}") for key, child in children))
        case tuple() | list():
            return type(tree)(nested(child, arrays, f"{below}{i}") for i, child in enumerate(tree))
    return arrays.get(path, tree)


def native_arrays(target: Target, model: Any) -> dict[str, np.ndarray]:
    """The arrays of a live export by the names of its weight file."""
    import importlib

    return importlib.import_module(f"ivyhub.registry.adapters.{target.framework}.run").tensors(model)


def random_arrays(
    bound: Mapping[str, Any], dynamic: Dynamic, sizes: Mapping[str, int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Fresh arrays in the place of example inputs, by path: ``past.0``."""
    import torch

    made: dict[str, np.ndarray] = {}
    for top, tree in bound.items():
        for path, example in tree_leaves(tree, top):
            if not isinstance(example, torch.Tensor):
                continue
            shape = list(example.shape)
            for axis, name in dynamic.get(top, {}).items():
                shape[axis] = sizes[name]
            if example.dtype == torch.bool:
                made[path] = rng.random(shape) < 0.6
            elif example.dtype.is_floating_point:
                made[path] = to_numpy(torch.from_numpy(rng.standard_normal(shape)).to(example.dtype))
            else:
                low, high = (int(example.min()), int(example.max())) if example.numel() else (0, 1)
                made[path] = to_numpy(torch.from_numpy(rng.integers(low, high + 1, shape)).to(example.dtype))
    return made


def _smooth_arrays(
    original: TorchRunner,
    bound: Mapping[str, Any],
    dynamic: Dynamic,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    tolerance: float,
    *,
    train: bool,
) -> dict[str, np.ndarray]:
    """Random inputs at which the original has one gradient.

    Beside a kink (a ReLU at zero, a tie in a pooling window) rounding chooses between two gradients, and the original
    in another order of sums parts from itself. So inputs are drawn again while a nudge of the inputs and parameters by
    a few units in the last place moves the original's own gradients by half of the tolerance.
    """
    for _ in range(20):
        inputs = random_arrays(bound, dynamic, sizes, rng)
        probe = TorchRunner(copy.deepcopy(original.module), arrange=original.arrange)
        expected = probe.outputs(inputs, train=train)
        if not _has_gradients(probe.module, expected):
            break
        twin = TorchRunner(copy.deepcopy(probe.module), arrange=original.arrange)
        for parameter in twin.module.parameters():
            parameter.data = to_torch(_nudged(to_numpy(parameter), rng))
        nudged = {name: _nudged(array, rng) for name, array in inputs.items()}
        weights = _loss_weights(expected, rng)
        gradients = probe.gradients(inputs, weights, train=train)
        moved = twin.gradients(nudged, weights, train=train)
        bound_on_moves = tolerance / 2 * _norm(gradients)
        if all(np.abs(moved[name] - gradient).max(initial=0) <= bound_on_moves for name, gradient in gradients.items()):
            break
    return inputs


def _nudged(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if "float" not in array.dtype.name:
        return array
    unit = float(ml_dtypes.finfo(array.dtype).eps)
    step = 4 * unit if unit < 1e-6 else unit  # one unit of a narrow dtype is a good part of its tolerance
    return (array.astype(np.float64) * (1 + rng.choice([-step, step], array.shape))).astype(array.dtype)


def _has_gradients(module: Any, outputs: Sequence[np.ndarray]) -> bool:
    floating = any("float" in array.dtype.name for array in outputs)
    return floating and any(parameter.requires_grad for parameter in module.parameters())


def _loss_weights(outputs: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray | None]:
    return [rng.standard_normal(a.shape).astype(a.dtype) if "float" in a.dtype.name else None for a in outputs]


def _norm(gradients: Mapping[str, np.ndarray]) -> float:
    return max(1.0, *(float(np.linalg.norm(g.astype(np.float64))) for g in gradients.values()))


def _compare(
    expected: Mapping[Any, np.ndarray], received: Mapping[Any, np.ndarray], tolerance: float, what: str
) -> None:
    assert len(expected) == len(received), f"{what}: expected {len(expected)} arrays, received {len(received)}"
    for name, array in expected.items():
        other = received[name]
        assert array.shape == other.shape, f"{what} {name}: expected {array.shape}, received {other.shape}"
        wide = np.complex128 if array.dtype.kind == "c" else np.float64
        array, other = array.astype(wide), other.astype(wide)
        largest = max(
            1.0, float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
        )  # sums round by their largest term
        np.testing.assert_allclose(other, array, rtol=tolerance, atol=tolerance * largest, err_msg=f"{what} {name}")

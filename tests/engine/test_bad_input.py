"""What users get wrong: errors that name the function, what was expected and what was received, in every framework."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import Array, default_device, fori_loop, jit, nn, optim, random, to_framework
from ivyhub.engine.op import Op
from ivyhub.errors import (
    AxisError,
    DTypeError,
    EngineError,
    IvyhubError,
    MixedFrameworksError,
    NoLoweringError,
    ShapeError,
    UnknownDeviceError,
    UnknownFrameworkError,
)

Call = Callable[[ModuleType], Any]
"""A call that is wrong in the namespace that it is given."""


@pytest.fixture
def xp(framework: str) -> ModuleType:
    return importlib.import_module(f"ivyhub.engine.xp.{framework}")


def matrix(xp: ModuleType) -> Array:
    return xp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def elsewhere(xp: ModuleType, values: Any = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))) -> Array:
    """An array of another framework."""
    other = "torch" if not xp.__name__.endswith("torch") else "jax"
    return importlib.import_module(f"ivyhub.engine.xp.{other}").asarray(values)


MIXED: dict[str, Call] = {
    "add": lambda xp: matrix(xp) + elsewhere(xp),
    "concat": lambda xp: xp.concat([matrix(xp), elsewhere(xp)]),
    "where": lambda xp: xp.where(matrix(xp) > 0, matrix(xp), elsewhere(xp)),
    "asarray": lambda xp: xp.asarray(elsewhere(xp)),
    "take": lambda xp: xp.take(matrix(xp), elsewhere(xp, [0, 1]), axis=0),
    "linear": lambda xp: engine.linear(matrix(xp).native, elsewhere(xp).native, None),
    "indexing": lambda xp: matrix(xp)[elsewhere(xp, [0, 1])],
    "assignment": lambda xp: matrix(xp).__setitem__(0, elsewhere(xp, [1.0, 2.0, 3.0])),
}


@pytest.mark.parametrize("name", MIXED)
def test_frameworks_mixed(name: str, xp: ModuleType, framework: str) -> None:
    with pytest.raises(MixedFrameworksError, match=f"^{name} expected .*{framework}.*received.*\n  hint: "):
        MIXED[name](xp)


WRONG: dict[str, tuple[type[IvyhubError], str, Call]] = {
    # what is wrong: the class of the error, what its message matches, the call
    "no array": (EngineError, "^sin received no array", lambda xp: xp.sin(1.0)),
    "a list": (DTypeError, "^sum expected an array, received list", lambda xp: xp.sum([1, 2])),
    "bits of floats": (
        *(DTypeError, r"^bitwise_and: expected integer operands, received float\d\d"),
        lambda xp: matrix(xp) & matrix(xp),
    ),
    "a dtype": (
        DTypeError,
        "^astype: expected a dtype, received 'float33'",
        lambda xp: xp.astype(matrix(xp), "float33"),
    ),
    "a float as position": (DTypeError, "^indexing expected .*integers.*float", lambda xp: matrix(xp)[matrix(xp)[0]]),
    "floats to take by": (
        *(DTypeError, "^take expected an integer array of positions, received float"),
        lambda xp: xp.take(matrix(xp), matrix(xp)[0], axis=0),
    ),
    "a number too large": (
        *(DTypeError, r"^asarray: expected numbers that int8 holds, received \[300\]"),
        lambda xp: xp.asarray([300], dtype=xp.int8),
    ),
    "a number of many bits": (DTypeError, "^asarray: expected numbers of 64 bits", lambda xp: xp.asarray(2**70)),
    "ragged": (ShapeError, "^asarray: expected sequences of equal length", lambda xp: xp.asarray([[1], [2, 3]])),
    "broadcasting": (
        *(ShapeError, r"^add: shapes \(2, 3\) and \(4\) do not broadcast"),
        lambda xp: matrix(xp) + xp.asarray([1.0, 2.0, 3.0, 4.0]),
    ),
    "matmul": (ShapeError, r"^matmul: expected .*\[2, 3\]", lambda xp: matrix(xp) @ matrix(xp)),
    "rank": (ShapeError, r"matrix_transpose: .*\(3,\)", lambda xp: xp.matrix_transpose(matrix(xp)[0])),
    "axis": (AxisError, "^sum: expected an axis from -2 to 1, received 5", lambda xp: xp.sum(matrix(xp), axis=5)),
    "axes twice": (ShapeError, "^permute_dims: .*each axis once", lambda xp: xp.permute_dims(matrix(xp), (0, 0))),
    "positions": (AxisError, "^indexing expected .*2 axes or fewer, received 3", lambda xp: matrix(xp)[0, 0, 0]),
    "a position": (AxisError, "^indexing expected .*from -2 to 1 on axis 0, received 5", lambda xp: matrix(xp)[5]),
    "a position in place": (
        *(AxisError, "^indexing expected .*from -3 to 2 on axis 1, received -4"),
        lambda xp: matrix(xp).__setitem__((0, -4), 1.0),
    ),
    "a mask": (
        *(AxisError, r"^indexing expected a mask of \(2,\), received one of \(3,\)"),
        lambda xp: matrix(xp)[xp.asarray([True, False, True])],
    ),
    "a mask without elements": (
        *(AxisError, r"^indexing expected a mask of \(0, 3\), received one of \(1, 0\)"),
        lambda xp: matrix(xp)[:0][xp.zeros((1, 0), dtype=xp.bool)],
    ),
    "a value": (
        *(EngineError, r"^assignment: \w+ refused .*\[2, 3\], .*\[2\] with key=0: "),
        lambda xp: matrix(xp).__setitem__(0, xp.asarray([1.0, 2.0])),
    ),
    "a word": (
        DTypeError,
        "^add expected arrays of .*or numbers, received str",
        lambda xp: engine.add(matrix(xp).native, "a"),
    ),
    "nothing": (EngineError, r"^add: .*\[2, 3\].*None", lambda xp: engine.add(matrix(xp).native, None)),
    "a wrapped array": (
        *(DTypeError, r"^add expected .* received ivyhub\.engine\.array\.Array\n  hint: .*x\.native"),
        lambda xp: engine.add(matrix(xp).native, matrix(xp)),
    ),
    "the sign of a truth value": (EngineError, r"^negative: .*bool", lambda xp: -xp.asarray([True])),
    "what no rule looks at": (
        *(EngineError, r"^softmax: \w+ refused float\d\d\[2, 3\] with axis=5: .*\n  hint: help\(engine\.softmax\)"),
        lambda xp: engine.softmax(matrix(xp).native, axis=5),
    ),
    "bytes of copies": (ShapeError, "^tile: expected .*at most", lambda xp: xp.tile(matrix(xp), (2**31, 2**31))),
    "bytes of repetitions": (ShapeError, "^repeat: expected .*at most", lambda xp: xp.repeat(matrix(xp), 2**62)),
    "bytes that are broadcast": (
        *(ShapeError, "^broadcast_to: expected .*at most"),
        lambda xp: xp.broadcast_to(matrix(xp), (2**31, 2**31, 2, 3)),
    ),
    "bytes of an edge": (
        *(ShapeError, "^pad: expected .*at most"),
        lambda xp: engine.pad(matrix(xp).native, padding=((2**62, 2**62), (0, 0))),
    ),
    "bytes": (
        *(ShapeError, r"^zeros: expected a shape of at most 2\*\*63 - 1 bytes, received \(4611686018427387904, 4\)"),
        lambda xp: xp.zeros((2**62, 4)),
    ),
    "a size": (ShapeError, "^ones: expected .*at most.*received", lambda xp: xp.ones(2**64)),
    "bytes of a range": (ShapeError, "^arange: expected .*at most", lambda xp: xp.arange(2**62)),
    "bytes of a matrix": (ShapeError, "^eye: expected .*at most", lambda xp: xp.eye(2**40)),
    "a size below zero": (
        ShapeError,
        r"^zeros: expected sizes of 0 or more, received \(-1, 3\)",
        lambda xp: xp.zeros((-1, 3)),
    ),
    "a size with a fraction": (ShapeError, r"^zeros: expected a size .*2\.5", lambda xp: xp.zeros((2.5,))),
    "device": (UnknownDeviceError, "^zeros: .*abacus", lambda xp: xp.zeros(2, device="abacus")),
    "a number of a device": (UnknownDeviceError, "^zeros: .*cuda:7", lambda xp: xp.zeros(2, device="cuda:7")),
    "no device": (UnknownDeviceError, "^to_device expected a device", lambda xp: matrix(xp).to_device(None)),
    "default device": (UnknownDeviceError, "unknown device 'abacus'", lambda xp: default_device("abacus").__enter__()),
    "framework": (
        *(UnknownFrameworkError, "unknown framework 'caffe'\n  hint: choose one of"),
        lambda xp: to_framework(matrix(xp).native, "caffe"),
    ),
}


# What some framework would take: it leaves out what is too much, reads beyond its arrays, or does not know the word.
REFUSED: dict[str, tuple[str, Call]] = {
    "topk": ("expected k at most 3, received 9", lambda xp: engine.topk(matrix(xp).native, k=9)),
    "split": (
        r"expected sizes that add up to 3, received \(2, 2\)",
        lambda xp: engine.split(matrix(xp).native, sizes=(2, 2), axis=1),
    ),
    "reshape": (
        r"expected sizes of 0 or more, or -1, received \(-2, 3\)",
        lambda xp: engine.reshape(matrix(xp).native, (-2, 3)),
    ),
    "interpolate": (
        "expected the mode nearest, .*received 'best'",
        lambda xp: engine.interpolate(xp.ones((1, 2, 4)).native, size=(8,), mode="best"),
    ),
    "scatter_reduce": (
        "expected the reduction sum, .*received 'most'",
        lambda xp: engine.scatter_reduce(
            matrix(xp).native, xp.asarray([[0], [1]]).native, matrix(xp)[:, :1].native, axis=1, reduction="most"
        ),
    ),
    "conv": (
        r"expected strides for each of 1 spatial axes of .*received \(1, 1\)",
        lambda xp: engine.conv(xp.ones((1, 2, 4)).native, xp.ones((2, 2, 3)).native, strides=(1, 1)),
    ),
    "max_pool": (
        "expected kernel for each of 2 spatial axes",
        lambda xp: engine.max_pool(xp.ones((1, 2, 4, 4)).native, kernel=(2,)),
    ),
    "attention": (
        "expected matching queries, keys and values",
        lambda xp: engine.attention(
            *(xp.ones((1, 1, size, 4)).native for size in (2, 3, 5)),
        ),
    ),
    "gru": (
        "expected states of .*received",
        lambda xp: engine.gru(
            xp.ones((2, 1, 3)).native,
            xp.ones((4, 1, 2)).native,
            [xp.ones(shape).native for shape in ((6, 3), (6, 2), (6,), (6,))],
        ),
    ),
    "cross_entropy": (
        "expected a weight for each class of",
        lambda xp: engine.cross_entropy(matrix(xp).native, xp.asarray([0, 1]).native, xp.ones(4).native),
    ),
    "embedding": (
        r"expected a table \(rows, features\), received",
        lambda xp: engine.embedding(xp.asarray([0, 1]).native, matrix(xp)[0].native),
    ),
    "pixel_shuffle": (
        "expected channels that 3² divides",
        lambda xp: engine.pixel_shuffle(xp.ones((1, 4, 2, 2)).native, upscale_factor=3),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_framework_would_take(name: str, xp: ModuleType) -> None:
    words, call = REFUSED[name]
    with pytest.raises(EngineError, match=f"^{name}: {words}"):
        call(xp)


def test_a_call_after_a_right_one_is_looked_at_too(xp: ModuleType) -> None:
    x = xp.asarray([3.0, 1.0, 2.0])
    values, _ = engine.topk(x.native, k=3)
    assert np.asarray(Array(values)).tolist() == [3, 2, 1]
    with pytest.raises(ShapeError, match=r"^topk: expected k at most 2, received 3"):
        engine.topk(x[:2].native, k=3)


def test_an_operation_that_a_framework_lacks(xp: ModuleType, framework: str) -> None:
    def half(x: Any, /) -> Any:
        """x / 2."""

    op = Op(half, lambda x: x, primitive=True).lower("torch" if framework != "torch" else "jax", "{x} / 2")
    words = rf"^half cannot be written in {framework} for float\d\d\[2, 3\].*\n  hint: call it in another framework"
    with pytest.raises(NoLoweringError, match=words):
        op(matrix(xp).native)


def test_frameworks_mixed_on_the_way(xp: ModuleType, framework: str) -> None:
    with pytest.raises(
        MixedFrameworksError, match=f"^(fori|while)_loop expected arrays of one framework .*{framework}"
    ):
        fori_loop(0, 2, lambda i, carry: elsewhere(xp).native, matrix(xp).native)
    model = nn.Linear(3, 2).init(random.key(0, framework))
    gradient = nn.Linear(3, 2).init(random.key(0, "torch" if framework != "torch" else "jax"))
    optimizer = optim.SGD(0.1)
    with pytest.raises(MixedFrameworksError, match=f"^SGD expected arrays of one framework, .*{framework}"):
        optimizer.update(model, gradient, optimizer.init(model))


@pytest.mark.parametrize("case", WRONG)
def test_wrong_calls(case: str, xp: ModuleType) -> None:
    kind, words, call = WRONG[case]
    with pytest.raises(kind, match=words):
        call(xp)


def test_integers_that_jax_would_cut_off(framework: str) -> None:
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    if xp.asarray(1).dtype == xp.int64:
        assert int(xp.asarray(2**40)) == 2**40
    else:
        with pytest.raises(
            DTypeError, match=r"^asarray: expected integers that int32 holds, received .* 1099511627776"
        ):
            xp.asarray(2**40)


def test_a_framework_that_changes_inside_jit(framework: str) -> None:
    other = "torch" if framework != "torch" else "jax"
    x = to_framework(np.ones(3, np.float32), framework)
    y = to_framework(np.ones(3, np.float32), other)
    with pytest.raises(MixedFrameworksError, match=rf"^add expected arrays of {framework}, received .*\n  hint: "):
        jit(lambda x: engine.add(x, y))(x)
    with pytest.raises(MixedFrameworksError, match=rf"^jit expected .* {framework} and {other}"):
        jit(lambda x, y: x)(x, y)

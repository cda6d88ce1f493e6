"""`Array` and the namespaces of the standard, against NumPy. The standard's own suite runs by ``make array-api``."""

from __future__ import annotations

import importlib
import itertools
import operator
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import Array
from ivyhub.engine.backends import dtype_name
from ivyhub.engine.native.keys import checked, is_plain
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.errors import AxisError, DTypeError, EngineError, MixedFrameworksError, ShapeError, UnknownDeviceError
from tests.arrays import assert_close

OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge")
# PyTorch has no kernels of its own for most operations on these.
UNSIGNED = ("uint16", "uint32", "uint64")


@pytest.fixture
def xp(framework: str) -> ModuleType:
    return importlib.import_module(f"ivyhub.engine.xp.{framework}")


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str, xp: ModuleType, rng: np.random.Generator) -> None:
    x, y = rng.uniform(1, 9, (2, 3, 4)).astype(np.float32)
    for second in (y, 2.5):
        for reflected in (False, True):
            ours = [xp.asarray(x), second if isinstance(second, float) else xp.asarray(second)]
            theirs = [x, np.float32(second)] if isinstance(second, float) else [x, second]
            if reflected:
                ours.reverse()
                theirs.reverse()
            found = np.asarray(getattr(operator, name)(*ours))
            # float32, one operation: a few units in the last place, more where pow multiplies them by the exponent.
            assert_close(found, getattr(operator, name)(*theirs), 1e-5)


def test_complex_numbers_beside_real_arrays(xp: ModuleType, rng: np.random.Generator) -> None:
    """The arrays are complex then, in the same precision; traced ones, too."""
    x, number = rng.uniform(1, 2, (2, 3)).astype(np.float32), complex(*rng.uniform(1, 2, 2))
    names = ("add", "sub", "mul", "truediv", "pow", "eq", "ne")
    for name in names:
        for order in (1, -1):
            found = getattr(operator, name)(*(xp.asarray(x), number)[::order])
            wanted = getattr(operator, name)(*(x, np.complex64(number))[::order])
            assert dtype_name(found.dtype) == wanted.dtype.name
            assert_close(np.asarray(found), wanted, 1e-5)  # pow: a few units in the last place of its logarithm
    assert_close(np.asarray(xp.where(xp.asarray(x) > 1.5, xp.asarray(x), number)), np.where(x > 1.5, x, number), 1e-6)
    graph = trace(lambda x: (x * number, number + x, np.complex64(number) - x), Spec((2, 3), "float32"))
    assert [value.dtype for value in graph.outputs] == ["complex64"] * 3
    with pytest.raises(DTypeError, match="beside int32"):
        trace(lambda x: x * number, Spec((), "int32"))
    with pytest.raises(DTypeError):
        xp.clip(xp.asarray(x), number)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_unsigned_integers_to_their_limits(dtype: str, xp: ModuleType, rng: np.random.Generator) -> None:
    dtype = dtype_name(xp.zeros(1, dtype=getattr(xp, dtype)).dtype)  # JAX has 64-bit types in its x64 mode alone
    limit = np.iinfo(dtype).max
    x, y = rng.integers(0, limit, (2, 40), dtype=dtype, endpoint=True)
    y = np.maximum(np.where(np.arange(40) % 2, y, y % 9), 1).astype(dtype)
    shift = (y % 15).astype(dtype)
    for name in ("add", "subtract", "multiply", "floor_divide", "remainder", "less", "greater_equal", "maximum"):
        np.testing.assert_array_equal(getattr(xp, name)(xp.asarray(x), xp.asarray(y)), getattr(np, name)(x, y), name)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        found = getattr(xp, name)(xp.asarray(x), xp.asarray(shift))
        np.testing.assert_array_equal(found, getattr(np, name)(x, shift), name)
    for name in ("max", "min", "argmax", "sort", "argsort", "flip"):
        stable = {"kind": "stable"} if name == "argsort" else {}  # two of 40 may be equal
        np.testing.assert_array_equal(getattr(xp, name)(xp.asarray(x)), getattr(np, name)(x, **stable), name)


KEYS: tuple[Any, ...] = (
    (),
    0,
    -1,
    slice(None, None, -1),
    slice(4, None, -2),
    (slice(1, 3), None, -1),
    (..., slice(None, 0, -1)),
    (None, ..., 2, slice(None)),
    np.array([2, 0, -1]),
    (np.array([[0], [1]]), np.array([2, 0])),
    (0, np.array([1, 3])),
    (np.array([1, 3]), slice(None, None, 2)),
    np.arange(5) % 2 == 0,
    np.arange(60).reshape(5, 4, 3) % 7 < 3,
    (slice(None), np.array([True, False, True, True])),
)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key: Any, xp: ModuleType, rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 4, 3)).astype(np.float32)
    lifted = tuple(map(lift(xp), key)) if isinstance(key, tuple) else lift(xp)(key)
    np.testing.assert_array_equal(xp.asarray(x)[lifted], x[key])
    for value in (7.0, rng.normal(size=x[key].shape).astype(np.float32)):
        changed, wanted = xp.asarray(x, copy=True), x.copy()
        changed[lifted] = value if isinstance(value, float) else xp.asarray(value)
        wanted[key] = value
        np.testing.assert_array_equal(changed, wanted)


def test_plain_keys_are_those_that_numpy_takes() -> None:
    """Every key of up to four items over small pools: what goes to a framework unchecked is in range."""
    pool = (0, 1, -1, 2, -3, 5, None, ..., slice(1, 9), slice(-1, None, 2), slice(None, None, -1), True, 1.5)
    plain = 0
    for shape in ((), (2,), (2, 3)):
        for length in range(4):
            for key in itertools.product(pool, repeat=length):
                if is_plain(key, shape):
                    plain += 1
                    assert np.empty(shape)[checked(key, shape, "numpy")].size <= 6
                    assert all(type(item) in (int, slice, type(None), type(...)) for item in key)
    assert plain > 300


@pytest.mark.parametrize("key", [3, -4, (0, 3), (..., 4), (0, 0, 0), (..., ...), (1.0, 0), ("x",)], ids=str)
def test_keys_out_of_range(key: Any, xp: ModuleType) -> None:
    x = xp.zeros((3, 3))
    for use in (x.__getitem__, lambda key: x.__setitem__(key, 1.0)):
        with pytest.raises(AxisError, match="indexing expected"):
            use(key)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "float32", "complex64"])
def test_numbers_are_assigned_as_numpy_does(dtype: str, xp: ModuleType) -> None:
    inexact = dtype in ("float32", "complex64")
    for number in (
        True,
        *((5,) if dtype != "bool" else ()),
        *((-2.75, -0.0, 1e300, float("inf"), float("nan")) if inexact else ()),
    ):
        for key in (1, slice(None, None, -1)):
            x, host = xp.zeros(3, dtype=getattr(xp, dtype)), np.zeros(3, dtype)
            with np.errstate(over="ignore"):  # float32 has no 1e300
                x[key] = host[key] = number
            np.testing.assert_array_equal(x, host)
            np.testing.assert_array_equal(np.signbit(np.asarray(x).real), np.signbit(host.real))


def lift(xp: ModuleType) -> Any:
    return lambda item: xp.asarray(item) if isinstance(item, np.ndarray) else item


def test_nothing_that_was_made_before_changes(xp: ModuleType) -> None:
    """Functions whose result equals their argument give memory of its own."""
    for make in (lambda x: +x, lambda x: xp.astype(x, x.dtype), lambda x: xp.asarray(x, copy=True), xp.trunc):
        x = xp.asarray([1.0, 2.0])
        y = make(x)
        x[0] = 5.0
        np.testing.assert_array_equal(y, [1.0, 2.0])


def test_in_place_keeps_dtype_and_shape(xp: ModuleType) -> None:
    x = y = xp.asarray([1, 2])
    x += 3
    assert x is y
    np.testing.assert_array_equal(x, [4, 5])
    with pytest.raises(DTypeError, match="in place"):
        x += xp.asarray([1.5, 2.5])


def test_one_element_is_a_number(xp: ModuleType) -> None:
    assert (int(xp.asarray(3)), float(xp.asarray(0.5)), bool(xp.asarray([True])), complex(xp.asarray(1j))) == (
        *(3, 0.5, True),
        1j,
    )
    assert [10, 20, 30][xp.asarray(1)] == 20
    with pytest.raises(ShapeError, match=r"expected one element.*\(2,\)"):
        bool(xp.asarray([1, 2]))
    with pytest.raises(DTypeError, match="integer as an index"):
        operator.index(xp.asarray(1.0))


def test_exchange(xp: ModuleType, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2)).astype(np.float32)
    ours = xp.asarray(x)
    assert ours.__array_namespace__() is xp
    np.testing.assert_array_equal(np.from_dlpack(ours), x)
    np.testing.assert_array_equal(xp.from_dlpack(np.array(x)), x)
    assert ours.__dlpack_device__() == (1, 0)
    from ivyhub.engine.xp import numpy as numpy_xp

    assert isinstance(np.array(x) + numpy_xp.asarray(x), Array)  # not an object array of NumPy's making


def test_versions_of_the_standard(xp: ModuleType) -> None:
    x = xp.asarray([1.0, 2.0])
    assert x.__array_namespace__(api_version="2025.12") is xp
    for version in ("2023.12", "2024.12"):
        earlier = x.__array_namespace__(api_version=version)
        assert earlier is x.__array_namespace__(api_version=version)
        assert earlier.__array_api_version__ == version
        assert [type(each) for each in earlier.broadcast_arrays(x, x)] == [Array, Array]
        lists = (earlier.broadcast_arrays(x), earlier.meshgrid(x), earlier.__array_namespace_info__().devices())
        tuples = (xp.broadcast_arrays(x), xp.meshgrid(x), xp.__array_namespace_info__().devices())
        assert {*map(type, lists)} == {list}
        assert {*map(type, tuples)} == {tuple}
        assert earlier.sum is xp.sum
        assert earlier.linalg is xp.linalg
    # In 2022.12 the sum of float32 was of the default dtype, which is float64 in NumPy.
    for version in ("1999", "2022.12"):
        with pytest.raises(EngineError, match=rf"2025\.12, received '{version}'"):
            x.__array_namespace__(api_version=version)


def test_unique_counts_every_nan(xp: ModuleType) -> None:
    values, indices, inverse, counts = xp.unique_all(xp.asarray([2.0, float("nan"), 1.0, 2.0, float("nan")]))
    np.testing.assert_array_equal(values, [1.0, 2.0, np.nan, np.nan])
    np.testing.assert_array_equal(indices, [2, 0, 1, 4])
    np.testing.assert_array_equal(inverse, [1, 2, 0, 1, 3])
    np.testing.assert_array_equal(counts, [1, 2, 1, 1])


def test_errors(xp: ModuleType, framework: str) -> None:
    other = importlib.import_module(f"ivyhub.engine.xp.{'torch' if framework == 'numpy' else 'numpy'}")
    with pytest.raises(MixedFrameworksError, match="add expected arrays of"):
        xp.asarray([1.0]) + other.asarray([1.0])
    with pytest.raises(AxisError, match="from -1 to 0, received 2"):
        xp.sum(xp.asarray([1.0]), axis=2)
    with pytest.raises(UnknownDeviceError, match="nowhere"):
        xp.zeros(1, device="nowhere")
    with pytest.raises(DTypeError, match="expected an array of a framework, received list"):
        Array([1, 2])
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray([1, 2], copy=False)


def test_native_arrays_in_and_out(framework: str, xp: ModuleType) -> None:
    x = xp.asarray([[1.0, 2.0], [3.0, 5.0]]).native
    assert type(engine.sum(x, axis=0)) is type(engine.softmax(x))
    assert_close(np.asarray(Array(engine.linalg.det(x))), -1.0, 1e-5)
    assert Array(engine.zeros((2,), framework=framework)).framework == framework
    with pytest.raises(EngineError, match=r"zeros.*its framework is unknown"):
        engine.zeros((2,))


@pytest.mark.parametrize("name", ["nonzero", "unique_values"])
def test_sizes_that_depend_on_values_cannot_be_traced(name: str) -> None:
    with pytest.raises(EngineError, match="size depends on values"):
        trace(getattr(engine, name), Spec(("n",), "float32"))


def test_functions_of_the_standard_are_traced() -> None:
    """With the nodes of a hand-written program: no cast, copy or check is added."""
    graph = trace(lambda x: engine.expand_dims(engine.sum(x, axis=0), axis=0) / 2.0, Spec((4, 3), "float32"))
    assert [node.op for node in graph.nodes] == ["sum", "reshape", "divide"]


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import ivyhub.engine; dir(ivyhub.engine); ivyhub.engine.sum", set()),
        ("import ivyhub.engine.xp.numpy", set()),
        ("import ivyhub.engine.xp.torch", {"torch"}),
    ],
)
def test_imports_load_one_framework(code: str, loaded: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert {"torch", "jax", "tensorflow"} & {*done.stdout.split()} == loaded


_NUMPY = {
    "mean": lambda x: (np.mean(x), np.mean(x, axis=1, keepdims=True), np.mean(x, dtype=np.float64)),
    "sum": lambda x: np.sum(x, axis=0),
    "reshape": lambda x: np.reshape(x, (3, 2), order="F"),
    "percentile": lambda x: np.percentile(x, 30),
    "concatenate": lambda x: np.concatenate([x, np.ones((1, 3), np.float32)]),
    "transpose": np.transpose,
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "fft": np.fft.fft,
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "exp": np.exp,
    "hypot": lambda x: np.hypot(x, 1),
    "reduce": lambda x: np.add.reduce(x, axis=0),
    "where": lambda x: np.where(x > 0.5, x, 0),
    "out": lambda x: np.add(x, 1, out=np.zeros((2, 3), np.float32)),
}


@pytest.mark.parametrize("name", _NUMPY)
def test_functions_of_numpy_give_arrays_of_numpy(name: str, xp: ModuleType, rng: np.random.Generator) -> None:
    host = rng.uniform(0.1, 0.9, (2, 3)).astype(np.float32)
    results = (_NUMPY[name](xp.asarray(host)), _NUMPY[name](host))
    for ours, theirs in zip(*(each if isinstance(each, tuple) else (each,) for each in results), strict=True):
        assert isinstance(ours, np.ndarray | np.generic)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_operators_with_arrays_of_numpy_are_ours(rng: np.random.Generator) -> None:
    host = rng.integers(1, 9, (2, 3))
    x = Array(rng.integers(1, 9, (2, 3)))
    for function in (
        operator.add,
        operator.sub,
        operator.truediv,
        operator.lt,
        operator.ge,
        operator.eq,
        operator.lshift,
    ):
        for first, second in ((host, x), (x, host), (np.int64(5), x)):
            found = function(first, second)
            assert type(found) is Array
            np.testing.assert_array_equal(found.native, function(np.asarray(first), np.asarray(second)))
    assert type(host[0] @ x.T) is Array
    before = host.copy()
    host += x
    np.testing.assert_array_equal(host, before + x.native)
    with pytest.raises(ValueError, match="read-only"):
        np.copyto(x, 0)


def test_functions_of_numpy_lose_no_gradient() -> None:
    torch = pytest.importorskip("torch")
    x = Array(torch.ones(3, requires_grad=True))
    for function in (np.mean, np.exp, lambda x: np.stack([x, x])):
        with pytest.raises(DTypeError, match="without a gradient"):
            function(x)


def test_arrays_of_many_axes(xp: ModuleType) -> None:
    host = np.arange(24).reshape(2, 1, 3, 1, 1, 2, 1, 1, 2)
    x = xp.asarray(host)
    last = (slice(None),) * 8
    for key in ((1,), (..., -1), (0, 0, slice(None, None, -1)), (None, 1, ..., slice(1)), (*last, 1), (1,) + (0,) * 7):
        np.testing.assert_array_equal(x[key], host[key])
    np.testing.assert_array_equal(x[xp.asarray([1, 0])], host[[1, 0]])
    np.testing.assert_array_equal(x[x > 20], host[host > 20])
    np.testing.assert_array_equal(xp.reshape(x, (4, 6))[1], host.reshape(4, 6)[1])
    x[1, ..., 0] = 7
    host[1, ..., 0] = 7
    np.testing.assert_array_equal(x, host)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_cross_product_of_unsigned_integers(dtype: str, xp: ModuleType, rng: np.random.Generator) -> None:
    dtype = dtype_name(xp.zeros(1, dtype=getattr(xp, dtype)).dtype)
    x, y = rng.integers(0, np.iinfo(dtype).max, (2, 4, 3), dtype=dtype)
    for first in (x, x.astype("uint8")):
        found = xp.linalg.cross(xp.asarray(first), xp.asarray(y))
        np.testing.assert_array_equal(found, np.cross(first.astype(dtype), y))


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_unsigned_integers_are_taken_along_an_axis(dtype: str, xp: ModuleType) -> None:
    dtype = dtype_name(xp.zeros(1, dtype=getattr(xp, dtype)).dtype)
    x = np.array([[0, np.iinfo(dtype).max, 5]], dtype)
    order = np.array([[2, 0, 1]])
    found = xp.take_along_axis(xp.asarray(x), xp.asarray(order), axis=1)
    np.testing.assert_array_equal(found, np.take_along_axis(x, order, 1))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", *UNSIGNED])
def test_positions_of_any_integer_dtype(dtype: str, xp: ModuleType, rng: np.random.Generator) -> None:
    """From both ends of an axis that is longer than the smallest dtypes count."""
    host = rng.uniform(1, 9, (300, 2)).astype(np.float32)
    ends = (0 if dtype.startswith("u") else -100, 100)
    dtype = dtype_name(xp.zeros(1, dtype=getattr(xp, dtype)).dtype)  # JAX has no 64 bits outside of its x64 mode
    x = xp.asarray(host)
    lines, column = rng.integers(*ends, (5, 2)).astype(dtype), rng.integers(*ends, (5, 1)).astype(dtype)
    for places in (lines, column):
        found = xp.take_along_axis(x, xp.asarray(places), axis=0)
        np.testing.assert_array_equal(found, np.take_along_axis(host, places.astype(int), 0))
    row = column[:, 0]
    np.testing.assert_array_equal(xp.take(x, xp.asarray(row), axis=0), host[row])
    np.testing.assert_array_equal(xp.take(xp.permute_dims(x, (1, 0)), xp.asarray(row), axis=1), host.T[:, row])
    np.testing.assert_array_equal(x[xp.asarray(row)], host[row])
    np.testing.assert_array_equal(x[xp.asarray(row), 1], host[row, 1])
    x[xp.asarray(row), 0] = 0
    host[row, 0] = 0
    np.testing.assert_array_equal(x, host)

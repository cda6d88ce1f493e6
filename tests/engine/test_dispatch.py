"""Calls of operations on native arrays: dtypes that differ, kernels that are kept, errors that explain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import ops
from ivyhub.engine.backends import dtype_name
from ivyhub.engine.dims import Dim
from ivyhub.engine.promotion import promote, result_dtype
from ivyhub.engine.spec import Spec
from ivyhub.engine.trace import trace
from ivyhub.errors import DTypeError, MixedFrameworksError, ShapeError
from tests.arrays import as_numpy, assert_close, native

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMBERS = ("bool", *INTEGERS, "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize(("first", "second"), [*itertools.product(NUMBERS, NUMBERS)])
def test_promotion_within_a_kind_is_numpys(first: str, second: str) -> None:
    """Oracle: NumPy, which implements the standard's tables; across kinds the higher one keeps its width."""
    kinds = ["biufc".index(np.dtype(name).kind) for name in (first, second)]
    same = kinds[0] == kinds[1] or set(kinds) == {1, 2}
    wanted = np.result_type(first, second).name
    if same and wanted == "float64" and set(kinds) == {1, 2}:  # NumPy has no integer for uint64 beside int64
        with pytest.raises(DTypeError, match="no dtype holds both"):
            promote(first, second)
    elif same or set(kinds) == {3, 4}:
        assert promote(first, second) == wanted
    else:
        assert promote(first, second) == max((kinds[0], first), (kinds[1], second))[1]


def test_half_precision_and_bfloat16_meet_in_float32() -> None:
    assert promote("float16", "bfloat16") == "float32"


def test_a_scalar_adopts_the_dtype_beside_it() -> None:
    assert result_dtype([Spec((), "float32"), 2]) == "float32"
    with pytest.raises(DTypeError, match=r"received 1\.5"):
        result_dtype([Spec((), "int64"), 1.5])


def test_operands_of_two_dtypes(framework: str, rng: np.random.Generator) -> None:
    numbers, counts = rng.normal(size=(3,)).astype(np.float32), rng.integers(0, 9, (3,)).astype(np.int32)
    found = ops.add(native(framework, numbers), native(framework, counts))
    assert dtype_name(found.dtype) == "float32"
    np.testing.assert_array_equal(as_numpy(found), numbers + counts.astype(np.float32))
    joined = ops.concat([native(framework, counts), native(framework, numbers)], axis=0)
    np.testing.assert_array_equal(as_numpy(joined), np.concatenate([counts.astype(np.float32), numbers]))


def test_variables_and_symbols_of_keras_are_operands(rng: np.random.Generator) -> None:
    tf, keras = pytest.importorskip("tensorflow"), pytest.importorskip("keras")
    numbers = rng.normal(size=(2, 3)).astype(np.float32)
    variable, array = tf.Variable(numbers[0]), tf.constant(numbers[1])
    with tf.GradientTape() as tape:
        found = ops.multiply(ops.add(variable, array), variable)
    np.testing.assert_array_equal(as_numpy(found), (numbers[0] + numbers[1]) * numbers[0])
    assert_close(tape.gradient(found, variable), numbers[0] + numbers[0] + numbers[1], 1e-6)  # two roundings
    np.testing.assert_array_equal(as_numpy(ops.subtract(keras.Variable(numbers[0]), array)), numbers[0] - numbers[1])
    symbol = keras.Input((3,))
    model = keras.Model(symbol, ops.add(symbol, symbol))
    np.testing.assert_array_equal(as_numpy(model(numbers)), numbers + numbers)


def test_a_graph_holds_the_casts() -> None:
    n = Dim.symbol("n")
    graph = trace(lambda x, y: ops.multiply(x, y), Spec((n,), "int32"), Spec((n,), "float32"))
    assert [node.op for node in graph.nodes] == ["astype", "multiply"]


def test_attributes_that_are_equal_but_not_alike(framework: str) -> None:
    for value in (0.0, -0.0, 0.0):
        found = as_numpy(ops.full.on(framework, shape=(1,), fill_value=value, dtype="float32"))
        assert np.signbit(found[0]) == np.signbit(value)


def test_errors_name_the_operation_and_what_it_received(framework: str) -> None:
    ops.matmul(native(framework, np.ones((2, 3))), native(framework, np.ones((3, 2))))
    with pytest.raises(ShapeError, match=r"matmul: .*2, 3"):
        ops.matmul(native(framework, np.ones((2, 3))), native(framework, np.ones((2, 3))))
    other = "numpy" if framework != "numpy" else "torch"
    with pytest.raises(MixedFrameworksError, match=f"add expected arrays of {framework}"):
        ops.add(native(framework, np.ones(2)), native(other, np.ones(2)))


def test_numbers_that_numpy_computed(framework: str) -> None:
    """As SciPy passes them: sizes from np.cumsum, a number in an array without axes."""
    x = native(framework, np.ones((1, 3), np.float32))
    assert tuple(ops.broadcast_to(x, shape=(np.int64(2), 3)).shape) == (2, 3)
    assert tuple(ops.sum(x, axis=np.int64(1)).shape) == (1,)
    number = native(framework, np.array(2.5, np.float32))
    np.testing.assert_array_equal(as_numpy(engine.full((2,), number, framework=framework)), [2.5, 2.5])


@pytest.mark.parametrize(
    "dtype", [np.dtype("float32", metadata={"unit": "m"}), np.dtype(">f4")], ids=["metadata", "bytes"]
)
def test_dtypes_that_are_equal_need_not_be_one_object(dtype: np.dtype, rng: np.random.Generator) -> None:
    x = rng.normal(size=3).astype("float32")
    np.testing.assert_array_equal(ops.add(x, x.astype(dtype)), x + x)
    np.testing.assert_array_equal(ops.multiply(x.astype(dtype), x), x * x)

"""Infinities, nans, zeros with a sign and branch cuts: every framework against NumPy, whose C library has C99's."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine import ops
from tests.arrays import as_numpy, native

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of what it is asked for here

_PARTS = (np.inf, -np.inf, np.nan, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0)
_COMPLEX = np.array([complex(*pair) for pair in itertools.product(_PARTS, _PARTS)], np.complex64)
_REAL = np.array([*_PARTS, 1e30, -1e30, 1e-30], np.float32)
# Functions of float32 in four libraries: some units in the last place (6e-8) apart, more of them beside branch points.
_TOLERANCE = 1e-5

_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_NAMES |= {name + "h": f"{numpy}h" for name, numpy in _NAMES.items()}


@pytest.fixture(autouse=True)
def negative_zero(framework: str) -> None:
    """TensorFlow's cache of scalars takes 0.0 for -0.0 once it has seen one: no result may depend on that."""
    if framework == "tensorflow":
        import tensorflow as tf

        tf.constant(-0.0)


_FUNCTIONS = (*_NAMES, "cos", "cosh", "exp", "log", "log10", "log2", "sin", "sinh", "sqrt", "tan", "tanh", "abs")


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_complex(name: str, framework: str) -> None:
    """Where C99 leaves a sign open (of an infinity beside nan, of a zero from an argument that is not finite) it is."""
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    found = np.asarray(getattr(xp, name)(xp.asarray(_COMPLEX)))
    wanted = getattr(np, _NAMES.get(name, name))(_COMPLEX)
    assert found.dtype == wanted.dtype
    for ours, theirs, beside in (
        (found.real, wanted.real, np.isnan(wanted.imag)),
        (found.imag, wanted.imag, np.isnan(wanted.real)),
    ):
        endless = np.isinf(theirs) & beside
        ours, theirs = np.where(endless, np.abs(ours), ours), np.where(endless, np.abs(theirs), theirs)
        np.testing.assert_allclose(ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE)
        zero = (theirs == 0) & np.isfinite(_COMPLEX)
        near = zero & (ours != 0)  # a rounded zero has the sign of its error
        signs = np.signbit(ours) == np.signbit(theirs)
        assert signs[zero & ~near].all(), _COMPLEX[zero & ~near & ~signs]


@pytest.mark.parametrize("name", ["trunc", "sign", "hypot", "logaddexp", "floor_divide", "remainder"])
def test_real(name: str, framework: str) -> None:
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    if name in ("trunc", "sign"):
        operands: tuple[np.ndarray, ...] = (_REAL,)
    else:
        operands = tuple(each.ravel() for each in np.meshgrid(_REAL, _REAL))
    found = np.asarray(getattr(xp, name)(*map(xp.asarray, operands)))
    if name == "floor_divide":  # NumPy gives nan for an infinite dividend, the standard the quotient
        quotient = operands[0] / operands[1]
        wanted = np.where(np.isfinite(quotient), np.floor(quotient), quotient)
    else:
        wanted = getattr(np, name)(*operands)
    np.testing.assert_allclose(found, wanted, rtol=_TOLERANCE, atol=0)
    zero = wanted == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(wanted[zero]))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_number_that_is_zero_keeps_its_sign(zero: float, framework: str) -> None:
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    host = np.array([0.0, -0.0, 1.0, -1.0], np.float32)
    x = xp.asarray(host)
    for found, wanted in (
        *((x + zero, host + zero), (zero + x, zero + host), (x - zero, host - zero), (zero - x, zero - host)),
        *((x * zero, host * zero), (1 / (x * 0 + zero), 1 / (host * 0 + zero))),
        (xp.copysign(x, zero), np.copysign(host, zero)),
        (xp.where(x > 0, x, zero), np.where(host > 0, host, zero)),
        (engine.where((x > 0).native, x.native, zero), np.where(host > 0, host, zero)),
        (xp.full(2, zero), np.full(2, zero)),
    ):
        np.testing.assert_array_equal(np.signbit(np.asarray(found)), np.signbit(wanted))
    x[:2] = zero
    np.testing.assert_array_equal(np.signbit(np.asarray(x)), np.signbit([zero, zero, 1, -1]))


@pytest.mark.parametrize("name", ["divide", "reciprocal"])
def test_complex_quotients(name: str, framework: str) -> None:
    """A number with one infinite part is infinite (C99, annex G); NumPy and PyTorch lose one where both parts are."""
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    first, second = (each.ravel() for each in np.meshgrid(_COMPLEX, _COMPLEX))
    first = np.ones_like(second) if name == "reciprocal" else first
    a, b = xp.asarray(first), xp.asarray(second)
    found = np.asarray(a / b if name == "divide" else xp.reciprocal(b))
    endless = [np.isinf(x.real) | np.isinf(x.imag) for x in (first, second)]
    finite = [np.isfinite(x) for x in (first, second)]
    once = np.isfinite(second.real) | np.isfinite(second.imag), np.isfinite(first.real) | np.isfinite(first.imag)
    assert not found[finite[0] & endless[1] & once[0]].any()
    grows = (endless[0] & once[1] & finite[1]) | (finite[0] & (first != 0) & (second == 0))
    assert (np.isinf(found.real) | np.isinf(found.imag))[grows].all()
    plain = finite[0] & finite[1] & (second != 0)
    np.testing.assert_allclose(found[plain], first[plain] / second[plain], rtol=_TOLERANCE)


def test_complex_powers_of_zero(framework: str) -> None:
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    x = xp.asarray([0j, 0j, 0j, 2j, complex("inf"), complex("nan")])
    found = np.asarray(x ** xp.asarray([0j, 2 + 0j, 1 + 1j, 0j, 0j, 0j]))
    np.testing.assert_array_equal(found, [1, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_factors_of_the_largest_and_the_smallest_matrices(dtype: str, framework: str, rng: np.random.Generator) -> None:
    """Squares of lengths overflow or vanish in a kernel that does not scale (https://netlib.org/lapack, dlarfg)."""
    if framework == "jax" and dtype in ("float64", "complex128"):
        dtype = {"float64": "float32", "complex128": "complex64"}[dtype]  # those of its x64 mode
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    limits = np.finfo(dtype)
    near = rng.uniform(-0.2, 0.2, (3, 4, 3)) + 2 * np.eye(4, 3)  # far from a singular one
    near = (near * (0.5 + 0.5j) if "complex" in dtype else near).astype(dtype)
    powers = np.array([float(limits.tiny) * 2**50, 1, float(limits.max) / 2**10], limits.dtype).reshape(3, 1, 1)
    powers = 2 ** np.floor(np.log2(powers))  # parts of 2**-24 of the smallest are no subnormal numbers yet
    for mode, inner in (("reduced", 3), ("complete", 4)):
        q, r = (np.asarray(each) for each in xp.linalg.qr(xp.asarray(near * powers), mode=mode))
        tolerance = 1e3 * float(limits.eps)  # sums of a dozen products of numbers near 1
        identity = np.broadcast_to(np.eye(inner), (3, inner, inner))
        np.testing.assert_allclose(q.conj().mT @ q, identity, atol=tolerance)
        np.testing.assert_allclose(q @ (r / powers), near, atol=tolerance)
        q, r = (np.asarray(each) for each in xp.linalg.qr(xp.asarray(near * 0), mode=mode))
        np.testing.assert_allclose(q.conj().mT @ q, identity, atol=tolerance)
        np.testing.assert_array_equal(r, np.zeros_like(r))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_shifts_by_all_bits_and_more(dtype: str, framework: str) -> None:
    if framework == "jax":
        dtype = dtype.replace("64", "32")  # those of its x64 mode
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    limits, width = np.iinfo(dtype), np.iinfo(dtype).bits
    x = np.array([1, 3, limits.max, limits.min], dtype)
    shifts = np.array([0, 1, width - 1, width, width + 1, 100], dtype)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        function, oracle = getattr(xp, name), getattr(np, name)
        found = function(xp.asarray(x[:, None]), xp.asarray(shifts))
        np.testing.assert_array_equal(found, oracle(x[:, None], shifts))
        for shift in (0, 1, width - 1, width, 100):
            np.testing.assert_array_equal(function(xp.asarray(x), shift), oracle(x, np.array(shift, dtype)))
            found = function(3, xp.asarray(shifts[shifts == shift]))
            np.testing.assert_array_equal(found, oracle(np.array(3, dtype), shifts[shifts == shift]))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")  # PyTorch says so too
@pytest.mark.parametrize("shape", [(0,), (1,)])
def test_the_spread_of_too_few_elements_is_not_a_number(framework: str, shape: tuple[int, ...]) -> None:
    x = native(framework, np.ones(shape, np.float32))
    assert np.isnan(as_numpy(ops.var(x, correction=1)))
    assert np.isnan(as_numpy(ops.std(x, correction=1)))

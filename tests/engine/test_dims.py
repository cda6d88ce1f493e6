"""Symbolic sizes against Python's own integers."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivyhub.engine.dims import Dim, Size, floordiv, lower_bound, maximum, minimum, mod, parse_size, product, substitute
from ivyhub.errors import GraphError, ShapeError

SYMBOLS = ("batch", "length", "n")
VALUES = st.fixed_dictionaries({name: st.integers(1, 50) for name in SYMBOLS})
OPERATIONS = (
    (lambda a, b: a + b, lambda a, b: a + b),
    (lambda a, b: a - b, lambda a, b: a - b),
    (lambda a, b: a * b, lambda a, b: a * b),
    (maximum, max),
    (minimum, min),
)


def expressions() -> st.SearchStrategy:
    """Pairs of a size and the function of symbol values that it stands for."""
    leaves = st.one_of(
        st.integers(-8, 8).map(lambda i: (i, lambda values: i)),
        st.sampled_from(SYMBOLS).map(lambda name: (Dim.symbol(name), lambda values: values[name])),
    )

    def combine(inner: st.SearchStrategy) -> st.SearchStrategy:
        def binary(pair, a, b):
            symbolic, plain = pair
            return symbolic(a[0], b[0]), lambda values: plain(a[1](values), b[1](values))

        def divide(a, divisor, remainder):
            if remainder:
                return mod(a[0], divisor), lambda values: a[1](values) % divisor
            return floordiv(a[0], divisor), lambda values: a[1](values) // divisor

        return st.one_of(
            st.builds(binary, st.sampled_from(OPERATIONS), inner, inner),
            st.builds(divide, inner, st.integers(1, 6), st.booleans()),
        )

    return st.recursive(leaves, combine, max_leaves=8)


def evaluate(size: Size, values: dict[str, int]) -> int:
    return size.evaluate(values) if isinstance(size, Dim) else size


@given(expressions(), VALUES)
def test_arithmetic_is_that_of_integers(expression, values):
    size, expected = expression
    assert evaluate(size, values) == expected(values)


@given(expressions())
def test_text_reads_back(expression):
    size, _ = expression
    assert parse_size(str(size)) == size


@given(expressions(), VALUES)
def test_lower_bound_holds(expression, values):
    size, expected = expression
    bound = lower_bound(size)
    assert bound is None or bound <= expected(values)


@given(expressions(), expressions(), VALUES)
def test_exact_division_undoes_multiplication(a, b, values):
    divisor = b[0]
    if divisor == 0:
        return
    assert floordiv(a[0] * divisor, divisor) == a[0]
    assert mod(a[0] * divisor, divisor) == 0


@given(expressions(), VALUES)
def test_equal_sizes_hash_equally_and_substitution_agrees_with_evaluation(expression, values):
    size, expected = expression
    other = size + Dim.symbol("n") - Dim.symbol("n")
    assert other == size
    assert hash(other) == hash(size)
    assert substitute(size, values) == expected(values)


def test_products_of_sums_divide():
    n, heads = Dim.symbol("n"), Dim.symbol("heads")
    assert floordiv(product((2, n + 1, heads * 64)), (n + 1) * heads) == 128
    assert floordiv(4 * n + 3, 2) == 2 * n + 1
    assert mod(2 * n + 1, 2) == 1


def test_bounds_of_quotients_may_be_negative():
    n = Dim.symbol("n")
    assert lower_bound(floordiv(n - 5, 2)) == -2
    assert lower_bound(floordiv(n + 5, 2)) == 3
    assert lower_bound(mod(n, 7) + 2) == 2


@pytest.mark.parametrize("name", ["", "1x", "a b", "a-b", "lambda", "naïve", *keyword.kwlist[:3]])
def test_symbols_are_plain_identifiers(name):
    with pytest.raises(GraphError, match="identifier"):
        Dim.symbol(name)


@pytest.mark.parametrize(
    "text",
    [
        *("", "n +", "n ** 2", "f(n)", "n.real", "n[0]", "1.5", "True", "'n'", "n // 0", "n % 0", "max(n)"),
        *("max(n, m, 1)", "(" * 500 + "n" + ")" * 500, "n" + " + n" * 2000, "__import__('os')", "lambda: 0"),
    ],
)
def test_hostile_text_is_refused(text):
    with pytest.raises(GraphError, match="expected a size"):
        parse_size(text)


def test_a_symbol_without_value_says_so():
    with pytest.raises(ShapeError, match="length"):
        (Dim.symbol("batch") + Dim.symbol("length")).evaluate({"batch": 2})
    with pytest.raises(ShapeError, match="symbolic"):
        range(Dim.symbol("n"))

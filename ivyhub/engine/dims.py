"""Symbolic dimensions: integer expressions over named sizes, as exact as shapes need and no more.

A *size* is an ``int`` or a `Dim`. A `Dim` is a polynomial with integer coefficients over atoms; an atom is a
symbol (``batch``) or an opaque ``floordiv``, ``mod``, ``max`` or ``min`` of two sizes. Polynomials are kept in a
normal form, so equality is structural and cheap: two sizes are equal when their difference is zero. Every symbol
stands for a positive integer.

    >>> batch, length = Dim.symbol("batch"), Dim.symbol("length")
    >>> (batch * length * 4) // length
    4*batch
    >>> batch * 2 - batch == batch
    True
    >>> parse_size("(length + 1)//2").evaluate({"length": 7})
    4
"""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Iterable, Mapping
from typing import Literal, Union

from ..errors import GraphError, ShapeError

Size = Union[int, "Dim"]
Function = Literal["floordiv", "mod", "max", "min"]
Atom = tuple[Literal["symbol"], str] | tuple[Function, "Size", "Size"]
Monomial = tuple[tuple[Atom, int], ...]  # ((atom, power), ...), sorted; () is the constant


class Dim:
    """A symbolic integer: a polynomial over named sizes (see the module's docstring).

    Example:
        >>> n = Dim.symbol("n")
        >>> (n + 1) * (n - 1)
        n*n - 1
    """

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms: dict[Monomial, int] = {m: c for m, c in terms.items() if c}
        self._hash = hash(frozenset(self.terms.items()))

    @staticmethod
    def symbol(name: str) -> Dim:
        """The size that is called ``name``. Raises `GraphError` when the name is not a plain identifier."""
        if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
            raise GraphError(f"a symbolic dimension needs an ASCII identifier as its name, received {name!r}")
        return Dim({((("symbol", name), 1),): 1})

    # -- arithmetic ----------------------------------------------------------------------------------------------

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other).items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _size(terms)

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        terms: dict[Monomial, int] = {}
        for m1, c1 in self.terms.items():
            for m2, c2 in _terms(other).items():
                powers: dict[Atom, int] = dict(m1)
                for atom, power in m2:
                    powers[atom] = powers.get(atom, 0) + power
                key = _monomial(powers)
                terms[key] = terms.get(key, 0) + c1 * c2
        return _size(terms)

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + (-other)

    def __rsub__(self, other: Size) -> Size:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return mod(self, other)

    def __rmod__(self, other: Size) -> Size:
        return mod(other, self)

    # -- comparison ----------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        return True

    def __index__(self) -> int:
        raise ShapeError(
            f"the size {self} is symbolic and has no value while a graph is built",
            hint="use it as a size (reshape, arange, broadcast_to), not as a Python integer",
        )

    # -- use -----------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the sizes it depends on."""
        found: set[str] = set()
        for monomial in self.terms:
            for atom, _ in monomial:
                if atom[0] == "symbol":
                    found.add(atom[1])
                else:
                    found |= symbols_of(atom[1:])
        return frozenset(found)

    @property
    def is_symbol(self) -> bool:
        """Whether it is one plain symbol."""
        if len(self.terms) != 1:
            return False
        ((monomial, coefficient),) = self.terms.items()
        return coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0][0] == "symbol"

    def substitute(self, values: Mapping[str, Size]) -> Size:
        """The same expression with some symbols replaced by sizes."""
        total: Size = 0
        for monomial, coefficient in self.terms.items():
            term: Size = coefficient
            for atom, power in monomial:
                if atom[0] == "symbol":
                    name = atom[1]
                    factor: Size = values[name] if name in values else Dim.symbol(name)
                else:
                    function, a, b = atom
                    factor = _apply(function, substitute(a, values), substitute(b, values))
                for _ in range(power):
                    term = term * factor
            total = total + term
        return total

    def evaluate(self, values: Mapping[str, int]) -> int:
        """Its value where every symbol is given. Raises `ShapeError` when one is missing."""
        result = self.substitute(values)
        if isinstance(result, Dim):
            raise ShapeError(f"the size {self} needs a value for {', '.join(sorted(result.symbols))}")
        return result

    def __str__(self) -> str:
        return _print(self)

    __repr__ = __str__


def _monomial(powers: Mapping[Atom, int]) -> Monomial:
    return tuple(sorted(((atom, power) for atom, power in powers.items() if power), key=repr))


def _terms(size: Size) -> Mapping[Monomial, int]:
    return size.terms if isinstance(size, Dim) else {(): size}


def _size(terms: Mapping[Monomial, int]) -> Size:
    """The normal form: an ``int`` when nothing symbolic is left."""
    kept = {m: c for m, c in terms.items() if c}
    return kept.get((), 0) if set(kept) <= {()} else Dim(kept)


def _opaque(function: Function, a: Size, b: Size) -> Size:
    return Dim({(((function, a, b), 1),): 1})


def _apply(function: Function, a: Size, b: Size) -> Size:
    return {"floordiv": floordiv, "mod": mod, "max": maximum, "min": minimum}[function](a, b)


def _divide(a: Size, b: Size) -> Size | None:
    """The exact quotient a / b of two polynomials, or None where there is none (long division by leading terms)."""
    atoms = sorted({atom for size in (a, b) for monomial in _terms(size) for atom, _ in monomial}, key=repr)

    def order(monomial: Monomial) -> tuple[int, ...]:  # graded lexicographic: division by leading terms ends
        powers = dict(monomial)
        exponents = tuple(powers.get(atom, 0) for atom in atoms)
        return (sum(exponents), *exponents)

    divisor = _terms(b)
    leading = max(divisor, key=order)
    rest, quotient = a, 0
    while rest != 0:
        monomial = max(_terms(rest), key=order)
        powers = dict(monomial)
        for atom, power in leading:
            powers[atom] = powers.get(atom, 0) - power
        coefficient, remainder = divmod(_terms(rest)[monomial], divisor[leading])
        if remainder or any(power < 0 for power in powers.values()):
            return None
        term = _size({_monomial(powers): coefficient})
        quotient, rest = quotient + term, rest - term * b
    return quotient


def floordiv(a: Size, b: Size) -> Size:
    """``a // b``, exact where b divides a, opaque otherwise."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 0:
        raise ShapeError(f"division of the size {a} by zero")
    quotient = _divide(a, b)
    if quotient is not None:
        return quotient
    if isinstance(b, int) and b > 0:  # split off what b divides: (4*n + 3)//2 is 2*n + 1
        rest = _remainder(a, b)
        if rest != a:
            return floordiv(a - rest, b) + floordiv(rest, b)
    return _opaque("floordiv", a, b)


def _remainder(a: Size, b: int) -> Size:
    """Every term of a with its coefficient modulo b: equal to a modulo b."""
    return _size({monomial: coefficient % b for monomial, coefficient in _terms(a).items()})


def mod(a: Size, b: Size) -> Size:
    """``a % b``, zero where b divides a."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    if b == 0:
        raise ShapeError(f"remainder of the size {a} by zero")
    if _divide(a, b) is not None:
        return 0
    rest = _remainder(a, b) if isinstance(b, int) and b > 0 else a
    return rest % b if isinstance(rest, int) and isinstance(b, int) else _opaque("mod", rest, b)


def maximum(a: Size, b: Size) -> Size:
    """The larger of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    low = lower_bound(a - b)
    if low is not None and low >= 0:
        return a
    high = lower_bound(b - a)
    return b if high is not None and high >= 0 else _opaque("max", a, b)


def minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes."""
    larger = maximum(a, b)
    if larger == a:
        return b
    return a if larger == b else _opaque("min", a, b)


def lower_bound(size: Size) -> int | None:
    """A bound that the size never falls below when every symbol is at least 1, or None when none is known."""
    if isinstance(size, int):
        return size
    total = size.terms.get((), 0)
    for monomial, coefficient in size.terms.items():
        if not monomial:
            continue
        least = 1
        for atom, power in monomial:
            bound = _atom_bound(atom)
            if bound is None or bound < 0:
                return None
            least *= bound**power
        if coefficient < 0:
            return None
        total += coefficient * least
    return total


def _atom_bound(atom: Atom) -> int | None:
    if atom[0] == "symbol":
        return 1
    function, a, b = atom
    low, other = lower_bound(a), lower_bound(b)
    match function:
        case "floordiv" if isinstance(b, int) and b > 0:
            return None if low is None else low // b
        case "floordiv" | "mod" if other is None or other < 1:
            return None
        case "floordiv":
            return 0 if low is not None and low >= 0 else None
        case "mod":
            return 0
        case "max":
            return max((bound for bound in (low, other) if bound is not None), default=None)
    return None if low is None or other is None else min(low, other)


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """`Dim.substitute` for any size."""
    return size.substitute(values) if isinstance(size, Dim) else size


def symbols_of(sizes: Iterable[Size]) -> set[str]:
    """The symbols that any of the sizes depends on."""
    return {name for size in sizes if isinstance(size, Dim) for name in size.symbols}


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes, 1 for none: the number of elements of a shape."""
    return math.prod(sizes)


def parse_size(text: str) -> Size:
    """The size that `str` printed. Raises `GraphError` on anything but integers, names, + - * // %, max and min."""
    try:
        if len(text) > 1000:  # hostile: a product of many sums has exponentially many terms
            raise ValueError
        return _parse(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, KeyError, RecursionError, MemoryError):
        raise GraphError(f"expected a size such as '2*batch + 1', received {text[:80]!r}") from None


def _parse(node: ast.expr) -> Size:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return value
        case ast.Name(id=name):
            return Dim.symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parse(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _parse(left), _parse(right)
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return floordiv(a, b)
                case ast.Mod():
                    return mod(a, b)
        case ast.Call(func=ast.Name(id=("max" | "min") as function), args=[first, second], keywords=[]):
            return _apply(function, _parse(first), _parse(second))
    raise ValueError(ast.dump(node))


def _print(size: Size) -> str:
    """A Python expression, positive terms first and the constant last."""
    if isinstance(size, int):
        return str(size)
    terms = sorted(size.terms.items(), key=lambda item: (item[1] < 0, -sum(p for _, p in item[0]), repr(item[0])))
    out = ""
    for monomial, coefficient in terms:
        factors = [_print_atom(atom) for atom, power in monomial for _ in range(power)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        sign = ("-" if coefficient < 0 else "") if not out else (" - " if coefficient < 0 else " + ")
        out += sign + "*".join(factors)
    return out


def _print_atom(atom: Atom) -> str:
    if atom[0] == "symbol":
        return atom[1]
    function, a, b = atom
    if function in ("max", "min"):
        return f"{function}({_print(a)}, {_print(b)})"
    operator = "//" if function == "floordiv" else "%"
    return f"({_bracket(a)}{operator}{_bracket(b)})"


def _bracket(size: Size) -> str:
    text = _print(size)
    return text if text.isidentifier() or text.isdecimal() else f"({text})"

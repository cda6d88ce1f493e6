"""What NumPy lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .numpy_special import igamma as igamma
from .numpy_special import igammac as igammac
from .numpy_special import zeta as zeta


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, to the precision of x's dtype.

    Source: for float32 and less, the rational approximation of Eigen and XLA (error below 2 units in the last place).
    """
    if x.dtype == np.float64:
        return np.vectorize(math.erf, otypes=[np.float64])(x)
    dtype, x = x.dtype, np.clip(x.astype(np.float32), -4, 4)
    square = x * x
    upper = np.float32(-2.72614225801306e-10)
    for coefficient in (
        *(2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
        *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
    ):
        upper = upper * square + np.float32(coefficient)
    lower = np.float32(-1.45660718464996e-05)
    for coefficient in (-2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02):
        lower = lower * square + np.float32(coefficient)
    return (x * upper / lower).astype(dtype)


def floor_quotient(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """The largest integer at most x1 / x2, and x1 / x2 where that is zero, infinite or nan."""
    quotient = np.asarray(x1 / x2)
    return np.floor_divide(x1, x2, out=quotient, where=np.isfinite(quotient) & (quotient != 0))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) / Σ exp(x) over an axis, without overflow."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    return y / y.sum(axis=axis, keepdims=True)


def attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
) -> np.ndarray:
    """Scaled dot-product attention over arrays of (batch, length, heads, features).

    ``mask`` broadcasts to (batch, heads, queries, keys). It is True where a query attends to a key, or is added to the
    scores. A query that attends to no key gets zeros.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * scale).swapaxes(1, 2) @ key.transpose(0, 2, 3, 1)
    if causal:
        mask = np.tri(query.shape[1], key.shape[1], dtype=bool)
    if mask is not None:
        attends, bias = (mask, 0) if mask.dtype == bool else (mask != -np.inf, mask)
        scores += np.where(attends, bias, np.finfo(scores.dtype).min / 2).astype(scores.dtype)
    result = softmax(scores) @ value.swapaxes(1, 2)
    if mask is not None:
        result = np.where(attends.any(-1, keepdims=True), result, 0)
    return result.swapaxes(1, 2)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def gelu(x: np.ndarray, approximate: bool = False) -> np.ndarray:
    """x · Φ(x), with the normal distribution function Φ or its approximation by tanh."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """x · weightᵀ + bias over the last axis, with a weight of (out, in)."""
    y = x @ weight.T
    return y if bias is None else y + bias


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, *, eps: float, ndim: int = 1
) -> np.ndarray:
    """(x - mean) / √(variance + eps) · weight + bias over the last ``ndim`` axes."""
    axes = tuple(range(-ndim, 0))
    y = x - x.mean(axes, keepdims=True)
    y = y / np.sqrt((y * y).mean(axes, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def group_norm(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, *, num_groups: int, eps: float
) -> np.ndarray:
    """`layer_norm` over each group of channels and all positions of (batch, channels, ...)."""
    y = layer_norm(x.reshape(len(x), num_groups, -1), eps=eps).reshape(x.shape)
    each = (-1, *(1,) * (x.ndim - 2))
    y = y if weight is None else y * weight.reshape(each)
    return y if bias is None else y + bias.reshape(each)


def batch_norm(
    x: np.ndarray,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float,
) -> np.ndarray:
    """(x - mean) / √(variance + eps) · weight + bias for each channel of (batch, channels, ...)."""
    scale = 1 / np.sqrt(running_var + eps)
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    each = (-1, *(1,) * (x.ndim - 2))
    return x * scale.reshape(each) + shift.reshape(each)


def windows(
    x: np.ndarray,
    kernel: Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: int | Sequence[tuple[int, int]] = 0,
    dilation: int | Sequence[int] = 1,
    fill: float = 0,
) -> np.ndarray:
    """The windows over the positions of (batch, channels, *positions): a view of (..., *windows, *kernel)."""
    rank = x.ndim - 2
    strides = (strides,) * rank if isinstance(strides, int) else strides
    dilation = (dilation,) * rank if isinstance(dilation, int) else dilation
    padding = ((padding, padding),) * rank if isinstance(padding, int) else padding
    if any(pair != (0, 0) for pair in padding):
        x = np.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)
    extent = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=tuple(range(2, x.ndim)))
    return view[(..., *(slice(None, None, step) for step in (*strides, *dilation)))]


def conv(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: int | Sequence[tuple[int, int]] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of (batch, channels, *positions) with a weight of (out, channels / groups, *kernel)."""
    rank = x.ndim - 2
    patches = windows(x, weight.shape[2:], strides, padding, dilation)
    batch, shape = len(x), patches.shape[2 : 2 + rank]
    columns = np.moveaxis(patches, range(-rank, 0), range(2, 2 + rank))
    columns = columns.reshape(batch, groups, weight[0].size, math.prod(shape))
    y = weight.reshape(groups, len(weight) // groups, -1) @ columns
    y = y.reshape(batch, len(weight), *shape)
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def max_pool(
    x: np.ndarray,
    kernel: Sequence[int],
    *,
    strides: int | Sequence[int],
    padding: int | Sequence[tuple[int, int]] = 0,
    dilation: int | Sequence[int] = 1,
) -> np.ndarray:
    """The largest element of each window of (batch, channels, *positions)."""
    return windows(x, kernel, strides, padding, dilation, fill=-np.inf).max(axis=tuple(range(-len(kernel), 0)))


def avg_pool(
    x: np.ndarray,
    kernel: Sequence[int],
    *,
    strides: int | Sequence[int],
    padding: int | Sequence[tuple[int, int]] = 0,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> np.ndarray:
    """The mean of each window of (batch, channels, *positions), or its sum over ``divisor``."""
    axes = tuple(range(-len(kernel), 0))
    total = windows(x, kernel, strides, padding).sum(axis=axes)
    if divisor is None and not count_include_pad:
        return total / windows(np.ones_like(x[:1, :1]), kernel, strides, padding).sum(axis=axes)
    return total / (math.prod(kernel) if divisor is None else divisor)


def at_set(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with ``x[indices]`` replaced by values, None standing for an axis taken whole."""
    result = x.copy()
    result[_key(indices)] = values
    return result


def at_add(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    result = x.copy()
    np.add.at(result, _key(indices), values)
    return result


def at_max(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with ``x[indices]`` replaced by the largest of it and the values that go there."""
    result = x.copy()
    np.maximum.at(result, _key(indices), values)
    return result


def at_min(x: np.ndarray, indices: Sequence[np.ndarray | None], values: np.ndarray | float) -> np.ndarray:
    """x with ``x[indices]`` replaced by the smallest of it and the values that go there."""
    result = x.copy()
    np.minimum.at(result, _key(indices), values)
    return result


def _key(indices: Sequence[np.ndarray | None]) -> tuple:
    return tuple(slice(None) if each is None else each for each in indices)


def eig(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors, complex also where all are real."""
    values, vectors = np.linalg.eig(x)
    dtype = np.result_type(x.dtype, np.complex64)
    return values.astype(dtype), vectors.astype(dtype)


def eigvals(x: np.ndarray) -> np.ndarray:
    """Eigenvalues, complex also where all are real."""
    return np.linalg.eigvals(x).astype(np.result_type(x.dtype, np.complex64))


def lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L without its diagonal and U in one, the row that each one was exchanged with, and the order of rows."""
    *batch, rows, columns = x.shape
    least = min(rows, columns)
    found, pivots = np.array(x), np.zeros((*batch, least), np.int32)
    order = np.broadcast_to(np.arange(rows, dtype=np.int32), (*batch, rows)).copy()
    for at in np.ndindex(*batch):
        y = found[at]
        for k in range(least):
            pivots[at][k] = j = k + int(np.argmax(np.abs(y[k:, k])))
            y[[k, j]], order[at][[k, j]] = y[[j, k]], order[at][[j, k]]
            if y[k, k] != 0:
                y[k + 1 :, k] /= y[k, k]
                y[k + 1 :, k + 1 :] -= y[k + 1 :, k : k + 1] * y[k, k + 1 :]
    return found, pivots, order


def matrix_exp(x: np.ndarray) -> np.ndarray:
    """The exponential of square matrices: a Taylor series of x / 2ⁿ, squared n times. Source: Moler and Van Loan."""
    size = float(np.max(np.sum(np.abs(x), axis=-1), initial=0.0))
    squarings = max(0, math.ceil(math.log2(size)) + 3) if size > 0 else 0
    y = x / 2**squarings
    found = term = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    for k in range(1, 19):
        term = term @ y / k
        found = found + term
    for _ in range(squarings):
        found = found @ found
    return found.astype(x.dtype)


def threefry(key: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two random words for each 64-bit count: Threefry-2x32 with 20 rounds (Salmon et al. 2011)."""
    keys = [key[..., 0], key[..., 1], key[..., 0] ^ key[..., 1] ^ np.uint32(0x1BD11BDA)]
    count = np.asarray(count).astype(np.uint64)[...]
    high, low = (count >> np.uint64(32)).astype(np.uint32) + keys[0], count.astype(np.uint32) + keys[1]
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            high = high + low
            low = (low << np.uint32(turn) | low >> np.uint32(32 - turn)) ^ high
        high, low = high + keys[(i + 1) % 3], low + keys[(i + 2) % 3] + np.uint32(i + 1)
    return high, low


def random_bits(key: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Random uint32 of a shape."""
    high, low = threefry(key, np.arange(math.prod(shape)))
    return (high ^ low).reshape(shape)


def random_split(key: np.ndarray, num: int) -> np.ndarray:
    """New keys."""
    return np.stack(threefry(key, np.arange(num)), axis=-1)


def random_fold_in(key: np.ndarray, data: np.ndarray | int) -> np.ndarray:
    """A new key from a key and the low 32 bits of an integer."""
    return np.concatenate(threefry(key, np.reshape(data, 1).astype(np.uint32)))


def random_uniform(
    key: np.ndarray, shape: Sequence[int], dtype: type[np.floating], low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """Random numbers, low <= x < high: as many bits as the dtype has digits."""
    width, digits = {"float16": (16, 10), "bfloat16": (8, 7), "float32": (32, 23), "float64": (64, 52)}[
        np.dtype(dtype).name
    ]
    first, second = threefry(key, np.arange(math.prod(shape)))
    if width == 64:
        bits = first.astype(np.uint64) << np.uint64(32) | second
    else:
        bits = (first ^ second) & np.uint32(2**width - 1)
    unit = (bits >> bits.dtype.type(width - digits)).astype(dtype) * np.asarray(2.0**-digits, dtype)
    start, span = np.asarray(low, dtype), np.asarray(high - low, dtype)
    return np.maximum(unit * span + start, start).reshape(shape)


def random_integers(key: np.ndarray, shape: Sequence[int], low: int, high: int) -> np.ndarray:
    """Random int32, low <= x < high: 64 bits for each, so that every number is as likely."""
    keys, span = random_split(key, 2), np.uint32(high - low)
    factor = np.uint32((2**16 % (high - low)) ** 2 % 2**32 % (high - low))
    upper, lower = random_bits(keys[0], shape), random_bits(keys[1], shape)
    offset = (upper % span * factor + lower % span) % span
    return (offset.astype(np.int64) + low).astype(np.int32)


def erfinv(x: np.ndarray) -> np.ndarray:
    """The inverse of the error function, to the precision of x's dtype.

    Source: Giles 2010, "Approximating the erfinv function"; for float64 two Newton steps on erf follow.
    """
    wide = np.asarray(x, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = -np.log1p(-wide * wide)
        near = np.polyval(
            [
                *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
                *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
            ],
            w - 2.5,
        )
        far = np.polyval(
            [
                *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
                *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
            ],
            np.sqrt(w) - 3.0,
        )
        y = np.where(w < 5.0, near, far) * wide
        if np.dtype(x.dtype) == np.float64:
            for _ in range(2):
                y = y - (erf(y) - wide) * np.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = np.where(np.abs(wide) == 1, np.copysign(np.inf, wide), y)
    return y.astype(x.dtype)


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), exact also where that is small, to the precision of x's dtype."""
    return np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)


def lgamma(x: np.ndarray) -> np.ndarray:
    """log |Γ(x)|, to the precision of x's dtype; infinite at 0 and the negative integers."""
    wide = np.asarray(x, np.float64)
    endless = ((wide <= 0) & (wide == np.floor(wide))) | (wide > 2.5e305)
    found = np.vectorize(math.lgamma, otypes=[np.float64])(np.where(endless, 1, wide))
    with np.errstate(over="ignore"):
        return np.where(endless, np.inf, found).astype(x.dtype)


def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log Γ(x), to the precision of x's dtype.

    Source: Abramowitz and Stegun 6.3.5, 6.3.7 and 6.3.18: the asymptotic series of x + 10, and a reflection for x < 0.
    """
    wide = np.asarray(x, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(wide < 0, 1 - wide, wide)
        far = y + 10
        terms = [-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12, 0]
        found = np.log(far) - 0.5 / far + np.polyval(terms, far**-2.0)
        for k in range(10):
            found = found - 1 / (y + k)
        found = np.where(wide < 0, found - math.pi / np.tan(math.pi * (wide % 1)), found)
        return found.astype(x.dtype)


def polygamma(n: int, x: np.ndarray) -> np.ndarray:
    """The derivative of order n >= 1 of `digamma`, for x > 0, to the precision of x's dtype.

    Source: Abramowitz and Stegun 6.4.10 and 6.4.11: a sum over x, x + 1, ... and the asymptotic series of the rest.
    """
    wide = np.asarray(x, np.float64)
    shift = 10 + n
    with np.errstate(divide="ignore", invalid="ignore"):
        far = wide + shift
        found = math.factorial(n - 1) * far ** -float(n) + math.factorial(n) / 2 * far ** (-n - 1.0)
        for k, bernoulli in enumerate([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6], 1):
            found = found + bernoulli * math.factorial(2 * k + n - 1) / math.factorial(2 * k) * far ** (-2.0 * k - n)
        for k in range(shift):
            found = found + math.factorial(n) * (wide + k) ** (-n - 1.0)
        return (found if n % 2 else -found).astype(x.dtype)


def complex_(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """real + i · imag; a product with 1j would lose infinities and signs of zeros."""
    found = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, np.complex64))
    found.real, found.imag = real, imag
    return found


def rnn(
    x: np.ndarray,
    h: np.ndarray,
    weights: Sequence[np.ndarray],
    *,
    lengths: np.ndarray | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    activation: str = "tanh",
) -> tuple[np.ndarray, ...]:
    """A plain recurrent network over (time, batch, features), and its states at the end.

    ``weights`` are, for each layer and direction, (hidden, features), (hidden, hidden) and, if any, two biases. Of
    each sequence ``lengths`` steps count; behind them the result is zero, and the states stay.
    """
    act = np.tanh if activation == "tanh" else (lambda y: np.maximum(y, 0))

    def step(gates: np.ndarray, state: tuple, w: Sequence[np.ndarray]) -> tuple:
        return (act(gates + _hidden(state[0], w)),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def lstm(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    weights: Sequence[np.ndarray],
    *,
    lengths: np.ndarray | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[np.ndarray, ...]:
    """Long short-term memory over (time, batch, features), and both its states at the end.

    ``weights`` are, for each layer and direction, (4 · hidden, features), (4 · hidden, hidden) and, if any, two biases:
    input, forget, cell and output gate.
    """

    def step(gates: np.ndarray, state: tuple, w: Sequence[np.ndarray]) -> tuple:
        i, f, g, o = np.split(gates + _hidden(state[0], w), 4, axis=-1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    return _recurrent(x, (h, c), weights, lengths, step, num_layers, bidirectional, batch_first)


def gru(
    x: np.ndarray,
    h: np.ndarray,
    weights: Sequence[np.ndarray],
    *,
    lengths: np.ndarray | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[np.ndarray, ...]:
    """Gated recurrent units over (time, batch, features), and their states at the end.

    ``weights`` are, for each layer and direction, (3 · hidden, features), (3 · hidden, hidden) and, if any, two biases:
    reset, update and new gate.
    """

    def step(gates: np.ndarray, state: tuple, w: Sequence[np.ndarray]) -> tuple:
        xr, xz, xn = np.split(gates, 3, axis=-1)
        hr, hz, hn = np.split(_hidden(state[0], w), 3, axis=-1)
        n = np.tanh(xn + sigmoid(xr + hr) * hn)
        return (n + sigmoid(xz + hz) * (state[0] - n),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def _hidden(h: np.ndarray, w: Sequence[np.ndarray]) -> np.ndarray:
    """What the state adds to the gates; with biases there are four weights."""
    y = h @ w[1].T
    return y + w[3] if len(w) == 4 else y


def _recurrent(
    x: np.ndarray,
    states: tuple,
    weights: Sequence[np.ndarray],
    lengths: np.ndarray | None,
    step: Callable[..., tuple],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[np.ndarray, ...]:
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)
    x = x.swapaxes(0, 1) if batch_first else x
    last = []
    for layer in range(num_layers):
        both = []
        for k in range(layer * directions, (layer + 1) * directions):
            w = weights[k * count : (k + 1) * count]
            gates = x @ w[0].T
            gates = gates + w[2] if count == 4 else gates
            backwards = k % directions == 1
            state = tuple(state[k] for state in states)
            shown = np.empty_like(gates[..., : state[0].shape[-1]])
            for i in reversed(range(len(x))) if backwards else range(len(x)):
                new = step(gates[i], state, w)
                shown[i] = new[0]
                if lengths is not None:
                    counts = (i < lengths)[:, None]
                    shown[i] = np.where(counts, new[0], 0)
                    new = tuple(np.where(counts, after, before) for after, before in zip(new, state, strict=True))
                state = new
            both.append(shown)
            last.append(state)
        x = np.concatenate(both, axis=-1)
    finals = (np.stack(each) for each in zip(*last, strict=True))
    return (x.swapaxes(0, 1) if batch_first else x, *finals)


def argsort_descending(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """The positions that put x in descending order; equal elements keep theirs."""
    order = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - order, axis)


def while_loop(
    test: Callable[..., np.ndarray],
    body: Callable[..., tuple[np.ndarray, ...]],
    carry: tuple[np.ndarray, ...],
    captured: tuple[np.ndarray, ...] = (),
) -> tuple[np.ndarray, ...]:
    """Apply ``body`` to the carry for as long as ``test`` of it is true."""
    while test(*carry, *captured):
        carry = body(*carry, *captured)
    return carry


def scan(
    body: Callable[..., tuple[np.ndarray, ...]],
    carry: tuple[np.ndarray, ...],
    xs: tuple[np.ndarray, ...],
    captured: tuple[np.ndarray, ...] = (),
    *,
    length: int,
    reverse: bool = False,
) -> tuple[np.ndarray, ...]:
    """The last carry, and the stacked rest of what ``body`` gives of the carry and the slices of ``xs``."""
    rows: list[tuple[np.ndarray, ...]] = [()] * length
    for i in reversed(range(length)) if reverse else range(length):
        results = body(*carry, *(x[i] for x in xs), *captured)
        carry, rows[i] = results[: len(carry)], results[len(carry) :]
    return (*carry, *(np.stack(each) for each in zip(*rows, strict=True)))


def vmap(
    body: Callable[..., tuple[np.ndarray, ...]], arrays: tuple[np.ndarray, ...], captured: tuple[np.ndarray, ...] = ()
) -> tuple[np.ndarray, ...]:
    """The results of ``body`` of slices along the first axes of arrays, stacked."""
    rows = [body(*slices, *captured) for slices in zip(*arrays, strict=True)]
    return tuple(np.stack(each) for each in zip(*rows, strict=True))


def checkpoint(
    body: Callable[..., tuple[np.ndarray, ...]], arrays: tuple[np.ndarray, ...], captured: tuple[np.ndarray, ...] = ()
) -> tuple[np.ndarray, ...]:
    """The results of ``body``: what is kept for a gradient matters where there are some."""
    return body(*arrays, *captured)


def custom_gradient(
    body: Callable[..., tuple[np.ndarray, ...]],
    pullback: Callable[..., tuple[np.ndarray, ...]],
    arrays: tuple[np.ndarray, ...],
    captured: tuple[np.ndarray, ...] = (),
) -> tuple[np.ndarray, ...]:
    """The results of ``body``."""
    return body(*arrays, *captured)

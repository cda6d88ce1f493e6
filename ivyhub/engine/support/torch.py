"""What PyTorch lacks. See `ivyhub.engine.support`."""

# pyright: basic

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch


def at_set(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with ``x[indices]`` replaced by values, None standing for an axis taken whole."""
    result = x.clone()
    result[tuple(slice(None) if each is None else each for each in indices)] = values
    return result


def at_add(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with values added to ``x[indices]``; where a position comes twice, both are added."""
    key = tuple(slice(None) if each is None else each for each in indices)
    everything = torch.arange(x.numel(), device=x.device).reshape(x.shape)[key]
    values = torch.as_tensor(values, dtype=x.dtype, device=x.device).expand(everything.shape)
    return x.flatten().index_add(0, everything.flatten(), values.flatten()).reshape(x.shape)


def at_max(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with ``x[indices]`` replaced by the largest of it and the values that go there."""
    return _combined(x, indices, values, "amax")


def at_min(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float) -> torch.Tensor:
    """x with ``x[indices]`` replaced by the smallest of it and the values that go there."""
    return _combined(x, indices, values, "amin")


def _combined(
    x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor | float, reduction: str
) -> torch.Tensor:
    key = tuple(slice(None) if each is None else each for each in indices)
    everything = torch.arange(x.numel(), device=x.device).reshape(x.shape)[key]
    values = torch.as_tensor(values, dtype=x.dtype, device=x.device).expand(everything.shape)
    return x.flatten().scatter_reduce(0, everything.flatten(), values.flatten(), reduction).reshape(x.shape)


def threefry(key: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two random words for each 64-bit count: Threefry-2x32 with 20 rounds (Salmon et al. 2011).

    uint32 has no arithmetic in PyTorch: int32 has the same bits. The words are int64, and positive.
    """
    first, second = key.view(torch.int32).unbind(-1)
    keys = [first, second, first ^ second ^ 0x1BD11BDA]
    high, low = (count >> 32).to(torch.int32) + first, count.to(torch.int32) + second
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            high = high + low
            low = (low << turn | low >> (32 - turn) & 2**turn - 1) ^ high
        high, low = high + keys[(i + 1) % 3], low + keys[(i + 2) % 3] + (i + 1)
    return high.to(torch.int64) & 2**32 - 1, low.to(torch.int64) & 2**32 - 1


def random_words(key: torch.Tensor, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two random words for each element of a shape."""
    high, low = threefry(key, torch.arange(math.prod(shape), device=key.device))
    return high.reshape(shape), low.reshape(shape)


def random_bits(key: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Random uint32 of a shape."""
    high, low = random_words(key, shape)
    return (high ^ low).to(torch.uint32)


def random_split(key: torch.Tensor, num: int) -> torch.Tensor:
    """New keys."""
    return torch.stack(random_words(key, (num,)), dim=-1).to(torch.uint32)


def random_fold_in(key: torch.Tensor, data: torch.Tensor | int) -> torch.Tensor:
    """A new key from a key and the low 32 bits of an integer."""
    data = torch.as_tensor(data, device=key.device).to(torch.int64)
    return torch.stack(threefry(key, data & 2**32 - 1)).to(torch.uint32)


def random_uniform(
    key: torch.Tensor, shape: Sequence[int], dtype: torch.dtype, low: float = 0.0, high: float = 1.0
) -> torch.Tensor:
    """Random numbers, low <= x < high: as many bits as the dtype has digits."""
    width, digits = {
        torch.float16: (16, 10),
        torch.bfloat16: (8, 7),
        torch.float32: (32, 23),
        torch.float64: (64, 52),
    }[dtype]
    first, second = random_words(key, shape)
    if width == 64:
        bits = first << 20 | second >> 12
    else:
        bits = ((first ^ second) & (2**width - 1)) >> (width - digits)
    unit = bits.to(dtype) * 2.0**-digits
    return torch.clamp(unit * (high - low) + low, min=low)


def random_integers(key: torch.Tensor, shape: Sequence[int], low: int, high: int) -> torch.Tensor:
    """Random int32, low <= x < high: 64 bits for each, so that every number is as likely."""
    mask, span = 2**32 - 1, high - low
    factor = (2**16 % span) ** 2 & mask
    upper, lower = (first ^ second for first, second in (random_words(each, shape) for each in random_split(key, 2)))
    offset = (upper % span * (factor % span) + lower % span & mask) % span
    return (offset + low).to(torch.int32)


def rnn(
    x: torch.Tensor,
    h: torch.Tensor,
    weights: Sequence[torch.Tensor],
    *,
    lengths: torch.Tensor,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    activation: str = "tanh",
) -> tuple[torch.Tensor, ...]:
    """`torch.rnn_tanh` or `rnn_relu` over sequences of unequal lengths, and the states at the end.

    ``weights`` are, for each layer and direction, (hidden, features), (hidden, hidden) and, if any, two biases. Of
    each sequence ``lengths`` steps count; behind them the result is zero, and the states stay.
    """
    cell = torch.rnn_tanh_cell if activation == "tanh" else torch.rnn_relu_cell

    def step(x: torch.Tensor, state: tuple, w: Sequence[torch.Tensor]) -> tuple:
        return (cell(x, state[0], *w),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def lstm(
    x: torch.Tensor,
    h: torch.Tensor,
    c: torch.Tensor,
    weights: Sequence[torch.Tensor],
    *,
    lengths: torch.Tensor,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[torch.Tensor, ...]:
    """`torch.lstm` over sequences of unequal lengths, and both states at the end; see `rnn`."""

    def step(x: torch.Tensor, state: tuple, w: Sequence[torch.Tensor]) -> tuple:
        return torch.lstm_cell(x, state, *w)

    return _recurrent(x, (h, c), weights, lengths, step, num_layers, bidirectional, batch_first)


def gru(
    x: torch.Tensor,
    h: torch.Tensor,
    weights: Sequence[torch.Tensor],
    *,
    lengths: torch.Tensor,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[torch.Tensor, ...]:
    """`torch.gru` over sequences of unequal lengths, and the states at the end; see `rnn`."""

    def step(x: torch.Tensor, state: tuple, w: Sequence[torch.Tensor]) -> tuple:
        return (torch.gru_cell(x, state[0], *w),)

    return _recurrent(x, (h,), weights, lengths, step, num_layers, bidirectional, batch_first)


def _recurrent(
    x: torch.Tensor,
    states: tuple,
    weights: Sequence[torch.Tensor],
    lengths: torch.Tensor,
    step: Callable[..., tuple],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, ...]:
    """Steps that do not count are computed, and not used: packed sequences ask for lengths as numbers of the host."""
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)
    x = x.transpose(0, 1) if batch_first else x
    reached = (torch.arange(len(x), device=x.device)[:, None] < lengths)[..., None]
    last = []
    for layer in range(num_layers):
        both = []
        for k in range(layer * directions, (layer + 1) * directions):
            w = weights[k * count : (k + 1) * count]
            state = tuple(state[k] for state in states)
            shown = [x] * len(x)
            for i in reversed(range(len(x))) if k % directions else range(len(x)):
                new = step(x[i], state, w)
                state = tuple(torch.where(reached[i], after, before) for after, before in zip(new, state, strict=True))
                shown[i] = torch.where(reached[i], new[0], 0)
            both.append(torch.stack(shown))
            last.append(state)
        x = torch.cat(both, dim=-1)
    finals = (torch.stack(each) for each in zip(*last, strict=True))
    return (x.transpose(0, 1) if batch_first else x, *finals)


def lu(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """L without its diagonal and U in one, the row that each one was exchanged with, and the order of rows."""
    found, pivots = torch.linalg.lu_factor(x)
    rows = torch.lu_unpack(found, pivots, unpack_data=False)[0].real.argmax(-2)
    return found, pivots - 1, rows.to(torch.int32)


def ordered(x: torch.Tensor | int) -> torch.Tensor:
    """uint64, which few kernels take, as int64 in the same order."""
    return _bits(x) ^ torch.iinfo(torch.int64).min


def _bits(x: torch.Tensor | int) -> torch.Tensor:
    return (x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.uint64)).view(torch.int64)


def unordered(x: torch.Tensor) -> torch.Tensor:
    """The inverse of `ordered`."""
    return (x ^ torch.iinfo(torch.int64).min).view(torch.uint64)


def floor_divide(x1: torch.Tensor | int, x2: torch.Tensor | int) -> torch.Tensor:
    """The quotient of uint64 by way of int64: half the dividend first, then what is left."""
    dividend, divisor = _bits(x1), _bits(x2)
    above = divisor < 0  # 2⁶³ or more: the quotient is 0 or 1
    safe = torch.where(above | (divisor == 0), 1, divisor)
    half = (dividend >> 1) & torch.iinfo(torch.int64).max
    quotient = (half // safe) << 1
    left = dividend - quotient * safe
    quotient = quotient + (ordered(left.view(torch.uint64)) >= ordered(safe.view(torch.uint64)))
    larger = ordered(dividend.view(torch.uint64)) >= ordered(divisor.view(torch.uint64))
    quotient = torch.where(above, larger.to(torch.int64), quotient)
    return torch.where(divisor == 0, 0, quotient).view(torch.uint64)


def remainder(x1: torch.Tensor | int, x2: torch.Tensor | int) -> torch.Tensor:
    """The remainder of uint64."""
    return (_bits(x1) - _bits(floor_divide(x1, x2)) * _bits(x2)).view(torch.uint64)


def floor_quotient(x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
    """The largest integer at most x1 / x2, and x1 / x2 where that is zero, infinite or nan."""
    quotient = x1 / x2  # which, divided by itself, is nan there
    return torch.where(quotient / quotient == 1, torch.div(x1, x2, rounding_mode="floor"), quotient)


def floor_remainder(x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
    """x1 - x2 · floor(x1 / x2) with the sign of x2, a zero, too."""
    found = torch.remainder(x1, x2)
    return torch.where(found == 0, torch.copysign(found, x2), found)


def right_shift(x1: torch.Tensor | int, x2: torch.Tensor | int) -> torch.Tensor:
    """uint64 shifted right, zeros from the left."""
    count = _bits(x2)
    ones = (torch.ones((), dtype=torch.int64) << (63 - count)) * 2 - 1
    shifted = (_bits(x1) >> count) & ones
    return torch.where((count < 0) | (count > 63), 0, shifted).view(torch.uint64)  # 2⁶³ or more are negative here


def while_loop(
    test: Callable[..., torch.Tensor],
    body: Callable[..., tuple[torch.Tensor, ...]],
    carry: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """Apply ``body`` to the carry for as long as ``test`` of it is true."""
    while test(*carry, *captured):
        carry = body(*carry, *captured)
    return carry


def scan(
    body: Callable[..., tuple[torch.Tensor, ...]],
    carry: tuple[torch.Tensor, ...],
    xs: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
    *,
    length: int,
    reverse: bool = False,
) -> tuple[torch.Tensor, ...]:
    """The last carry, and the stacked rest of what ``body`` gives of the carry and the slices of ``xs``."""
    rows: list[tuple[torch.Tensor, ...]] = [()] * length
    for i in reversed(range(length)) if reverse else range(length):
        results = body(*carry, *(x[i] for x in xs), *captured)
        carry, rows[i] = results[: len(carry)], results[len(carry) :]
    return (*carry, *(torch.stack(each) for each in zip(*rows, strict=True)))


class BatchNorm1d(torch.nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` whose running variance is the biased one, as Keras and Flax keep it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return biased(self, input, super().forward)


class BatchNorm2d(torch.nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose running variance is the biased one, as Keras and Flax keep it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return biased(self, input, super().forward)


class BatchNorm3d(torch.nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` whose running variance is the biased one, as Keras and Flax keep it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return biased(self, input, super().forward)


def biased(norm: Any, x: torch.Tensor, forward: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A batch normalisation whose step of the running variance is taken towards the biased variance."""
    if not norm.training or norm.running_var is None:
        return forward(x)
    before, momentum = norm.running_var.clone(), norm.momentum
    y = forward(x)
    with torch.no_grad():
        step = norm.running_var - (1 - momentum) * before
        norm.running_var = norm.running_var - step * (x.shape[1] / x.numel())
    return y


class RNN(torch.nn.RNN):
    """`torch.nn.RNN` with one bias in the place of two, as Keras has it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _keep_one_bias(self)

    def forward(self, input: torch.Tensor, hx: Any = None) -> Any:
        _fill_biases(self)
        return super().forward(input, hx)


class GRU(torch.nn.GRU):
    """`torch.nn.GRU` with one bias in the place of two, as Flax has it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _keep_one_bias(self)

    def forward(self, input: torch.Tensor, hx: Any = None) -> Any:
        _fill_biases(self)
        return super().forward(input, hx)


class LSTM(torch.nn.LSTM):
    """`torch.nn.LSTM` with one bias in the place of two, as Keras and Flax have it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _keep_one_bias(self)

    def forward(self, input: torch.Tensor, hx: Any = None) -> Any:
        _fill_biases(self)
        return super().forward(input, hx)


def _keep_one_bias(layer: Any) -> None:
    """Take the second biases away."""
    for name in layer._flat_weights_names:
        if name.startswith("bias_hh"):
            delattr(layer, name)


def _fill_biases(layer: Any) -> None:
    """Let zeros stand for the second biases in the list of arrays that a recurrent layer gives its kernel."""
    names = layer._flat_weights_names
    arrays = [getattr(layer, name.replace("bias_hh", "bias_ih")) for name in names]
    pairs = zip(names, arrays, strict=True)
    layer._flat_weights = [torch.zeros_like(a) if name.startswith("bias_hh") else a for name, a in pairs]
    layer._flat_weight_refs = [None] * len(names)  # by which the layer would see that its own list is out of date


def value_and_grad(
    body: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """What ``body`` gives of arrays and captured, and the gradients of the first of it, a scalar, by the arrays."""

    def run(*arrays: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        value, *others = body(*arrays, *captured)
        return value, tuple(others)

    places = tuple(range(len(arrays)))
    gradients, (value, others) = torch.func.grad_and_value(run, argnums=places, has_aux=True)(*arrays)
    return (value, *others, *gradients)


def vjp(
    body: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    cotangents: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """The product of cotangents with the Jacobian of ``body`` by the arrays."""
    pull = torch.func.vjp(lambda *arrays: body(*arrays, *captured), *arrays)[1]
    return pull(cotangents)


def jvp(
    body: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    tangents: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """The results of ``body``, and the derivatives of those that have one, in the direction of the tangents."""
    results, derivatives = torch.func.jvp(lambda *arrays: body(*arrays, *captured), arrays, tangents)[:2]
    return (*results, *(d for y, d in zip(results, derivatives, strict=True) if differentiable(y)))


def differentiable(x: torch.Tensor) -> bool:
    """Whether x holds floating-point or complex numbers."""
    return x.is_floating_point() or x.is_complex()


def vmap(
    body: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """The results of ``body`` of slices along the first axes of arrays, stacked."""
    return torch.func.vmap(lambda *slices: body(*slices, *captured))(*arrays)


class WithGradient(torch.autograd.Function):
    """The results of a function that returns them with a pullback; it runs again for the gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(run: Callable[..., tuple], *arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results, _ = run(*arrays)
        given = {id(array) for array in arrays}
        return tuple(result.view_as(result) if id(result) in given else result for result in results)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: tuple[torch.Tensor, ...]) -> None:
        ctx.run = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _, pull = ctx.run(*ctx.saved_tensors)
        return (None, *pull(*cotangents))


def custom_gradient(
    body: Callable[..., tuple[torch.Tensor, ...]],
    pullback: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """The results of ``body``, whose gradient by the arrays is ``pullback`` of arrays, cotangents and captured."""
    count = len(arrays)

    def run(*given: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], Callable[..., Sequence]]:
        def pull(*cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            return (*pullback(*given[:count], *cotangents, *given[count:]), *[None] * len(captured))

        return body(*given), pull

    return WithGradient.apply(run, *arrays, *captured)


def checkpoint(
    body: Callable[..., tuple[torch.Tensor, ...]],
    arrays: tuple[torch.Tensor, ...],
    captured: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """The results of ``body``, which keeps nothing for its gradient and runs again for it."""

    def run(*given: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], Callable[..., Sequence]]:
        def pull(*cotangents: torch.Tensor) -> list[torch.Tensor | None]:
            smooth = [place for place, x in enumerate(given) if differentiable(x)]

            def results(*arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
                full = list(given)
                for place, x in zip(smooth, arrays, strict=True):
                    full[place] = x
                return tuple(filter(differentiable, body(*full)))

            pull = torch.func.vjp(results, *(given[place] for place in smooth))[1]
            gradients = dict(zip(smooth, pull(tuple(filter(differentiable, cotangents))), strict=True))
            return [gradients.get(place) for place in range(len(given))]

        return body(*given), pull

    return WithGradient.apply(run, *arrays, *captured)

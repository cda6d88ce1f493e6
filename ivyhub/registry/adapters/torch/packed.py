"""Packed sequences in a trace: padded sequences that know their lengths.

A ``PackedSequence`` holds the steps that count, one after another: how many they are depends on numbers, and
``torch.export`` refuses it. While a module is traced, `packed_sequences` keeps the steps padded instead, and a
recurrent layer is given their lengths. What is packed shows itself as no tensor, so that whatever else a module does
to it is refused and not misread.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

from ....errors import CaptureError

NAME = "ivyhub::packed_recurrence"

_SCHEMA = (
    "(str kind, Tensor x, Tensor lengths, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout,"
    " bool train, bool bidirectional, bool batch_first) -> Tensor[]"
)
_KINDS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True)
class _Steps:
    """What stands for the steps of a packed sequence.

    Attributes:
        value: all of them, (time, batch, features), or with the batch first.
        lengths: how many of each sequence count.
        batch_first: the order of the axes of ``value``.
        clean: whether those that do not count are zero.
    """

    value: Any
    lengths: Any
    batch_first: bool
    clean: bool = False

    @property
    def dtype(self) -> Any:
        """Of the steps."""
        return self.value.dtype

    @property
    def device(self) -> Any:
        """Of the steps."""
        return self.value.device

    @property
    def is_cuda(self) -> bool:
        """Of the steps."""
        return self.value.is_cuda


class _BatchSizes:
    """What stands for how many sequences have a first step, a second, and so on: only the first number is known."""

    device = SimpleNamespace(type="cpu")

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getitem__(self, step: int) -> Any:
        if step:
            raise CaptureError("how many sequences have a further step depends on numbers", hint=_HINT)
        return self._batch

    def size(self, axis: int) -> int:
        """The number of steps of the longest sequence, which is not known: 0 stands for it."""
        return 0


_HINT = "keep to pack_padded_sequence, a recurrent layer and pad_packed_sequence(..., total_length=x.shape[1])"


@contextlib.contextmanager
def packed_sequences() -> Generator[None]:
    """While entered, packed sequences of PyTorch are padded ones with lengths; see the module's docstring."""
    import torch

    functions: Any = torch._VF  # pyright: ignore[reportPrivateUsage]
    with contextlib.ExitStack() as stack:
        for name, function in (
            ("_pack_padded_sequence", _pack),
            ("_pad_packed_sequence", functools.partial(_pad, functions._pad_packed_sequence)),
            *((kind, functools.partial(_run, kind, getattr(functions, kind))) for kind in _KINDS),
        ):
            stack.enter_context(mock.patch.object(functions, name, function, create=True))
        for layer in (torch.nn.modules.rnn.RNNBase, torch.nn.LSTM):  # those that have a check of their own
            check = functools.partial(_checked, layer.check_forward_args)
            stack.enter_context(mock.patch.object(layer, "check_forward_args", functools.partialmethod(check)))
        yield


def _checked(check: Callable[..., None], module: Any, x: Any, hidden: Any, batch_sizes: Any) -> None:
    if not isinstance(batch_sizes, _BatchSizes):
        check(module, x, hidden, batch_sizes)


def _pack(x: Any, lengths: Any, batch_first: bool) -> tuple[_Steps, _BatchSizes]:
    return _Steps(x, lengths, batch_first), _BatchSizes(x.shape[0 if batch_first else 1])


def _pad(
    plain: Callable[..., Any], steps: Any, batch_sizes: Any, batch_first: bool, padding_value: float, length: Any
) -> Any:
    import torch

    if not isinstance(steps, _Steps):
        return plain(steps, batch_sizes, batch_first, padding_value, length)
    value, axis = steps.value, 1 if steps.batch_first else 0
    if not length or length != value.shape[axis]:
        raise CaptureError(
            f"pad_packed_sequence without total_length={value.shape[axis]} pads to the longest of the lengths, which "
            "depends on numbers",
            hint="pass total_length=x.shape[1], of the x that was packed (x.shape[0] without batch_first)",
        )
    if padding_value or not steps.clean:
        counts = torch.arange(value.shape[axis], device=value.device) < steps.lengths.to(value.device)[:, None]
        value = torch.where((counts if steps.batch_first else counts.mT)[..., None], value, padding_value)
    return value if steps.batch_first == batch_first else value.transpose(0, 1), steps.lengths


def _run(kind: str, plain: Callable[..., Any], x: Any, *args: Any) -> Any:
    if not isinstance(x, _Steps):
        return plain(x, *args)
    _, hx, params, *options = args
    states: Sequence[Any] = hx if isinstance(hx, tuple | list) else [hx]
    value, *ends = _operation()(kind, x.value, x.lengths, list(states), list(params), *options, x.batch_first)
    return (_Steps(value, x.lengths, x.batch_first, clean=True), *ends)


@functools.cache
def _operation() -> Any:
    """The operation, declared at the first capture of a process under our own name."""
    import torch

    torch.library.define(NAME, _SCHEMA)
    torch.library.register_fake(NAME, _shapes)
    return torch.ops.ivyhub.packed_recurrence.default


def _shapes(kind: str, x: Any, lengths: Any, hx: Sequence[Any], params: Sequence[Any], *options: Any) -> list[Any]:
    bidirectional = options[4]
    width = hx[0].shape[-1] * (2 if bidirectional else 1)
    return [x.new_empty((*x.shape[:-1], width)), *(state.new_empty(state.shape) for state in hx)]


__all__ = ["packed_sequences"]

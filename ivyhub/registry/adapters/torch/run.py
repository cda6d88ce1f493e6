"""PyTorch models, originals and exports alike, as a certificate asks them (see ``adapters/running.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import UnknownDeviceError
from ..running import Arrays, labelled, leaves
from .arguments import unbind
from .draws import DRAWING, fixed_draws
from .hub import to_torch
from .trees import pytree_of_torch, to_numpy


class TorchRunner:
    """A live ``torch.nn.Module``.

    Args:
        module: it is trained in place.
        settings: further arguments of each call.
        arrange: makes the call's arguments from the arrays; by default they are its keywords.
    """

    trains = True

    def __init__(
        self,
        module: Any,
        settings: Mapping[str, Any] | None = None,
        arrange: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        self.module = module
        self.settings = dict(settings or {})
        self.arrange = arrange
        self.device = next((p.device for p in module.parameters()), None)
        self.wide = False

    def outputs(self, inputs: Arrays, *, train: bool = False) -> list[np.ndarray]:
        import torch

        with torch.no_grad():
            return [to_numpy(leaf) for leaf in self._run(inputs, train)]

    def gradients(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, train: bool) -> dict[str, np.ndarray]:
        import torch

        self.module.zero_grad()
        self._loss(inputs, weights, train).backward()
        found = {}
        for name, parameter in self.module.named_parameters():
            if parameter.requires_grad:
                gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
                found[name] = to_numpy(gradient)
        return found

    def descend(self, inputs: Arrays, weights: Sequence[np.ndarray | None], *, rate: float, steps: int) -> list[float]:
        import torch

        optimizer = torch.optim.SGD(self.module.parameters(), lr=rate)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = self._loss(inputs, weights, True)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    def buffers(self) -> dict[str, np.ndarray]:
        return {
            name: to_numpy(buffer).copy() for name, buffer in self.module.named_buffers() if buffer.is_floating_point()
        }

    def widened(self) -> TorchRunner:
        """The same module in float64; its inputs are widened with it."""
        self.module.double()
        self.wide = True
        return self

    @contextlib.contextmanager
    def watching(self, seen: Callable[[str, dict[str, np.ndarray]], None]) -> Generator[None]:
        """While entered, report the path of each module call as it ends, with its results by their paths."""
        import torch

        def hook(path: str) -> Any:
            def report(module: Any, args: Any, output: Any) -> None:
                found = {key: leaf for key, leaf in labelled(output) if isinstance(leaf, torch.Tensor)}
                seen(path, {key: to_numpy(leaf).copy() for key, leaf in found.items()})  # it may be written to later

            return report

        handles = [module.register_forward_hook(hook(path)) for path, module in self.module.named_modules() if path]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _loss(self, inputs: Arrays, weights: Sequence[np.ndarray | None], train: bool) -> Any:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        # The backward pass of the fused CPU kernel takes exp(score - logsumexp) for the weights. In a row that is
        # masked by finfo.min throughout, logsumexp absorbs log(n), and each of n weights becomes 1 instead of 1/n.
        with sdpa_kernel(SDPBackend.MATH):
            results = self._run(inputs, train)
        return sum(
            (leaf * to_torch(weight).to(leaf.device)).sum()
            for leaf, weight in zip(results, weights, strict=True)
            if weight is not None
        )

    def _run(self, inputs: Arrays, train: bool) -> list[Any]:
        def tensor(array: Any) -> Any:
            found = to_torch(array).to(self.device)
            return found.double() if self.wide and found.is_floating_point() else found

        arrays = pytree_of_torch().tree_map(lambda leaf: None if leaf is None else tensor(leaf), dict(inputs))
        self.module.train(train)
        with _no_dropout():
            args, kwargs = unbind(self.module, {**self.arrange(arrays), **self.settings})
            return _tensors(self.module(*args, **kwargs))


def _tensors(tree: Any) -> list[Any]:
    import torch

    return [leaf for leaf in leaves(tree) if isinstance(leaf, torch.Tensor)]


@contextlib.contextmanager
def _no_dropout() -> Generator[None]:
    """Make every way to drop elements the identity, and draws a certificate's, whichever function asks for it."""
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    same = {
        *(torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout),
        *(functional.dropout, functional.dropout1d, functional.dropout2d, functional.dropout3d),
        *(functional.alpha_dropout, functional.feature_alpha_dropout),
    }

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in same:
                return args[0] if args else kwargs["input"]
            if function is functional.scaled_dot_product_attention:
                args = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args
                kwargs = kwargs if len(args) > 4 else {**kwargs, "dropout_p": 0.0}
            if getattr(function, "__name__", "") in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
                place = 5 if isinstance(args[3], bool) else 6  # behind the lengths of a packed sequence
                args = (*args[:place], 0.0, *args[place + 1 :])
            if function is functional.multi_head_attention_forward:  # a mode does not see inside of it
                kwargs = {**kwargs, "training": False}
            draws = getattr(function, "__name__", "") in DRAWING
            with fixed_draws() if draws else contextlib.nullcontext():
                return function(*args, **kwargs)

    with Mode():
        yield


def device(text: str) -> str:
    """A device as PyTorch names it: ``gpu`` is ``cuda``. Raises `UnknownDeviceError` for one that is not here."""
    import torch

    word = "cuda" + text.removeprefix("gpu") if text.startswith("gpu") else text
    try:
        torch.empty(0, device=word)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a PyTorch that was built without CUDA
        raise UnknownDeviceError(
            f"PyTorch has no device {text!r} here: {str(error).splitlines()[0]}", hint="cpu is always there"
        ) from None
    return word


def tensors(model: Any) -> dict[str, np.ndarray]:
    """The arrays of a live model by the names of its weight file."""
    return {name: to_numpy(tensor) for name, tensor in model.state_dict().items()}


def open_package(model: Any) -> TorchRunner:
    """The runner of a live export."""
    return TorchRunner(model)

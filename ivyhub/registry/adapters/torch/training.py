"""Does a module take another way in evaluation than the one that was captured?

A capture runs in training mode, once: dropout and batch normalisation keep their meaning of both modes. A branch of
the user's own code on ``self.training`` would be lost. So while a module is traced, `Watch` notes which modules run
when code outside of PyTorch asks for ``training``, and one module of each kind that did is traced again by itself, in
both modes, on fake tensors of the shapes that it was called with. The two traces must be one but for dropout.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from ....engine.lines import short_path
from ....errors import CaptureError
from ..carried import is_carried
from .attention import STANDS_FOR, whole_attention
from .lines import frames
from .trees import pytree_of_torch

Site = tuple[CodeType, int]  # a place in code: the function, and the instruction in it
Place = tuple[str, int]  # file and line


@dataclass
class _Run:
    """A call of a module while it runs."""

    module: Any
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass
class Watch:
    """Who asked for ``training`` during a trace.

    Attributes:
        asked: one run of each kind of module that asked, with the run of the whole, and the places in the source.
        evaluated: places that are told False though the module trains; see `Watch.evaluate_before`.
    """

    asked: dict[object, tuple[_Run, _Run, list[Place]]] = field(default_factory=dict)
    evaluated: dict[Site, Place] = field(default_factory=dict)
    _running: list[_Run] = field(default_factory=list)
    _log: list[tuple[Site, Place]] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self, modules: Mapping[str, Any], evaluated: Collection[Any] = ()) -> Generator[None]:
        """While entered, note every read; hooks and the attribute are as before afterwards.

        Args:
            modules: all of them, by path.
            evaluated: layers of PyTorch whose own code is told that they are evaluated.
        """
        self._running.clear()
        self._log.clear()
        self.asked.clear()
        handles = []
        for path, module in modules.items():
            if not _is_native(module):
                handles.append(module.register_forward_pre_hook(self._enter(path), with_kwargs=True))
                handles.append(module.register_forward_hook(lambda *_: self._leave()))
        try:
            with _attribute(self._read, evaluated):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def evaluate_before(self, error: BaseException) -> bool:
        """Tell the last place that asked before a branch on random numbers that it is evaluated; False for no such.

        Stochastic depth skips a layer by chance in training: ``if self.training and torch.rand([]) < p``. No graph
        holds that branch; the one of evaluation can be kept.
        """
        if "data-dependent" not in str(error):
            return False
        codes = [frame.f_code for frame in frames(error)]
        site = next((entry for entry in reversed(self._log) if entry[0][0] in codes), None)
        if site is None or site[0] in self.evaluated:
            return False
        self.evaluated[site[0]] = site[1]
        return True

    def _enter(self, path: str) -> Any:
        def hook(module: Any, args: Any, kwargs: Any) -> None:
            self._running.append(_Run(module, path, args, kwargs))

        return hook

    def _leave(self) -> None:
        self._running.pop()

    def _read(self, module: Any, frame: FrameType, value: bool) -> bool:
        site = frame.f_code, frame.f_lasti
        place = frame.f_code.co_filename, frame.f_lineno
        if not value or not self._running:
            return value
        if site in self.evaluated:
            return False
        self._log.append((site, place))
        run = next((run for run in reversed(self._running) if _holds(run.module, module)), self._running[0])
        places = self.asked.setdefault(_kind(run), (run, self._running[0], []))[2]
        if place not in places:
            places.append(place)
        return value

    def check(self) -> None:
        """Raise `CaptureError` for a module whose graph is another one in evaluation."""
        for run, whole, places in self.asked.values():
            if not self._alike(run, whole):
                where = ", ".join(f"{short_path(file)}:{line}" for file, line in places)
                raise CaptureError(
                    f"{run.path or 'the module'} ({type(run.module).__name__}) takes another way in evaluation than in "
                    f"training ({where}), and a graph has one for both",
                    hint="make the two alike but for dropout and batch statistics, or convert them as two modules",
                )

    def _alike(self, run: _Run, whole: _Run) -> bool:
        native = [module for module in run.module.modules() if _is_native(module)]  # they keep both of their meanings
        try:
            with _attribute(
                lambda module, frame, value: value and (frame.f_code, frame.f_lasti) not in self.evaluated, native
            ):
                return _trace(run, training=True) == _trace(run, training=False)
        except Exception as error:
            if run is not whole:  # it needs what its callers prepare: objects that hold tensors
                return self._alike(whole, whole)
            raise CaptureError(
                f"{type(run.module).__name__} asks whether it is trained, and its evaluation cannot be traced: {error}",
                hint="the chained error says where",
            ) from error

    def notes(self) -> list[str]:
        """What a reader should know of places that are always evaluated."""
        return [
            f"{short_path(file)}:{line} depends on random numbers in training:"
            " the export behaves there as in evaluation"
            for file, line in dict.fromkeys(self.evaluated.values())
        ]


def _is_native(module: Any) -> bool:
    return type(module).__module__.startswith("torch.") or is_carried(type(module), "torch")


def _holds(outer: Any, inner: Any) -> bool:
    return any(module is inner for module in outer.modules())


def _kind(run: _Run) -> object:
    """What tells runs apart that may take different ways: class, settings, and the form of the arguments.

    Numbered layers are all apart, as any of them may be the one that is told from the others by its number.
    """
    settings = [(k, v) for k, v in vars(run.module).items() if k != "training" and isinstance(v, int | float | str)]
    leaves, spec = pytree_of_torch().tree_flatten((run.args, run.kwargs))
    plain = [leaf if isinstance(leaf, int | float | str) else type(leaf).__name__ for leaf in leaves]
    return repr((id(type(run.module)), settings, plain, spec))


@contextlib.contextmanager
def _attribute(read: Any, evaluated: Collection[Any] = ()) -> Generator[None]:
    """While entered, what code outside of PyTorch learns from ``module.training`` goes through a function.

    PyTorch's own code learns the truth, but for modules that are ``evaluated``.
    """
    import torch

    silent = {id(module) for module in evaluated}
    thread = threading.get_ident()
    own = os.path.dirname(torch.__file__) + os.sep

    class Training:
        """A data descriptor: it outranks the instance's dictionary, where the flag stays."""

        def __get__(self, module: Any, owner: Any = None) -> Any:
            if module is None:
                return self
            try:
                value = module.__dict__["training"]
            except KeyError:
                raise AttributeError(f"{type(module).__name__!r} object has no attribute 'training'") from None
            frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
            if threading.get_ident() != thread:
                return value
            if frame.f_code.co_filename.startswith(own) or is_carried(type(module), "torch"):
                return value and id(module) not in silent
            return read(module, frame, value)

        def __set__(self, module: Any, value: bool) -> None:
            module.__dict__["training"] = value

    torch.nn.Module.training = Training()  # type: ignore[assignment]
    try:
        yield
    finally:
        del torch.nn.Module.training


def _trace(run: _Run, *, training: bool) -> list[object]:
    """The operations of one run by itself, without dropout, in a form that can be compared."""
    import torch
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    pytree = pytree_of_torch()
    fakes = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(tensor: Any) -> Any:
        with fakes:
            return torch.empty([_hint(size) for size in tensor.shape], dtype=tensor.dtype, device="cpu")

    state = {name: fake(p) for name, p in run.module.named_parameters()}
    state |= {name: fake(b) for name, b in run.module.named_buffers() if b.is_meta or hasattr(b, "fake_mode")}
    leaves, spec = pytree.tree_flatten((run.args, run.kwargs))
    tensors = [fake(leaf) for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def call(*given: Any) -> Any:
        arrays = iter(given)
        filled = [next(arrays) if isinstance(leaf, torch.Tensor) else _hint(leaf) for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(filled, spec)
        return pytree.tree_leaves(torch.func.functional_call(run.module, state, args, kwargs))

    modes = {module: module.training for module in run.module.modules()}
    try:
        run.module.train(training)
        with fakes, whole_attention():
            traced = make_fx(call, pre_dispatch=True, _allow_non_fake_inputs=True)(*tensors)
    finally:
        for module, mode in modes.items():
            module.training = mode
    traced.graph.eliminate_dead_code()
    return _comparable(traced)


def _hint(size: Any) -> Any:
    """The number that a symbolic size had in the example; anything else as it is."""
    import torch

    return size.node.hint if isinstance(size, torch.SymInt | torch.SymFloat | torch.SymBool) else size


def _comparable(traced: Any) -> list[object]:
    import torch

    numbers: dict[Any, object] = {}
    rows: list[object] = []

    def plain(arg: Any) -> object:
        if isinstance(arg, torch.fx.Node):
            return numbers[arg]
        if isinstance(arg, tuple | list):
            return tuple(plain(item) for item in arg)
        return repr(arg)

    for node in traced.graph.nodes:
        target = STANDS_FOR.get(str(node.target), str(node.target))
        name = target.split(".")[1].rstrip("_") if node.op == "call_function" and "." in target else ""
        args, kwargs = list(node.args), dict(node.kwargs)
        if name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "contiguous", "clone"):
            numbers[node] = numbers[args[0]]
            continue
        if name == "scaled_dot_product_attention":
            kwargs.pop("dropout_p", None)
            args[4:5] = [0.0] * len(args[4:5])
            while len(args) > 3 and args[-1] in (None, 0.0, False):  # as if it had been left out
                args.pop()
        numbers[node] = f"%{len(rows)}"
        constant = ""
        if node.op == "get_attr":
            held = getattr(traced, node.target, None)
            constant = repr((held.shape, held.dtype, held)) if isinstance(held, torch.Tensor) else ""
        what = constant or ("" if node.op in ("placeholder", "output") else target)
        rows.append((node.op, what, plain(args), sorted((key, plain(arg)) for key, arg in kwargs.items())))
    return rows


__all__ = ["Watch"]

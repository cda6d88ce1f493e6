"""Control flow of PyTorch, whose nodes hold graphs, as the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ....engine import control_flow, ops
from ....engine.graph import Value
from ....errors import CaptureError

Body = Callable[..., Sequence[Any]]  # a graph that a node holds, as a function of values


def _cond(predicate: Any, then: Body, orelse: Body, operands: Sequence[Any]) -> Sequence[Any]:
    if isinstance(predicate, bool):
        return (then if predicate else orelse)(*operands)
    if not isinstance(predicate, Value):
        raise CaptureError(
            f"torch.cond chooses by the size {predicate}, which varies", hint="name fewer sizes in dynamic"
        )
    arrays = [operand for operand in operands if isinstance(operand, Value)]

    def given(branch: Body) -> Callable[..., tuple[Any, ...]]:
        def run(*values: Any) -> tuple[Any, ...]:
            left = iter(values)
            return tuple(branch(*(next(left) if isinstance(each, Value) else each for each in operands)))

        return run

    which = predicate if predicate.shape == () else ops.reshape(predicate, shape=())
    return control_flow.cond(which, given(then), given(orelse), *arrays)


def _while_loop(test: Body, body: Body, carried: Sequence[Any], others: Sequence[Any] = ()) -> Sequence[Any]:
    if not all(isinstance(each, Value) for each in carried):
        raise CaptureError("while_loop carries a number that is no tensor", hint="carry torch.tensor(n)")
    return control_flow.while_loop(
        lambda carry: ops.reshape(test(*carry, *others)[0], shape=()),
        lambda carry: tuple(body(*carry, *others)),
        tuple(carried),
    )


def _scan(body: Body, init: Sequence[Any], xs: Sequence[Any], others: Sequence[Any] = ()) -> Sequence[Any]:
    def step(carry: Any, x: Any) -> Any:
        found = body(*carry, *x, *others)
        return tuple(found[: len(init)]), tuple(found[len(init) :])

    last, stacked = control_flow.scan(step, tuple(init), tuple(xs))
    return [*last, *stacked]


def _map(body: Body, xs: Sequence[Any], others: Sequence[Any] = ()) -> Sequence[Any]:
    return control_flow.map(lambda x: tuple(body(*x, *others)), tuple(xs))


CONTROL: dict[str, Callable[..., Sequence[Any]]] = {
    "cond": _cond,
    "while_loop": _while_loop,
    "scan": _scan,
    "map_impl": _map,
}
"""What reads each of them, from its arguments with graphs as functions."""

__all__ = ["CONTROL"]

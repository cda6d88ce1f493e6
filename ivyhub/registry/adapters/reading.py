"""Tables of reading rules: from a framework's operation to the functional API.

A rule is a function over `ivyhub.engine` operations, entered under the foreign name of the operation it reads:

    RULES = Rules("torch")

    @RULES("aten.addmm.default")
    def addmm(bias, a, b, *, beta=1, alpha=1):
        ...

Given traced arrays it records nodes; given native arrays it computes, so each rule is tested against the framework's
own operation. `reads` enters rules from outside of ivyhub.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ...errors import EngineError, UnknownFrameworkError

Rule = Callable[..., Any]


class Rules(dict[str, Rule]):
    """The rules of one framework by foreign name.

    Example:
        >>> rules = Rules("torch")
        >>> @rules("aten.neg.default", "aten.negative.default")
        ... def negative(x):
        ...     return -x
        >>> rules["aten.neg.default"](3)
        -3
    """

    def __init__(self, framework: str) -> None:
        super().__init__()
        self.framework = framework

    def __call__(self, *names: str) -> Callable[[Rule], Rule]:
        """Enter a function under foreign names. Raises `EngineError` when one is taken."""

        def enter(rule: Rule) -> Rule:
            for name in names:
                if name in self:
                    raise EngineError(f"{self.framework} has a rule for {name!r} already")
                self[name] = rule
            return rule

        return enter


#: The frameworks whose operations rules read. Each has its table in ``rules`` of its adapter's folder.
SOURCES = ("torch", "jax", "tensorflow", "onnx")


def reads(framework: str, *names: str, **options: Any) -> Callable[[Rule], Rule]:
    """Enter a rule that reads operations of a framework: the decorator for files of one's own and for plug-ins.

    Args:
        framework: torch, jax, tensorflow or onnx.
        names: what the framework calls the operations: ``mylib.swish.default`` (the overload of a ``torch.library``
            operation), ``swish`` (a primitive of JAX), ``Swish`` (the type of a TensorFlow operation),
            ``com.example.Swish`` (an operator of ONNX with its domain; ``Swish-13`` holds from opset 13 on).
        options: of TensorFlow's rules: ``known``, the inputs that the rule takes as numbers, and ``scalars``, whether
            the others may be Python numbers.

    The rule takes arrays by position, attributes as the framework passes them, and is written in operations of
    `ivyhub.engine`; one that was declared with `ivyhub.op` may be the rule itself.

    Raises:
        UnknownFrameworkError: rules read no such framework.
        EngineError: a name has a rule already.

    Example:
        >>> import ivyhub
        >>> from ivyhub import engine
        >>> @ivyhub.reads("torch", "mylib.swish.default")
        ... def swish(x, beta=1.0):
        ...     return engine.multiply(x, engine.sigmoid(engine.multiply(x, beta)))
    """
    if framework not in SOURCES:
        raise UnknownFrameworkError(
            f"expected {', '.join(SOURCES)}, received {framework!r}", hint="rules read the operations of one of these"
        )
    rules = importlib.import_module(f".{framework}.rules", __package__)
    enter: Callable[[Rule], Rule] = getattr(rules, "reads", rules.RULES)(*names, **options)
    return enter

"""Tables of reading rules: from a framework's operation to the functional API.

A rule is a function over `ivyhub.engine` operations, entered under the foreign name of the operation it reads:

    RULES = Rules("torch")

    @RULES("aten.addmm.default")
    def addmm(bias, a, b, *, beta=1, alpha=1):
        ...

Given traced arrays it records nodes; given native arrays it computes, so each rule is tested against the framework's
own operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import EngineError

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

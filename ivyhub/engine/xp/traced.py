"""The Array API Standard 2025.12 over the values of a graph that is being recorded. See `ivyhub.engine.trace`.

It is what ``x.__array_namespace__()`` gives in a trace; its functions take and give the values themselves.
"""

from __future__ import annotations

from ..recording import TRACED
from ._building import build

globals().update(build(TRACED, over=lambda function: function))

"""Reading rules for the operators of ONNX, one file a family; `common` holds their table."""

from __future__ import annotations

from . import (
    control,
    creation,
    elementwise,
    indexing,
    linalg,
    nn,
    quantised,
    recurrent,
    reduction,
    regions,
    resizing,
    shape,
    text,
    training,
)
from .common import RULES, rule_of
from .sizes import SIZE_RULES, TAKES_SIZES

__all__ = [
    "RULES",
    "SIZE_RULES",
    "TAKES_SIZES",
    "control",
    "creation",
    "elementwise",
    "indexing",
    "linalg",
    "nn",
    "quantised",
    "recurrent",
    "reduction",
    "regions",
    "resizing",
    "rule_of",
    "shape",
    "text",
    "training",
]

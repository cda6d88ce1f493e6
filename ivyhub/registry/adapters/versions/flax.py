"""Flax: Linen keeps collections of variables, each with the paths of modules in it; NNX keeps the paths alone.

Leaves agree: ``kernel``, ``bias``, ``scale``, ``embedding``. The statistics of a batch are a collection of Linen's and
plain leaves of NNX's; a word of Python's has an underscore in NNX, whose parts are attributes; and older files of NNX
have ``value`` behind each leaf.
"""

from __future__ import annotations

import keyword

from ivyhub.errors import CheckpointError
from ivyhub.registry.weights import Checkpoint, Entry

_PARAMETERS, _STATISTICS = "params", "batch_stats"
_WRAPPINGS = ("value", "raw_value")
_STATISTICS_LEAVES = ("mean", "var")
_DRAWS = ("key", "count")


def to_nnx(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """The parameters and statistics of Linen's variables, or of a train state that holds them, as NNX names them.

    Raises:
        CheckpointError: there are no collections.
    """
    if not any(name.startswith(f"{_PARAMETERS}.") for name in ckpt):
        raise CheckpointError(
            f"expected variables of Flax Linen, received {len(ckpt)} tensors of which none is in {_PARAMETERS!r}",
            hint="save the variables as init() gave them: {'params': ..., 'batch_stats': ...}",
        )
    entries: list[Entry] = []
    left_out: list[str] = []
    for name in ckpt:
        collection, _, path = name.partition(".")
        if collection in (_PARAMETERS, _STATISTICS) and path:
            parts = (f"{part}_" if keyword.iskeyword(part) else part for part in path.split("."))
            entries.append(Entry((".".join(parts),), (name,)))
        else:
            left_out.append(name)
    return entries, left_out


def to_linen(ckpt: Checkpoint) -> tuple[list[Entry], list[str]]:
    """The state of an NNX module as variables of Linen.

    Raises:
        CheckpointError: it has collections already.
    """
    if any(name.startswith((f"{_PARAMETERS}.", f"{_STATISTICS}.")) for name in ckpt):
        raise CheckpointError(
            "expected the state of a module of Flax NNX, received collections of Linen",
            hint="--names flax.nnx goes the other way",
        )
    paths = {name: _path(name) for name in ckpt}
    known = {*paths.values()}
    entries: list[Entry] = []
    left_out: list[str] = []
    for name, path in paths.items():
        *module, leaf = path
        if leaf in _DRAWS and all((*module, other) in known for other in _DRAWS):  # the state of random numbers
            left_out.append(name)
            continue
        statistics = leaf in _STATISTICS_LEAVES and all((*module, other) in known for other in _STATISTICS_LEAVES)
        parts = (part[:-1] if part.endswith("_") and keyword.iskeyword(part[:-1]) else part for part in path)
        entries.append(Entry((".".join([_STATISTICS if statistics else _PARAMETERS, *parts]),), (name,)))
    return entries, left_out


def _path(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("."))
    return parts[:-1] if len(parts) > 1 and parts[-1] in _WRAPPINGS else parts

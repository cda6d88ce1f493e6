"""Which family and form a checkpoint is, by its names alone, and the map that gives it the names of another form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ivyhub.errors import CheckpointError, UsageError
from ivyhub.registry.adapters.families.bert import BERT
from ivyhub.registry.adapters.families.conventions import COUNTERS
from ivyhub.registry.adapters.families.family import Family, Form, Rule, Table
from ivyhub.registry.adapters.families.gpt2 import GPT2
from ivyhub.registry.adapters.families.layouts import Sizes, learn, relay
from ivyhub.registry.adapters.families.llama import LLAMA
from ivyhub.registry.adapters.families.patterns import Index
from ivyhub.registry.adapters.families.resnet import RESNET
from ivyhub.registry.adapters.families.t5 import T5
from ivyhub.registry.adapters.families.vit import VIT
from ivyhub.registry.adapters.versions import STYLES
from ivyhub.registry.weights import Checkpoint, Entry, WeightMap

FAMILIES: Mapping[str, Family] = {family.name: family for family in (BERT, GPT2, LLAMA, T5, VIT, RESNET)}
"""Every family, by name."""

_SAMPLE, _SHOWN = 64, 5


class Found(NamedTuple):
    """What a checkpoint is.

    Args:
        table: the form that explains most of its names.
        unexplained: the names that it does not explain.
    """

    table: Table
    unexplained: tuple[str, ...]

    @property
    def name(self) -> str:
        """Family and form, as the user writes them."""
        return self.table.name

    @property
    def title(self) -> str:
        """Family and form in words."""
        return f"{self.table.family.title} in the names of {self.table.form.title}"


class Renaming(NamedTuple):
    """How a checkpoint becomes one of another form.

    Args:
        found: what it is.
        table: the form that it becomes.
        weights: what becomes of its tensors.
        left_out: what does not travel: copies of other tensors, what is no part of the model, what the form lacks.
        zeros: counters that the form has and the checkpoint has not.
        repeated: names that the form has for tensors under other names of it.
    """

    found: Found
    table: Table
    weights: WeightMap
    left_out: tuple[str, ...]
    zeros: tuple[str, ...] = ()
    repeated: Mapping[str, str] = MappingProxyType({})

    @property
    def name(self) -> str:
        """Family and form that it becomes."""
        return self.table.name

    @property
    def before(self) -> str:
        """Family and form that it has."""
        return self.found.name


def recognise(names: Iterable[str]) -> Found | None:
    """The family and form whose rules explain the names of tensors; None where none explains half of them.

    Args:
        names: all names of a checkpoint.

    Example:
        >>> recognise(["bert/pooler/dense/kernel", "bert/pooler/dense/bias"]).name
        'bert:google-research'
        >>> recognise(["encoder.0.weight"])
    """
    names = list(names)
    best: tuple[int, Found] | None = None
    for table in tables():
        # most tables know none of a sample from all over
        if any(table.explains(name) for name in names[:: max(1, len(names) // _SAMPLE)]):
            unexplained = tuple(name for name in names if not table.explains(name))
            told = any(table.inwards.find(name) for name in names)
            if told and 2 * len(unexplained) < len(names) and (best is None or len(unexplained) < best[0]):
                best = (len(unexplained), Found(table, unexplained))
    return best[1] if best else None


def rename(
    ckpt: Checkpoint,
    names: str,
    *,
    sizes: Mapping[str, int] = MappingProxyType({}),
    partial: bool = False,
    untied: bool = False,
) -> Renaming:
    """Plan the names and layouts of another form for a checkpoint of a family. Nothing is read but copies, to compare.

    Args:
        ckpt: the checkpoint.
        names: a form of its family, ``flax`` or ``bert:flax``.
        sizes: of the axes ``n`` and ``m``, heads and heads of keys and values, where they are known.
        partial: leave out what the form has no place for.
        untied: the model shares no tensors, so that two that are equal are two.

    Raises:
        CheckpointError: not all names belong to one form of a family; the form has no place for a tensor, or takes
            several as one of which some are missing; or the number of heads is needed and not known.
        TensorMismatchError: a tensor has a shape that its name does not have.
        UsageError: there is no such form.

    Example:
        >>> from ivyhub.registry.weights import MemoryCheckpoint
        >>> ckpt = MemoryCheckpoint({"bert/pooler/dense/kernel": np.ones((2, 3), np.float32)})
        >>> rename(ckpt, "transformers").weights.entries  # doctest: +NORMALIZE_WHITESPACE
        (Entry(targets=('bert.pooler.dense.weight',), sources=('bert/pooler/dense/kernel',),
               steps=(Transpose(perm=(1, 0), at=0),)),)
    """
    if not any(names in _spellings(family) for family in FAMILIES.values()):
        hint = f"choose one of {_choices(FAMILIES.values())}; {', '.join(STYLES)} for any model"
        raise UsageError(f"unknown names {names!r}", hint=hint)
    found = recognise(ckpt)
    if found is None or found.unexplained:
        raise _unexplained(found, len(ckpt))
    source, family = found.table, found.table.family
    form = _spellings(family).get(names)
    if form is None:
        raise UsageError(
            f"expected names that {family.title} has, received {names!r}", hint=f"choose one of {_choices([family])}"
        )
    target = _table(family.name, form.name, source.bare and form.bare)
    left_out = _left_out(ckpt, source, untied)
    known, kept = dict(sizes), ckpt.keys() - set(left_out)

    inwards, unknown = _entries({name: ckpt[name].shape for name in ckpt if name in kept}, source.inwards, known)
    if unknown:
        raise _unexplained(found._replace(unexplained=unknown), len(ckpt))
    shapes = {tensor.info.name: tensor.info.shape for tensor in WeightMap(inwards).apply(ckpt)}
    outwards, homeless = _entries(shapes, target.outwards, known)
    if not partial and (needed := [name for name in homeless if name.rpartition(".")[2] not in COUNTERS]):
        raise CheckpointError(
            f"expected tensors that {family.name}:{form.name} has a place for, received {len(needed)} others: "
            f"{_listed(needed)}",
            hint="leave them out with --partial, or choose other names",
        )
    lost = set(homeless)
    left_out += [name for entry in inwards if not lost.isdisjoint(entry.targets) for name in entry.sources]
    travelling = tuple(entry for entry in inwards if lost.isdisjoint(entry.targets))
    weights = WeightMap(travelling).compose(WeightMap(outwards))
    zeros, repeated = tuple(_counters(shapes, target)), dict(_repeated(weights, form))
    return Renaming(found, target, weights, tuple(left_out), zeros, repeated)


def _repeated(weights: WeightMap, form: Form) -> Iterator[tuple[str, str]]:
    names = [name for entry in weights.entries for name in entry.targets]
    groups = {name.partition("/")[0] for name in names}
    for name in names:
        for expression, replacement in form.repeated:
            found = re.fullmatch(expression, name)
            if found is not None and (again := found.expand(replacement)).partition("/")[0] in groups:
                yield again, name


def _counters(canonical: Collection[str], table: Table) -> Iterator[str]:
    """The names of counters that a form has beside some of its tensors, and these tensors have not."""
    for name in canonical:
        for counter, neighbour in COUNTERS.items():
            if name.endswith(f".{neighbour}") and (beside := name[: -len(neighbour)] + counter) not in canonical:
                match = table.outwards.find(beside)
                if match is not None:
                    (rule, place), numbers = match
                    yield rule.targets[place].fill(numbers)


def _left_out(ckpt: Checkpoint, table: Table, untied: bool) -> list[str]:
    """The names of what is no part of the model, and of copies, once it is sure that they are."""
    found: list[str] = []
    for name in ckpt:
        original = table.original(name, untied)
        known = table.inwards.find(name) is not None
        if table.ignores(name):
            found.append(name)
        elif original is not None and original in ckpt:
            if _equal(ckpt, name, original):
                found.append(name)
            elif not known:
                raise CheckpointError(
                    f"expected {name!r} to be a copy of {original!r}, received two different tensors",
                    hint="the checkpoint was changed after it was written; write it again where it was made",
                )
    return found


def _equal(ckpt: Checkpoint, one: str, other: str) -> bool:
    if (ckpt[one].shape, ckpt[one].dtype) != (ckpt[other].shape, ckpt[other].dtype):
        return False
    # as bytes, so that NaN equals itself
    a, b = (np.ascontiguousarray(ckpt.read(name)).reshape(-1).view(np.uint8).data for name in (one, other))
    equal = a == b
    ckpt.release(one)
    ckpt.release(other)
    return equal


def _entries(
    shapes: Mapping[str, Sequence[int]], index: Index[tuple[Rule, int]], known: Sizes
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """What becomes of tensors by the rules of an index, and the names that have no rule.

    Args:
        shapes: of the tensors.
        index: the rules.
        known: sizes of axes; takes what the shapes say.
    """
    groups: dict[tuple[Rule, tuple[tuple[str, int], ...]], dict[int, str]] = {}
    without: list[str] = []
    for name in shapes:
        match = index.find(name)
        if match is None:
            without.append(name)
        else:
            (rule, place), numbers = match
            other = groups.setdefault((rule, tuple(sorted(numbers.items()))), {}).setdefault(place, name)
            if other != name:
                raise CheckpointError(
                    f"expected one model, received {other!r} and {name!r}, which are the same tensor of it",
                    hint="write the models to files of their own where they were made",
                )
    layouts = [(rule.layout, shapes[name]) for (rule, _), names in groups.items() for name in names.values()]
    while any(learn(layout, shape, known) for layout, shape in layouts):
        pass
    entries: list[Entry] = []
    for (rule, pairs), names in groups.items():
        numbers = dict(pairs)
        if missing := [pattern.fill(numbers) for place, pattern in enumerate(rule.sources) if place not in names]:
            raise CheckpointError(
                f"expected {_listed(missing)} beside {min(names.values())!r}, which are one tensor elsewhere",
                hint="the checkpoint lacks tensors; get it again from its source",
            )
        sources = tuple(names[place] for place in sorted(names))
        steps = relay(
            rule.layout, rule.result, [shapes[name] for name in sources], len(rule.targets), known, sources[0]
        )
        entries.append(Entry(tuple(pattern.fill(numbers) for pattern in rule.targets), sources, tuple(steps)))
    return tuple(entries), tuple(without)


def _spellings(family: Family) -> dict[str, Form]:
    """The forms of a family by what the user may call them."""
    return {name: form for form in family.forms for name in (form.name, f"{family.name}:{form.name}")}


@cache
def _table(family: str, form: str, bare: bool) -> Table:
    """The rules of a form, made once."""
    return Table(FAMILIES[family], next(row for row in FAMILIES[family].forms if row.name == form), bare)


def tables() -> Iterator[Table]:
    """The rules of every form; of models without a head too, where these have names of their own."""
    for family in FAMILIES.values():
        for form in family.forms:
            for bare in (False, True) if form.bare else (False,):
                yield _table(family.name, form.name, bare)


def _unexplained(found: Found | None, count: int) -> CheckpointError:
    if found is None:
        known = ", ".join(family.title for family in FAMILIES.values())
        return CheckpointError(
            f"expected a checkpoint of a known family, received {count} tensors with other names",
            hint=f"ivyhub has names of {known}; without --names they stay as they are",
        )
    return CheckpointError(
        f"expected every name to be one of {found.name}, received {len(found.unexplained)} others: "
        f"{_listed(found.unexplained)}",
        hint="without --names they stay as they are",
    )


def _choices(families: Iterable[Family]) -> str:
    return "; ".join(f"{', '.join(form.name for form in family.forms)} for {family.title}" for family in families)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""A family: the tensors of a published architecture, and the forms that ecosystems keep them in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from ivyhub.registry.adapters.families.conventions import KINDS, TORCH, Convention
from ivyhub.registry.adapters.families.patterns import Index, Pattern, expand, fused


class Row(NamedTuple):
    """Where a module, or a tensor, of a family stands in a form. What is below it stands below it there.

    Args:
        canonical: its path in transformers; ``{a|b}`` where the form has several in one piece.
        path: its path in the form; ``{a|b}`` where it has several for it, "" where it has no place. ``{a,b}`` makes
            several rows of one.
        layout: of a tensor whose place the form's convention does not say.
    """

    canonical: str
    path: str
    layout: str = ""


class Form(NamedTuple):
    """How one ecosystem, or a version of one, stores a family.

    Args:
        name: what the user calls it.
        title: whose files these are.
        convention: how it stores layers.
        rows: what stands elsewhere than under the same path; the most specific row holds.
        complete: whether there are no places beside those of the rows.
        ignored: expressions of names that carry nothing of the model: masks, positions, the state of an optimiser.
        copies: expressions of names that are copies of another tensor, and its name.
        tied: likewise, in models whose configuration does not say otherwise.
        repeated: expressions of names that are written again, and under what name, beside others of its first part.
        bare: whether models without a head leave out the root of the path.
        models: the model_type of configurations that it is for; any of the family if not given.
    """

    name: str
    title: str
    convention: Convention = TORCH
    rows: tuple[Row, ...] = ()
    complete: bool = False
    ignored: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    tied: tuple[tuple[str, str], ...] = ()
    repeated: tuple[tuple[str, str], ...] = ()
    bare: bool = False
    models: tuple[str, ...] = ()


class Rule(NamedTuple):
    """Tensors under one set of names and what they are under another; on one side there is one.

    Args:
        sources: the names.
        targets: the other names.
        layout: how the sources lie.
        result: how the targets lie.
    """

    sources: tuple[Pattern, ...]
    targets: tuple[Pattern, ...]
    layout: str
    result: str

    def inverse(self) -> Rule:
        """The rule that leads back."""
        return Rule(self.targets, self.sources, self.result, self.layout)


class Family(NamedTuple):
    """A published architecture.

    Args:
        name: what the user calls it.
        title: the models that it is.
        root: the first part of the path of everything but heads; "" where there is none.
        modules: the kind and the path in transformers of every module that has tensors.
        forms: the first one is canonical: PyTorch's names and layouts as transformers writes them.
        sizes: by axis, the keys under which a configuration has its size.
    """

    name: str
    title: str
    root: str
    modules: tuple[tuple[str, str], ...]
    forms: tuple[Form, ...]
    sizes: Mapping[str, tuple[str, ...]]

    @property
    def tensors(self) -> dict[str, tuple[str, str]]:
        """Every tensor in transformers: its name, kind and name below its module."""
        return {
            f"{path}.{tensor}" if tensor else path: (kind, tensor)
            for kind, paths in self.modules
            for (path,) in expand(paths)
            for tensor in KINDS[kind]
        }


class Table:
    """The rules of a form, found by the names on either side.

    Args:
        family: the family.
        form: one of its forms.
        bare: without the root of its paths; canonical names keep it.
    """

    def __init__(self, family: Family, form: Form, bare: bool) -> None:
        self.family, self.form, self.bare = family, form, bare
        self.rules = _rules(family, form, bare)

    @property
    def name(self) -> str:
        """Family and form, as the user writes them."""
        return f"{self.family.name}:{self.form.name}"

    @cached_property
    def inwards(self) -> Index[tuple[Rule, int]]:
        """Rules from the form to transformers, by each name that they take and its place in the rule."""
        return _index(self.rules)

    @cached_property
    def outwards(self) -> Index[tuple[Rule, int]]:
        """Rules from transformers to the form, likewise."""
        return _index([rule.inverse() for rule in self.rules])

    def explains(self, name: str) -> bool:
        """Whether the form knows a name."""
        return self.inwards.find(name) is not None or self.ignores(name) or self.original(name) is not None

    @cached_property
    def _ignored(self) -> re.Pattern[str] | None:
        return re.compile("|".join(self.form.ignored)) if self.form.ignored else None

    def ignores(self, name: str) -> bool:
        """Whether a name carries nothing of the model."""
        return self._ignored is not None and self._ignored.fullmatch(name) is not None

    def original(self, name: str, untied: bool = False) -> str | None:
        """The name of the tensor that a name may be a copy of."""
        for expression, replacement in (*self.form.copies, *(() if untied else self.form.tied)):
            found = re.fullmatch(expression, name)
            if found is not None:
                return found.expand(replacement)
        return None


def _index(rules: Sequence[Rule]) -> Index[tuple[Rule, int]]:
    return Index([(name, (rule, place)) for rule in rules for place, name in enumerate(rule.sources)])


def _rules(family: Family, form: Form, bare: bool) -> tuple[Rule, ...]:
    rows = [Row(*made) for row in form.rows for made in expand(*row)]
    places: dict[str, Row] = {name: row for row in rows for name in fused(row.canonical)}
    rules: list[Rule] = []
    done: set[str] = set()
    for canonical, (kind, tensor) in family.tensors.items():
        if canonical in done:
            continue
        row = next((places[prefix] for prefix in _prefixes(canonical) if prefix in places), None)
        row = row or Row(first := canonical.split(".")[0], "" if form.complete else first)
        sources = fused(row.canonical)
        rest = canonical[len(next(name for name in sources if f"{canonical}.".startswith(f"{name}."))) :]
        names, layout = _places(form.convention, row, rest, kind, tensor)
        if not names:
            continue
        whole = tuple(source + rest for source in sources)
        done.update(whole)
        if len(whole) > 1:  # behind each other along the axis of their outputs
            layout = re.sub(r"\(n d\)|\bo\b", lambda found: f"(* {found[0].strip('()')})", layout, count=1)
        if bare and not all(name.startswith(f"{family.root}.") for name in (*whole, *names)):
            continue
        there = tuple(Pattern(name[len(family.root) + 1 :] if bare else name) for name in names)
        rules.append(Rule(there, tuple(map(Pattern, whole)), layout, KINDS[kind][tensor]))
    return tuple(rules)


def _places(convention: Convention, row: Row, rest: str, kind: str, tensor: str) -> tuple[list[str], str]:
    """The names of a tensor in a form, none where it has no place, and its layout; `rest` is its path below a row's."""
    leaf = convention.leaf(kind, tensor)
    if not rest and tensor:  # a row for this one tensor
        parts, layout = [], row.layout or leaf.layout
    else:
        parts, layout = [*rest.removesuffix(tensor).strip(".").split("."), leaf.name], leaf.layout
    if not row.path or None in parts:
        return [], ""
    end = "".join(f"{convention.separator}{part}" for part in parts if part)
    return [_placed(leaf.template, path + end, convention.separator) for path in fused(row.path)], layout


def _placed(template: str, path: str, separator: str) -> str:
    return template.replace("{top}", path.split(separator)[0]).replace("{path}", path)


def _prefixes(name: str) -> Sequence[str]:
    """The name and what it stands below, the longest first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]

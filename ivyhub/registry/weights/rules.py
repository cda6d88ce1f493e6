"""Rules that rename tensors and re-lay their bytes, each with its inverse.

A `WeightMap` takes the tensors of one checkpoint to those of another. It is data: it can be written down beside an
export, inverted to bring a fine-tuned model home, and composed with another map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np

from ivyhub.errors import CheckpointError, CorruptFileError, TensorMismatchError
from ivyhub.registry.weights.checkpoint import Checkpoint
from ivyhub.registry.weights.dtypes import numpy_dtype
from ivyhub.registry.weights.header import TensorInfo, check_names, load_json
from ivyhub.registry.weights.lazy import LazyTensor, PlannedTensor, Reader, merge

FORMAT_VERSION = 1
_SHOWN = 20  # tensors of each kind that an error lists


class _Step(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="step", tag=str.lower
):
    """One change to the tensors of an entry, which stand in a row; `at` is the position of the first one changed."""


class Transpose(_Step, frozen=True):
    """Permute the axes of a tensor, as ``numpy.transpose``.

    Args:
        perm: axis of the source for each axis of the result.
        at: position of the tensor in its entry.
    """

    perm: tuple[int, ...]
    at: int = 0

    def __post_init__(self) -> None:
        _require(sorted(self.perm) == list(range(len(self.perm))), f"a permutation, received {self.perm}")

    def inverse(self) -> Transpose:
        return Transpose(tuple(sorted(range(len(self.perm)), key=self.perm.__getitem__)), self.at)


class Reshape(_Step, frozen=True):
    """Give a tensor another shape; its values keep their C order.

    Args:
        shape: the new shape.
        original: the shape before, for the inverse.
        at: position of the tensor in its entry.
    """

    shape: tuple[int, ...]
    original: tuple[int, ...]
    at: int = 0

    def __post_init__(self) -> None:
        _require(
            min((*self.shape, *self.original, 0)) == 0 and math.prod(self.shape) == math.prod(self.original),
            f"two shapes of one size, received {self.original} and {self.shape}",
        )

    def inverse(self) -> Reshape:
        return Reshape(self.original, self.shape, self.at)


class Cast(_Step, frozen=True):
    """Convert a tensor to another dtype.

    The inverse casts back, which does not bring back what a narrower dtype has rounded away.

    Args:
        dtype: the new dtype.
        original: the dtype before, for the inverse.
        at: position of the tensor in its entry.
    """

    dtype: str
    original: str
    at: int = 0

    def __post_init__(self) -> None:
        numpy_dtype(self.dtype)
        numpy_dtype(self.original)

    def inverse(self) -> Cast:
        return Cast(self.original, self.dtype, self.at)


class Split(_Step, frozen=True):
    """Cut one tensor into several along an axis.

    Args:
        axis: the axis, counted from 0.
        sizes: length of each part along it.
        at: position of the tensor in its entry; the parts take its place.
    """

    axis: int
    sizes: tuple[int, ...]
    at: int = 0

    def __post_init__(self) -> None:
        _require(self.axis >= 0 and min(self.sizes, default=-1) >= 0, f"an axis and sizes, received {self}")

    def inverse(self) -> Merge:
        return Merge(self.axis, self.sizes, self.at)


class Merge(_Step, frozen=True):
    """Join several tensors along an axis.

    Args:
        axis: the axis, counted from 0.
        sizes: length of each part along it.
        at: position of the first part in its entry; the result takes the place of all.
    """

    axis: int
    sizes: tuple[int, ...]
    at: int = 0

    def __post_init__(self) -> None:
        _require(self.axis >= 0 and min(self.sizes, default=-1) >= 0, f"an axis and sizes, received {self}")

    def inverse(self) -> Split:
        return Split(self.axis, self.sizes, self.at)


class Reorder(_Step, frozen=True):
    """Permute the tensors of an entry.

    Args:
        perm: position before for each position after.
    """

    perm: tuple[int, ...]

    def __post_init__(self) -> None:
        _require(sorted(self.perm) == list(range(len(self.perm))), f"a permutation, received {self.perm}")

    def inverse(self) -> Reorder:
        return Reorder(tuple(sorted(range(len(self.perm)), key=self.perm.__getitem__)))


Step = Transpose | Reshape | Cast | Split | Merge | Reorder


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The tensors `targets`, made from the tensors `sources` by `steps`.

    Nearly always one of each. Several sources begin in a row, in order; each step replaces some of the row; what it
    holds at the end are the targets.

    Example:
        >>> Entry(("q.kernel", "k.kernel"), ("qk.weight",), (Transpose((1, 0)), Split(1, (4, 4)))).inverse()
        ... # doctest: +NORMALIZE_WHITESPACE
        Entry(targets=('qk.weight',), sources=('q.kernel', 'k.kernel'),
              steps=(Merge(axis=1, sizes=(4, 4), at=0), Transpose(perm=(1, 0), at=0)))
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.targets + self.sources, "a weight map")
        count = len(self.sources)
        for step in self.steps:
            before, after = _arity(step)
            fits = before == count if isinstance(step, Reorder) else 0 <= step.at <= count - before
            _require(fits, f"{step} to fit a row of {count} tensors")
            count += after - before
        _require(count == len(self.targets) > 0, f"{len(self.targets)} targets, received steps that make {count}")

    def inverse(self) -> Entry:
        """The entry that makes the sources from the targets."""
        return Entry(self.sources, self.targets, tuple(step.inverse() for step in reversed(self.steps)))


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    entries: tuple[Entry, ...]


class WeightMap(msgspec.Struct, frozen=True):
    """What becomes of every tensor of a checkpoint.

    Args:
        entries: each name is a target once and a source once at most, so that the map has an inverse.

    Raises:
        CheckpointError: a name that occurs twice, or steps that do not fit their sources.
        UnsafeError: a name with control characters.

    Example:
        >>> from ivyhub.registry.weights import MemoryCheckpoint
        >>> import numpy as np
        >>> to_jax = WeightMap((Entry(("dense.kernel",), ("dense.weight",), (Transpose((1, 0)),)),))
        >>> [tensor] = to_jax.apply(MemoryCheckpoint({"dense.weight": np.ones((2, 3), np.float32)}))
        >>> tensor.info.name, tensor.info.shape, tensor.read().shape
        ('dense.kernel', (3, 2), (3, 2))
        >>> to_jax.compose(to_jax.inverse()).entries
        (Entry(targets=('dense.weight',), sources=('dense.weight',), steps=()),)
    """

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        for side in ("targets", "sources"):
            names = [name for entry in self.entries for name in getattr(entry, side)]
            twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
            _require(not twice, f"each name once among the {side}, received {', '.join(sorted(twice))} twice")

    def inverse(self) -> WeightMap:
        """The map that leads back; bit-exact but for what a `Cast` rounds away."""
        return WeightMap(tuple(entry.inverse() for entry in self.entries))

    def compose(self, other: WeightMap) -> WeightMap:
        """The map that does this one first and `other` on its results; steps that undo each other vanish.

        Raises:
            CheckpointError: the targets of this map are not the sources of the other.
        """
        made = {name: entry for entry in self.entries for name in entry.targets}
        used = {name: entry for entry in other.entries for name in entry.sources}
        if differing := sorted(made.keys() ^ used.keys()):
            raise CheckpointError(
                f"expected the targets of one map to be the sources of the next, received {len(differing)} "
                f"that are not both: {_listed(differing)}"
            )
        return WeightMap(tuple(_compose(*group) for group in _groups(self.entries, made, used)))

    def to_json(self) -> str:
        """The map as JSON, with the version of its format."""
        return msgspec.json.encode(_Document(FORMAT_VERSION, self.entries)).decode()

    @staticmethod
    def from_json(text: str | bytes) -> WeightMap:
        """Read what `to_json` wrote.

        Raises:
            CorruptFileError: not such a map, or of a version that this ivyhub does not know.
            CheckpointError: entries that contradict each other.
            UnsafeError: a name with control characters.
        """
        try:
            document = msgspec.convert(load_json(text, "weight map"), _Document)
        except msgspec.ValidationError as error:
            raise CorruptFileError(f"expected a weight map, received other JSON: {error}") from None
        if document.version != FORMAT_VERSION:
            raise CorruptFileError(
                f"expected a weight map of version {FORMAT_VERSION}, received version {document.version}",
                hint="upgrade ivyhub, or export the model again",
            )
        return WeightMap(document.entries)

    def apply(self, ckpt: Checkpoint) -> list[PlannedTensor]:
        """Plan every target; nothing is read yet.

        Args:
            ckpt: holds the sources; must stay open until the targets are read.

        Raises:
            TensorMismatchError: sources are missing, or have shapes that the steps do not fit.
        """
        missing = [name for entry in self.entries for name in entry.sources if name not in ckpt]
        planned: list[PlannedTensor] = []
        faults: list[str] = []
        for entry in self.entries:
            if all(name in ckpt for name in entry.sources):
                try:
                    planned += _plan(entry, ckpt)
                except TensorMismatchError as error:
                    faults.append(error.message)
        _refuse_mismatch(missing, [], faults)
        return planned

    def check(self, ckpt: Checkpoint, expected: Mapping[str, TensorInfo]) -> None:
        """Check that the map makes exactly the expected tensors from a checkpoint, and uses all of it.

        Raises:
            TensorMismatchError: lists every missing, unexpected and mis-shaped tensor at once.
        """
        consumed = {ckpt.aliases.get(name, name) for entry in self.entries for name in entry.sources}
        unexpected = [name for name in ckpt if name not in consumed]
        missing: list[str] = []
        faults: list[str] = []
        made: dict[str, TensorInfo] = {}
        for entry in self.entries:
            absent = [name for name in entry.sources if name not in ckpt]
            missing += absent
            if not absent:
                try:
                    made.update((tensor.info.name, tensor.info) for tensor in _plan(entry, ckpt))
                except TensorMismatchError as error:
                    faults.append(error.message)
        reachable = {name for entry in self.entries for name in entry.targets}
        missing += [name for name in expected if name not in reachable]
        unexpected += [name for name in made if name not in expected]
        faults += [
            f"{name}: expected {expected[name]}, received {info}"
            for name, info in made.items()
            if name in expected and (info.shape, info.dtype) != (expected[name].shape, expected[name].dtype)
        ]
        _refuse_mismatch(missing, unexpected, faults)


def _plan(entry: Entry, ckpt: Checkpoint) -> list[PlannedTensor]:
    row: list[LazyTensor] = []
    for name in entry.sources:
        info, place = ckpt[name], ckpt.location(name)
        ranges = None if place is None else (place,)
        row.append(LazyTensor(info.shape, info.dtype, partial(ckpt.read, name), (), ranges))
    for step in entry.steps:
        row = _run(step, row, entry)
    # A source that is split is let go with its last part, as the parts are written in order.
    last = len(row) - 1
    return [
        PlannedTensor(
            TensorInfo(name, tensor.dtype, tensor.shape),
            Reader(tensor.view, tensor.casts, partial(_release, ckpt, entry.sources if i == last else ())),
            tensor.ranges,
        )
        for i, (name, tensor) in enumerate(zip(entry.targets, row, strict=True))
    ]


def _release(ckpt: Checkpoint, names: Sequence[str]) -> None:
    for name in names:
        ckpt.release(name)


def _run(step: Step, row: list[LazyTensor], entry: Entry) -> list[LazyTensor]:
    """The row after a step, once it is sure that the step fits."""
    if isinstance(step, Reorder):
        return [row[i] for i in step.perm]
    width = _arity(step)[0]
    head, here, tail = row[: step.at], row[step.at : step.at + width], row[step.at + width :]
    first = here[0]
    match step:
        case Transpose(perm):
            fits = len(perm) == len(first.shape)
            made = (first.transpose(perm),) if fits else ()
        case Reshape(shape, original):
            fits = first.shape == original
            made = (first.reshape(shape),) if fits else ()
        case Cast(dtype, original):
            fits = first.dtype == original
            made = (first.cast(dtype),) if fits else ()
        case Split(axis, sizes):
            fits = axis < len(first.shape) and sum(sizes) == first.shape[axis]
            made = first.split(axis, sizes) if fits else ()
        case Merge(axis, sizes):
            fits = all(
                part.dtype == first.dtype and part.shape == (*first.shape[:axis], size, *first.shape[axis + 1 :])
                for part, size in zip(here, sizes, strict=True)
            )
            made = (merge(tuple(here), axis),) if fits else ()
    if not fits:
        received = ", ".join(f"{tensor.dtype}{list(tensor.shape)}" for tensor in here)
        raise TensorMismatchError(f"{', '.join(entry.sources)}: expected a tensor to fit {step}, received {received}")
    return [*head, *made, *tail]


def _arity(step: Step) -> tuple[int, int]:
    """How many tensors the step takes, and how many it puts in their place."""
    match step:
        case Split(_, sizes):
            return 1, len(sizes)
        case Merge(_, sizes):
            return len(sizes), 1
        case Reorder(perm):
            return len(perm), len(perm)
        case _:
            return 1, 1


def _groups(
    entries: Sequence[Entry], made: Mapping[str, Entry], used: Mapping[str, Entry]
) -> Iterator[tuple[list[Entry], list[Entry]]]:
    """The entries of two maps that hang together by the names between them."""
    seen: set[str] = set()
    for entry in entries:
        if entry.targets[0] in seen:
            continue
        firsts: dict[tuple[str, ...], Entry] = {}
        seconds: dict[tuple[str, ...], Entry] = {}
        open_names = list(entry.targets)
        while open_names:
            name = open_names.pop()
            if name not in seen:
                seen.add(name)
                firsts[made[name].targets] = made[name]
                seconds[used[name].sources] = used[name]
                open_names += made[name].targets + used[name].sources
        yield list(firsts.values()), list(seconds.values())


def _compose(firsts: list[Entry], seconds: list[Entry]) -> Entry:
    """One entry that does the first ones side by side, and then the second ones."""
    made = [name for entry in firsts for name in entry.targets]
    used = [name for entry in seconds for name in entry.sources]
    reorder = Reorder(tuple(made.index(name) for name in used))
    steps: list[Step] = []
    for step in (*_beside(firsts), reorder, *_beside(seconds)):
        _push(steps, step)
    return Entry(
        tuple(name for entry in seconds for name in entry.targets),
        tuple(name for entry in firsts for name in entry.sources),
        tuple(steps),
    )


def _beside(entries: list[Entry]) -> Iterator[Step]:
    """The steps of entries whose tensors stand in one row: each entry's are shifted by what stands before it."""
    done = 0
    for i, entry in enumerate(entries):
        behind = sum(len(later.sources) for later in entries[i + 1 :])
        count = len(entry.sources)
        for step in entry.steps:
            before, after = _arity(step)
            if isinstance(step, Reorder):
                tail = range(done + count, done + count + behind)
                yield Reorder((*range(done), *(done + p for p in step.perm), *tail))
            else:
                yield msgspec.structs.replace(step, at=step.at + done)
            count += after - before
        done += len(entry.targets)


def _push(steps: list[Step], step: Step) -> None:
    """Append a step, joined with the last one that touches the same tensor where the two are one or none."""
    if _is_identity(step):
        return
    i = len(steps) - 1
    while i >= 0 and _apart(steps[i], step):
        i -= 1
    joined = _join(steps[i], step) if i >= 0 else None
    if joined is None:
        steps.append(step)
        return
    rest = steps[i + 1 :]
    del steps[i:]
    for later in (*joined, *rest):
        _push(steps, later)


def _is_identity(step: Step) -> bool:
    match step:
        case Transpose(perm) | Reorder(perm):
            return perm == tuple(range(len(perm)))
        case Reshape(shape, original) | Cast(shape, original):
            return shape == original
        case Split(_, sizes) | Merge(_, sizes):
            return len(sizes) == 1


def _apart(a: Step, b: Step) -> bool:
    """Whether two steps change one tensor each, and different ones, so that their order does not matter."""
    single = (Transpose, Reshape, Cast)
    return isinstance(a, single) and isinstance(b, single) and a.at != b.at


def _join(a: Step, b: Step) -> tuple[Step, ...] | None:
    """What `a` and then `b` amount to, or None where they stay two steps."""
    match a, b:
        case Transpose(p, at), Transpose(q, other) if at == other:
            return (Transpose(tuple(p[i] for i in q), at),)
        case Reorder(p), Reorder(q):
            return (Reorder(tuple(p[i] for i in q)),)
        case Reshape(_, original, at), Reshape(shape, _, other) if at == other:
            return (Reshape(shape, original, at),)
        case (Split(), Merge()) | (Merge(), Split()) if b == a.inverse():
            return ()
        case Cast(), Cast() if b == a.inverse() and _lossless(a):
            return ()
        case _:
            return None


def _lossless(cast: Cast) -> bool:
    return np.can_cast(numpy_dtype(cast.original), numpy_dtype(cast.dtype), "safe")


def _refuse_mismatch(missing: Sequence[str], unexpected: Sequence[str], faults: Sequence[str]) -> None:
    if missing or unexpected or faults:
        kinds = (("missing", missing, ", "), ("unexpected", unexpected, ", "), ("mis-shaped", faults, "; "))
        parts = [f"{len(names)} {kind}: {_listed(names, end)}" for kind, names, end in kinds if names]
        raise TensorMismatchError(
            f"expected the tensors of the model, received a checkpoint that differs; {'; '.join(parts)}",
            hint="the checkpoint belongs to another model or configuration; compare with config.json beside it",
        )


def _listed(names: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return separator.join(names[:_SHOWN]) + more


def _require(condition: bool, expected: str) -> None:
    if not condition:
        raise CheckpointError(f"expected {expected}", hint="the weight map contradicts itself; make it again")

"""Rules have inverses, compose, and say what does not fit."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivyhub.errors import CheckpointError, CorruptFileError, TensorMismatchError, UnsafeError
from ivyhub.registry.weights import (
    Cast,
    Entry,
    MemoryCheckpoint,
    Merge,
    Reorder,
    Reshape,
    Split,
    Step,
    TensorInfo,
    Transpose,
    WeightMap,
)


def run(rules: WeightMap, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    planned = rules.apply(MemoryCheckpoint(tensors))
    for tensor in planned:
        slabs = list(tensor.read.slabs(32))
        assert tensor.read().shape == tensor.info.shape
        assert b"".join(slab.tobytes() for slab in slabs) == tensor.read().tobytes()
    return {tensor.info.name: tensor.read() for tensor in planned}


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        (a[k].shape, a[k].dtype, a[k].tobytes()) == (b[k].shape, b[k].dtype, b[k].tobytes()) for k in a
    )


def cuts(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    inner = draw(st.lists(st.integers(0, length), max_size=3))
    edges = sorted([0, *inner, length])
    return tuple(b - a for a, b in itertools.pairwise(edges))


@st.composite
def entries(draw: st.DrawFn, prefix: str = "") -> tuple[Entry, list[tuple[int, ...]], list[tuple[int, ...]]]:
    """An entry of random steps, and the shapes of its sources and of its targets. Casts only widen."""
    row: list[tuple[int, ...]] = [tuple(draw(st.lists(st.integers(0, 5), max_size=4)))]
    dtypes = ["float16"]
    sources = list(row)
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(row) - 1))
        shape = row[at]
        kind = draw(st.sampled_from(["transpose", "reshape", "cast", "split", "merge", "reorder"]))
        if kind == "transpose":
            perm = tuple(draw(st.permutations(range(len(shape)))))
            steps.append(Transpose(perm, at))
            row[at] = tuple(shape[i] for i in perm)
        elif kind == "reshape":
            flat = draw(st.sampled_from([(int(np.prod(shape)),), (1, *shape), (*shape, 1), shape[::-1]]))
            steps.append(Reshape(flat, shape, at))
            row[at] = flat
        elif kind == "cast":
            wider = {"float16": "float32", "float32": "float64", "float64": "float64"}[dtypes[at]]
            steps.append(Cast(wider, dtypes[at], at))
            dtypes[at] = wider
        elif kind == "split" and shape:
            axis = draw(st.integers(0, len(shape) - 1))
            sizes = cuts(draw, shape[axis])
            steps.append(Split(axis, sizes, at))
            row[at : at + 1] = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
            dtypes[at : at + 1] = [dtypes[at]] * len(sizes)
        elif kind == "merge" and at + 1 < len(row) and row[at + 1] == shape and shape:
            if dtypes[at] == dtypes[at + 1]:
                axis = draw(st.integers(0, len(shape) - 1))
                steps.append(Merge(axis, (shape[axis],) * 2, at))
                row[at : at + 2] = [(*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])]
                dtypes[at : at + 2] = [dtypes[at]]
        elif kind == "reorder":
            perm = tuple(draw(st.permutations(range(len(row)))))
            steps.append(Reorder(perm))
            row = [row[i] for i in perm]
            dtypes = [dtypes[i] for i in perm]
    entry = Entry(
        tuple(f"{prefix}t{i}" for i in range(len(row))), tuple(f"{prefix}s{i}" for i in range(1)), tuple(steps)
    )
    return entry, sources, row


def values(names: tuple[str, ...], shapes: list[tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float16) for name, shape in zip(names, shapes, strict=True)}


@given(entries(), entries("other."), st.integers(0, 2**32))
def test_there_and_back_is_bit_exact(one, two, seed: int) -> None:
    rules = WeightMap((one[0], two[0]))
    tensors = values(one[0].sources + two[0].sources, one[1] + two[1], seed)
    made = run(rules, tensors)
    assert [made[name].shape for name in one[0].targets] == one[2]
    assert rules.inverse().inverse() == rules
    assert equal(run(rules.inverse(), made), tensors)
    assert WeightMap.from_json(rules.to_json()) == rules
    home = rules.compose(rules.inverse())
    assert equal(run(home, tensors), tensors)
    assert equal(run(rules.inverse().compose(rules), made), made)


@given(entries(), st.integers(0, 2**32), st.data())
def test_composition_is_one_after_the_other(one, seed: int, data: st.DataObject) -> None:
    entry, shapes, made_shapes = one
    first = WeightMap((entry,))
    order = data.draw(st.permutations(range(len(entry.targets))))
    second = WeightMap(
        tuple(
            Entry((f"u{i}",), (entry.targets[i],), (Transpose(tuple(reversed(range(len(made_shapes[i]))))),))
            for i in order
        )
    )
    tensors = values(entry.sources, shapes, seed)
    assert equal(run(first.compose(second), tensors), run(second, run(first, tensors)))


def test_steps_that_undo_each_other_vanish() -> None:
    rules = WeightMap(
        (
            Entry(("q", "k"), ("qk",), (Split(0, (4, 4)), Transpose((1, 0), 0), Transpose((1, 0), 1))),
            Entry(("w",), ("v",), (Reshape((6, 1), (2, 3)), Cast("float32", "bfloat16"))),
        )
    )
    assert [entry.steps for entry in rules.compose(rules.inverse()).entries] == [(), ()]
    narrowing = WeightMap((Entry(("a",), ("b",), (Cast("bfloat16", "float32"),)),))
    assert len(narrowing.compose(narrowing.inverse()).entries[0].steps) == 2


def test_against_numpy(rng: np.random.Generator) -> None:
    q, k = rng.standard_normal((2, 24, 40)).astype(np.float32)
    conv = rng.standard_normal((8, 6, 3, 5)).astype(np.float32)
    rules = WeightMap(
        (
            Entry(("qk",), ("q", "k"), (Merge(0, (24, 24)), Transpose((1, 0)), Cast("float16", "float32"))),
            Entry(("kernel",), ("conv",), (Transpose((2, 3, 1, 0)),)),
        )
    )
    made = run(rules, {"q": q, "k": k, "conv": conv})
    assert np.array_equal(made["qk"], np.concatenate([q, k]).T.astype(np.float16))
    assert np.array_equal(made["kernel"], np.transpose(conv, (2, 3, 1, 0)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Transpose((0, 2)),
        lambda: Reshape((2, 3), (5,)),
        lambda: Reshape((-1, -2), (2,)),
        lambda: Cast("float32", "float7"),
        lambda: Split(-1, (1, 1)),
        lambda: Merge(0, ()),
        lambda: Reorder((1, 1)),
        lambda: Entry(("a",), ("b",), (Split(0, (1, 1)),)),
        lambda: Entry(("a",), ("b", "c")),
        lambda: Entry((), ()),
        lambda: Entry(("a",), ("b",), (Transpose((0,), at=1),)),
        lambda: WeightMap((Entry(("a",), ("b",)), Entry(("a",), ("c",)))),
        lambda: WeightMap((Entry(("a",), ("b",)), Entry(("c",), ("b",)))),
        lambda: WeightMap((Entry(("a",), ("b",)),)).compose(WeightMap((Entry(("c",), ("d",)),))),
    ],
)
def test_contradictions(make) -> None:
    with pytest.raises(CheckpointError):
        make()


def test_control_characters_do_not_enter() -> None:
    with pytest.raises(UnsafeError):
        Entry(("a\n",), ("b",))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"version": 2, "entries": []}',
        '{"version": 1, "entries": [], "more": 1}',
        '{"version": 1, "version": 1, "entries": []}',
        '{"version": 1, "entries": [{"targets": ["a"], "sources": ["b"], "steps": [{"step": "exec"}]}]}',
        '{"version": 1, "entries": [{"targets": ["a"], "sources": ["b"], "steps": [{"step": "cast", "dtype": 1}]}]}',
    ],
)
def test_strict_json(text: str) -> None:
    with pytest.raises(CorruptFileError):
        WeightMap.from_json(text)


def test_json_is_small_for_what_only_renames() -> None:
    text = WeightMap((Entry(("a",), ("b",)),)).to_json()
    assert json.loads(text) == {"version": 1, "entries": [{"targets": ["a"], "sources": ["b"]}]}


def test_check_lists_everything_at_once() -> None:
    state = MemoryCheckpoint(
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.float32), "stray": np.zeros(1), "head": np.zeros(4)}
    )
    rules = WeightMap(
        tuple(
            Entry((name.upper(),), (name,), steps)
            for name, steps in {
                "a": (Transpose((1, 0)),),
                "b": (Split(0, (3,)), Reshape((2,), (2,))),
                "gone": (),
                "head": (),
            }.items()
        )
    )
    expected = {
        "A": TensorInfo("A", "float32", (2, 3)),
        "B": TensorInfo("B", "float32", (2,)),
        "GONE": TensorInfo("GONE", "float32", ()),
        "EXTRA": TensorInfo("EXTRA", "float32", ()),
        "HEAD": TensorInfo("HEAD", "float64", (4,)),
    }
    with pytest.raises(TensorMismatchError) as raised:
        rules.check(state, expected)
    message = raised.value.message
    assert "2 missing: gone, EXTRA" in message
    assert "1 unexpected: stray" in message
    assert "A: expected float32[2, 3], received float32[3, 2]" in message
    assert "b: expected a tensor to fit Reshape" in message
    assert "HEAD" not in message
    with pytest.raises(TensorMismatchError, match="gone"):
        rules.apply(state)


def test_long_lists_are_cut() -> None:
    rules = WeightMap(tuple(Entry((f"t{i}",), (f"s{i}",)) for i in range(50)))
    with pytest.raises(TensorMismatchError, match=r"50 missing.* and 30 more"):
        rules.check(MemoryCheckpoint({}), {})


def test_aliases_serve_as_sources(rng: np.random.Generator) -> None:
    weight = rng.random((3, 2))
    state = MemoryCheckpoint({"wte": weight, "head": weight}, aliases={"head": "wte"})
    rules = WeightMap((Entry(("kernel",), ("head",), (Transpose((1, 0)),)),))
    rules.check(state, {"kernel": TensorInfo("kernel", "float64", (2, 3))})
    [tensor] = rules.apply(state)
    assert np.array_equal(tensor.read(), weight.T)

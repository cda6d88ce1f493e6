"""Packages on disk: what they say, how they load, and that text from outside stays text."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.errors import CorruptFileError, UnknownNameError
from ivyhub.registry.adapters import emit
from ivyhub.registry.export import (
    card,
    encode_record,
    load_package,
    read_record,
    record_of,
    record_of_object,
    write_source,
    write_weights,
)
from ivyhub.registry.manifest import Origin
from ivyhub.registry.pipeline import Recipe, cast, model_of
from ivyhub.registry.versions import signature
from ivyhub.registry.weights import Entry, MemoryCheckpoint, WeightMap


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package of a linear layer, for torch."""
    module = nn.Linear(3, 2)
    graph = ivyhub.trace(module, torch.zeros(1, 3))
    export = emit(graph, "torch")
    recipe = Recipe((), {}, tuple(Entry((name,), (name,)) for name in ("weight", "bias")))
    tensors = WeightMap(recipe.weights).apply(MemoryCheckpoint({k: v.numpy() for k, v in module.state_dict().items()}))
    folder = tmp_path / "linear"
    folder.mkdir()
    write_source(folder, export)
    write_weights(folder, export, tensors)
    origin = Origin("memory", "linear", None, "sha256:" + "0" * 64)
    record = record_of(export, recipe, signature=signature(graph), origin=origin)
    (folder / "ivyhub.json").write_bytes(encode_record(record))
    return folder


def test_two_packages_of_one_name_do_not_meet(package: Path) -> None:
    first, second = load_package(package), load_package(package)
    assert type(first) is not type(second)
    x = torch.ones(1, 3)
    assert torch.equal(first(x), second(x))


def test_a_live_model_knows_its_record(package: Path) -> None:
    known = record_of_object(load_package(package))
    assert known is not None
    record, folder = known
    assert folder == package
    assert record == read_record(package)
    assert record_of_object(nn.Linear(1, 1)) is None


def test_a_package_that_fails_to_import_leaves_no_module_behind(package: Path) -> None:
    (package / "modeling.py").write_text("raise ImportError('no')")
    before = set(sys.modules)
    with pytest.raises(ImportError, match="no"):
        load_package(package)
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, UnknownNameError),
        ("{", CorruptFileError),
        ("[]", CorruptFileError),
        ('{"format": 2}', CorruptFileError),
        ('{"format": 1}', CorruptFileError),
        ('{"format": 1, "format": 1}', CorruptFileError),
    ],
)
def test_a_record_that_is_none_is_refused(text: str | None, error: type[Exception], package: Path) -> None:
    (package / "ivyhub.json").unlink()
    if text is not None:
        (package / "ivyhub.json").write_text(text)
    with pytest.raises(error):
        read_record(package)


def test_unknown_fields_of_a_record_are_refused(package: Path) -> None:
    raw = json.loads((package / "ivyhub.json").read_text())
    (package / "ivyhub.json").write_text(json.dumps({**raw, "surprise": 1}))
    with pytest.raises(CorruptFileError, match="surprise"):
        read_record(package)


def test_the_card_shows_text_from_outside_as_text(package: Path) -> None:
    record = read_record(package)
    assert record.origin is not None
    hostile = "evil\x1b[31m\n# heading\n`x` <script>|\u202e"
    text = card(hostile, record, hostile)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# heading" not in text
    assert "<script>" not in text.replace("\\<script\\>", "")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_cast_model_is_the_model_of_a_cast_module(dtype: str) -> None:
    module = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    graph = ivyhub.trace(module, torch.zeros(2, 3, 4))
    names = [path for path, _ in graph.parameters()]
    model = cast(model_of(graph, Recipe((), {}, tuple(Entry((n,), (n,)) for n in names))), dtype)
    export = emit(model.graph, "torch")
    checkpoint = MemoryCheckpoint({name: tensor.numpy() for name, tensor in module.state_dict().items()})
    tensors = model.tensors(checkpoint, export.weights)
    assert {tensor.info.dtype for tensor in tensors} == {dtype}
    assert {value.dtype for value in model.graph.input_values} == {dtype}
    expected = module.to(getattr(torch, dtype)).state_dict()
    for tensor in tensors:
        ours = np.asarray(tensor.read()).astype(np.float64)
        np.testing.assert_array_equal(ours, expected[tensor.info.name].double().numpy())

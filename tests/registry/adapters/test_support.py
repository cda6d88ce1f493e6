"""The functions of ``engine.support`` that travel into exports find there every name that they use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivyhub.registry.adapters.jax.linen import LinenStyle
from ivyhub.registry.adapters.jax.styles import NnxStyle
from ivyhub.registry.adapters.numpy.styles import NumpyStyle
from ivyhub.registry.adapters.tensorflow.styles import KerasStyle
from ivyhub.registry.adapters.torch.styles import TorchStyle
from ivyhub.registry.adapters.writing.render import definitions, imports_for, source_of, support_source

from .zoo import unused_or_undefined

STYLES = (TorchStyle, NnxStyle, LinenStyle, KerasStyle, NumpyStyle)


@pytest.mark.parametrize("style", STYLES)
def test_each_definition_finds_its_names(style: type, tmp_path: Path) -> None:
    for word in style.supports:
        for name in definitions(word):
            parts = [part for other in style.supports for part in source_of(support_source(other), [name])]
            body = "\n\n\n".join(parts)
            assert name in body
            imports = "\n".join(imports_for(body, style.imports))
            text = f"from __future__ import annotations\n\n{imports}\n\n\n{body}\n"
            (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert unused_or_undefined(tmp_path) == ""

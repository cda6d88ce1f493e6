"""Example inputs of a library model, from the names of its ``forward`` and its configuration.

The names are conventions of ``transformers`` that its pipelines rely on, so a table of them serves every model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...inputs import InputSpec

BATCH, LENGTH, TARGET = "batch", "length", "decoder_length"


def inputs_of(module: Any, preprocessor: Mapping[str, Any]) -> tuple[list[InputSpec], dict[str, Any], list[str]]:
    """What to call a model with: its arrays, its other arguments, and notes about what that leaves out.

    Args:
        module: a model of ``transformers``.
        preprocessor: the content of ``preprocessor_config.json``, for the size of images.
    """
    names = list(inspect.signature(module.forward).parameters)
    inputs: list[InputSpec] = []
    for name, (row, required) in ROWS.items():
        if name in names and all(any(spec.name == other for spec in inputs) for other in required):
            spec = row(name, module.config, preprocessor)
            if spec is not None:
                inputs.append(spec)
    settings: dict[str, Any] = {}
    notes: list[str] = []
    parts = [module.config, *(getattr(module.config, key, None) for key in getattr(module.config, "sub_configs", {}))]
    if "use_cache" in names:
        settings["use_cache"] = False
    if "use_cache" in names or any(getattr(part, "use_cache", False) for part in parts):
        notes.append("captured with use_cache=False: the export computes all positions at each call")
    for part in parts:
        if hasattr(part, "use_cache"):
            setattr(part, "use_cache", False)  # noqa: B010 - a configuration of any class
    return inputs, settings, notes


def _setting(config: Any, *names: str) -> Any:
    """The first of some settings that the configuration, or one of its parts, has."""
    parts = [config, *(part for key in getattr(config, "sub_configs", {}) if (part := getattr(config, key, None)))]
    for name in names:
        for part in parts:
            value = getattr(part, name, None)
            if value is not None:
                return value
    return None


def _ids(length: str) -> Callable[..., InputSpec | None]:
    def row(name: str, config: Any, _: Any) -> InputSpec | None:
        size = _setting(config, "vocab_size")
        pad = _setting(config, "pad_token_id")
        if size is None:
            return None
        return InputSpec(
            name, (BATCH, length), "int64", 0, size, pad=pad if pad is not None and 0 <= pad < size else None
        )

    return row


def _mask(length: str) -> Callable[..., InputSpec | None]:
    return lambda name, config, _: InputSpec(name, (BATCH, length), "int64", 0, 2, mask=True)


def _types(name: str, config: Any, _: Any) -> InputSpec | None:
    size = _setting(config, "type_vocab_size")
    return InputSpec(name, (BATCH, LENGTH), "int64", 0, size) if size else None


def _boxes(name: str, config: Any, _: Any) -> InputSpec | None:
    size = _setting(config, "max_2d_position_embeddings")
    return InputSpec(name, (BATCH, LENGTH, 4), "int64", 0, size, ordered=True) if size else None


def _pixels(name: str, config: Any, preprocessor: Mapping[str, Any]) -> InputSpec:
    size = _setting(config, "image_size") or preprocessor.get("crop_size") or preprocessor.get("size") or 224
    if isinstance(size, Mapping):
        side = size.get("shortest_edge", 224)
        size = (size.get("height", side), size.get("width", side))
    height, width = size if isinstance(size, list | tuple) else (size, size)
    channels = _setting(config, "num_channels", "in_channels", "num_input_channels") or 3
    return InputSpec(name, (BATCH, channels, height, width), "float32", -2.0, 2.0)


def _waves(name: str, config: Any, _: Any) -> InputSpec:
    """Raw audio, or a spectrogram where the configuration has the number of its bands."""
    bands, frames = _setting(config, "num_mel_bins"), _setting(config, "max_length")
    if bands and frames:
        return InputSpec(name, (BATCH, frames, bands), "float32", -1.0, 1.0)
    return InputSpec(name, (BATCH, 16_000), "float32", -1.0, 1.0)


def _features(name: str, config: Any, _: Any) -> InputSpec:
    bands, frames = (
        _setting(config, "num_mel_bins", "input_feat_per_channel") or 80,
        _setting(config, "max_source_positions"),
    )
    return InputSpec(name, (BATCH, bands, 2 * frames if frames else 3000), "float32", -1.0, 1.0)


#: For each name: its row, and the inputs without which it does not stand.
ROWS: Mapping[str, tuple[Callable[..., InputSpec | None], tuple[str, ...]]] = {
    "input_ids": (_ids(LENGTH), ()),
    "bbox": (_boxes, ("input_ids",)),
    "attention_mask": (_mask(LENGTH), ("input_ids",)),
    "token_type_ids": (_types, ("input_ids",)),
    "pixel_values": (_pixels, ()),
    "input_values": (_waves, ()),
    "input_features": (_features, ()),
    "decoder_input_ids": (_ids(TARGET), ()),
    "decoder_attention_mask": (_mask(TARGET), ("decoder_input_ids",)),
}

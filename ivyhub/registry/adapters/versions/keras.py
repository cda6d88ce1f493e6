"""Keras: version 2 names variables after their layers, version 3 counts layers of a class and variables of a layer.

Which layers there are, and in which order, only the model's configuration says; it is read as data. Sources:
``keras/src/saving/saving_lib.py`` of Keras 3, ``keras/src/saving/legacy/hdf5_format.py`` of Keras 2.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ivyhub.errors import CheckpointError, CorruptFileError
from ivyhub.registry.checkpoints.mapped import MOST_DEPTH, FormatCheckpoint
from ivyhub.registry.weights import Entry
from ivyhub.registry.weights.header import load_json

CONFIG = "model_config"
_WEIGHTS = "model_weights"
_SHOWN = 3

_MODELS = ("Sequential", "Functional", "Model")
_WRAPPERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "TimeDistributed": (("layer", ""),),
    "Bidirectional": (("forward_layer", "forward_"), ("backward_layer", "backward_")),
}
"""Layers around a layer: what Keras 3 calls it, and how its name begins in Keras 2."""

_ROWS = (
    ("Dense EinsumDense Conv1D Conv2D Conv3D", "", "", "kernel bias"),
    ("Conv1DTranspose Conv2DTranspose Conv3DTranspose", "", "", "kernel bias"),
    ("DepthwiseConv1D DepthwiseConv2D", "", "", "depthwise_kernel bias"),
    ("SeparableConv1D SeparableConv2D", "", "", "depthwise_kernel pointwise_kernel bias"),
    ("LSTM", "cell", "lstm_cell", "kernel recurrent_kernel bias"),
    ("GRU", "cell", "gru_cell", "kernel recurrent_kernel bias"),
    ("SimpleRNN", "cell", "simple_rnn_cell", "kernel recurrent_kernel bias"),
    ("MultiHeadAttention", "query_dense", "query", "kernel bias"),
    ("MultiHeadAttention", "key_dense", "key", "kernel bias"),
    ("MultiHeadAttention", "value_dense", "value", "kernel bias"),
    ("MultiHeadAttention", "output_dense", "attention_output", "kernel bias"),
    ("Embedding", "", "", "embeddings"),
    ("BatchNormalization", "", "", "gamma beta moving_mean moving_variance"),
    ("LayerNormalization GroupNormalization", "", "", "gamma beta"),
    ("PReLU", "", "", "alpha"),
)
"""Classes of layers, a part of them as Keras 3 and as Keras 2 call it, and its variables in the order of Keras 3."""
_LAYERS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    kind: [row[1:] for row in _ROWS if kind in row[0].split()] for kinds, *_ in _ROWS for kind in kinds.split()
}
_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
"""What a configuration says of variables that a layer can do without."""
_NOT_TRAINED = ("moving_mean", "moving_variance")


class _Part(NamedTuple):
    """Variables that lie in one place.

    Args:
        group: the layer of the outermost model that they belong to, by name.
        within: further parts of their names in Keras 2.
        marks: what tells them from others of the group: names of layers, or how these begin.
        path: the group that they have in Keras 3.
        leaves: what they may be called, in order.
        trained: whether training changes them, but for statistics.
    """

    group: str
    within: tuple[str, ...]
    marks: tuple[str, ...]
    path: str
    leaves: tuple[str, ...]
    trained: bool


def to_three(ckpt: FormatCheckpoint) -> tuple[list[Entry], list[str]]:
    """The variables of a model of Keras 2 under the names of a ``.weights.h5`` file of Keras 3.

    Raises:
        CheckpointError: it has no configuration, or variables of layers that are not known here.
    """
    prefix = f"{_WEIGHTS}/" if any(name.startswith(f"{_WEIGHTS}/") for name in ckpt) else ""
    left_out = [name for name in ckpt if not name.startswith(prefix)]
    parts = [*_parts(_config(ckpt))]
    found: dict[int, dict[str, str]] = {}
    unknown: list[str] = []
    for name in ckpt:
        if not name.startswith(prefix):
            continue
        group, *within = name.removeprefix(prefix).split("/")
        leaf = re.sub(r":\d+\Z", "", within[-1]) if within else ""
        places = [
            place
            for place, part in enumerate(parts)
            if part.group == group and leaf in part.leaves and _marked(within[:-1], part.marks)
        ]
        if len(places) != 1 or leaf in found.setdefault(places[0], {}):
            unknown.append(name)
        else:
            found[places[0]][leaf] = name
    _refuse(unknown)
    return [
        Entry((f"{parts[place].path}/vars/{count}",), (found[place][leaf],))
        for place in sorted(found)
        for count, leaf in enumerate(leaf for leaf in parts[place].leaves if leaf in found[place])
    ], left_out


def to_two(ckpt: FormatCheckpoint) -> tuple[list[Entry], list[str]]:
    """The variables of a ``.keras`` file under the names, and in the order, of a file of Keras 2.

    Raises as `to_three` does.
    """
    left_out = [name for name in ckpt if not name.startswith("layers/")]
    unknown = dict.fromkeys(name for name in ckpt if name.startswith("layers/"))
    groups: dict[str, list[tuple[bool, Entry]]] = {}
    for part in _parts(_config(ckpt)):
        sources = [f"{part.path}/vars/{count}" for count in range(len(part.leaves))]
        if all(source in unknown for source in sources):
            for source, leaf in zip(sources, part.leaves, strict=True):
                del unknown[source]
                target = "/".join((part.group, *part.within, f"{leaf}:0"))
                still = not part.trained or leaf in _NOT_TRAINED
                groups.setdefault(part.group, []).append((still, Entry((target,), (source,))))
    _refuse([*unknown])
    # Keras 2 reads them by their order in a layer: what is trained comes first.
    rows = [row for group in groups.values() for row in sorted(group, key=lambda row: row[0])]
    return [entry for _, entry in rows], left_out


def _config(ckpt: FormatCheckpoint) -> dict[str, Any]:
    text = ckpt.metadata.get(CONFIG)
    found = load_json(text, ckpt.files[0]) if text is not None else None
    if not isinstance(found, dict) or found.get("class_name") not in _MODELS:
        raise CheckpointError(
            f"expected a file with the configuration of a Sequential or functional model, received "
            f"{ckpt.files[0].name} without one",
            hint="give the .h5 or .keras file that model.save wrote, not that of save_weights",
        )
    return found


def _parts(model: dict[str, Any]) -> Iterator[_Part]:
    """Every part of a model that has variables, in the order of its layers.

    Raises:
        CorruptFileError: the configuration is none of Keras.
    """
    try:
        for layer, count in _layers(model):
            name = _name(layer)
            first = () if layer["class_name"] in _MODELS else (name,)
            yield from _inside(layer, _Part(name, first, (), f"layers/{count}", (), True), 0)
    except (LookupError, TypeError, AttributeError) as error:
        raise CorruptFileError(
            f"expected the configuration of a model of Keras, received another one: {error}"
        ) from None


def _inside(layer: dict[str, Any], part: _Part, depth: int) -> Iterator[_Part]:
    if depth > MOST_DEPTH:
        raise CorruptFileError(f"expected layers in models, received them {depth} deep")
    kind, config = layer["class_name"], layer["config"]
    part = part._replace(trained=part.trained and config.get("trainable") is not False)
    if kind in _MODELS:
        for child, count in _layers(layer):
            name = _name(child)
            inner = part._replace(within=(name,), marks=(name,), path=f"{part.path}/layers/{count}")
            yield from _inside(child, inner, depth + 1)
    elif kind in _WRAPPERS:
        inner = config["layer"]
        for attribute, start in _WRAPPERS[kind]:
            # Keras 3 has given the first of two copies its own name in the configuration already.
            within = (*part.within, start + _name(inner).removeprefix("forward_")) if start else part.within
            marks = (*part.marks, start) if start else part.marks
            wrapped = part._replace(within=within, marks=marks, path=f"{part.path}/{attribute}")
            yield from _inside(inner, wrapped, depth + 1)
    for group, word, leaves in _LAYERS.get(kind, ()):
        yield part._replace(
            within=(*part.within, word) if word else part.within,
            marks=(*part.marks, word) if word and len(_LAYERS[kind]) > 1 else part.marks,
            path=f"{part.path}/{group}" if group else part.path,
            leaves=tuple(leaf for leaf in leaves.split() if config.get(_SWITCHES.get(leaf, "")) is not False),
        )


def _layers(model: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The layers of a model, each with what Keras 3 calls it: its class, counted."""
    counts: dict[str, int] = {}
    for layer in model["config"]["layers"]:
        kind = "Functional" if layer["class_name"] == "Model" else layer["class_name"]
        word = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
        word = re.sub(r"([a-z])([A-Z])", r"\1_\2", word).lower()
        count = counts[word] = counts.get(word, -1) + 1
        yield layer, f"{word}_{count}" if count else word


def _name(layer: dict[str, Any]) -> str:
    return str(layer["config"]["name"])


def _marked(words: Sequence[str], marks: Sequence[str]) -> bool:
    """Whether words have the marks in them, in order; one that ends in an underscore is how a word begins."""
    rest = iter(words)
    return all(any(word == mark or (mark.endswith("_") and word.startswith(mark)) for word in rest) for mark in marks)


def _refuse(unknown: Sequence[str]) -> None:
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise CheckpointError(
            f"expected variables of layers that ivyhub knows, received {', '.join(unknown[:_SHOWN])}{more}",
            hint=f"it knows {', '.join(sorted({*_LAYERS, *_WRAPPERS}))}; load and save it with Keras 3 itself",
        )

"""The names and layouts under which published architectures are stored, by every ecosystem that has them.

BERT alone is kept under six sets of names: those of google-research's TensorFlow 1 code, of pytorch-pretrained-bert
(``gamma`` and ``beta``), of transformers in PyTorch (2 to 5 agree), in Flax and in TensorFlow, and of KerasHub. The
numbers are the same. A *family* says so in rows, and from them every checkpoint of one form becomes one of another,
tensor by tensor and without any of these libraries.

**Canonical names** are those under which transformers 5 writes safetensors, in PyTorch's layouts. A family lists the
*modules* of the architecture by them, each with its *kind*: linear, to heads, embedding, norm. The kind says which
tensors a module has and how they lie, in words like ``(n d) i`` (`layouts`).

**A convention** (`conventions`) is how an ecosystem stores each kind: Flax has ``kernel``, ``i (n d)``, where PyTorch
has ``weight``; Keras 3 has ``vars/0``, ``i n d``. It knows no family.

**A form** is a convention and a few rows: the paths that differ from the canonical ones. A row holds for all that lies
below it, and the most specific one holds. ``{a,b}`` makes rows of one, ``{a|b}`` is several tensors that are one on the
other side, and numbers are ``{i}`` (`patterns`). What a form holds beside the tensors of the model is told apart:
*ignored* names carry nothing (positions, masks, the state of an optimiser), *copies* repeat another tensor (a decoder
tied to its embeddings), which is compared before it is believed.

**Recognition** is by names alone (`recognise`): a checkpoint is of a form when the form explains every name in it.

**Conversion** (`rename`) goes through the canonical names: the rules of one form, then the inverse ones of the other,
composed into one `WeightMap`, in which a transposition and the one back vanish. Nothing is guessed: a name that is not
explained, a tensor that the other form has no place for, or a number of heads that nothing says is an error. Sizes come
from shapes where these say them, else from the ``config.json`` beside the checkpoint.

To add a form, add a row; to add a family, add a module of rows to `FAMILIES`. tests/fixtures/families has files that
the libraries themselves wrote, and the tests know every row by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ivyhub.errors import CorruptFileError, UsageError
from ivyhub.registry.adapters.families.family import Family
from ivyhub.registry.adapters.families.naming import FAMILIES, Found, Renaming, recognise, rename
from ivyhub.registry.checkpoints.mapped import FormatCheckpoint
from ivyhub.registry.checkpoints.renamed import RenamedCheckpoint
from ivyhub.registry.weights.checkpoint import file_inside
from ivyhub.registry.weights.header import load_json

__all__ = ["FAMILIES", "Found", "Renaming", "recognise", "rename", "renamed"]

_MAX_CONFIG = 16 << 20
_CONFIGS = ("config.json", "params.json")  # the latter is Meta's


def renamed(
    ckpt: FormatCheckpoint, names: str, *, heads: int | None = None, partial: bool = False
) -> tuple[RenamedCheckpoint, Renaming]:
    """A checkpoint under the names, and in the layouts, of another form of its family.

    Args:
        ckpt: from `open_file`; must stay open.
        names: a form, ``transformers`` or ``bert:flax``.
        heads: of the attention; those of its configuration if not given, a ``config.json`` beside it or GGUF's own.
        partial: leave out what the form has no place for.

    Returns:
        The checkpoint, and how it came to be.

    Raises:
        CheckpointError, TensorMismatchError, UsageError: see `rename`.
        CorruptFileError: the configuration is no JSON object.
        UnsafeError: it is a link out of the folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from ivyhub.registry.checkpoints import open_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "a.npz"), **{"model/wte": np.ones((3, 2), np.float32)})
        ...     ckpt, how = renamed(open_file(Path(folder, "a.npz")), "flax")
        ...     how.found.name, list(ckpt.values())
        ('gpt2:openai', [TensorInfo(name='transformer.wte.embedding', dtype='float32', shape=(3, 2))])
    """
    found = recognise(ckpt)
    config = _configuration(ckpt)
    sizes = _sizes(found.table.family, config) if found else {}
    if heads is not None:
        sizes["n"] = heads
    how = rename(ckpt, names, sizes=sizes, partial=partial, untied=config.get("tie_word_embeddings") is False)
    form, model = how.table.form, config.get("model_type")
    if form.models and isinstance(model, str) and model not in form.models:
        fitting = [each.name for each in how.table.family.forms if not each.models or model in each.models]
        raise UsageError(
            f"{how.name} is for {' and '.join(form.models)}, received a checkpoint with a configuration of {model}",
            hint=f"choose one of {', '.join(fitting)}",
        )
    convention = form.convention
    metadata = {**(ckpt.metadata if ckpt.format == "safetensors" else {}), "format": convention.ecosystem}
    made = RenamedCheckpoint(
        ckpt,
        how.weights,
        zeros=how.zeros,
        repeated=how.repeated,
        separator=convention.separator,
        metadata=metadata,
    )
    return made, how


def _configuration(ckpt: FormatCheckpoint) -> Mapping[str, Any]:
    """The configuration in a checkpoint, or beside it; {} where there is none."""
    if (architecture := ckpt.metadata.get("general.architecture")) is not None:  # GGUF
        said = {name.removeprefix(f"{architecture}."): text for name, text in ckpt.metadata.items()}
        return {name: int(text) for name, text in said.items() if re.fullmatch(r"[0-9]{1,9}", text)}
    folder = ckpt.files[0].parent
    name = next((name for name in _CONFIGS if (folder / name).is_file()), None)
    if name is None:
        return {}
    path = file_inside(folder, name)
    if path.stat().st_size > _MAX_CONFIG:
        raise CorruptFileError(
            f"expected a configuration of at most {_MAX_CONFIG} bytes, received {path.stat().st_size}"
        )
    found = load_json(path.read_bytes(), path)
    if not isinstance(found, dict):
        raise CorruptFileError(f"expected a JSON object in {path}, received a {type(found).__name__}")
    return found


def _sizes(family: Family, config: Mapping[str, Any]) -> dict[str, int]:
    values = {
        letter: next((config[key] for key in keys if key in config), None) for letter, keys in family.sizes.items()
    }
    return {letter: value for letter, value in values.items() if type(value) is int and value > 0}

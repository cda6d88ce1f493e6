"""What is installed here, and what that allows."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Generator
from contextlib import suppress
from typing import Literal

import msgspec
from packaging.version import Version

from ivyhub import __version__
from ivyhub.engine.backends import FRAMEWORKS
from ivyhub.errors import IvyhubError
from ivyhub.registry.names import is_offline
from ivyhub.registry.remote import hub_endpoint
from ivyhub.registry.store import Store

# Packages that are no framework: what each allows, and the extra that brings it.
_LIBRARIES = {
    "transformers": ("capture of checkpoints of the Hub: pull bert", "transformers"),
    "tokenizers": ("tokenizers beside exports", "transformers"),
    "onnx": (".onnx files, both ways", "onnx"),
    "onnxruntime": ("the comparison of ONNX exports", "onnx"),
    "optax": ("optimizers of JAX", "jax"),
    "h5py": ("checkpoints in HDF5: .h5", "tensorflow"),
}
_LITTLE = 2 << 30


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: ``ok``, ``missing`` where it is not installed and need not be, or ``problem``.
        detail: the version, the place, or what is wrong.
        allows: what it is good for, or what to do.
    """

    what: str
    state: Literal["ok", "missing", "problem"]
    detail: str
    allows: str


def examine(store: Store | None = None) -> list[Finding]:
    """Look at Python, the frameworks and libraries, the registry and the way to the Hub. No network is used.

    Example:
        >>> examine()[0].what
        'ivyhub'
    """
    store = store or Store()
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        Finding("ivyhub", "ok", __version__, python),
        *_frameworks(),
        *_libraries(),
        *_registry(store),
        *_hub(),
    ]


def _frameworks() -> Generator[Finding]:
    for row in FRAMEWORKS.values():
        names = " and ".join([row.name, *row.flavours])
        if row.installed is None:
            yield Finding(
                row.name, "missing", "not installed", f"exports to {names}: pip install 'ivyhub[{row.extra}]'"
            )
        elif row.installed < Version(row.minimum):
            yield Finding(row.name, "problem", str(row.installed), f"{row.minimum} or newer is needed: upgrade it")
        else:
            yield Finding(row.name, "ok", str(row.installed), f"pull, verify and train in {names}")


def _libraries() -> Generator[Finding]:
    for name, (allows, extra) in _LIBRARIES.items():
        try:
            yield Finding(name, "ok", importlib.metadata.version(name), allows)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", "not installed", f"{allows}: pip install 'ivyhub[{extra}]'")


def _registry(store: Store) -> Generator[Finding]:
    place = next(folder for folder in (store.home, *store.home.parents) if folder.exists())
    if not os.access(place, os.W_OK):
        yield Finding("registry", "problem", str(store.home), "it cannot be written: point IVYHUB_HOME elsewhere")
        return
    try:
        count = len(store.refs.names())
    except IvyhubError as error:
        yield Finding("registry", "problem", str(store.home), f"{error.message}: ivyhub fsck")
        return
    yield Finding("registry", "ok", str(store.home), f"{count} models")
    with suppress(OSError):
        free = shutil.disk_usage(place).free
        state: Literal["ok", "problem"] = "ok" if free > _LITTLE else "problem"
        advice = "" if state == "ok" else "ivyhub gc, or point IVYHUB_HOME elsewhere"
        yield Finding("disk", state, f"{free / 1e9:.1f} GB free", advice)


def _hub() -> Generator[Finding]:
    from huggingface_hub import get_token

    hub = hub_endpoint() or "https://huggingface.co"
    if is_offline():
        yield Finding("hub", "ok", f"{hub}, not used", "offline was asked for: IVYHUB_OFFLINE or HF_HUB_OFFLINE")
    elif get_token() is None:
        yield Finding("hub", "ok", hub, "public models; ivyhub login for private ones, and to push")
    else:
        yield Finding("hub", "ok", hub, "a token is there; ivyhub whoami asks whose it is")

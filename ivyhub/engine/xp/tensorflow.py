"""The Array API Standard 2025.12 over TensorFlow. See `ivyhub.engine.xp`."""

from __future__ import annotations

from ._building import build

globals().update(build("tensorflow"))

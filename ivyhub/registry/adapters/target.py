"""Targets: what an export is written for. ``jax``, ``flax.linen``, ``torch>=2.4``, ``tensorflow==2.16``, ``onnx``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from ...engine.backends import FRAMEWORKS, Framework, Library
from ...errors import TargetVersionError, UnknownFrameworkError

ONNX = Framework("onnx", "onnx", "onnx", "1.16", ("onnx",), {}, "")
"""A format, and no framework of the engine: models are written in it, and nothing computes with its arrays."""

_WORD = re.compile(r"^\s*([A-Za-z.]+)\s*(.*)$")


@dataclass(frozen=True)
class Target:
    """A framework, a way of writing modules in it, and the versions that the export must run on.

    Attributes:
        framework: a name of `engine.backends.FRAMEWORKS`, or ``onnx``.
        flavour: how modules are written: ``torch``, ``flax.nnx``, ``flax.linen``, ``keras``, ``numpy``, ``onnx``.
        versions: a PEP 440 specifier; empty for any version that ivyhub supports.
        oldest: the version of the framework that rows are chosen for: the oldest one that the specifier admits.
        word: what the versions are versions of: the framework, or the flavour (``flax.linen==0.8.5``).
    """

    framework: str
    flavour: str
    versions: str = ""
    oldest: Version | None = None
    word: str = ""

    @staticmethod
    def parse(text: str) -> Target:
        """Read a target as the command line takes it.

        Raises `UnknownFrameworkError`, or `TargetVersionError` for a version that is no PEP 440 specifier or is older
        than ivyhub's minimum.

        Example:
            >>> target = Target.parse("flax.linen==0.11")
            >>> target.framework, target.flavour, target.versions, str(target.oldest)
            ('jax', 'flax.linen', '==0.11', '0.6.0')
            >>> str(Target.parse("flax.nnx")), str(target)
            ('jax', 'flax.linen==0.11')
        """
        match = _WORD.match(text)
        word, rest = (match[1], match[2].strip()) if match else (text, "")
        word = "flax.nnx" if word == "flax" else word
        flavour = {"jax": "flax.nnx", "tensorflow": "keras"}.get(word, word)
        owner = next((row for row in (*FRAMEWORKS.values(), ONNX) if word in (row.name, *row.flavours)), None)
        if owner is None:
            known = [each for row in (*FRAMEWORKS.values(), ONNX) for each in (row.name, *row.flavours)]
            raise UnknownFrameworkError(f"unknown framework {text!r}", hint=f"choose one of {', '.join(known)}")
        if not rest:
            return Target(owner.name, flavour)
        try:
            versions = SpecifierSet(rest if rest[0] in "<>=!~" else f"=={rest}")
        except InvalidSpecifier:
            raise TargetVersionError(
                f"expected a version such as {word}==2.4 or '{word}>=2.4,<3', received {text!r}",
                hint="versions are PEP 440 specifiers",
            ) from None
        bounds = [Version(s.version.rstrip(".*")) for s in versions if s.operator in ("==", ">=", ">", "~=", "===")]
        library = owner.flavours.get(word)
        minimum = (library or owner).minimum
        oldest = max(bounds, default=Version(minimum))
        above = [s for s in versions if s.operator in ("<", "<=")]
        if oldest < Version(minimum) or not all(s.contains(oldest, True) for s in above):
            raise TargetVersionError(
                f"expected {word} {minimum} or newer, received {text!r}", hint=f"ask for '{word}>={minimum}'"
            )
        if library is not None:
            oldest = Version(library.framework(oldest) or owner.minimum)
        return Target(owner.name, flavour, str(versions), oldest, word)

    def __str__(self) -> str:
        if self.versions:
            return f"{self.word}{self.versions}"
        return self.framework if self.flavour in ("flax.nnx", "keras") else self.flavour

    @property
    def row(self) -> Framework:
        """What the framework is called, where its version is found, and what installs it."""
        return ONNX if self.framework == ONNX.name else FRAMEWORKS[self.framework]

    @property
    def trains(self) -> bool:
        """Whether its exports have gradients."""
        return self.framework not in ("numpy", "onnx")

    @property
    def library(self) -> Library | None:
        """What its modules are written with, beside the framework itself."""
        return self.row.flavours.get(self.flavour)

    def asks(self, distribution: str) -> str:
        """The versions of a distribution that were asked for, "" for any."""
        own = self.library if self.word in self.row.flavours else self.row
        return self.versions if own is not None and own.distribution == distribution else ""

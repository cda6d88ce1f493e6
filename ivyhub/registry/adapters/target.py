"""Targets: what an export is written for. ``jax``, ``flax.linen``, ``torch>=2.4``, ``tensorflow==2.16``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from ...engine.backends import FRAMEWORKS, framework
from ...errors import TargetVersionError, UnknownFrameworkError

_WORD = re.compile(r"^\s*([A-Za-z.]+)\s*(.*)$")


@dataclass(frozen=True)
class Target:
    """A framework, a way of writing modules in it, and the versions that the export must run on.

    Attributes:
        framework: a name of `engine.backends.FRAMEWORKS`.
        flavour: how modules are written: ``torch``, ``flax.nnx``, ``flax.linen``, ``keras``, ``numpy``.
        versions: a PEP 440 specifier; empty for any version that ivyhub supports.
        oldest: the version that rows are chosen for: the oldest one that the specifier admits.
    """

    framework: str
    flavour: str
    versions: str = ""
    oldest: Version | None = None

    @staticmethod
    def parse(text: str) -> Target:
        """Read a target as the command line takes it.

        Raises `UnknownFrameworkError`, or `TargetVersionError` for a version that is no PEP 440 specifier or is older
        than ivyhub's minimum.

        Example:
            >>> Target.parse("torch>=2.6")
            Target(framework='torch', flavour='torch', versions='>=2.6', oldest=<Version('2.6')>)
            >>> str(Target.parse("jax")), Target.parse("flax.linen").framework
            ('jax', 'jax')
        """
        match = _WORD.match(text)
        word, rest = (match[1], match[2].strip()) if match else (text, "")
        flavour = {"jax": "flax.nnx", "flax": "flax.nnx", "tensorflow": "keras"}.get(word, word)
        owner = next((row for row in FRAMEWORKS.values() if word in (row.name, *row.flavours)), None)
        if owner is None and word == "flax":
            owner = FRAMEWORKS["jax"]
        if owner is None:
            framework(word)
            raise UnknownFrameworkError(f"unknown framework {text!r}")
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
        oldest = max(bounds, default=None)
        if word in FRAMEWORKS and oldest is not None and oldest < Version(owner.minimum):
            raise TargetVersionError(
                f"expected {word} {owner.minimum} or newer, received {text!r}",
                hint=f"ask for '{word}>={owner.minimum}'",
            )
        return Target(owner.name, flavour, str(versions), oldest if word in FRAMEWORKS else None)

    def __str__(self) -> str:
        word = "jax" if self.flavour == "flax.nnx" else self.framework if self.flavour == "keras" else self.flavour
        return f"{word}{self.versions}"

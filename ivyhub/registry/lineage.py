"""Where the versions of a model come from."""

from __future__ import annotations

import msgspec

from ivyhub.registry.files import Digest
from ivyhub.registry.manifest import Origin, Parent, Version
from ivyhub.registry.refs import split_reference
from ivyhub.registry.store import Store


class Step(msgspec.Struct, frozen=True):
    """One version in a lineage.

    Attributes:
        digest: its identity.
        labels: the tags and aliases that stand for it, each as ``name:label``.
        version: its manifest; None where it was collected.
        parents: the versions it was made from, and how.
    """

    digest: Digest
    labels: list[str]
    version: Version | None
    parents: list[Parent]

    @property
    def origin(self) -> Origin | None:
        """Where a version without parents was captured."""
        return None if self.version is None or self.parents else self.version.origin


def lineage(store: Store, reference: str) -> list[Step]:
    """The versions of a name and all that they come from: the newest first, each before its parents.

    Args:
        store: the registry.
        reference: a name for every version that it ever had; ``name:label`` or ``name@sha256:...`` for one of them.

    Raises:
        UnknownNameError: the registry has no such model or version.
        UsageError, UnsafeError: it is no reference.
        CorruptFileError: a manifest is damaged.

    Example:
        >>> lineage(Store(), "no-such-model")
        Traceback (most recent call last):
        ivyhub.errors.UnknownNameError: the registry has no model 'no-such-model'
          hint: ...
    """
    name, _, digits = split_reference(reference)
    if digits is not None or ":" in reference:
        wanted = [store.refs.resolve(reference)]
    else:
        name = store.refs.named(name)
        wanted = [*reversed(store.refs.history(name))]
    labels: dict[Digest, list[str]] = {}
    for each in store.refs.names():
        for word, label in store.refs.labels(each).items():
            labels.setdefault(label.digest, []).append(f"{each}:{word}")
    found: dict[Digest, Step] = {}  # parents first: the whole is turned round at the end
    waiting = wanted
    while waiting:
        digest = waiting[-1]
        version = store.version(digest) if store.has_version(digest) else None
        parents = [] if version is None else [*version.parents]
        ahead = [parent.digest for parent in parents if parent.digest not in found]
        if ahead:
            waiting += ahead
        else:
            waiting.pop()
            found.setdefault(digest, Step(digest, labels.get(digest, []), version, parents))
    return [*reversed(found.values())]

"""What the registry writes about a model: versions and their exports, as canonical JSON.

A *version* is immutable. Its identity is the sha256 of its manifest's exact bytes, so it names every byte it is made
of: graph, weights, configuration, tokenizer. An *export* is a version emitted for one target with one set of options;
it is added later, may be replaced by a better one, and is no part of the version's identity.

Canonical means: keys sorted, no white space, UTF-8, every field present. :func:`decode` reads that form only. A file
that says the same in another way (a repeated key, an unknown field, a space) is not what ivyhub wrote, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from ivyhub.errors import CorruptFileError
from ivyhub.registry.files import Digest, check_relative_name, digest_bytes

T = TypeVar("T", bound=msgspec.Struct)

Size = Annotated[int, msgspec.Meta(ge=0)]
Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some bytes: their digest and their number."""

    digest: Digest
    size: Size


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a version came from: a Hub repository, a folder, a package, a model file, or an object in memory."""

    kind: Literal["hub", "folder", "package", "file", "memory"]
    id: str
    revision: str | None
    digest: Digest


class Parent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that this one was made from, and how: ``fine-tune``, ``cast`` or ``merge``."""

    digest: Digest
    how: str


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of one version.

    ``weights`` and ``files`` map a name relative to the model's folder to its bytes; ``files`` holds what travels
    with the model unchanged (tokenizer, preprocessor, card). ``signature`` describes inputs and outputs; ``metrics``
    are figures of the user's own.
    """

    format: Literal[1] = 1
    origin: Origin
    framework: str
    framework_version: str
    ivyhub: str
    created: Timestamp
    licence: str | None
    graph: FileRecord
    config: FileRecord | None
    weights: dict[str, FileRecord]
    files: dict[str, FileRecord]
    signature: dict[str, Any]
    parents: tuple[Parent, ...] = ()
    metrics: dict[str, float] | msgspec.UnsetType = msgspec.UNSET  # absent where there are none, as in older manifests

    def __post_init__(self) -> None:
        for name in (*self.weights, *self.files):
            check_relative_name(name)

    @property
    def records(self) -> list[FileRecord]:
        """Everything the version is made of."""
        found = [self.graph, *self.weights.values(), *self.files.values()]
        return [*found, self.config] if self.config else found

    @property
    def parameters(self) -> int:
        """How many numbers its parameters and buffers have."""
        return int(self.signature.get("parameters", 0))

    @property
    def size(self) -> int:
        """The bytes of everything the version is made of."""
        return sum(record.size for record in self.records)


class ExportRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version as one target's native package: the package's files, and the certificate of its parity if measured."""

    format: Literal[1] = 1
    version: Digest
    target: str
    options: dict[str, Any]
    created: Timestamp
    package: dict[str, FileRecord]
    certificate: Digest | None = None

    def __post_init__(self) -> None:
        for name in self.package:
            check_relative_name(name)

    @property
    def key(self) -> Digest:
        """What tells this export from others of its version: see :func:`export_key`."""
        return export_key(self.target, self.options)


def export_key(target: str, options: Mapping[str, Any]) -> Digest:
    """The digest of a target and its options; the order of options does not matter.

    Example:
        >>> one = export_key("jax", {"dtype": "float32", "layout": None})
        >>> one == export_key("jax", {"layout": None, "dtype": "float32"})
        True
    """
    return digest_bytes(msgspec.json.encode([target, dict(options)], order="sorted"))


def now() -> datetime:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def encode(document: msgspec.Struct) -> bytes:
    """The canonical JSON of a document."""
    return msgspec.json.encode(document, order="sorted")


def decode(data: bytes, kind: type[T], *, where: str) -> T:
    """Read canonical JSON.

    Args:
        data: the bytes of the whole document.
        kind: the struct that it must be.
        where: what is read, for the message of an error.

    Raises:
        CorruptFileError: it is not the canonical JSON of a ``kind``.
        UnsafeError: a file name in it could leave its folder.

    Example:
        >>> decode(b'{"size":1,"size":1,"digest":"sha256:00"}', FileRecord, where="the record")
        Traceback (most recent call last):
        ivyhub.errors.CorruptFileError: the record is malformed: ...
    """
    try:
        document = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFileError(f"{where} is malformed: {error}") from error
    if encode(document) != data:
        raise CorruptFileError(
            f"{where} is malformed: not canonical JSON (a repeated key, a space, or an order of its own)"
        )
    return document

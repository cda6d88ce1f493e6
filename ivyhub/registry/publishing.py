"""A model of the registry as files for a hub: the checkpoint that it came from, or an export, each with a card."""

from __future__ import annotations

import re
from pathlib import Path

from ivyhub.errors import OfflineError, UsageError
from ivyhub.registry import conversion, remote, versions
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.files import Digest
from ivyhub.registry.manifest import FileRecord, Version
from ivyhub.registry.names import is_offline, repository_of
from ivyhub.registry.progress import SILENT, Progress
from ivyhub.registry.remote import Upload
from ivyhub.registry.source import CONFIG, PLAIN_LICENCE
from ivyhub.registry.store import Store

CARD = "README.md"

# What the Hub calls the libraries (huggingface.co/docs/hub/models-libraries).
_LIBRARIES = {"torch": "pytorch", "jax": "flax", "tensorflow": "keras", "onnx": "onnx"}
_HINT = "set HF_ENDPOINT to a server that can be reached, or push to the folder of another registry"


def publish(
    store: Store,
    reference: str,
    repository: str,
    *,
    framework: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    private: bool = False,
    message: str | None = None,
    verify: bool = True,
    offline: bool | None = None,
    progress: Progress = SILENT,
) -> Upload:
    """Put a model into a repository of the Hub, with a card.

    Without a framework the checkpoint goes as it came (or as it was tuned): configuration, weights under their own
    names, tokenizer; `transformers` loads it, and so does `ivyhub.pull`. With one, the export for it goes.

    Args:
        store: the registry.
        reference: the model, as `Refs.resolve` takes it.
        repository: ``organisation/name`` or ``hf://organisation/name``.
        framework: the target of the export, as `ivyhub.pull` takes it.
        dtype: of the export's weights, as `ivyhub.pull` takes it.
        revision: the branch; by default the repository's own.
        private: a repository that is made now is private.
        message: of the commit.
        verify: compare an export that is not there yet with its original, and refuse it where it does not agree.
        offline: use no network; by default as the environment says. Then it is refused.
        progress: hears of each stage.

    Raises:
        UnknownNameError: the registry has no such model.
        UsageError: the repository is none, or the model has no checkpoint and no framework is given.
        OfflineError, NetworkError, AuthorisationError: the network, or the server, refused.
        CorruptFileError: the server says that it has other bytes than were sent.
    """
    repository = repository_of(repository)
    digest = store.refs.resolve(reference)
    version = store.version(digest)
    if is_offline(offline):
        raise OfflineError(f"{repository!r} was not pushed: offline was asked for", hint="unset IVYHUB_OFFLINE")
    if framework is None:
        records = _checkpoint(version, reference)
        library = None
    else:
        target = Target.parse(framework)
        export, _ = conversion.export_of(
            store,
            digest,
            target,
            name=reference,
            dtype=dtype,
            layout="source",
            verify=verify,
            device=None,
            progress=progress,
        )
        records = export.package
        library = _LIBRARIES.get(target.framework)
    with progress.stage("upload"), store.scratch() as folder:
        files = {name: store.gathered(file.digest, folder) for name, file in records.items()}
        sent: dict[str, Path | bytes] = {**files}
        sent[CARD] = card(version, digest, files.get(CARD), repository=repository, library=library).encode()
        return remote.upload(
            repository,
            sent,
            revision=revision,
            private=private,
            message=message or f"ivyhub push {reference}",
            hint=_HINT,
        )


def _checkpoint(version: Version, reference: str) -> dict[str, FileRecord]:
    """The files of a version in the layout of Hugging Face."""
    if version.config is None:
        raise UsageError(
            f"{reference!r} has no configuration that a library would load it by",
            hint="give --framework: the export for it goes then",
        )
    return {CONFIG: version.config, **versions.side_files(version), **version.weights}


def card(version: Version, digest: Digest, written: Path | None, *, repository: str, library: str | None) -> str:
    """The card of a model: the one that it has, under a head that says what it is and where it comes from.

    Example:
        >>> from ivyhub.registry.manifest import FileRecord, Origin, now
        >>> some = FileRecord("sha256:" + "0" * 64, 1)
        >>> version = Version(
        ...     origin=Origin("hub", "org/base", "main", some.digest), framework="torch", framework_version="2",
        ...     graph=some, ivyhub="0.1.0", created=now(), licence="mit", config=None, weights={}, files={},
        ...     signature={},
        ... )
        >>> print(card(version, some.digest, None, repository="org/mine", library="flax"))
        ---
        license: mit
        library_name: flax
        base_model: org/base
        tags:
        - ivyhub
        ---
        # mine
        <BLANKLINE>
        Version `sha256:0000...` of an ivyhub registry, made from `org/base`.
        <BLANKLINE>
    """
    text = None if written is None else written.read_text("utf-8", errors="replace")
    if text is not None and re.match(r"---\r?\n", text):
        return text  # it has a head of its own
    origin = version.origin
    head = []
    if version.licence is not None and re.fullmatch(PLAIN_LICENCE, version.licence):
        head.append(f"license: {version.licence}")
    if library is not None:
        head.append(f"library_name: {library}")
    if origin.kind == "hub" and origin.id != repository:
        head.append(f"base_model: {origin.id}")
    head += ["tags:", "- ivyhub"]
    name = repository.rpartition("/")[2]
    source = f", made from `{origin.id}`" if origin.kind == "hub" else ""
    text = text or f"# {name}\n\nVersion `{digest[:11]}...` of an ivyhub registry{source}.\n"
    return "\n".join(["---", *head, "---", text])

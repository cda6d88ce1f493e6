"""The Hugging Face Hub, or any server that speaks its protocol (``HF_ENDPOINT``): checkpoints from there, models to it.

From there: one request lists the files of a revision with the digests that the server answers for. Only the names in
that list that a checkpoint needs are fetched, into the Hub client's own cache, which other tools share; each is then
hashed and compared with what was announced. A pickle is never fetched.

To it: all files of a model go in one commit; then the server is asked what it has, and every digest is compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ivyhub.errors import (
    AuthorisationError,
    CorruptFileError,
    IvyhubError,
    NetworkError,
    OfflineError,
    UnknownNameError,
    UnsafeError,
    UsageError,
)
from ivyhub.registry.files import Digest, check_relative_name, digest_bytes, digest_file, storage_errors
from ivyhub.registry.source import CONFIG, INDEX, Source, scan_folder, select

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_TIMEOUT = 20.0
_DOWNLOADS_AT_ONCE = 4
# What the Hub client calls files by, and what may stand there: the digits of a digest, or what other servers give.
_TAG = r'(W/)?"?[0-9A-Za-z_-][0-9A-Za-z_.-]{0,199}"?'
_NAMES_OF_FILES = {"X-Repo-Commit": "[0-9a-f]{40}", "X-Linked-Etag": _TAG, "ETag": _TAG}
_AGAIN = "push again; the files of the commit before are in its history"


def fetch(repository: str, revision: str | None, *, digest_of: Callable[[Path], Digest], hint: str) -> Source:
    """Download a repository's checkpoint, or find it in the Hub client's cache, and check every byte of it.

    Args:
        repository: ``organisation/name``.
        revision: a branch, tag or commit; None for the default branch.
        digest_of: the digest of a file, as in :func:`~ivyhub.registry.source.scan_folder`.
        hint: what the user can do where the network fails.

    Raises:
        UnknownNameError: no such repository or revision.
        AuthorisationError: the server refused the token, or wants one.
        NetworkError: no network, or the server failed.
        CorruptFileError: bytes that are not those announced; they are removed from the cache.
        CheckpointError, UnsafeError: see :func:`~ivyhub.registry.source.select`.
        StorageError: the cache cannot be written.
    """
    from huggingface_hub import HfApi, hf_hub_download

    endpoint = hub_endpoint()
    where = f"{repository!r} at {endpoint or 'the Hub'}"
    with hub_errors(where, revision, hint):
        try:
            info = HfApi(endpoint=endpoint).model_info(
                repository, revision=revision, files_metadata=True, timeout=_TIMEOUT
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise NetworkError(f"{where} answered, but not as a hub does: {_first_line(error)}", hint=hint) from error
        if not re.fullmatch("[0-9a-f]{40}", info.sha or ""):  # it becomes the name of a folder
            raise NetworkError(f"{where} answered, but with the commit {info.sha!r}", hint=hint)
        announced = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        for name in announced:
            check_relative_name(name)

        def download(name: str) -> Path:
            with _plain_headers():
                path = Path(hf_hub_download(repository, name, revision=info.sha, endpoint=endpoint))
            _check_bytes(path, announced[name], digest_of)
            return path

        chosen, _ = select(announced, lambda: download(INDEX).read_bytes(), where=where)
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            paths = dict(zip(chosen, pool.map(download, chosen), strict=True))
        if revision != info.sha:  # asked for by its name, the cache learns that name, and serves it offline too
            with _plain_headers():
                hf_hub_download(repository, CONFIG, revision=revision, endpoint=endpoint)
    return scan_folder(paths[CONFIG].parent, digest_of, id=repository, kind="hub", revision=info.sha)


@contextmanager
def _plain_headers() -> Generator[None]:
    """Refuse, while the block lasts, answers whose headers would lead the Hub client out of its cache.

    It calls files there as a server's headers say:
    https://github.com/huggingface/huggingface_hub/blob/v1.0.0/src/huggingface_hub/file_download.py (``blob_path``).
    """
    from huggingface_hub.utils import get_session

    def check(response: Any, **_: Any) -> None:
        if response.request.method == "HEAD":
            for name, pattern in _NAMES_OF_FILES.items():
                value = response.headers.get(name)
                if value is not None and not re.fullmatch(pattern, value):
                    raise UnsafeError(
                        f"refused an answer of {response.request.url}: expected {name} to be a name for a file, "
                        f"received {value!r}",
                        hint="the server may be hostile; check HF_ENDPOINT",
                    )

    session: Any = get_session()  # of requests or of httpx, whose hooks have the same form under two names
    hooks = getattr(session, "event_hooks", None) or session.hooks
    hooks["response"].append(check)
    try:
        yield
    finally:
        hooks["response"].remove(check)


def fetch_offline(repository: str, revision: str | None, *, digest_of: Callable[[Path], Digest], hint: str) -> Source:
    """Find a repository's checkpoint in the Hub client's cache without opening a socket.

    Raises:
        OfflineError: the cache does not hold all of it.
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, CONFIG, revision=revision)
    message = f"{repository!r} is not in the cache of the Hub client, and offline was asked for"
    if not isinstance(config, str):
        raise OfflineError(message, hint=hint)
    folder = Path(config).parent
    try:
        return scan_folder(folder, digest_of, id=repository, kind="hub", revision=folder.name)
    except IvyhubError as error:
        raise OfflineError(f"{message} (only a part of it is: {error.message})", hint=hint) from error


class Upload(msgspec.Struct, frozen=True):
    """What a push to a hub left there: the repository, its page, the commit, and the digest of each file."""

    repository: str
    url: str
    commit: str
    files: dict[str, Digest]


def upload(
    repository: str,
    files: Mapping[str, Path | bytes],
    *,
    revision: str | None = None,
    private: bool = False,
    message: str,
    hint: str,
) -> Upload:
    """Put files into a repository in one commit, which is made where it is not there, and check what arrived.

    Args:
        repository: ``organisation/name``.
        files: each file's name there, and its path or bytes here.
        revision: the branch; None for the default one.
        private: who has no access must not see a repository that is made now.
        message: of the commit.
        hint: what the user can do where the network fails.

    Raises:
        AuthorisationError: the server refused the token, or wants one.
        NetworkError: no network, or the server failed.
        CorruptFileError: the server says that it has other bytes.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    endpoint = hub_endpoint()
    where = f"{repository!r} at {endpoint or 'the Hub'}"
    api = HfApi(endpoint=endpoint)
    digests = {
        name: digest_bytes(data) if isinstance(data, bytes) else digest_file(data) for name, data in files.items()
    }
    additions = [
        CommitOperationAdd(check_relative_name(name).as_posix(), data if isinstance(data, bytes) else str(data))
        for name, data in files.items()
    ]
    with hub_errors(where, revision, hint):
        page = api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(repository, additions, commit_message=message, revision=revision).oid
        info = api.model_info(repository, revision=commit, files_metadata=True, timeout=_TIMEOUT)
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    for name, data in files.items():
        announced = _announced(there[name]) if name in there else "nothing"
        read = partial(bytes, data) if isinstance(data, bytes) else data.read_bytes
        if announced is not None and announced != _measured(announced, partial(digests.__getitem__, name), read):
            raise CorruptFileError(f"{where} has {announced} under {name!r}, which is not what was sent", hint=_AGAIN)
    return Upload(repository, str(page), commit, digests)


def hub_endpoint() -> str | None:
    """The server that ``HF_ENDPOINT`` names, or None for the Hub itself."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _announced(file: RepoSibling) -> str | None:
    """What a server says of a file's bytes: sha256 for large files, the git blob id for the others."""
    return file.blob_id if file.lfs is None else f"sha256:{file.lfs.sha256}"


def _measured(announced: str, digest: Callable[[], Digest], read: Callable[[], bytes]) -> str:
    """The digest of a file, of the kind that was announced."""
    if announced.startswith("sha256:"):
        return digest()
    data = read()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _check_bytes(path: Path, file: RepoSibling, digest_of: Callable[[Path], Digest]) -> None:
    """Compare a file with what its server announced; one with other bytes is removed."""
    with storage_errors("reading the Hub client's cache"):
        expected = _announced(file)
        received = None if expected is None else _measured(expected, partial(digest_of, path), path.read_bytes)
        if expected != received:
            for wrong in (path.resolve(), path):
                wrong.unlink(missing_ok=True)
            raise CorruptFileError(
                f"{file.rfilename}: the server announced {expected}, received {received}",
                hint="the file was removed from the cache; pull again",
            )


@contextmanager
def hub_errors(where: str, revision: str | None, hint: str) -> Generator[None]:
    """Turn what the Hub client raises into ivyhub's errors."""
    from huggingface_hub import errors

    # The HTTP library below the client is requests, httpx or httpx2, by release; the first base of the client's own
    # error is the base of all that library's. A RuntimeError is how hf_xet says that a transfer failed.
    transport_error = cast("type[Exception]", errors.HfHubHTTPError.__bases__[0])
    try:
        yield
    except IvyhubError:
        raise
    except errors.HFValidationError as error:
        raise UsageError(f"{where} is no repository: {_first_line(error)}") from error
    except errors.OfflineModeIsEnabled as error:
        raise OfflineError(f"cannot reach {where}: the Hub client is offline", hint="unset HF_HUB_OFFLINE") from error
    except (transport_error, OSError, RuntimeError) as error:
        raise _translated(error, where, revision, hint) from error
    except ValueError as error:  # how the client says that the card, or what the server answered, is malformed
        raise NetworkError(f"{where} was refused: {' '.join(str(error).split())}") from error


def _translated(error: BaseException, where: str, revision: str | None, hint: str) -> IvyhubError:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RevisionNotFoundError):
        return UnknownNameError(
            f"{where} has no revision {revision or 'main'!r}", hint="give a branch, a tag or a commit"
        )
    if status in (401, 403):
        return AuthorisationError(
            f"the server refused access to {where} ({status}): it is private, gated, or not there",
            hint="check the name; accept its terms on its page; log in with `hf auth login` or set HF_TOKEN",
        )
    if status == 404:
        return UnknownNameError(f"there is no repository {where}", hint="check the name, as organisation/name")
    if status is not None:
        return NetworkError(f"the server failed on {where} with status {status}", hint="try again later")
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _translated(error.__cause__, where, revision, hint)
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        try:
            with storage_errors("writing the Hub client's cache"):
                raise error
        except IvyhubError as translated:
            return translated
    return NetworkError(f"no network, or no answer from {where}: {_first_line(error)}", hint=hint)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]

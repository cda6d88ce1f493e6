"""Pickles are read by a process without rights, which can only say what it found; HDF5 files are first tried there.

Nothing in a pickle is executed (`pickles`), so this is a second wall: should a file that was made for it find a way
through the reader, or through Python itself, it is in a process that can neither write, nor start programs, nor open a
connection, and whose time and memory end. What it says is data of a fixed form, which is checked again (`contents`).
Of HDF5, whose library of C never comes back from some damaged files, it only says that it came back (`hdf5`).

A small server is started at the first such file. It has read nothing, and makes a copy of itself for each file: the
copy gives its rights away, reads, answers and ends. On Linux it keeps those calls of the system that reading needs
(seccomp; see ``man 2 seccomp``), elsewhere it only loses what ``setrlimit`` takes; where processes cannot be copied, as
on Windows, the server itself reads.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Literal

import msgspec

import ivyhub
from ivyhub.errors import CheckpointError, CorruptFileError, IvyhubError, UnsafeError
from ivyhub.registry.checkpoints.contents import Contents
from ivyhub.registry.weights.header import check_names

Kind = Literal["archive", "legacy", "tar", "distributed", "hdf5"]

_SECONDS, _FREE_SECONDS = 300, 10
"""Of its processor: the most, and those that a small file has; each megabyte adds four."""
_MEMORY = 8 << 30
_LONGEST_ANSWER = 1 << 31
_ERRORS = {kind.__name__: kind for kind in (CheckpointError, CorruptFileError, UnsafeError)}
_HEAD = struct.Struct("<Q")


class _Answer(msgspec.Struct):
    """What a reader found, or the class, message and hint of its error."""

    found: Contents | None = None
    error: tuple[str, str, str] | None = None


class _Server:
    """The process that copies of itself are made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, kind: Kind, path: Path, part: tuple[int, int] | None) -> bytes | None:
        """The answer for a file; None where its reader ended without one."""
        with self._lock:
            if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
                self._start()
            assert self._process is not None
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            try:
                _send(self._process.stdin, json.dumps([kind, str(path.absolute()), part or ()]).encode())
                return _receive(self._process.stdout)
            except (OSError, EOFError):
                return None

    def _start(self) -> None:
        # The folder that this runs in may be that of a hostile checkpoint, with a module or two in it.
        places = [place for place in sys.path if place and Path(place) != Path.cwd()]
        places.append(str(Path(ivyhub.__file__).parents[1]))
        command = f"import sys; sys.path += {places!r}; from {__name__} import serve; serve()"
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is for this process
            # HDF5 would lock what it reads; and a process with threads is not copied.
            env={**kept, "HDF5_USE_FILE_LOCKING": "FALSE", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._owner = os.getpid()
        atexit.register(self._stop, self._process)

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with suppress(OSError):
            process.wait()


_SERVER = _Server()


def read(kind: Kind, path: Path, part: tuple[int, int] | None = None) -> Contents:
    """What a file of pickles holds.

    Args:
        kind: its form.
        path: the file, or the folder.
        part: where it begins in the file and how long it is; all of it if not given.

    Raises:
        CheckpointError, CorruptFileError, UnsafeError: what its reader raises, see `torch_files` and `distributed`.
        UnsafeError: reading it takes more time or memory than any checkpoint does.
    """
    data = _SERVER.ask(kind, path, part)
    if data is None:
        raise UnsafeError(
            f"refused {path}: the process that reads it ended without an answer",
            hint="it takes more memory or time than any checkpoint does, and may be hostile",
        )
    try:
        answer = msgspec.msgpack.decode(data, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected a description of its tensors, received other data: {error}") from None
    if answer.error is not None:
        name, message, hint = answer.error
        raise _ERRORS.get(name, CheckpointError)(message, hint=hint)
    assert answer.found is not None
    return answer.found


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_HEAD.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_HEAD.size)
    if len(head) != _HEAD.size:
        raise EOFError
    (size,) = _HEAD.unpack(head)
    return pipe.read(size) if size else None


# -- the other side ----------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests on stdin until there are none."""
    from ivyhub.registry.checkpoints import distributed, hdf5, torch_files  # before rights are given away

    asked, answers = os.fdopen(0, "rb"), os.fdopen(1, "wb")
    while True:
        try:
            request = _receive(asked)
        except EOFError:
            return
        kind, path, part = json.loads(request or b"[]")
        readers = {**torch_files.READERS, "distributed": distributed.read_folder, "hdf5": hdf5.try_file}
        if kind == "hdf5":
            hdf5.load_h5py()
        _send(answers, _in_a_copy(partial(readers[kind], *part), Path(path)))


def _in_a_copy(reader: Callable[[Path], Contents], path: Path) -> bytes:
    """The answer of a copy of this process that has given its rights away; b"" where it ended without one."""
    if not hasattr(os, "fork"):
        return _answer(reader, path)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            for open_file in (0, 1, ours):
                os.close(open_file)
            size = path.stat().st_size
            seconds = _SECONDS if path.is_dir() else min(_SECONDS, _FREE_SECONDS + (size >> 18))
            give_up_rights(_MEMORY + 2 * size, seconds)
            data = memoryview(_answer(reader, path))
            while data:
                data = data[os.write(theirs, data) :]
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        data = pipe.read(_LONGEST_ANSWER)
    ended = os.waitpid(child, 0)[1]
    return data if ended == 0 else b""


def _answer(reader: Callable[[Path], Contents], path: Path) -> bytes:
    try:
        found = reader(path)
        check_names((*(tensor.name for tensor in found.tensors), *found.values, *found.unreadable), path)
        return msgspec.msgpack.encode(_Answer(found=found))
    except IvyhubError as error:
        answer = _Answer(error=(type(error).__name__, error.message, error.hint))
    except MemoryError:
        return b""
    except Exception as error:  # whatever a file makes of its reader is an answer, and no end of this process
        answer = _Answer(error=("CorruptFileError", f"{path}: {type(error).__name__}: {error}", ""))
    return msgspec.msgpack.encode(answer)


def give_up_rights(memory: int, seconds: int = _SECONDS) -> None:
    """From now on this process reads files, answers, and ends; it has no way back.

    Args:
        memory: the most that it may map, in bytes.
        seconds: the most that it may take of the processor.
    """
    import resource

    limits: Mapping[str, int] = {"CPU": seconds, "FSIZE": 0, "NPROC": 0, "CORE": 0, "AS": memory}
    for name, most in limits.items():
        with suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    if sys.platform == "linux":
        _keep_calls(*_CALLS.get(platform.machine(), (0, 0, ())))


# The architecture as the audit system calls it (linux/audit.h), openat, and the calls that reading and ending need:
# read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 mremap madvise
# dup exit fcntl sigaltstack gettid futex exit_group clock_gettime newfstatat readlinkat statx getrandom; on x86 too
# stat, lstat and readlink.
_CALLS: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        257,
        (*(0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 17, 25, 28, 32, 60, 72, 89, 131, 186),
         *(202, 228, 231, 262, 267, 318, 332)),
    ),
    "aarch64": (
        0xC00000B7,
        56,
        (*(23, 25, 57, 62, 63, 64, 67, 78, 79, 80, 93, 94, 98, 113, 132, 134, 135, 139, 178),
         *(214, 215, 216, 222, 226, 233, 278, 291)),
    ),
}  # fmt: skip
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # linux/seccomp.h: go on, or EPERM
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 32  # where they lie in struct seccomp_data; openat's flags are its third word


def _keep_calls(architecture: int, openat: int, calls: tuple[int, ...]) -> None:
    """Lose every call of the system but these and opening files to read, where the kernel has seccomp."""
    if not calls:
        return
    import ctypes

    writing = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for call in calls:
        steps += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    steps += [(_EQUAL, 1, 0, openat), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, _FLAGS), (_AND, 0, 0, writing)]
    steps += [(_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    filter_ = struct.pack("@HP", len(steps), ctypes.addressof(program))  # struct sock_fprog
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    prctl(22, 2, filter_, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


__all__ = ["Kind", "give_up_rights", "read", "serve"]

"""Devices, defaults of a block, and arrays that cross frameworks without a copy."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import itertools
import threading
from typing import Any

import numpy as np
import pytest

from ivyhub import engine
from ivyhub.engine.backends import dtype_name, framework_of
from ivyhub.engine.devices import Device, default_device, default_dtype, device, to_device, to_framework
from ivyhub.engine.native import module as functions_of
from ivyhub.errors import DTypeError, EngineError, UnknownDeviceError
from tests.arrays import as_numpy, assert_close, native
from tests.engine.test_ops import FRAMEWORKS

PAIRS = [*itertools.permutations(FRAMEWORKS, 2)]


def pointer(x: Any) -> int:
    """Where an array's first number lies."""
    match framework_of(x):
        case "torch":
            return x.data_ptr()
        case "jax":
            return x.unsafe_buffer_pointer()
        case "tensorflow":
            return np.from_dlpack(x).ctypes.data
    return x.ctypes.data


def placed(array: np.ndarray, offset: int = 0) -> np.ndarray:
    """The array at an address so many bytes behind a multiple of 64."""
    memory = np.empty(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    found = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_no_bytes_move(source: str, target: str, rng: np.random.Generator) -> None:
    """An array of the framework's own making, so that it is aligned as the others want it; NumPy's is put so."""
    x = engine.multiply(native(source, rng.normal(size=(64, 64))), 1.0)
    x = placed(x) if source == "numpy" else x
    found = to_framework({"x": x, "note": 3}, target, copy=False)
    assert found["note"] == 3
    assert framework_of(found["x"]) == target
    np.testing.assert_array_equal(as_numpy(found["x"]), as_numpy(x))
    assert pointer(found["x"]) == pointer(x)
    assert pointer(to_framework(x, target, copy=True)) != pointer(x)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "bfloat16", "float16", "complex64"])
def test_every_dtype_crosses(source: str, target: str, dtype: str, rng: np.random.Generator) -> None:
    host = rng.integers(0, 2, (3, 4)).astype(functions_of("numpy").dtype(dtype))
    x = to_framework(host, source)
    found = to_framework(x, target)
    assert (framework_of(found), dtype_name(found.dtype)) == (target, dtype)
    np.testing.assert_array_equal(to_framework(found, "numpy").astype("complex64"), host.astype("complex64"))


def test_memory_that_tensorflow_cannot_take_as_it_lies(rng: np.random.Generator) -> None:
    """Its kernels end the process there."""
    x = placed(rng.normal(size=(8, 8)).astype(np.float32), 16)
    found = to_framework(x, "tensorflow")
    assert pointer(found) % 64 == 0
    assert_close(engine.matmul(found, found), x @ x, 1e-4)
    with pytest.raises(EngineError, match="multiple of 64 bytes"):
        to_framework(x, "tensorflow", copy=False)


def test_what_cannot_be_shared_is_said() -> None:
    import torch

    with pytest.raises(EngineError, match="without a gradient, received a tensor that requires one"):
        to_framework(torch.ones(2, requires_grad=True), "jax")
    halves = functions_of("numpy").asarray(np.ones(2), "bfloat16", None)
    with pytest.raises(EngineError, match=r"numpy and torch cannot share the memory of bfloat16\[2\]"):
        to_framework(halves, "torch", copy=False)


def test_devices_have_one_name(framework: str) -> None:
    x = native(framework, np.ones(3))
    assert device(x) == Device("cpu", 0) == device("cpu")
    assert device(to_device([x], "cpu")[0]) == Device("cpu", 0)
    with pytest.raises(UnknownDeviceError, match=f"{framework} has no device"):
        to_device(x, "cuda:7")
    with pytest.raises(UnknownDeviceError, match="unknown device 'abacus'"):
        device("abacus")
    assert [Device("cuda", 1).name(owner) for owner in ("torch", "jax", "tensorflow")] == ["cuda:1", "gpu:1", "GPU:1"]


def test_defaults_of_a_block(framework: str) -> None:
    if framework != "jax":  # JAX has no float64 by default
        with default_dtype("float64"), default_device("cpu"):
            assert dtype_name(engine.zeros(2, framework=framework).dtype) == "float64"
            with default_dtype("float16"):
                assert dtype_name(engine.ones(2, framework=framework).dtype) == "float16"
            assert dtype_name(engine.full(2, 0.5, framework=framework).dtype) == "float64"
            assert dtype_name(engine.full(2, 5, framework=framework).dtype) == "int64"
    with default_dtype("float16"):
        assert dtype_name(engine.zeros(2, framework=framework).dtype) == "float16"
        assert dtype_name(engine.zeros(2, framework=framework, dtype="float32").dtype) == "float32"
    with default_device("cuda:7"), pytest.raises(UnknownDeviceError, match="has no device"):
        engine.zeros(2, framework=framework)
    with pytest.raises(DTypeError, match="floating-point dtype, received int32"), default_dtype("int32"):
        pass


def test_defaults_are_a_threads_and_a_tasks_own() -> None:
    found: dict[str, str] = {}

    def made() -> str:
        return dtype_name(engine.zeros(1, framework="torch").dtype)

    async def task(name: str, dtype: str) -> None:
        with default_dtype(dtype):
            await asyncio.sleep(0)
            found[name] = made()

    async def both() -> None:
        await asyncio.gather(task("a", "float64"), task("b", "float16"))

    with default_dtype("bfloat16"):
        thread = threading.Thread(target=lambda: found.update(thread=made()))
        thread.start()
        thread.join()
        asyncio.run(both())
        assert made() == "bfloat16"
    assert found == {"thread": "float32", "a": "float64", "b": "float16"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64"])
def test_dtypes_beyond_numpys(dtype: str, framework: str) -> None:
    """Creation, casts, indexing and exchange in every framework; arithmetic of float8 where the framework has it."""
    xp = importlib.import_module(f"ivyhub.engine.xp.{framework}")
    made = [xp.zeros(2, dtype=dtype), xp.full(2, 1.5, dtype=dtype), xp.asarray([1.0, 2.0], dtype=dtype)]
    made += [xp.ones(2, dtype=dtype), xp.linspace(1, 2, 2, dtype=dtype), xp.astype(xp.asarray([1.0, 2.0]), dtype)]
    for x, wanted in zip(made, ([0, 0], [1.5, 1.5], [1, 2], [1, 1], [1, 2], [1, 2]), strict=True):
        assert dtype_name(x.dtype) == dtype
        np.testing.assert_array_equal(np.asarray(x).astype(np.complex64), wanted)
    x = made[2]
    np.testing.assert_array_equal(np.asarray(xp.concat([x, x])[1:3]).astype(np.complex64), [2, 1])
    for other in FRAMEWORKS:
        moved = to_framework(to_framework(x.native, other), "numpy")
        np.testing.assert_array_equal(moved.astype(np.complex64), [1, 2])
    try:
        found = x + x
    except EngineError as error:
        assert dtype.startswith("float8"), dtype
        assert error.message.startswith(f"add: {framework} refused {dtype}[2]")  # noqa: PT017 - one of two ways
    else:
        np.testing.assert_array_equal(np.asarray(found).astype(np.complex64), [2, 4])


def test_defaults_do_not_leak_between_threads_and_tasks(framework: str) -> None:
    """Many at once, each in blocks of its own, which they leave by an error, too."""

    def made() -> str:
        return dtype_name(engine.zeros(1, framework=framework).dtype)

    plain = made()

    def inside(dtype: str) -> str:
        with contextlib.suppress(ZeroDivisionError), default_dtype("float32" if dtype != "float32" else "float16"):
            raise ZeroDivisionError
        with default_dtype(dtype):
            first = made()
            with default_dtype("float16"):
                assert made() == "float16"
            return first if made() == first else "leaked"

    async def task(dtype: str) -> str:
        with default_dtype(dtype):
            await asyncio.sleep(0)
            found = await asyncio.to_thread(made)  # a thread of the task's own context
            await asyncio.sleep(0)
            return found if made() == found else "leaked"

    async def tasks() -> list[str]:
        return await asyncio.gather(*map(task, dtypes))

    dtypes = ["float16", "bfloat16", "float32"] * 8
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(inside, dtypes)) == dtypes
    assert asyncio.run(tasks()) == dtypes
    assert made() == plain

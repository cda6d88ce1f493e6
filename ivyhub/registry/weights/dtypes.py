"""The dtypes that a checkpoint may hold: ivyhub's names, safetensors' codes, NumPy's types."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from ivyhub.errors import CheckpointError

# https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs, enum Dtype; its sub-byte and
# scale-only types (F4, F6_*, F8_E8M0) have no name in ivyhub.
NAME_OF_CODE = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
CODE_OF_NAME = {name: code for code, name in NAME_OF_CODE.items()}
_ML_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_NUMPY = {name: np.dtype(getattr(ml_dtypes, name) if name in _ML_DTYPES else name) for name in CODE_OF_NAME}
ITEMSIZE = {name: dtype.itemsize for name, dtype in _NUMPY.items()}


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype of an ivyhub dtype name; bfloat16 and float8 are those of ml_dtypes.

    Raises:
        CheckpointError: a checkpoint cannot hold that dtype.

    Example:
        >>> numpy_dtype("bfloat16").itemsize
        2
    """
    try:
        return _NUMPY[name]
    except KeyError:
        raise CheckpointError(
            f"expected a dtype that safetensors can hold, received {name!r}",
            hint=f"choose one of {', '.join(_NUMPY)}",
        ) from None

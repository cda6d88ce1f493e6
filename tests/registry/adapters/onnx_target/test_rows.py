"""Every operation of the engine, written in ONNX and run by onnxruntime: it agrees with NumPy, or it is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivyhub.engine.backends import framework_of
from ivyhub.engine.graph import tree_leaves, tree_map
from ivyhub.engine.op import OPS
from ivyhub.engine.spec import Spec, spec_of
from ivyhub.engine.trace import trace
from ivyhub.errors import NoLoweringError
from ivyhub.registry.adapters import emit
from ivyhub.registry.adapters.onnx.run import RuntimeRunner
from tests.arrays import assert_close, native, several
from tests.engine.draw import BATCH
from tests.engine.test_ops import NAMES, VALUES, infer, invariant, oracle, samples, symbolic

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

#: What ONNX has no operator for, and needs some: these and what is made of them are refused by name.
REFUSED = {
    *(
        "atan2",
        "signbit",
        "bitcast",
        "copysign",
        "floor_remainder",  # whose zeros have a sign, too
        "nextafter",
        "cumulative_prod",
        "erfc",
        "erfinv",
        "lgamma",
        "digamma",
        "polygamma",
    ),
    *("erfcx", "igamma", "igammac", "zeta", "gcd", "lcm"),
    *("bitwise_left_shift", "bitwise_right_shift"),  # of signed integers
    *("max", "min", "argmax", "argmin"),  # of uint64, of which onnxruntime has none
    *("cholesky", "qr", "svd", "svdvals", "eigh", "eigvalsh", "eig", "eigvals", "solve", "inv", "slogdet"),
    *("lstsq", "pinv", "matrix_power", "matrix_norm", "lu", "householder_product", "matrix_exp"),
    *("random_bits", "random_split", "random_fold_in", "random_uniform", "random_integers"),
}

STATIC = {"fractional_max_pool", "fractional_max_pool_with_indices"}  # their decompositions count windows


def is_complex(name: str, sample: Any) -> bool:
    """Whether complex numbers go in or come out; ONNX's own operators have none but DFT's pairs."""
    leaves = [leaf for _, leaf in tree_leaves(tuple(sample[0])) if framework_of(leaf)]
    results = several(infer(OPS[name], sample))
    return any("complex" in str(each.dtype) for each in [*leaves, *results])


def run(name: str, sample: Any) -> Any:
    """The results in onnxruntime, the batch size being one that varies."""
    args, attributes = sample
    arrays = [leaf for _, leaf in tree_leaves(tree_map(lambda leaf: native("numpy", leaf), tuple(args)))]
    arrays = [leaf for leaf in arrays if framework_of(leaf)]
    varies = name not in STATIC and any(BATCH in array.shape for array in arrays)
    named = {key: symbolic(value) for key, value in attributes.items()} if varies else attributes

    def function(*values: Any) -> Any:
        given = iter(values)
        return OPS[name](*tree_map(lambda leaf: next(given) if framework_of(leaf) else leaf, tuple(args)), **named)

    specs = [Spec(symbolic(spec.shape) if varies else spec.shape, spec.dtype) for spec in map(spec_of, arrays)]
    graph = trace(function, *specs)
    export = emit(graph, "onnx")
    assert export.pack is not None
    with tempfile.TemporaryDirectory() as folder:
        (path,) = export.pack(Path(folder), [], lambda done, total: None)
        model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    found = RuntimeRunner(model).outputs(dict(zip((each.name for each in model.graph.input), arrays, strict=True)))
    assert [array.dtype.name for array in found] == [value.dtype for value in graph.output_values]
    return tuple(found) if len(found) > 1 else found[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, the oracle, warns of logarithms of zero
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_agrees_or_is_refused(name: str, rng: np.random.Generator) -> None:
    refused = False
    for sample in samples(name, rng):
        if is_complex(name, sample):
            with pytest.raises(NoLoweringError):
                run(name, sample)
            refused = True
            continue
        try:
            found = run(name, sample)
        except NoLoweringError:
            assert name in REFUSED
            refused = True
            continue
        wanted = oracle(OPS[name], sample)
        assert_close(invariant(name, found), invariant(name, wanted), VALUES, f"{name} with {sample[1]}")
    assert refused or name not in REFUSED

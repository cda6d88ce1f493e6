"""Operators against the reference evaluator of onnx: many in one model, on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import parser

import ivyhub
from ivyhub.errors import CaptureError
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.conversion import open_runner
from tests.arrays import assert_close

#: What writes an operator is tested with the engine; what is tested here is the reading, and one target shows that.
TARGETS = ("torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow", "numpy")))

#: Nodes over x: float[2, 6, 8, 8] and z: float[4, 5], with constants between them.
NODES = {
    "arithmetic": "a = Div(z, two) b = Mod<fmod=1>(z, two) c = Pow(z, two) y = Sum(a, b, c)",
    "clip": "y = Clip(z, minus, two)",
    "activations": "a = Celu<alpha=1.5>(z) b = HardSigmoid(a) c = Shrink<bias=0.1, lambd=0.2>(z) y = Add(b, c)",
    "hardmax": "y = Hardmax<axis=0>(z)",
    "pool": "a = MaxPool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]>(x) y = GlobalAveragePool(a)",
    "same": 'y = AveragePool<kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER">(x)',
    "lp": "y = LpPool<kernel_shape=[2, 2], p=2>(x)",
    "norm": "y = LpNormalization<axis=1, p=2>(z)",
    "blocks": 'a = SpaceToDepth<blocksize=2>(x) y = DepthToSpace<blocksize=2, mode="CRD">(a)',
    "slices": "y = Slice(x, starts, ends, axes, steps)",
    "pad": 'y = Pad<mode="reflect">(z, pads)',
    "reduce": "a = ReduceL2<keepdims=0>(x, axes) b = ReduceLogSumExp(x, axes) y = Mul(a, b)",
    "last": "y = ArgMax<axis=1, select_last_index=1>(z)",
    "cumulative": "y = CumSum<exclusive=1, reverse=1>(z, one)",
    "top": "y, i = TopK<axis=1, largest=0>(z, three)",
    "gather": "a = GatherElements<axis=1>(z, places) y = Gather<axis=0>(a, rows)",
    "scatter": 'a = Abs(z) y = ScatterElements<axis=1, reduction="add">(z, places, a)',
    "resize": 'y = Resize<mode="cubic", coordinate_transformation_mode="align_corners">(x, , , sizes)',
    "nearest": 'y = Resize<nearest_mode="floor", coordinate_transformation_mode="asymmetric">(x, , scales)',
    "quantised": "a = QuantizeLinear(z, tenth, zero) y = DequantizeLinear(a, tenth, zero)",
    "narrow": "a = Cast<to=17>(z) y = Cast<to=1>(a)",
    "branches": 'y = Einsum<equation="ij,kj->ik">(z, z)',
    "trilu": "y = Trilu<upper=0>(z)",
    "bits": "a = BitCast<to=6>(z) b = Add(a, mask) y = BitCast<to=1>(b)",
    "n-grams": """a = Floor(z) b = Cast<to=7>(a) y = TfIdfVectorizer<
        max_gram_length=2, max_skip_count=2, min_gram_length=1, mode="TF", ngram_counts=[0, 3],
        ngram_indexes=[4, 0, 1, 2, 3], pool_int64s=[-1, 0, 1, 0, 1, -1, 2]>(b)""",
    "n-grams with weights": """a = Floor(z) b = Cast<to=6>(a) y = TfIdfVectorizer<
        max_gram_length=1, max_skip_count=0, min_gram_length=1, mode="IDF", ngram_counts=[0],
        ngram_indexes=[0, 1], pool_int64s=[-1, 2], weights=[0.5, 3.0]>(b)""",
}

CONSTANTS = """
    two = Constant<value_float=2.0>() minus = Constant<value_float=-1.0>() tenth = Constant<value_float=0.1>()
    zero = Constant<value = uint8 {128}>() one = Constant<value_int=1>() three = Constant<value_ints=[3]>()
    starts = Constant<value_ints=[7, 0]>() ends = Constant<value_ints=[1, -1]>() axes = Constant<value_ints=[2, 3]>()
    steps = Constant<value_ints=[-2, 3]>() pads = Constant<value_ints=[1, 2, 1, 0]>()
    rows = Constant<value_ints=[-1, 0]>() sizes = Constant<value_ints=[2, 6, 5, 11]>()
    mask = Constant<value = int32 {1048576}>()
    scales = Constant<value_floats=[1.0, 1.0, 2.0, 1.5]>()
    places = Constant<value = int64[4, 5] {0,1,2,3,4, 4,3,2,1,0, 1,0,3,2,4, -1,-2,-3,-4,-5}>()
"""


def model_of(nodes: str) -> Any:
    kind = "int64" if "ArgMax" in nodes else "float"
    opset = 26 if "BitCast" in nodes else 21
    head = f'<ir_version: 10, opset_import: ["" : {opset}]> net (float[2, 6, 8, 8] x, float[4, 5] z)'
    return parser.parse_model(f"{head} => ({kind} y) {{{CONSTANTS}{nodes}}}")


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("target", TARGETS)
def test_operators(name: str, target: str, rng: np.random.Generator) -> None:
    from onnx.reference import ReferenceEvaluator

    model = model_of(NODES[name])
    # a permutation of distinct numbers, none of them near a tie, a kink or a half of the quantised grid
    x = rng.permutation(np.linspace(-3.03, 3.07, 2 * 6 * 8 * 8)).reshape(2, 6, 8, 8).astype(np.float32)
    z = rng.permutation(np.linspace(-2.93, 3.06, 20)).reshape(4, 5).astype(np.float32)
    with np.errstate(all="ignore"):
        (expected,) = ReferenceEvaluator(model).run(None, {"x": x, "z": z})
    runner = open_runner(Target.parse(target), ivyhub.transpile(model, to=target))
    (found,) = runner.outputs({"x": x, "z": z})
    # float32 has 24 bits; a sum over a window or an axis loses a few of them
    assert_close(found, expected, 1e-4)


def test_an_lstm_with_peepholes_stops_at_the_end_of_each_row(rng: np.random.Generator) -> None:
    """Against onnxruntime: the reference evaluator of onnx reads no lengths."""
    runtime = pytest.importorskip("onnxruntime")
    model = parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]>
        net (float[time, 3, 4] x, float[1, 8, 4] w, float[1, 8, 2] r, float[1, 16] b, float[1, 6] p)
            => (float[time, 1, 3, 2] y, float[1, 3, 2] h, float[1, 3, 2] c) {
            lengths = Constant<value = int32[3] {5, 2, 4}>()
            y, h, c = LSTM<hidden_size=2>(x, w, r, b, lengths, , , p) }"""
    )
    shapes = {"x": (5, 3, 4), "w": (1, 8, 4), "r": (1, 8, 2), "b": (1, 16), "p": (1, 6)}
    arrays = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    expected = runtime.InferenceSession(model.SerializeToString()).run(None, arrays)
    runner = open_runner(Target.parse("torch"), ivyhub.transpile(model, to="torch"))
    for found, wanted in zip(runner.outputs(arrays), expected, strict=True):
        assert_close(found, wanted, 1e-5)  # float32 has 24 bits; five steps lose a few of them


@pytest.mark.parametrize(("counts", "message"), [("[0]", "twice"), ("[0, 2]", "change their places")])
def test_n_grams_that_the_standard_leaves_open_are_refused(counts: str, message: str) -> None:
    nodes = f"""a = Cast<to=7>(z) y = TfIdfVectorizer<
        max_gram_length=2, max_skip_count=0, min_gram_length=1, mode="IDF", ngram_counts={counts},
        ngram_indexes=[1, 0, 2, 3], pool_int64s=[1, 2, 1, 2], weights=[1.0, 2.0, 3.0]>(a)"""
    with pytest.raises(CaptureError, match=message):
        ivyhub.trace(model_of(nodes))

"""ONNX models as sources: captured, transpiled and kept, or refused."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper, parser

import ivyhub
from ivyhub.cli import run
from ivyhub.engine.graph import Graph
from ivyhub.errors import CaptureError, CorruptFileError, UnsafeError, UnsupportedOpsError, UsageError
from ivyhub.registry.adapters.onnx.capture import capture
from ivyhub.registry.adapters.target import Target
from ivyhub.registry.characters import steers
from ivyhub.registry.conversion import open_runner
from ivyhub.registry.export import record_of_object
from tests.arrays import assert_close

TARGETS = ("torch", "jax", "tensorflow", "numpy")
HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


def parsed(text: str, **weights: np.ndarray) -> Any:
    """A model from its text, with initialisers."""
    model = parser.parse_model(f"{HEAD}\n{text}")
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def attention(rng: np.random.Generator) -> Any:
    """A block of attention as exporters write it: shapes are computed from the shape of the input."""

    def random(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32) * 0.3

    return parsed(
        """net (float[batch, length, 8] x) => (float[batch, length, 8] y) {
            sizes = Shape(x)
            zero = Constant<value_int=0>()
            one = Constant<value_int=1>()
            axis = Constant<value_ints=[0]>()
            batch = Gather(sizes, zero)
            length = Gather(sizes, one)
            b = Unsqueeze(batch, axis)
            t = Unsqueeze(length, axis)
            heads = Constant<value_ints=[2, 4]>()
            apart = Concat<axis=0>(b, t, heads)
            whole = Constant<value_ints=[8]>()
            joined = Concat<axis=0>(b, t, whole)
            q0 = MatMul(x, wq)
            q1 = Reshape(q0, apart)
            q = Transpose<perm=[0, 2, 1, 3]>(q1)
            k0 = MatMul(x, wk)
            k1 = Reshape(k0, apart)
            k = Transpose<perm=[0, 2, 3, 1]>(k1)
            s0 = MatMul(q, k)
            half = Constant<value_float=0.5>()
            s = Mul(s0, half)
            p = Softmax<axis=-1>(s)
            v0 = Transpose<perm=[0, 2, 1, 3]>(q1)
            o0 = MatMul(p, v0)
            o1 = Transpose<perm=[0, 2, 1, 3]>(o0)
            o = Reshape(o1, joined)
            r = Add(x, o)
            y = LayerNormalization<axis=-1>(r, scale, shift)
        }""",
        wq=random(8, 8),
        wk=random(8, 8),
        scale=random(8),
        shift=random(8),
    )


def reference(model: Any, *inputs: np.ndarray) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    names = [value.name for value in model.graph.input]
    return ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_model_with_named_sizes(target: str, rng: np.random.Generator) -> None:
    model = attention(rng)
    native = ivyhub.transpile(model, to=target, verify=True)
    record = record_of_object(native)
    assert record is not None
    assert record[0].certificate["reference"] == "Net in memory"
    runner = open_runner(Target.parse(target), native)
    for shape in ((1, 1, 8), (3, 5, 8)):
        x = rng.standard_normal(shape).astype(np.float32)
        assert_close(runner.outputs({"x": x})[0], reference(model, x)[0], 1e-4)


def test_the_graph_names_sizes_parameters_and_results(rng: np.random.Generator) -> None:
    graph = ivyhub.trace(attention(rng))
    assert isinstance(graph, Graph)
    assert str(graph.outputs.spec) == "float32[batch, length, 8]"
    assert {path for path, parameter in graph.parameters() if parameter.trainable} == {"wq", "wk", "scale", "shift"}
    assert not [node for node in graph.nodes if node.op in ("stack", "full")]  # shapes are computed while it is read


def test_parameters_are_where_their_names_say(rng: np.random.Generator) -> None:
    w = rng.standard_normal((4, 3)).astype(np.float32)
    node = helper.make_node("Gemm", ["input.1", "enc.layer.0.weight"], ["out"], transB=1)
    graph = helper.make_graph(
        [node],
        "main",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(w, "enc.layer.0.weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    for target in TARGETS:
        native = ivyhub.transpile(model, to=target)
        x = rng.standard_normal((2, 3)).astype(np.float32)
        (found,) = open_runner(Target.parse(target), native).outputs({"input_1": x})
        assert_close(found, x @ w.T, 1e-5)
    assert [path for path, _ in ivyhub.trace(model).parameters()] == ["enc.layer.0.weight"]


def test_a_file_and_its_data(tmp_path: Path, rng: np.random.Generator) -> None:
    model = attention(rng)
    x = rng.standard_normal((2, 3, 8)).astype(np.float32)
    (expected,) = reference(model, x)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=16)
    assert (tmp_path / "net.data").stat().st_size > 500
    native = ivyhub.transpile(tmp_path / "net.onnx", to="numpy", verify=True)
    (found,) = open_runner(Target.parse("numpy"), native).outputs({"x": x})
    assert_close(found, expected, 1e-4)


def test_a_value_that_decides_about_shapes_is_baked_in(rng: np.random.Generator) -> None:
    model = parsed("net (float[2, 3] x, int64[2] shape) => (float[a, b] y) { y = Reshape(x, shape) }")
    x = rng.standard_normal((2, 3)).astype(np.float32)
    with pytest.raises(CaptureError, match="expected 'shape' to be known"):
        ivyhub.trace(model)
    graph = ivyhub.trace(model, x, np.asarray([3, 2]))
    assert list(graph.inputs) == ["x"]
    assert graph.outputs.shape == (3, 2)
    notes = capture(model, (x, np.asarray([3, -1]))).notes
    assert any("shape is not an argument" in note and "[ 3 -1]" in note for note in notes)


def test_control_flow_on_values(rng: np.random.Generator) -> None:
    model = parsed(
        """net (float[3] x, bool c, int64 n) => (float[3] y, float[3] z) {
            y = If(c) <
                then_branch = a () => (float[3] p) { p = Neg(x) },
                else_branch = b () => (float[3] q) { q = Add(x, x) }
            >
            yes = Constant<value = bool {1}>()
            z = Loop(n, yes, x) <
                body = step (int64 i, bool go, float[3] s) => (bool on, float[3] t) {
                    on = Identity(go)
                    t = Add(s, x)
                }
            >
        }"""
    )
    x = rng.standard_normal(3).astype(np.float32)
    for target in TARGETS:
        runner = open_runner(Target.parse(target), ivyhub.transpile(model, to=target))
        for c, n in ((True, 0), (False, 3)):
            y, z = runner.outputs({"x": x, "c": np.asarray(c), "n": np.asarray(n)})
            assert_close(y, -x if c else x + x, 1e-6)
            assert_close(z, x * (n + 1), 1e-5)


def test_functions_of_the_model_are_read(rng: np.random.Generator) -> None:
    model = parser.parse_model("""<ir_version: 10, opset_import: ["" : 21, "mine" : 1]>
        net (float[4] x) => (float[4] y) { y = mine.Twice<by = 3.0>(x) }
        <domain: "mine", opset_import: ["" : 21]>
        Twice <by> (a) => (b) { c = Elu<alpha: float = @by>(a) b = Add(c, c) }""")
    x = rng.standard_normal(4).astype(np.float32)
    (found,) = open_runner(Target.parse("numpy"), ivyhub.transpile(model, to="numpy")).outputs({"x": x})
    assert_close(found, 2 * np.where(x > 0, x, 3 * np.expm1(x)), 1e-5)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/hostname", "sub/../../secret", "link", "ring", "a\0b", "..\\secret", "C:x", "con", ""],
)
def test_data_outside_of_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "ring").symlink_to("ring")
    model = parsed("net (float[4] x) => (float[4] y) { y = Add(x, w) }", w=np.zeros(4, np.float32))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UnsafeError, match="not in the model's folder"):
        ivyhub.trace(folder / "net.onnx")
    assert run(["check", str(folder / "net.onnx"), "--to", "numpy"]) == 5


EVIL = "os.mkdir('ran')"
NAMES = (
    *(f'x"; {EVIL}; "', f"x'''\n{EVIL}\n'''", f'x"""\n{EVIL}\n"""', f"x\n{EVIL}\n", f"{{{EVIL}}}", "x\\"),
    *("self", "class", "__init__", "../../x", "x\x1b[2J\u202e", "x" * 300, 'x"\n[project]\nname = "y'),
)


@pytest.mark.parametrize("target", ["numpy", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_programs_are_names(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.chdir(tmp_path)
    weight = rng.standard_normal((3, 2)).astype(np.float32)
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", [name, f"{name}w"], [f"{name}y"], name=name, doc_string=name)],
        f"{name} net",
        [helper.make_tensor_value_info(name, floats, [name, 3])],
        [helper.make_tensor_value_info(f"{name}y", floats, [name, 2])],
        [numpy_helper.from_array(weight, f"{name}w")],
        doc_string=name,
    )
    model = helper.make_model(graph, producer_name=name, doc_string=name, opset_imports=[helper.make_opsetid("", 20)])
    onnx.save(model, "net.onnx")
    assert run(["convert", "net.onnx", "--to", target, "--out", "out", "--quiet", "--no-verify"]) == 0
    x = rng.standard_normal((4, 3)).astype(np.float32)
    given = x if target == "numpy" else importlib.import_module("torch").from_numpy(x)
    result = ivyhub.transpile("net.onnx", to=target)(given)
    # one product of three terms in float32
    assert_close(result if target == "numpy" else result.detach().numpy(), x @ weight, 1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "out"]
    assert not steers((tmp_path / "out" / "README.md").read_text().replace("\n", ""))


def test_damaged_files_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "net.onnx"
    whole = attention(rng).SerializeToString()
    for data in (b"no model", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(CorruptFileError):
            ivyhub.trace(path)
    with pytest.raises(UsageError, match="found none"):
        ivyhub.trace(tmp_path / "nothing.onnx")


def test_operators_that_no_rule_reads_are_reported_at_once() -> None:
    model = parser.parse_model("""<ir_version: 10, opset_import: ["" : 21, "com.acme" : 1]>
        net (float[4] x) => (float[4] y) { a = com.acme.First(x) b = com.acme.Second(x) y = Add(a, b) }""")
    with pytest.raises(UnsupportedOpsError) as caught:
        ivyhub.transpile(model, to="torch")
    assert {op for op, _, _ in caught.value.missing} == {"com.acme.First", "com.acme.Second"}


def test_results_of_unknown_shape_are_refused() -> None:
    with pytest.raises(CaptureError, match="depends on the numbers"):
        ivyhub.trace(parsed("net (float[4] x) => (int64[1, n] y) { y = NonZero(x) }"))


def test_numbers_of_8_bits_beside_others_do_not_decide_about_the_dtype() -> None:
    model = parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]> net (float8e4m3fn[2] x, float[2] z) => (float[2] y) {
        a = Cast<to=1>(x) y = Add(a, z) }"""
    )
    source = ivyhub.trace(model).emit("tensorflow").files["__init__.py"]
    assert 'else "float32"' in source

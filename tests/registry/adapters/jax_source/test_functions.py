"""Functions of JAX in PyTorch, TensorFlow and NumPy: results and gradients are those of the function itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.extend.core import Primitive

import ivyhub
from ivyhub.errors import CaptureError, UnsupportedOpsError
from tests.arrays import assert_close
from tests.registry.adapters.jax_source.judging import agree_with_jax, named


def _attention(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(q.shape[-1])
    mask = jnp.tril(jnp.ones((q.shape[1], k.shape[1]), bool))
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


def _recurrent(x: Any, w: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(row + h @ w)
        return h, h

    last, every = jax.lax.scan(step, jnp.zeros((x.shape[1], w.shape[0])), x)
    return {"last": last, "every": (every, jax.lax.cond(last.sum() > 0, lambda: last * 2, lambda: -last))}


def _places(x: Any, i: Any) -> Any:
    rows = x[i]
    put = x.at[i].add(rows * 2).at[0, 1].set(3.0)
    along = jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1)
    window = jax.lax.dynamic_slice(x, (i[0], 0), (2, 3))
    return rows, put, along, window, x[::2, ::-1], jnp.roll(x, 1, axis=0), x[:, i, None]


def _layers(x: Any, kernel: Any) -> Any:
    y = jax.lax.conv_general_dilated(
        x, kernel, (2, 1), ((1, 1), (0, 2)), rhs_dilation=(1, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    pooled = jax.lax.reduce_window(y, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
    back = jax.lax.conv_transpose(y, jnp.swapaxes(kernel, 2, 3), (2, 2), "SAME")
    return jax.nn.gelu(pooled), back, jnp.var(y, axis=-1), jax.nn.log_softmax(y), jax.nn.silu(y)


def _loop(x: Any) -> Any:
    """Each of several side by side ends after steps of its own."""
    fixed = jax.lax.stop_gradient(x)  # JAX has no gradient of such a loop
    start = fixed, fixed * jnp.ones(2)
    return x * jax.lax.while_loop(lambda pair: pair[0] < 2.0, lambda pair: (pair[0] + 0.7, pair[1] * 1.5), start)[1]


def _sorted_places(x: Any, y: Any) -> Any:
    places = jnp.arange(4.0)
    found = (
        jnp.interp(y, jnp.sort(x), x),
        jnp.interp(x, places, places**2),
        jnp.searchsorted(jnp.sort(x), y, side="right"),
    )
    return found, x.at[jnp.array([0, 2, 0])].subtract(y[:3]), jax.scipy.special.polygamma(2, jnp.abs(x) + 0.5)


def _stacked(x: Any, y: Any) -> Any:
    both = jnp.stack([x, y], axis=1)
    return both, jnp.unstack(both * 2, axis=2)


CASES: dict[str, Any] = {
    "vmapped loop": (jax.vmap(_loop), ((3,),)),
    "total order": (_sorted_places, ((7,), (4,))),
    "stacked": (_stacked, ((3, 4), (3, 4))),
    "attention": (_attention, ((2, 5, 3, 4),) * 3),
    "recurrent": (_recurrent, ((6, 2, 4), (4, 4))),
    "layers": (_layers, ((2, 9, 8, 3), (3, 3, 3, 4))),
    "gradient": (jax.grad(lambda x, y: jnp.sum(jnp.tanh(x @ y) ** 2), argnums=(0, 1)), ((3, 4), (4, 2))),
    "vmap": (jax.vmap(lambda x, y: jax.nn.softmax(x) @ y), ((3, 4), (3, 4, 2))),
}


_SLOW = pytest.mark.slow


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("to", ["torch", pytest.param("tensorflow", marks=_SLOW), pytest.param("numpy", marks=_SLOW)])
def test_functions_agree(case: str, to: str, rng: np.random.Generator) -> None:
    function, shapes = CASES[case]
    agree_with_jax(function, [rng.standard_normal(shape).astype(np.float32) for shape in shapes], to)


@pytest.mark.parametrize("to", ["torch", pytest.param("tensorflow", marks=_SLOW), "numpy"])
def test_positions_agree(to: str, rng: np.random.Generator) -> None:
    x = rng.permuted(np.arange(24.0, dtype=np.float32)).reshape(6, 4)  # no two alike: their order is one
    agree_with_jax(_places, [x, rng.choice(4, 3, replace=False).astype(np.int32)], to)


@pytest.mark.parametrize("to", ["torch", "numpy"])
def test_seeded_numbers_are_the_same(to: str, rng: np.random.Generator) -> None:
    def draw(key: Any) -> Any:
        first, second = jax.random.split(key)
        return jax.random.bits(jax.random.fold_in(first, 7), (5,)), jax.random.key_data(second)

    key = jax.random.key(int(rng.integers(2**31)))
    data = np.asarray(jax.random.key_data(key))
    native = ivyhub.transpile(draw, to=to, args=(key,))
    if to == "torch":
        import torch

        found = [each.numpy() for each in native(torch.tensor(data))]
    else:
        found = native(data)
    for each, expected in zip(found, draw(key), strict=True):
        np.testing.assert_array_equal(each, expected)


def _farther(first: Any, second: Any) -> Any:
    (a, i), (b, j) = first, second
    return jnp.where(a >= b, a, b), jnp.where(a >= b, i, j)


def _rare(x: Any, counts: Any, small: Any) -> Any:
    keys = jax.random.split(jax.random.key(1), 3)
    drawn = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys), jax.vmap(jax.random.bits)(keys)
    unknown = jnp.where(x > 0.5, jnp.nan, x)
    orders = jnp.argsort(unknown), jnp.argmax(unknown), jnp.argmin(unknown), jax.lax.top_k(unknown, 2)[1]
    largest = jax.lax.reduce((counts, small), (jnp.int32(-9), jnp.int8(0)), _farther, (1,))
    product = jax.lax.dot_general(small, counts.T, (((1,), (0,)), ((), ())))
    whole = jax.lax.complex(x, -x)
    extremes = jnp.maximum(whole, whole[::-1]), jax.lax.sort(whole)
    half = jax.lax.lgamma(counts[0].astype(jnp.bfloat16)).astype(jnp.float32)
    bits = small.astype(jnp.uint8)
    signs = jnp.sign(bits), jax.lax.shift_right_arithmetic(bits, jnp.uint8(3)), (small > 0) < (counts > 4)
    return drawn, orders, largest, product, extremes, half, signs, jax.scipy.special.betainc(2.0, 3.0, x)


@pytest.mark.parametrize("to", ["torch", "tensorflow"])
def test_what_a_framework_has_no_kernel_for_is_computed_otherwise(to: str, rng: np.random.Generator) -> None:
    x = np.array([0.1, 0.7, 0.3, 0.9, 0.3], np.float32)
    small = rng.integers(-9, 9, (2, 5), dtype=np.int8)
    # No two of a row are equal: which of them a reduction takes then is nobody's promise.
    counts = rng.permuted(np.tile(np.arange(1, 9, dtype=np.int32), (2, 1)), axis=1)[:, :5]
    agree_with_jax(_rare, [x, counts, small], to)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_unsigned_integers_of_torch_overflow_as_those_of_jax(dtype: str, rng: np.random.Generator) -> None:
    def count(x: Any, y: Any) -> Any:
        put = x.at[jnp.array([0, 2])].add(y[:2])
        return (
            x + y,
            x - y,
            put,
            jnp.maximum(x, y),
            x < y,
            x << 3,
            x >> 3,
            ~x,
            jnp.flip(x),
            x.max(),
            x[:, None] @ y[None],
        )

    x, y = rng.integers(np.iinfo(dtype).max, size=(2, 5), dtype=dtype, endpoint=True)
    agree_with_jax(count, [x, y], "torch")


def test_sizes_vary_and_keep_their_names() -> None:
    def flat(x: Any) -> Any:
        return x.reshape(-1) * x.shape[0], x[:, 1:].mean(), jnp.concatenate([x, x])

    graph = ivyhub.trace(flat, jnp.zeros((2, 3)), dynamic={"x": {0: "batch"}})
    assert [str(each.spec) for each in graph.outputs] == ["float32[3*batch]", "float32[]", "float32[2*batch, 3]"]


def test_functions_of_jax_nn_stay_whole() -> None:
    def network(x: Any) -> Any:
        return jax.nn.softmax(jax.nn.gelu(x, approximate=False), axis=0) + jax.vmap(jax.nn.softmax)(x)

    before = jax.nn.softmax
    graph = ivyhub.trace(network, jnp.zeros((2, 3)))
    names = [node.op for node in graph.nodes]
    assert names.count("softmax") == 1  # the mapped one is another program
    assert "gelu" in names
    assert "exp" in names
    assert jax.nn.softmax is before


def test_parameters_are_the_leaves_of_the_first_argument(rng: np.random.Generator) -> None:
    params = {
        "dense": {"kernel": jnp.asarray(rng.standard_normal((3, 4)), jnp.float32), "bias": jnp.zeros(4)},
        "scales": [jnp.ones(4)],
    }

    def apply(params: Any, x: Any) -> Any:
        return jax.nn.relu(x @ params["dense"]["kernel"] + params["dense"]["bias"]) * params["scales"][0]

    x = jnp.asarray(rng.standard_normal((5, 3)), jnp.float32)
    model = ivyhub.transpile(apply, params, to="torch", args=(x,), dynamic={"x": {0: "batch"}}, verify=True)
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "dense.bias": (4,),
        "dense.kernel": (3, 4),
        "scales.0": (4,),
    }


def test_what_jax_cannot_trace_is_refused() -> None:
    def chooses(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError, match="Tracer"):
        ivyhub.trace(chooses, jnp.zeros(3))


def test_every_primitive_without_a_rule_is_named() -> None:
    unknown = Primitive("unknown")
    unknown.def_abstract_eval(lambda x: x)

    def calls(x: Any) -> Any:
        return unknown.bind(x)

    with pytest.raises(UnsupportedOpsError, match="unknown") as caught:
        ivyhub.trace(calls, jnp.zeros(3))
    assert "test_functions.py" in str(caught.value)


def test_settings_that_are_baked_in_are_named() -> None:
    from ivyhub.registry.adapters.source import capture_source

    found = capture_source(lambda x, n: x * n, (jnp.zeros(3), 3), {}, {})
    assert found.notes == ["n=3 is baked into the graph"]


def test_complex_numbers_go_in_and_out(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4)), jnp.complex64)
    native = ivyhub.transpile(lambda x: (jnp.conj(x) @ x.T, jnp.abs(x)), to="torch", args=(x,), verify=True)
    product, size = native(torch.from_numpy(np.asarray(x).copy()))
    assert_close(product.resolve_conj(), np.asarray(jnp.conj(x) @ x.T), 1e-5)
    assert_close(size, np.abs(x), 1e-6)


def _pooled(x: Any) -> Any:
    """Gradients of a pooling, forth and back, are primitives of their own."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 3), (1, 2), ((1, 0), (0, 1)))


PRIMITIVES: dict[str, Any] = {
    "lu": (lambda x: jax.lax.linalg.lu(x + 4 * jnp.eye(3)[::-1])[0], ((3, 3),)),
    "solve": (lambda x, y: jnp.linalg.solve(x + 4 * jnp.eye(3), y), ((3, 3), (3, 2))),
    "tridiagonal_solve": (
        lambda a, b, c, y: jax.lax.linalg.tridiagonal_solve(a, b + 8, c, y[:, None]),
        ((4,), (4,), (4,), (4,)),
    ),
    "gradient of max_pool": (jax.grad(lambda x: jnp.sum(_pooled(x) ** 2)), ((5, 6),)),
    "igamma": (lambda a, x: jax.scipy.special.gammainc(jnp.exp(a), jnp.exp(x)), ((5,), (5,))),
    "bessel": (lambda x: (jax.scipy.special.i0e(x), jax.scipy.special.i1e(x)), ((5,),)),
    "a window beyond the array": (
        lambda x, w: jnp.concatenate(
            [jax.lax.conv(x, w, (1, 1), ((0, 0), (0, 0))), jax.lax.conv(x[:, :, :1], w[:, :, :1], (1, 1), "VALID")], 2
        ),
        ((2, 3, 4, 6), (5, 3, 5, 2)),
    ),
    "bits": (lambda x: jax.lax.bitcast_convert_type(x, jnp.int32) ^ 1, ((5,),)),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(name: str, rng: np.random.Generator) -> None:
    """Results alone: some of these have no gradient in one framework or the other."""
    function, shapes = PRIMITIVES[name]
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    native = ivyhub.transpile(named(function, len(arrays)), to="torch", args=tuple(map(jnp.asarray, arrays)))
    found = jax.tree.leaves(native(*map(torch.from_numpy, arrays)))
    for got, want in zip(found, jax.tree.leaves(function(*map(jnp.asarray, arrays))), strict=True):
        assert_close(got, np.asarray(want), 2e-4, name)

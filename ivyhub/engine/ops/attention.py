"""Scaled dot-product attention."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ...errors import DTypeError, ShapeError
from ..dims import Size
from ..op import Array, op
from ..spec import Spec, broadcast_shapes, spec_of
from .activation import softmax
from .creation import arange, created, scalar
from .elementwise import not_equal, where
from .linalg import matmul
from .shape import repeat, reshape, transpose


def _attention_spec(
    query: Spec,
    key: Spec,
    value: Spec,
    mask: Spec | None = None,
    *,
    causal: bool = False,
    layout: str = "BNTH",
    **_: Any,
) -> Spec:
    if layout not in ("BNTH", "BTNH"):
        raise ShapeError(f"expected the layout BNTH or BTNH, received {layout!r}")
    if causal and mask is not None:
        raise ShapeError("expected a mask or causal attention, received both")
    if len({query.dtype, key.dtype, value.dtype}) > 1 or (mask is not None and mask.dtype not in ("bool", query.dtype)):
        raise DTypeError(
            f"expected operands of one dtype and a mask of that or bool, received {query}, {key}, {value}, {mask}"
        )
    if layout == "BTNH":
        query, key, value = (_swapped_spec(each) for each in (query, key, value))
    if (groups := _groups(query, key, "BNTH")) > 1:
        key, value = (
            each.with_shape(*each.shape[:-3], each.shape[-3] * groups, *each.shape[-2:]) for each in (key, value)
        )
    if key.shape[-2] != value.shape[-2] or query.shape[-1] != key.shape[-1]:
        raise ShapeError(f"expected matching queries, keys and values, received {query}, {key}, {value}")
    batch = broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    if mask is not None:
        broadcast_shapes(mask.shape, (*batch, query.shape[-2], key.shape[-2]))
    result = query.with_shape(*batch, query.shape[-2], value.shape[-1])
    return _swapped_spec(result) if layout == "BTNH" else result


def _swapped_spec(x: Spec) -> Spec:
    *batch, first, second, last = x.shape
    return x.with_shape(*batch, second, first, last)


def _swapped(x: Array) -> Array:
    """x with its third and second axis from the end exchanged: one layout from the other."""
    ndim = spec_of(x).ndim
    return transpose(x, axes=(*range(ndim - 3), ndim - 2, ndim - 3, ndim - 1))


def _groups(query: Spec, key: Spec, layout: str) -> int:
    """How many heads of queries share one of keys, where there are several of those; else 1."""
    axis = -3 if layout == "BNTH" else -2
    if query.ndim < 4 or key.ndim != query.ndim:
        return 1
    heads, shared = query.shape[axis], key.shape[axis]
    known = isinstance(heads, int) and isinstance(shared, int) and 1 < shared < heads and heads % shared == 0
    return int(heads) // int(shared) if known else 1


@op(rule=_attention_spec, strict=True)
def attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    /,
    *,
    scale: float | None = None,
    causal: bool = False,
    causal_offset: Size = 0,
    dropout_rate: float = 0.0,
    dropout_layer: str | None = None,
    layout: str = "BNTH",
) -> Array:
    """softmax(query · keyᵀ · scale + mask) · value. A query that may attend to nothing gets zeros, never nan.

    Args:
        query: (batch, heads, queries, features), or (batch, queries, heads, features) in the layout "BTNH".
        key: as query, with keys for queries; where it has fewer heads, each is shared by as many neighbouring heads of
            the query (Ainslie et al. 2023, arXiv:2305.13245).
        value: as key; its number of features is the result's.
        mask: broadcasts to (batch, heads, queries, keys) in either layout; bool (True: attend) or added to the scores.
        scale: 1 / √features when None.
        causal: each query attends to the keys up to its own position; not together with a mask.
        causal_offset: the position of the first query among the keys; keys - queries puts the last ones side by side.
        dropout_rate: of the attention weights, in training.
        dropout_layer: the path of the Dropout layer that draws for it, where a module owns one.
        layout: "BNTH" or "BTNH"; in the first, any number of leading axes may stand for (batch, heads).

    Source: Vaswani et al. 2017, arXiv:1706.03762; torch.nn.functional.scaled_dot_product_attention.
    """
    options: Any = {"scale": scale, "dropout_rate": dropout_rate, "dropout_layer": dropout_layer, "layout": layout}
    groups = _groups(spec_of(query), spec_of(key), layout)
    if groups > 1:
        axis = -3 if layout == "BNTH" else -2
        key, value = repeat(key, repeats=groups, axis=axis), repeat(value, repeats=groups, axis=axis)
        return attention(query, key, value, mask, causal=causal, causal_offset=causal_offset, **options)
    if causal and causal_offset != 0:
        axis = -2 if layout == "BNTH" else -3
        mask = _lower_triangle(query, spec_of(query).shape[axis], spec_of(key).shape[axis], causal_offset)
        return attention(query, key, value, mask, **options)
    if layout == "BTNH":
        query, key, value = _swapped(query), _swapped(key), _swapped(value)
    spec = spec_of(query)
    features, lengths = spec.shape[-1], (spec.shape[-2], spec_of(key).shape[-2])
    if scale is None:
        scale = features**-0.5 if isinstance(features, int) else scalar(features, spec.dtype) ** -0.5
    ndim = spec_of(key).ndim
    scores = matmul(query * scale, transpose(key, axes=(*range(ndim - 2), ndim - 1, ndim - 2)))
    if causal:
        mask = _lower_triangle(query, *lengths, 0)
    if mask is None:
        weights = softmax(scores, axis=-1)
    else:
        if spec_of(mask).dtype != "bool":
            scores, mask = scores + mask, not_equal(mask, -float("inf"))
        weights = where(mask, softmax(where(mask, scores, _LOWEST[spec.dtype]), axis=-1), 0)
    result = matmul(weights, value)
    return _swapped(result) if layout == "BTNH" else result


def _lower_triangle(like: Array, queries: Size, keys: Size, offset: Size) -> Array:
    """Which keys stand no later than a query, the first of which stands at the offset."""
    positions = created(arange, like, start=offset, stop=queries + offset, dtype="int32")
    return created(arange, like, stop=keys, dtype="int32") <= reshape(positions, shape=(queries, 1))


_LOWEST = {
    "float16": -65504.0,
    "bfloat16": -3.3895313892515355e38,
    "float32": -3.4028234663852886e38,
    "float64": -1e308,
}


def _aligned(n: SimpleNamespace) -> bool:
    return not (n.causal and n.causal_offset != 0)


def _four_axes(n: SimpleNamespace) -> bool:
    return _aligned(n) and n.query.ndim == n.key.ndim == n.value.ndim == 4


def _alone(n: SimpleNamespace) -> bool:
    """Whether every head of queries has keys of its own."""
    return _four_axes(n) and _groups(n.query, n.key, n.layout) == 1


def _shared(n: SimpleNamespace) -> Mapping[str, Any]:
    return {"shared": _groups(n.query, n.key, n.layout) > 1}


_TORCH = "attn_mask={mask}, dropout_p={dropout}, is_causal={causal:False}, scale={scale}, enable_gqa={shared:False})"
attention.lower(
    "torch",
    f"F.scaled_dot_product_attention({{query}}, {{key}}, {{value}}, {_TORCH}",
    when=lambda n: n.layout == "BNTH" and _aligned(n),
    derive=_shared,
    since="2.5",  # until then, a query that attends to nothing gave nan
)
attention.lower(
    "torch",
    "F.scaled_dot_product_attention({query}.transpose(1, 2), {key}.transpose(1, 2), {value}.transpose(1, 2), "
    f"{_TORCH}.transpose(1, 2)",
    when=lambda n: n.layout == "BTNH" and _four_axes(n),
    derive=_shared,
    since="2.5",
)
for _framework, _swap in (
    ("jax", "{}.swapaxes(1, 2)"),
    ("numpy", "{}.swapaxes(1, 2)"),
    ("tensorflow", "tf.transpose({}, [0, 2, 1, 3])"),
):
    _dropout = "" if _framework == "numpy" else ", dropout={dropout}"
    _options = "{mask}, scale={scale}, causal={causal:False}" + _dropout
    attention.lower(
        _framework,
        f"support.attention({{query}}, {{key}}, {{value}}, {_options})",
        when=lambda n: n.layout == "BTNH" and _alone(n),
    )
    _operands = ", ".join(_swap.format(f"{{{operand}}}") for operand in ("query", "key", "value"))
    attention.lower(
        _framework,
        _swap.format(f"support.attention({_operands}, {_options})"),
        when=lambda n: n.layout == "BNTH" and _alone(n),
    )

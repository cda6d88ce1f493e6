"""Attention and the layers of transformers; batches come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import EngineError
from .. import ops
from ..op import Array
from ..spec import spec_of
from . import initialisers
from .dropout import Dropout
from .leaves import LayerNorm, Linear
from .module import TRACING, Module, Parameter


def _glorot(linear: Linear) -> Linear:
    """The same layer, which starts as Glorot's uniform one with a bias of zero."""
    for name, slot in linear.own_slots.items():
        slot.init = initialisers.xavier_uniform if name == "weight" else initialisers.zeros
    return linear


class MultiHeadAttention(Module):
    """softmax(q · kᵀ / √size) · v in several heads of that size, between linear maps.

    Args:
        features: of the queries and of the result; each head has features / heads.
        heads: how many heads.
        key_features: of what keys are made from; ``features`` by default.
        value_features: of what values are made from; ``features`` by default.
        key_heads: fewer heads for keys and values, each of which serves a group of the queries'
            (Ainslie et al. 2023, arXiv:2305.13245).
        use_bias: whether the linear maps have biases.
        dropout: the rate of dropout of the attention weights.

    The maps start as Glorot's uniform ones, their biases as zero.

    Source: Vaswani et al. 2017, arXiv:1706.03762; torch.nn.MultiheadAttention.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        key_features: int | None = None,
        value_features: int | None = None,
        key_heads: int | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        self.heads, self.key_heads = heads, heads if key_heads is None else key_heads
        if features % heads or heads % self.key_heads:
            raise EngineError(
                f"expected features in equal heads, and heads in equal groups, received {features} features, "
                f"{heads} heads and {self.key_heads} heads of keys"
            )
        size = features // heads
        self.query = _glorot(Linear(features, features, use_bias))
        self.key = _glorot(Linear(key_features or features, size * self.key_heads, use_bias))
        self.value = _glorot(Linear(value_features or features, size * self.key_heads, use_bias))
        self.out = _glorot(Linear(features, features, use_bias))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        mask: Array | None = None,
        *,
        causal: bool = False,
    ) -> Array:
        """Attend.

        Args:
            query: (batch, queries, features).
            key: (batch, keys, key features); the queries themselves by default.
            value: (batch, keys, value features); the keys by default.
            mask: broadcasts to (batch, heads, queries, keys); bool (True: attend) or added to the scores.
            causal: each query attends to the keys up to its own position.

        Returns:
            (batch, queries, features).
        """
        key = query if key is None else key
        value = key if value is None else value
        q = _split(self.query(query), self.heads)
        k, v = _split(self.key(key), self.key_heads), _split(self.value(value), self.key_heads)
        attended = self._attend(q, k, v, mask, causal)
        batch, length = spec_of(query).shape[:2]
        features = spec_of(attended).shape[-1] * self.heads
        return self.out(ops.reshape(ops.transpose(attended, axes=(0, 2, 1, 3)), shape=(batch, length, features)))

    def _attend(self, q: Array, k: Array, v: Array, mask: Array | None, causal: bool) -> Array:
        tracing, rate = TRACING.get(), self.dropout.rate
        options: dict[str, Any] = {"causal": causal}
        if tracing is not None and rate:
            options |= {"dropout_rate": rate, "dropout_layer": tracing.paths[id(self.dropout)]}
        if tracing is not None or not (self.training and rate):
            return ops.attention(q, k, v, mask, **options)
        # of the identity as values, attention gives its weights, with every rule about masks
        shape = (*spec_of(k).shape[:2], spec_of(k).shape[2], spec_of(k).shape[2])
        identity = ops.created(ops.eye, q, n_rows=shape[-1], dtype=spec_of(q).dtype)
        weights = ops.attention(q, k, ops.broadcast_to(identity, shape=shape), mask, **options)
        return ops.matmul(self.dropout(weights), ops.repeat(v, repeats=self.heads // self.key_heads, axis=1))


def _split(x: Array, heads: int) -> Array:
    """(batch, length, features) as (batch, heads, length, size)."""
    batch, length, features = spec_of(x).shape
    return ops.transpose(ops.reshape(x, shape=(batch, length, heads, features // heads)), axes=(0, 2, 1, 3))


class TransformerEncoderLayer(Module):
    """Self-attention and a network of two linear maps, each beside a residual connection and normalised.

    Args:
        features: of every position.
        heads: of the attention.
        hidden: between the two linear maps.
        dropout: of attention weights, of the hidden numbers and of both results.
        activation: between the linear maps.
        norm_first: normalise what goes into each part, instead of its sum with the residual.
        eps: of the normalisations.

    Source: Vaswani et al. 2017; Xiong et al. 2020, arXiv:2002.04745; torch.nn.TransformerEncoderLayer.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int = 2048,
        *,
        dropout: float = 0.1,
        activation: Callable[[Array], Array] = ops.relu,
        norm_first: bool = False,
        eps: float = 1e-5,
    ) -> None:
        self.attention = MultiHeadAttention(features, heads, dropout=dropout)
        self.linear1, self.linear2 = Linear(features, hidden), Linear(hidden, features)
        self.norm1, self.norm2 = LayerNorm(features, eps), LayerNorm(features, eps)
        self.dropout, self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation, self.norm_first = activation, norm_first

    def forward(self, x: Array, mask: Array | None = None, *, causal: bool = False) -> Array:
        """x is (batch, length, features); see `MultiHeadAttention` for the mask."""

        def attend(x: Array) -> Array:
            return self.dropout1(self.attention(x, mask=mask, causal=causal))

        def feed(x: Array) -> Array:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        if self.norm_first:
            x = x + attend(self.norm1(x))
            return x + feed(self.norm2(x))
        x = self.norm1(x + attend(x))
        return self.norm2(x + feed(x))


class TransformerDecoderLayer(Module):
    """Self-attention, attention to a memory and a network of two linear maps, each beside a residual connection.

    Args:
        features: of every position, here and in the memory.
        heads: of both attentions.
        hidden: between the two linear maps.
        dropout: of attention weights, of the hidden numbers and of the three results.
        activation: between the linear maps.
        norm_first: normalise what goes into each part, instead of its sum with the residual.
        eps: of the normalisations.

    Source: Vaswani et al. 2017, arXiv:1706.03762; torch.nn.TransformerDecoderLayer.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int = 2048,
        *,
        dropout: float = 0.1,
        activation: Callable[[Array], Array] = ops.relu,
        norm_first: bool = False,
        eps: float = 1e-5,
    ) -> None:
        self.attention = MultiHeadAttention(features, heads, dropout=dropout)
        self.cross_attention = MultiHeadAttention(features, heads, dropout=dropout)
        self.linear1, self.linear2 = Linear(features, hidden), Linear(hidden, features)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(features, eps) for _ in range(3))
        self.dropout, self.dropout1, self.dropout2, self.dropout3 = (Dropout(dropout) for _ in range(4))
        self.activation, self.norm_first = activation, norm_first

    def forward(
        self,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        *,
        causal: bool = False,
    ) -> Array:
        """x is (batch, length, features), the memory (batch, keys, features); see `MultiHeadAttention` for masks."""

        def attend(x: Array) -> Array:
            return self.dropout1(self.attention(x, mask=mask, causal=causal))

        def recall(x: Array) -> Array:
            return self.dropout2(self.cross_attention(x, memory, mask=memory_mask))

        def feed(x: Array) -> Array:
            return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        for part, norm in ((attend, self.norm1), (recall, self.norm2), (feed, self.norm3)):
            x = x + part(norm(x)) if self.norm_first else norm(x + part(x))
        return x


class AdditiveAttention(Module):
    """softmax(Σ scale · tanh(q + k)) · v, the scale being one learned number a feature.

    Source: Bahdanau et al. 2015, arXiv:1409.0473; keras.layers.AdditiveAttention.
    """

    scale: Array  # (features,)

    def __init__(self, features: int) -> None:
        self.scale = Parameter((features,), initialisers.Normal(std=features**-0.5))

    def forward(self, query: Array, key: Array, value: Array | None = None, mask: Array | None = None) -> Array:
        """Attend.

        Args:
            query: (batch, queries, features).
            key: (batch, keys, features).
            value: (batch, keys, any features); the keys by default.
            mask: bool, broadcasts to (batch, queries, keys); True: attend. Each query attends to some key.

        Returns:
            (batch, queries, features of the values).
        """
        full = (None, None, None)
        sums = ops.getitem(query, key=(full, full, None)) + ops.getitem(key, key=(full, None))
        scores = ops.sum(self.scale * ops.tanh(sums), axis=-1)
        scores = scores if mask is None else ops.where(mask, scores, -float("inf"))
        return ops.matmul(ops.softmax(scores, axis=-1), key if value is None else value)


__all__ = ["AdditiveAttention", "MultiHeadAttention", "TransformerDecoderLayer", "TransformerEncoderLayer"]

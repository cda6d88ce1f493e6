"""A compiled training step of one transformer, in the engine and natively: ``python benchmarks/training.py``.

    python benchmarks/training.py [torch jax tensorflow] [--width 128] [--rounds 15]

Two encoder layers over a batch of 8 sequences of 64 tokens, a classifier, cross entropy, SGD with momentum, no dropout.
Natively: ``torch.nn`` with ``torch.compile`` and ``torch.optim``; ``flax.nnx`` with ``nnx.jit`` and ``optax``; Keras
layers and optimizer in a ``tf.function``. The engine: `ivyhub.engine.nn` and `optim` in `jit`. Both take turns in one
process on one core; prints the median CPU time of a step and the median ratio within a round.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from measuring import pin, ratios, table

BATCH, LENGTH, VOCABULARY, CLASSES, HEADS, LAYERS = 8, 64, 1000, 10, 4, 2
RATE, MOMENTUM = 0.01, 0.9
Step = Callable[[], Any]  # one step, its loss returned when it is there


def engine(framework: str, x: Any, y: Any, width: int) -> Step:
    from ivyhub.engine import jit, nn, ops, optim, random

    class Transformer(nn.Module):
        def __init__(self) -> None:
            self.embedding = nn.Embedding(VOCABULARY, width)
            self.layers = [
                nn.TransformerEncoderLayer(width, HEADS, 4 * width, dropout=0.0, activation=ops.gelu, norm_first=True)
                for _ in range(LAYERS)
            ]
            self.head = nn.Linear(width, CLASSES)

        def forward(self, tokens: Any) -> Any:
            x = self.embedding(tokens)
            for layer in self.layers:
                x = layer(x)
            return self.head(ops.mean(x, axis=1))

    def loss(model: nn.Module, x: Any, y: Any) -> Any:
        return ops.cross_entropy(model(x), y)

    optimizer = optim.SGD(RATE, momentum=MOMENTUM)

    @jit
    def step(model: nn.Module, state: Any, x: Any, y: Any) -> Any:
        value, gradient = nn.value_and_grad(loss)(model, x, y)
        return *optimizer.update(model, gradient, state), value

    model: Any = Transformer().init(random.key(0, framework))
    state = optimizer.init(model)

    def run() -> Any:
        nonlocal model, state
        model, state, value = step(model, state, x, y)
        return ready(value)

    return run


def torch(x: Any, y: Any, width: int) -> Step:
    import torch as own
    from torch import nn

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, width)
            options: dict[str, Any] = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
            self.layers = nn.Sequential(
                *(nn.TransformerEncoderLayer(width, HEADS, 4 * width, **options) for _ in range(LAYERS))
            )
            self.head = nn.Linear(width, CLASSES)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.layers(self.embedding(tokens)).mean(1))

    model = Transformer()
    optimizer = own.optim.SGD(model.parameters(), RATE, MOMENTUM)
    compiled = own.compile(lambda x, y: nn.functional.cross_entropy(model(x), y))
    y = y.long()

    def run() -> Any:
        optimizer.zero_grad()
        value = compiled(x, y)
        value.backward()
        optimizer.step()
        return value

    return run


def jax(x: Any, y: Any, width: int) -> Step:
    import jax as own
    import optax
    from flax import nnx

    class Layer(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.attention = nnx.MultiHeadAttention(HEADS, width, decode=False, rngs=rngs)
            self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
            self.linear1, self.linear2 = (
                nnx.Linear(width, 4 * width, rngs=rngs),
                nnx.Linear(4 * width, width, rngs=rngs),
            )

        def __call__(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.linear2(own.nn.gelu(self.linear1(self.norm2(x)), approximate=False))

    class Transformer(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.embedding = nnx.Embed(VOCABULARY, width, rngs=rngs)
            self.layers = nnx.List([Layer(rngs) for _ in range(LAYERS)])
            self.head = nnx.Linear(width, CLASSES, rngs=rngs)

        def __call__(self, tokens: Any) -> Any:
            x = self.embedding(tokens)
            for layer in self.layers:
                x = layer(x)
            return self.head(x.mean(1))

    model = Transformer(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(RATE, MOMENTUM), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        def loss(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        value, gradient = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradient)
        return value

    return lambda: step(model, optimizer, x, y).block_until_ready()


def tensorflow(x: Any, y: Any, width: int) -> Step:
    import keras
    import tensorflow as own

    layers = keras.layers
    tokens = keras.Input((LENGTH,), dtype="int32")
    h = layers.Embedding(VOCABULARY, width)(tokens)
    for _ in range(LAYERS):
        n = layers.LayerNormalization(epsilon=1e-5)(h)
        h = h + layers.MultiHeadAttention(HEADS, width // HEADS)(n, n)
        n = layers.LayerNormalization(epsilon=1e-5)(h)
        h = h + layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(n))
    model = keras.Model(tokens, layers.Dense(CLASSES)(keras.ops.mean(h, axis=1)))
    optimizer = keras.optimizers.SGD(RATE, MOMENTUM)
    optimizer.build(model.trainable_variables)

    def step(x: Any, y: Any) -> Any:
        with own.GradientTape() as tape:
            found = own.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
            value = own.reduce_mean(found)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    compiled = own.function(step)
    return lambda: compiled(x, y).numpy()


NATIVE: dict[str, Callable[[Any, Any, int], Step]] = {"torch": torch, "jax": jax, "tensorflow": tensorflow}


def ready(value: Any) -> Any:
    """JAX computes while Python goes on."""
    return value.block_until_ready() if hasattr(value, "block_until_ready") else value


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frameworks", nargs="*", default=[*NATIVE])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    pin()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np

    from ivyhub.engine import to_framework

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, VOCABULARY, (BATCH, LENGTH), np.int32), rng.integers(0, CLASSES, (BATCH,), np.int32)
    rows = []
    for framework in options.frameworks:
        data = to_framework(x, framework), to_framework(y, framework)
        steps = {
            "native": NATIVE[framework](*data, options.width),
            "engine": engine(framework, *data, options.width),
        }
        times: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(options.rounds + 3):
            for name, step in steps.items():
                start = time.process_time()
                step()
                if turn >= 3:  # the first ones compile
                    times[name].append(time.process_time() - start)
        for name, (ratio, least, most) in ratios(times, "native").items():
            milliseconds = f"{median(times[name]) * 1000:.1f}"
            rows.append([framework, name, milliseconds, f"{ratio:.3f}", f"{least:.3f} to {most:.3f}"])
    table(["framework", "step", "ms", "over native", "in a round"], rows)


if __name__ == "__main__":
    main()

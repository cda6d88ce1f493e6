"""Models of Keras: sequential, functional and subclassed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L
from keras import ops

from tests.registry.models.example import BATCH, CHANNELS, LENGTH, SIDE, WIDE, WORDS, Example

IMAGE = (SIDE, SIDE, CHANNELS)


def mlp() -> keras.Model:
    hidden = [L.Dense(16, name="hidden"), L.BatchNormalization(name="norm"), L.Activation("silu"), L.Dropout(0.2)]
    return keras.Sequential([L.Input((6,)), *hidden, L.Dense(4, name="out")])


def _residual(x: Any, filters: int, stride: int, name: str) -> Any:
    y = L.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv1")(x)
    y = L.Activation("silu")(L.BatchNormalization(name=f"{name}_norm1")(y))
    y = L.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv2")(y)
    y = L.BatchNormalization(name=f"{name}_norm2")(y)
    if x.shape != y.shape:
        x = L.Conv2D(filters, 1, stride, name=f"{name}_shortcut")(x)
    return L.Activation("silu")(L.Add()([x, y]))


def resnet() -> keras.Model:
    x = inputs = keras.Input(IMAGE, name="x")
    x = L.BatchNormalization(name="norm")(L.Conv2D(WIDE, 3, padding="same", use_bias=False, name="stem")(x))
    x = _residual(_residual(L.Activation("silu")(x), WIDE, 1, "first"), 2 * WIDE, 2, "second")
    return keras.Model(inputs, L.Dense(5, name="head")(L.GlobalAveragePooling2D()(x)))


class Block(L.Layer):
    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.norm1, self.norm2 = L.LayerNormalization(), L.LayerNormalization()
        self.attention = L.MultiHeadAttention(heads, width // heads)
        self.up, self.down = L.Dense(2 * width, activation="gelu"), L.Dense(width)
        self.dropout = L.Dropout(0.1)

    def call(self, x: Any, seen: Any = None) -> Any:
        h = self.norm1(x)
        x = x + self.attention(h, h if seen is None else seen, use_causal_mask=self.causal)
        return x + self.down(self.dropout(self.up(self.norm2(x))))


class ViT(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.patches = L.Conv2D(8, 4, 4)
        self.token = self.add_weight((1, 1, 8), "random_normal", name="token")
        self.positions = self.add_weight((1, 5, 8), "random_normal", name="positions")
        self.blocks = [Block(8, 2) for _ in range(2)]
        self.norm = L.LayerNormalization()
        self.head = L.Dense(5)

    def call(self, x: Any) -> Any:
        x = self.patches(x)
        x = ops.reshape(x, (-1, 4, 8))
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, 8))
        x = ops.concatenate([token, x], axis=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Translator(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.words = L.Embedding(WORDS, 8)
        self.encoder, self.within, self.across = Block(8, 2), Block(8, 2, causal=True), Block(8, 2)
        self.head = L.Dense(WORDS)

    def call(self, source: Any, target: Any) -> Any:
        memory = self.encoder(self.words(source) * math.sqrt(8))
        return self.head(self.across(self.within(self.words(target)), memory))


def tagger() -> keras.Model:
    words = keras.Input((LENGTH,), dtype="int32", name="words")
    x = L.Embedding(WORDS, 6, name="words_")(words)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")(x)
    return keras.Model(words, L.Dense(4, activation="log_softmax", name="tags")(x))


def _double(x: Any, filters: int, name: str) -> Any:
    for place in (1, 2):
        x = L.Conv2D(filters, 3, padding="same", name=f"{name}_conv{place}")(x)
        x = L.Activation("silu")(L.GroupNormalization(2, name=f"{name}_norm{place}")(x))
    return x


def unet() -> keras.Model:
    inputs = keras.Input(IMAGE, name="x")
    wide = _double(inputs, 4, "enter")
    deep = _double(L.AveragePooling2D(2)(wide), 8, "middle")
    deep = L.Conv2DTranspose(4, 2, 2, name="up")(deep)
    x = _double(L.Concatenate()([wide, deep]), 4, "leave")
    return keras.Model(inputs, L.Conv2D(2, 1, name="out")(x))


class Experts(keras.Model):
    """Each token goes through the best two of four experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = L.Dense(4, use_bias=False)
        self.up = self.add_weight((4, 8, 16), keras.initializers.RandomNormal(stddev=0.3), name="up")
        self.down = self.add_weight((4, 16, 8), keras.initializers.RandomNormal(stddev=0.3), name="down")

    def call(self, x: Any) -> Any:
        best, places = ops.top_k(self.gate(x), 2)
        shares = ops.sum(ops.one_hot(places, 4) * ops.softmax(best)[..., None], axis=-2)
        hidden = ops.gelu(ops.einsum("btd,edh->bteh", x, self.up))
        return ops.einsum("bteh,ehd,bte->btd", hidden, self.down, shares)


class Diffusion(keras.Model):
    """One step of denoising: the noise is predicted from an image and the number of the step."""

    def __init__(self, steps: int = 20) -> None:
        super().__init__()
        self.time = keras.Sequential([L.Dense(16, activation="silu"), L.Dense(6)])
        self.enter = L.Conv2D(6, 3, padding="same")
        self.norm = L.GroupNormalization(3)
        self.leave = L.Conv2D(CHANNELS, 3, padding="same")
        betas = np.linspace(1e-4, 0.02, steps, dtype=np.float32)
        self.betas = self.add_weight((steps,), lambda shape, dtype: betas, trainable=False, name="betas")
        products = np.cumprod(1 - betas)
        self.products = self.add_weight((steps,), lambda shape, dtype: products, trainable=False, name="products")

    def call(self, x: Any, step: Any) -> Any:
        frequencies = ops.exp(-math.log(1e4) * ops.arange(4, dtype="float32") / 4)
        angles = ops.cast(step, "float32")[:, None] * frequencies
        time = self.time(ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1))
        noise = self.leave(ops.silu(self.norm(self.enter(x) + time[:, None, None])))
        beta = ops.reshape(ops.take(self.betas, step), (-1, 1, 1, 1))
        product = ops.reshape(ops.take(self.products, step), (-1, 1, 1, 1))
        return (x - beta / ops.sqrt(1 - product) * noise) / ops.sqrt(1 - beta)


def generator() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((5,)),
            L.Dense(2 * 2 * 8, name="project"),
            L.Reshape((2, 2, 8)),
            L.Conv2DTranspose(6, 4, 2, padding="same", use_bias=False, name="up1"),
            L.BatchNormalization(name="norm"),
            L.Activation("silu"),
            L.Conv2DTranspose(CHANNELS, 3, 2, padding="same", activation="tanh", name="up2"),
        ]
    )


MODELS: dict[str, Callable[[], keras.Model]] = {
    "mlp": mlp,
    "resnet": resnet,
    "vit": ViT,
    "transformer": Translator,
    "tagger": tagger,
    "unet": unet,
    "experts": Experts,
    "diffusion": Diffusion,
    "generator": generator,
}


def example(name: str, rng: np.random.Generator) -> Example:
    keras.utils.set_random_seed(int(rng.integers(2**31)))
    words = np.arange(BATCH * LENGTH, dtype=np.int32).reshape(BATCH, LENGTH) % WORDS
    image = rng.standard_normal((BATCH, *IMAGE)).astype(np.float32)
    given: dict[str, dict[str, Any]] = {
        "vit": {"x": image},
        "transformer": {"source": words, "target": words},
        "experts": {"x": np.ones((BATCH, LENGTH, 8), np.float32)},
        "diffusion": {"x": image, "step": np.array([0, 7, 19], np.int32)},
    }
    model, args = MODELS[name](), given.get(name, {})
    if args:  # a subclassed model is built by its first call; the others know their inputs
        model(*args.values())
    return Example(model, tuple(args.values()), {word: {0: "batch"} for word in args})

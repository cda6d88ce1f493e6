"""Models of Flax's NNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.registry.models.example import BATCH, CHANNELS, LENGTH, SIDE, WIDE, WORDS, Example

Rngs = nnx.Rngs


class MLP(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.hidden = nnx.Linear(6, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.out = nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.out(self.dropout(nnx.silu(self.norm(self.hidden(x)))))


class Residual(nnx.Module):
    def __init__(self, channels: int, out: int, stride: int, rngs: Rngs) -> None:
        self.conv1 = nnx.Conv(channels, out, (3, 3), stride, use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(out, rngs=rngs)
        self.conv2 = nnx.Conv(out, out, (3, 3), use_bias=False, rngs=rngs)
        self.norm2 = nnx.BatchNorm(out, rngs=rngs)
        self.shortcut = nnx.Conv(channels, out, (1, 1), stride, rngs=rngs) if channels != out else None

    def __call__(self, x: Any) -> Any:
        y = nnx.silu(self.norm1(self.conv1(x)))
        return nnx.silu(self.norm2(self.conv2(y)) + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.stem = nnx.Conv(CHANNELS, WIDE, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDE, rngs=rngs)
        self.stages = nnx.List([Residual(WIDE, WIDE, 1, rngs), Residual(WIDE, 2 * WIDE, 2, rngs)])
        self.head = nnx.Linear(2 * WIDE, 5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.silu(self.norm(self.stem(x)))
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((1, 2)))


class Block(nnx.Module):
    def __init__(self, width: int, heads: int, rngs: Rngs) -> None:
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.up = nnx.Linear(width, 2 * width, rngs=rngs)
        self.down = nnx.Linear(2 * width, width, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any, seen: Any = None, mask: Any = None) -> Any:
        h = self.norm1(x)
        x = x + self.attention(h, h if seen is None else seen, mask=mask)
        return x + self.down(self.dropout(nnx.gelu(self.up(self.norm2(x)))))


class ViT(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.patches = nnx.Conv(CHANNELS, 8, (4, 4), 4, padding="VALID", rngs=rngs)
        self.token = nnx.Param(jax.random.normal(rngs.params(), (1, 1, 8)))
        self.positions = nnx.Param(0.1 * jax.random.normal(rngs.params(), (1, 5, 8)))
        self.blocks = nnx.List([Block(8, 2, rngs) for _ in range(2)])
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, 8)
        token = jnp.broadcast_to(self.token[...], (x.shape[0], 1, 8))
        x = jnp.concatenate([token, x], axis=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Translator(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.words = nnx.Embed(WORDS, 8, rngs=rngs)
        self.encoder = Block(8, 2, rngs)
        self.within = Block(8, 2, rngs)
        self.across = Block(8, 2, rngs)
        self.head = nnx.Linear(8, WORDS, rngs=rngs)

    def __call__(self, source: Any, target: Any) -> Any:
        memory = self.encoder(self.words(source) * np.sqrt(8.0).astype(np.float32))
        x = self.within(self.words(target), mask=nnx.make_causal_mask(target))
        return self.head(self.across(x, memory))


class Tagger(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.words = nnx.Embed(WORDS, 6, rngs=rngs)
        forward = nnx.RNN(nnx.OptimizedLSTMCell(6, 5, rngs=rngs))
        backward = nnx.RNN(nnx.OptimizedLSTMCell(6, 5, rngs=rngs))
        self.both = nnx.Bidirectional(forward, backward)
        self.tags = nnx.Linear(10, 4, rngs=rngs)

    def __call__(self, words: Any) -> Any:
        return jax.nn.log_softmax(self.tags(self.both(self.words(words))))


class Double(nnx.Module):
    def __init__(self, channels: int, out: int, rngs: Rngs) -> None:
        self.conv1 = nnx.Conv(channels, out, (3, 3), rngs=rngs)
        self.norm1 = nnx.GroupNorm(out, 2, rngs=rngs)
        self.conv2 = nnx.Conv(out, out, (3, 3), rngs=rngs)
        self.norm2 = nnx.GroupNorm(out, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.silu(self.norm1(self.conv1(x)))
        return nnx.silu(self.norm2(self.conv2(x)))


class UNet(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.enter = Double(CHANNELS, 4, rngs)
        self.middle = Double(4, 8, rngs)
        self.up = nnx.ConvTranspose(8, 4, (2, 2), (2, 2), rngs=rngs)
        self.leave = Double(8, 4, rngs)
        self.out = nnx.Conv(4, 2, (1, 1), rngs=rngs)

    def __call__(self, x: Any) -> Any:
        wide = self.enter(x)
        deep = self.up(self.middle(nnx.avg_pool(wide, (2, 2), (2, 2))))
        return self.out(self.leave(jnp.concatenate([wide, deep], axis=-1)))


class Experts(nnx.Module):
    """Each token goes through the best two of four experts."""

    def __init__(self, rngs: Rngs) -> None:
        self.gate = nnx.Linear(8, 4, use_bias=False, rngs=rngs)
        self.up = nnx.Param(jax.random.normal(rngs.params(), (4, 8, 16)) / 3)
        self.down = nnx.Param(jax.random.normal(rngs.params(), (4, 16, 8)) / 4)

    def __call__(self, x: Any) -> Any:
        best, places = jax.lax.top_k(self.gate(x), 2)
        shares = (jax.nn.one_hot(places, 4) * jax.nn.softmax(best)[..., None]).sum(-2)
        hidden = nnx.gelu(jnp.einsum("btd,edh->bteh", x, self.up[...]))
        return jnp.einsum("bteh,ehd,bte->btd", hidden, self.down[...], shares)


class Diffusion(nnx.Module):
    """One step of denoising: the noise is predicted from an image and the number of the step."""

    def __init__(self, rngs: Rngs, steps: int = 20) -> None:
        self.time = nnx.Sequential(nnx.Linear(8, 16, rngs=rngs), nnx.silu, nnx.Linear(16, 6, rngs=rngs))
        self.enter = nnx.Conv(CHANNELS, 6, (3, 3), rngs=rngs)
        self.norm = nnx.GroupNorm(6, 3, rngs=rngs)
        self.leave = nnx.Conv(6, CHANNELS, (3, 3), rngs=rngs)
        self.betas = nnx.Variable(jnp.linspace(1e-4, 0.02, steps))
        self.products = nnx.Variable(jnp.cumprod(1 - self.betas[...]))

    def __call__(self, x: Any, step: Any) -> Any:
        frequencies = jnp.exp(-np.log(1e4).astype(np.float32) * jnp.arange(4) / 4)
        angles = step[:, None] * frequencies
        time = self.time(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1))
        noise = self.leave(nnx.silu(self.norm(self.enter(x) + time[:, None, None])))
        beta, product = self.betas[...][step][:, None, None, None], self.products[...][step][:, None, None, None]
        return (x - beta / jnp.sqrt(1 - product) * noise) / jnp.sqrt(1 - beta)


class Generator(nnx.Module):
    def __init__(self, rngs: Rngs) -> None:
        self.project = nnx.Linear(5, 2 * 2 * 8, rngs=rngs)
        self.up1 = nnx.ConvTranspose(8, 6, (4, 4), (2, 2), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.up2 = nnx.ConvTranspose(6, CHANNELS, (3, 3), (2, 2), rngs=rngs)

    def __call__(self, z: Any) -> Any:
        x = self.project(z).reshape(-1, 2, 2, 8)
        return jnp.tanh(self.up2(nnx.silu(self.norm(self.up1(x)))))


CLASSES: dict[str, Callable[[Rngs], nnx.Module]] = {
    "mlp": MLP,
    "resnet": ResNet,
    "vit": ViT,
    "transformer": Translator,
    "tagger": Tagger,
    "unet": UNet,
    "experts": Experts,
    "diffusion": Diffusion,
    "generator": Generator,
}


def inputs(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Example inputs of the models of both kinds of Flax."""
    words = jnp.arange(BATCH * LENGTH).reshape(BATCH, LENGTH) % WORDS
    image = jnp.asarray(rng.standard_normal((BATCH, SIDE, SIDE, CHANNELS)), jnp.float32)
    found: dict[str, dict[str, Any]] = {
        "mlp": {"x": jnp.ones((BATCH, 6))},
        "transformer": {"source": words, "target": words},
        "tagger": {"words": words},
        "experts": {"x": jnp.ones((BATCH, LENGTH, 8))},
        "diffusion": {"x": image, "step": jnp.array([0, 7, 19])},
        "generator": {"z": jnp.ones((BATCH, 5))},
    }
    return found.get(name, {"x": image})


def example(name: str, rng: np.random.Generator) -> Example:
    given = inputs(name, rng)
    model = CLASSES[name](nnx.Rngs(int(rng.integers(2**31))))
    return Example(model, tuple(given.values()), {word: {0: "batch"} for word in given})

"""Models of Flax's Linen."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from tests.registry.models.example import CHANNELS, WIDE, WORDS, Example
from tests.registry.models.nnx_models import inputs

_NORMAL = nn.initializers.normal(0.3)


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.silu(nn.BatchNorm(use_running_average=not train, name="norm")(nn.Dense(16, name="hidden")(x)))
        return nn.Dense(4, name="out")(nn.Dropout(0.2)(x, deterministic=not train))


class Residual(nn.Module):
    features: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        y = nn.Conv(self.features, (3, 3), self.stride, use_bias=False)(x)
        y = nn.silu(nn.BatchNorm(use_running_average=not train)(y))
        y = nn.BatchNorm(use_running_average=not train)(nn.Conv(self.features, (3, 3), use_bias=False)(y))
        if x.shape != y.shape:
            x = nn.Conv(self.features, (1, 1), self.stride, name="shortcut")(x)
        return nn.silu(x + y)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Conv(WIDE, (3, 3), use_bias=False, name="stem")(x)
        x = nn.silu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = Residual(2 * WIDE, 2)(Residual(WIDE)(x, train), train)
        return nn.Dense(5, name="head")(x.mean((1, 2)))


class Block(nn.Module):
    width: int
    heads: int

    @nn.compact
    def __call__(self, x: Any, train: bool, seen: Any = None, mask: Any = None) -> Any:
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.heads)(h, h if seen is None else seen, mask=mask)
        h = nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x)))
        return x + nn.Dense(self.width)(nn.Dropout(0.1)(h, deterministic=not train))


class ViT(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Conv(8, (4, 4), 4, padding="VALID", name="patches")(x)
        x = x.reshape(x.shape[0], -1, 8)
        token = self.param("token", _NORMAL, (1, 1, 8))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], axis=1)
        x = x + self.param("positions", _NORMAL, (1, 5, 8))
        for place in range(2):
            x = Block(8, 2, name=f"block_{place}")(x, train)
        return nn.Dense(5, name="head")(nn.LayerNorm(name="norm")(x)[:, 0])


class Translator(nn.Module):
    def setup(self) -> None:
        self.words = nn.Embed(WORDS, 8)
        self.encoder, self.within, self.across = Block(8, 2), Block(8, 2), Block(8, 2)
        self.head = nn.Dense(WORDS)

    def __call__(self, source: Any, target: Any, train: bool = False) -> Any:
        memory = self.encoder(self.words(source) * np.sqrt(8.0).astype(np.float32), train)
        x = self.within(self.words(target), train, mask=nn.make_causal_mask(target))
        return self.head(self.across(x, train, memory))


class Tagger(nn.Module):
    @nn.compact
    def __call__(self, words: Any) -> Any:
        x = nn.Embed(WORDS, 6, name="words")(words)
        x = nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(5)), nn.RNN(nn.OptimizedLSTMCell(5)), name="both")(x)
        return nn.log_softmax(nn.Dense(4, name="tags")(x))


class Double(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(2):
            x = nn.silu(nn.GroupNorm(2)(nn.Conv(self.features, (3, 3))(x)))
        return x


class UNet(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        wide = Double(4, name="enter")(x)
        deep = Double(8, name="middle")(nn.avg_pool(wide, (2, 2), (2, 2)))
        deep = nn.ConvTranspose(4, (2, 2), (2, 2), name="up")(deep)
        x = Double(4, name="leave")(jnp.concatenate([wide, deep], axis=-1))
        return nn.Conv(2, (1, 1), name="out")(x)


class Experts(nn.Module):
    """Each token goes through the best two of four experts."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        up, down = self.param("up", _NORMAL, (4, 8, 16)), self.param("down", _NORMAL, (4, 16, 8))
        best, places = jax.lax.top_k(nn.Dense(4, use_bias=False, name="gate")(x), 2)
        shares = (jax.nn.one_hot(places, 4) * nn.softmax(best)[..., None]).sum(-2)
        hidden = nn.gelu(jnp.einsum("btd,edh->bteh", x, up))
        return jnp.einsum("bteh,ehd,bte->btd", hidden, down, shares)


class Diffusion(nn.Module):
    """One step of denoising: the noise is predicted from an image and the number of the step."""

    steps: int = 20

    @nn.compact
    def __call__(self, x: Any, step: Any) -> Any:
        betas = jnp.linspace(1e-4, 0.02, self.steps)
        frequencies = jnp.exp(-np.log(1e4).astype(np.float32) * jnp.arange(4) / 4)
        angles = step[:, None] * frequencies
        time = nn.Dense(16, name="time1")(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1))
        time = nn.Dense(6, name="time2")(nn.silu(time))
        noise = nn.Conv(6, (3, 3), name="enter")(x) + time[:, None, None]
        noise = nn.Conv(CHANNELS, (3, 3), name="leave")(nn.silu(nn.GroupNorm(3, name="norm")(noise)))
        beta, product = betas[step][:, None, None, None], jnp.cumprod(1 - betas)[step][:, None, None, None]
        return (x - beta / jnp.sqrt(1 - product) * noise) / jnp.sqrt(1 - beta)


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z: Any, train: bool = False) -> Any:
        x = nn.Dense(2 * 2 * 8, name="project")(z).reshape(-1, 2, 2, 8)
        x = nn.ConvTranspose(6, (4, 4), (2, 2), use_bias=False, name="up1")(x)
        x = nn.silu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        return jnp.tanh(nn.ConvTranspose(CHANNELS, (3, 3), (2, 2), name="up2")(x))


MODELS: dict[str, nn.Module] = {
    "mlp": MLP(),
    "resnet": ResNet(),
    "vit": ViT(),
    "transformer": Translator(),
    "tagger": Tagger(),
    "unet": UNet(),
    "experts": Experts(),
    "diffusion": Diffusion(),
    "generator": Generator(),
}


def example(name: str, rng: np.random.Generator) -> Example:
    given = inputs(name, rng)
    variables = MODELS[name].init(jax.random.key(int(rng.integers(2**31))), *given.values())
    return Example((MODELS[name], variables), tuple(given.values()), {word: {0: "batch"} for word in given})

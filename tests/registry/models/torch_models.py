"""Models of PyTorch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.registry.models.example import BATCH, CHANNELS, LENGTH, SIDE, WIDE, WORDS, Example


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.dropout(F.silu(self.norm(self.hidden(x)))))


class Residual(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.silu(self.bn1(self.conv1(x)))
        return F.silu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(CHANNELS, WIDE, 3, padding=1, bias=False), nn.BatchNorm2d(WIDE), nn.SiLU())
        self.stages = nn.Sequential(Residual(WIDE, WIDE, 1), Residual(WIDE, 2 * WIDE, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * WIDE, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.pool(self.stages(self.stem(x))), 1))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv.unbind(0))
        return self.proj(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(CHANNELS, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(0.1 * torch.randn(1, 5, 8))
        self.blocks = nn.ModuleList([Block(8, 2) for _ in range(2)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, activation="gelu", batch_first=True)
        self.head = nn.Linear(8, WORDS)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        given, wanted = self.words(source) * math.sqrt(8), self.words(target) * math.sqrt(8)
        return self.head(self.transformer(given, wanted, tgt_mask=mask, tgt_is_causal=True))


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(10, 4)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.words(words))
        return F.log_softmax(self.tags(states), dim=-1)


class Double(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm1 = nn.GroupNorm(2, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(2, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(x)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = Double(CHANNELS, 4)
        self.down = nn.AvgPool2d(2)
        self.middle = Double(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.leave = Double(8, 4)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.enter(x)
        deep = self.up(self.middle(self.down(wide)))
        return self.out(self.leave(torch.cat([wide, deep], dim=1)))


class Experts(nn.Module):
    """Each token goes through the best two of four experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(8, 4, bias=False)
        self.up = nn.Parameter(torch.randn(4, 8, 16) / 3)
        self.down = nn.Parameter(torch.randn(4, 16, 8) / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        best, places = torch.topk(self.gate(x), 2)
        shares = torch.zeros_like(self.gate(x)).scatter(-1, places, best.softmax(-1))
        hidden = F.gelu(torch.einsum("btd,edh->bteh", x, self.up))
        # Two arrays at a time: of an einsum over three, torch.export fixes the sizes.
        return torch.einsum("bted,bte->btd", torch.einsum("bteh,ehd->bted", hidden, self.down), shares)


class Diffusion(nn.Module):
    """One step of denoising: the noise is predicted from an image and the number of the step."""

    def __init__(self, steps: int = 20) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 6))
        self.enter = nn.Conv2d(CHANNELS, 6, 3, padding=1)
        self.norm = nn.GroupNorm(3, 6)
        self.leave = nn.Conv2d(6, CHANNELS, 3, padding=1)
        betas = torch.linspace(1e-4, 0.02, steps)
        self.register_buffer("betas", betas)
        self.register_buffer("products", torch.cumprod(1 - betas, 0))

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        frequencies = torch.exp(-math.log(1e4) * torch.arange(4) / 4)
        angles = step[:, None].float() * frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        noise = self.leave(F.silu(self.norm(self.enter(x) + time[:, :, None, None])))
        beta, product = self.betas[step].view(-1, 1, 1, 1), self.products[step].view(-1, 1, 1, 1)
        return (x - beta / torch.sqrt(1 - product) * noise) / torch.sqrt(1 - beta)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(5, 8 * 2 * 2)
        self.up1 = nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.up2 = nn.ConvTranspose2d(6, CHANNELS, 3, stride=2, padding=1, output_padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.project(z).view(-1, 8, 2, 2)
        x = F.silu(self.norm(self.up1(x)))
        return torch.tanh(self.up2(x))


CLASSES: dict[str, Callable[[], nn.Module]] = {
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


def example(name: str, rng: np.random.Generator) -> Example:
    torch.manual_seed(int(rng.integers(2**31)))
    image, words = torch.randn(BATCH, CHANNELS, SIDE, SIDE), torch.arange(BATCH * LENGTH).reshape(BATCH, LENGTH) % WORDS
    args: dict[str, tuple[torch.Tensor, ...]] = {
        "mlp": (torch.randn(BATCH, 6),),
        "transformer": (words, words),
        "tagger": (words,),
        "experts": (torch.randn(BATCH, LENGTH, 8),),
        "diffusion": (image, torch.tensor([0, 7, 19])),
        "generator": (torch.randn(BATCH, 5),),
    }
    model = CLASSES[name]()
    dynamic = {word: {0: "batch"} for word in inspect.signature(model.forward).parameters}
    return Example(model, args.get(name, (image,)), dynamic)

"""The demo vision transformer: class token, learned positions, pre-norm blocks, fused attention.

Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021, with two small convolutions before
the patches: Xiao et al., "Early convolutions help transformers see better", NeurIPS 2021. Modules
are named as in timm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .designs import TransformerDesign

EPSILON = 1e-6
"""What every LayerNorm adds to the variance, as the paper's code does."""


class PatchEmbedding(nn.Module):
    """Convolutions that halve the picture, if any, then one that makes a token of each patch."""

    def __init__(self, design: TransformerDesign) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in design.stem:
            convolution = nn.Conv2d(channels, width, 3, 2, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.GELU()]
            channels = width
        self.stem = nn.Sequential(*layers)
        side = design.patch // 2 ** len(design.stem)
        self.proj = nn.Conv2d(channels, design.width, side, side)

    def forward(self, x: Tensor) -> Tensor:
        """Return patches [N, width, H / patch, W / patch] for pictures x [N, 3, H, W]."""
        out: Tensor = self.proj(self.stem(x))
        return out


class Attention(nn.Module):
    """Self-attention of several heads, by PyTorch's fused operation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, T, width] for tokens x [N, T, width]."""
        n, tokens, width = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))
        return out


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, T, width] for tokens x [N, T, width]."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class EncoderBlock(nn.Module):
    """Attention, then an MLP, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, design: TransformerDesign) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(design.width, EPSILON)
        self.attn = Attention(design.width, design.heads)
        self.norm2 = nn.LayerNorm(design.width, EPSILON)
        self.mlp = Mlp(design.width, design.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, T, width] for tokens x [N, T, width]."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class VisionTransformer(nn.Module):
    """Patches and a class token through the blocks; the class token decides."""

    def __init__(self, design: TransformerDesign) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(design)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, design.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + design.grid**2, design.width))
        self.blocks = nn.Sequential(*[EncoderBlock(design) for _ in range(design.depth)])
        self.norm = nn.LayerNorm(design.width, EPSILON)
        self.head = nn.Linear(design.width, design.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, n_classes] for normalised pictures x [N, 3, H, W]."""
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos_embed
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


def initialise(network: VisionTransformer, generator: torch.Generator) -> None:
    """Draw the weights of a network anew, from the generator alone."""
    for parameter in (network.cls_token, network.pos_embed):
        nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_in", nonlinearity="linear", generator=generator
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

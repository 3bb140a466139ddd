"""Vision transformers for images of any size, in plain PyTorch."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.batch import Anatomy, Block
from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.spec import Settings

_NORM_EPSILON = 1e-6
_INITIAL_STD = 0.02
_PUBLISHED_WIDTH = 192
_BLOCK = {
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "attention_output": "attention.output",
    "attention_norm": "attention_norm",
    "ffn_in": "ffn.0",
    "ffn_out": "ffn.3",
    "ffn_norm": "ffn_norm",
}
"""The parts of a block by their roles."""


class Vit(Family):
    """Patches of the image as a sequence, pre-norm encoder blocks, and one linear classifier.

    At 3x224x224 and 1000 classes ``patch: 16, width: 192, depth: 12, heads: 3`` is DeiT-Ti
    (5,717,416 parameters), ``width: 384, heads: 6`` DeiT-S (22,050,664); both as published without
    the distillation token. Queries, keys and values have linear layers of their own, to be read
    one by one.
    """

    class Params(Settings):
        """Size of the patches and of the network, and what is classified."""

        patch: int = Field(4, ge=1, le=1024, description="side of a patch in pixels")
        width: int = Field(64, ge=1, le=16384, description="length of each hidden state")
        depth: int = Field(4, ge=1, le=256, description="encoder blocks")
        heads: int = Field(4, ge=1, le=256, description="must divide the width")
        mlp_ratio: float = Field(4.0, gt=0, le=64, description="hidden units of a block / width")
        dropout: float = Field(0.0, ge=0, lt=1, description="of the embeddings and every branch")
        pooling: Literal["class_token", "mean"] = "class_token"

    source: ClassVar[str] = "arXiv:2010.11929, and arXiv:2012.12877 for the small ones"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        """Build the network for images of ``shape`` ``(D, H, W)``.

        Raises:
            SpecError: the patch does not divide the image's sides, or the heads the width.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        _check(params, shape)
        self._heads = params.heads
        self.embeddings = PatchEmbeddings(params, shape)
        self.blocks = nn.ModuleList(
            EncoderBlock(params.width, params.heads, _hidden(params), params.dropout)
            for _ in range(params.depth)
        )
        self.norm = nn.LayerNorm(params.width, eps=_NORM_EPSILON)
        self.pool: nn.Module = FirstToken() if params.pooling == "class_token" else MeanToken()
        self.classifier = nn.Linear(params.width, num_classes)
        _initialise(self, params.width)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        hidden = self.embeddings(images)
        for block in self.blocks:
            hidden = block(hidden)
        logits: Tensor = self.classifier(self.pool(self.norm(hidden)))
        return logits

    @property
    def anatomy(self) -> Anatomy:
        """Where the blocks are, and what is around them."""
        parts = {"patches": "embeddings.patches", "positions": "embeddings.positions"}
        if isinstance(self.pool, FirstToken):
            parts["class_token"] = "embeddings.class_token"
        paths = (f"blocks.{n}" for n in range(len(self.blocks)))
        return Anatomy(
            embedding="embeddings",
            blocks=tuple(Block.at(path, self._heads, _BLOCK) for path in paths),
            parts={**parts, "final_norm": "norm", "classifier": "classifier"},
        )


class PatchEmbeddings(nn.Module):
    """Each patch as a vector, a class token before them if asked for, and learned positions."""

    def __init__(self, params: Vit.Params, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        num_patches = (height // params.patch) * (width // params.patch)
        self.patches = nn.Conv2d(channels, params.width, params.patch, stride=params.patch)
        with_token = params.pooling == "class_token"
        self.class_token = nn.Embedding(1, params.width) if with_token else None
        self.positions = nn.Embedding(num_patches + with_token, params.width)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Hidden states ``[N, S, D]`` of images ``[N, channels, H, W]``."""
        hidden = self.patches(images).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            token = self.class_token.weight.expand(images.shape[0], 1, -1)
            hidden = torch.cat([token, hidden], dim=1)
        embedded: Tensor = self.dropout(hidden + self.positions.weight)
        return embedded


class SelfAttention(nn.Module):
    """Every position looks at every position, with several heads."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """What each position gathered, ``[N, S, D]`` of ``[N, S, D]``."""
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        gathered = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.dropout(self.output(gathered.transpose(1, 2).flatten(2)))
        return projected


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between them, for each position alone."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )


class EncoderBlock(nn.Module):
    """Attention, then two layers for each position alone: each of the norm, added to its input."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=_NORM_EPSILON)
        self.attention = SelfAttention(width, heads, dropout)
        self.ffn_norm = nn.LayerNorm(width, eps=_NORM_EPSILON)
        self.ffn = FeedForward(width, hidden, dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden states ``[N, S, D]`` of hidden states ``[N, S, D]``."""
        hidden = hidden + self.attention(self.attention_norm(hidden))
        added: Tensor = self.ffn(self.ffn_norm(hidden))
        return hidden + added


class FirstToken(nn.Module):
    """The hidden state of the class token."""

    def forward(self, hidden: Tensor) -> Tensor:
        """``[N, D]`` of ``[N, S, D]``."""
        return hidden[:, 0]


class MeanToken(nn.Module):
    """The mean of all patches' hidden states."""

    def forward(self, hidden: Tensor) -> Tensor:
        """``[N, D]`` of ``[N, S, D]``."""
        return hidden.mean(dim=1)


def _hidden(params: Vit.Params) -> int:
    return max(1, round(params.width * params.mlp_ratio))


def _check(params: Vit.Params, shape: tuple[int, int, int]) -> None:
    problems = []
    if shape[1] % params.patch or shape[2] % params.patch:
        shared = [n for n in range(1, min(shape[1:]) + 1) if shape[1] % n == shape[2] % n == 0]
        problems.append(
            f"vit: patch: {params.patch} does not divide the sides of images of "
            f"{'x'.join(map(str, shape))}: use one of {', '.join(map(str, shared))}"
        )
    if params.width % params.heads:
        problems.append(
            f"vit: heads: {params.heads} does not divide width: {params.width}: "
            "every head has an equal share of the width"
        )
    if problems:
        raise SpecError(problems)


def _initialise(network: nn.Module, width: int) -> None:
    """Weights from a narrow normal distribution, biases zero, as DeiT was published."""
    # Below its smallest width the published deviation is too small to leave the first plateau.
    std = _INITIAL_STD * max(1.0, math.sqrt(_PUBLISHED_WIDTH / width))
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=std)
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)

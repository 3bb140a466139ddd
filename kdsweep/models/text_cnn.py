"""Convolutional networks for short texts: windows of several widths, and the strongest answer."""

from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.batch import PADDING, Modality, Shape, Tokens, in_words
from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.spec import Settings


class TextCnn(Family):
    """Embedded tokens, convolutions over windows of several widths, and the maximum over the text.

    The paper's network is ``{width: 300, filters: 100, kernels: [3, 4, 5], dropout: 0.5}``. Each
    window is centred on a token, with zeros beyond the ends of the text, so that texts shorter than
    a window have an answer too; the paper's windows lie inside a padded text. How much padding
    follows a text changes nothing. What each token's windows find is read as ``windows.0``, ...
    ``[N, S, D]``, the embedding ``[N, D]`` as ``pooled``.
    """

    class Params(Settings):
        """Size of the network."""

        width: int = Field(64, ge=1, le=65536, description="numbers of an embedded token")
        filters: int = Field(64, ge=1, le=65536, description="of each window")
        kernels: tuple[int, ...] = Field((3, 4, 5), description="tokens that each window is wide")
        dropout: float = Field(0.0, ge=0, lt=1, description="before the last layer")

        @field_validator("kernels")
        @classmethod
        def _some_windows(cls, kernels: tuple[int, ...]) -> tuple[int, ...]:
            if not kernels or len(set(kernels)) < len(kernels):
                raise ValueError("must be one width or more, each once, as [3, 4, 5]")
            if min(kernels) < 1 or max(kernels) > 512:
                raise ValueError("each width must be 1 to 512 tokens")
            return kernels

    source: ClassVar[str] = "arXiv:1408.5882"
    reads: ClassVar[Modality] = "tokens"

    def __init__(self, params: Params, *, shape: Shape, num_classes: int) -> None:
        """Build the network for texts of ``shape``.

        Raises:
            SpecError: the inputs are not texts.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        if not isinstance(shape, Tokens):
            raise SpecError(f"text_cnn takes tokens, and the data set has {in_words(shape)}")
        self.embedding = nn.Embedding(shape.vocabulary, params.width, padding_idx=PADDING)
        self.windows = nn.ModuleList(
            _Window(params.width, params.filters, kernel) for kernel in params.kernels
        )
        self.pooled = _Strongest()
        self.dropout = nn.Dropout(params.dropout)
        self.classifier = nn.Linear(params.filters * len(params.kernels), num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[N, C]`` of tokens ``[N, S]``."""
        words = (tokens != PADDING).unsqueeze(2)
        # Trained or loaded weights may put something at the padding: it is not part of the text.
        embedded = self.embedding(tokens) * words
        found = torch.cat([window(embedded) for window in self.windows], dim=2)
        logits: Tensor = self.classifier(self.dropout(self.pooled(found, words)))
        return logits


class _Window(nn.Module):
    """What is found around each token: ``[N, S, width]`` -> ``[N, S, filters]``, never negative."""

    def __init__(self, width: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.conv = nn.Conv1d(width, filters, kernel)

    def forward(self, embedded: Tensor) -> Tensor:
        before = (self.kernel - 1) // 2
        around = F.pad(embedded.mT, (before, self.kernel - 1 - before))
        return F.relu(self.conv(around)).mT


class _Strongest(nn.Module):
    """The maximum over a text ``[N, S, D]`` -> ``[N, D]``; zeros of an empty one."""

    def forward(self, found: Tensor, words: Tensor) -> Tensor:
        # Nothing is below zero behind a ReLU, so that zeros at the padding are never the maximum.
        return (found * words).amax(dim=1)

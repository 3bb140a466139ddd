"""The tensors that pass between rooms, and their shapes.

Shape letters, one legend for the repository: ``N`` batch, ``C`` classes, ``D`` channels or
features, ``H W`` space, ``L`` layers, ``S`` sequence, ``V`` views, ``K`` teachers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from torch import Tensor

from kdsweep.errors import SpecError

Modality = Literal["images", "tokens"]
"""What a network takes: pixels ``[N, D, H, W]``, or ids of words and their pieces ``[N, S]``."""

UNLABELLED = -1
"""The label of a training example whose label is not to be used."""

PADDING = 0
"""The id that fills short texts up; no token of any vocabulary has it."""


@dataclass(frozen=True)
class Tokens:
    """The shape of a text: at most ``length`` ids, each less than ``vocabulary``."""

    length: int
    vocabulary: int

    def __str__(self) -> str:
        return f"texts of {self.length} tokens out of {self.vocabulary:,}"


Shape = tuple[int, int, int] | Tokens
"""The shape of one input: ``(D, H, W)`` of an image, or that of a text."""


def modality(shape: Shape) -> Modality:
    """What inputs of this shape are."""
    return "tokens" if isinstance(shape, Tokens) else "images"


def in_words(shape: Shape) -> str:
    """``images of 3x32x32``, ``texts of 64 tokens out of 4,000``."""
    return str(shape) if isinstance(shape, Tokens) else f"images of {'x'.join(map(str, shape))}"


T = TypeVar("T")


def read_by(network: object, inputs: Mapping[Modality, T]) -> T:
    """What ``network`` takes out of ``inputs``: by its ``reads``, else the first.

    Raises:
        SpecError: it takes something that is not among them.
    """
    reads: Modality | None = getattr(network, "reads", None)
    if reads is None:
        return next(iter(inputs.values()))
    if reads not in inputs:
        raise SpecError(
            f"{type(network).__name__} takes {reads}, and the data set has {', '.join(inputs)}: "
            "choose another model or another data set"
        )
    return inputs[reads]


@dataclass(frozen=True)
class Batch:
    """Samples on the training device, normalised and augmented.

    ``inputs`` holds ``images`` ``[N, D, H, W]`` float32, ``tokens`` ``[N, S]`` int64 padded at the
    end with zeros, or both of the same samples; ``labels`` ``[N]`` int64, ``UNLABELLED`` where one
    is not to be used; ``ids`` ``[N]`` int64: the position of each sample in its split, whatever
    the order of the epoch, and ``view`` the epoch's slot among the replayable views (zero where
    nothing is augmented).
    """

    inputs: Mapping[Modality, Tensor]
    labels: Tensor
    ids: Tensor
    view: int = 0

    def __len__(self) -> int:
        return self.labels.shape[0]

    @property
    def images(self) -> Tensor:
        """The images ``[N, D, H, W]``; raises ``KeyError`` where the data have none."""
        return self.inputs["images"]

    @property
    def tokens(self) -> Tensor:
        """The texts ``[N, S]``; raises ``KeyError`` where the data have none."""
        return self.inputs["tokens"]

    def seen_by(self, network: object) -> Tensor:
        """The input that ``network`` takes; raises ``SpecError`` where the data have none."""
        return read_by(network, self.inputs)


@dataclass(frozen=True)
class Outputs:
    """What a network gave for a batch: logits ``[N, C]`` and features by module path.

    Dense predictions have logits ``[N, C, H, W]``.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """One layer of a transformer by module paths.

    ``hidden`` gives the layer's hidden states ``[N, S, D]``; ``query``, ``key`` and ``value`` are
    linear layers that give ``[N, S, D]``, to be split into ``heads``. ``parts`` names what the
    layer is made of by roles that are the same in every family, so that one can be copied into
    another.
    """

    hidden: str
    query: str
    key: str
    value: str
    heads: int
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, path: str, heads: int, parts: Mapping[str, str]) -> "Block":
        """The layer at ``path``, with the paths of its parts below that by their roles."""
        paths = {role: f"{path}.{below}" for role, below in parts.items()}
        return cls(path, paths["query"], paths["key"], paths["value"], heads, paths)


@dataclass(frozen=True)
class Anatomy:
    """Where the layers of a transformer are.

    ``embedding`` gives the hidden states ``[N, S, D]`` that the first block takes; ``parts`` names
    what is outside of the blocks, by roles that are the same in every family.
    """

    embedding: str
    blocks: tuple[Block, ...]
    parts: Mapping[str, str] = field(default_factory=dict)

"""What BERT and DistilBERT share: their settings, and which tokens are text."""

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field, model_validator
from torch import Tensor

from kdsweep.batch import PADDING, Tokens
from kdsweep.errors import SpecError
from kdsweep.spec import Settings
from kdsweep.spec.settings import PathOrHubName

_OF_THE_DIRECTORY = ("layers", "width", "heads", "hidden", "positions")


class EncoderSettings(Settings):
    """Size of the encoder, or a directory that has size and weights."""

    layers: int = Field(4, ge=1, le=256)
    width: int = Field(128, ge=1, le=16384, description="length of each hidden state")
    heads: int = Field(2, ge=1, le=256, description="must divide the width")
    hidden: int | None = Field(
        None, ge=1, le=131072, description="inner units of a layer; 4 * width if not given"
    )
    positions: int | None = Field(
        None, ge=1, le=131072, description="longest text; that of the data if not given"
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="everywhere; as published or in the directory, if not given",
    )
    pretrained: PathOrHubName | None = Field(
        None,
        description="a directory with config.json and safetensors, or a name in the hub cache",
    )

    @model_validator(mode="after")
    def _one_source_of_sizes(self) -> "EncoderSettings":
        given = [key for key in _OF_THE_DIRECTORY if key in self.model_fields_set]
        if self.pretrained is not None and given:
            raise ValueError(
                f"pretrained has its own {', '.join(given)}: leave {_them(given)} out, or "
                "leave pretrained out"
            )
        return self

    def sizes(
        self, shape: Tokens, names: Mapping[str, str], *, dropouts: Sequence[str]
    ) -> dict[str, object]:
        """The sizes for texts of ``shape``, under the ``names`` that an encoder has for them.

        ``dropouts`` are the names of all its dropouts.
        """
        whole = {
            "layers": self.layers,
            "width": self.width,
            "heads": self.heads,
            "hidden": self.hidden or 4 * self.width,
            "positions": self.positions or shape.length,
        }
        named: dict[str, object] = {names[key]: value for key, value in whole.items()}
        if self.dropout is not None:
            named |= dict.fromkeys(dropouts, self.dropout)
        return named

    def check(self, shape: Tokens, *, name: str) -> None:
        """Pass if the sizes fit together and the texts.

        Raises:
            SpecError: the heads do not divide the width, or the texts are too long.
        """
        problems = []
        if self.width % self.heads:
            problems.append(
                f"{name}: heads: {self.heads} does not divide width: {self.width}: "
                "every head has an equal share of the width"
            )
        if self.positions is not None and self.positions < shape.length:
            problems.append(too_long(name, f"positions: {self.positions}", shape))
        if problems:
            raise SpecError(problems)


def text_mask(tokens: Tensor) -> Tensor:
    """Which keys attention may look at, ``[N, 1, 1, S]``: those that are no padding.

    The first is always one of them, so that an empty text has somewhere to look.
    """
    # Four dimensions: of two, transformers asks on every forward whether any is False.
    is_text = tokens != PADDING
    first = torch.arange(tokens.shape[1], device=tokens.device) == 0
    return (is_text | first)[:, None, None, :]


def segments(tokens: Tensor, separator: int) -> Tensor:
    """Which text of a pair each token is of, ``[N, S]``: 0 up to the first separator, then 1."""
    is_separator = (tokens == separator).long()
    before = is_separator.cumsum(dim=1) - is_separator
    return ((before > 0) & (tokens != PADDING)).long()


def too_long(where: str, have: str, shape: Tokens) -> str:
    """The sentence for texts that have more tokens than a network has positions."""
    return f"{where}: {have} are too few for {shape}: shorten the texts, or use more positions"


def _them(given: list[str]) -> str:
    return "it" if len(given) == 1 else "them"

"""What a sweep file may say of every set of texts."""

from typing import ClassVar

from pydantic import Field, model_validator

from kdsweep.spec import Settings
from kdsweep.spec.settings import PathOrHubName


class TokenizerSettings(Settings):
    """Where the words and pieces of words come from that texts are cut into.

    A WordPiece vocabulary is trained on the training split, or that of a model is taken.
    """

    example: ClassVar[str] = "{pretrained: WORD}, or {vocabulary: 4000} to train one"

    vocabulary: int = Field(4000, ge=100, le=1_000_000, description="ids to train, at most")
    lowercase: bool | None = Field(
        None, description="fold case; as the model's files say, else true"
    )
    pretrained: PathOrHubName | None = Field(
        None,
        description="a model directory, its tokenizer.json or vocab.txt, or a name in the hub "
        "cache; nothing is trained then",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "TokenizerSettings":
        if self.pretrained is not None and "vocabulary" in self.model_fields_set:
            raise ValueError(
                "pretrained has its own vocabulary: leave vocabulary out, or leave pretrained out"
            )
        return self


class TextSettings(Settings):
    """Settings of every set of texts."""

    limit: int | None = Field(
        None, ge=2, description="train on at most this many, all classes kept"
    )
    length: int = Field(
        128, ge=8, le=8192, description="tokens at most, with [CLS] and [SEP]; the rest is cut off"
    )
    tokenizer: TokenizerSettings = Field(
        TokenizerSettings(), description="trained on the training split unless said otherwise"
    )

"""BERT with a linear classifier, as transformers has it."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from kdsweep.batch import Anatomy, Block, Modality, Tokens
from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.models.encoders import EncoderSettings, segments, text_mask
from kdsweep.models.pretrained import encoder

_BLOCK = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
"""The parts of a layer by their roles."""
_SIZES = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "positions": "max_position_embeddings",
}
"""The names that the settings have in ``BertConfig``."""
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")


class Bert(Family):
    """Embeddings, post-norm encoder layers, the pooler of the first token, and a classifier.

    Module paths and the names of weights are those of ``BertForSequenceClassification``. With
    ``layers: 12, width: 768, heads: 12, positions: 512`` and 30,522 tokens it is BERT-base:
    109,482,240 parameters without the classifier.
    """

    class Params(EncoderSettings):
        """Size of the encoder or a directory, and what parts the texts of a pair."""

        separator: int | None = Field(
            None, ge=1, description="id of [SEP]: what follows the first is the second text"
        )

    source: ClassVar[str] = "arXiv:1810.04805"
    reads: ClassVar[Modality] = "tokens"

    def __init__(self, params: Params, *, shape: Tokens, num_classes: int) -> None:
        """Build the network for texts of ``shape``.

        Raises:
            SpecError: the heads do not divide the width, the texts are too long for it, or
                ``pretrained`` is not what it should be.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        if params.separator is not None and params.separator >= shape.vocabulary:
            raise SpecError(
                f"bert: separator: {params.separator} is no token: the data have "
                f"{shape.vocabulary:,}, numbered from 0"
            )
        network = encoder(
            params,
            params.sizes(shape, _SIZES, dropouts=_DROPOUTS),
            name="bert",
            classes=("BertConfig", "BertForSequenceClassification"),
            shape=shape,
            num_classes=num_classes,
        )
        self._separator = params.separator
        self._layers = network.config.num_hidden_layers
        self._heads = network.config.num_attention_heads
        self.bert = network.bert
        self.dropout = network.dropout
        self.classifier = network.classifier

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[N, C]`` of tokens ``[N, S]``."""
        pair = None if self._separator is None else segments(tokens, self._separator)
        encoded = self.bert(tokens, attention_mask=text_mask(tokens), token_type_ids=pair)
        logits: Tensor = self.classifier(self.dropout(encoded.pooler_output))
        return logits

    @property
    def anatomy(self) -> Anatomy:
        """Where the layers are, and what is around them."""
        embeddings = "bert.embeddings"
        paths = [f"bert.encoder.layer.{n}" for n in range(self._layers)]
        return Anatomy(
            embedding=embeddings,
            blocks=tuple(Block.at(path, self._heads, _BLOCK) for path in paths),
            parts={
                "tokens": f"{embeddings}.word_embeddings",
                "positions": f"{embeddings}.position_embeddings",
                "segments": f"{embeddings}.token_type_embeddings",
                "embedding_norm": f"{embeddings}.LayerNorm",
                "classifier": "classifier",
            },
        )

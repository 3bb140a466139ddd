"""BERT with a linear classifier, as transformers has it."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from kdsweep.batch import Anatomy, Block, Modality, Tokens
from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.models.encoders import EncoderSettings, segments, text_mask
from kdsweep.models.pretrained import encoder


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
        params.check(shape, name="bert")
        if params.separator is not None and params.separator >= shape.vocabulary:
            raise SpecError(
                f"bert: separator: {params.separator} is no token: the data have "
                f"{shape.vocabulary:,}, numbered from 0"
            )
        network = encoder(
            params,
            _sizes(params, shape),
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
            blocks=tuple(_anatomy(path, self._heads) for path in paths),
            parts={
                "tokens": f"{embeddings}.word_embeddings",
                "positions": f"{embeddings}.position_embeddings",
                "segments": f"{embeddings}.token_type_embeddings",
                "embedding_norm": f"{embeddings}.LayerNorm",
                "classifier": "classifier",
            },
        )


def _anatomy(path: str, heads: int) -> Block:
    attention = f"{path}.attention"
    parts = {
        "query": f"{attention}.self.query",
        "key": f"{attention}.self.key",
        "value": f"{attention}.self.value",
        "attention_output": f"{attention}.output.dense",
        "attention_norm": f"{attention}.output.LayerNorm",
        "ffn_in": f"{path}.intermediate.dense",
        "ffn_out": f"{path}.output.dense",
        "ffn_norm": f"{path}.output.LayerNorm",
    }
    return Block(path, parts["query"], parts["key"], parts["value"], heads, parts)


def _sizes(params: Bert.Params, shape: Tokens) -> dict[str, object]:
    """The settings under the names of ``BertConfig``."""
    dropouts = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    return {
        "num_hidden_layers": params.layers,
        "hidden_size": params.width,
        "num_attention_heads": params.heads,
        "intermediate_size": params.hidden or 4 * params.width,
        "max_position_embeddings": params.positions or shape.length,
        **({} if params.dropout is None else dict.fromkeys(dropouts, params.dropout)),
    }

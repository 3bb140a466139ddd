"""DistilBERT with its classifier, as transformers has it."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from kdsweep.batch import Anatomy, Block, Modality, Tokens
from kdsweep.models.base import Family
from kdsweep.models.encoders import EncoderSettings, text_mask
from kdsweep.models.pretrained import encoder

_BLOCK = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attention_output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "ffn_in": "ffn.lin1",
    "ffn_out": "ffn.lin2",
    "ffn_norm": "output_layer_norm",
}
"""The parts of a layer by their roles."""
_SIZES = {
    "layers": "n_layers",
    "width": "dim",
    "heads": "n_heads",
    "hidden": "hidden_dim",
    "positions": "max_position_embeddings",
}
"""The names that the settings have in ``DistilBertConfig``."""
_DROPOUTS = ("dropout", "attention_dropout", "seq_classif_dropout")


class DistilBert(Family):
    """BERT without segments and pooler: half of its layers, and two linear layers on top.

    Module paths and the names of weights are those of ``DistilBertForSequenceClassification``.
    With ``layers: 6, width: 768, heads: 12, positions: 512`` and 30,522 tokens it is the published
    one: 66,362,880 parameters without the two layers on top.
    """

    class Params(EncoderSettings):
        """Size of the encoder, or a directory that has size and weights."""

        layers: int = Field(2, ge=1, le=256)

    source: ClassVar[str] = "arXiv:1910.01108"
    reads: ClassVar[Modality] = "tokens"

    def __init__(self, params: Params, *, shape: Tokens, num_classes: int) -> None:
        """Build the network for texts of ``shape``.

        Raises:
            SpecError: the heads do not divide the width, the texts are too long for it, or
                ``pretrained`` is not what it should be.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        network = encoder(
            params,
            params.sizes(shape, _SIZES, dropouts=_DROPOUTS),
            name="distilbert",
            classes=("DistilBertConfig", "DistilBertForSequenceClassification"),
            shape=shape,
            num_classes=num_classes,
        )
        self._layers = network.config.num_hidden_layers
        self._heads = network.config.num_attention_heads
        self.distilbert = network.distilbert
        self.pre_classifier = network.pre_classifier
        self.dropout = network.dropout
        self.classifier = network.classifier

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[N, C]`` of tokens ``[N, S]``."""
        encoded = self.distilbert(tokens, attention_mask=text_mask(tokens))
        pooled = F.relu(self.pre_classifier(encoded.last_hidden_state[:, 0]))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits

    @property
    def anatomy(self) -> Anatomy:
        """Where the layers are, and what is around them."""
        embeddings = "distilbert.embeddings"
        paths = [f"distilbert.transformer.layer.{n}" for n in range(self._layers)]
        return Anatomy(
            embedding=embeddings,
            blocks=tuple(Block.at(path, self._heads, _BLOCK) for path in paths),
            parts={
                "tokens": f"{embeddings}.word_embeddings",
                "positions": f"{embeddings}.position_embeddings",
                "embedding_norm": f"{embeddings}.LayerNorm",
                "classifier": "classifier",
            },
        )

"""Transformers: hidden states, attention and relations between tokens, block by block."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from kdsweep.batch import PADDING, Block, Outputs, Tokens
from kdsweep.errors import SpecError
from kdsweep.losses.total import total
from kdsweep.losses.transformers import (
    attention_probability_error,
    attention_score_error,
    attention_scores,
    hidden_state_cosine,
    hidden_state_error,
    relation_divergence,
)
from kdsweep.spec import Settings
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight, probed_teacher
from kdsweep.strategies.parts.blocks import BlockPair, LayerMap, anatomies, pair_blocks
from kdsweep.strategies.parts.initialise import copy_blocks

_HIDDEN = {"mse": hidden_state_error, "cosine": hidden_state_cosine}
_ATTENTION = {"probabilities": attention_probability_error, "scores": attention_score_error}
_TERMS = ("hidden", "attention", "relations")


class Transformer(Strategy):
    """``L = CE + sum_m [w_h H(W h_m, h_g(m)) + w_a MSE(A_m, A_g(m)) + w_r KL(R_g(m) || R_m)]``.

    Over the student's blocks ``m`` and the teacher's ``g(m)``: hidden states ``h`` (``H`` their
    mean squared difference, or one minus their cosine), attention ``A`` after or before softmax,
    relations ``R`` among queries, keys and values. Where the widths differ, the student's hidden
    states pass through a learned matrix ``W``, shared by the blocks. Padding is left out of every
    mean. Terms are sums over blocks, so that a raw weight is each block's. Softened logits come
    from ``kd``, as the main strategy with this one as its extra.

    Source: arXiv:1910.01108, arXiv:1909.10351, arXiv:2012.15828.
    """

    class Params(Settings):
        """What is compared and how much it counts, between which blocks, and how to begin."""

        hidden: Literal["mse", "cosine", "none"] = "mse"
        attention: Literal["probabilities", "scores", "none"] = "probabilities"
        relations: Literal["none", "qkv"] = "none"
        relation_heads: int | None = Field(
            None, ge=1, le=4096, description="must divide both widths; the student's if not given"
        )
        layer_map: LayerMap = "uniform"
        blocks: Literal["all", "last"] = Field("all", description="those of the student that learn")
        embeddings: bool = Field(False, description="compare the first block's inputs as well")
        initialise: Literal["none", "alternate"] = Field(
            "none", description="start from the teacher's blocks that layer_map names"
        )
        hidden_weight: float = Field(1.0, ge=0, description="relative to the hard-label loss")
        raw_hidden_weight: float | None = Field(None, ge=0, description="in place of it, as it is")
        attention_weight: float = Field(1.0, ge=0, description="relative to the hard-label loss")
        raw_attention_weight: float | None = Field(None, ge=0, description="as it is")
        relations_weight: float = Field(1.0, ge=0, description="relative to the hard-label loss")
        raw_relations_weight: float | None = Field(None, ge=0, description="as it is")

        @model_validator(mode="after")
        def _nothing_to_ignore(self) -> "Transformer.Params":
            if self.initialise == "none" and not self.compared:
                raise ValueError(
                    "hidden, attention and relations are all none, and nothing is left to learn: "
                    "set one of them, or initialise: alternate"
                )
            if self.relation_heads is not None and self.relations == "none":
                raise ValueError("relation_heads is of relations: qkv; leave it out")
            if self.embeddings and self.hidden == "none":
                raise ValueError("embeddings compares hidden states: set hidden, or leave it out")
            for term in _TERMS:
                self._check_weight(term)
            return self

        def _check_weight(self, term: str) -> None:
            keys = (f"{term}_weight", f"raw_{term}_weight")
            given = [k for k in keys if k in self.model_fields_set and getattr(self, k) is not None]
            if len(given) > 1:
                raise ValueError(
                    f"give either {keys[0]} (relative) or {keys[1]} (as it is), not both"
                )
            if given and term not in self.compared:
                raise ValueError(
                    f"{given[0]} is of a term that is none: set {term}, or leave it out"
                )

        @property
        def compared(self) -> tuple[str, ...]:
            """The names of the terms that are there."""
            return tuple(term for term in _TERMS if getattr(self, term) != "none")

        def weight(self, term: str) -> Weight:
            """Of a term: as it is if its raw weight was given, else relative."""
            raw = getattr(self, f"raw_{term}_weight")
            if raw is not None:
                return Weight(raw)
            return Weight(getattr(self, f"{term}_weight"), relative=True)

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1910.01108, arXiv:1909.10351, arXiv:2012.15828"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the blocks, and make the matrices that hidden states of other widths need.

        Raises:
            SpecError: there is no teacher, a network is no transformer, or they cannot be paired.
        """
        super().__init__(params, probe)
        self.anatomies = anatomies(probe)
        self.all_pairs = pair_blocks(params.layer_map, probe)
        self.pairs = self.all_pairs if params.blocks == "all" else self.all_pairs[-1:]
        self.of_texts = isinstance(probe.shape, Tokens)
        widths = (
            probe.student.features[self.anatomies[0].embedding].shape[-1],
            probed_teacher(probe).features[self.anatomies[1].embedding].shape[-1],
        )
        self.project = _projection(widths, wanted=params.hidden != "none")
        self.project_embedding = _projection(widths, wanted=params.embeddings)
        self.relation_heads = params.relation_heads or self.pairs[-1].student.heads
        _check_relations(params, self.relation_heads, widths)

    @property
    def layers(self) -> Layers:
        """What the terms read of each block, and of the embeddings."""
        return Layers(
            student=self._paths(0, [pair.student for pair in self.pairs]),
            teacher=self._paths(1, [pair.teacher for pair in self.pairs]),
        )

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weights of what is compared."""
        return {
            "hard": Weight(1.0),
            **{term: self.params.weight(term) for term in self.params.compared},
        }

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> None:
        """Copy the teacher's blocks into the student if ``initialise`` asks for it.

        Raises:
            SpecError: the blocks are not of the same sizes.
        """
        if self.params.initialise == "alternate" and teacher is not None:
            copy_blocks(self.all_pairs, (student, teacher), self.anatomies)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``hidden``, ``attention`` and ``relations``, as far as compared, summed over blocks."""
        mask = seen.batch.tokens != PADDING if self.of_texts else None
        ours, theirs = seen.student, seen.teacher
        found: dict[str, Tensor] = {}
        if self.params.hidden != "none":
            found["hidden"] = self._hidden(ours, theirs, mask)
        if self.params.attention != "none":
            error = _ATTENTION[self.params.attention]
            found["attention"] = total(
                error(_scores(ours, pair.student), _scores(theirs, pair.teacher), mask)
                for pair in self.pairs
            )
        if self.params.relations != "none":
            found["relations"] = total(
                relation_divergence(
                    ours.features[own], theirs.features[other], self.relation_heads, mask
                )
                for pair in self.pairs
                for own, other in _states(pair)
            )
        return found

    def _hidden(self, ours: Outputs, theirs: Outputs, mask: Tensor | None) -> Tensor:
        error = _HIDDEN[self.params.hidden]
        losses = [
            error(
                self.project(ours.features[pair.student.hidden]),
                theirs.features[pair.teacher.hidden],
                mask,
            )
            for pair in self.pairs
        ]
        if self.params.embeddings:
            own, other = (anatomy.embedding for anatomy in self.anatomies)
            embedded = self.project_embedding(ours.features[own])
            losses.append(error(embedded, theirs.features[other], mask))
        return total(losses)

    def _paths(self, side: Literal[0, 1], blocks: list[Block]) -> tuple[str, ...]:
        params = self.params
        paths = [self.anatomies[side].embedding] if params.embeddings else []
        for block in blocks:
            paths += [block.hidden] if params.hidden != "none" else []
            if params.attention != "none" or params.relations != "none":
                paths += [block.query, block.key]
            paths += [block.value] if params.relations != "none" else []
        return tuple(paths)


def _scores(outputs: Outputs, block: Block) -> Tensor:
    return attention_scores(outputs.features[block.query], outputs.features[block.key], block.heads)


def _states(pair: BlockPair) -> tuple[tuple[str, str], ...]:
    """The paths of queries, keys and values, in the student and in the teacher."""
    ours, theirs = pair.student, pair.teacher
    return (ours.query, theirs.query), (ours.key, theirs.key), (ours.value, theirs.value)


def _projection(widths: tuple[int, int], *, wanted: bool) -> nn.Module:
    """From the student's width to the teacher's; nothing where they agree or none is wanted."""
    if not wanted or widths[0] == widths[1]:
        return nn.Identity()
    return nn.Linear(*widths, bias=False)


def _check_relations(params: Transformer.Params, heads: int, widths: tuple[int, int]) -> None:
    if params.relations != "none" and any(width % heads for width in widths):
        raise SpecError(
            f"relation_heads: {heads} does not divide both widths, the student's {widths[0]} and "
            f"the teacher's {widths[1]}: use a number that does"
        )

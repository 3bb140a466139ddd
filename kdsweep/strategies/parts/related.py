"""Where relations between examples are read: layers whose shapes need not match."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import field_validator, model_validator
from torch import Tensor

from kdsweep.batch import Anatomy
from kdsweep.errors import SpecError
from kdsweep.spec import Settings
from kdsweep.strategies.base import Probe, probed_teacher
from kdsweep.strategies.parts.pairing import (
    LayerPair,
    Pair,
    in_words_or_pairs,
    pair_of,
    unknown_layer,
)

_NAME_THEM = "name the layers: layers: [{student: PATH, teacher: PATH}]"


class RelatedLayers(Settings):
    """Where the examples of a batch are related to each other, in each of the two networks.

    ``embedding`` is what a network's last linear layer classifies; ``last`` its last map, or the
    hidden states of a transformer's last block. Layers of any shapes can be named.
    """

    layers: Literal["embedding", "last"] | tuple[LayerPair, ...] = "embedding"

    @field_validator("layers", mode="before")
    @classmethod
    def _a_word_or_pairs(cls, layers: object) -> object:
        return in_words_or_pairs(layers, ("embedding", "last"))

    @model_validator(mode="after")
    def _something_to_relate(self) -> "RelatedLayers":
        if not self.layers:
            raise ValueError("layers is empty: name at least one pair, or embedding, or last")
        return self


def relate_layers(params: RelatedLayers, probe: Probe) -> tuple[Pair, ...]:
    """The pairs that the settings ask for.

    Raises:
        SpecError: a network has no such layer, a path names none, or what it gives has not one row
            for each example; every problem at once.
    """
    if params.layers == "embedding":
        return (embeddings(probe, "layers: embedding", f"set layers: last, or {_NAME_THEM}"),)
    if params.layers == "last":
        asked = "layers: last reads the last map of each network"
        remedy = f"set layers: embedding, or {_NAME_THEM}"
        return (_of_each(probe, lambda side: side.last, asked, "no maps", remedy),)
    sides = _sides(probe)
    problems: list[str] = []
    for position, named in enumerate(params.layers):
        for name, path in (("student", named.student), ("teacher", named.teacher)):
            problems += _unrelated(f"layers.{position}.{name}", path, sides[name])
    if problems:
        raise SpecError(problems)
    return tuple(_pair(sides, named.student, named.teacher) for named in params.layers)


def embeddings(probe: Probe, asked_by: str, remedy: str) -> Pair:
    """The vectors ``[N, D]`` that the last linear layer of each network classifies.

    ``asked_by`` is the setting that asks for them, ``remedy`` what can be set instead.

    Raises:
        SpecError: a network has no such layer; names each that has none.
    """
    asked = f"{asked_by} reads what the last linear layer of each network classifies"
    return _of_each(probe, lambda side: side.embedding, asked, "no such layer", remedy)


@dataclass(frozen=True)
class _Side:
    """What was probed of one of the two networks."""

    num_examples: int
    features: Mapping[str, Tensor]
    stages: tuple[str, ...]
    embedding: str | None
    anatomy: Anatomy | None

    @property
    def last(self) -> str | None:
        # A vision transformer has one map, that of the patches before its first block.
        if self.anatomy is not None:
            return self.anatomy.blocks[-1].hidden
        return self.stages[-1] if self.stages else None


def _sides(probe: Probe) -> dict[str, _Side]:
    ours, theirs = probe.student, probed_teacher(probe)
    return {
        "student": _Side(
            len(ours.logits),
            ours.features,
            probe.student_stages,
            probe.student_embedding,
            probe.student_anatomy,
        ),
        "teacher": _Side(
            len(theirs.logits),
            theirs.features,
            probe.teacher_stages,
            probe.teacher_embedding,
            probe.teacher_anatomy,
        ),
    }


def _of_each(
    probe: Probe, read: Callable[[_Side], str | None], asked: str, lacking: str, remedy: str
) -> Pair:
    sides = _sides(probe)
    paths = {name: read(side) for name, side in sides.items()}
    student, teacher = paths["student"], paths["teacher"]
    if student is None or teacher is None:
        raise SpecError(
            f"{asked}, and the {name} has {lacking}: {remedy}"
            for name, path in paths.items() if path is None
        )  # fmt: skip
    return _pair(sides, student, teacher)


def _pair(sides: Mapping[str, _Side], student: str, teacher: str) -> Pair:
    return pair_of(student, teacher, sides["student"].features, sides["teacher"].features)


def _unrelated(where: str, path: str, side: _Side) -> list[str]:
    unknown = unknown_layer(where, path, side.features)
    if unknown:
        return unknown
    shape = list(side.features[path].shape)
    if len(shape) > 1 and shape[0] == side.num_examples:
        return []
    return [
        f"{where}: {path!r} gives {shape} for {side.num_examples} examples: relations are between "
        "features [N, ...], one row for each example; name another layer"
    ]

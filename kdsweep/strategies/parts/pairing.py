"""Which layer of the student learns from which layer of the teacher."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, field_validator, model_validator
from torch import Tensor

from kdsweep.errors import SpecError
from kdsweep.spec import Settings
from kdsweep.strategies.base import Layers, Probe, probed_teacher

# Half of the way, in octaves, from one stage to the next: strides are powers of two.
_NEAR = 0.5


class LayerPair(Settings):
    """Two module paths: the student's layer learns from the teacher's."""

    student: str = Field(min_length=1)
    teacher: str = Field(min_length=1)


def in_words_or_pairs(layers: object, words: Sequence[str]) -> object:
    """``layers`` as it is, if it is one of the ``words`` or a list of pairs of paths.

    Raises:
        ValueError: it is not; one sentence that shows how pairs are written.
    """
    if layers in words or (isinstance(layers, list | tuple) and all(map(_is_pair, layers))):
        return layers
    raise ValueError(
        f"must be {' or '.join(words)}, or a list of pairs, as [{{student: PATH, teacher: PATH}}]"
    )


def _is_pair(value: object) -> bool:
    if isinstance(value, LayerPair):
        return True
    return (
        isinstance(value, Mapping)
        and set(value) == {"student", "teacher"}
        and all(isinstance(path, str) and path for path in value.values())
    )


class PairedLayers(Settings):
    """Where the two networks are compared.

    ``auto`` pairs the stages of nearly the same resolution, and ``hint`` chooses among those pairs.
    """

    layers: Literal["auto"] | tuple[LayerPair, ...] = "auto"
    hint: Literal["middle", "last", "all"] = "middle"

    @field_validator("layers", mode="before")
    @classmethod
    def _auto_or_pairs(cls, layers: object) -> object:
        return in_words_or_pairs(layers, ("auto",))

    @model_validator(mode="after")
    def _something_to_pair(self) -> "PairedLayers":
        if self.layers == "auto":
            return self
        if not self.layers:
            raise ValueError("layers is empty: name at least one pair, or auto")
        if "hint" in self.model_fields_set:
            raise ValueError("hint chooses among the pairs of layers: auto; leave it out")
        return self


@dataclass(frozen=True)
class Pair:
    """A layer of each network, and the shapes of their features for one example."""

    student: str
    teacher: str
    student_shape: tuple[int, ...]
    teacher_shape: tuple[int, ...]

    @property
    def common_area(self) -> int:
        """Pixels of the largest map that both can be averaged to; 1 for vectors."""
        sides = zip(self.student_shape[1:], self.teacher_shape[1:], strict=True)
        return math.prod(min(a, b) for a, b in sides)

    def __str__(self) -> str:
        ours, theirs = list(self.student_shape), list(self.teacher_shape)
        return f"student {self.student!r} {ours} and teacher {self.teacher!r} {theirs}"


def pair_layers(
    params: PairedLayers, probe: Probe, *, ranks: Sequence[int], min_area: int = 1
) -> tuple[Pair, ...]:
    """The pairs that the settings ask for, in the student's order where they are automatic.

    ``ranks`` are the numbers of dimensions that the strategy can compare, without the batch's: 3
    for maps ``[D, H, W]``, 1 for vectors ``[D]``. Maps of fewer than ``min_area`` pixels are not
    paired.

    Raises:
        SpecError: a path names no layer, nothing pairs, or a pair is of shapes that cannot be
            matched; every problem at once, with both paths and both shapes.
    """
    teacher = probed_teacher(probe).features
    if params.layers == "auto":
        return _choose(_by_resolution(probe, teacher, min_area), params.hint)
    problems: list[str] = []
    pairs: list[Pair] = []
    for position, named in enumerate(params.layers):
        where = f"layers.{position}"
        wrong = [
            *unknown_layer(f"{where}.student", named.student, probe.student.features),
            *unknown_layer(f"{where}.teacher", named.teacher, teacher),
        ]
        if not wrong:
            pairs.append(pair_of(named.student, named.teacher, probe.student.features, teacher))
            wrong = _unmatched(where, pairs[-1], ranks, min_area)
        problems += wrong
    if problems:
        raise SpecError(problems)
    return tuple(pairs)


def layers_of(pairs: Sequence[Pair]) -> Layers:
    """The paths to tap, each once, in the order of the pairs."""
    return Layers(
        student=tuple(dict.fromkeys(pair.student for pair in pairs)),
        teacher=tuple(dict.fromkeys(pair.teacher for pair in pairs)),
    )


def pair_of(
    student: str, teacher: str, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> Pair:
    """The pair of two known paths, with the shapes that were probed."""
    return Pair(student, teacher, tuple(ours[student].shape[1:]), tuple(theirs[teacher].shape[1:]))


def _by_resolution(probe: Probe, teacher: Mapping[str, Tensor], min_area: int) -> tuple[Pair, ...]:
    """Stages that are each other's nearest; where two are equally near, the deeper one."""
    ours = [path for path in probe.student_stages if probe.student.features[path].ndim == 4]
    theirs = [path for path in probe.teacher_stages if teacher[path].ndim == 4]
    pairs = []
    for path in ours:
        nearest = _nearest(probe.student.features[path], theirs, teacher)
        if nearest and _nearest(teacher[nearest], ours, probe.student.features) == path:
            pairs.append(pair_of(path, nearest, probe.student.features, teacher))
    pairs = [pair for pair in pairs if pair.common_area >= min_area]
    if not pairs:
        least = f" and at least {min_area} pixels" if min_area > 1 else ""
        raise SpecError(
            f"layers: auto pairs stages of nearly the same height and width{least}, and there "
            "are none: "
            f"student {_shapes(probe.student_stages, probe.student.features)}; "
            f"teacher {_shapes(probe.teacher_stages, teacher)}; "
            "name the pairs: layers: [{student: PATH, teacher: PATH}]"
        )
    return tuple(pairs)


def _nearest(features: Tensor, paths: Sequence[str], others: Mapping[str, Tensor]) -> str | None:
    near: tuple[float, str] | None = None
    for path in paths:
        octaves = _octaves(features, others[path])
        if octaves < _NEAR and (near is None or octaves <= near[0]):
            near = octaves, path
    return near[1] if near else None


def _octaves(one: Tensor, other: Tensor) -> float:
    """How far apart two maps are in resolution: the larger of the two sides' distances."""
    sides = zip(one.shape[2:], other.shape[2:], strict=True)
    return max(abs(math.log2(a / b)) for a, b in sides)


def _choose(pairs: tuple[Pair, ...], hint: Literal["middle", "last", "all"]) -> tuple[Pair, ...]:
    """Of an even number of pairs the earlier of the two in the middle: never the last."""
    if hint == "all":
        return pairs
    return (pairs[-1],) if hint == "last" else (pairs[(len(pairs) - 1) // 2],)


def _unmatched(where: str, pair: Pair, ranks: Sequence[int], min_area: int) -> list[str]:
    rank = len(pair.student_shape)
    alike = rank == len(pair.teacher_shape) and rank in ranks
    if alike and pair.common_area >= min_area:
        return []
    allowed = " or ".join(f"both {_RANKS[rank]}" for rank in ranks)
    if min_area > 1:
        allowed += f" of at least {min_area} pixels"
    return [f"{where}: {pair} cannot be matched: must be {allowed}; name other layers"]


_RANKS = {1: "vectors [D]", 3: "maps [D, H, W]"}


def unknown_layer(where: str, path: str, features: Mapping[str, Tensor]) -> list[str]:
    """The sentence for a path that was not probed, with the nearest; none for one that was."""
    if path in features:
        return []
    close = get_close_matches(path, features, n=3, cutoff=0.3) or list(features)[:3]
    return [f"{where}: no layer {path!r}; nearest: {', '.join(map(repr, close)) or 'none'}"]


def _shapes(paths: Sequence[str], features: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{path!r} {list(features[path].shape[1:])}" for path in paths) or "no stages"

"""Which block of a transformer learns from which of another."""

from dataclasses import dataclass
from typing import Literal

from kdsweep.batch import Anatomy, Block, Tokens
from kdsweep.errors import SpecError
from kdsweep.strategies.base import Probe, probed_teacher

LayerMap = Literal["uniform", "last", "skip"]


@dataclass(frozen=True)
class BlockPair:
    """A block of the student and the one of the teacher that it learns from."""

    student: Block
    teacher: Block


def mapped(layer_map: LayerMap, *, student: int, teacher: int) -> tuple[int, ...]:
    """For each of the student's blocks the teacher's, both counted from 0; ``student <= teacher``.

    Of ``M`` blocks of the student and ``L`` of the teacher, block ``m`` counted from 1 learns from

    - ``uniform``: block ``m L / M``, the last of each of ``M`` equal groups (arXiv:1909.10351);
    - ``last``: block ``L - M + m``, one of the teacher's last ``M``;
    - ``skip``: block ``1 + (m - 1) (L - 1) / (M - 1)``, from the first to the last in equal steps:
      of 12 the blocks 1, 3, 5, 8, 10, 12, from which DistilBERT starts (arXiv:1910.01108).

    Fractions are rounded, halves up. In each of the three, the student's last block learns from
    the teacher's last.
    """
    if layer_map == "last":
        return tuple(range(teacher - student, teacher))
    if layer_map == "skip" and student > 1:
        return tuple(_rounded(m * (teacher - 1), student - 1) for m in range(student))
    return tuple(_rounded((m + 1) * teacher, student) - 1 for m in range(student))


def pair_blocks(layer_map: LayerMap, probe: Probe) -> tuple[BlockPair, ...]:
    """Each of the student's blocks with the one of the teacher's that ``layer_map`` gives it.

    Raises:
        SpecError: there is no teacher, one of the two networks is no transformer, their positions
            do not correspond, or the student has more blocks than the teacher.
    """
    student, teacher = anatomies(probe)
    _check_positions(probe, student, teacher)
    ours, theirs = len(student.blocks), len(teacher.blocks)
    if ours > theirs:
        raise SpecError(
            f"the student has {ours} blocks and the teacher {theirs}: each of the student's learns "
            "from one of the teacher's; use fewer blocks in the student"
        )
    positions = mapped(layer_map, student=ours, teacher=theirs)
    return tuple(
        BlockPair(block, teacher.blocks[position])
        for block, position in zip(student.blocks, positions, strict=True)
    )


def anatomies(probe: Probe) -> tuple[Anatomy, Anatomy]:
    """Where the blocks of the student and of the teacher are.

    Raises:
        SpecError: there is no teacher, or a network does not say; names each.
    """
    probed_teacher(probe)
    student, teacher = probe.student_anatomy, probe.teacher_anatomy
    if student is not None and teacher is not None and student.blocks and teacher.blocks:
        return student, teacher
    raise SpecError(
        f"the {name} is not a transformer: use vit, bert or distilbert, or give a network of your "
        "own a property anatomy (kdsweep.batch.Anatomy)"
        for name, anatomy in (("student", student), ("teacher", teacher))
        if anatomy is None or not anatomy.blocks
    )


def _check_positions(probe: Probe, student: Anatomy, teacher: Anatomy) -> None:
    """Pass if position ``n`` is the same patch or word to both networks."""
    texts = isinstance(probe.shape, Tokens)
    if texts != isinstance(probe.teacher_shape, Tokens) and probe.teacher_shape is not None:
        kinds = ("texts", "images") if texts else ("images", "texts")
        raise SpecError(
            f"the student reads {kinds[0]} and the teacher {kinds[1]}: their positions do not "
            "correspond; use strategy cross_modal"
        )
    ours = probe.student.features[student.embedding].shape[1]
    theirs = probed_teacher(probe).features[teacher.embedding].shape[1]
    if ours != theirs:
        raise SpecError(
            f"the student has {ours} positions and the teacher {theirs}: blocks are compared "
            "position by position; use the same patch and pooling in both"
        )


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)

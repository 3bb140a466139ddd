"""What a way of distilling promises to the trainer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from kdsweep.batch import Anatomy, Batch, Outputs, Shape
from kdsweep.errors import SpecError, TrialError
from kdsweep.spec import Settings


@dataclass(frozen=True)
class Needs:
    """What a strategy asks of the two networks and of the data.

    ``teacher``: whether there must be a frozen one. ``features``: whether intermediate maps are
    read. ``stored``: whether what the teacher once said of each view will do; it will not where the
    strategy changes the batches that both networks see. ``data``: whether it learns from the
    training data; one that does not makes its own batches, and the training data are never read.
    """

    teacher: bool = True
    features: bool = False
    stored: bool = True
    data: bool = True


@dataclass(frozen=True)
class Weight:
    """The factor of one loss term: as it is, or relative to the hard-label loss.

    A relative weight ``u`` becomes ``u * CE_0 / L_0``, both measured on the first batches of the
    trial, so that one search range serves losses of any magnitude.
    """

    value: float
    relative: bool = False


@dataclass(frozen=True)
class Probe:
    """A few examples seen by both networks before training, and what is known of the networks.

    Features are keyed by module path, in forward order; the shapes of ``student`` and ``teacher``
    tell a strategy which layers exist and what adapters it needs. ``stages`` are the paths at
    which each network is read when the sweep file names no layers: its last map at each
    resolution. An ``embedding`` is the path of the vectors ``[N, D]`` that the last linear layer
    classifies, where there is such a layer, an ``anatomy`` what a transformer says of its layers.
    """

    student: Outputs
    teacher: Outputs | None
    student_stages: tuple[str, ...]
    teacher_stages: tuple[str, ...]
    num_classes: int
    num_samples: int = 0
    """Training examples: the ids of a batch are below this."""
    student_embedding: str | None = None
    teacher_embedding: str | None = None
    student_anatomy: Anatomy | None = None
    teacher_anatomy: Anatomy | None = None
    shape: Shape | None = None
    """Of what the student sees."""
    teacher_shape: Shape | None = None
    """Of what the main teacher sees."""
    teachers: Mapping[str, Outputs] = field(default_factory=dict)
    """What every teacher of the trial gave, by name; the main one is ``teacher``."""
    teacher_norms: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Running mean and variance of each batch norm of the main teacher, by path."""
    new_student: Callable[[], nn.Module] | None = None
    """Builds another network of the student's architecture, with random weights of its own."""
    new_teacher: Callable[[], nn.Module] | None = None
    """Builds a network of the teacher's: with the weights that the trial names, else random."""


def probed_teacher(probe: Probe) -> Outputs:
    """The teacher's side of a probe.

    Raises:
        SpecError: the trial has no teacher.
    """
    if probe.teacher is None:
        raise SpecError("needs a teacher: give the trial one (teacher: ...), or use strategy none")
    return probe.teacher


def _called(network: nn.Module, inputs: Tensor) -> Tensor:
    outputs: Tensor = network(inputs)
    return outputs


@dataclass(frozen=True)
class Seen:
    """One step of training: what the terms of a strategy are computed from.

    ``progress`` is the share of training done, 0 at the first step. ``gather`` joins a tensor
    ``[n, ...]`` over the workers of a trial, without gradient. ``run`` calls a network of the
    strategy's own in the trial's precision, and gives what it gives in float32.
    """

    batch: Batch
    student: Outputs
    teacher_outputs: Outputs | None = None
    teachers: Mapping[str, Outputs] = field(default_factory=dict)
    progress: float = 0.0
    gather: Callable[[Tensor], Tensor] = Tensor.detach
    run: Callable[[nn.Module, Tensor], Tensor] = _called

    @property
    def teacher(self) -> Outputs:
        """The main teacher's outputs, which a strategy with ``needs.teacher`` relies on.

        Raises:
            TrialError: the batch came without them.
        """
        if self.teacher_outputs is None:
            raise TrialError("the strategy needs the teacher's outputs, and the batch came without")
        return self.teacher_outputs


@dataclass(frozen=True)
class EpochEnd:
    """How an epoch went: the means of a strategy's terms, and what the student then knows.

    ``accuracy`` (0..1) is of the ``num_validated`` validation examples, ``chance`` the share of
    their most frequent class. Every worker of a trial is told the same.
    """

    epoch: int
    is_last: bool
    means: Mapping[str, float]
    accuracy: float
    chance: float
    num_validated: int


@dataclass(frozen=True)
class Layers:
    """The module paths that a strategy reads in each network.

    A path is of the module's output; with ``:input`` behind it, of its first input.
    """

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Learner:
    """A submodule of a strategy that is trained beside the student by an optimizer of its own.

    The optimizer has the settings and the schedule of the student's, from another learning rate
    where ``lr`` is given.
    """

    module: nn.Module
    lr: float | None = None


class Strategy(nn.Module, ABC):
    """A way of distilling by its YAML name: one subclass per file, its settings nested inside.

    Learned layers (adapters) are ordinary submodules: the trainer optimises them with the student
    and drops them afterwards. ``terms`` are the losses that the strategy adds, also when it is an
    ``extra`` of another; only of the main strategy is the weight of ``hard`` used.
    """

    class Params(Settings):
        """The settings of the strategy; every subclass has its own."""

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str]
    """The paper, as ``arXiv:number`` or in words."""
    kept_equal: ClassVar[tuple[str, ...]] = ()
    """Names of own buffers that every worker of a trial changes alike, by what it gathers: they are
    not sent to the workers at each step, as all other buffers are."""

    @classmethod
    def chosen(cls, params: Settings, teachers: Sequence[str]) -> tuple[str, ...]:
        """Which of the trial's further teachers, by name, are read besides the main one.

        Raises:
            SpecError: the settings name a teacher that is not there.
        """
        return ()

    def __init__(self, params: Settings, probe: Probe) -> None:
        """Settle layers and adapters from the probe.

        Raises:
            SpecError: the two networks cannot be paired as the settings ask. Each sentence starts
                with the path of the setting within the strategy's own, if one is to blame.
        """
        super().__init__()
        self.params = params

    @property
    def layers(self) -> Layers:
        """Where both networks must be tapped during training."""
        return Layers()

    @property
    def batches_per_epoch(self) -> int:
        """How many batches of its own make an epoch, where no training data are read."""
        raise NotImplementedError

    @abstractmethod
    def weights(self) -> Mapping[str, Weight]:
        """The weight of every term that ``terms`` gives, and of ``hard``: the hard-label loss."""

    def factors(self, progress: float) -> Mapping[str, float]:
        """What multiplies the weights of the named terms at a share of training: warm-ups."""
        return {}

    @abstractmethod
    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """The strategy's own loss terms, one value per example ``[N]``, unweighted, float32."""

    def changed(self, batch: Batch) -> Batch:
        """What both networks see of a training batch; asked of the main strategy alone."""
        return batch

    def made(self, num: int) -> Batch:
        """A batch of ``num`` examples of its own, with gradients to what made them."""
        raise NotImplementedError

    def learners(self) -> tuple[Learner, ...]:
        """The submodules that have an optimizer of their own."""
        return ()

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> None:
        """Set the student up from the teacher, once before training.

        Raises:
            SpecError: the networks do not suit each other; leaves both as they were.
        """
        return

    def check(self, end: EpochEnd) -> None:
        """Look at an epoch that has ended.

        Raises:
            TrialError: the training has failed, though every loss is finite.
        """
        return

"""What a way of distilling promises to the trainer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.spec import Settings


@dataclass(frozen=True)
class Needs:
    """What a strategy asks of the two networks.

    ``teacher``: whether there must be one. ``features``: whether intermediate maps are read; if
    not, stored teacher logits will do.
    """

    teacher: bool = True
    features: bool = False


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
    """One batch seen by both networks before training, all stages tapped.

    Feature maps are keyed by module path, in forward order; the shapes of ``student`` and
    ``teacher`` tell a strategy which layers exist and what adapters it needs. ``stages`` are the
    paths at which each network is read when the sweep file names no layers: its last map at each
    resolution.
    """

    student: Outputs
    teacher: Outputs | None
    student_stages: tuple[str, ...]
    teacher_stages: tuple[str, ...]
    num_classes: int


def probed_teacher(probe: Probe) -> Outputs:
    """The teacher's side of a probe.

    Raises:
        SpecError: the trial has no teacher.
    """
    if probe.teacher is None:
        raise SpecError("needs a teacher: give the trial one (teacher: ...), or use name: none")
    return probe.teacher


def present(teacher: Outputs | None) -> Outputs:
    """The teacher's outputs for a batch, which a strategy with ``needs.teacher`` relies on.

    Raises:
        TrialError: the batch came without them.
    """
    if teacher is None:
        raise TrialError("the strategy needs the teacher's outputs, and the batch came without")
    return teacher


@dataclass(frozen=True)
class Layers:
    """The module paths whose outputs a strategy reads, in each network."""

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = field(default=())


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

    @abstractmethod
    def weights(self) -> Mapping[str, Weight]:
        """The weight of every term that ``terms`` gives, and of ``hard``: the hard-label loss."""

    @abstractmethod
    def terms(
        self, batch: Batch, student: Outputs, teacher: Outputs | None
    ) -> Mapping[str, Tensor]:
        """The strategy's own loss terms, one value per example ``[N]``, unweighted, float32."""

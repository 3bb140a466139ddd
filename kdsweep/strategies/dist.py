"""DIST: relations between classes and within each are kept, not the probabilities themselves."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from kdsweep.losses.correlation import inter_class, intra_class
from kdsweep.losses.logits import at_temperature
from kdsweep.spec import Settings
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.classes import shared_classes


class CorrelationDistillation(Strategy):
    """``L = CE + T^2 (w_inter (1 - mean row r) + w_intra (1 - mean column r))`` of probabilities.

    ``r`` is Pearson's correlation of the student's and the teacher's ``softmax(z / T)``: of a row
    over the classes of one example (``inter``), of a column over the examples of the batch
    (``intra``). The columns are those of a worker's own batch, and so depend on its size.

    Source: arXiv:2205.10536.
    """

    class Params(Settings):
        """Weights of the two relations, and the softening."""

        w_inter: float = Field(1.0, ge=0, description="beta of the paper, weight of the rows")
        w_intra: float = Field(1.0, ge=0, description="gamma of the paper, weight of the columns")
        temperature: float = Field(1.0, gt=0, le=1000, description="tau of the paper")

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str] = "arXiv:2205.10536"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Check that both networks tell the same number of classes apart.

        Raises:
            SpecError: there is no teacher, or its classes are not the student's.
        """
        super().__init__(params, probe)
        shared_classes(probe)

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weights of the two relations."""
        return {
            "hard": Weight(1.0),
            "inter": Weight(self.params.w_inter),
            "intra": Weight(self.params.w_intra),
        }

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``inter`` and ``intra``: ``T^2 (1 - r)`` of the rows, and of the columns."""
        relations = {"inter": inter_class, "intra": intra_class}
        ours, theirs = seen.student.logits, seen.teacher.logits
        return {
            name: at_temperature(relation, ours, theirs, self.params.temperature)
            for name, relation in relations.items()
        }

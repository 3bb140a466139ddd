"""No distillation: the control that every other strategy is held against."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kdsweep.spec import Settings
from kdsweep.strategies.base import Needs, Seen, Strategy, Weight


class NoDistillation(Strategy):
    """The student learns from the labels alone: ``L = CE``."""

    class Params(Settings):
        """Nothing to set."""

    needs: ClassVar[Needs] = Needs(teacher=False)
    source: ClassVar[str] = "the plain student: cross-entropy with the labels"

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is."""
        return {"hard": Weight(1.0)}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """No terms of its own."""
        return {}

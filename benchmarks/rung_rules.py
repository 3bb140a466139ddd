"""Other rules for who goes on at a rung, beside which early_stopping.py puts kdsweep's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdsweep.results.pareto import domination_counts
from kdsweep.results.record import EpochMetrics
from kdsweep.search.rungs import FEWEST, Judgement, Rung, Rungs


class Dominated(Rungs):
    """Rungs at which those go on that fewer than others dominate, in size and accuracy."""

    def __init__(self, objectives: Mapping[Any, Any], *, eta: float) -> None:
        super().__init__(objectives, eta=eta)
        self._eta, self._sizes_by_key = eta, dict[str, float]()
        self._seen: dict[int, list[tuple[float, float]]] = {}

    def enter(self, key: str, *, sizes: Mapping[Any, float], rungs: Sequence[Rung]) -> None:
        """Remember the size."""
        super().enter(key, sizes=sizes, rungs=rungs)
        self._sizes_by_key[key] = sizes["params"]

    def judge(self, key: str, epoch: EpochMetrics) -> Judgement:
        """By how many dominate the trial."""
        seen = self._seen.setdefault(epoch.epoch, [])
        seen.append((-epoch.accuracy, self._sizes_by_key[key]))
        above = domination_counts(np.array(seen))
        fewer = int((above < above[-1]).sum())
        return Judgement(len(seen) < FEWEST or above[-1] == 0 or fewer < len(seen) / self._eta)


class LeadAlone(Rungs):
    """kdsweep's rungs, where being the best of an octave of size does not help."""

    keeps_octaves = False

"""A sweep's own searcher, whose jobs sleep. Imports Ray when imported."""

from collections.abc import Callable
from typing import Any

import asleep

from kdsweep.search.sampler import Proposal
from kdsweep.search.searcher import FrontSearcher
from kdsweep.spec import TrialSpec


class Sleepers(FrontSearcher):
    """Proposes and records the same trials; a lane sleeps through them.

    Set on the class, for Tune pickles the searcher: how long a trial sleeps, and who hears of each
    report and each end.
    """

    sleep_s: float
    reported: Callable[[], None]
    ended: Callable[[dict[str, str]], None]

    def _job(self, proposal: Proposal, trial: TrialSpec) -> dict[str, Any]:
        return {**super()._job(proposal, trial), "kind": asleep.KIND, "sleep_s": self.sleep_s}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Epochs of a trial."""
        type(self).reported()
        super().on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended; its record is written."""
        super().on_trial_complete(trial_id, result, error)
        type(self).ended(self._where)

"""Tune's trials in the order of their proposals, at a cost that does not grow with them."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from kdsweep.search import environment  # noqa: F401  # before ray


class InOrder(FIFOScheduler):  # type: ignore[misc]
    """First in, first out, as Tune has it, which looks at every trial of the sweep in each step.

    Here only those are looked at that have not ended: as many as there are lanes. What Tune keeps
    of the reports of a trial is given up when the next one ends: 30 kB for each, which nobody
    reads again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended: Trial | None = None

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Tune has yet to tell the searcher of this one; of the one before it has."""
        super().on_trial_complete(controller, trial, result)
        if self._ended is not None:
            reports = self._ended.run_metadata
            reports.last_result, reports.metric_analysis, reports.metric_n_steps = {}, {}, {}
        self._ended = trial

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The earliest trial that waits for an actor."""
        waiting = (t for t in tune_controller.get_live_trials() if t.status == Trial.PENDING)
        # Tune numbers its trials in their ids.
        return min(waiting, key=lambda trial: trial.trial_id, default=None)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its scheduler for a restore of its own, which is never made."""
        return {}

"""Tune's trials in the order of their proposals, at a cost that does not grow with them."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from kdsweep.search import environment  # noqa: F401  # before ray


class InOrder(FIFOScheduler):  # type: ignore[misc]
    """First in, first out, as Tune has it, which looks at every trial of the sweep in each step.

    Here only those are looked at that have not ended: as many as there are lanes.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The earliest trial that waits for an actor."""
        waiting = (t for t in tune_controller.get_live_trials() if t.status == Trial.PENDING)
        # Tune numbers its trials in their ids.
        return min(waiting, key=lambda trial: trial.trial_id, default=None)

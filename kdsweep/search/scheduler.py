"""Ray Tune's side of the rungs: a scheduler that looks at nothing but trials that wait at one."""

from typing import Any

from kdsweep.results.record import EpochMetrics
from kdsweep.search.in_order import InOrder
from kdsweep.search.rungs import Rungs


class FrontScheduler(InOrder):
    """Tells lanes that wait at a rung whether their trials go on.

    Its time is the trial's own epoch: Tune's ``training_iteration`` counts results, of which one
    may tell of many epochs, and starts anew when a trial does. A trial that is to end is ended by
    its lane, whose last result then says so; to Tune it ends like any other.
    """

    def __init__(self, rungs: Rungs, board: Any) -> None:
        super().__init__()
        self._rungs, self._board = rungs, board

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Answer the lane, if it waits."""
        if result.get("at_rung"):
            epoch, key = EpochMetrics.model_validate_json(result["at_rung"]), result["key"]
            judged = self._rungs.judge(key, epoch)
            answer = {"goes_on": judged.goes_on, "why": judged.why or None}
            self._board.answer.remote(key, epoch.epoch, answer)
        decision: str = super().on_trial_result(controller, trial, result)
        return decision

"""What the pruned trials of a run that is over would have come to."""

from collections.abc import Mapping, Sequence

from kdsweep.results.meta import Direction
from kdsweep.results.pareto import known_untrained
from kdsweep.results.record import Metric, TrialResult
from kdsweep.search.rungs import Rung, Rungs

_ALL = 1.0
"""Nobody is judged again: where trials ended shows in their records."""


def estimated(
    results: Sequence[TrialResult], objectives: Mapping[Metric, Direction]
) -> list[TrialResult]:
    """The results, pruned ones with the metrics that ``Rungs.estimated`` gives them.

    Rungs are where trials of the run were pruned, so that its settings need not be known.
    """
    rungs = Rungs(objectives, eta=_ALL)
    ended = [r for r in results if r.role == "trial" and r.status in ("complete", "pruned")]
    ends: dict[int, set[int]] = {}
    for result in ended:
        if result.status == "pruned" and result.epochs:
            ends.setdefault(_epochs(result), set()).add(result.epochs[-1].epoch)
    sizes = {known_untrained(metric) for metric in objectives} - {"accuracy", "loss"}
    for result in ended:
        if not sizes <= set(result.metrics):
            continue
        of_its_length = [Rung(e, _epochs(result)) for e in sorted(ends.get(_epochs(result), ()))]
        rungs.enter(result.trial_id, sizes=result.metrics, rungs=of_its_length)
        for epoch in result.epochs:
            rungs.judge(result.trial_id, epoch)
        rungs.ended(result)
    return [rungs.estimated(result) for result in results]


def _epochs(result: TrialResult) -> int:
    return int(result.trial["train"]["epochs"])

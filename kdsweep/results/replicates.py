"""Replicates: trials of one point of a search, which differ in their seed alone; and their mean.

Whatever is chosen is chosen among points. A sweep without replicates has one trial at each point,
and its records are taken as they are.
"""

import math
from collections.abc import Iterable, Sequence

from pydantic import Field

from kdsweep.results.record import Status, TrialResult


class PointResult(TrialResult):
    """A point of a search: the record of one of its replicates, with the mean metrics of them all.

    It is the one of median accuracy, of an even number the lower of the two in the middle: whoever
    takes this student gets what the mean promises, not the luckiest of several seeds.
    """

    deviations: dict[str, float] = Field(default_factory=dict)
    """The sample standard deviation (``n - 1``) of each metric."""
    replicate_ids: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name: it stands for all replicates."""
        return self.name

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """The trials that this is the result of, by replicate."""
        return self.replicate_ids


def by_point(results: Iterable[TrialResult]) -> list[TrialResult]:
    """One result for each point, in the order in which the points first appear.

    Results of points that are among them stay as they are, and so do trials without replicates.
    """
    groups: list[list[TrialResult]] = []
    of_point: dict[int, list[TrialResult]] = {}
    for result in results:
        if _stands_alone(result):
            groups.append([result])
        elif result.point in of_point:
            of_point[result.point].append(result)
        else:
            groups.append(of_point.setdefault(result.point, [result]))
    return [merged(group) for group in groups]


def merged(replicates: Sequence[TrialResult]) -> TrialResult:
    """The result of a point from the records that there are of it.

    It is ``complete`` if all of its replicates are. If all have ended and some failed it is
    ``failed``, with the first error; if one is missing or was cut short it is ``stopped``. A
    metric counts if every replicate has it, and is NaN where one of them is.
    """
    found = sorted(replicates, key=lambda result: result.replicate)
    if _stands_alone(found[0]):
        return found[0]
    status = _status(found)
    complete = status == "complete"
    if complete:
        record = _of_median_accuracy(found)
    else:
        record = next((each for each in found if each.status == status), found[0])
    values = _metrics(found) if complete else {}
    means = {name: math.fsum(column) / len(column) for name, column in values.items()}
    deviations = {name: _deviation(column, means[name]) for name, column in values.items()}
    changes = {
        "status": status,
        "metrics": means,
        "deviations": deviations,
        "replicate_ids": tuple(each.trial_id for each in found),
    }
    return PointResult(**{**dict(record), **changes})


def deviation(result: TrialResult, metric: str) -> float | None:
    """The standard deviation of a metric over replicates; none where there is one trial only."""
    return result.deviations.get(metric) if isinstance(result, PointResult) else None


class Gathering:
    """Keeps records as they come until their point has all of its replicates."""

    def __init__(self, results: Iterable[TrialResult] = ()) -> None:
        self._waiting: dict[int, list[TrialResult]] = {}
        for result in results:
            self.add(result)

    def add(self, result: TrialResult) -> TrialResult | None:
        """The result of the point that this record makes whole; none while others are missing."""
        if _stands_alone(result):
            return result
        found = self._waiting.setdefault(result.point, [])
        found.append(result)
        if len(found) < result.replicates:
            return None
        return merged(self._waiting.pop(result.point))


def _stands_alone(result: TrialResult) -> bool:
    return result.replicates == 1 or isinstance(result, PointResult)


def _status(found: Sequence[TrialResult]) -> Status:
    statuses = {result.status for result in found}
    if len(found) < found[0].replicates or not statuses <= {"complete", "failed"}:
        return "stopped"
    return "failed" if "failed" in statuses else "complete"


def _of_median_accuracy(found: Sequence[TrialResult]) -> TrialResult:
    """By rank, so that rounding decides nothing; of equals, the first."""

    def accuracy(result: TrialResult) -> float:
        value = result.metrics.get("accuracy", math.nan)
        return -math.inf if math.isnan(value) else value

    return sorted(found, key=accuracy)[(len(found) - 1) // 2]


def _metrics(found: Sequence[TrialResult]) -> dict[str, list[float]]:
    """The values of each metric that all have."""
    return {
        name: [result.metrics[name] for result in found]
        for name in found[0].metrics
        if all(name in result.metrics for result in found)
    }


def _deviation(values: Sequence[float], mean: float) -> float:
    squares = math.fsum((value - mean) * (value - mean) for value in values)
    return math.sqrt(squares / (len(values) - 1))

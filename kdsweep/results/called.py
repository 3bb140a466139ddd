"""A trial by what a person calls it: its number or its id."""

from collections.abc import Sequence

from kdsweep.errors import ResultError, unknown_name
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point


def trial_called(results: Sequence[TrialResult], name: str) -> TrialResult:
    """The trial with this id, or else with this number; teachers have an id alone.

    Raises:
        ResultError: there is none; names those that are near.
    """
    for result in results:
        if result.trial_id == name:
            return result
    if name.isdecimal():
        numbered = [each for each in results if each.role != "teacher"]
        for result in numbered:
            if result.number == int(name):
                return result
        last = max((each.number for each in numbered), default=None)
        have = "there is none yet" if last is None else f"numbers go up to {last}"
        raise ResultError(f"no trial has the number {name} ({have}; `kdsweep front` lists some)")
    near = unknown_name("trial", name, (each.trial_id for each in results))
    raise ResultError(near if len(results) <= 20 else near.partition(" (have: ")[0])


def point_of(results: Sequence[TrialResult], trial: TrialResult) -> TrialResult | None:
    """The result of a trial's point; none where the trial is its only one."""
    if trial.replicates == 1:
        return None
    return by_point([each for each in results if each.point == trial.point])[0]

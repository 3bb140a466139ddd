"""In the place of a sampler where nothing is searched: the points of a confirmation."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from kdsweep.results.confirms import Confirms
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.search.sampler import Proposal
from kdsweep.spec import Assignment
from kdsweep.sweep_file import Sweep


class FixedPoints:
    """Proposes every point of a confirmation once for each of its seeds, and nothing else.

    A trial has the number ``seeds * point + seed``, by which it is known where it was cut short:
    of ``done``, the records of an earlier process, those that have ended are left out.
    """

    ended_early: str | None = None
    """As of a sampler: a list ends when it is at its end."""

    def __init__(self, confirms: Confirms, done: Sequence[TrialResult] = ()) -> None:
        ended = {r.number for r in done if r.role != "teacher" and r.status in ENDED}
        self._next = deque(each for each in _proposals(confirms) if each.number not in ended)

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been proposed."""
        return not self._next

    def ask(self) -> Proposal | None:
        """The next trial; none if there are no more."""
        return self._next.popleft() if self._next else None

    def tell(self, number: int, result: TrialResult) -> None:
        """The result of a proposal, from which nothing follows here."""


def without_search(sweep: Sweep, confirms: Confirms | None) -> Sweep:
    """The sweep as a confirmation runs it: every trial to its last epoch, whatever it costs.

    Itself where nothing is confirmed.
    """
    if confirms is None:
        return sweep
    told = {"rungs": None, "budget": None, "batch": None, "replicates": len(confirms.seeds)}
    search = sweep.spec.search.model_copy(update=told)
    return replace(sweep, spec=sweep.spec.model_copy(update={"search": search}))


def _proposals(confirms: Confirms) -> list[Proposal]:
    beside = {"with_validation": True} if confirms.with_validation else {}
    num = len(confirms.seeds)
    return [
        Proposal(
            num * place + replicate,
            "trial" if point.kind == "student" else "control",
            Assignment(dict(point.params), dict(point.changes)),
            replicate=replicate,
            replicates=num,
            beside={**beside, "seed": seed},
        )
        for place, point in enumerate(confirms.points)
        for replicate, seed in enumerate(confirms.seeds)
    ]

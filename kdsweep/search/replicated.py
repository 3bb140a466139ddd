"""Between the sampler, which proposes points, and those who train: each point is several trials."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.replicates import Gathering, by_point
from kdsweep.search.bounds import SizesOf
from kdsweep.search.sampler import Proposal, Sampler
from kdsweep.search.starts import Start
from kdsweep.sweep_file import Sweep


class ReplicatedSampler:
    """The sampler's points as trials: ``search.replicates`` in a row, alike but for their seed.

    The sampler hears of a point when all of its trials have ended: the mean of each metric, or
    that it failed, if one of them did. ``done`` are the records of an earlier process: of a point
    that was cut short, the trials that ended are kept, and the others are proposed first.
    ``earlier`` are points of earlier sweeps, for the sampler to learn from.
    """

    def __init__(
        self,
        sweep: Sweep,
        starts: Sequence[Start],
        *,
        sizes_of: SizesOf,
        done: Sequence[TrialResult] = (),
        earlier: Sequence[TrialResult] = (),
    ) -> None:
        self._replicates = sweep.spec.search.replicates
        self._sampler = Sampler(
            sweep, starts, sizes_of=sizes_of, done=by_point(done), earlier=earlier
        )
        ended = [r for r in done if r.role != "teacher" and r.status in ENDED]
        self._ended = {result.number for result in ended}
        self._gathering = Gathering(ended)
        self._next: deque[Proposal] = deque()

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been proposed."""
        return not self._next and self._sampler.exhausted

    @property
    def ended_early(self) -> str | None:
        """Why there are fewer trials than were asked for."""
        return self._sampler.ended_early

    def ask(self) -> Proposal | None:
        """The next trial, as ``Sampler.ask``; those of one point come one after the other."""
        if not self._next:
            point = self._sampler.ask()
            if point is None:
                return None
            self._next.extend(
                each for each in self._trials(point) if each.number not in self._ended
            )
        return self._next.popleft()

    def tell(self, number: int, result: TrialResult) -> None:
        """The result of a proposal; the last one of a point is told on, as the point's."""
        point = self._gathering.add(result)
        if point is not None:
            self._sampler.tell(number // self._replicates, point)

    def _trials(self, point: Proposal) -> list[Proposal]:
        """Numbered by their point, so that a trial that is missing is known by its number."""
        num = self._replicates
        return [
            replace(point, number=num * point.number + each, replicate=each, replicates=num)
            for each in range(num)
        ]

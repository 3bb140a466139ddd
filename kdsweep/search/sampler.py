"""Who proposes the trials: controls, published defaults, then Optuna by ask and tell.

Why not Ray Tune's ``OptunaSearch``: with several objectives it leaves failed trials running for
ever, which the sampler then steers away from, and it tells crashed trials as complete.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from kdsweep.results.record import ENDED, Role, TrialResult
from kdsweep.search.bounds import SizesOf
from kdsweep.search.optuna_terms import NUM_SPREAD, seed_after
from kdsweep.search.spread import Spread
from kdsweep.search.starts import Start
from kdsweep.search.study import Study
from kdsweep.search.unseen import Unseen
from kdsweep.spec.space import Assignment
from kdsweep.sweep_file import Sweep

MOST_REFUSED = 8
"""Proposals in a row that are known or out of bounds, before any other point is taken."""


@dataclass(frozen=True)
class Proposal:
    """A trial to run: its number, and what to change in the sweep's trial.

    One of several ``replicates`` of a point differs from the others in its seed.
    """

    number: int
    role: Role
    assignment: Assignment
    replicate: int = 0
    replicates: int = 1
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What else differs from the sweep's trial, and is no part of what was searched: a seed."""


@dataclass
class _Pending:
    proposal: Proposal
    asked: optuna.Trial | None
    result: TrialResult | None = field(default=None)


class Sampler:
    """Proposes trials and learns from their results; the only writer of its study.

    It knows nothing of replicates: what it proposes is a point, its number that of the point, and
    what it is told is what came of all of it. A pruned trial is told with the metrics that it is
    thought to have come to.

    First come ``starts`` (controls and published defaults), then points whose students' sizes are
    spread, then what the sampler proposes: ``search.trials`` in all that are no controls. No point
    comes twice, and none whose student's size, as ``sizes_of`` knows it, is out of bounds. If there
    are no more of them the search has ended, and ``ended_early`` says why.

    With ``search.batch`` results are told in the order of the proposals and only when a whole batch
    is in, so that the sequence of trials is the same whatever finishes first.

    ``done`` are the records of an earlier process: what was complete or failed is known to the
    study, and what was cut short is proposed again first, under its own number. ``earlier`` are
    trials of earlier sweeps, at points of this space: the study knows them as well, and they are
    not proposed again.
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
        spec, space = sweep.spec, sweep.space
        done = [result for result in done if result.role != "teacher"]
        self._space, self._search = space, spec.search
        self._num_trials = sweep.num_trials
        chosen = sweep.sampler
        self._study = Study(spec, space, chosen.name, num_known=len(done) + len(earlier))
        seed = seed_after(spec.search.seed, len(done) + len(earlier))
        self._unseen = Unseen(space, spec.constraints, sizes_of, seed=seed)
        self._spread = Spread.over(spec, space, sizes_of, num_strata=NUM_SPREAD[chosen.name])
        self._num_to_spread = NUM_SPREAD[chosen.name]
        self._proposed: list[Assignment] = []
        self._grid: Iterator[Assignment] | None = None
        if chosen.name == "grid":
            known = [result.params for result in done]
            points = space.grid(spec.search.grid_points)
            self._grid = (point for point in points if point.params not in known)
            starts = [start for start in starts if start.role == "control"]
        self._starts = deque(starts)
        self._again: deque[TrialResult] = deque()
        self._pending: dict[int, _Pending] = {}
        self._next_number = 0
        self._in_batch = 0
        self._num_searched = 0
        self.ended_early: str | None = None
        """Why there are fewer trials than were asked for."""
        self._knows_others = bool(earlier)
        for result in earlier:
            self._num_to_spread -= result.status == "complete"
            self._learn(result)
        for result in done:
            self._remember(result)

    def ask(self) -> Proposal | None:
        """The next trial; ``None`` if results must come in first, or if there are no more.

        ``exhausted`` tells the one from the other.
        """
        if self.exhausted or self._batch_is_full():
            return None
        if self._again:
            return self._repeat(self._again.popleft())
        while self._starts:
            start = self._starts.popleft()
            params = start.params
            if params is None or self._grid is not None:
                # A control on the grid: the grid will come to the same settings as a trial.
                return self._propose(start.role, Assignment({}, start.changes), None)
            point = self._space.at(params)
            if start.role == "control" or self._unseen.admits(point):
                return self._propose(start.role, point, self._study.place(point.params))
        found = self._on_grid() if self._grid is not None else self._searched()
        if found is None:
            self.ended_early = self._why_there_are_no_more()
            return None
        return self._propose("trial", *found)

    def _on_grid(self) -> tuple[Assignment, None] | None:
        assert self._grid is not None
        return next(
            ((point, None) for point in self._grid if self._unseen.fits(point.changes)), None
        )

    def _searched(self) -> tuple[Assignment, optuna.Trial] | None:
        """A point for the sizes' sake, of the sampler, or, where it has no new one, any other."""
        if self._num_to_spread > 0:
            self._num_to_spread -= 1
            spread = self._spread.pick([p.changes for p in self._proposed], self._unseen.admits)
            if spread is not None:
                return spread, self._study.place(spread.params)
        for _ in range(MOST_REFUSED):
            asked, point = self._study.ask()
            if self._unseen.admits(point):
                return point, asked
            self._study.refuse(asked, self._unseen.sizes_out_of_bounds(point.changes))
        other = self._unseen.find()
        return None if other is None else (other, self._study.place(other.params))

    def _repeat(self, result: TrialResult) -> Proposal:
        """A trial that was cut short, as it was proposed then."""
        asked = None
        if self._grid is None and self._study.has(result.params):
            asked = self._study.place(result.params)
        assignment = Assignment(dict(result.params), dict(result.changes))
        return self._register(Proposal(result.point, result.role, assignment), asked)

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been proposed."""
        if self._again or any(start.role == "control" for start in self._starts):
            return False
        return self._num_left_to_search() <= 0 or self.ended_early is not None

    def tell(self, number: int, result: TrialResult) -> None:
        """The result of a proposal: a failed, stopped or unmeasured one is told as failed."""
        self._pending[number].result = result
        if self._search.batch is None:
            self._tell_now(self._pending.pop(number))
            return
        whole = self._in_batch >= self._search.batch or self.exhausted
        if whole and all(each.result is not None for each in self._pending.values()):
            self._in_batch = 0
            for key in sorted(self._pending):
                self._tell_now(self._pending.pop(key))

    def _num_left_to_search(self) -> float:
        return math.inf if self._num_trials is None else self._num_trials - self._num_searched

    def _batch_is_full(self) -> bool:
        """A batch is asked for whole before any of its results counts."""
        return self._search.batch is not None and self._in_batch >= self._search.batch

    def _propose(self, role: Role, assignment: Assignment, asked: optuna.Trial | None) -> Proposal:
        proposal = Proposal(self._next_number, role, assignment)
        self._next_number += 1
        self._num_searched += role == "trial"
        return self._register(proposal, asked)

    def _register(self, proposal: Proposal, asked: optuna.Trial | None) -> Proposal:
        self._in_batch += 1
        self._pending[proposal.number] = _Pending(proposal, asked)
        self._note(proposal.assignment)
        return proposal

    def _note(self, assignment: Assignment) -> None:
        self._unseen.add(assignment.params)
        if self._num_to_spread > 0:
            self._proposed.append(assignment)

    def _tell_now(self, pending: _Pending) -> None:
        if pending.asked is not None and pending.result is not None:
            self._study.tell(pending.asked, pending.result)

    def _remember(self, result: TrialResult) -> None:
        """Put an earlier result into the study, as if it had been asked for and told here."""
        self._next_number = max(self._next_number, result.point + 1)
        self._num_searched += result.role == "trial"
        others = deque(start for start in self._starts if not start.gave(result))
        if result.role == "trial" and len(others) == len(self._starts):
            self._num_to_spread -= 1
        self._starts = others
        if result.status not in ENDED:
            self._again.append(result)
            return
        self._learn(result)

    def _learn(self, result: TrialResult) -> None:
        """What came of a point, which is not to be proposed again."""
        self._note(Assignment(dict(result.params), dict(result.changes)))
        if self._study.has(result.params):
            self._study.add(result)

    def _why_there_are_no_more(self) -> str:
        of = "" if self._num_trials is None else f" of {self._num_trials}"
        proposed = f"the search ends after {self._num_searched}{of} trials"
        if self._unseen.num_out_of_bounds:
            return (
                f"{proposed}: no new point was found whose student meets the constraints on its "
                "size; widen the space or the constraints"
            )
        where = ", here or in the sweeps of warm_start" if self._knows_others else ""
        return f"{proposed}: every point of the space has been tried{where}"

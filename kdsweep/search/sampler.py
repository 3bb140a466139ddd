"""Who proposes the trials: controls, published defaults, then Optuna by ask and tell.

Why not Ray Tune's ``OptunaSearch``: with several objectives it leaves failed trials running for
ever, which the sampler then steers away from, and it tells crashed trials as complete.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from kdsweep.results.record import ENDED, Metric, Role, TrialResult
from kdsweep.search.optuna_terms import distribution, make_sampler, suggest
from kdsweep.search.starts import Start
from kdsweep.spec.space import Assignment
from kdsweep.spec.sweep import Bound
from kdsweep.sweep_file import Sweep


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

    First come ``starts`` (controls and published defaults), then ``search.trials`` in all that are
    no controls. With ``search.batch`` results are told in the order of the proposals and only
    when a whole batch is in, so that the sequence of trials is the same whatever finishes first.

    ``done`` are the records of an earlier process: what was complete or failed is known to the
    study, and what was cut short is proposed again first, under its own number.
    """

    def __init__(
        self, sweep: Sweep, starts: Sequence[Start], *, done: Sequence[TrialResult] = ()
    ) -> None:
        spec, space = sweep.spec, sweep.space
        done = [result for result in done if result.role != "teacher"]
        self._spec, self._space, self._search = spec, space, spec.search
        self._num_trials = sweep.num_trials
        self._dimensions = {d.name: d for d in space.dimensions()}
        self._study = optuna.create_study(
            study_name=spec.name,
            directions=[f"{d}imize" for d in spec.objectives.values()],
            sampler=make_sampler(spec.search, num_known=len(done)),
        )
        self._grid: Iterator[Assignment] | None = None
        if spec.search.sampler == "grid":
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
        start = self._starts.popleft() if self._starts else None
        if start is not None and start.params is None:
            return self._propose(start.role, Assignment({}, start.changes), None)
        if self._grid is not None:
            # A control on the grid: the grid will come to the same settings as a trial.
            return self._on_grid(start)
        if start is not None:
            self._study.enqueue_trial(dict(start.params or {}))
        asked = self._study.ask()
        assignment = self._space.resolve(lambda dimension: suggest(asked, dimension))
        role: Role = start.role if start is not None else "trial"
        return self._propose(role, assignment, asked)

    def _on_grid(self, start: Start | None) -> Proposal:
        assert self._grid is not None
        if start is not None:
            return self._propose(start.role, Assignment({}, start.changes), None)
        return self._propose("trial", next(self._grid), None)

    def _repeat(self, result: TrialResult) -> Proposal:
        """A trial that was cut short, as it was proposed then."""
        asked = None
        if self._grid is None and self._in_space(result):
            self._study.enqueue_trial(result.params)
            asked = self._study.ask()
            for name in result.params:
                suggest(asked, self._dimensions[name])
        assignment = Assignment(dict(result.params), dict(result.changes))
        return self._register(Proposal(result.point, result.role, assignment), asked)

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been proposed."""
        if self._again or any(start.role == "control" for start in self._starts):
            return False
        return self._num_left_to_search() <= 0

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
        return proposal

    def _tell_now(self, pending: _Pending) -> None:
        result, asked = pending.result, pending.asked
        if asked is None or result is None:
            return
        for name, value in user_attrs(result).items():
            asked.set_user_attr(name, value)
        values = objective_values(result, self._spec.objectives)
        if values is None:
            self._study.tell(asked, state=TrialState.FAIL)
            return
        for name, violation in violations(result, self._spec.constraints).items():
            asked.set_constraint(name, violation)
        self._study.tell(asked, values)

    def _remember(self, result: TrialResult) -> None:
        """Put an earlier result into the study, as if it had been asked for and told here."""
        self._next_number = max(self._next_number, result.point + 1)
        self._num_searched += result.role == "trial"
        self._starts = deque(s for s in self._starts if not s.gave(result))
        if result.status not in ENDED:
            self._again.append(result)
            return
        values = objective_values(result, self._spec.objectives)
        if not self._in_space(result):
            return
        self._study.add_trial(
            create_trial(
                state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                values=values,
                params=result.params,
                distributions={
                    name: distribution(self._dimensions[name]) for name in result.params
                },
                user_attrs=user_attrs(result),
                constraints=None if values is None else violations(result, self._spec.constraints),
            )
        )

    def _in_space(self, result: TrialResult) -> bool:
        return bool(result.params) and set(result.params) <= set(self._dimensions)


def objective_values(result: TrialResult, objectives: Iterable[str]) -> list[float] | None:
    """The result's objectives in order; ``None`` unless it has come to its end and all are finite.

    A pruned trial has values too: those that it is thought to have come to.
    """
    if result.status not in ("complete", "pruned"):
        return None
    values = [result.metrics.get(name, math.nan) for name in objectives]
    return values if all(map(math.isfinite, values)) else None


def user_attrs(result: TrialResult) -> dict[str, Any]:
    """What a study keeps of a trial beside its values; those of a pruned one are marked."""
    guessed = {"pruned_at_epoch": len(result.epochs)} if result.status == "pruned" else {}
    return {"trial_id": result.trial_id, **guessed}


def violations(result: TrialResult, constraints: Mapping[Metric, Bound]) -> dict[str, float]:
    """By how much each bound is missed; zero or less where it is met."""
    missed: dict[str, float] = {}
    for name, bound in constraints.items():
        value = result.metrics.get(name, math.nan)
        if bound.max is not None:
            missed[f"{name}.max"] = _violation(value - bound.max)
        if bound.min is not None:
            missed[f"{name}.min"] = _violation(bound.min - value)
    return missed


def _violation(excess: float) -> float:
    """What was not measured meets no bound; Optuna takes no NaN."""
    return math.inf if math.isnan(excess) else excess

"""What rungs are worth: hypervolume by the epochs that were trained, with them and without.

    no rungs       every trial trains to its end
    front rungs    a trial goes on if it is good for its size (kdsweep's rungs, as they come)
    dominated      the same rungs, but one goes on that few dominate, and the whole front
    ASHA           asynchronous successive halving by accuracy alone, as Ray Tune has it
    random         points at random in place of the sampler, with and without front rungs

on five problems: recorded curves of real trials on digits and on glyphs, of 20 and of 60 epochs
(benchmarks/curves; for a point the recorded trial that is nearest to it), and a made-up surface
with noise. Trials run by our own Sampler and Rungs, ``--lanes`` at a time; an epoch is the unit of
time. What counts is the area below the front of complete trials, accuracy over the logarithm of the
size.

``at N %`` is the hypervolume when so many of the epochs of the side without rungs are spent, in
percent of the best that the problem has; ``third / target`` what a third of the epochs gives of
the hypervolume that no rungs end with, and ``epochs`` how many of them a side needs for all of it,
medians over seeds (``-`` where most seeds never come to it). Seeds run side by side.
"""

import argparse
import heapq
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import curves
import measure
import samplers
import surface
from rung_rules import Dominated, LeadAlone

from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.search.rungs import Rung, Rungs
from kdsweep.search.sampler import Proposal, Sampler
from kdsweep.search.starts import starts
from kdsweep.spec import SearchSpec
from kdsweep.spec.dimension import Dimension
from kdsweep.spec.trial import PerRung
from kdsweep.sweep_file import Sweep, load

HERE = Path(__file__).parent
AT = (1 / 3, 2 / 3, 1.0)


@dataclass(frozen=True)
class Side:
    """How points are proposed, who is ended, and what the sampler is told of those."""

    sampler: str = "tpe"
    objectives: tuple[str, ...] | None = ("accuracy", "params")
    eta: float = 3.0
    told: str = "estimated"
    rungs: type[Rungs] = Rungs
    grace: int = 3


NO_RUNGS = "no rungs"
SIDES = {
    NO_RUNGS: Side(objectives=None),
    "front rungs": Side(),
    "dominated": Side(rungs=Dominated),
    "ASHA": Side(objectives=("accuracy",)),
    "random": Side("random", objectives=None),
    "random, front rungs": Side("random"),
}
VARIANTS = {
    "lead alone": Side(rungs=LeadAlone),
    "eta 2": Side(eta=2.0),
    "eta 4": Side(eta=4.0),
    "grace 1": Side(grace=1),
    "told as they were": Side(told="as it was"),
    "told as failed": Side(told="failed"),
}


Pair = tuple[float, float]
Trained = tuple[float, Sequence[float]]
"""The parameters of a student, and its accuracy after every epoch."""


@dataclass
class Problem:
    """A space, what comes of each point, and the share of the best front that some pairs have."""

    name: str
    sweep: Sweep
    rungs: tuple[int, ...]
    train: Callable[[Proposal, int], Trained]
    area: Callable[[Sequence[Pair]], float]
    forget: Callable[[], None] = lambda: None
    """Called before each course."""


def made_up() -> Problem:
    space = "conditional"
    best = samplers.reference(space)

    def train(proposal: Proposal, seed: int) -> Trained:
        changes = proposal.assignment.changes
        return surface.params(changes), surface.curve(changes, seed)

    return Problem(
        "made up", samplers.sweep_of(space), (1, 4, 11), train,
        area=lambda pairs: samplers.hypervolume(space, pairs) / best,
    )  # fmt: skip


class Recorded:
    """The nearest recorded trial for every point, each once as long as there are others."""

    def __init__(self, sweep: Sweep, found: Sequence[curves.Curve]) -> None:
        self._found, self._taken = found, set[int]()
        self._dimensions = {d.name: d for d in sweep.space.dimensions()}

    def forget(self) -> None:
        """All may be taken again."""
        self._taken.clear()

    def train(self, proposal: Proposal, seed: int) -> Trained:
        free = [i for i in range(len(self._found)) if i not in self._taken]
        free = free or list(range(len(self._found)))
        point = proposal.assignment.params
        best = min(free, key=lambda i: self._distance(point, self._found[i].point))
        self._taken.add(best)
        return self._found[best].params, self._found[best].accuracies

    def area(self, pairs: Sequence[Pair]) -> float:
        """Below the front, in shares of that of all recorded trials."""
        return self._area(pairs) / self._area([(e.params, e.accuracies[-1]) for e in self._found])

    def _area(self, pairs: Sequence[Pair]) -> float:
        most = max(math.log(each.params) for each in self._found) + 0.1
        total, best = 0.0, 0.0
        for size, accuracy in sorted(pairs):
            if accuracy > best:
                total += (accuracy - best) * (most - math.log(size))
                best = accuracy
        return total

    def _distance(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
        return sum(
            _apart(self._dimensions[name], one[name], other[name])
            if name in one and name in other else 1.0
            for name in one.keys() | other.keys()
        )  # fmt: skip


def _apart(dimension: Dimension, one: Any, other: Any) -> float:
    """0 where two values are the same, 1 where they are as far apart as can be, or of a choice.

    A student of another size is taken only where there is none of this one.
    """
    if dimension.path.startswith("student"):
        return 4.0 * (one != other)
    if dimension.kind == "choice":
        return float(one != other)
    scale = math.log if dimension.log else float
    return abs(scale(one) - scale(other)) / (scale(dimension.high) - scale(dimension.low))


def recorded(name: str, path: Path) -> Problem:
    table, sweep, schedule = HERE / "curves" / f"{name}.jsonl", load(path), curves.SCHEDULES[0]
    found = curves.read(table, schedule)
    if not found:
        raise SystemExit(f"{table} has no curves of the schedule {schedule!r}")
    rungs = PerRung.model_validate(curves.settings(schedule)).end_epochs(len(found[0].accuracies))
    known = Recorded(sweep, found)
    title = f"{name.partition('_')[0]}, {len(found)} of {len(found[0].accuracies)} epochs"
    return Problem(title, sweep, rungs, known.train, known.area, known.forget)


@dataclass(frozen=True)
class Ended:
    """A trial that trained to its end, and the epochs that all had trained until then."""

    at: int
    pair: Pair


def course(
    problem: Problem, side: Side, *, trials: int, epochs: int | None, seed: int, lanes: int
) -> tuple[list[Ended], int]:
    """The trials that came to their ends, and all epochs that were trained.

    Without ``epochs`` the sweep ends after ``trials``, else when so many epochs are trained.
    """
    problem.forget()
    most = trials if epochs is None else 100 * trials
    search = SearchSpec(sampler=side.sampler, trials=most, seed=seed)
    spec = problem.sweep.spec.model_copy(update={"search": search})
    sweep = replace(problem.sweep, spec=spec)
    sampler = Sampler(sweep, starts(sweep), sizes_of=lambda changes: None)
    wanted = {m: d for m, d in sweep.spec.objectives.items() if m in (side.objectives or ())}
    rungs = side.rungs(wanted, eta=side.eta)
    places = tuple(epoch for epoch in problem.rungs if epoch >= side.grace)
    running: list[tuple[int, int, Proposal, Trained, int]] = []
    ended: list[Ended] = []
    spent = now = 0
    while True:
        while len(running) < lanes and (proposal := sampler.ask()) is not None:
            trained = problem.train(proposal, seed)
            own = () if side.objectives is None or proposal.role == "control" else places
            length = len(trained[1])
            known = {"params": trained[0]}
            judged_at = [Rung(each, length) for each in own]
            rungs.enter(f"{proposal.number:05d}", sizes=known, rungs=judged_at)
            first = min((*own, length))
            heapq.heappush(running, (now + first, proposal.number, proposal, trained, first))
        if not running or (epochs is not None and spent >= epochs):
            return ended, spent
        now, number, proposal, trained, epoch = heapq.heappop(running)
        params, values = trained
        later = [each for each in (*places, len(values)) if each > epoch]
        before = max((each for each in places if each < epoch and side.objectives), default=0)
        spent += epoch - before if proposal.role != "control" else epoch
        told = _result(proposal, params, values[:epoch], len(values))
        if epoch == len(values):
            ended.append(Ended(spent, (params, values[-1])))
            rungs.ended(told)
            sampler.tell(number, told)
        elif rungs.judge(told.trial_id, told.epochs[-1]).goes_on:
            going = (now + later[0] - epoch, number, proposal, trained, later[0])
            heapq.heappush(running, going)
        else:
            sampler.tell(number, _as_told(told, side, rungs))


def _as_told(result: TrialResult, side: Side, rungs: Rungs) -> TrialResult:
    pruned = result.model_copy(update={"status": "pruned"})
    if side.told == "failed":
        return result.model_copy(update={"status": "failed"})
    return rungs.estimated(pruned) if side.told == "estimated" else pruned


def _result(proposal: Proposal, params: float, values: Sequence[float], length: int) -> TrialResult:
    return TrialResult(
        trial_id=f"{proposal.number:05d}",
        number=proposal.number,
        role=proposal.role,
        status="complete",
        name="simulated",
        trial={"train": {"epochs": length}},
        changes=proposal.assignment.changes,
        params=proposal.assignment.params,
        metrics={"accuracy": values[-1], "loss": 1 - values[-1], "params": params},
        epochs=tuple(
            EpochMetrics(epoch=n, accuracy=value, loss=1 - value, lr=0.0, seconds=0.0)
            for n, value in enumerate(values, start=1)
        ),
    )


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "made up": made_up,
    "digits": partial(recorded, "digits", HERE.parent / "search_spaces" / "digits.yaml"),
    "digits_60": partial(recorded, "digits_60", HERE.parent / "search_spaces" / "digits.yaml"),
    "glyphs": partial(recorded, "glyphs", HERE / "glyphs.yaml"),
    "glyphs_60": partial(recorded, "glyphs_60", HERE / "glyphs.yaml"),
}


@cache
def _problem(name: str) -> Problem:
    return PROBLEMS[name]()


def of_seed(name: str, trials: int, lanes: int, seed: int) -> dict[str, dict[str, Any]]:
    """For each side its hypervolumes at shares of the budget, and the epochs to the same."""
    problem = _problem(name)
    run = partial(course, problem, trials=trials, seed=seed, lanes=lanes)
    whole, budget = run(SIDES[NO_RUNGS], epochs=None)
    target = problem.area([each.pair for each in whole])
    found = {}
    for side_name, side in {**SIDES, **VARIANTS}.items():
        ended = whole
        if side_name != NO_RUNGS:
            ended, _ = run(side, epochs=budget)
        areas = [problem.area([e.pair for e in ended[: n + 1]]) for n in range(len(ended))]
        both = list(zip(ended, areas, strict=True))
        shares = [max((a for e, a in both if e.at <= at * budget), default=0) for at in AT]
        reached = next((e.at for e, a in both if a >= target), None)
        epochs = math.inf if reached is None else reached / budget
        found[side_name] = {"shares": shares, "target": target, "epochs": epochs}
    measure.say(f"{problem.name}: seed {seed}")
    return found


def options() -> argparse.Namespace:
    """The command line."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--lanes", type=int, default=2, help="trials at a time; default 2")
        parser.add_argument(
            "--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="some of them"
        )

    return measure.options(__doc__, trials=48, repeats=20, quick_trials=20, more=more)


def main() -> None:
    given = options()
    everything: dict[str, Any] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name in given.problems:
            one = partial(of_seed, name, given.trials, given.lanes)
            seeds = list(pool.map(one, range(given.repeats)))
            everything[name] = seeds
            rows = []
            for side in seeds[0]:
                found = [seed[side] for seed in seeds]
                cells = [
                    samplers.with_interval([each["shares"][i] for each in found])
                    for i in range(len(AT))
                ]
                third = statistics.median(each["shares"][0] / each["target"] for each in found)
                epochs = statistics.median(each["epochs"] for each in found)
                epochs_cell = "-" if math.isinf(epochs) else f"{epochs:.2f}"
                rows.append([side, *cells, f"{100 * third:.1f} %", epochs_cell])
            head = [f"{_problem(name).name}: side", *(f"at {100 * at:.0f} %" for at in AT)]
            measure.table([*head, "third / target", "epochs"], rows)
            print(flush=True)
    measure.report(given, everything)


if __name__ == "__main__":
    main()

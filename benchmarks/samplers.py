"""Which sampler finds the front in fewest trials: what ``sampler: auto`` goes by.

Each sampler proposes points of several spaces through kdsweep's own ``Sampler``, with several
trials in flight, and is told what the made-up surface of surface.py gives. What counts is the
hypervolume below the front that was found, at the accuracies without noise and by the logarithm of
the size, in percent of that below a front of many thousand points. Mean over seeds, with 95%.

  plain          without spreading the first trials over the sizes, known points trained again
  spread         the first trials after the starts spread over the sizes
  new            no point is trained twice
  tpe, gp, ...   both, as a sweep file that names the sampler gets it

Under each table is what ``sampler: auto`` takes there, and why.

A Gaussian process is slow: it has few seeds, few trials, and spaces of numbers alone.
"""

import heapq
import math
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import measure
import numpy as np
import surface

from kdsweep.results.record import TrialResult
from kdsweep.search.draws import draw
from kdsweep.search.sampler import Proposal, Sampler
from kdsweep.search.starts import starts
from kdsweep.spec import Assignment, SearchSpec, Space
from kdsweep.sweep_file import Sweep, load

LEAST_ACCURACY = 0.75
"""Students below it count for nothing."""

AT = (20, 40, 64)
LANES = (2, 8)
SLOW = 4
"""Seeds of other samplers for each of a Gaussian process, which takes up to a second to propose."""
MOST_SLOW_TRIALS = 40
SLOW_SPACES = ("2 numbers", "5 numbers")

HEAD = """
name: made-up
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 16, stages: 2}, train: {epochs: 1}}
  student: {name: cnn, width: 8, stages: 2, hidden: 32}
  train: {epochs: 24, lr: 3.0e-3}
space:
"""
KD = "{name: kd, temperature: {loguniform: [1, 20]}, alpha: {uniform: [0, 1]}}"
SPACES = {
    "conditional": f"""
  student.width: {{int: [2, 32], log: true}}
  student.stages: {{int: [1, 3]}}
  train.lr: {{loguniform: [1.0e-4, 1.0e-1]}}
  train.label_smoothing: {{uniform: [0, 0.3]}}
  strategy:
    choice:
      - none
      - {KD}
      - {{name: fitnet, weight: {{loguniform: [0.001, 100]}}}}
      - {{name: attention_transfer, weight: {{loguniform: [0.001, 100]}}}}
""",
    "2 numbers": """
  student.width: {int: [2, 32], log: true}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
""",
    "5 numbers": """
  student.width: {int: [2, 32], log: true}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
  train.label_smoothing: {uniform: [0, 0.3]}
  strategy.temperature: {loguniform: [1, 20]}
  strategy.alpha: {uniform: [0, 1]}
""",
    "numbers, choice": """
  student.width: {choice: [2, 4, 8, 16, 32]}
  student.stages: {int: [1, 3]}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
  strategy.temperature: {loguniform: [1, 20]}
""",
    "120 points": """
  student.width: {choice: [2, 4, 8, 16, 32]}
  student.stages: {int: [1, 3]}
  train.lr: {choice: [1.0e-3, 1.0e-2]}
  strategy: {choice: [none, {name: kd, temperature: {choice: [2, 4, 8]}}]}
""",
}


@dataclass(frozen=True)
class Side:
    """A sampler and what it is spared or given."""

    sampler: str
    spread: bool = True
    new: bool = True


SIDES = {
    "random": Side("random"),
    "nsga2": Side("nsga2"),
    "tpe plain": Side("tpe", spread=False, new=False),
    "tpe spread": Side("tpe", new=False),
    "tpe new": Side("tpe", spread=False),
    "tpe": Side("tpe"),
    "gp": Side("gp"),
}


class Repeating(Sampler):
    """Trains what it is proposed, known or not."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unseen.admits = lambda assignment: True  # type: ignore[method-assign]


@cache
def sweep_of(space: str) -> Sweep:
    if space == "digits.yaml":
        return load(Path(__file__).parent.parent / "search_spaces" / space)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sweep.yaml"
        path.write_text(HEAD + SPACES[space])
        return load(path)


def searched(space: str, sampler: Any, **search: int) -> Sweep:
    sweep = sweep_of(space)
    settings = SearchSpec(sampler=sampler, **search)
    return replace(sweep, spec=sweep.spec.model_copy(update={"search": settings}))


def sizes_of(changes: Mapping[str, Any]) -> dict[Any, float]:
    return {"params": surface.params(changes)}


def fronts(space: str, side: Side, *, lanes: int, seed: int, at: Sequence[int]) -> list[float]:
    """The share of the reference that the front has after so many trials, controls apart."""
    sweep = searched(space, side.sampler, trials=max(at), seed=seed)
    kind = Sampler if side.new else Repeating
    known = sizes_of if side.spread else lambda changes: None
    found = trained(kind(sweep, starts(sweep), sizes_of=known), lanes=lanes, seed=seed)
    best = reference(space)
    return [hypervolume(space, seen_front(found, first)) / best for first in at]


def trained(sampler: Sampler, *, lanes: int, seed: int) -> list[tuple[Proposal, float]]:
    """All proposals with the accuracies that were measured, in the order in which they ended."""
    clock = random.Random(seed)
    running: list[tuple[float, int, Proposal]] = []
    ended: list[tuple[Proposal, float]] = []
    now = 0.0
    while True:
        while len(running) < lanes and (proposal := sampler.ask()) is not None:
            heapq.heappush(running, (now + clock.uniform(1, 2), proposal.number, proposal))
        if not running:
            return ended
        now, _, proposal = heapq.heappop(running)
        accuracy, params = surface.evaluate(proposal.assignment.changes, seed)
        sampler.tell(proposal.number, result_of(proposal, accuracy, params))
        ended.append((proposal, accuracy))


def result_of(proposal: Proposal, accuracy: float, params: float) -> TrialResult:
    return TrialResult(
        trial_id=f"{proposal.number:05d}",
        number=proposal.number,
        role=proposal.role,
        status="complete",
        name="made up",
        trial={},
        changes=proposal.assignment.changes,
        params=proposal.assignment.params,
        metrics={"accuracy": accuracy, "params": params},
    )


Pair = tuple[float, float]


def seen_front(found: Sequence[tuple[Proposal, float]], first: int) -> list[Pair]:
    """Size and expected accuracy of the points that looked best among the first."""
    kept, searched = [], 0
    for proposal, accuracy in found:
        searched += proposal.role == "trial"
        if searched > first:
            break
        changes = proposal.assignment.changes
        kept.append((surface.params(changes), -accuracy, surface.expected(changes)))
    best, chosen = math.inf, []
    for size, error, true in sorted(kept):
        if error < best:
            best = error
            chosen.append((size, true))
    return chosen


def hypervolume(space: str, pairs: Sequence[Pair]) -> float:
    """The area below the best accuracy for every size, above the least."""
    high = math.log(limits(space)[1])
    area, best = 0.0, LEAST_ACCURACY
    for size, accuracy in sorted(pairs):
        if accuracy > best:
            area += (accuracy - best) * max(high - math.log(size), 0.0)
            best = accuracy
    return area


@cache
def many(space: str) -> list[tuple[float, float, Assignment]]:
    chance = np.random.default_rng(0)
    points = drawn(sweep_of(space).space, 20_000, chance)
    return [(surface.params(p.changes), surface.expected(p.changes), p) for p in points]


@cache
def limits(space: str) -> Pair:
    """A little more than the sizes of all students, so that the largest counts for something."""
    sizes = [size for size, _, _ in many(space)]
    return min(sizes), 1.5 * max(sizes)


@cache
def reference(space: str) -> float:
    """The hypervolume of a front of many points, each moved about to make it better."""
    best: dict[float, tuple[float, Assignment]] = {}
    for size, accuracy, point in many(space):
        if accuracy > best.get(size, (0.0, point))[0]:
            best[size] = (accuracy, point)
    top = 0.0
    for size in sorted(best):
        # Only what is near the front is worth the while.
        if best[size][0] >= top - 0.01:
            best[size] = improved(space, *best[size], size)
            top = max(top, best[size][0])
    return hypervolume(space, [(size, accuracy) for size, (accuracy, _) in best.items()])


def improved(
    space: str, accuracy: float, point: Assignment, size: float
) -> tuple[float, Assignment]:
    chance = np.random.default_rng(1)
    tree = sweep_of(space).space
    for _ in range(300):
        other = drawn(tree, 1, chance)[0].params
        mixed = tree.resolve(
            lambda d, other=other, now=point.params: nearby(d, now, other, chance)  # type: ignore[misc]
        )
        found = surface.expected(mixed.changes)
        if surface.params(mixed.changes) == size and found > accuracy:
            accuracy, point = found, mixed
    return accuracy, point


def nearby(dimension: Any, now: Mapping[str, Any], other: Mapping[str, Any], chance: Any) -> Any:
    """A little away from where it is; only real numbers move."""
    name = dimension.name
    if name not in now:
        return other[name] if name in other else draw(dimension, chance)
    if dimension.num_values is not None:
        return now[name]
    away = draw(dimension, chance)
    step = 0.3 * chance.random()
    if dimension.log:
        return math.exp((1 - step) * math.log(now[name]) + step * math.log(away))
    return (1 - step) * now[name] + step * away


def drawn(space: Space, number: int, chance: np.random.Generator) -> list[Assignment]:
    return [space.resolve(lambda dimension: draw(dimension, chance)) for _ in range(number)]


def with_interval(shares: Sequence[float]) -> str:
    """Mean and 95% interval, in percent."""
    mean = 100 * statistics.fmean(shares)
    if len(shares) < 2:
        return f"{mean:.1f}"
    error = 100 * 1.96 * statistics.stdev(shares) / math.sqrt(len(shares))
    return f"{mean:.1f} ±{error:.1f}"


def main() -> None:
    given = measure.options(__doc__, trials=max(AT), repeats=20, quick_trials=20)
    at = [each for each in AT if each <= given.trials] or [given.trials]
    found: dict[str, Any] = {}
    for space in ("digits.yaml", *SPACES):
        rows = []
        for name, side in SIDES.items():
            if side.sampler == "gp" and space not in SLOW_SPACES:
                continue
            rows.append(row(space, name, side, given.repeats, at, found))
        head = [f"in flight {lanes}: {trials}" for lanes in LANES for trials in at]
        measure.table(["hypervolume, %", *head, "s/run"], rows)
        chosen = searched(space, "auto", trials=max(at)).sampler
        print(f"auto: {chosen.name}: {chosen.why}\n", flush=True)
    measure.report(given, found)


def row(
    space: str, name: str, side: Side, repeats: int, at: Sequence[int], found: dict[str, Any]
) -> list[str]:
    """One sampler in one space, with each number of trials in flight."""
    num_shown = len(at)
    if side.sampler == "gp":
        repeats, at = max(repeats // SLOW, 1), [n for n in at if n <= MOST_SLOW_TRIALS] or at[:1]
    cells, began = [], time.process_time()
    for lanes in LANES:
        measure.say(f"{space}, {name}, {lanes} in flight, {repeats} seeds ...")
        runs = [fronts(space, side, lanes=lanes, seed=seed, at=at) for seed in range(repeats)]
        found[f"{space}, {name}, {lanes}"] = {"at": list(at), "runs": runs}
        shares = [with_interval([run[index] for run in runs]) for index in range(len(at))]
        cells += [*shares, *["-"] * (num_shown - len(at))]
    seconds = (time.process_time() - began) / (repeats * len(LANES))
    return [f"{space}: {name}", *cells, f"{seconds:.2f}"]


if __name__ == "__main__":
    main()

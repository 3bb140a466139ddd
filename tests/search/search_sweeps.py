"""Sweeps and made-up results for the tests of the search, which train nothing."""

import math
from dataclasses import replace

from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.search.replicated import ReplicatedSampler
from kdsweep.search.sampler import Sampler
from kdsweep.search.searcher import key_of
from kdsweep.search.starts import starts
from kdsweep.spec import SearchSpec

CONDITIONAL = """
name: conditional
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 1}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 1}
space:
  student.width: {choice: [2, 4, 8]}
  student.hidden: {int: [8, 32], step: 4}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
  strategy:
    choice:
      - {name: none}
      - {name: kd, temperature: {loguniform: [1, 20]}, alpha: {uniform: [0, 1]}}
      - {name: fitnet, weight: {loguniform: [0.01, 10]}}
"""

# 2 widths x (none + 2 alphas) = 6 points.
SMALL_GRID = """
name: gridded
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 1}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, alpha: 0.5}
  train: {epochs: 1}
space:
  student.width: {choice: [2, 4]}
  strategy: {choice: [none, {name: kd, alpha: {uniform: [0.25, 0.75]}}]}
search: {sampler: grid, grid_points: 2, trials: 100}
"""


def changed(sweep, **spec):
    """The sweep with other settings; a mapping ``search`` becomes settings."""
    if isinstance(spec.get("search"), dict):
        spec["search"] = SearchSpec(**spec["search"])
    return replace(sweep, spec=sweep.spec.model_copy(update=spec))


def metrics_of(proposal):
    """Made-up metrics that depend on the proposal alone."""
    drawn = proposal.assignment.params
    width = drawn.get("student.width", 4)
    lr = drawn.get("train.lr", 1e-3)
    accuracy = 1 - 0.5 / width - 0.05 * abs(math.log10(lr) + 2.5)
    return {
        "accuracy": accuracy,
        "loss": 1 - accuracy,
        "params": 100.0 * width + drawn.get("student.hidden", 12),
        "macs": 1000.0 * width,
        "size_bytes": 400.0 * width,
        "latency_ms": 0.1 * width,
    }


def result_of(proposal, *, status="complete", **metrics):
    """The record of a proposal; a metric that is ``None`` is missing."""
    found = metrics_of(proposal) | metrics
    return TrialResult(
        trial_id=key_of(proposal.number),
        number=proposal.number,
        point=proposal.number // proposal.replicates,
        replicate=proposal.replicate,
        replicates=proposal.replicates,
        role=proposal.role,
        status=status,
        name="made up",
        trial={},
        changes=proposal.assignment.changes,
        params=proposal.assignment.params,
        metrics={name: value for name, value in found.items() if value is not None},
    )


def unknown(changes):
    """Sizes of students that nobody knows before they are trained."""
    return None


def sampler_of(sweep, done=(), *, sizes_of=unknown):
    return Sampler(sweep, starts(sweep), sizes_of=sizes_of, done=done)


def replicated_of(sweep, done=(), *, sizes_of=unknown):
    return ReplicatedSampler(sweep, starts(sweep), sizes_of=sizes_of, done=done)


def ask_all(sampler, *, tell=result_of):
    """Ask and tell one at a time until there is no more."""
    found = []
    while (proposal := sampler.ask()) is not None:
        found.append(proposal)
        sampler.tell(proposal.number, tell(proposal))
    assert sampler.exhausted
    return found


def epoch(number, accuracy=0.5):
    return EpochMetrics(
        epoch=number, accuracy=accuracy, loss=1.0, train={"total": 2.0}, lr=0.1, seconds=0.5
    )

"""A made-up distillation problem: what a student would reach, without training one.

Only the order of points counts, and that it looks like the real thing: larger students err less,
with falling returns; every size and every strategy has its own best learning rate, temperature and
weight; small students gain from soft labels, larger ones from features as well; two seeds of one
point differ. A curve's early ranks agree with its last ones as those of 762 real trials on digits
did: about .55 at 1/12 of training, .85 at 1/4, .95 at 1/2.

A point is the ``changes`` of an assignment: values by dotted path of the trial.
"""

import math
import random
from collections.abc import Mapping
from typing import Any

EPOCHS = 24
CHANCE = 0.1
NOISE = 0.004
"""Standard deviation of the accuracy over seeds; of a student that errs much, more."""

Point = Mapping[str, Any]

_GAINS = {"none": 0.0, "kd": 0.18, "fitnet": 0.12, "attention_transfer": 0.08}
"""By what share of its error a strategy can lower a student's, at its best settings."""


def params(point: Point) -> float:
    """The number of parameters of the point's student."""
    width, stages = _of_student(point, "width", 8), _of_student(point, "stages", 2)
    hidden = _of_student(point, "hidden", 32)
    channels = [width * 2**stage for stage in range(int(stages))]
    convolutions = sum(
        9 * before * after + after for before, after in zip((1, *channels), channels, strict=False)
    )
    return float(convolutions + channels[-1] * 4 * hidden + hidden * 10 + hidden + 10)


def expected(point: Point) -> float:
    """The mean accuracy over seeds."""
    size = params(point)
    error = 0.01 + 0.12 * (size / 500.0) ** -0.7
    error *= 1 + 0.08 * (_of_student(point, "stages", 2) - 2) ** 2
    error *= 1 - _gain(point, math.log10(size))
    return max(1 - error * _slip(point, size), CHANCE)


def evaluate(point: Point, seed: int) -> tuple[float, float]:
    """The accuracy that a training of ``seed`` ends with, and the student's parameters."""
    return curve(point, seed)[-1], params(point)


def curve(point: Point, seed: int) -> list[float]:
    """The accuracy after each of ``EPOCHS`` epochs.

    A point is behind or ahead of what it ends with for the whole of its training, the more so the
    earlier: with a share ``s`` of it done by ``s ** -0.5 - 1``.
    """
    mean = expected(point)
    # Of the point and not of the seed: it is slow settings that start slowly.
    own = random.Random(repr(sorted(point.items())))
    luck = random.Random(f"{own.random()} {seed}")
    behind = 0.06 + 0.034 * own.gauss(0, 1)
    last = mean + luck.gauss(0, NOISE * (1 + 4 * (1 - mean)))
    values = []
    for epoch in range(1, EPOCHS + 1):
        share = epoch / EPOCHS
        jitter = luck.gauss(0, NOISE) if epoch < EPOCHS else 0.0
        value = last - behind * (share**-0.5 - 1) + jitter
        values.append(min(max(value, CHANCE), 1.0))
    return values


def _gain(point: Point, log_size: float) -> float:
    strategy = _strategy(point)
    gain = _GAINS[strategy["name"]] * _fit(strategy, log_size)
    for name, settings in strategy.get("extra", {}).items():
        gain += 0.5 * _GAINS[name] * _fit({"name": name, **(settings or {})}, log_size)
    return gain


def _fit(strategy: Mapping[str, Any], log_size: float) -> float:
    """1 at the best settings for a student of this size, below 0 where they do harm."""
    name = strategy["name"]
    if name == "none":
        return 0.0
    if name == "kd":
        # Small students cannot follow soft targets, nor do without the labels.
        softness = math.log(strategy.get("temperature", 4.0) / (1.5 * log_size - 2.0))
        share = strategy.get("alpha", 0.1) - (0.65 - 0.12 * log_size)
        return 1 - 0.9 * softness**2 - 4 * share**2
    best = 2 * (log_size - 3.5) if name == "fitnet" else -0.5
    large_enough = 1 / (1 + math.exp(-4 * (log_size - 3.3)))
    return large_enough * (1 - 0.5 * (math.log10(strategy.get("weight", 1.0)) - best) ** 2)


def _slip(point: Point, size: float) -> float:
    """By what the error grows where the training's own settings are not the best: 1 or more."""
    best = -1.6 - 0.25 * (math.log10(size) - 3)
    away = math.log10(point.get("train.lr", 3e-3)) - best
    # Above the best a training falls apart sooner than it gets slow below it.
    slip = 1 + (1.6 if away > 0 else 0.5) * away**2
    decay = math.log10(point.get("train.optimizer.weight_decay", 1e-3)) + 2.5
    return slip + 0.05 * decay**2 + 0.5 * (point.get("train.label_smoothing", 0.0) - 0.08) ** 2 * 20


def _of_student(point: Point, key: str, otherwise: float) -> float:
    whole = point.get("student")
    inside = whole.get(key, otherwise) if isinstance(whole, Mapping) else otherwise
    return float(point.get(f"student.{key}", inside))


def _strategy(point: Point) -> dict[str, Any]:
    given = point.get("strategy", {"name": "kd"})
    strategy = {"name": given} if isinstance(given, str) else dict(given)
    below = {path: value for path, value in point.items() if path.startswith("strategy.")}
    return strategy | {path.removeprefix("strategy."): value for path, value in below.items()}

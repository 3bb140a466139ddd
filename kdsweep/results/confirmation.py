"""What a confirmation has found: each student over fresh seeds, on test data that nobody chose by.

Everything follows from the records and from ``confirms`` in ``run.json``, at any time, also while
it runs: of what is not trained yet there is nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from kdsweep.errors import ResultError
from kdsweep.results.confirms import ConfirmedPoint, Confirms
from kdsweep.results.intervals import Summary, front_probabilities
from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import Objectives, is_feasible
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.replicates import merged
from kdsweep.results.store import RunStore

TEST_ACCURACY, TEST_LOSS = "test_accuracy", "test_loss"
_ON_TEST = {"accuracy": TEST_ACCURACY, "loss": TEST_LOSS}

OWN = "own control"
"""What the control of a student's own size is called among those that it is held against."""


@dataclass(frozen=True)
class Confirmed:
    """A point of a confirmation: what the sweep said, and what fresh seeds say.

    ``records`` are those of its seeds that have ended, ``result`` stands for all of them. ``minus``
    has the differences in test accuracy to controls of the same seeds, in pairs. ``on_front`` is
    how probably it is on the front of all points, by the bootstrap; none until all of these have
    ended, and where a seed of it failed or it does not meet the sweep's constraints.
    """

    point: ConfirmedPoint
    records: tuple[TrialResult, ...] = ()
    result: TrialResult | None = None
    minus: Mapping[str, Summary] = field(default_factory=dict)
    on_front: float | None = None

    @property
    def validation(self) -> Summary | None:
        """The accuracy on the sweep's validation data; none where they were learned from."""
        return self._of("accuracy")

    @property
    def test(self) -> Summary | None:
        """The accuracy on the test data."""
        return self._of(TEST_ACCURACY)

    @property
    def swept(self) -> float | None:
        """The accuracy that the sweep has found, on validation data."""
        return self.point.metrics.get("accuracy")

    @property
    def num_failed(self) -> int:
        """Seeds that came to no student."""
        return sum(record.status == "failed" for record in self.records)

    @property
    def optimism(self) -> float | None:
        """By how much the sweep's accuracy is above that of fresh seeds on the same data."""
        return _above(self.swept, self.validation)

    @property
    def optimism_on_test(self) -> float | None:
        """By how much the sweep's accuracy is above that of fresh seeds on test data."""
        return _above(self.swept, self.test)

    def _of(self, metric: str) -> Summary | None:
        values = tuple(_values(self.records, metric).values())
        return Summary(values) if values else None


@dataclass(frozen=True)
class Confirmation:
    """A whole confirmation; ``points`` are in the order of ``confirms``.

    ``teacher`` has ``accuracy`` (validation) and ``test_accuracy`` of the sweep's teacher, as far
    as they are known.
    """

    place: str
    meta: RunMeta
    confirms: Confirms
    points: tuple[Confirmed, ...]
    teacher: Mapping[str, float]
    opened: str | None
    """When the first of its students was measured on the test data, ISO 8601."""
    problems: tuple[str, ...] = ()

    @property
    def students(self) -> tuple[Confirmed, ...]:
        """Those that were chosen, in the order of the sweep's front."""
        return tuple(each for each in self.points if each.point.kind == "student")

    @property
    def controls(self) -> tuple[Confirmed, ...]:
        """All others: the sweep's controls, then the students' own."""
        return tuple(each for each in self.points if each.point.kind != "student")

    @property
    def num_ended(self) -> int:
        """Trainings that have come to an end, of ``confirms.num_trials``."""
        return sum(len(each.records) for each in self.points)

    @property
    def is_whole(self) -> bool:
        """Whether all of its trainings have ended."""
        return self.num_ended == self.confirms.num_trials

    @cached_property
    def optimism(self) -> Summary | None:
        """``Confirmed.optimism``, one value for each student."""
        return _summary([each.optimism for each in self.students])

    @cached_property
    def optimism_on_test(self) -> Summary | None:
        """``Confirmed.optimism_on_test``, one value for each student."""
        return _summary([each.optimism_on_test for each in self.students])

    @cached_property
    def of_controls_on_test(self) -> Summary | None:
        """By how much the sweep's controls, which nobody chose, are better on validation data.

        Both are of the same fresh seeds: it is how the two data sets differ. None where they have
        learned from the validation data.
        """
        controls = [each for each in self.controls if each.point.kind == "control"]
        swept = [None if each.validation is None else each.validation.mean for each in controls]
        return _summary([_above(v, each.test) for v, each in zip(swept, controls, strict=True)])


def confirmation(store: RunStore) -> Confirmation:
    """What the confirmation in a run directory has found so far.

    Raises:
        ResultError: the run is no confirmation.
    """
    meta, confirms = store.meta, store.meta.confirms
    if confirms is None:
        raise ResultError("is a sweep, and no confirmation of one", source=store.place)
    results = store.read()
    by_point: dict[int, list[TrialResult]] = {}
    for result in results:
        if result.role != "teacher" and result.status in ENDED:
            by_point.setdefault(result.point, []).append(result)
    records = [_in_order(by_point.get(place, [])) for place in range(len(confirms.points))]
    whole = [merged(each) if each else None for each in records]
    chances = _chances(records, whole, confirms, meta)
    points = tuple(
        Confirmed(point, found, result, _minus(place, records, confirms), chances.get(place))
        for place, (point, found, result) in enumerate(
            zip(confirms.points, records, whole, strict=True)
        )
    )
    return Confirmation(
        store.place, meta, confirms, points, _teacher(results, meta), opened(results),
        store.problems,
    )  # fmt: skip


def opened(results: Sequence[TrialResult]) -> str | None:
    """When the first of its students was measured on test data, ISO 8601; none while none was."""
    ends = [r.started + r.seconds for r in results if r.role != "teacher"
            and TEST_ACCURACY in r.metrics]  # fmt: skip
    if not ends:
        return None
    return datetime.fromtimestamp(min(ends), UTC).astimezone().isoformat(timespec="seconds")


def _in_order(records: list[TrialResult]) -> tuple[TrialResult, ...]:
    return tuple(sorted(records, key=lambda record: record.replicate))


def _values(records: Sequence[TrialResult], metric: str) -> dict[int, float]:
    """The finite values of a metric of complete records, by replicate."""
    found = ((r.replicate, r.metrics.get(metric, math.nan)) for r in records
             if r.status == "complete")  # fmt: skip
    return {replicate: value for replicate, value in found if math.isfinite(value)}


def _minus(
    place: int, records: Sequence[Sequence[TrialResult]], confirms: Confirms
) -> dict[str, Summary]:
    """What a point has more of test accuracy than its controls, seed by seed."""
    own, point = _values(records[place], TEST_ACCURACY), confirms.points[place]
    if point.kind == "own_control":
        return {}
    against = {name: other for name, other in confirms.controls.items() if other != place}
    if point.kind == "control":
        # The other way round it would be said twice.
        against = {name: other for name, other in against.items() if name == "none"}
    if point.own_control is not None:
        against = {OWN: point.own_control, **against}
    found = {}
    for name, other in against.items():
        theirs = _values(records[other], TEST_ACCURACY)
        pairs = tuple(own[seed] - theirs[seed] for seed in sorted(own) if seed in theirs)
        if pairs:
            found[name] = Summary(pairs)
    return found


def _chances(
    records: Sequence[Sequence[TrialResult]],
    whole: Sequence[TrialResult | None],
    confirms: Confirms,
    meta: RunMeta,
) -> dict[int, float]:
    """How probably each point is on the front; of none while a seed of any is missing."""
    rows: dict[int, list[list[float]]] = {}
    for place, (found, result) in enumerate(zip(records, whole, strict=True)):
        if result is None or len(found) < len(confirms.seeds):
            return {}
        on_test = {name: result.metrics.get(test, math.nan) for name, test in _ON_TEST.items()}
        shown = result.model_copy(update={"metrics": {**result.metrics, **on_test}})
        values = [_minimised(each, meta.objectives) for each in found]
        if np.isfinite(values).all() and is_feasible(shown, meta.constraints):
            rows[place] = values
    if not rows:
        return {}
    chances = front_probabilities(np.array(list(rows.values()), dtype=np.float64))
    return dict(zip(rows, map(float, chances), strict=True))


def _minimised(record: TrialResult, objectives: Objectives) -> list[float]:
    """The objectives of a record, those of validation as they are on test data."""
    if record.status != "complete":
        return [math.nan] * len(objectives)
    return [
        (-1 if direction == "max" else 1) * record.metrics.get(_ON_TEST.get(name, name), math.nan)
        for name, direction in objectives.items()
    ]


def _teacher(results: Sequence[TrialResult], meta: RunMeta) -> dict[str, float]:
    """Of the sweep's own teacher, though students may have had others."""
    digest = "" if meta.teacher is None else meta.teacher.hash[:8]
    own = next((r for r in results if r.trial_id == f"teacher-{digest}"), None)
    metrics = {} if own is None else own.metrics
    return {name: metrics[name] for name in ("accuracy", TEST_ACCURACY) if name in metrics}


def _above(swept: float | None, now: Summary | None) -> float | None:
    return None if swept is None or now is None else swept - now.mean


def _summary(values: Sequence[float | None]) -> Summary | None:
    known = tuple(value for value in values if value is not None)
    return Summary(known) if known else None

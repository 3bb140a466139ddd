"""What a confirmation has found, in MLflow's terms, for the run of its sweep."""

import math
from collections.abc import Mapping

from kdsweep.results.confirmation import OWN, Confirmation
from kdsweep.tracking.entities import TAG_LENGTH, Point, end_ms


def confirmation_points(
    found: Confirmation, known: Mapping[str, float] | None = None, *, now_ms: int = 0
) -> list[Point]:
    """What a confirmation has found, for the run of its sweep: few numbers, all on test data.

    ``known`` is what that has already. What is the same is left out; what is of another
    confirmation is replaced, for which its time must be later, or is NaN where this one has no
    such number: MLflow cannot take a metric away.
    """
    tests = [each.test.mean for each in found.students if each.test is not None]
    minus = [each.minus[OWN].mean for each in found.students if OWN in each.minus]
    values = {
        "confirm.students": len(found.students),
        "confirm.seeds": len(found.confirms.seeds),
        "confirm.best.test_accuracy": max(tests, default=None),
        "confirm.mean.minus_own_control": math.fsum(minus) / len(minus) if minus else None,
        "confirm.optimism": None if found.optimism is None else found.optimism.mean,
        "confirm.optimism_on_test": None if found.optimism_on_test is None
        else found.optimism_on_test.mean,
        "confirm.teacher.test_accuracy": found.teacher.get("test_accuracy"),
    }  # fmt: skip
    records = [record for each in found.points for record in each.records]
    at = max((end_ms(record) for record in records), default=0)
    points = []
    for name, value in values.items():
        before = (known or {}).get(name)
        new = math.nan if value is None and before is not None else value
        if new is not None and before is None:
            points.append((name, float(new), at, 0))
        elif new is not None and before is not None and not _are_same(new, before):
            points.append((name, float(new), max(at, now_ms), 0))
    return points


def _are_same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def confirmation_tags(found: Confirmation) -> dict[str, str]:
    """Which run has confirmed a sweep."""
    return {"confirmed_by": found.meta.name[:TAG_LENGTH]}

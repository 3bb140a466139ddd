"""Bounds on sizes that no student of the space can meet: its sizes are known untrained."""

from collections.abc import Mapping, Sequence

from kdsweep.spec import Metric, Space, SweepSpec
from kdsweep.spec.sweep import Bound
from kdsweep.sweep_file.corners import has_all_student_corners
from kdsweep.sweep_file.fit import Measured


def unmet_bounds(spec: SweepSpec, space: Space, students: Sequence[Measured]) -> list[str]:
    """A sentence for each bound that lies beyond the ``students`` at the corners of the space.

    Where they are not all combinations of choices and ends nothing is said: one of the others may
    be smaller, or larger.
    """
    if not students or not has_all_student_corners(space):
        return []
    found = []
    for metric, bound in spec.constraints.items():
        sizes = [student.sizes[metric] for student in students if metric in student.sizes]
        if sizes and bound.max is not None and min(sizes) > bound.max:
            found.append(
                f"constraints.{metric}.max: {bound.max:,.10g} is less than the smallest student of "
                f"the space has ({min(sizes):,.0f}); raise it, or let the space make smaller ones"
            )
        if sizes and bound.min is not None and max(sizes) < bound.min:
            found.append(
                f"constraints.{metric}.min: {bound.min:,.10g} is more than the largest student of "
                f"the space has ({max(sizes):,.0f}); lower it, or let the space make larger ones"
            )
    if (
        not found
        and _all_are_known(space)
        and all(misses(each.sizes, spec.constraints) for each in students)
    ):
        found.append(
            f"constraints: none of the {len(students)} students of the space is within all of "
            f"{', '.join(spec.constraints)}; widen them, or the space"
        )
    return found


def _all_are_known(space: Space) -> bool:
    """Whether the corners are all students that the space has: its ranges have no inside."""
    student = space.under("student")
    return student.num_points == student.grid_size(2)


def misses(sizes: Mapping[Metric, float] | None, bounds: Mapping[Metric, Bound]) -> list[str]:
    """Which bounds on sizes a student breaks, in words; a bound on anything else is left open."""
    found = []
    for name, value in (sizes or {}).items():
        bound = bounds.get(name)
        if bound is not None and bound.max is not None and value > bound.max:
            found.append(f"{name} {value:,.0f} is above {bound.max:,.10g}")
        if bound is not None and bound.min is not None and value < bound.min:
            found.append(f"{name} {value:,.0f} is below {bound.min:,.10g}")
    return found

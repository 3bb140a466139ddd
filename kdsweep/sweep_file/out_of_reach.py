"""Bounds on sizes that no student of the space can meet: its sizes are known untrained."""

from collections.abc import Sequence

from kdsweep.spec import Space, SweepSpec
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
    if not found and _all_are_known(space) and not any(_within(spec, each) for each in students):
        found.append(
            f"constraints: none of the {len(students)} students of the space is within all of "
            f"{', '.join(spec.constraints)}; widen them, or the space"
        )
    return found


def _all_are_known(space: Space) -> bool:
    """Whether the corners are all students that the space has: its ranges have no inside."""
    student = space.under("student")
    return student.num_points == student.grid_size(2)


def _within(spec: SweepSpec, student: Measured) -> bool:
    """Whether the sizes that are known meet their bounds; what is not known is left open."""
    return all(
        (bound.min is None or student.sizes[metric] >= bound.min)
        and (bound.max is None or student.sizes[metric] <= bound.max)
        for metric, bound in spec.constraints.items() if metric in student.sizes
    )  # fmt: skip

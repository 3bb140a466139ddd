"""Data sets and teachers of a space beside those at its corners, where everything is built."""

from collections.abc import Collection

from kdsweep.errors import SpecError
from kdsweep.spec import Space, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.parts import part_key
from kdsweep.sweep_file.resolve import resolved

_MOST_LISTED = 256


def unseen_parts(
    name: str, trial: TrialSpec, space: Space, *, seen: Collection[str], num_trials: int
) -> tuple[list[TrialSpec], int]:
    """Trials of the data sets with a teacher of that name that are not among ``seen``.

    ``seen`` are their ``part_key``. With them comes how many of them can be, one for each of
    ``num_trials`` at most; where they are too many to list there is the number alone.
    """
    path = MAIN_TEACHER if name == MAIN_TEACHER else f"teachers.{name}"
    own = space.under("data", path)
    num_points = own.num_points
    if num_points is None or num_points > _MOST_LISTED:
        return [], num_trials if num_points is None else min(num_points, num_trials)
    found: dict[str, TrialSpec] = {}
    for point in own.points():
        try:
            changed = TrialSpec.model_validate(resolved(put(trial, point.changes)))
            found.setdefault(part_key(changed, name), changed)
        except (SpecError, KeyError):
            continue  # fails as it starts, or has no teacher of that name
    left = [each for key, each in found.items() if key not in seen]
    return left, min(len(left), num_trials)

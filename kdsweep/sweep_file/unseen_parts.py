"""Data sets and teachers of a space beside those at its corners, where everything is built."""

from collections.abc import Collection

from kdsweep.errors import SpecError
from kdsweep.spec import Space, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.parts import part_key
from kdsweep.sweep_file.resolve import resolved

_MOST_LISTED = 512


def num_unseen(
    name: str, trial: TrialSpec, space: Space, *, seen: Collection[str], num_trials: int
) -> int:
    """How many data sets with a teacher of that name trials may have that are not among ``seen``.

    At most one for each of ``num_trials``; ``seen`` are their ``part_key``.
    """
    path = MAIN_TEACHER if name == MAIN_TEACHER else f"teachers.{name}"
    own = space.under("data", path)
    num_points = own.num_points
    if num_points is None:
        return num_trials
    if num_points > _MOST_LISTED:
        return min(num_points, num_trials)
    keys: set[str] = set()
    for point in own.points():
        try:
            changed = put(trial, point.changes)
            keys.add(part_key(TrialSpec.model_validate(resolved(changed)), name))
        except (SpecError, KeyError):
            continue  # fails as it starts, or has no teacher of that name
    return min(len(keys - set(seen)), num_trials)

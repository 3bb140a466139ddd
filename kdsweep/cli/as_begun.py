"""A sweep is gone on with as it began: from the same directory, with the same teacher."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsweep.results.store import RunStore
    from kdsweep.sweep_file import Sweep


@contextmanager
def from_where_it_was_started(store: "RunStore") -> Iterator[None]:
    """What a file says of paths is meant from there: the errors of loading it name the place."""
    from kdsweep.errors import SpecError

    started = store.meta.started_in
    try:
        yield
    except SpecError as error:
        if not started or started == str(Path.cwd()):
            raise
        hint = (
            f"the sweep was started in {started}, and relative paths in its file are meant from "
            f"there: call the command there if it is a path that is wrong"
        )
        raise SpecError([*error.problems, hint], source=error.source) from None


def refuse_another_teacher(sweep: "Sweep", expected: Mapping[str, Any], place: str) -> None:
    """Where this machine can tell, nothing needs to be started to find out.

    Raises:
        ResultError: of the data that the run began with, its teacher would be another.
    """
    from kdsweep.errors import ResultError
    from kdsweep.spec.trial import MAIN_TEACHER
    from kdsweep.train.changed import changed_since

    teacher = sweep.spec.trial.all_teachers.get(MAIN_TEACHER)
    if teacher is None or not {"data", "teacher"} <= set(expected):
        return
    if teacher.weights is not None and not Path(teacher.weights).expanduser().is_file():
        return  # it may lie on the machines of a cluster
    changed = changed_since(expected, expected["data"], teacher)
    if changed:
        raise ResultError(changed, source=place)

"""A sweep file, or the file of one trial -> settings, everything checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kdsweep.data.base import DataInfo
from kdsweep.data.survey import Survey
from kdsweep.errors import SpecError
from kdsweep.spec import Label, Metric, Settings, Space, SweepSpec, TrialSpec
from kdsweep.spec.automatic import Chosen, choose
from kdsweep.spec.dimension import same
from kdsweep.spec.problems import sentences
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.components import coerced
from kdsweep.sweep_file.controls import controls
from kdsweep.sweep_file.corners import corner_problems, students, trial_problems
from kdsweep.sweep_file.fit import Fitting, FittingElsewhere, Measured
from kdsweep.sweep_file.out_of_reach import unmet_bounds
from kdsweep.sweep_file.pairs import Pairing, pair_up
from kdsweep.sweep_file.partial import Partial, partial
from kdsweep.sweep_file.read import parse_yaml, read_text
from kdsweep.sweep_file.resolve import defaults, resolved
from kdsweep.sweep_file.set_paths import NO_SETTINGS, put_settings
from kdsweep.sweep_file.stored import StoredPlan, for_outputs, most_epochs, plans, settled

MANY_TRIALS = 1000
"""How many a sweep is taken to have at most where only a budget ends it."""

_Model = TypeVar("_Model", bound=BaseModel)


class TrialFile(Settings):
    """A file with one trial alone: what every trial of a sweep writes."""

    name: str = ""
    description: str = ""
    trial: TrialSpec


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file: what it says, its space as a tree, its text, and what it measured.

    ``students`` are the networks at the corners of the space and the trial's own, smallest first;
    ``info`` is of the trial's own data, ``pairing`` of what strategies and networks are together,
    ``outputs`` of what is stored of each teacher, which the trial in ``spec`` says by now.
    """

    spec: SweepSpec
    space: Space
    text: str
    path: Path
    info: DataInfo
    students: tuple[Measured, ...]
    pairing: Pairing
    outputs: tuple[StoredPlan, ...]
    fitting: Fitting = field(repr=False, compare=False)

    @property
    def sampler(self) -> Chosen:
        """Who proposes the trials, and why."""
        return choose(self.space, self.spec.search)

    @property
    def num_trials(self) -> int | None:
        """How many trials the sampler proposes, controls apart; none where a budget decides.

        No point comes twice, so that a space of few points, or a grid, ends by itself.
        """
        search = self.spec.search
        most = search.trials if search.has_most_trials else None
        if search.sampler == "grid":
            num_points: int | None = self.space.grid_size(search.grid_points)
        else:
            num_points = self.space.num_points
            num_points = None if num_points is None else num_points - self._held
        limits = [each for each in (most, num_points) if each is not None]
        return min(limits, default=None)

    @cached_property
    def _held(self) -> int:
        """How many of the controls lie in the space, each at a place of its own."""
        trials = controls(self.spec.trial, self.info).values()
        return sum(self.locate(trial) is not None for trial in trials)

    def sizes_of(self, changes: Mapping[str, Any]) -> dict[Metric, float] | None:
        """The sizes of a student that is not trained yet; ``None`` if it cannot be built."""
        relevant = {path: value for path, value in changes.items() if sets_student(path)}
        try:
            student = self.fitting.student(put(self.spec.trial, relevant))
        except SpecError:
            return None
        return student.sizes if isinstance(student, Measured) else None

    def locate(self, trial: TrialSpec) -> dict[str, Label] | None:
        """What the sampler would have drawn to get ``trial``; ``None`` where it cannot."""
        wanted = resolved(trial)
        params = self.space.locate(wanted, defaults=defaults)
        if params is None:
            return None
        # What the space does not vary is as in the sweep's own trial, or it is another trial.
        point = self.space.at(params)
        return params if same(resolved(put(self.spec.trial, point.changes)), wanted) else None


def sets_student(path: str) -> bool:
    """Whether what is at a path of the trial can make a student of another size."""
    return path.partition(".")[0] in ("student", "data")


@dataclass(frozen=True)
class CheckedTrial:
    """The file of one trial, checked: what it says, and what was found of its data and student.

    ``outputs`` is what will be stored of each teacher that it reads, ``survey`` what there is of
    its data, where that is known before they are loaded.
    """

    trial: TrialSpec
    path: Path
    info: DataInfo
    student: Measured
    outputs: tuple[StoredPlan, ...]
    survey: Survey | None


def load(path: str | Path) -> Sweep:
    """Read a sweep file and check all of it: settings, space, and every corner of the space.

    Raises:
        SpecError: every problem of the file, each with its path, its value and what is allowed.
    """
    return _load(Path(path), Fitting())


def load_for_elsewhere(path: str | Path) -> Sweep:
    """As ``load``, for a sweep whose data and weights are on another machine.

    Raises:
        SpecError: every problem of the file, but for files of data sets that are well known, and
            weights, which are not looked for.
    """
    return _load(Path(path), FittingElsewhere())


def _load(path: Path, fitting: Fitting) -> Sweep:
    text = read_text(path)
    raw, problems = _parse(text, path)
    if set(raw) == {"trial"}:
        raise SpecError(
            "is the file of one trial, with nothing to vary: check it with `kdsweep check`, train "
            f"it with `kdsweep trial {path}`, or give it a name and a space",
            source=path,
        )
    spec, more = _validated(SweepSpec, raw)
    problems += more
    space, more = _space(raw)
    problems += more
    left = partial(raw.get("trial"))
    problems += _written_as_text(left)
    if left.trial is not None:
        base = trial_problems(left.trial, fitting)
        problems += [f"trial.{problem}" for problem in left.without_echoes(base)]
        if space is not None:
            at_corners = corner_problems(left.trial, left.space_left(space), fitting, known=base)
            problems += left.without_echoes(at_corners)
    pairing = _paired(left, space, fitting)
    problems = list(dict.fromkeys([*problems, *pairing.problems]))
    if problems or spec is None or space is None:
        raise SpecError(problems, source=path)
    info = fitting.info(spec.trial.data)
    if not isinstance(info, DataInfo):
        raise SpecError(info, source=path)
    measured, epochs = students(spec.trial, space, fitting), most_epochs(spec.trial, space)
    unmet = unmet_bounds(spec, space, measured)
    if unmet:
        raise SpecError(unmet, source=path)
    search = spec.search
    most = search.trials if search.has_most_trials else MANY_TRIALS
    outputs = plans(
        spec.trial, fitting.wanted, epochs=epochs, values_of=fitting.teacher_values,
        space=space, num_trials=most, max_bytes=for_outputs(spec.storage.max_bytes),
    )  # fmt: skip
    spec = spec.model_copy(update={"trial": settled(spec.trial, outputs)})
    return Sweep(spec, space, text, path, info, measured, pairing, outputs, fitting)


def load_trial(path: str | Path, settings: Mapping[str, Any] = NO_SETTINGS) -> TrialSpec:
    """Read the trial of a sweep file, or of a trial file, and check it; the space is left alone.

    ``settings`` are put into it first, by their dotted paths.

    Raises:
        SpecError: every problem of the trial.
    """
    return _load_trial(Path(path), Fitting(), settings)


def check_trial_file(path: str | Path, *, elsewhere: bool = False) -> CheckedTrial | None:
    """Check the file of one trial alone; ``None`` if it is another file.

    With ``elsewhere`` data and weights are not looked for, as in ``load_for_elsewhere``.

    Raises:
        SpecError: it cannot be read, or every problem of the trial.
    """
    path = Path(path)
    raw, _ = _parse(read_text(path), path)
    if set(raw) != {"trial"}:
        return None
    fitting = FittingElsewhere() if elsewhere else Fitting()
    trial = _load_trial(path, fitting)
    info, student = fitting.info(trial.data), fitting.student(trial)
    # Both have been made already: what is wrong with them has been raised.
    assert isinstance(info, DataInfo)
    assert isinstance(student, Measured)
    outputs = plans(
        trial, fitting.wanted, epochs=trial.train.epochs, values_of=fitting.teacher_values
    )
    return CheckedTrial(trial, path, info, student, outputs, fitting.survey(trial))


def _load_trial(
    path: Path, fitting: Fitting, settings: Mapping[str, Any] = NO_SETTINGS
) -> TrialSpec:
    raw, problems = _parse(read_text(path), path)
    put_settings(raw, settings)
    of_a_sweep = set(raw) & (set(SweepSpec.model_fields) - set(TrialFile.model_fields))
    spec, more = _validated(SweepSpec if of_a_sweep else TrialFile, raw)
    problems += more
    left = partial(raw.get("trial"))
    problems += _written_as_text(left)
    if left.trial is not None:
        found = left.without_echoes(trial_problems(left.trial, fitting))
        problems += [f"trial.{problem}" for problem in found]
        if not left.taken:
            unsuited = fitting.strategy_problems(left.trial) or ()
            problems += [f"trial.{problem}" for problem in unsuited]
    problems = list(dict.fromkeys(problems))
    if problems or left.trial is None or spec is None:
        raise SpecError(problems, source=path)
    return left.trial


def _paired(left: Partial, space: Space | None, fitting: Fitting) -> Pairing:
    """Strategies and networks together, if no setting was refused: what is left suits nobody."""
    if left.trial is None or left.taken or space is None:
        return Pairing()
    return pair_up(left.trial, space, fitting)


def _parse(text: str, path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        return parse_yaml(text)
    except SpecError as error:
        raise SpecError(error.problems, source=path) from None


def _validated(model: type[_Model], raw: Mapping[str, Any]) -> tuple[_Model | None, list[str]]:
    try:
        spec = model.model_validate(raw)
    except ValidationError as error:
        return None, sentences(error, model)
    without_space = {key: value for key, value in raw.items() if key != "space"}
    return spec, list(coerced(without_space, spec.model_dump(), ""))


def _space(raw: Mapping[str, Any]) -> tuple[Space | None, list[str]]:
    given = raw.get("space")
    if not isinstance(given, Mapping):
        return None, []  # the settings have complained
    if not given:
        return None, [
            "space: is empty: name a path of the trial to vary, "
            "or run the trial alone with `kdsweep trial FILE`"
        ]
    space, problems = _parsed(given)
    if space is None:
        # One range that is wrong must not hide what the others would show at their corners.
        good = {path: form for path, form in given.items() if _parsed({path: form})[0]}
        space = _parsed(good)[0]
    return space, problems


def _parsed(given: Mapping[Any, Any]) -> tuple[Space | None, list[str]]:
    try:
        return Space.parse(given), []
    except SpecError as error:
        return None, list(error.problems)


def _written_as_text(left: Partial) -> list[str]:
    return list(coerced(left.given, left.trial.model_dump(), "trial")) if left.trial else []

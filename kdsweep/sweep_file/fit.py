"""Whether the networks of a trial take its images, and how large they are: nothing is trained."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kdsweep import catalog
from kdsweep.data.base import DataInfo, DataSet, Extent
from kdsweep.data.survey import Survey
from kdsweep.errors import SpecError
from kdsweep.models.size import sizes
from kdsweep.spec import Component, Metric, TeacherSpec, TrialSpec
from kdsweep.sweep_file.components import component_problems, teacher_paths
from kdsweep.sweep_file.rehearsal import Rehearsal
from kdsweep.sweep_file.stored import Wanted
from kdsweep.sweep_file.training_data import training_data_are_read
from kdsweep.sweep_file.weights import Shapes, mismatch, shapes_in

_MOST_NAMED = 10
"""Classes in a sentence."""


@dataclass(frozen=True)
class Measured:
    """A network as the trial names it, and its size: parameters, multiply-adds, bytes."""

    component: Component
    params: int
    macs: int
    size_bytes: int

    @property
    def sizes(self) -> dict[Metric, float]:
        """The size by the names of the metrics, without the network."""
        return {"params": self.params, "macs": self.macs, "size_bytes": self.size_bytes}


class Fitting:
    """Builds each network once for each kind of images, and keeps what was found."""

    def __init__(self) -> None:
        self._infos: dict[str, DataInfo | list[str]] = {}
        self._surveys: dict[tuple[str, bool], Survey | list[str] | None] = {}
        self._networks: dict[tuple[str, str], Measured | list[str]] = {}
        self._weights: dict[tuple[str, str, str], list[str]] = {}
        self._extents: dict[str, Extent | None] = {}
        self._values: dict[str, Mapping[str, int]] = {}
        self._rehearsal = Rehearsal()
        self.wanted: list[Wanted] = []
        """Of every trial without ``strategy_problems``, what it asks of its teachers."""

    def student(self, trial: TrialSpec) -> Measured | list[str]:
        """The student's size, or what keeps it from the trial's data."""
        info = self.info(trial.data)
        if isinstance(info, list):
            return _under_data(info)
        student = self._network(trial.student, trial.data, info)
        if isinstance(student, list):
            return [f"student: {problem}" for problem in student]
        return student

    def teacher_problems(self, trial: TrialSpec) -> list[str]:
        """What keeps each teacher from the trial's data, or its weights from it."""
        info = self.info(trial.data)
        if isinstance(info, list):
            return _under_data(info)
        return [
            f"{path}.{problem}"
            for path, teacher in teacher_paths(trial)
            for problem in self._teacher(teacher, trial.data, info)
        ]

    def strategy_problems(self, trial: TrialSpec) -> list[str] | None:
        """Why the trial's strategies cannot be built for its networks, by dotted path.

        ``None`` where something else is wrong with the trial, which is to be mended first.
        """
        info = self.info(trial.data)
        if component_problems(trial) or isinstance(info, list):
            return None
        if isinstance(self.student(trial), list) or self.teacher_problems(trial):
            return None
        problems = self._rehearsal.problems(trial, info)
        if not problems:
            extent = self._extent(trial.data)
            self.wanted.append(Wanted(trial, self._rehearsal.asked(trial), extent))
        return problems

    def teacher_values(self, trial: TrialSpec, name: str) -> Mapping[str, int]:
        """Values for each example of one of the trial's teachers, by module path, and its logits.

        Nothing where it cannot be built.
        """
        info, model = self.info(trial.data), trial.all_teachers[name].model
        if isinstance(info, list):
            return {}
        key = f"{_key(model)} {info.identity}"
        if key not in self._values:
            try:
                self._values[key] = self._rehearsal.values(model, trial, info)
            except SpecError:
                self._values[key] = {}
        return self._values[key]

    def info(self, data: Component) -> DataInfo | list[str]:
        """What the data set says of itself, or why it cannot be used."""
        key = _key(data)
        if key not in self._infos:
            try:
                self._infos[key] = self._described(catalog.dataset(data))
            except SpecError as error:
                self._infos[key] = [p.removeprefix("data: ") for p in error.problems]
        return self._infos[key]

    def data_problems(self, trial: TrialSpec) -> list[str]:
        """What is wrong with the files of the trial's data, so far as that shows without training.

        Nothing where it is wrong already to make a data set of them.
        """
        found = self._surveyed(trial)
        return _under_data(found) if isinstance(found, list) else []

    def survey(self, trial: TrialSpec) -> Survey | None:
        """What there is of the trial's data; ``None`` where only loading them tells."""
        found = self._surveyed(trial)
        return None if isinstance(found, list) else found

    def _surveyed(self, trial: TrialSpec) -> Survey | list[str] | None:
        if isinstance(self.info(trial.data), list):
            return None
        training = _reads_training_data(trial)
        key = (_key(trial.data), training)
        if key not in self._surveys:
            # One data set for both: what it has listed for the first serves the other.
            dataset = catalog.dataset(trial.data)
            self._extents[key[0]] = self._counted(dataset)
            try:
                self._surveys[key] = self._looked_at(dataset, training=training)
            except SpecError as error:
                self._surveys[key] = list(error.problems)
        return self._surveys[key]

    def _extent(self, data: Component) -> Extent | None:
        key = _key(data)
        if key not in self._extents:
            self._extents[key] = self._counted(catalog.dataset(data))
        return self._extents[key]

    def _described(self, dataset: DataSet) -> DataInfo:
        return dataset.describe()

    def _looked_at(self, dataset: DataSet, *, training: bool) -> Survey | None:
        return dataset.survey(training=training)

    def _counted(self, dataset: DataSet) -> Extent | None:
        """How many samples there are; why they cannot be counted is told by the survey."""
        try:
            return dataset.extent()
        except SpecError:
            return None

    def _network(
        self, component: Component, data: Component, info: DataInfo
    ) -> Measured | list[str]:
        key = (_key(component), _key(data))
        if key not in self._networks:
            try:
                found = sizes(
                    lambda: catalog.model_for(component, info),
                    catalog.shape_for(component, info),
                    num_classes=info.num_classes, name=component.name,
                )  # fmt: skip
                self._networks[key] = Measured(component, **found)
            except SpecError as error:
                self._networks[key] = list(error.problems)
        return self._networks[key]

    def _teacher(self, teacher: TeacherSpec, data: Component, info: DataInfo) -> list[str]:
        network = self._network(teacher.model, data, info)
        if isinstance(network, list):
            return [f"model: {problem}" for problem in network]
        if teacher.weights is None:
            return []
        key = (_key(teacher.model), _key(data), teacher.weights)
        if key not in self._weights:
            self._weights[key] = self._in_file(teacher.model, Path(teacher.weights), info)
        return self._weights[key]

    def _in_file(self, model: Component, path: Path, info: DataInfo) -> list[str]:
        return _weights_problems(model, path, info)


class FittingElsewhere(Fitting):
    """Fits networks to data and weights whose files are on another machine, so far as that goes."""

    def _described(self, dataset: DataSet) -> DataInfo:
        return dataset.promised()

    def _looked_at(self, dataset: DataSet, *, training: bool) -> Survey | None:
        return None

    def _counted(self, dataset: DataSet) -> Extent | None:
        return dataset.promised_extent()

    def _in_file(self, model: Component, path: Path, info: DataInfo) -> list[str]:
        return []


def _under_data(problems: Iterable[str]) -> list[str]:
    return [p if p.startswith("data.") else f"data: {p.removeprefix('data: ')}" for p in problems]


def _reads_training_data(trial: TrialSpec) -> bool:
    try:
        return training_data_are_read(trial)
    except SpecError:
        return True  # a strategy that is not known, which has been said


def _weights_problems(model: Component, path: Path, info: DataInfo) -> list[str]:
    try:
        file = shapes_in(path)
        network = _shapes_of(model, info)
    except SpecError as error:
        return [f"weights: {problem}" for problem in error.problems]
    different = mismatch(network, file)
    if different is None:
        return []
    of_file = _classes_in(file, network, model, info)
    if of_file is not None:
        return [
            f"weights: {str(path)!r} is of other classes than the data: the data have "
            f"{info.num_classes} classes: {_some(info.class_names)}; the file is of {of_file} "
            f"({different}); a teacher must have been trained on the classes of the data"
        ]
    return [
        f"weights: {str(path)!r} holds the weights of another architecture than "
        f"its model {model.name!r}: {different}"
    ]


def _shapes_of(model: Component, info: DataInfo) -> Shapes:
    with torch.device("meta"):
        state = catalog.model_for(model, info).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _classes_in(file: Shapes, network: Shapes, model: Component, info: DataInfo) -> int | None:
    """How many classes a file is of that is of this very model for another number of them."""
    candidates = {
        theirs
        for name, shape in network.items()
        for ours, theirs in zip(shape[:1], file.get(name, ())[:1], strict=False)
        if ours == info.num_classes != theirs and theirs > 1
    }
    for num in sorted(candidates):
        names = tuple(map(str, range(num)))
        try:
            other = _shapes_of(model, replace(info, num_classes=num, class_names=names))
        except SpecError:
            continue
        if mismatch(other, file) is None:
            return num
    return None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _key(component: Component) -> str:
    return json.dumps(component.model_dump(mode="json"), sort_keys=True)

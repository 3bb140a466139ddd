"""Whether the networks of a trial take its images, and how large they are: nothing is trained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from kdsweep import catalog
from kdsweep.data.base import DataInfo, DataSet, Extent
from kdsweep.errors import SpecError
from kdsweep.models.size import sizes
from kdsweep.spec import Component, Metric, TeacherSpec, TrialSpec
from kdsweep.sweep_file.components import component_problems, teacher_paths
from kdsweep.sweep_file.rehearsal import Rehearsal
from kdsweep.sweep_file.stored import Wanted
from kdsweep.sweep_file.weights import mismatch, shapes_in


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
            return [p if p.startswith("data.") else f"data: {p}" for p in info]
        student = self._network(trial.student, trial.data, info)
        if isinstance(student, list):
            return [f"student: {problem}" for problem in student]
        return student

    def teacher_problems(self, trial: TrialSpec) -> list[str]:
        """What keeps each teacher from the trial's data, or its weights from it."""
        info = self.info(trial.data)
        if isinstance(info, list):
            return [p if p.startswith("data.") else f"data: {p}" for p in info]
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
            extent = self._extents.get(_key(trial.data))
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
                dataset = catalog.dataset(data)
                self._infos[key] = self._described(dataset)
                self._extents[key] = self._counted(dataset)
            except SpecError as error:
                self._infos[key] = [p.removeprefix("data: ") for p in error.problems]
        return self._infos[key]

    def _described(self, dataset: DataSet) -> DataInfo:
        return dataset.describe()

    def _counted(self, dataset: DataSet) -> Extent | None:
        """How many samples there are; that they cannot be split is told when they are."""
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

    def _counted(self, dataset: DataSet) -> Extent | None:
        return dataset.promised_extent()

    def _in_file(self, model: Component, path: Path, info: DataInfo) -> list[str]:
        return []


def _weights_problems(model: Component, path: Path, info: DataInfo) -> list[str]:
    try:
        file = shapes_in(path)
        with torch.device("meta"):
            state = catalog.model_for(model, info).state_dict()
    except SpecError as error:
        return [f"weights: {problem}" for problem in error.problems]
    different = mismatch({name: tuple(tensor.shape) for name, tensor in state.items()}, file)
    if different is None:
        return []
    return [
        f"weights: {str(path)!r} holds the weights of another architecture than "
        f"its model {model.name!r}: {different}"
    ]


def _key(component: Component) -> str:
    return json.dumps(component.model_dump(mode="json"), sort_keys=True)

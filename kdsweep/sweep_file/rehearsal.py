"""Whether the strategies of a trial can be built for its networks: nothing is trained."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import modality
from kdsweep.data.base import DataInfo
from kdsweep.errors import SpecError
from kdsweep.models.size import LARGE, count_params
from kdsweep.probing import (
    PROBE_SAMPLES,
    Probed,
    begin_strategies,
    blank_batch,
    build_strategies,
    probe_of,
    probed,
)
from kdsweep.spec import Component, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import Strategy
from kdsweep.sweep_file.asked import (
    LOGITS,
    Asked,
    asked_of_main,
    asked_of_other,
    num_values,
)

_NUM_SAMPLES = 2
"""How many training examples there are is not known before the data are loaded."""
_REFUSALS = (RuntimeError, NotImplementedError, TypeError, ValueError)
"""What a class of the user's raises that the meta device does not suit."""


class Rehearsal:
    """Probes each network once for each kind of inputs, and builds strategies from the shapes."""

    def __init__(self) -> None:
        self._probed: dict[tuple[str, str], Probed] = {}
        self._found: dict[str, list[str]] = {}
        self._asked: dict[str, dict[str, Asked]] = {}

    def asked(self, trial: TrialSpec) -> Mapping[str, Asked]:
        """What a trial without ``problems``, of which it was asked, reads of each teacher."""
        return self._asked.get(_key(trial), {})

    def values(self, model: Component, trial: TrialSpec, info: DataInfo) -> Mapping[str, int]:
        """What a network gives for each example, at every module path, and its logits.

        Raises:
            SpecError: it cannot be built.
        """
        outputs = self._network(model, trial, info).outputs
        return {LOGITS: num_values(outputs.logits),
                **{path: num_values(map_) for path, map_ in outputs.features.items()}}  # fmt: skip

    def problems(self, trial: TrialSpec, info: DataInfo) -> list[str]:
        """Why the trial's strategies cannot be built for its networks, which suit its data."""
        key = _key(trial)
        if key not in self._found:
            try:
                self._asked[key] = self._built(trial, info)
                self._found[key] = []
            except SpecError as error:
                self._found[key] = list(error.problems)
        return self._found[key]

    def _built(self, trial: TrialSpec, info: DataInfo) -> dict[str, Asked]:
        asked = trial.all_teachers if _needs_teacher(trial.strategy) else {}
        theirs = {name: self._network(each.model, trial, info) for name, each in asked.items()}
        ours = self._network(trial.student, trial, info)
        with torch.random.fork_rng(devices=[]):
            try:
                built = _build(trial, info, ours, theirs)
            except _REFUSALS:
                # Whether the strategy or only the meta device is at fault shows on the CPU.
                built = _build_on_cpu(trial, info, ours, theirs)
        return _asked(trial, built, theirs)

    def _network(self, component: Component, trial: TrialSpec, info: DataInfo) -> Probed:
        key = (_dumped(component), _dumped(trial.data))
        if key not in self._probed:
            self._probed[key] = _shapes(component, info)
        return self._probed[key]


def _asked(
    trial: TrialSpec, built: Sequence[Strategy], teachers: Mapping[str, Probed]
) -> dict[str, Asked]:
    """What the strategies read of the teachers, by name."""
    if not teachers:
        return {}
    main = teachers[MAIN_TEACHER]
    found = {
        MAIN_TEACHER: asked_of_main(
            built,
            main.outputs,
            num_probed=PROBE_SAMPLES,
            reads_tokens=modality(main.shape) == "tokens",
        )
    }
    for each in _components(trial.strategy):
        settings = catalog.params("strategy", each)
        for name in catalog.find("strategy", each.name).chosen(settings, tuple(trial.teachers)):
            found.setdefault(name, asked_of_other(built, teachers[name].outputs))
    return found


def _build(
    trial: TrialSpec, info: DataInfo, student: Probed, teachers: Mapping[str, Probed]
) -> list[Strategy]:
    """Build the strategies, and let those begin that change the student; raises ``SpecError``."""
    main = trial.teacher

    def new_student() -> nn.Module:
        return without_weights(trial.student, info)

    def new_teacher() -> nn.Module:
        assert main is not None
        return without_weights(main.model, info)

    reads_data = catalog.find("strategy", trial.strategy.name).needs.data
    probe = probe_of(
        student,
        teachers.get(MAIN_TEACHER),
        num_classes=info.num_classes,
        num_samples=_NUM_SAMPLES if reads_data else 0,
        teachers={name: each.outputs for name, each in teachers.items()},
        new_student=new_student,
        new_teacher=None if main is None else new_teacher,
    )
    built = build_strategies(trial.strategy, probe)
    if any(type(each).begin is not Strategy.begin for each in built.values()):
        teacher = new_teacher() if teachers else None
        begin_strategies(trial.strategy, built, new_student(), teacher)
    return list(built.values())


def _build_on_cpu(
    trial: TrialSpec, info: DataInfo, student: Probed, teachers: Mapping[str, Probed]
) -> list[Strategy]:
    filled = {name: each.filled() for name, each in teachers.items()}
    try:
        return _build(trial, info, student.filled(), filled)
    except _REFUSALS as error:
        names = [trial.strategy.name, *catalog.extras(trial.strategy)]
        own = [name for name in names if ":" in name]
        if not own:
            raise
        raise SpecError(
            f"strategy: {' or '.join(own)} cannot be built for these networks: "
            f"{type(error).__name__}: {error}"
        ) from error


def _needs_teacher(strategy: Component) -> bool:
    return any(
        catalog.find("strategy", component.name).needs.teacher
        for component in _components(strategy)
    )


def _components(strategy: Component) -> tuple[Component, ...]:
    return (strategy, *catalog.extras(strategy).values())


def without_weights(component: Component, info: DataInfo) -> nn.Module:
    """A network of no weights, where its class allows that; else of random ones."""
    try:
        with torch.device("meta"):
            return catalog.model_for(component, info)
    except _REFUSALS:
        return catalog.model_for(component, info)


def _shapes(component: Component, info: DataInfo) -> Probed:
    """What a network of random weights gives; a large one is never made, as in ``models.size``."""
    with torch.random.fork_rng(devices=[]):
        network = without_weights(component, info)
        if count_params(network) > LARGE:
            try:
                return probed(network, blank_batch(info, torch.device("meta")), info)
            except _REFUSALS:
                pass  # only the CPU can tell
        network = catalog.model_for(component, info)
        cpu = torch.device("cpu")
        return probed(network, blank_batch(info, cpu), info).without_values()


def _key(trial: TrialSpec) -> str:
    """The same for trials that build alike: of fractions it matters only whether they are zero."""
    teachers = {name: each.model.model_dump() for name, each in trial.all_teachers.items()}
    strategy = _coarse(trial.strategy.model_dump())
    said = [trial.data.model_dump(), trial.student.model_dump(), teachers, strategy]
    return json.dumps(said, sort_keys=True, default=str)


def _coarse(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _coarse(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_coarse(inner) for inner in value]
    return "fraction" if isinstance(value, float) and value != 0 else value


def _dumped(component: Component) -> str:
    return json.dumps(component.model_dump(mode="json"), sort_keys=True)

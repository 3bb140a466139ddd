"""Trials that need no sampler: controls, the trial as written, every strategy, no labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.results.record import Role, TrialResult
from kdsweep.spec import Assignment, Dimension, Label
from kdsweep.sweep_file import Sweep, at, controls, defaults, resolved


@dataclass(frozen=True)
class Start:
    """A trial to begin with.

    ``params`` is where it lies in the space; ``None`` where it lies outside, so that no sampler
    hears of it, and ``changes`` say how it differs from the sweep's trial.
    """

    role: Role
    changes: dict[str, Any]
    params: Mapping[str, Label] | None

    def gave(self, result: TrialResult) -> bool:
        """Whether a recorded trial is this one."""
        if self.role != result.role:
            return False
        # On a grid a control has no place in the space, wherever it lies.
        if self.params is not None and result.params:
            return dict(self.params) == result.params
        return self.changes == result.changes


def starts(sweep: Sweep) -> list[Start]:
    """The controls, the sweep's own trial, each strategy at its published defaults, and the others.

    The others are members of the choice of the strategy of which none of those is one, at defaults
    where the space allows them and in the middle of their ranges where it does not. At the end
    those with an ``alpha`` of 0, which learn nothing from the labels: a sampler seldom draws the
    very end of a range. The other end of alpha is the control without distillation.
    """
    base = sweep.spec.trial
    found = [
        Start("control", changes, sweep.locate(at(base, changes)))
        for changes in ({"strategy": {"name": name}} for name in controls(base, sweep.info))
    ]
    names = tuple(_strategies(sweep))
    _add(found, sweep, {})
    for name in names:
        _add(found, sweep, {"strategy": {"name": name}})
    found += _members(sweep, [start.params for start in found if start.params is not None])
    for name in names:
        if "alpha" in catalog.find("strategy", name).Params.model_fields:
            _add(found, sweep, {"strategy": {"name": name, "alpha": 0.0}})
    if any(dimension.path == "strategy.alpha" for dimension in sweep.space.dimensions()):
        _add(found, sweep, {"strategy.alpha": 0.0})
    return found


def _add(found: list[Start], sweep: Sweep, changes: dict[str, Any]) -> None:
    """The sweep's trial with ``changes``, if it lies in the space and is not known."""
    params = sweep.locate(at(sweep.spec.trial, changes))
    if params is not None and all(start.params != params for start in found):
        found.append(Start("trial", changes, params))


def _members(sweep: Sweep, known: Sequence[Mapping[str, Label]]) -> Iterator[Start]:
    """A trial of each member of the choice of the strategy that none of the ``known`` is of."""
    whole, own = resolved(sweep.spec.trial), sweep.locate(sweep.spec.trial) or {}
    for choice in sweep.space.dimensions():
        if choice.path != "strategy" or choice.conditions:
            continue
        for label in choice.labels:
            if any(params[choice.name] == label for params in known):
                continue
            name = str(label).partition("#")[0]
            taken = {**own, choice.name: label}
            point = sweep.space.resolve(
                lambda each, taken=taken, name=name: taken.get(each.name, _usual(each, whole, name))  # type: ignore[misc]
            )
            if _is_allowed(sweep, point):
                yield Start("trial", point.changes, point.params)


def _usual(dimension: Dimension, trial: Mapping[str, Any], strategy: str) -> Label:
    """What the trial says, of the strategy its default; else the middle, or the first of several.

    ``strategy`` is the name of the one that is taken in place of the trial's own.
    """
    *above, last = dimension.path.split(".")
    if above[:1] == ["strategy"]:
        named = {"name": strategy} if len(above) == 1 else {}
        value = defaults(".".join(above), named).get(last)
    else:
        value = _at(trial, dimension.path)
    if dimension.kind == "choice":
        return value if dimension.contains(value) else dimension.labels[0]
    if dimension.contains(value):
        return value if dimension.kind == "int" else float(value)
    return dimension.values(3)[1]


def _at(trial: Mapping[str, Any], path: str) -> Any:
    value: Any = trial
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_allowed(sweep: Sweep, point: Assignment) -> bool:
    """Whether the combination can be trained: each of its settings alone was checked at load."""
    try:
        at(sweep.spec.trial, point.changes)
    except SpecError:
        return False
    return True


def _strategies(sweep: Sweep) -> Iterator[str]:
    """The names of the members of the choice of the whole strategy, each once.

    Of two members of one name the labels are numbered: ``kd#2``.
    """
    labels = (
        label
        for dimension in sweep.space.dimensions()
        if dimension.path == "strategy" and dimension.kind == "choice"
        for label in dimension.labels
        if isinstance(label, str)
    )
    names = dict.fromkeys(label.partition("#")[0] for label in labels)
    yield from (name for name in names if name in catalog.names("strategy"))
